package ledger

import (
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// Errors that Commit returns. Unless it is ErrOutcomeUnknown, this command moved
// nothing. What an earlier one with the same key did is known only to those errors
// that come from the books: a refusal by Decide or for funds, and ErrKeyReused. An
// outcome that was unknown stays so after ErrUnavailable, ErrOverloaded, ErrClosed
// and the errors of contexts.
var (
	// ErrInsufficientFunds says that an account would fall below its floor.
	ErrInsufficientFunds = errors.New("insufficient funds")
	// ErrKeyReused says that the key was used for another request.
	ErrKeyReused = errors.New("idempotency key was used for a different request")
	// ErrUnbalanced says that postings don't sum to zero for each asset, are
	// fewer than two, zero, or name an account twice.
	ErrUnbalanced = errors.New("postings do not balance")
	// ErrInvalidText says that the note or the details of a transaction can't be
	// stored: they are not UTF-8, hold a NUL, or the details are not JSON.
	ErrInvalidText = errors.New("text cannot be stored")
	// ErrOverloaded says that the queue is full.
	ErrOverloaded = errors.New("the ledger's queue is full")
	// ErrOutcomeUnknown says that the command may or may not have been
	// executed. Committing it again with the same key settles it.
	ErrOutcomeUnknown = errors.New("it is not known whether the command was executed")
	// ErrClosed says that the ledger is shutting down.
	ErrClosed = errors.New("the ledger is closed")
	// ErrUnavailable says that the database could not be reached or would not
	// commit; nothing was executed.
	ErrUnavailable = errors.New("the ledger's database is unavailable")
	// ErrExpired says that a command came at or after its Deadline.
	ErrExpired = errors.New("the deadline of the command has passed")
	// ErrResolved says that what a command was to bring to an end has ended
	// before; see ResolvedError.
	ErrResolved = errors.New("already resolved")
	// ErrImportTime says that an import lies in the future, or more than a second
	// before the newest entry of one of its accounts.
	ErrImportTime = errors.New("imports must be of the past and in the order of time")
)

// ResolvedError says how one of the command's Subjects ended before. It is
// ErrResolved.
type ResolvedError struct {
	Subject uuid.UUID
	Outcome Outcome
	// Transaction is what it ended with; zero if with none.
	Transaction uuid.UUID
}

func (e *ResolvedError) Error() string { return ErrResolved.Error() }

// Is makes a ResolvedError an ErrResolved.
func (e *ResolvedError) Is(target error) bool { return target == ErrResolved }

// ItemError says which of several commands stopped them all.
type ItemError struct {
	Index int
	Err   error
}

func (e *ItemError) Error() string { return fmt.Sprintf("item %d: %v", e.Index, e.Err) }

// Unwrap returns what is wrong with the item.
func (e *ItemError) Unwrap() error { return e.Err }
