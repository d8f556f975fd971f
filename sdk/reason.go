package tillbook

// Reason says in one word why a call failed. It is an error itself, so that
// errors.Is finds it:
//
//	if errors.Is(err, tillbook.ReasonInsufficientFunds) { … }
//
// A server that is newer than this package may send reasons without a constant
// here; they come through unchanged.
type Reason string

// Error returns the reason's name, such as "INSUFFICIENT_FUNDS".
func (r Reason) Error() string { return string(r) }

// Reasons that any call may fail with. The comments in
// proto/tillbook/error/v1/error.proto say more about each.
const (
	// ReasonInvalidArgument means that a field breaks a rule; see Error.Fields.
	ReasonInvalidArgument Reason = "INVALID_ARGUMENT"
	// ReasonInternal means that something failed inside the server.
	ReasonInternal Reason = "INTERNAL"
	// ReasonUnavailable means that the server couldn't be reached or can't
	// answer now.
	ReasonUnavailable Reason = "UNAVAILABLE"
	// ReasonDeadlineExceeded means that the deadline passed.
	ReasonDeadlineExceeded Reason = "DEADLINE_EXCEEDED"
	// ReasonCanceled means that the caller's context was canceled.
	ReasonCanceled Reason = "CANCELED"
	// ReasonUnimplemented means that the server doesn't know the procedure, as
	// when it runs without a sandbox.
	ReasonUnimplemented Reason = "UNIMPLEMENTED"
	// ReasonNotFound means that the object doesn't exist or isn't the caller's.
	ReasonNotFound Reason = "NOT_FOUND"
	// ReasonRateLimited means too many requests; see Error.RetryAfter.
	ReasonRateLimited Reason = "RATE_LIMITED"
	// ReasonOverloaded means that the server has too much work queued.
	ReasonOverloaded Reason = "OVERLOADED"
	// ReasonUnauthenticated means that there are no credentials, or unreadable
	// ones.
	ReasonUnauthenticated Reason = "UNAUTHENTICATED"
	// ReasonTokenExpired means that the access token expired. The client
	// refreshes it by itself; callers don't normally see this.
	ReasonTokenExpired Reason = "TOKEN_EXPIRED"
	// ReasonSessionRevoked means that the session ended; sign in again.
	ReasonSessionRevoked Reason = "SESSION_REVOKED"
	// ReasonPermissionDenied means that the caller may not call the procedure.
	ReasonPermissionDenied Reason = "PERMISSION_DENIED"
	// ReasonPageTokenInvalid means that a page token belongs to another list.
	ReasonPageTokenInvalid Reason = "PAGE_TOKEN_INVALID"
	// ReasonResumeTokenInvalid means that a watch can't go on from its token.
	ReasonResumeTokenInvalid Reason = "RESUME_TOKEN_INVALID"
	// ReasonMessageTooLarge means that a message exceeds the server's limit.
	ReasonMessageTooLarge Reason = "MESSAGE_TOO_LARGE"
	// ReasonStreamMoved means that a stream is to be opened anew. Watch does so
	// by itself.
	ReasonStreamMoved Reason = "STREAM_MOVED"
)

