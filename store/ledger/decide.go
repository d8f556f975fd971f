package ledger

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// verdict is what a batch decided about a command.
type verdict struct {
	err       error       // a refusal, or nil
	lacks     AccountID   // an account that has to be locked as well; 0 for none
	replayed  bool        // the key was executed before
	replay    executedKey // by this
	made      int         // otherwise: the index into batch.made, or -1
	operation int         // and that into batch.operations, or -1
}

// divide parts the calls all of whose accounts are locked from the others, on
// which it notes what they lack.
func (b *batch) divide(calls []*call) (ready, stuck []*call) {
	for _, c := range calls {
		if c.lacks = b.lacks(c); c.lacks == 0 {
			ready = append(ready, c)
		} else {
			stuck = append(stuck, c)
		}
	}
	return ready, stuck
}

// lacks returns an account of a call that isn't locked, or 0.
func (b *batch) lacks(c *call) AccountID {
	for i := range c.items {
		for _, list := range [2][]AccountID{c.items[i].command.Accounts, c.items[i].extra} {
			for _, a := range list {
				if b.accounts[a] == nil {
					return a
				}
			}
		}
	}
	return 0
}

// decideAll runs the calls in turn. With their accounts locked and the keys read,
// it is settled what a lost commit did: a command may have been executed only if
// its key was found. It returns those that need an account that isn't locked yet.
func (b *batch) decideAll(calls []*call) (decided, again []*call) {
	commands := 0
	for _, c := range calls {
		commands += len(c.items)
	}
	b.made = make([]made, 0, commands)
	decided = make([]*call, 0, len(calls))
	for _, c := range calls {
		if lacks := b.decideCall(c); lacks != 0 {
			c.lacks = lacks
			again = append(again, c)
			continue
		}
		decided = append(decided, c)
	}
	return decided, again
}

// decideCall decides all commands of a call, or none of them.
func (b *batch) decideCall(c *call) (lacks AccountID) {
	c.err = nil
	for i := range c.items {
		c.items[i].maybeExecuted = false
	}
	if len(c.items) == 1 {
		return b.decideItem(c, 0)
	}
	s := b.save(c.items)
	for i := range c.items {
		lacks := b.decideItem(c, i)
		v := &c.items[i].verdict
		if lacks == 0 && v.err == nil && v.replayed == c.items[0].verdict.replayed {
			continue
		}
		b.rollback(s)
		if lacks != 0 {
			return lacks
		}
		if v.err == nil { // one is new and another isn't: this isn't the same request
			v.err = ErrKeyReused
		}
		c.err = &ItemError{Index: i, Err: v.err}
		return 0
	}
	return 0
}

func (b *batch) decideItem(c *call, i int) (lacks AccountID) {
	it := &c.items[i]
	it.verdict = b.decide(&it.command)
	it.maybeExecuted = it.verdict.replayed
	if lacks := it.verdict.lacks; lacks != 0 {
		it.extra = append(it.extra, lacks)
		return lacks
	}
	if at := it.verdict.made; at >= 0 {
		b.made[at].call, b.made[at].item = c, i
	}
	if at := it.verdict.operation; at >= 0 {
		b.operations[at].call, b.operations[at].item = c, i
	}
	return 0
}

func refusal(err error) verdict { return verdict{err: err, made: -1, operation: -1} }

