package ledger_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/tillbook/tillbook/store/ledger"
)

// purse is an account of the model of what is held, limited, given back and owed,
// on paper: plain integers, one thing after another.
type purse struct {
	id             ledger.AccountID
	code           string
	balance, held  int64
	owed           int64
	used, number   map[ledger.Direction]int64
	receivableCode string
}

func (p *purse) available() int64 { return p.balance - p.held }

type paperHold struct {
	id               uuid.UUID
	of               *purse
	amount, captured int64
	excess           int64 // basis points
	state            ledger.HoldState
}

func (h *paperHold) remaining() int64 {
	if h.state != ledger.HoldOpen {
		return 0
	}
	return max(0, h.amount-h.captured)
}

func (h *paperHold) most() int64 { return h.amount + h.amount*h.excess/10_000 }

// payment is a transaction that can be given back.
type paperPayment struct {
	id       uuid.UUID
	from, to *purse
	amount   int64
	back     int64
	held     bool // it was captured: it counts once as held
}

// paperBooks is one run of the model beside two ledgers.
type paperBooks struct {
	t        *rapid.T
	b        *books
	n        int64
	keys     int
	outside  ledger.AccountID
	purses   []*purse
	rules    []ledger.Rule
	holds    []*paperHold
	payments []*paperPayment
}

func (m *paperBooks) who() ledger.Identity {
	m.keys++
	key := fmt.Sprintf("paper %d %d", m.n, m.keys)
	return ledger.Identity{Key: ledger.NewKey("paper", key), Fingerprint: ledger.Fingerprint(key)}
}

func (m *paperBooks) ledger() *ledger.Ledger {
	return m.b.ledgers[rapid.IntRange(0, len(m.b.ledgers)-1).Draw(m.t, "replica")]
}

func (m *paperBooks) purse(label string) *purse {
	return m.purses[rapid.IntRange(0, len(m.purses)-1).Draw(m.t, label)]
}

func (m *paperBooks) amount(most int64) int64 { return rapid.Int64Range(1, most).Draw(m.t, "amount") }

// breaks tells whether a movement passes a limit. Whole is the transaction's amount
// where only a part of it counts anew.
func (m *paperBooks) breaks(p *purse, d ledger.Direction, amount, whole, number, balance int64) bool {
	for _, r := range m.rules {
		if r.Direction != d || amount == 0 && number == 0 {
			continue
		}
		most := integer(m.b.t, r.Maximum)
		switch {
		case r.Measure == ledger.MeasureBalance:
			if balance > most {
				return true
			}
		case r.Measure == ledger.MeasureCount:
			if number > 0 && p.number[d]+number > most {
				return true
			}
		case r.Period == ledger.PerTransaction:
			if amount > 0 && whole > most {
				return true
			}
		case amount > 0 && p.used[d]+amount > most:
			return true
		}
	}
	return false
}

func (p *purse) count(d ledger.Direction, amount, number int64) {
	p.used[d] += amount
	p.number[d] += number
}

// credit brings money in; what is owed is repaid first.
func (p *purse) credit(amount int64) {
	p.balance += amount
	repaid := max(0, min(amount, p.owed, p.available()))
	p.balance -= repaid
	p.owed -= repaid
}

// expect compares the ledger's answer with what the paper allows.
func (m *paperBooks) expect(what string, err error, allowed ...error) (executed bool) {
	m.t.Helper()
	if err == nil {
		if len(allowed) > 0 {
			falsified(m.t, "%s was executed, want one of %v", what, allowed)
		}
		return true
	}
	for _, a := range allowed {
		if errors.Is(err, a) {
			return false
		}
	}
	falsified(m.t, "%s: %v, want one of %v", what, err, allowed)
	return false
}

func (m *paperBooks) fund() {
	p, amount := m.purse("to"), m.amount(200)
	who := m.who()
	_, err := m.ledger().Commit(ctx, ledger.Command{
		Key: who.Key, Fingerprint: who.Fingerprint, Kind: ledger.KindFunding, Accounts: []ledger.AccountID{m.outside, p.id},
		Decide: ledger.Transfer(m.outside, p.id, ledger.NewAmount(amount), ""),
	})
	if m.expect("funding", err) {
		p.credit(amount)
	}
}

