package rpc

import (
	"context"
	"errors"
	"os"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
)

// sentinel maps an error that handlers return to its public face.
type sentinel struct {
	err     error
	reason  errorv1.ErrorReason
	message string
}

// sentinels is the one table of errors that are not an *Error. The first match
// in order counts. An error that isn't here is INTERNAL.
var sentinels = []sentinel{
	{context.Canceled, errorv1.ErrorReason_ERROR_REASON_CANCELED, "The call was canceled."},
	{context.DeadlineExceeded, errorv1.ErrorReason_ERROR_REASON_DEADLINE_EXCEEDED, "The deadline passed."},
	{os.ErrDeadlineExceeded, errorv1.ErrorReason_ERROR_REASON_DEADLINE_EXCEEDED, "The deadline passed."},
}

// AsError returns err as clients see it. It finds an *Error anywhere in err,
// else looks the sentinels up, and says INTERNAL to everything else, with err as
// the cause.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok && e != nil {
		return e
	}
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			return &Error{reason: s.reason, message: s.message, cause: err}
		}
	}
	return &Error{
		reason:  errorv1.ErrorReason_ERROR_REASON_INTERNAL,
		message: internalMessage,
		cause:   err,
	}
}

// ReasonOf returns the public reason that a client is given for err.
func ReasonOf(err error) errorv1.ErrorReason {
	if err == nil {
		return errorv1.ErrorReason_ERROR_REASON_UNSPECIFIED
	}
	return AsError(err).reason
}

const internalMessage = "Something failed inside the server. Quote the request id when you report it."
