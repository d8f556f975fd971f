package ledger_test

import (
	"pgregory.net/rapid"

	"github.com/tillbook/tillbook/store/ledger"
)

func (m *paperBooks) refund() {
	if len(m.payments) == 0 {
		return
	}
	p := m.payments[rapid.IntRange(0, len(m.payments)-1).Draw(m.t, "payment")]
	want := rapid.SampledFrom([]int64{0, 5, 40}).Draw(m.t, "part")
	owing := rapid.Bool().Draw(m.t, "receivable")
	second := m.second(p)
	r := ledger.Refund{Original: p.id, Amount: ledger.NewAmount(want), Kind: ledger.KindRefund, Receivable: owing}
	if second != nil {
		r.From, owing = []ledger.AccountID{p.to.id, second.id}, false
	}
	_, err := m.ledger().Refund(ctx, m.who(), r)
	left := p.amount - p.back
	amount := want
	if want == 0 {
		amount = left
	}
	if left == 0 || amount > left {
		m.expect("a refund", err, ledger.ErrRefundExceeded)
		return
	}
	pays := min(amount, p.to.available())
	rest := amount - pays
	if !owing && rest > 0 && (second == nil || second.available() < rest) {
		m.expect("a refund", err, ledger.ErrInsufficientFunds)
		return
	}
	if !m.expect("a refund", err) {
		return
	}
	p.back += amount
	last := int64(0)
	if p.back == p.amount {
		last = 1
	}
	p.to.balance -= pays
	if second != nil {
		second.balance -= rest
	} else {
		p.to.owed += rest
	}
	p.to.count(ledger.Incoming, -amount, -last)
	if p.held {
		last = 0
	}
	p.from.count(ledger.Outgoing, -amount, -last)
	p.from.credit(amount)
}

// second is a purse that pays what the receiver of a payment can't give back; nil if
// nobody is asked to.
func (m *paperBooks) second(p *paperPayment) *purse {
	other := m.purse("second")
	if other == p.to || other == p.from {
		return nil
	}
	return other
}
