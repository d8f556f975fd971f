package ledger

import (
	"fmt"
	"slices"
	"time"
)

// change is a decision that was checked, ready to be applied.
type change struct {
	entries   []Entry
	time      time.Time  // of the entries
	operation *operation // nil unless a hold changes
	held      Amount     // what the hold's account has held after it
	counted   []countedUsage
	metered   *meteredRow // nil if nothing was
}

func (ch *change) hasEntry(account AccountID) bool {
	return slices.ContainsFunc(ch.entries, func(e Entry) bool { return e.Account == account })
}

// check works out what a draft leads to, without changing anything. It holds
// what must be true of every transaction: at least two postings, none zero, each
// in an account of its own that the command named, balanced per asset, in range,
// no account taken below its floor, and no limit passed.
func (b *batch) check(c *Command, d *Draft) (*change, error) {
	if len(c.Subjects) > 0 && d.Outcome == 0 {
		return nil, fmt.Errorf("%s is brought to its end without an outcome", c.Subjects[0])
	}
	ch := &change{time: b.now, entries: make([]Entry, len(d.Postings))}
	v := View{batch: b, command: c}
	if d.Hold != nil {
		if err := b.checkHold(v, d.Hold, ch); err != nil {
			return nil, err
		}
	} else if len(d.Postings) < 2 {
		return nil, fmt.Errorf("%w: %d postings", ErrUnbalanced, len(d.Postings))
	}
	if len(d.Postings) == 1 || len(d.Postings) > MaxPostings {
		return nil, fmt.Errorf("%w: %d postings", ErrUnbalanced, len(d.Postings))
	}
	for i, p := range d.Postings {
		a := v.named(p.Account)
		if a == nil {
			return nil, fmt.Errorf("posting to account %d, which the command did not name", p.Account)
		}
		if a.tier == TierClosed {
			return nil, fmt.Errorf("%w: %s", ErrAccountClosed, a.Code)
		}
		for _, e := range ch.entries[:i] {
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
		ch.entries[i] = Entry{
			Account: a.ID, Code: a.Code, Asset: a.Asset,
			Version: a.Version + 1, Amount: p.Amount, Balance: after,
		}
	}
	if err := checkBalanced(ch.entries); err != nil {
		return nil, err
	}
	if err := b.checkFloors(ch); err != nil {
		return nil, err
	}
	if c.Kind == KindImport {
		if err := b.backdate(c, ch); err != nil {
			return nil, err
		}
	}
	return ch, b.checkLimits(c, d, ch)
}

// checkHold works out what a change of a hold does to its account.
func (b *batch) checkHold(v View, h *HoldChange, ch *change) error {
	a := v.named(h.After.Account)
	if a == nil || h.After.ID != v.command.Hold {
		return fmt.Errorf("changing hold %s, which the command did not name", h.After.ID)
	}
	if a.tier == TierClosed && (h.Operation == HoldCreate || h.Operation == HoldIncrease) {
		return fmt.Errorf("%w: %s", ErrAccountClosed, a.Code)
	}
	before := b.holds[h.After.ID]
	op := &operation{hold: h.After, kind: h.Operation}
	op.hold.operations = before.operations + 1
	var err error
	if op.heldChange, err = h.After.Remaining().Sub(before.Remaining()); err != nil {
		return err
	}
	if ch.held, err = a.Held.Add(op.heldChange); err != nil {
		return err
	}
	if op.counted, err = countHold(h.Operation, &before, &h.After, b.now); err != nil {
		return err
	}
	ch.operation = op
	return nil
}

// checkFloors refuses what takes an account below its floor.
func (b *batch) checkFloors(ch *change) error {
	holder := AccountID(0)
	if ch.operation != nil {
		holder = ch.operation.hold.Account
	}
	posted := false
	for i := range ch.entries {
		e := &ch.entries[i]
		a := b.accounts[e.Account]
		held, more := a.Held, false
		if e.Account == holder {
			posted, held, more = true, ch.held, ch.operation.heldChange.Sign() > 0
		}
		if (e.Amount.Sign() < 0 || more) && below(a, e.Balance, held) {
			return ErrInsufficientFunds
		}
	}
	if holder != 0 && !posted && ch.operation.heldChange.Sign() > 0 {
		if a := b.accounts[holder]; below(a, a.Balance, ch.held) {
			return ErrInsufficientFunds
		}
	}
	return nil
}

func below(a *lockedAccount, balance, held Amount) bool {
	if a.Floor == nil {
		return false
	}
	available, err := balance.Sub(held)
	return err != nil || available.Cmp(*a.Floor) < 0
}

// backdateSlack is by how much an import's time may be moved on, so that
// transactions which another system noted at one and the same second can follow
// each other.
const backdateSlack = time.Second

// backdate gives an import its own time: behind the last entry of each account.
func (b *batch) backdate(c *Command, ch *change) error {
	at := c.Time.Truncate(time.Microsecond)
	for i := range ch.entries {
		if last := b.accounts[ch.entries[i].Account].LastTime; !at.After(last) {
			at = last.Add(time.Microsecond)
		}
	}
	if at.Sub(c.Time) > backdateSlack || !at.Before(b.now) {
		return ErrImportTime
	}
	ch.time = at
	return nil
}

// checkLimits counts what the change moves and refuses what passes a limit.
func (b *batch) checkLimits(c *Command, d *Draft, ch *change) error {
	if !c.Counted && d.Refund == nil {
		return nil
	}
	for i := range ch.entries {
		e := &ch.entries[i]
		if err := b.countAccount(b.accounts[e.Account], e.Balance, c, d, ch); err != nil {
			return err
		}
	}
	if d.Refund != nil {
		for i := range d.Refund.original.Entries { // who has nothing left, or doesn't pay, has no entry
			account := d.Refund.original.Entries[i].Account
			if ch.hasEntry(account) {
				continue
			}
			a := b.accounts[account]
			if err := b.countAccount(a, a.Balance, c, d, ch); err != nil {
				return err
			}
		}
		if err := b.giveBackMeter(d.Refund, ch); err != nil {
			return err
		}
	}
	if err := b.checkMeter(c, d, ch); err != nil {
		return err
	}
	if ch.operation != nil && len(ch.entries) == 0 {
		a := b.accounts[ch.operation.hold.Account]
		return b.countAccount(a, a.Balance, c, d, ch)
	}
	return nil
}

func (b *batch) countAccount(a *lockedAccount, balance Amount, c *Command, d *Draft, ch *change) error {
	if !limited(a.Code) {
		return nil
	}
	var charges [3]charge // a posting, a hold, a refund
	list := charges[:0]
	if c.Counted {
		list = b.movements(list, a, ch)
	}
	if d.Refund != nil {
		list = d.Refund.givesBack(list, a.ID)
	}
	if len(list) == 0 {
		return nil
	}
	u, err := b.count(a, list, balance)
	if err != nil || u == nil {
		return err
	}
	ch.counted = append(ch.counted, *u)
	return nil
}

// movements are what a change moves in an account. What leaves by a capture has
// been counted when it was held.
func (b *batch) movements(list []charge, a *lockedAccount, ch *change) []charge {
	held := ch.operation != nil && ch.operation.hold.Account == a.ID
	if held {
		list = append(list, ch.operation.counted)
	}
	for i := range ch.entries {
		e := &ch.entries[i]
		switch {
		case e.Account != a.ID:
		case e.Amount.Sign() > 0:
			list = append(list, charge{direction: Incoming, amount: e.Amount, number: 1, at: b.now})
		case !held:
			list = append(list, charge{direction: Outgoing, amount: e.Amount.Neg(), number: 1, at: b.now})
		}
	}
	return list
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
