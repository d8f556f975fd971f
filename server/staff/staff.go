// Package staff knows who may do what for a merchant. Services ask it before they
// touch anything of a merchant's, so that there is one answer.
package staff

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
)

// Role is what a member of the staff may do. Each may do what the next one may. The
// numbers are stored, and those of the API.
type Role int16

// The roles.
const (
	Owner   Role = 1
	Manager Role = 2
	Cashier Role = 3
)

// Errors that callers see.
var (
	errNoMerchant = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_FOUND, "There is no such merchant.")
	errRole       = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_PERMISSION_DENIED, "Your role at the merchant doesn't allow this.")
)

// Require returns the merchant with this id and the user's role there. It fails
// with NOT_FOUND for a merchant where the user doesn't work, and with
// PERMISSION_DENIED if their role isn't at least the one wanted.
func Require(ctx context.Context, q *store.Queries, merchant string, user uuid.UUID, least Role) (uuid.UUID, Role, error) {
	wanted, err := id.Parse(id.Merchant, merchant)
	if err != nil {
		return uuid.Nil, 0, errNoMerchant.WithCause(err)
	}
	role, err := q.GetRole(ctx, store.GetRoleParams{MerchantID: wanted, UserID: user})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return uuid.Nil, 0, errNoMerchant.WithCause(err)
	case err != nil:
		return uuid.Nil, 0, fmt.Errorf("reading a role: %w", err)
	case Role(role) > least:
		return uuid.Nil, 0, errRole
	}
	return wanted, Role(role), nil
}
