package ledger_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/store/ledger"
)

// paper is a model with an outside account 0 and accounts 1 and 2, and the
// answers of a ledger that does right: a funding of 100, of which 60 and then
// 30 are paid, a replay and two refusals.
func paper() (*model, []outcome) {
	m := &model{done: map[string]*execution{}}
	for i := range 3 {
		m.accounts = append(m.accounts, &modelAccount{
			id: ledger.AccountID(i + 1), code: fmt.Sprint("account ", i), asset: jpy, bounded: i > 0, balance: mustBig("0"),
		})
	}
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	made := func(n int, key string, from, to ledger.Entry) outcome {
		from.Asset, to.Asset = jpy, jpy
		from.Code, to.Code = m.account(from.Account).code, m.account(to.Account).code
		o := &order{Key: key, Fingerprint: key, Kind: ledger.KindTransfer, Postings: []posting{
			{int(from.Account) - 1, from.Amount.String()}, {int(to.Account) - 1, to.Amount.String()},
		}}
		return outcome{o, answer{Result: ledger.Result{Transaction: ledger.Transaction{
			ID: uuid.UUID{15: byte(n)}, Kind: o.Kind, CreateTime: start.Add(time.Duration(n) * time.Millisecond),
			Entries: []ledger.Entry{from, to},
		}}}}
	}
	entry := func(account, version, amount, balance int64) ledger.Entry {
		return ledger.Entry{Account: ledger.AccountID(account), Version: version, Amount: ledger.NewAmount(amount), Balance: ledger.NewAmount(balance)}
	}
	fund := made(1, "fund", entry(1, 1, -100, -100), entry(2, 1, 100, 100))
	pay := made(2, "pay", entry(2, 2, -60, 40), entry(3, 1, 60, 60))
	pay2 := made(3, "pay again", entry(2, 3, -30, 10), entry(3, 2, 30, 90))
	replay := pay
	replay.Replayed = true
	other := *pay.order
	other.Fingerprint = "another"
	over := *pay.order
	over.Key, over.Fingerprint = "over", "over"
	return m, []outcome{
		pay2, replay, {&other, answer{err: ledger.ErrKeyReused}}, fund,
		{&over, answer{err: ledger.ErrInsufficientFunds}}, pay,
	}
}

// The model's own test: it accepts what is right and rejects what is not.
func TestTheModelRejectsWhatARightLedgerWouldNotAnswer(t *testing.T) {
	if m, outcomes := paper(); m.explain(outcomes) != nil {
		t.Fatalf("right answers: %v", m.explain(outcomes))
	}
	const pay2, replay, reuse, fund, over, pay = 0, 1, 2, 3, 4, 5
	entries := func(o *outcome, change func(e []ledger.Entry)) {
		o.Transaction.Entries = append([]ledger.Entry(nil), o.Transaction.Entries...)
		change(o.Transaction.Entries)
	}
	for name, c := range map[string]struct {
		falsify func(o []outcome) []outcome
		says    string
	}{
		"a balance that is off": {func(o []outcome) []outcome {
			entries(&o[pay2], func(e []ledger.Entry) { e[1].Balance = ledger.NewAmount(91) })
			return o
		}, "entries"},
		"a version left out": {func(o []outcome) []outcome {
			entries(&o[pay2], func(e []ledger.Entry) { e[0].Version = 4 })
			return o
		}, "entries"},
		"an update that was lost": {func(o []outcome) []outcome {
			entries(&o[pay2], func(e []ledger.Entry) { e[0].Version, e[0].Balance = 2, ledger.NewAmount(70) })
			return o
		}, "entries"},
		"an execution that is not there": {func(o []outcome) []outcome { return append(o[:fund], o[fund+1:]...) }, "should be refused"},
		"an overdraft": {func(o []outcome) []outcome {
			o[over].answer = o[pay].answer
			o[over].Transaction.ID[15], o[over].Transaction.CreateTime = 9, o[pay2].Transaction.CreateTime.Add(1)
			return o
		}, "should be refused: [insufficient funds]"},
		"a refusal without reason":   {func(o []outcome) []outcome { o[over].Postings = o[fund].Postings; return o }, "at no moment"},
		"a key executed twice":       {func(o []outcome) []outcome { o[replay].Replayed = false; return o }, "executed twice"},
		"a replay of another answer": {func(o []outcome) []outcome { o[replay].Transaction = o[fund].Transaction; return o }, "at no moment"},
		"a replay of nothing":        {func(o []outcome) []outcome { o[fund].Replayed = true; return o }, "should be refused"},
		"another request replayed": {func(o []outcome) []outcome {
			o[reuse].answer = o[replay].answer
			return o
		}, "at no moment"},
		"another request refused for funds": {func(o []outcome) []outcome {
			o[over].Key, o[over].Fingerprint = "free", "free"
			o[over].err = ledger.ErrKeyReused
			return o
		}, "at no moment"},
		"a time that goes back": {func(o []outcome) []outcome {
			o[pay].Transaction.CreateTime = o[fund].Transaction.CreateTime
			o[pay].Transaction.ID = o[fund].Transaction.ID
			return append(o[:replay], o[fund], o[pay])
		}, "does not lie behind"},
		"another kind": {func(o []outcome) []outcome { o[fund].Transaction.Kind = 9; return o }, "kind"},
		"another note": {func(o []outcome) []outcome { o[fund].Transaction.Note = "x"; return o }, "note"},
		"other details": {func(o []outcome) []outcome {
			o[fund].Transaction.Details = []byte(`{}`)
			return o
		}, "details"},
	} {
		t.Run(name, func(t *testing.T) {
			m, outcomes := paper()
			err := m.explain(c.falsify(outcomes))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("explained as %v; want %q", err, c.says)
			}
		})
	}
}
