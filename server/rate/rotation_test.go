package rate_test

import (
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tillbook/tillbook/server/rate"
	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/store/storetest"
)

// rotating is a key that a test changes.
type rotating struct{ all atomic.Pointer[[][]byte] }

func (r *rotating) set(keys ...string) secret.Derived {
	var all [][]byte
	for _, k := range keys {
		all = append(all, []byte(k))
	}
	r.all.Store(&all)
	return func() [][]byte { return *r.all.Load() }
}

func TestABucketIsAsFullAfterItsKeyChangedAsBefore(t *testing.T) {
	s, c, ctx := storetest.New(t), newClock(), t.Context()
	var key rotating
	l := rate.New(s, key.set("old"), c.Now)
	rule := rate.Rule{Name: "test", Per: 10 * time.Second, Burst: 3}
	for range 3 {
		allowed(t, l.Allow(ctx, rule, "empty"))
	}
	allowed(t, l.Allow(ctx, rule, "half"))

	key.set("new", "old")
	refused(t, l.Allow(ctx, rule, "empty"), 10*time.Second)
	refused(t, l.AllowAll(ctx, rate.Check{Rule: rule, Subject: "empty"}), 10*time.Second)
	allowed(t, l.Allow(ctx, rule, "half"))
	allowed(t, l.Allow(ctx, rule, "half"))
	refused(t, l.Allow(ctx, rule, "half"), 10*time.Second)
	for range 3 {
		allowed(t, l.Allow(ctx, rule, "fresh"))
	}
	refused(t, l.Allow(ctx, rule, "fresh"), 10*time.Second)

	c.Advance(10 * time.Second)
	allowed(t, l.Allow(ctx, rule, "empty"))
	refused(t, l.Allow(ctx, rule, "empty"), 10*time.Second)
	allowed(t, l.Reset(ctx, rule, "empty"))
	for range 3 {
		allowed(t, l.Allow(ctx, rule, "empty"))
	}
}

func TestWhatATallyCountedStaysCountedAfterItsKeyChanged(t *testing.T) {
	s, c, ctx := storetest.New(t), newClock(), t.Context()
	var key rotating
	rule := rate.Rule{Name: "test", Per: 10 * time.Second, Burst: 3}
	derived := key.set("old")
	spend := func(n int, subjects ...string) *rate.Tally {
		t.Helper()
		tally := rate.NewTally(rate.New(s, derived, c.Now), s, slog.New(slog.DiscardHandler))
		for _, subject := range subjects {
			for range n {
				allowed(t, tally.Allow(rule, subject))
			}
		}
		allowed(t, tally.Spend(ctx))
		return tally
	}
	spend(3, "empty")
	spend(2, "half")

	key.set("newer", "new", "old")
	after := spend(1, "empty", "half", "fresh") // by a replica that knows of nothing
	refused(t, after.Allow(rule, "empty"), 20*time.Second)
	refused(t, after.Allow(rule, "half"), 10*time.Second)
	allowed(t, after.Allow(rule, "fresh"))
	// What was carried over once isn't again.
	allowed(t, after.Spend(ctx))
	refused(t, spend(1, "empty").Allow(rule, "empty"), 30*time.Second)
}
