package rpc

import (
	"context"
	"errors"
	"os"

	"connectrpc.com/connect/v2"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
)

// sentinel maps an error that handlers return to its public face.
type sentinel struct {
	is      func(error) bool
	reason  errorv1.ErrorReason
	message string
}

// sentinels is the one table of errors that are not an *Error. The first match
// counts; an unknown outcome comes first, since it may wrap the timeout that led
// to it. An error that isn't here is INTERNAL.
var sentinels = []sentinel{
	{is(ledger.ErrOutcomeUnknown), errorv1.ErrorReason_ERROR_REASON_OUTCOME_UNKNOWN, unknownMessage},
	{is(store.ErrOutcomeUnknown), errorv1.ErrorReason_ERROR_REASON_OUTCOME_UNKNOWN, unknownMessage},

	{is(ledger.ErrInsufficientFunds), errorv1.ErrorReason_ERROR_REASON_INSUFFICIENT_FUNDS, "The account hasn't enough available funds."},
	{is(ledger.ErrKeyReused), errorv1.ErrorReason_ERROR_REASON_IDEMPOTENCY_KEY_REUSED, "The idempotency key was used before for a different request."},
	{is(ledger.ErrUnbalanced), errorv1.ErrorReason_ERROR_REASON_UNBALANCED_POSTINGS, "The postings don't sum to zero for each asset."},
	{is(ledger.ErrTooPrecise), errorv1.ErrorReason_ERROR_REASON_AMOUNT_TOO_PRECISE, "The amount has more decimals than its asset."},
	{is(ledger.ErrAmountRange), errorv1.ErrorReason_ERROR_REASON_AMOUNT_OUT_OF_RANGE, "The amount, or a balance that it would lead to, exceeds 38 digits."},
	{is(ledger.ErrAmountSyntax), errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "The amount isn't a decimal number such as \"12.50\"."},
	{is(ledger.ErrHoldNotFound), errorv1.ErrorReason_ERROR_REASON_NOT_FOUND, "There is no such hold."},
	{is(ledger.ErrHoldExpired), errorv1.ErrorReason_ERROR_REASON_HOLD_EXPIRED, "The hold's time is over."},
	{is(ledger.ErrHoldClosed), errorv1.ErrorReason_ERROR_REASON_HOLD_CLOSED, "The hold was captured to its end or voided."},
	{is(ledger.ErrHoldExceeded), errorv1.ErrorReason_ERROR_REASON_HOLD_EXCEEDED, "The hold doesn't allow so much to be captured."},
	{is(ledger.ErrExpireTime), errorv1.ErrorReason_ERROR_REASON_EXPIRE_TIME_INVALID, "The expiry must lie in the future, and less than 366 days away."},
	{is(ledger.ErrUnbounded), errorv1.ErrorReason_ERROR_REASON_ACCOUNT_UNBOUNDED, "The account has no floor, so nothing can be held in it."},
	{is(ledger.ErrNotRefundable), errorv1.ErrorReason_ERROR_REASON_NOT_REFUNDABLE, "The transaction can't be given back, or only as a whole."},
	{is(ledger.ErrRefundExceeded), errorv1.ErrorReason_ERROR_REASON_REFUND_EXCEEDED, "Not so much is left of the transaction to be given back."},
	{is(ledger.ErrLimitExceeded), errorv1.ErrorReason_ERROR_REASON_LIMIT_EXCEEDED, "A limit of the account stands in the way."},
	{is(ledger.ErrImportTime), errorv1.ErrorReason_ERROR_REASON_IMPORT_TIME_INVALID, "The transaction lies in the future, or before the newest entry of one of its accounts."},
	{is(ledger.ErrRuleNotFound), errorv1.ErrorReason_ERROR_REASON_NOT_FOUND, "There is no such limit."},
	{is(ledger.ErrRuleInvalid), errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "The limit's parts don't go together, or its time zone isn't known."},
	{is(ledger.ErrExpired), errorv1.ErrorReason_ERROR_REASON_PAYMENT_REQUEST_EXPIRED, "The request was not paid in time."},
	{is(ledger.ErrResolved), errorv1.ErrorReason_ERROR_REASON_PAYMENT_REQUEST_CLOSED, "The request was paid, declined or canceled before."},
	{is(ledger.ErrAccountClosed), errorv1.ErrorReason_ERROR_REASON_ACCOUNT_CLOSED, "The account is closed."},
	{is(ledger.ErrTier), errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "There is no such tier."},
	{is(ledger.ErrInvalidText), errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "A text holds characters that can't be stored."},
	{is(ledger.ErrAssetNotFound), errorv1.ErrorReason_ERROR_REASON_ASSET_NOT_FOUND, "There is no such asset."},
	{is(ledger.ErrAssetExists), errorv1.ErrorReason_ERROR_REASON_ASSET_EXISTS, "An asset with this code exists with other properties."},
	{is(ledger.ErrAccountNotFound), errorv1.ErrorReason_ERROR_REASON_ACCOUNT_NOT_FOUND, "There is no account with this code."},
	{is(ledger.ErrAccountAsset), errorv1.ErrorReason_ERROR_REASON_ACCOUNT_ASSET_MISMATCH, "The account holds another asset."},
	{is(ledger.ErrTransactionNotFound), errorv1.ErrorReason_ERROR_REASON_NOT_FOUND, "There is no such transaction."},
	{is(ledger.ErrOverloaded), errorv1.ErrorReason_ERROR_REASON_OVERLOADED, "The server has more work than it accepts. Try again a little later."},
	{is(ledger.ErrClosed), errorv1.ErrorReason_ERROR_REASON_UNAVAILABLE, unavailableMessage},
	{is(ledger.ErrUnavailable), errorv1.ErrorReason_ERROR_REASON_UNAVAILABLE, unavailableMessage},

	{is(store.ErrUsernameTaken), errorv1.ErrorReason_ERROR_REASON_USERNAME_TAKEN, "The username belongs to somebody else."},
	{store.IsUnstorable, errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "A text holds characters that can't be stored."},
	{store.IsUnavailable, errorv1.ErrorReason_ERROR_REASON_UNAVAILABLE, unavailableMessage},

	{is(context.Canceled), errorv1.ErrorReason_ERROR_REASON_CANCELED, "The call was canceled."},
	{is(context.DeadlineExceeded), errorv1.ErrorReason_ERROR_REASON_DEADLINE_EXCEEDED, "The deadline passed."},
	{is(os.ErrDeadlineExceeded), errorv1.ErrorReason_ERROR_REASON_DEADLINE_EXCEEDED, "The deadline passed."},
}