// judge says what stands in the way of a transfer.
func (m *paperBooks) judge(from, to *purse, amount int64) (why []error) {
	if from == to {
		return []error{ledger.ErrUnbalanced}
	}
	if from.available() < amount {
		why = append(why, ledger.ErrInsufficientFunds)
	}
	if m.breaks(from, ledger.Outgoing, amount, amount, 1, 0) || m.breaks(to, ledger.Incoming, amount, amount, 1, to.balance+amount) {
		why = append(why, ledger.ErrLimitExceeded)
	}
	return why
}

func (m *paperBooks) moved(from, to *purse, amount int64, id uuid.UUID) {
	from.balance -= amount
	from.count(ledger.Outgoing, amount, 1)
	to.count(ledger.Incoming, amount, 1)
	to.credit(amount)
	m.payments = append(m.payments, &paperPayment{id: id, from: from, to: to, amount: amount})
}

func (m *paperBooks) command(from, to *purse, amount int64) ledger.Command {
	who := m.who()
	return ledger.Command{
		Key: who.Key, Fingerprint: who.Fingerprint, Kind: ledger.KindTransfer, Accounts: []ledger.AccountID{from.id, to.id},
		Counted: true, Decide: ledger.Transfer(from.id, to.id, ledger.NewAmount(amount), ""),
	}
}

func (m *paperBooks) transfer() {
	from, to, amount := m.purse("from"), m.purse("to"), m.amount(60)
	c := m.command(from, to, amount)
	r, err := m.ledger().Commit(ctx, c)
	if !m.expect("a transfer", err, m.judge(from, to, amount)...) {
		return
	}
	m.moved(from, to, amount, r.Transaction.ID)
	again, err := m.ledger().Commit(ctx, c)
	if err != nil || !again.Replayed || again.Transaction.ID != r.Transaction.ID {
		falsified(m.t, "a transfer once more: %v, replayed %v", err, again.Replayed)
	}
}

// group commits some transfers together: the paper makes them one by one, on a copy,
// and keeps that only if none is refused.
func (m *paperBooks) group() {
	before := m.copy()
	var commands []ledger.Command
	var why []error
	for range rapid.IntRange(2, 4).Draw(m.t, "transfers") {
		from, to, amount := m.purse("from"), m.purse("to"), m.amount(60)
		commands = append(commands, m.command(from, to, amount))
		if why == nil {
			if why = m.judge(from, to, amount); why == nil {
				m.moved(from, to, amount, uuid.Nil)
			}
		}
	}
	results, err := m.ledger().CommitAll(ctx, commands)
	if !m.expect("a group", err, why...) {
		m.restore(before)
		return
	}
	made := m.payments[len(m.payments)-len(commands):]
	for i := range results {
		made[i].id = results[i].Transaction.ID
	}
}

func (m *paperBooks) copy() (saved []purse) {
	for _, p := range m.purses {
		c := *p
		c.used = map[ledger.Direction]int64{ledger.Outgoing: p.used[ledger.Outgoing], ledger.Incoming: p.used[ledger.Incoming]}
		c.number = map[ledger.Direction]int64{ledger.Outgoing: p.number[ledger.Outgoing], ledger.Incoming: p.number[ledger.Incoming]}
		saved = append(saved, c)
	}
	return saved
}

func (m *paperBooks) restore(saved []purse) {
	for i := range saved {
		*m.purses[i] = saved[i]
	}
	for len(m.payments) > 0 && m.payments[len(m.payments)-1].id == uuid.Nil {
		m.payments = m.payments[:len(m.payments)-1]
	}
}

func (m *paperBooks) hold() {
	p, amount := m.purse("of"), m.amount(60)
	excess := rapid.SampledFrom([]int64{0, 2000}).Draw(m.t, "excess")
	r, err := m.ledger().CreateHold(ctx, m.who(), ledger.NewHold{
		Account: p.id, Amount: ledger.NewAmount(amount), ExcessBPS: int(excess), ExpireTime: time.Now().Add(time.Hour),
	})
	var why []error
	if p.available() < amount {
		why = append(why, ledger.ErrInsufficientFunds)
	}
	if m.breaks(p, ledger.Outgoing, amount, amount, 1, 0) {
		why = append(why, ledger.ErrLimitExceeded)
	}
	if m.expect("a hold", err, why...) {
		p.held += amount
		p.count(ledger.Outgoing, amount, 1)
		m.holds = append(m.holds, &paperHold{id: r.Hold.ID, of: p, amount: amount, excess: excess, state: ledger.HoldOpen})
	}
}

