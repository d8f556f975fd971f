package rpc

import (
	"context"
	"fmt"
	"runtime/debug"

	"connectrpc.com/connect/v2"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
)

// Recover turns a panic into an INTERNAL error whose cause is a *PanicError, so
// that one call dies of it and the process doesn't.
func Recover() connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) (err error) {
			defer func() {
				if value := recover(); value != nil {
					err = internal(&PanicError{Value: value, Stack: debug.Stack()})
				}
			}()
			return next(ctx, spec, stream)
		}
	}
}

// PanicError is a panic that was caught.
type PanicError struct {
	// Value is what was thrown.
	Value any
	// Stack is the stack of the goroutine that threw it.
	Stack []byte
}

// Error returns the value as text.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

func internal(cause error) *Error {
	return &Error{reason: errorv1.ErrorReason_ERROR_REASON_INTERNAL, message: internalMessage, cause: cause}
}

const internalMessage = "Something failed inside the server. Quote the request id when you report it."
