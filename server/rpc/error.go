package rpc

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"connectrpc.com/connect/v2"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
)

// Error is a failure that a client may read: a public reason, a message written
// for the caller, and what helps them to do better. Its cause stays here.
//
// Handlers return an *Error or one of the sentinels that the table in errors.go
// knows, and nothing else.
type Error struct {
	reason   errorv1.ErrorReason
	message  string
	fields   []Field
	metadata map[string]string
	retry    time.Duration
	outcome  errorv1.Outcome
	cause    error
}

// Field names one field of a request and the rule that it breaks.
type Field struct {
	// Path leads to the field in the request, such as "amount.amount".
	Path string
	// Rule is the id of the rule, such as "string.pattern"; may be empty.
	Rule string
	// Description says in a sentence what the field must be.
	Description string
}

// NewError makes an error with a public reason and a public message. The
// message reaches the client as it is: no internal text, no personal data.
func NewError(reason errorv1.ErrorReason, format string, args ...any) *Error {
	message := format
	if len(args) > 0 {
		message = fmt.Sprintf(format, args...)
	}
	return &Error{reason: reason, message: message}
}

// WithRetry returns a copy that tells the client when to try again.
func (e *Error) WithRetry(after time.Duration) *Error {
	c := *e
	c.retry = after
	return &c
}

// WithField returns a copy that names one more field of the request.
func (e *Error) WithField(path, description string) *Error {
	return e.WithFields(Field{Path: path, Description: description})
}

// WithFields returns a copy that names more fields of the request.
func (e *Error) WithFields(fields ...Field) *Error {
	c := *e
	c.fields = append(append([]Field(nil), e.fields...), fields...)
	return &c
}

// WithMetadata returns a copy with one more entry in the metadata of its
// ErrorInfo. Keys are lower case with underscores. Metadata is public.
func (e *Error) WithMetadata(key, value string) *Error {
	c := *e
	c.metadata = maps.Clone(e.metadata)
	if c.metadata == nil {
		c.metadata = make(map[string]string, 1)
	}
	c.metadata[key] = value
	return &c
}

// WithOutcome returns a copy that says what became of the money, for the rare
// handler that knows better than the table: one that fails after its commit.
func (e *Error) WithOutcome(outcome errorv1.Outcome) *Error {
	c := *e
	c.outcome = outcome
	return &c
}

// WithCause returns a copy that remembers the error underneath for the log and
// for errors.Is. It is never sent.
func (e *Error) WithCause(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// Error returns the public text: the reason's name and the message.
func (e *Error) Error() string {
	return ReasonName(e.reason) + ": " + e.message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Reason returns the public reason.
func (e *Error) Reason() errorv1.ErrorReason { return e.reason }

// Outcome returns what became of the money, as it is said where no call fails
// as a whole.
func (e *Error) Outcome() errorv1.Outcome {
	switch {
	case e.outcome != errorv1.Outcome_OUTCOME_UNSPECIFIED:
		return e.outcome
	case e.reason == errorv1.ErrorReason_ERROR_REASON_OUTCOME_UNKNOWN,
		e.reason == errorv1.ErrorReason_ERROR_REASON_INTERNAL:
		return errorv1.Outcome_OUTCOME_UNKNOWN
	default:
		return errorv1.Outcome_OUTCOME_NOT_EXECUTED
	}
}

// Message returns the public message.
func (e *Error) Message() string { return e.message }

// Fields returns the fields that break a rule.
func (e *Error) Fields() []Field { return e.fields }

// RetryAfter returns how long the client should wait; zero if waiting is of no
// use.
func (e *Error) RetryAfter() time.Duration { return e.retry }

// Code returns the Connect code that belongs to the reason.
func (e *Error) Code() connect.Code { return CodeOf(e.reason) }

const reasonPrefix = "ERROR_REASON_"

// ReasonName is the reason as clients see it, without the enum's prefix.
func ReasonName(reason errorv1.ErrorReason) string {
	return strings.TrimPrefix(reason.String(), reasonPrefix)
}
