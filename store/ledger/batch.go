package ledger

import (
	"crypto/rand"
	"encoding/binary"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/tillbook/tillbook/store/audit"
	"github.com/tillbook/tillbook/store/id"
)

// batch is the state of the books that the commands of one database
// transaction see and change: a pure machine between two round trips.
type batch struct {
	locked   []lockedAccount // in the order of their ids
	accounts map[AccountID]*lockedAccount
	keys     map[Key]executedKey // executed before or by this batch
	holds    map[uuid.UUID]Hold
	refunded map[uuid.UUID]Amount // by original
	resolved map[uuid.UUID]ResolvedError
	rules    *rules // nil where there are none
	now      time.Time
	ids      idSequence

	// What the batch executes, in order.
	made        []made
	operations  []operation
	refunds     []refundRow
	metered     []meteredRow
	resolutions []ResolvedError
	audits      []audit.Record
	events      []Event
}

// lockedAccount is an account whose row is locked. Its CreateTime isn't read.
type lockedAccount struct {
	Account
	place      pgtype.TID // where the row is
	tier       int16
	receivable AccountID // what the owner owes; 0 if there never was a debt
	meter      meter
	changed    bool // what every entry changes
	more       bool // something beside that: held, receivable or counters
}

// made is a transaction that the batch makes, and for whom.
type made struct {
	Transaction
	key         Key
	fingerprint [32]byte
	call        *call // nil for what follows from another transaction
	item        int
}

// executedKey is what is known of a key that was executed: what it made.
type executedKey struct {
	fingerprint [32]byte
	transaction uuid.UUID // zero if it only changed a hold
	hold        uuid.UUID // zero if not known from the key
	position    int32     // of the hold's operation
}

func (e *executedKey) is(other executedKey) bool {
	return e.transaction == other.transaction && e.hold == other.hold && e.position == other.position
}

// refundRow is a row of the table of this name.
type refundRow struct {
	transaction, original uuid.UUID
	amount                Amount
	outgoing, incoming    time.Time
	number                int16
}

// newBatch starts from the locked accounts and the keys that were found. now is
// the database's clock; the batch's time lies behind the last entry of every
// account that it may touch, so that times increase along versions whatever the
// clock does.
func newBatch(locked []lockedAccount, keys map[Key]executedKey, now time.Time) *batch {
	b := &batch{locked: locked, accounts: make(map[AccountID]*lockedAccount, len(locked)), keys: keys, now: now}
	for i := range locked {
		a := &locked[i]
		b.accounts[a.ID] = a
		if !b.now.After(a.LastTime) {
			b.now = a.LastTime.Add(time.Microsecond)
		}
	}
	b.ids = newIDSequence(b.now)
	return b
}

// empty tells whether there is nothing to write.
func (b *batch) empty() bool { return len(b.made) == 0 && len(b.operations) == 0 }

// savepoint is what commands that are executed together or not at all go back to.
type savepoint struct {
	accounts                    []lockedAccount
	keys                        []Key
	holds                       map[uuid.UUID]Hold
	refunded                    map[uuid.UUID]Amount
	subjects                    []uuid.UUID
	made, operations, refunds   int
	metered                     int
	resolutions, audits, events int
	ids                         idSequence
}

func (b *batch) save(items []item) *savepoint {
	s := &savepoint{
		holds: make(map[uuid.UUID]Hold), refunded: make(map[uuid.UUID]Amount),
		made: len(b.made), operations: len(b.operations), refunds: len(b.refunds),
		metered:     len(b.metered),
		resolutions: len(b.resolutions), audits: len(b.audits), events: len(b.events), ids: b.ids,
	}
	var named []AccountID
	for i := range items {
		c := &items[i].command
		named = append(append(named, c.Accounts...), items[i].extra...)
		if _, ok := b.keys[c.Key]; !ok {
			s.keys = append(s.keys, c.Key)
		}
		if h, ok := b.holds[c.Hold]; ok {
			s.holds[c.Hold] = h
		}
		s.refunded[c.Original] = b.refunded[c.Original]
		for _, subject := range c.Subjects {
			if _, ok := b.resolved[subject]; !ok {
				s.subjects = append(s.subjects, subject)
			}
		}
	}
	for _, account := range named { // what it can repay
		if a := b.accounts[account]; a != nil && b.accounts[a.receivable] != nil {
			named = append(named, a.receivable)
		}
	}
	slices.Sort(named)
	for _, account := range slices.Compact(named) {
		if a := b.accounts[account]; a != nil {
			s.accounts = append(s.accounts, *a)
		}
	}
	return s
}

func (b *batch) rollback(s *savepoint) {
	for i := range s.accounts {
		*b.accounts[s.accounts[i].ID] = s.accounts[i]
	}
	for _, key := range s.keys {
		delete(b.keys, key)
	}
	for i := s.made; i < len(b.made); i++ {
		delete(b.keys, b.made[i].key) // of what followed from another transaction
	}
	for i := s.operations; i < len(b.operations); i++ {
		delete(b.holds, b.operations[i].hold.ID)
	}
	for id, h := range s.holds {
		b.holds[id] = h
	}
	for id, amount := range s.refunded {
		b.setRefunded(id, amount)
	}
	for _, subject := range s.subjects {
		delete(b.resolved, subject)
	}
	b.made, b.operations, b.refunds = b.made[:s.made], b.operations[:s.operations], b.refunds[:s.refunds]
	b.metered = b.metered[:s.metered]
	b.resolutions, b.audits, b.events = b.resolutions[:s.resolutions], b.audits[:s.audits], b.events[:s.events]
	b.ids = s.ids
}

// markLost notes on the commands what they may have made.
func (b *batch) markLost() {
	for i := range b.made {
		if m := &b.made[i]; m.call != nil {
			it := &m.call.items[m.item]
			it.maybeExecuted, it.attempted = true, executedKey{transaction: m.ID}
		}
	}
	for i := range b.operations {
		if op := &b.operations[i]; op.at < 0 {
			it := &op.call.items[op.item]
			it.maybeExecuted, it.attempted = true, executedKey{hold: op.hold.ID, position: op.hold.operations}
		}
	}
}

func (b *batch) setRefunded(original uuid.UUID, amount Amount) {
	if b.refunded == nil {
		b.refunded = make(map[uuid.UUID]Amount)
	}
	b.refunded[original] = amount
}

// idSequence hands out the consecutive ids of one batch: they share time and a
// random tag of 48 bits, so that no other batch's ids lie between them.
type idSequence struct {
	ms   int64
	tag  uint16 // 14 bits
	tail uint64 // 34 random bits, then the 16-bit position
}

func newIDSequence(now time.Time) idSequence {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails; it aborts the process instead
	bits := binary.BigEndian.Uint64(random[:])
	return idSequence{ms: now.UnixMilli(), tag: uint16(bits >> 50), tail: bits & (1<<34 - 1) << 16}
}

func (s *idSequence) next() uuid.UUID {
	u := id.Compose(s.ms, s.tag, s.tail)
	s.tail++
	return u
}