// Reasons of calls that move or show money.
const (
	// ReasonInsufficientFunds means that the account hasn't enough.
	ReasonInsufficientFunds Reason = "INSUFFICIENT_FUNDS"
	// ReasonIdempotencyKeyReused means that the key belongs to another request.
	ReasonIdempotencyKeyReused Reason = "IDEMPOTENCY_KEY_REUSED"
	// ReasonAmountTooPrecise means more decimals than the asset has.
	ReasonAmountTooPrecise Reason = "AMOUNT_TOO_PRECISE"
	// ReasonAmountOutOfRange means more than 38 digits.
	ReasonAmountOutOfRange Reason = "AMOUNT_OUT_OF_RANGE"
	// ReasonAmountNotPositive means an amount of zero or less.
	ReasonAmountNotPositive Reason = "AMOUNT_NOT_POSITIVE"
	// ReasonAssetNotFound means that there is no such asset.
	ReasonAssetNotFound Reason = "ASSET_NOT_FOUND"
	// ReasonAssetExists means that the code belongs to another asset.
	ReasonAssetExists Reason = "ASSET_EXISTS"
	// ReasonRecipientNotFound means that nobody can be paid under that name.
	ReasonRecipientNotFound Reason = "RECIPIENT_NOT_FOUND"
	// ReasonSelfTransfer means that payer and recipient are the same.
	ReasonSelfTransfer Reason = "SELF_TRANSFER"
	// ReasonOutcomeUnknown means that the request may or may not have been
	// executed. It matches every error whose Outcome is OutcomeUnknown.
	ReasonOutcomeUnknown Reason = "OUTCOME_UNKNOWN"
	// ReasonUnbalancedPostings means that the postings don't sum to zero.
	ReasonUnbalancedPostings Reason = "UNBALANCED_POSTINGS"
	// ReasonAccountNotFound means that there is no account with that code.
	ReasonAccountNotFound Reason = "ACCOUNT_NOT_FOUND"
	// ReasonAccountAssetMismatch means that the account holds another asset.
	ReasonAccountAssetMismatch Reason = "ACCOUNT_ASSET_MISMATCH"
	// ReasonHoldExpired means that the hold's time is over.
	ReasonHoldExpired Reason = "HOLD_EXPIRED"
	// ReasonHoldClosed means that the hold was captured to its end or voided.
	ReasonHoldClosed Reason = "HOLD_CLOSED"
	// ReasonHoldExceeded means a capture of more than the hold allows.
	ReasonHoldExceeded Reason = "HOLD_EXCEEDED"
	// ReasonExpireTimeInvalid means an expiry in the past or too far away.
	ReasonExpireTimeInvalid Reason = "EXPIRE_TIME_INVALID"
	// ReasonAccountUnbounded means that the account has no floor and so no holds.
	ReasonAccountUnbounded Reason = "ACCOUNT_UNBOUNDED"
	// ReasonNotRefundable means a transaction that can't be given back like this.
	ReasonNotRefundable Reason = "NOT_REFUNDABLE"
	// ReasonRefundExceeded means giving back more than is left.
	ReasonRefundExceeded Reason = "REFUND_EXCEEDED"
	// ReasonLimitExceeded means that a limit stands in the way; the error's
	// Metadata says which.
	ReasonLimitExceeded Reason = "LIMIT_EXCEEDED"
	// ReasonRecipientLimitExceeded means that a limit of the other side does.
	ReasonRecipientLimitExceeded Reason = "RECIPIENT_LIMIT_EXCEEDED"
	// ReasonImportTimeInvalid means an import that is out of the order of time.
	ReasonImportTimeInvalid Reason = "IMPORT_TIME_INVALID"
	// ReasonImportSequenceInvalid means an import that leaves out items.
	ReasonImportSequenceInvalid Reason = "IMPORT_SEQUENCE_INVALID"
	// ReasonPaymentRequestExpired means a request for money that nobody paid in
	// time.
	ReasonPaymentRequestExpired Reason = "PAYMENT_REQUEST_EXPIRED"
	// ReasonPaymentRequestClosed means one that was paid, declined or canceled.
	ReasonPaymentRequestClosed Reason = "PAYMENT_REQUEST_CLOSED"
	// ReasonTooManyPaymentRequests means that too many of them are open.
	ReasonTooManyPaymentRequests Reason = "TOO_MANY_PAYMENT_REQUESTS"
	// ReasonNotSealedYet means that the log doesn't have the transaction yet.
	ReasonNotSealedYet Reason = "NOT_SEALED_YET"
	// ReasonStatementFormatUnsupported means that the format can't show the asset.
	ReasonStatementFormatUnsupported Reason = "STATEMENT_FORMAT_UNSUPPORTED"
	// ReasonUserHasFunds means that a user still has money, holds or debts.
	ReasonUserHasFunds Reason = "USER_HAS_FUNDS"
	// ReasonAccountClosed means that the account's owner is gone.
	ReasonAccountClosed Reason = "ACCOUNT_CLOSED"
)

// Reasons of calls that register people and sign them in.
const (
	// ReasonPhoneNumberInvalid means a number that can't take SMS.
	ReasonPhoneNumberInvalid Reason = "PHONE_NUMBER_INVALID"
	// ReasonUsernameTaken means that the username belongs to somebody else.
	ReasonUsernameTaken Reason = "USERNAME_TAKEN"
	// ReasonPasswordTooCommon means a password that is easily guessed.
	ReasonPasswordTooCommon Reason = "PASSWORD_TOO_COMMON"
	// ReasonCredentialsInvalid means a wrong phone number or password.
	ReasonCredentialsInvalid Reason = "CREDENTIALS_INVALID"
	// ReasonCodeInvalid means a wrong code; a few more tries are left.
	ReasonCodeInvalid Reason = "CODE_INVALID"
	// ReasonCodeExpired means a code that was used, replaced or is too old.
	ReasonCodeExpired Reason = "CODE_EXPIRED"
	// ReasonTooManyAttempts means that the code is dead; start again.
	ReasonTooManyAttempts Reason = "TOO_MANY_ATTEMPTS"
	// ReasonRefreshTokenInvalid means that the session can't be refreshed; sign
	// in again.
	ReasonRefreshTokenInvalid Reason = "REFRESH_TOKEN_INVALID"
)

