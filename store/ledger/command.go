package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/store/audit"
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

// Identity is what makes a request execute at most once: its key, and the
// fingerprint of what it asks for.
type Identity struct {
	Key         Key
	Fingerprint [32]byte
}

// Command is one change to the books.
type Command struct {
	// Key makes the command execute at most once.
	Key Key
	// Fingerprint is of the request that Key stands for.
	Fingerprint [32]byte
	// Kind is stored with the transaction. KindImport wants a Time.
	Kind Kind
	// Accounts names every account that Decide may look at or post to. Their
	// rows are locked, in the order of their ids.
	Accounts []AccountID
	// Counted is true if the postings count against the limits of the accounts
	// and are refused with a LimitError past them.
	Counted bool
	// Meter is the owner of what the money goes past, such as "terminal/trm_…", whose
	// limits count what the first posting moves, if the command is Counted, and refuse
	// it with a LimitError; empty for none.
	Meter string
	// Hold is the hold that Decide may look at or change; zero for none. Its
	// account must be one of Accounts, whose locks order what is done to it.
	Hold uuid.UUID
	// Original is the transaction that Decide gives back; zero for none. All of
	// its accounts must be among Accounts.
	Original uuid.UUID
	// Subjects are what the command brings to their end, each once: a request for
	// money, a checkout, a code that pays once. If one has ended before, the command
	// fails with a ResolvedError.
	Subjects []uuid.UUID
	// Deadline is from when on the command is refused with ErrExpired, by the
	// database's clock; zero for never.
	Deadline time.Time
	// Time is when an import happened.
	Time time.Time
	// Decide returns the postings, or an error that refuses the command and
	// that Commit then returns as it is. It must be pure: it sees only the
	// locked rows, and it may be called more than once.
	Decide func(View) (Draft, error)
}

// Draft is what a command decided. The committer checks that the postings
// balance and that no account falls below its floor.
type Draft struct {
	// Postings may be left out only if a hold is changed.
	Postings []Posting
	Note     string
	Details  json.RawMessage
	// Hold is what is done to the command's hold; nil for nothing.
	Hold *HoldChange
	// Refund says that the transaction gives back Command.Original; nil if not.
	Refund *RefundPart
	// Outcome is how Command.Subjects ended; not zero if there are any.
	Outcome Outcome
	// Events are told in the same commit to those who follow their subjects.
	Events []Event
	// Audit is recorded in the same commit; nil for nothing.
	Audit *audit.Record
}

// Event is something that those who follow a subject, such as a merchant, are told.
type Event struct {
	Type    string // such as "checkout.succeeded"
	Subject string // such as "merchant/mer_…"; never empty
	Payload json.RawMessage
}

// Outcome says how something ended that can end once. What the numbers mean is
// up to whoever uses them; they are stored.
type Outcome int16

// Result is what became of a command.
type Result struct {
	// Transaction is zero if the command only changed a hold.
	Transaction Transaction
	// Hold is the command's hold right after it; zero if it changed none.
	Hold Hold
	// Replayed is true if the key had been executed by an earlier command,
	// whose result this is.
	Replayed bool
}

// View shows a command the rows that it named, as the commands before it in
// the same batch left them.
type View struct {
	batch   *batch
	command *Command
}

// Now is the batch's time, which transactions made in it carry.
func (v View) Now() time.Time { return v.batch.now }

// Hold returns the hold that the command named, or false if there is none yet.
func (v View) Hold() (Hold, bool) {
	h, ok := v.batch.holds[v.command.Hold]
	return h, ok
}

// Refunded returns what was given back of Command.Original so far.
func (v View) Refunded() Amount { return v.batch.refunded[v.command.Original] }

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
