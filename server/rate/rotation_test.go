package rate_test

import (
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