// Reasons of calls of merchants.
const (
	// ReasonTimeZoneInvalid means a time zone that there isn't.
	ReasonTimeZoneInvalid Reason = "TIME_ZONE_INVALID"
	// ReasonScheduleInvalid means a settlement schedule that makes no sense.
	ReasonScheduleInvalid Reason = "SCHEDULE_INVALID"
	// ReasonInvitationClosed means an invitation that has ended.
	ReasonInvitationClosed Reason = "INVITATION_CLOSED"
	// ReasonFeePlanInvalid means a fee plan that makes no sense.
	ReasonFeePlanInvalid Reason = "FEE_PLAN_INVALID"
	// ReasonShiftOpen means that the terminal or the user has an open shift.
	ReasonShiftOpen Reason = "SHIFT_OPEN"
	// ReasonDateInvalid means a date that there isn't, or that lies too far away.
	ReasonDateInvalid Reason = "DATE_INVALID"
)

// Reasons of calls about checkouts.
const (
	// ReasonCheckoutClosed means a checkout that was paid, declined, canceled or has expired.
	ReasonCheckoutClosed Reason = "CHECKOUT_CLOSED"
	// ReasonCheckoutExpired means a checkout whose time is over.
	ReasonCheckoutExpired Reason = "CHECKOUT_EXPIRED"
	// ReasonCheckoutNotAuthorized means a checkout with nothing to capture.
	ReasonCheckoutNotAuthorized Reason = "CHECKOUT_NOT_AUTHORIZED"
	// ReasonCheckoutNotPaid means a checkout with nothing to give back.
	ReasonCheckoutNotPaid Reason = "CHECKOUT_NOT_PAID"
	// ReasonTipNotAllowed means a tip that the checkout doesn't take.
	ReasonTipNotAllowed Reason = "TIP_NOT_ALLOWED"
	// ReasonItemsMismatch means items that don't add up to the amount.
	ReasonItemsMismatch Reason = "ITEMS_MISMATCH"
	// ReasonTooManyCheckouts means that too many checkouts are open.
	ReasonTooManyCheckouts Reason = "TOO_MANY_CHECKOUTS"
	// ReasonQRTextInvalid means a text that isn't a QR code of Tillbook's.
	ReasonQRTextInvalid Reason = "QR_TEXT_INVALID"
	// ReasonPaymentCodeInvalid means a payment code that is unknown, used or too old.
	ReasonPaymentCodeInvalid Reason = "PAYMENT_CODE_INVALID"
	// ReasonPaymentCodeExceeded means a payment code that doesn't allow as much.
	ReasonPaymentCodeExceeded Reason = "PAYMENT_CODE_EXCEEDED"
)

// Reasons of calls of terminals and about them.
const (
	// ReasonTerminalUnavailable means a terminal that isn't active, is locked or revoked.
	ReasonTerminalUnavailable Reason = "TERMINAL_UNAVAILABLE"
	// ReasonTerminalLocked means that the terminal is locked.
	ReasonTerminalLocked Reason = "TERMINAL_LOCKED"
	// ReasonTerminalRevoked means that the terminal was given up for good.
	ReasonTerminalRevoked Reason = "TERMINAL_REVOKED"
	// ReasonTerminalKeyShared means that two devices use the terminal's key.
	ReasonTerminalKeyShared Reason = "TERMINAL_KEY_SHARED"
	// ReasonActivationCodeInvalid means an activation code that is wrong, used or too old.
	ReasonActivationCodeInvalid Reason = "ACTIVATION_CODE_INVALID"
	// ReasonPublicKeyInvalid means a public key that can't be the device's.
	ReasonPublicKeyInvalid Reason = "PUBLIC_KEY_INVALID"
	// ReasonAssertionInvalid means an assertion that isn't one of this terminal's.
	ReasonAssertionInvalid Reason = "ASSERTION_INVALID"
	// ReasonAssertionReplayed means an assertion that was used before.
	ReasonAssertionReplayed Reason = "ASSERTION_REPLAYED"
	// ReasonClockSkewed means that the device's clock is wrong.
	ReasonClockSkewed Reason = "CLOCK_SKEWED"
	// ReasonSessionFenced means that a newer session of the terminal took over.
	ReasonSessionFenced Reason = "SESSION_FENCED"
	// ReasonNotReading means that the terminal doesn't read its messages.
	ReasonNotReading Reason = "NOT_READING"
	// ReasonSequenceUnknown means that the device claims to have taken a message that
	// the terminal doesn't have.
	ReasonSequenceUnknown Reason = "SEQUENCE_UNKNOWN"
)
