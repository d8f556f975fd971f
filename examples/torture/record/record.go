// Package record keeps what clients asked for, what they were answered and what they
// were told, in the order in which they learned of it. It judges nothing: that is the
// oracle's.
//
// An operation is something that somebody wants done once, under one idempotency
// key. It is tried until its outcome is known, so it has one or more attempts. What
// its caller knows in the end is the operation's outcome; what each attempt brought
// is kept beside it, since that is what users notice.
package record

import (
	"encoding/json"
	"io"
	"slices"
	"sync"
	"time"
)

// Kind says what an operation is.
type Kind string

// The kinds of operations.
const (
	Transfer Kind = "transfer" // from one person to another
	Payment  Kind = "payment"  // of a checkout, by a person to a merchant
	Sale     Kind = "sale"     // a checkout, made at a terminal
	Read     Kind = "read"     // of a balance
	SignIn   Kind = "sign-in"
	Register Kind = "register" // asked for once
)

// Outcome is what the client knows of an operation, or learned from an attempt.
type Outcome string

// The outcomes.
const (
	// Open is an operation whose outcome isn't known: it may still happen.
	Open Outcome = "open"
	// Done was executed and acknowledged.
	Done Outcome = "done"
	// Refused was decided against, as for want of funds. Nothing moved.
	Refused Outcome = "refused"
	// Failed is an attempt that surely had no effect: the next may.
	Failed Outcome = "failed"
	// Unknown is an attempt that may have been executed.
	Unknown Outcome = "unknown"
)

// Answer is what came back.
type Answer struct {
	Outcome Outcome
	// Reason is why, unless it is Done.
	Reason string `json:",omitempty"`
	// Transaction and Balance are of transfers and payments: the transaction, and
	// what the payer then had, in cents. Balance is also what was read.
	Transaction string `json:",omitempty"`
	Balance     int64  `json:",omitempty"`
	// Checkout is that which a sale made.
	Checkout string `json:",omitempty"`
}

// Attempt is one call. Its times count from the recorder's beginning.
type Attempt struct {
	Begin, End time.Duration
	Answer
}

// Operation is something that somebody wants done once.
type Operation struct {
	ID   int
	Kind Kind
	// From pays, reads, sells or signs in, and To is paid: people and merchants by
	// their name. Group is that of closed groups, -1 for others.
	From, To string `json:",omitempty"`
	Group    int
	// Cents is how much.
	Cents int64 `json:",omitempty"`
	// Key is the idempotency key; empty if the SDK makes one up. Mark is in the note
	// of what it moves.
	Key, Mark string `json:",omitempty"`
	// Checkout is what is paid.
	Checkout string `json:",omitempty"`

	// Call and Return are when it began and when its outcome was known.
	Call, Return time.Duration
	Answer       Answer
	Attempts     []Attempt
	// Again are the answers to asking again with the same key on purpose.
	Again []Answer `json:",omitempty"`
}

// Event is what a stream told.
type Event struct {
	At time.Duration
	// Snapshot says that it is the balance from which changes count.
	Snapshot bool `json:",omitempty"`
	// Transaction changed the balance by Cents, to Balance.
	Transaction    string `json:",omitempty"`
	Cents, Balance int64
	// Checkout is in State, or happened to be told as such to a terminal. Mark is what
	// the sale that it was made for has put into it.
	Checkout, State, Mark string `json:",omitempty"`
}

// Recorder keeps it all in memory. It is safe for concurrent use.
type Recorder struct {
	begun time.Time

	mu         sync.Mutex
	operations []*Operation
	streams    map[string][]Event
}

// New returns an empty recorder, whose time begins now.
func New() *Recorder {
	return &Recorder{begun: time.Now(), streams: make(map[string][]Event)}
}

// Now is the time since the beginning.
func (r *Recorder) Now() time.Duration { return time.Since(r.begun) }

// Begin notes an operation, before its first attempt, and numbers it.
func (r *Recorder) Begin(o *Operation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o.ID, o.Call, o.Answer.Outcome = len(r.operations), r.Now(), Open
	r.operations = append(r.operations, o)
}

// Tried notes an attempt.
func (r *Recorder) Tried(o *Operation, begin time.Duration, a Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o.Attempts = append(o.Attempts, Attempt{Begin: begin, End: r.Now(), Answer: a})
}

// Ended notes an operation's outcome.
func (r *Recorder) Ended(o *Operation, a Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o.Return, o.Answer = r.Now(), a
}

// Asked notes the answer to a request that was sent again on purpose.
func (r *Recorder) Asked(o *Operation, a Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o.Again = append(o.Again, a)
}

// Told notes an event of a stream.
func (r *Recorder) Told(stream string, e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.At = r.Now()
	r.streams[stream] = append(r.streams[stream], e)
}

// Operations returns copies of all operations, oldest first.
func (r *Recorder) Operations() []Operation {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]Operation, len(r.operations))
	for i, o := range r.operations {
		list[i] = *o
		list[i].Attempts, list[i].Again = slices.Clone(o.Attempts), slices.Clone(o.Again)
	}
	return list
}

// Stream returns a stream's events.
func (r *Recorder) Stream(name string) []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Event(nil), r.streams[name]...)
}

// Last returns the last event of a stream.
func (r *Recorder) Last(name string) (Event, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	events := r.streams[name]
	if len(events) == 0 {
		return Event{}, false
	}
	return events[len(events)-1], true
}

// Write writes everything as JSON, a line each.
func (r *Recorder) Write(w io.Writer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := json.NewEncoder(w)
	for _, o := range r.operations {
		if err := out.Encode(o); err != nil {
			return err
		}
	}
	for name, events := range r.streams {
		for _, e := range events {
			if err := out.Encode(struct {
				Stream string
				Event
			}{name, e}); err != nil {
				return err
			}
		}
	}
	return nil
}