// decide runs one command against the state that those before it left.
func (b *batch) decide(c *Command) verdict {
	if done, ok := b.keys[c.Key]; ok {
		if done.fingerprint != c.Fingerprint {
			return refusal(ErrKeyReused)
		}
		return verdict{replayed: true, replay: done, made: -1, operation: -1}
	}
	for _, a := range c.Accounts {
		if b.accounts[a] == nil {
			return refusal(fmt.Errorf("%w: number %d", ErrAccountNotFound, a))
		}
	}
	for _, subject := range c.Subjects {
		if ended, ok := b.resolved[subject]; ok {
			return refusal(&ended)
		}
	}
	if !c.Deadline.IsZero() && !b.now.Before(c.Deadline) {
		return refusal(ErrExpired)
	}
	draft, err := callDecide(c, View{batch: b, command: c})
	if err != nil {
		return refusal(err)
	}
	if err := checkText(&draft); err != nil {
		return refusal(err)
	}
	if meter := b.meterOf(c, &draft); meter != 0 && b.accounts[meter] == nil {
		return verdict{lacks: meter, made: -1, operation: -1}
	}
	change, err := b.check(c, &draft)
	if err != nil {
		return refusal(err)
	}
	debts, lacks := b.debts(change.entries)
	if lacks != 0 {
		return verdict{lacks: lacks, made: -1, operation: -1}
	}
	v := b.apply(c, &draft, change)
	b.repay(debts, v)
	return v
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

// apply makes what was checked part of the batch's state.
func (b *batch) apply(c *Command, d *Draft, ch *change) verdict {
	v := verdict{made: -1, operation: -1}
	done := executedKey{fingerprint: c.Fingerprint}
	counted := c.Counted && len(ch.counted) > 0
	for _, u := range ch.counted {
		u.account.meter = meter{usage: u.usage, parsed: true, changed: true}
		u.account.more = true
	}
	if len(ch.entries) > 0 {
		t := Transaction{
			ID: b.ids.next(), Kind: c.Kind, CreateTime: ch.time, Counted: counted,
			Note: d.Note, Details: d.Details, Entries: ch.entries,
		}
		done.transaction = t.ID
		b.post(ch.entries, ch.time)
		b.made = append(b.made, made{Transaction: t, key: c.Key, fingerprint: c.Fingerprint})
		v.made = len(b.made) - 1
		if ch.metered != nil {
			ch.metered.transaction = t.ID
			b.metered = append(b.metered, *ch.metered)
		}
	}
	if ch.operation != nil {
		b.applyHold(c, ch, v.made)
		v.operation = len(b.operations) - 1
		if v.made < 0 {
			done.hold, done.position = ch.operation.hold.ID, ch.operation.hold.operations
		}
	}
	if d.Refund != nil {
		for _, link := range d.Refund.debts {
			a := b.accounts[link.account]
			a.receivable, a.more = link.receivable, true
		}
		b.applyRefund(c, d.Refund, done.transaction)
	}
	for _, subject := range c.Subjects {
		b.resolve(ResolvedError{Subject: subject, Outcome: d.Outcome, Transaction: done.transaction})
	}
	b.events = append(b.events, d.Events...)
	if d.Audit != nil {
		b.audits = append(b.audits, *d.Audit)
	}
	b.keys[c.Key] = done
	return v
}

func (b *batch) resolve(end ResolvedError) {
	if b.resolved == nil {
		b.resolved = make(map[uuid.UUID]ResolvedError)
	}
	b.resolved[end.Subject] = end
	b.resolutions = append(b.resolutions, end)
}

// post enters entries into their accounts.
func (b *batch) post(entries []Entry, at time.Time) {
	for _, e := range entries {
		a := b.accounts[e.Account]
		a.Balance, a.Version, a.LastTime, a.changed = e.Balance, e.Version, at, true
	}
}

func (b *batch) applyHold(c *Command, ch *change, made int) {
	op := *ch.operation
	op.at, op.key, op.fingerp = made, c.Key, c.Fingerprint
	a := b.accounts[op.hold.Account]
	a.Held, a.more = ch.held, true
	if b.holds == nil {
		b.holds = make(map[uuid.UUID]Hold)
	}
	b.holds[op.hold.ID] = op.hold
	b.operations = append(b.operations, op)
}

func (b *batch) applyRefund(c *Command, r *RefundPart, transaction uuid.UUID) {
	row := refundRow{
		transaction: transaction, original: c.Original, amount: r.Amount,
		outgoing: r.OutgoingTime, incoming: r.IncomingTime,
	}
	if r.Last {
		row.number = 1
	}
	sum, err := b.refunded[c.Original].Add(r.Amount)
	if err != nil {
		panic("ledger: refunds exceed 38 digits") // they are at most the original
	}
	b.setRefunded(c.Original, sum)
	b.refunds = append(b.refunds, row)
}

// named returns a locked account if the command named it.
func (v View) named(account AccountID) *lockedAccount {
	if slices.Contains(v.command.Accounts, account) {
		return v.batch.accounts[account]
	}
	return nil
}
