package rpc

import (
	"connectrpc.com/connect/v2"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
)

// codes gives every public reason its Connect code. A test fails for a reason
// of the enum that is missing here.
var codes = map[errorv1.ErrorReason]connect.Code{
	errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT:     connect.CodeInvalidArgument,
	errorv1.ErrorReason_ERROR_REASON_INTERNAL:             connect.CodeInternal,
	errorv1.ErrorReason_ERROR_REASON_UNAVAILABLE:          connect.CodeUnavailable,
	errorv1.ErrorReason_ERROR_REASON_DEADLINE_EXCEEDED:    connect.CodeDeadlineExceeded,
	errorv1.ErrorReason_ERROR_REASON_CANCELED:             connect.CodeCanceled,
	errorv1.ErrorReason_ERROR_REASON_UNIMPLEMENTED:        connect.CodeUnimplemented,
	errorv1.ErrorReason_ERROR_REASON_NOT_FOUND:            connect.CodeNotFound,
	errorv1.ErrorReason_ERROR_REASON_RATE_LIMITED:         connect.CodeResourceExhausted,
	errorv1.ErrorReason_ERROR_REASON_OVERLOADED:           connect.CodeResourceExhausted,
	errorv1.ErrorReason_ERROR_REASON_UNAUTHENTICATED:      connect.CodeUnauthenticated,
	errorv1.ErrorReason_ERROR_REASON_TOKEN_EXPIRED:        connect.CodeUnauthenticated,
	errorv1.ErrorReason_ERROR_REASON_SESSION_REVOKED:      connect.CodeUnauthenticated,
	errorv1.ErrorReason_ERROR_REASON_PERMISSION_DENIED:    connect.CodePermissionDenied,
	errorv1.ErrorReason_ERROR_REASON_PAGE_TOKEN_INVALID:   connect.CodeInvalidArgument,
	errorv1.ErrorReason_ERROR_REASON_RESUME_TOKEN_INVALID: connect.CodeInvalidArgument,
	errorv1.ErrorReason_ERROR_REASON_MESSAGE_TOO_LARGE:    connect.CodeResourceExhausted,
	errorv1.ErrorReason_ERROR_REASON_STREAM_MOVED:         connect.CodeUnavailable,

	errorv1.ErrorReason_ERROR_REASON_INSUFFICIENT_FUNDS:     connect.CodeFailedPrecondition,
	errorv1.ErrorReason_ERROR_REASON_IDEMPOTENCY_KEY_REUSED: connect.CodeAlreadyExists,
	errorv1.ErrorReason_ERROR_REASON_AMOUNT_TOO_PRECISE:     connect.CodeInvalidArgument,
	errorv1.ErrorReason_ERROR_REASON_AMOUNT_OUT_OF_RANGE:    connect.CodeOutOfRange,
	errorv1.ErrorReason_ERROR_REASON_AMOUNT_NOT_POSITIVE:    connect.CodeInvalidArgument,
	errorv1.ErrorReason_ERROR_REASON_ASSET_NOT_FOUND:        connect.CodeNotFound,
	errorv1.ErrorReason_ERROR_REASON_ASSET_EXISTS:           connect.CodeAlreadyExists,
	errorv1.ErrorReason_ERROR_REASON_RECIPIENT_NOT_FOUND:    connect.CodeNotFound,
	errorv1.ErrorReason_ERROR_REASON_SELF_TRANSFER:          connect.CodeInvalidArgument,
	errorv1.ErrorReason_ERROR_REASON_OUTCOME_UNKNOWN:        connect.CodeUnavailable,
	errorv1.ErrorReason_ERROR_REASON_UNBALANCED_POSTINGS:    connect.CodeInvalidArgument,
	errorv1.ErrorReason_ERROR_REASON_ACCOUNT_NOT_FOUND:      connect.CodeNotFound,
	errorv1.ErrorReason_ERROR_REASON_ACCOUNT_ASSET_MISMATCH: connect.CodeFailedPrecondition,

	errorv1.ErrorReason_ERROR_REASON_CHECKOUT_CLOSED:         connect.CodeFailedPrecondition,
	errorv1.ErrorReason_ERROR_REASON_CHECKOUT_EXPIRED:        connect.CodeFailedPrecondition,
	errorv1.ErrorReason_ERROR_REASON_CHECKOUT_NOT_AUTHORIZED: connect.CodeFailedPrecondition,
	errorv1.ErrorReason_ERROR_REASON_CHECKOUT_NOT_PAID:       connect.CodeFailedPrecondition,
	errorv1.ErrorReason_ERROR_REASON_TIP_NOT_ALLOWED:         connect.CodeInvalidArgument,
	errorv1.ErrorReason_ERROR_REASON_ITEMS_MISMATCH:          connect.CodeInvalidArgument,
	errorv1.ErrorReason_ERROR_REASON_TOO_MANY_CHECKOUTS:      connect.CodeResourceExhausted,
	errorv1.ErrorReason_ERROR_REASON_QR_TEXT_INVALID:         connect.CodeInvalidArgument,
	errorv1.ErrorReason_ERROR_REASON_PAYMENT_CODE_INVALID:    connect.CodeFailedPrecondition,
	errorv1.ErrorReason_ERROR_REASON_PAYMENT_CODE_EXCEEDED:   connect.CodeFailedPrecondition,

	errorv1.ErrorReason_ERROR_REASON_HOLD_EXPIRED:                 connect.CodeFailedPrecondition,
	errorv1.ErrorReason_ERROR_REASON_HOLD_CLOSED:                  connect.CodeFailedPrecondition,
	errorv1.ErrorReason_ERROR_REASON_HOLD_EXCEEDED:                connect.CodeFailedPrecondition,
	errorv1.ErrorReason_ERROR_REASON_EXPIRE_TIME_INVALID:          connect.CodeInvalidArgument,
	errorv1.ErrorReason_ERROR_REASON_ACCOUNT_UNBOUNDED:            connect.CodeFailedPrecondition,
	errorv1.ErrorReason_ERROR_REASON_NOT_REFUNDABLE:               connect.CodeFailedPrecondition,
	errorv1.ErrorReason_ERROR_REASON_REFUND_EXCEEDED:              connect.CodeFailedPrecondition,
	errorv1.ErrorReason_ERROR_REASON_LIMIT_EXCEEDED:               connect.CodeFailedPrecondition,
	errorv1.ErrorReason_ERROR_REASON_RECIPIENT_LIMIT_EXCEEDED:     connect.CodeFailedPrecondition,
	errorv1.ErrorReason_ERROR_REASON_IMPORT_TIME_INVALID:          connect.CodeFailedPrecondition,
	errorv1.ErrorReason_ERROR_REASON_IMPORT_SEQUENCE_INVALID:      connect.CodeFailedPrecondition,
	errorv1.ErrorReason_ERROR_REASON_PAYMENT_REQUEST_EXPIRED:      connect.CodeFailedPrecondition,
	errorv1.ErrorReason_ERROR_REASON_PAYMENT_REQUEST_CLOSED:       connect.CodeFailedPrecondition,
	errorv1.ErrorReason_ERROR_REASON_TOO_MANY_PAYMENT_REQUESTS:    connect.CodeResourceExhausted,
	errorv1.ErrorReason_ERROR_REASON_NOT_SEALED_YET:               connect.CodeUnavailable,
	errorv1.ErrorReason_ERROR_REASON_STATEMENT_FORMAT_UNSUPPORTED: connect.CodeFailedPrecondition,
	errorv1.ErrorReason_ERROR_REASON_ACCOUNT_CLOSED:               connect.CodeFailedPrecondition,
	errorv1.ErrorReason_ERROR_REASON_USER_HAS_FUNDS:               connect.CodeFailedPrecondition,

	errorv1.ErrorReason_ERROR_REASON_TIME_ZONE_INVALID: connect.CodeInvalidArgument,
	errorv1.ErrorReason_ERROR_REASON_SCHEDULE_INVALID:  connect.CodeInvalidArgument,
	errorv1.ErrorReason_ERROR_REASON_INVITATION_CLOSED: connect.CodeFailedPrecondition,
	errorv1.ErrorReason_ERROR_REASON_FEE_PLAN_INVALID:  connect.CodeInvalidArgument,
	errorv1.ErrorReason_ERROR_REASON_SHIFT_OPEN:        connect.CodeFailedPrecondition,
	errorv1.ErrorReason_ERROR_REASON_DATE_INVALID:      connect.CodeInvalidArgument,

	errorv1.ErrorReason_ERROR_REASON_PHONE_NUMBER_INVALID:  connect.CodeInvalidArgument,
	errorv1.ErrorReason_ERROR_REASON_USERNAME_TAKEN:        connect.CodeAlreadyExists,
	errorv1.ErrorReason_ERROR_REASON_PASSWORD_TOO_COMMON:   connect.CodeInvalidArgument,
	errorv1.ErrorReason_ERROR_REASON_CREDENTIALS_INVALID:   connect.CodeUnauthenticated,
	errorv1.ErrorReason_ERROR_REASON_CODE_INVALID:          connect.CodeInvalidArgument,
	errorv1.ErrorReason_ERROR_REASON_CODE_EXPIRED:          connect.CodeFailedPrecondition,
	errorv1.ErrorReason_ERROR_REASON_TOO_MANY_ATTEMPTS:     connect.CodeFailedPrecondition,
	errorv1.ErrorReason_ERROR_REASON_REFRESH_TOKEN_INVALID: connect.CodeUnauthenticated,

	errorv1.ErrorReason_ERROR_REASON_TERMINAL_UNAVAILABLE:    connect.CodeFailedPrecondition,
	errorv1.ErrorReason_ERROR_REASON_TERMINAL_LOCKED:         connect.CodeFailedPrecondition,
	errorv1.ErrorReason_ERROR_REASON_TERMINAL_REVOKED:        connect.CodeUnauthenticated,
	errorv1.ErrorReason_ERROR_REASON_TERMINAL_KEY_SHARED:     connect.CodeFailedPrecondition,
	errorv1.ErrorReason_ERROR_REASON_ACTIVATION_CODE_INVALID: connect.CodeInvalidArgument,
	errorv1.ErrorReason_ERROR_REASON_PUBLIC_KEY_INVALID:      connect.CodeInvalidArgument,
	errorv1.ErrorReason_ERROR_REASON_ASSERTION_INVALID:       connect.CodeUnauthenticated,
	errorv1.ErrorReason_ERROR_REASON_ASSERTION_REPLAYED:      connect.CodeUnauthenticated,
	errorv1.ErrorReason_ERROR_REASON_CLOCK_SKEWED:            connect.CodeUnauthenticated,
	errorv1.ErrorReason_ERROR_REASON_SESSION_FENCED:          connect.CodeAborted,
	errorv1.ErrorReason_ERROR_REASON_NOT_READING:             connect.CodeAborted,
	errorv1.ErrorReason_ERROR_REASON_SEQUENCE_UNKNOWN:        connect.CodeFailedPrecondition,
}

// CodeOf returns the Connect code of a reason, and INTERNAL for one that is not
// in the table.
func CodeOf(reason errorv1.ErrorReason) connect.Code {
	if code, ok := codes[reason]; ok {
		return code
	}
	return connect.CodeInternal
}
