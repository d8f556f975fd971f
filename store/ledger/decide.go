package ledger

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/tillbook/tillbook/store/id"
)

// batch is the state of the books that the commands of one database
// transaction see and change: a pure machine between two round trips.
type batch struct {
	locked   []lockedAccount // in the order of their ids
	accounts map[AccountID]*lockedAccount
	keys     map[Key]executedKey // executed before or by this batch
	now      time.Time
	ids      idSequence
	made     []Transaction // what this batch executes, in order
	calls    []*call       // whose they are
}

// lockedAccount is an account whose row is locked. Its CreateTime isn't read.
type lockedAccount struct {
	Account
	place   pgtype.TID // where the row is
	changed bool
}

// executedKey is what is known of a key that was executed.
type executedKey struct {
	transaction uuid.UUID
	fingerprint [32]byte
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

// verdict is what a batch decided about a command.
type verdict struct {
	err    error     // a refusal, or nil
	replay uuid.UUID // the transaction that executed the key before, or zero
	made   int       // otherwise: the index into batch.made
}

func (v verdict) isReplay() bool { return v.replay != uuid.Nil }

// divide parts the calls all of whose accounts are locked from the others, on
// which it notes what they lack.
func (b *batch) divide(calls []*call) (ready, stuck []*call) {
	for _, c := range calls {
		i := slices.IndexFunc(c.command.Accounts, func(a AccountID) bool { return b.accounts[a] == nil })
		if i < 0 {
			ready = append(ready, c)
			continue
		}
		c.lacks = c.command.Accounts[i]
		stuck = append(stuck, c)
	}
	return ready, stuck
}

// decideAll runs the commands in turn. With their accounts locked and the keys
// read, it is settled what a lost commit did: a call may have been executed
// only if its key was found.
func (b *batch) decideAll(calls []*call) []verdict {
	verdicts := make([]verdict, len(calls))
	for i, c := range calls {
		v := b.decide(&c.command)
		c.maybeExecuted = v.isReplay()
		if v.err == nil && !v.isReplay() {
			b.calls = append(b.calls, c)
		}
		verdicts[i] = v
	}
	return verdicts
}

// decide runs one command against the state that those before it left.
func (b *batch) decide(c *Command) verdict {
	if done, ok := b.keys[c.Key]; ok {
		if done.fingerprint != c.Fingerprint {
			return verdict{err: ErrKeyReused}
		}
		return verdict{replay: done.transaction}
	}
	for _, a := range c.Accounts {
		if b.accounts[a] == nil {
			return verdict{err: fmt.Errorf("%w: number %d", ErrAccountNotFound, a)}
		}
	}
	draft, err := callDecide(c, View{batch: b, accounts: c.Accounts})
	if err != nil {
		return verdict{err: err}
	}
	entries, err := b.check(c, draft.Postings)
	if err != nil {
		return verdict{err: err}
	}
	if err := checkText(&draft); err != nil {
		return verdict{err: err}
	}
	b.apply(entries)
	t := Transaction{
		ID: b.ids.next(), Kind: c.Kind, CreateTime: b.now,
		Note: draft.Note, Details: draft.Details, Entries: entries,
	}
	b.keys[c.Key] = executedKey{transaction: t.ID, fingerprint: c.Fingerprint}
	b.made = append(b.made, t)
	return verdict{made: len(b.made) - 1}
}

// callDecide keeps a panicking command from taking its neighbours with it.
func callDecide(c *Command, v View) (d Draft, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("deciding a command panicked: %v", r)
		}
	}()
	return c.Decide(v)
}

// check turns postings into entries without changing anything. It holds what
// must be true of every transaction: at least two postings, none zero, each in
// an account of its own that the command named, balanced per asset, in range,
// and no account taken below its floor.
func (b *batch) check(c *Command, postings []Posting) ([]Entry, error) {
	if len(postings) < 2 || len(postings) > MaxPostings {
		return nil, fmt.Errorf("%w: %d postings", ErrUnbalanced, len(postings))
	}
	entries := make([]Entry, len(postings))
	for i, p := range postings {
		a := View{batch: b, accounts: c.Accounts}.named(p.Account)
		if a == nil {
			return nil, fmt.Errorf("posting to account %d, which the command did not name", p.Account)
		}
		for _, e := range entries[:i] {
			if e.Account == p.Account {
				return nil, fmt.Errorf("%w: %s appears twice", ErrUnbalanced, a.Code)
			}
		}
		if p.Amount.IsZero() {
			return nil, fmt.Errorf("%w: zero amount for %s", ErrUnbalanced, a.Code)
		}
		after, err := a.Balance.Add(p.Amount)
		if err != nil {
			return nil, err
		}
		if p.Amount.Sign() < 0 && a.Floor != nil {
			available, err := after.Sub(a.Held)
			if err != nil || available.Cmp(*a.Floor) < 0 {
				return nil, ErrInsufficientFunds
			}
		}
		entries[i] = Entry{
			Account: a.ID, Code: a.Code, Asset: a.Asset,
			Version: a.Version + 1, Amount: p.Amount, Balance: after,
		}
	}
	return entries, checkBalanced(entries)
}

// checkBalanced tells whether entries sum to zero for each asset.
func checkBalanced(entries []Entry) error {
	for i, e := range entries {
		first, sum := true, Amount{}
		for j, other := range entries {
			if other.Asset != e.Asset {
				continue
			}
			first = first && j >= i
			var err error
			if sum, err = sum.Add(other.Amount); err != nil {
				return err
			}
		}
		if first && !sum.IsZero() {
			return fmt.Errorf("%w: off by %s", ErrUnbalanced, sum)
		}
	}
	return nil
}

func (b *batch) apply(entries []Entry) {
	for _, e := range entries {
		a := b.accounts[e.Account]
		a.Balance, a.Version, a.LastTime, a.changed = e.Balance, e.Version, b.now, true
	}
}

// named returns a locked account if the command named it.
func (v View) named(account AccountID) *lockedAccount {
	for _, named := range v.accounts {
		if named == account {
			return v.batch.accounts[account]
		}
	}
	return nil
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
