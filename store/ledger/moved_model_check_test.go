package ledger_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/tillbook/tillbook/store/ledger"
)

// compare compares everything that can be seen.
func (m *paperBooks) compare(*rapid.T) {
	l := m.ledger()
	for _, p := range m.purses {
		a, err := l.Account(ctx, p.code)
		if err != nil || integer(m.b.t, a.Balance) != p.balance || integer(m.b.t, a.Held) != p.held {
			falsified(m.t, "account %s has %s, held %s, %v; want %d, held %d", p.code, a.Balance, a.Held, err, p.balance, p.held)
		}
		if owed, err := l.Account(ctx, p.receivableCode); err == nil && integer(m.b.t, owed.Balance) != -p.owed || err != nil && p.owed != 0 {
			falsified(m.t, "account %s has %s, %v; want %d", p.receivableCode, owed.Balance, err, -p.owed)
		}
		usages, err := l.Usage(ctx, p.code, jpy)
		if err != nil {
			m.t.Fatal(err)
		}
		for _, u := range usages {
			want := p.used[u.Rule.Direction]
			switch {
			case u.Rule.Period == ledger.PerTransaction:
				continue
			case u.Rule.Measure == ledger.MeasureCount:
				want = p.number[u.Rule.Direction]
			}
			if integer(m.b.t, u.Used) != want {
				falsified(m.t, "%s used %s of %+v, want %d", p.code, u.Used, u.Rule, want)
			}
		}
	}
	for _, h := range m.holds {
		got, err := l.Hold(ctx, h.id)
		if err != nil || got.State != h.state || integer(m.b.t, got.Amount) != h.amount || integer(m.b.t, got.Captured) != h.captured {
			falsified(m.t, "hold %+v, %v; want %+v", got, err, *h)
		}
	}
}

func newPaperBooks(t *rapid.T, b *books) *paperBooks {
	m := &paperBooks{t: t, b: b, n: b.keys.Add(1), outside: b.outside(jpy)}
	for i := range 3 {
		owner := fmt.Sprintf("usr_%d_%d", m.n, i)
		p := &purse{
			code: "user/" + owner + "/main/JPY", receivableCode: ledger.ReceivableCode(owner, "JPY"),
			used: map[ledger.Direction]int64{}, number: map[ledger.Direction]int64{},
		}
		p.id = b.open(ledger.AccountSpec{Code: p.code, Asset: jpy})
		m.purses = append(m.purses, p)
	}
	tx, err := b.stores[0].Pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	old, err := b.ledgers[0].Rules(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range old {
		if _, err := ledger.DeleteRule(ctx, tx, r.ID); err != nil {
			t.Fatal(err)
		}
	}
	for _, kind := range []ledger.Rule{
		{Measure: ledger.MeasureAmount, Direction: ledger.Outgoing, Period: ledger.PerLifetime, Maximum: ledger.NewAmount(300)},
		{Measure: ledger.MeasureAmount, Direction: ledger.Outgoing, Period: ledger.PerTransaction, Maximum: ledger.NewAmount(50)},
		{Measure: ledger.MeasureCount, Direction: ledger.Outgoing, Period: ledger.PerLifetime, Maximum: ledger.NewAmount(6)},
		{Measure: ledger.MeasureAmount, Direction: ledger.Incoming, Period: ledger.PerLifetime, Maximum: ledger.NewAmount(250)},
		{Measure: ledger.MeasureBalance, Direction: ledger.Incoming, Period: ledger.PerTransaction, Maximum: ledger.NewAmount(400)},
	} {
		if !rapid.Bool().Draw(t, "rule") {
			continue
		}
		kind.Scope, kind.Asset, kind.Zone = rapid.SampledFrom([]string{ledger.ScopeEveryone, ledger.TierScope(0)}).Draw(t, "scope"), jpy, "UTC"
		_, set, err := ledger.SetRule(ctx, tx, kind)
		if err != nil {
			t.Fatal(err)
		}
		m.rules = append(m.rules, set)
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	return m
}

// Whatever is held, captured, given back, limited and owed, one command after the
// other on two replicas, comes to what it comes to on paper.
func TestWhatIsHeldLimitedAndGivenBackAgreesWithThePaper(t *testing.T) {
	b := newBooks(t, 2, ledger.Config{})
	check(t, 60, func(t *rapid.T) {
		m := newPaperBooks(t, b)
		actions := map[string]func(*rapid.T){"": m.compare}
		for name, f := range map[string]func(){
			"fund": m.fund, "transfer": m.transfer, "group": m.group, "hold": m.hold, "increase": m.increase,
			"capture": m.capture, "void": m.void, "refund": m.refund,
		} {
			actions[name] = func(rt *rapid.T) { m.t = rt; f() }
		}
		t.Repeat(actions)
	})
}
