package rate_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/server/rate"
	"github.com/tillbook/tillbook/store/storetest"
)

func TestATallyCountsOverReplicasAMomentLate(t *testing.T) {
	s, c, ctx := storetest.New(t), newClock(), t.Context()
	var replicas [2]*rate.Tally
	for i := range replicas {
		replicas[i] = rate.NewTally(rate.New(s, key, c.Now), s, slog.New(slog.DiscardHandler))
	}
	a, b := replicas[0], replicas[1]
	spend := func() {
		t.Helper()
		for _, r := range replicas {
			if err := r.Spend(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	rule := rate.Rule{Name: "test", Per: time.Second, Burst: 5}
	for range 3 {
		allowed(t, a.Allow(rule, "x"))
	}
	for range 5 { // until it looks, the other can't know; but it knows the burst
		allowed(t, b.Allow(rule, "x"))
	}
	refused(t, b.Allow(rule, "x"), time.Second)
	spend()
	// Eight were spent of five: three are owed, and one more step until there is one.
	refused(t, b.Allow(rule, "x"), 4*time.Second)
	allowed(t, b.Allow(rule, "y"))
	c.Advance(3 * time.Second)
	refused(t, b.Allow(rule, "x"), time.Second)
	c.Advance(time.Second)
	allowed(t, b.Allow(rule, "x"))
	spend()
	refused(t, b.Allow(rule, "x"), time.Second)
	// The first one looked before the other spent.
	allowed(t, a.Allow(rule, "x"))
	spend()
	refused(t, a.Allow(rule, "x"), 2*time.Second)

	c.Advance(time.Hour)
	for range 5 {
		allowed(t, a.Allow(rule, "x"))
	}
	refused(t, a.Allow(rule, "x"), time.Second)
}

func TestWhatCouldNotBeCountedIsCountedLater(t *testing.T) {
	s, c, ctx := storetest.New(t), newClock(), t.Context()
	tally := rate.NewTally(rate.New(s, key, c.Now), s, slog.New(slog.DiscardHandler))
	rule := rate.Rule{Name: "test", Per: time.Second, Burst: 2}
	allowed(t, tally.Allow(rule, "x"))
	s.Pool.Close()
	if tally.Spend(ctx) == nil {
		t.Fatal("it counted without a database")
	}
	allowed(t, tally.Allow(rule, "x"))
	refused(t, tally.Allow(rule, "x"), time.Second)
}

func TestAShieldKnowsSubjectsApart(t *testing.T) {
	shield := rate.NewShield[uuid.UUID](rate.Rule{Name: "test", Per: time.Hour, Burst: 2})
	one, other := uuid.New(), uuid.New()
	for range 2 {
		allowed(t, shield.Allow(one))
	}
	refused(t, shield.Allow(one), time.Hour)
	allowed(t, shield.Allow(other))
}

func BenchmarkTally(b *testing.B) {
	tally := rate.NewTally(rate.New(nil, key, time.Now), nil, slog.New(slog.DiscardHandler))
	rule := rate.Rule{Name: "test", Per: time.Microsecond, Burst: 1 << 40}
	subject := uuid.NewString()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := tally.Allow(rule, subject); err != nil {
				b.Error(err)
			}
		}
	})
}
