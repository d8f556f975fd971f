package tillbook

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
)

// Error is what every failed call returns: errors.As finds it, and errors.Is
// compares it with a Reason or with ErrSignedOut.
type Error struct {
	// Procedure is the call that failed, such as "WalletService/Transfer".
	Procedure string
	// Code is the Connect (and gRPC) status code.
	Code connect.Code
	// Reason says precisely why. It may be empty if whatever answered wasn't a
	// Tillbook server but, for instance, a proxy.
	Reason Reason
	// Message says it in a sentence for people, in English.
	Message string
	// Fields lists the fields that break a rule, if any.
	Fields []FieldViolation
	// RetryAfter is how long the server asks to wait; 0 if it doesn't say.
	RetryAfter time.Duration
	// Outcome says what became of a request that moves money. It is unspecified
	// for every other call. It covers all attempts of this call; of an earlier
	// call with the same key, whose outcome was unknown, only success and
	// ReasonInsufficientFunds say anything.
	Outcome Outcome
	// IdempotencyKey is the key under which a request that moves money was sent,
	// the caller's or the one that the client made up. To find out what became
	// of an unknown outcome, send the same request with this key.
	IdempotencyKey string
	// Metadata is what else the server says about the reason, such as limit_id,
	// remaining and reset_time of ReasonLimitExceeded, item_index of a refused bulk,
	// or sequence and next_sequence of an import. It may be nil.
	Metadata map[string]string
	// RequestID finds the call in the server's log; empty if it never got there.
	RequestID string

	cause error
	sent  bool // the server can have begun to execute the call
}

// FieldViolation is a field that breaks a rule.
type FieldViolation struct {
	// Field is the path of the field, such as "amount.asset".
	Field string
	// Description is the rule that it breaks.
	Description string
}

// Error returns the procedure, the reason and the message in one line.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("tillbook: ")
	if e.Procedure != "" {
		b.WriteString(e.Procedure + ": ")
	}
	if e.Reason != "" {
		b.WriteString(string(e.Reason))
	} else {
		b.WriteString(e.Code.String())
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	for _, f := range e.Fields {
		fmt.Fprintf(&b, "; %s: %s", f.Field, f.Description)
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, " (try again in %v)", e.RetryAfter)
	}
	if e.Outcome == OutcomeUnknown {
		b.WriteString(" (it isn't known whether it was executed)")
	}
	return b.String()
}

// Unwrap returns what the error was made from: the transport's error, or the
// context's.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is the error's Reason, ErrSignedOut for a session
// that has ended or never began, or ReasonOutcomeUnknown for an unknown outcome.
func (e *Error) Is(target error) bool {
	if target == ErrSignedOut {
		switch e.Reason {
		case ReasonUnauthenticated, ReasonSessionRevoked, ReasonRefreshTokenInvalid:
			return true
		}
		return false
	}
	if target == ReasonOutcomeUnknown && e.Outcome == OutcomeUnknown {
		return true
	}
	reason, ok := target.(Reason)
	return ok && reason != "" && reason == e.Reason
}

// ErrSignedOut is matched by errors after which only signing in again helps.
var ErrSignedOut = errors.New("tillbook: signed out")

// errorDomain marks the reasons that are Tillbook's own.
const errorDomain = "tillbook"

// remoteError reads the server's verdict.
func remoteError(from *connect.Error) *Error {
	e := &Error{Code: from.Code(), Message: from.Message(), cause: from}
	for _, detail := range from.Details() {
		message, err := connectproto.UnmarshalErrorDetail(detail)
		if err != nil {
			continue // A detail that a newer server added.
		}
		switch d := message.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() == errorDomain {
				e.Reason = Reason(d.GetReason())
				e.Metadata = d.GetMetadata()
				e.RequestID = e.Metadata["request_id"]
			}
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				e.Fields = append(e.Fields, FieldViolation{Field: v.GetField(), Description: v.GetDescription()})
			}
		case *errdetails.RetryInfo:
			e.RetryAfter = max(0, d.GetRetryDelay().AsDuration())
		case *errorv1.OutcomeInfo:
			e.Outcome = d.GetOutcome()
		}
	}
	if e.Reason == "" {
		e.Reason = reasonOf[e.Code]
	}
	return e
}

// contextError describes a call that ended because the caller's context did.
func contextError(ctx context.Context, failure error) *Error {
	e := &Error{
		Code:    connect.CodeDeadlineExceeded,
		Reason:  ReasonDeadlineExceeded,
		Message: "the deadline passed before an answer came",
		cause:   errors.Join(ctx.Err(), failure),
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		e.Code, e.Reason, e.Message = connect.CodeCanceled, ReasonCanceled, "the call was canceled"
	}
	return e
}

// localError describes a call that got no verdict from a server. Connect codes
// such errors after their look (a reset connection is "canceled"), so what
// counts is that the connection failed.
func localError(err error) *Error {
	e := &Error{Code: connect.CodeOf(err), Message: err.Error(), cause: err}
	if from, ok := errors.AsType[*connect.Error](err); ok {
		e.Message = from.Message()
	}
	switch e.Code {
	case connect.CodeUnavailable, connect.CodeUnknown, connect.CodeInternal,
		connect.CodeCanceled, connect.CodeDeadlineExceeded:
		e.Code, e.Reason = connect.CodeUnavailable, ReasonUnavailable
	default:
		e.Reason = reasonOf[e.Code]
	}
	return e
}

// reasonOf gives errors a reason that come without, from something between
// client and server.
var reasonOf = map[connect.Code]Reason{
	connect.CodeCanceled:         ReasonCanceled,
	connect.CodeDeadlineExceeded: ReasonDeadlineExceeded,
	connect.CodePermissionDenied: ReasonPermissionDenied,
	connect.CodeUnavailable:      ReasonUnavailable,
	connect.CodeUnimplemented:    ReasonUnimplemented,
	connect.CodeInternal:         ReasonInternal,
}
