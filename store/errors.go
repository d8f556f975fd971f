package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"
)

// What a broken constraint means to a caller.
var (
	ErrUsernameTaken  = errors.New("the username is taken")
	ErrPhoneTaken     = errors.New("the phone number has an account")
	ErrOperatorExists = errors.New("an operator of that name exists")
	ErrOperatorName   = errors.New("an operator's name is 1 to 63 of a-z, 0-9, '.', '_', '@' and '-', and begins with a letter or digit")
)

// constraints names the error of each constraint whose breaking is no defect of
// ours. Any other stays the driver's error and ends as an internal one.
var constraints = map[string]error{
	"users_username_key":     ErrUsernameTaken,
	"users_phone_number_key": ErrPhoneTaken,
	"operators_name_key":     ErrOperatorExists,
	"operators_name_form":    ErrOperatorName,
}

// ErrOutcomeUnknown says that a transaction may or may not have been committed.
var ErrOutcomeUnknown = errors.New("whether the transaction was committed is not known")

// translate puts the sentinel of a broken constraint in front of the driver's
// error.
func translate(err error) error {
	var pg *pgconn.PgError
	if err == nil || !errors.As(err, &pg) || pg.ConstraintName == "" {
		return err
	}
	sentinel, ok := constraints[pg.ConstraintName]
	if !ok || errors.Is(err, sentinel) {
		return err
	}
	return fmt.Errorf("%w: %w", sentinel, err)
}

// SQLSTATEs that the store decides by.
const (
	codeUniqueViolation      = "23505"
	codeReadOnly             = "25006"
	codeSerializationFailure = "40001"
	codeStatementUnknown     = "40003"
	codeDeadlock             = "40P01"
	codeUndefinedTable       = "42P01"
	codeUndefinedObject      = "42704"
	codeInvalidParameter     = "22023"
	codeInsufficientRight    = "42501"
	codeLockNotAvailable     = "55P03"
	codeAdminShutdown        = "57P01"
	codeCrashShutdown        = "57P02"
	codeCannotConnectNow     = "57P03"
	codeWarning              = "01000"
	codeNotInRepertoire      = "22021"
	codeUntranslatable       = "22P05"
	codeInternal             = "XX000"
)

func isCode(err error, codes ...string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && slices.Contains(codes, pg.Code)
}

// IsUnstorable says that err is of a text, or of one in JSON, that PostgreSQL can't
// store: it has a NUL in it. Nothing was executed.
func IsUnstorable(err error) bool { return isCode(err, codeNotInRepertoire, codeUntranslatable) }

// IsUnavailable says that err comes from a database that could not be reached,
// is starting or stopping, takes no more connections or no writes, whose server
// lacks room, memory or a working disk (classes 53 and 58), or that ended a statement
// because of others, as a standby does with those that hold up what it replays: nothing
// is wrong with the request, and it may work a moment later. Whether it had an effect is
// another question: see ErrOutcomeUnknown. A caller's own cancelled or expired context is
// not unavailability.
func IsUnavailable(err error) bool {
	if err == nil {
		return false
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return slices.ContainsFunc([]string{"08", "53", "58"}, func(class string) bool { return strings.HasPrefix(pg.Code, class) }) ||
			isCode(err, codeReadOnly, codeSerializationFailure, codeDeadlock, codeAdminShutdown, codeCrashShutdown, codeCannotConnectNow)
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		return !errors.Is(err, context.Canceled)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var network *net.OpError
	return errors.As(err, &network) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, puddle.ErrClosedPool) ||
		pgconn.SafeToRetry(err)
}