// someHold draws a hold; nil if there are none.
func (m *paperBooks) someHold() *paperHold {
	if len(m.holds) == 0 {
		return nil
	}
	return m.holds[rapid.IntRange(0, len(m.holds)-1).Draw(m.t, "hold")]
}

func (m *paperBooks) increase() {
	h, by := m.someHold(), m.amount(30)
	if h == nil {
		return
	}
	_, err := m.ledger().IncreaseHold(ctx, m.who(), h.id, ledger.NewAmount(by))
	next := *h
	next.amount += by
	anew := max(0, next.amount-max(h.amount, h.captured))
	var why []error
	if h.state != ledger.HoldOpen {
		why = append(why, ledger.ErrHoldClosed)
	} else {
		if h.of.available() < next.remaining()-h.remaining() {
			why = append(why, ledger.ErrInsufficientFunds)
		}
		if m.breaks(h.of, ledger.Outgoing, anew, max(next.amount, h.captured), 0, 0) {
			why = append(why, ledger.ErrLimitExceeded)
		}
	}
	if m.expect("an increase", err, why...) {
		h.of.held += next.remaining() - h.remaining()
		h.of.count(ledger.Outgoing, anew, 0)
		*h = next
	}
}

func (m *paperBooks) capture() {
	h, to, amount := m.someHold(), m.purse("to"), m.amount(70)
	if h == nil {
		return
	}
	final := rapid.Bool().Draw(m.t, "final")
	r, err := m.ledger().CaptureHold(ctx, m.who(), ledger.Capture{
		Hold: h.id, Credits: []ledger.Posting{{Account: to.id, Amount: ledger.NewAmount(amount)}}, Final: final,
	})
	next := *h
	next.captured += amount
	anew := max(0, next.captured-max(h.amount, h.captured))
	switch {
	case h.state != ledger.HoldOpen:
		m.expect("a capture", err, ledger.ErrHoldClosed)
		return
	case next.captured > h.most():
		m.expect("a capture", err, ledger.ErrHoldExceeded)
		return
	case to == h.of:
		m.expect("a capture", err, ledger.ErrUnbalanced)
		return
	}
	if final || next.captured == next.most() {
		next.state = ledger.HoldCaptured
	}
	var why []error
	if h.of.balance-amount-(h.of.held+next.remaining()-h.remaining()) < 0 {
		why = append(why, ledger.ErrInsufficientFunds)
	}
	if m.breaks(h.of, ledger.Outgoing, anew, next.captured, 0, 0) || m.breaks(to, ledger.Incoming, amount, amount, 1, to.balance+amount) {
		why = append(why, ledger.ErrLimitExceeded)
	}
	if !m.expect("a capture", err, why...) {
		return
	}
	h.of.held += next.remaining() - h.remaining()
	h.of.balance -= amount
	h.of.count(ledger.Outgoing, anew, 0)
	if next.state != ledger.HoldOpen {
		h.of.count(ledger.Outgoing, -max(0, next.amount-next.captured), 0)
	}
	to.count(ledger.Incoming, amount, 1)
	to.credit(amount)
	*h = next
	m.payments = append(m.payments, &paperPayment{id: r.Transaction.ID, from: h.of, to: to, amount: amount, held: true})
}

func (m *paperBooks) void() {
	h := m.someHold()
	if h == nil {
		return
	}
	_, err := m.ledger().VoidHold(ctx, m.who(), h.id)
	if h.state != ledger.HoldOpen {
		m.expect("a void", err, ledger.ErrHoldClosed)
		return
	}
	if m.expect("a void", err) {
		h.of.held -= h.remaining()
		number := int64(0)
		if h.captured == 0 {
			number = -1
		}
		h.of.count(ledger.Outgoing, -h.remaining(), number)
		h.state = ledger.HoldVoided
	}
}
