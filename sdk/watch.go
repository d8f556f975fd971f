package tillbook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"connectrpc.com/connect/v2"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
)

const (
	// maxSilence is how long a stream may say nothing. The server says something
	// every 15 seconds.
	maxSilence = 45 * time.Second
	// watchBackoff is added to the wait before a stream is opened again, at
	// random, so that the clients of a replica that goes away don't all arrive
	// at the next one at once.
	watchBackoff = time.Second
	// maxRepeats is how often in a row a watch meets an error that doesn't look
	// like a passing one before it believes it.
	maxRepeats = 5
)

// Watch yields a snapshot of the wallet and then each change as it commits, for
// as long as the context lasts. It opens the stream again by itself when the
// connection is lost, the server moves it elsewhere or nothing is heard for 45
// seconds, and goes on where it was: nothing is missed and nothing repeated.
//
// It ends with an error: the context's, or one that trying again can't mend,
// such as ReasonSessionRevoked. An unreachable server is waited for.
func (w *Wallet) Watch(ctx context.Context) iter.Seq2[*Event, error] { return w.WatchFrom(ctx, "") }

// WatchFrom goes on behind the event with the given resume token, as a program
// does that kept it before it was restarted. It ends with
// ReasonResumeTokenInvalid if the server can't go on from there.
func (w *Wallet) WatchFrom(ctx context.Context, resumeToken string) iter.Seq2[*Event, error] {
	return watch(ctx, &follower[*Event]{
		procedure: "WalletService/WatchWallet",
		open: func(ctx context.Context, resume string) (eventStream[*Event], error) {
			return w.rpc.WatchWallet(ctx, &walletv1.WatchWalletRequest{ResumeToken: resume})
		},
		shown:  func(e *Event) bool { return e.GetHeartbeat() == nil && e.GetEvent() != nil },
		resume: resumeToken,
	})
}

// watch yields what a follower finds.
func watch[E watched](ctx context.Context, f *follower[E]) iter.Seq2[E, error] {
	return func(yield func(E, error) bool) {
		for {
			err := f.follow(ctx, yield)
			if err == nil {
				return
			}
			if !f.again(err) || !sleep(ctx, f.wait(err)) {
				if ctx.Err() != nil {
					err = contextError(ctx, err)
				}
				var none E
				yield(none, err)
				return
			}
		}
	}
}

// watched is a message of a stream that can be resumed.
type watched interface{ GetResumeToken() string }

// eventStream is one stream.
type eventStream[E any] interface {
	Receive() (E, error)
	Close() error
}

// follower is one Watch across its streams.
type follower[E watched] struct {
	procedure string
	open      func(ctx context.Context, resume string) (eventStream[E], error)
	shown     func(E) bool // whether the caller sees it
	resume    string
	failures  int // streams in a row that brought nothing
	repeats   int // of these, how many ended with something unexpected
}

// follow reads one stream. It returns nil when the caller has seen enough, else
// what ended the stream.
func (f *follower[E]) follow(ctx context.Context, yield func(E, error) bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(maxSilence, func() { cancel(errSilent) })
	defer silence.Stop()

	stream, err := f.open(ctx, f.resume)
	if err != nil {
		return f.streamError(ctx, err)
	}
	defer stream.Close()
	for {
		event, err := stream.Receive()
		if err != nil {
			return f.streamError(ctx, err)
		}
		silence.Stop() // The caller may take its time.
		f.failures, f.repeats = 0, 0
		if token := event.GetResumeToken(); token != "" {
			f.resume = token
		}
		if f.shown(event) && !yield(event, nil) {
			return nil
		}
		silence.Reset(maxSilence)
	}
}

// streamError returns what ended a stream as an Error.
func (f *follower[E]) streamError(ctx context.Context, err error) *Error {
	lost := &Error{
		Procedure: f.procedure,
		Code:      connect.CodeUnavailable,
		Reason:    ReasonUnavailable,
		cause:     err,
	}
	switch {
	case errors.Is(context.Cause(ctx), errSilent):
		lost.Message = fmt.Sprintf("nothing was heard for %v", maxSilence)
		return lost
	case errors.Is(err, io.EOF):
		lost.Message = "the server ended the stream"
		return lost
	}
	return asError(err)
}

// again decides whether another stream is worth opening after err.
func (f *follower[E]) again(err error) bool {
	f.failures++
	e := asError(err)
	switch e.Code {
	case connect.CodeUnavailable, connect.CodeResourceExhausted:
		return true
	case connect.CodeInternal, connect.CodeUnknown, connect.CodeAborted,
		connect.CodeCanceled, connect.CodeDeadlineExceeded:
	default:
		if e.Reason != ReasonTokenExpired {
			return false
		}
	}
	f.repeats++
	return f.repeats < maxRepeats
}

// wait returns how long to wait before the next stream.
func (f *follower[E]) wait(err error) time.Duration {
	asked := min(asError(err).RetryAfter, retryAfterCap)
	return backoff(f.failures, asked, jitter()) + time.Duration(jitter()*float64(watchBackoff))
}

var errSilent = errors.New("tillbook: silent stream")
