package rpc

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
)

// Limits bound how long calls last.
type Limits struct {
	// Timeout is the deadline of a unary call whose client set none, unless its
	// policy gives it longer.
	Timeout time.Duration
	// MaxTimeout is the most that a client may ask for, with the same exception.
	MaxTimeout time.Duration
	// StreamAge is how long a stream may stay open, give or take a tenth, so
	// that load spreads over replicas that came later.
	StreamAge time.Duration
	// Draining ends all streams when it is done: the server is about to stop. Each is
	// told when to come back.
	Draining context.Context
	// ReturnRate is how many of them a second are told to. Default 500.
	ReturnRate int
}

// maxReturn is the longest that a client is asked to wait: longer than that, the
// SDKs don't.
const maxReturn = 15 * time.Second

// streams counts what is open.
type streams struct {
	open    atomic.Int64
	leaving atomic.Int64 // how many there were when the first was sent away
	rate    int64
}

// drained tells a stream that the server stops, and when to come back: at some moment
// of the time in which all that are open may, so that the others aren't overrun.
func (s *streams) drained() *Error {
	s.leaving.CompareAndSwap(0, s.open.Load())
	window := max(time.Second, min(time.Duration(s.leaving.Load())*time.Second/time.Duration(s.rate), maxReturn))
	return errStreamMoved.WithRetry(1 + rand.N(window))
}

// Bound gives every unary call a deadline and every stream an end.
func Bound(limits Limits) connect.ServerInterceptor {
	if limits.ReturnRate <= 0 {
		limits.ReturnRate = 500
	}
	all := &streams{rate: int64(limits.ReturnRate)}
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if spec.StreamType == connect.StreamTypeUnary {
				ctx, cancel := limits.unary(ctx, callFrom(ctx).policy.Timeout)
				defer cancel()
				return next(ctx, spec, stream)
			}
			ctx, cancel := context.WithCancelCause(ctx)
			defer cancel(nil)
			all.open.Add(1)
			defer all.open.Add(-1)
			age := time.AfterFunc(spread(limits.StreamAge), func() { cancel(errStreamMoved) })
			defer age.Stop()
			defer context.AfterFunc(limits.Draining, func() { cancel(all.drained()) })()
			err := next(ctx, spec, stream)
			if moved, ok := context.Cause(ctx).(*Error); ok && err != nil && moved.reason == errStreamMoved.reason { //nolint:errorlint // only what is set above
				return moved
			}
			return err
		}
	}
}

func (l Limits) unary(ctx context.Context, longer time.Duration) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	switch most := max(l.MaxTimeout, longer); {
	case !ok:
		return context.WithTimeout(ctx, max(l.Timeout, longer))
	case time.Until(deadline) > most:
		return context.WithTimeout(ctx, most)
	default:
		return ctx, func() {}
	}
}

// spread returns d give or take a tenth.
func spread(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}

var errStreamMoved = NewError(errorv1.ErrorReason_ERROR_REASON_STREAM_MOVED,
	"The stream was ended so that load spreads. Open it again with the last resume token.")
