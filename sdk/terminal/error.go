package terminal

import (
	"context"
	"errors"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
)

// ErrNotActivated says that the device has no terminal yet: call Activate.
var ErrNotActivated = errors.New("the terminal is not activated")

// Error is why a call or a session failed.
type Error struct {
	// Reason says precisely why, such as "TERMINAL_LOCKED"; the comments in
	// proto/tillbook/error/v1/error.proto say more about each. It is empty if whatever
	// answered wasn't a Tillbook server, or nothing did.
	Reason string
	// Message says it in a sentence for people, in English.
	Message string
	// Outcome says what became of a request that moves money.
	Outcome errorv1.Outcome
	// Metadata is what else the server says about the reason; may be nil.
	Metadata map[string]string
	// RetryAfter is how long the server asks to wait; 0 if it doesn't say.
	RetryAfter time.Duration

	code  codes.Code
	cause error
}

// Error returns the reason and the message.
func (e *Error) Error() string {
	if e.Reason == "" {
		return e.code.String() + ": " + e.Message
	}
	return e.Reason + ": " + e.Message
}

// Unwrap returns gRPC's own error.
func (e *Error) Unwrap() error { return e.cause }

// ReasonOf returns the reason of an error; empty if it has none.
func ReasonOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	return ""
}

// explain makes an *Error of what gRPC says, or returns errors of other kinds as they
// are.
func explain(err error) error {
	s, ok := status.FromError(err)
	if err == nil || !ok {
		return err
	}
	e := &Error{Message: s.Message(), code: s.Code(), cause: err}
	if s.Code() == codes.Canceled {
		e.cause = errors.Join(context.Canceled, err)
	}
	for _, detail := range s.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			e.Reason, e.Metadata = d.GetReason(), d.GetMetadata()
		case *errdetails.RetryInfo:
			e.RetryAfter = d.GetRetryDelay().AsDuration()
		case *errorv1.OutcomeInfo:
			e.Outcome = d.GetOutcome()
		}
	}
	return e
}

// unknown says whether it isn't known what became of a request.
func unknown(err error) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return true
	}
	switch e.code {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Unknown, codes.Internal, codes.Aborted:
		return e.Outcome != errorv1.Outcome_OUTCOME_NOT_EXECUTED
	case codes.ResourceExhausted, codes.Unauthenticated:
		return true // nothing happened, and the same request may work a moment later
	default:
		return false
	}
}

// hopeless says whether a terminal with this error needs a person.
func hopeless(err error) bool {
	switch ReasonOf(err) {
	case "TERMINAL_REVOKED", "ASSERTION_INVALID":
		return true
	}
	return false
}

// unknownSequence is after which message a server goes on, to a device that claims to
// have taken one that its terminal doesn't have.
func unknownSequence(err error) (acknowledged uint64, ok bool) {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Reason != "SEQUENCE_UNKNOWN" {
		return 0, false
	}
	acknowledged, parseErr := strconv.ParseUint(e.Metadata["acknowledged_sequence"], 10, 64)
	return acknowledged, parseErr == nil
}

// serverTime is what a server said that time it is, to a device whose clock is wrong.
func serverTime(err error) (time.Time, bool) {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Reason != "CLOCK_SKEWED" {
		return time.Time{}, false
	}
	t, parseErr := time.Parse(time.RFC3339Nano, e.Metadata["server_time"])
	return t, parseErr == nil
}
