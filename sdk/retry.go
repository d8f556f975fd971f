package tillbook

import (
	"context"
	"math/rand/v2"
	"time"

	"connectrpc.com/connect/v2"
)

const (
	// backoffBase is the longest wait before the first retry; it doubles with
	// each further one.
	backoffBase = 100 * time.Millisecond
	// backoffCap bounds the doubling.
	backoffCap = 5 * time.Second
	// retryAfterCap is the longest wait that a server can ask for. An error that
	// asks for more is returned at once, with RetryAfter, rather than hold the
	// caller.
	retryAfterCap = 15 * time.Second
)

// mayRetry decides whether a call may be sent again after err. Nothing that
// the server can have seen is repeated unless the schema says that repeating
// it changes nothing.
func mayRetry(level connect.IdempotencyLevel, err *Error) bool {
	if !err.sent {
		return err.Code == connect.CodeUnavailable
	}
	if level != connect.IdempotencyNoSideEffects && level != connect.IdempotencyIdempotent {
		return false
	}
	switch {
	case err.Reason == ReasonOutcomeUnknown:
		return true
	case err.Code == connect.CodeUnavailable, err.Code == connect.CodeDeadlineExceeded:
		return true // The deadline was the attempt's: the caller's is looked at apart.
	case err.Code == connect.CodeResourceExhausted:
		return err.RetryAfter > 0
	}
	return false
}

// backoff returns how long to wait before retry number n (1, 2, 3 …): full
// jitter, where random is in [0, 1), on top of what the server asks for.
func backoff(n int, retryAfter time.Duration, random float64) time.Duration {
	ceiling := backoffCap
	if n < 20 { // Beyond this the shift would overflow.
		ceiling = min(backoffCap, backoffBase<<(n-1))
	}
	return retryAfter + time.Duration(random*float64(ceiling))
}

// pause waits for d. It returns false, at once, if the context's deadline comes
// first, and when the context is canceled in the meantime.
func pause(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	return sleep(ctx, d)
}

// sleep waits for d and returns true, or until the context ends and returns
// false.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func jitter() float64 { return rand.Float64() }
