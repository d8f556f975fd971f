package rpc

import (
	"context"
	"math/rand/v2"
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
	// Draining ends all streams when it is done: the server is about to stop.
	Draining context.Context
}

// Bound gives every unary call a deadline and every stream an end.
func Bound(limits Limits) connect.ServerInterceptor {
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
			move := func() { cancel(errStreamMoved) }
			age := time.AfterFunc(spread(limits.StreamAge), move)
			defer age.Stop()
			defer context.AfterFunc(limits.Draining, move)()
			err := next(ctx, spec, stream)
			if err != nil && context.Cause(ctx) == error(errStreamMoved) {
				return errStreamMoved
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
