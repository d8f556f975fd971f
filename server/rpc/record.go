package rpc

import (
	"context"
	"strings"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/store/audit"
)

// RecordFunc writes audit records.
type RecordFunc = func(context.Context, ...audit.Record) error

// recordCall writes that an operator makes a call. That it is denied is said in
// the record's details.
func recordCall(ctx context.Context, record RecordFunc, procedure string, denied bool) error {
	var details any
	if denied {
		details = map[string]bool{"denied": true}
	}
	actor := audit.Actor{Kind: audit.Operator, ID: PrincipalFrom(ctx).Operator}
	r := audit.New(actor, "rpc."+strings.TrimPrefix(procedure, "/"), "", details)
	if err := record(ctx, r.From(Origin(ctx))); err != nil {
		return NewError(errorv1.ErrorReason_ERROR_REASON_UNAVAILABLE, unavailableMessage).WithCause(err)
	}
	return nil
}