const (
	unknownMessage     = "It isn't known whether the request was executed. Retry with the same idempotency key."
	unavailableMessage = "The server can't answer now. Try again a little later."
)

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

// AsError returns err as clients see it. It finds an *Error anywhere in err,
// else looks the sentinels up, and says INTERNAL to everything else, with err as
// the cause.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok && e != nil {
		return e
	}
	for _, s := range sentinels {
		if s.is(err) {
			return &Error{reason: s.reason, message: s.message, cause: err}
		}
	}
	if e, ok := errors.AsType[*connect.Error](err); ok && !e.IsRemote() {
		return fromConnect(e)
	}
	return internal(err)
}

// fromConnect translates what libraries that serve on our connect.Server say,
// such as reflection, and the stubs of methods that aren't written.
func fromConnect(err *connect.Error) *Error {
	switch err.Code() {
	case connect.CodeUnimplemented:
		return errUnknownProcedure.WithCause(err)
	case connect.CodeInvalidArgument:
		return NewError(errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "%s", err.Message()).WithCause(err)
	case connect.CodeNotFound:
		return NewError(errorv1.ErrorReason_ERROR_REASON_NOT_FOUND, "%s", err.Message()).WithCause(err)
	default:
		return internal(err)
	}
}

// ReasonOf returns the public reason that a client is given for err.
func ReasonOf(err error) errorv1.ErrorReason {
	if err == nil {
		return errorv1.ErrorReason_ERROR_REASON_UNSPECIFIED
	}
	return AsError(err).reason
}
