package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"

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
)

// MaxPostings is the most postings that a transaction can have.
const MaxPostings = 100

// Key is the identity of a request: whoever commits the same key twice gets
// the first result. It is a hash over a scope (who calls) and the caller's key.
type Key uuid.UUID

// NewKey returns the key that a caller within a scope calls key.
func NewKey(scope, key string) Key {
	sum := Fingerprint(scope, key)
	return Key(sum[:16])
}

// Fingerprint returns SHA-256 over parts, each preceded by its length, so that
// no two lists of parts have the same bytes.
func Fingerprint(parts ...string) [32]byte {
	size := 0
	for _, p := range parts {
		size += 8 + len(p)
	}
	buf := make([]byte, 0, size)
	for _, p := range parts {
		buf = binary.BigEndian.AppendUint64(buf, uint64(len(p)))
		buf = append(buf, p...)
	}
	return sha256.Sum256(buf)
}

// Command is one change to the books.
type Command struct {
	// Key makes the command execute at most once.
	Key Key
	// Fingerprint is of the request that Key stands for.
	Fingerprint [32]byte
	// Kind is stored with the transaction.
	Kind Kind
	// Accounts names every account that Decide may look at or post to. Their
	// rows are locked, in the order of their ids.
	Accounts []AccountID
	// Decide returns the postings, or an error that refuses the command and
	// that Commit then returns as it is. It must be pure: it sees only the
	// locked rows, and it may be called more than once.
	Decide func(View) (Draft, error)
}

// Draft is what a command decided to post. The committer checks that it
// balances and that no account falls below its floor.
type Draft struct {
	Postings []Posting
	Note     string
	Details  json.RawMessage
}

// Result is what became of a command.
type Result struct {
	Transaction Transaction
	// Replayed is true if the key had been executed by an earlier command,
	// whose transaction this is.
	Replayed bool
}

// View shows a command the rows that it named, as the commands before it in
// the same batch left them.
type View struct {
	batch    *batch
	accounts []AccountID
}

// Account returns one of the accounts that the command named. Asking for
// another one is a mistake in the program and panics.
func (v View) Account(id AccountID) Account {
	if a := v.named(id); a != nil {
		return a.Account
	}
	panic("ledger: a command looked at an account that it did not name")
}

// Transfer returns the decision to move amount from one account to another.
func Transfer(from, to AccountID, amount Amount, note string) func(View) (Draft, error) {
	return func(View) (Draft, error) {
		return Draft{
			Postings: []Posting{{from, amount.Neg()}, {to, amount}},
			Note:     note,
		}, nil
	}
}
