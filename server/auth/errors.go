package auth

import (
	"errors"
	"time"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/server/rpc"
)

// What callers are told. None of it says whether a number has an account.
var (
	errUsernameTaken = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_USERNAME_TAKEN,
		"The username belongs to somebody else.").WithField("username", "must not be taken")
	errPasswordTooCommon = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_PASSWORD_TOO_COMMON,
		"The password is among those that are guessed first. Choose another one.")
	errCredentialsInvalid = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_CREDENTIALS_INVALID,
		"The phone number and the password don't belong together.")
	errPasswordWrong = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_CREDENTIALS_INVALID,
		"The current password is wrong.")
	errCodeInvalid = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_CODE_INVALID,
		"The code is wrong.")
	errCodeExpired = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_CODE_EXPIRED,
		"The code was used, replaced or has expired. Ask for a new one.")
	errTooManyAttempts = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_TOO_MANY_ATTEMPTS,
		"Too many wrong tries. Start again.")
	errResendTooEarly = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_RATE_LIMITED,
		"A code was sent a moment ago. Wait before asking for another one.")
	errResendTooOften = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_RATE_LIMITED,
		"This challenge sends no more codes. Start again.")
	errRefreshTokenInvalid = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_REFRESH_TOKEN_INVALID,
		"The refresh token is unknown or has expired. Sign in again.")
	errSessionRevoked = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_SESSION_REVOKED,
		"The session has ended. Sign in again.")
	errTokenExpired = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_TOKEN_EXPIRED,
		"The access token has expired. Refresh it.")
	errUnauthenticated = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_UNAUTHENTICATED,
		"The credentials can't be read or aren't valid here.")
	errNoSession = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_FOUND,
		"There is no such session.")
	errNoUser = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_FOUND,
		"There is no such user.")
	errOverloaded = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_OVERLOADED,
		"The server has more work than it accepts. Try again a little later.").WithRetry(2 * time.Second)
	errCannotVouch = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_UNAVAILABLE,
		"The server can't check sessions now. Try again a little later.").WithRetry(time.Second)
	errPasswordLength = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT,
		"The password must have %d to %d characters.", minPassword, maxPassword)
)

// ErrUndeliverable says that a message can't be delivered and that sending it
// again is of no use.
var ErrUndeliverable = errors.New("the message can't be delivered")

// Reasons inside a transaction for taking another way.
var (
	errDeviceGone = errors.New("the device was revoked in the meantime")
)
