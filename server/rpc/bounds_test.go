package rpc

import (
	"context"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
)

func TestStreamsThatAreSentAwayComeBackSpreadOut(t *testing.T) {
	draining, drain := context.WithCancel(t.Context())
	const open = 2000
	entered, ended := make(chan struct{}, open), make(chan error, open)
	serve := Bound(Limits{StreamAge: time.Hour, Draining: draining, ReturnRate: 500})(
		func(ctx context.Context, _ connect.Spec, _ connect.ServerStream) error {
			entered <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		})
	spec := connect.Spec{StreamType: connect.StreamTypeServer}
	for range open {
		go func() { ended <- serve(withCall(t.Context(), &call{}), spec, nil) }()
	}
	for range open {
		<-entered
	}
	drain()
	var quarters [4]int
	for range open {
		e := AsError(<-ended)
		if e.Reason() != errorv1.ErrorReason_ERROR_REASON_STREAM_MOVED || e.RetryAfter() <= 0 || e.RetryAfter() > 4*time.Second {
			t.Fatalf("a stream ended with %v, to come back after %v", e, e.RetryAfter())
		}
		quarters[min(3, int(e.RetryAfter()/time.Second))]++
	}
	for i, n := range quarters {
		if n < open/8 {
			t.Errorf("%d come back in second %d: %v", n, i+1, quarters)
		}
	}
}

func TestStreamsEndWithinATenthOfTheirAge(t *testing.T) {
	low, high := 30*time.Minute, 30*time.Minute
	for range 10_000 {
		d := spread(30 * time.Minute)
		if d < 27*time.Minute || d > 33*time.Minute {
			t.Fatalf("a stream may end after %v", d)
		}
		low, high = min(low, d), max(high, d)
	}
	if low > 28*time.Minute || high < 32*time.Minute {
		t.Errorf("streams end between %v and %v", low, high)
	}
}
