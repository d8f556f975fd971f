package rpc

import (
	"context"
	"strings"

	"connectrpc.com/connect/v2"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/store/audit"
)

// Record has every call of an operator recorded before it is served, so that
// nothing is done without a record. If it can't be written the call is refused.
// It runs behind Authorize.
func Record(write func(context.Context, ...audit.Record) error) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			who := PrincipalFrom(ctx)
			if who.Kind != KindOperator {
				return next(ctx, spec, stream)
			}
			r := audit.New(audit.Actor{Kind: audit.Operator, ID: who.Operator},
				"rpc."+strings.TrimPrefix(spec.Procedure, "/"), "", nil).From(Origin(ctx))
			if err := write(ctx, r); err != nil {
				return NewError(errorv1.ErrorReason_ERROR_REASON_UNAVAILABLE, unavailableMessage).WithCause(err)
			}
			return next(ctx, spec, stream)
		}
	}
}
