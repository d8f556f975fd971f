package rate_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/server/rate"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

// clock is a time that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

var key = secret.Fixed([]byte("a key of the tests, secret enough"))

func TestABucketGivesItsBurstAndThenOneAStep(t *testing.T) {
	s, c, ctx := storetest.New(t), newClock(), t.Context()
	l := rate.New(s, key, c.Now)
	rule := rate.Rule{Name: "test", Per: 10 * time.Second, Burst: 3}

	for range 3 {
		allowed(t, l.Allow(ctx, rule, "a"))
	}
	refused(t, l.Allow(ctx, rule, "a"), 10*time.Second)
	refused(t, l.Allow(ctx, rule, "a"), 10*time.Second)
	allowed(t, l.Allow(ctx, rule, "b"))
	allowed(t, l.Allow(ctx, rate.Rule{Name: "other", Per: time.Second, Burst: 1}, "a"))

	c.Advance(9 * time.Second)
	refused(t, l.Allow(ctx, rule, "a"), time.Second)
	c.Advance(time.Second)
	allowed(t, l.Allow(ctx, rule, "a"))
	refused(t, l.Allow(ctx, rule, "a"), 10*time.Second)

	c.Advance(time.Hour)
	for range 3 {
		allowed(t, l.Allow(ctx, rule, "a"))
	}
	refused(t, l.Allow(ctx, rule, "a"), 10*time.Second)
}

func TestReplicasThatRaceTakeTheBurstTogether(t *testing.T) {
	s, c, ctx := storetest.New(t), newClock(), t.Context()
	replicas := []*rate.Limiter{rate.New(s, key, c.Now), rate.New(s, key, c.Now), rate.New(s, key, c.Now)}
	rule := rate.Rule{Name: "test", Per: time.Minute, Burst: 7}

	var passed atomic.Int64
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			err := replicas[i%len(replicas)].AllowAll(ctx, rate.Check{Rule: rule, Subject: "a"},
				rate.Check{Rule: rate.Rule{Name: "wide", Per: time.Minute, Burst: 1000}, Subject: "a"})
			switch {
			case err == nil:
				passed.Add(1)
			case rpc.ReasonOf(err) != errorv1.ErrorReason_ERROR_REASON_RATE_LIMITED:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := passed.Load(); got != 7 {
		t.Fatalf("%d calls passed, want 7", got)
	}
}

func TestWhoIsRefusedByOneRuleUsesUpNoOther(t *testing.T) {
	s, c, ctx := storetest.New(t), newClock(), t.Context()
	l := rate.New(s, key, c.Now)
	attacker := rate.Check{Rule: rate.Rule{Name: "ip", Per: time.Minute, Burst: 1}, Subject: "192.0.2.1"}
	victim := rate.Check{Rule: rate.Rule{Name: "phone", Per: time.Minute, Burst: 5}, Subject: "+628123456789"}

	allowed(t, l.AllowAll(ctx, attacker, victim))
	for range 20 {
		c.Advance(2 * time.Second) // past what the replica remembers
		err := l.AllowAll(ctx, attacker, victim)
		refused(t, err, 0)
		var why *rate.Refused
		if !errors.As(err, &why) || why.Rule != attacker.Rule {
			t.Fatalf("refused by %v, want %s", why, attacker.Rule.Name)
		}
	}
	for range 4 {
		allowed(t, l.Allow(ctx, victim.Rule, victim.Subject))
	}
}

func TestAReturnedTokenCanBeTakenAgain(t *testing.T) {
	s, c, ctx := storetest.New(t), newClock(), t.Context()
	l := rate.New(s, key, c.Now)
	check := rate.Check{Rule: rate.Rule{Name: "test", Per: time.Minute, Burst: 2}, Subject: "a"}

	for range 10 {
		allowed(t, l.AllowAll(ctx, check))
		allowed(t, l.Return(ctx, check))
	}
	allowed(t, l.AllowAll(ctx, check))
	allowed(t, l.AllowAll(ctx, check))
	refused(t, l.AllowAll(ctx, check), time.Minute)
	allowed(t, l.Return(ctx, check))
	allowed(t, l.AllowAll(ctx, check))
	refused(t, l.AllowAll(ctx, check), time.Minute)
	allowed(t, l.Reset(ctx, check.Rule, check.Subject))
	allowed(t, l.AllowAll(ctx, check))
}

func TestASweepForgetsFullBucketsOnly(t *testing.T) {
	s, c, ctx := storetest.New(t), newClock(), t.Context()
	l := rate.New(s, key, c.Now)
	short := rate.Rule{Name: "short", Per: time.Second, Burst: 1}
	long := rate.Rule{Name: "long", Per: time.Hour, Burst: 1}
	allowed(t, l.Allow(ctx, short, "a"))
	allowed(t, l.Allow(ctx, long, "a"))

	c.Advance(2 * time.Second)
	if n, err := l.Sweep(ctx); n != 1 || err != nil {
		t.Fatalf("Sweep = %d, %v; want 1", n, err)
	}
	allowed(t, l.Allow(ctx, short, "a"))
	refused(t, l.Allow(ctx, long, "a"), 0)
}

func TestRowsDontTellTheirSubject(t *testing.T) {
	s, c, ctx := storetest.New(t), newClock(), t.Context()
	rule := rate.Rule{Name: "test", Per: time.Hour, Burst: 1}
	allowed(t, rate.New(s, key, c.Now).Allow(ctx, rule, "+628123456789"))

	// With another key it is another bucket: who has the table alone can't try
	// numbers one by one.
	allowed(t, rate.New(s, secret.Fixed([]byte("another key")), c.Now).Allow(ctx, rule, "+628123456789"))
	if n := rows(t, ctx, s); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
	var longest int
	if err := s.Pool.QueryRow(ctx, "SELECT max(length(key)) FROM rate_limits").Scan(&longest); err != nil || longest != 16 {
		t.Errorf("keys have %d bytes, %v; want 16", longest, err)
	}
}

func TestAnUnreachableDatabaseAllowsNothing(t *testing.T) {
	s, c := storetest.New(t), newClock()
	l := rate.New(s, key, c.Now)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rule := rate.Rule{Name: "test", Per: time.Hour, Burst: 1}
	if err := l.Allow(ctx, rule, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("Allow: %v; want the context's error", err)
	}
	if err := l.AllowAll(ctx, rate.Check{Rule: rule, Subject: "a"}); !errors.Is(err, context.Canceled) {
		t.Errorf("AllowAll: %v; want the context's error", err)
	}
}

func allowed(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
}

// refused fails the test unless err says RATE_LIMITED and to wait so long; a
// wait of 0 means any.
func refused(t *testing.T, err error, wait time.Duration) {
	t.Helper()
	var e *rpc.Error
	if !errors.As(err, &e) || e.Reason() != errorv1.ErrorReason_ERROR_REASON_RATE_LIMITED {
		t.Fatalf("got %v, want RATE_LIMITED", err)
	}
	if e.RetryAfter() <= 0 || wait != 0 && e.RetryAfter() != wait {
		t.Fatalf("retry after %v, want %v", e.RetryAfter(), wait)
	}
}

func rows(t *testing.T, ctx context.Context, s *store.Store) (n int) {
	t.Helper()
	if err := s.Pool.QueryRow(ctx, "SELECT count(*) FROM rate_limits").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
