package checkout

import (
	"strings"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/server/rpc"
)

// Errors that callers see.
var (
	errNotFound = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_FOUND, "There is no such checkout.")
	errExpired  = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_CHECKOUT_EXPIRED, "The checkout was not paid in time.").
			WithMetadata("state", stateName(Expired))
	errNoCounter = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_FOUND, "The merchant has no such store or terminal.")
	errNoStore   = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "Say at which store or terminal.").
			WithField("store_id", "must be given where there is no terminal")
	errExpireTime = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_EXPIRE_TIME_INVALID,
		"A checkout must expire in the future, at most 24 hours from now.").
		WithField("expire_time", "must lie in the future, at most 24 hours from now")
	errItems = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_ITEMS_MISMATCH,
		"The items don't add up to the amount, or are of another asset.").
		WithField("items", "must add up to the amount, in its asset")
	errTip = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_TIP_NOT_ALLOWED,
		"The checkout takes no tip, or none as large.").
		WithField("tip", "must be at most the checkout's amount, and zero where no tip is allowed")
	errOwn = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_SELF_TRANSFER, "You can't pay a merchant that you own.").
		WithField("checkout_id", "must be of somebody else's merchant")
	errNotAuthorized = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_CHECKOUT_NOT_AUTHORIZED,
		"The checkout isn't authorized, so there is nothing to capture.")
	errNotPaid = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_CHECKOUT_NOT_PAID,
		"The checkout isn't paid, so there is nothing to give back.")
	errCode = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_PAYMENT_CODE_INVALID,
		"The payment code is unknown, used, replaced or has expired.")
	errCodeExceeded = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_PAYMENT_CODE_EXCEEDED,
		"The payment code doesn't allow as much, or not in this asset.")
	errPayee = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_RECIPIENT_LIMIT_EXCEEDED,
		"The merchant can't receive this amount now.")
	errPayer = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_LIMIT_EXCEEDED,
		"A limit of the customer's account stands in the way.")
)

// errClosed says that a checkout ended before, and how.
func errClosed(state State) *rpc.Error {
	return rpc.NewError(errorv1.ErrorReason_ERROR_REASON_CHECKOUT_CLOSED, "The checkout is %s.",
		strings.ToLower(stateName(state))).WithMetadata("state", stateName(state))
}

// stateName is a state without the enum's prefix, such as "SUCCEEDED".
func stateName(state State) string { return strings.TrimPrefix(state.String(), "CHECKOUT_STATE_") }

// executed says of an error behind a commit that the money has moved.
func executed(err error) error {
	return rpc.AsError(err).WithOutcome(errorv1.Outcome_OUTCOME_EXECUTED)
}
