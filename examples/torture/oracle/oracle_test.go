package oracle

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tillbook/tillbook/examples/torture/mix"
	"github.com/tillbook/tillbook/examples/torture/record"
)

const second = time.Second

// story is what happens when nothing goes wrong: Ada pays Ben, who can't pay back as
// much as he wants, and Cora buys something. Tests change one thing.
func story() *Evidence {
	operation := func(id int, o record.Operation) record.Operation {
		o.ID, o.Call, o.Return = id, time.Duration(2*id)*second, time.Duration(2*id+1)*second
		o.Attempts = []record.Attempt{{Begin: o.Call, End: o.Return, Answer: o.Answer}}
		return o
	}
	done := func(transaction string, left int64) record.Answer {
		return record.Answer{Outcome: record.Done, Transaction: transaction, Balance: left}
	}
	snapshot := record.Event{Snapshot: true, Balance: 100}
	return &Evidence{
		Operations: []record.Operation{
			operation(0, record.Operation{Kind: record.Transfer, From: "ada", To: "ben", Cents: 30, Mark: "lunch", Answer: done("txn_1", 70)}),
			operation(1, record.Operation{Kind: record.Read, From: "ben", Answer: record.Answer{Outcome: record.Done, Balance: 130}}),
			operation(2, record.Operation{Kind: record.Transfer, From: "ben", To: "ada", Cents: 500, Mark: "boat",
				Answer: record.Answer{Outcome: record.Refused, Reason: "INSUFFICIENT_FUNDS"}}),
			operation(3, record.Operation{Kind: record.Sale, Group: -1, From: "terminal/0", Cents: 20, Mark: "tea",
				Answer: record.Answer{Outcome: record.Done, Checkout: "chk_1"}}),
			operation(4, record.Operation{Kind: record.Payment, Group: -1, From: "cora", To: "mer_1", Cents: 20, Checkout: "chk_1", Answer: done("txn_2", 80)}),
			operation(5, record.Operation{Kind: record.SignIn, Group: -1, From: "dina", Answer: record.Answer{Outcome: record.Done}}),
		},
		People: []Person{
			{"ada", 100, 70, []mix.Transaction{{ID: "f1", Cents: 100, After: 100}, {ID: "txn_1", Cents: -30, After: 70, Note: "lunch"}},
				[]record.Event{snapshot, {Transaction: "txn_1", Cents: -30, Balance: 70}}},
			{"ben", 100, 130, []mix.Transaction{{ID: "f2", Cents: 100, After: 100}, {ID: "txn_1", Cents: 30, After: 130, Note: "lunch"}},
				[]record.Event{snapshot, {Transaction: "txn_1", Cents: 30, Balance: 130}}},
			{"cora", 100, 80, []mix.Transaction{{ID: "f3", Cents: 100, After: 100}, {ID: "txn_2", Cents: -20, After: 80}},
				[]record.Event{snapshot, {Transaction: "txn_2", Cents: -20, Balance: 80}}},
		},
		Merchant: "mer_1", Funds: 20,
		Terminals:      map[string][]record.Event{"terminal/0": {{Checkout: "chk_1", State: mix.Offered, Mark: "tea"}, {Checkout: "chk_1", State: mix.Paid, Mark: "tea"}}},
		MerchantStream: []record.Event{{Checkout: "chk_1", State: "CHECKOUT_STATE_PENDING", Mark: "tea"}, {Checkout: "chk_1", State: "CHECKOUT_STATE_SUCCEEDED", Mark: "tea"}},
		Groups:         [][]string{{"ada", "ben", "cora"}},
	}
}

func TestAStoryInWhichNothingGoesWrongPasses(t *testing.T) {
	v := Judge(story())
	if !v.OK() || v.Operations != 6 || v.ErrorWindow != 0 || v.Unknown != 0 {
		t.Errorf("got %+v", v)
	}
}

func TestEachThingThatGoesWrongIsFound(t *testing.T) {
	for name, tt := range map[string]struct {
		wrong         func(*Evidence)
		kind          string // of the problem that is told
		lost, doubled int
	}{
		"a payment that is gone": {kind: "lost", lost: 1, wrong: func(e *Evidence) {
			for i := range 2 {
				e.People[i].History, e.People[i].Stream, e.People[i].Balance = e.People[i].History[:1], e.People[i].Stream[:1], 100
			}
		}},
		"a payment that only one side has": {kind: "lost", lost: 1, wrong: func(e *Evidence) {
			e.People[1].History = e.People[1].History[:1]
		}},
		"a payment that was made twice": {kind: "doubled", doubled: 1, wrong: func(e *Evidence) {
			e.People[0].History = append(e.People[0].History, mix.Transaction{ID: "txn_9", Cents: -30, After: 40, Note: "lunch"})
			e.People[1].History = append(e.People[1].History, mix.Transaction{ID: "txn_9", Cents: 30, After: 160, Note: "lunch"})
		}},
		"a payment that nobody knows of and that was made twice": {kind: "doubled", doubled: 1, wrong: func(e *Evidence) {
			e.Operations[0].Answer = record.Answer{Outcome: record.Open}
			e.People[0].History = append(e.People[0].History, mix.Transaction{ID: "txn_9", Cents: -30, After: 40, Note: "lunch"})
		}},
		"a checkout that was paid twice": {kind: "doubled", doubled: 1, wrong: func(e *Evidence) {
			e.People[2].History = append(e.People[2].History, mix.Transaction{ID: "txn_9", Cents: -20, After: 60, Note: "tea"})
		}},
		"a sale that made two checkouts": {kind: "doubled", doubled: 1, wrong: func(e *Evidence) {
			e.MerchantStream = append(e.MerchantStream, record.Event{Checkout: "chk_9", State: "CHECKOUT_STATE_PENDING", Mark: "tea"})
		}},
		"a sale that made another checkout at its terminal": {kind: "doubled", doubled: 1, wrong: func(e *Evidence) {
			e.Terminals["terminal/0"] = append(e.Terminals["terminal/0"], record.Event{Checkout: "chk_9", State: mix.Offered, Mark: "tea"})
		}},
		"a sale that nobody knows of and that made two checkouts": {kind: "doubled", doubled: 1, wrong: func(e *Evidence) {
			e.Operations = append(e.Operations, record.Operation{Kind: record.Sale, Group: -1, From: "terminal/0", Mark: "cake"})
			for _, made := range []string{"chk_8", "chk_9"} {
				e.MerchantStream = append(e.MerchantStream, record.Event{Checkout: made, State: "CHECKOUT_STATE_PENDING", Mark: "cake"})
			}
		}},
		"a refused sale that made a checkout": {kind: "executed though refused", wrong: func(e *Evidence) {
			e.Operations = append(e.Operations, record.Operation{Kind: record.Sale, Group: -1, From: "terminal/0", Mark: "cake",
				Answer: record.Answer{Outcome: record.Refused, Reason: "TOO_MANY_CHECKOUTS"}})
			e.MerchantStream = append(e.MerchantStream, record.Event{Checkout: "chk_9", State: "CHECKOUT_STATE_PENDING", Mark: "cake"})
		}},
		"a checkout that nobody asked for": {kind: "unasked", wrong: func(e *Evidence) {
			e.MerchantStream = append(e.MerchantStream, record.Event{Checkout: "chk_9", State: "CHECKOUT_STATE_PENDING", Mark: "cake"})
		}},
		"an entry that is there twice": {kind: "doubled", doubled: 1, wrong: func(e *Evidence) {
			e.People[0].History = append(e.People[0].History, mix.Transaction{ID: "txn_1", Cents: -30, After: 40, Note: "lunch"})
		}},
		"another amount": {kind: "amount", wrong: func(e *Evidence) { e.People[0].History[1].Cents = -31 }},
		"a refused payment that was made": {kind: "executed though refused", wrong: func(e *Evidence) {
			e.People[0].History = append(e.People[0].History, mix.Transaction{ID: "txn_9", Cents: 500, After: 570, Note: "boat"})
		}},
		"a payment that nobody made": {kind: "unasked", wrong: func(e *Evidence) {
			e.People[0].History = append(e.People[0].History, mix.Transaction{ID: "txn_9", Cents: 5, After: 75})
		}},
		"one transaction as the answer to two": {kind: "one transaction for two", lost: 1, wrong: func(e *Evidence) {
			again := e.Operations[0]
			again.ID, again.Mark = 9, "dinner"
			e.Operations = append(e.Operations, again)
		}},
		"another answer the second time": {kind: "doubled", doubled: 1, wrong: func(e *Evidence) {
			e.Operations[0].Again = []record.Answer{{Outcome: record.Done, Transaction: "txn_9", Balance: 40}}
		}},
		"another balance the second time": {kind: "repetition", wrong: func(e *Evidence) {
			e.Operations[0].Again = []record.Answer{{Outcome: record.Done, Transaction: "txn_1", Balance: 40}}
		}},
		"a refusal the second time": {kind: "repetition", wrong: func(e *Evidence) {
			e.Operations[0].Again = []record.Answer{{Outcome: record.Refused, Reason: "INSUFFICIENT_FUNDS"}}
		}},
		"a payment of unknown outcome": {kind: "unresolved", wrong: func(e *Evidence) {
			e.Operations[2].Answer = record.Answer{Outcome: record.Open}
		}},
		"an error that tells nothing": {kind: "internal", wrong: func(e *Evidence) {
			e.Operations[1].Attempts = append(e.Operations[1].Attempts, record.Attempt{Answer: record.Answer{Outcome: record.Failed, Reason: "INTERNAL"}})
		}},
		"nobody who signed in":          {kind: "nothing", wrong: func(e *Evidence) { e.Operations = e.Operations[:5] }},
		"a group that did nothing":      {kind: "nothing", wrong: func(e *Evidence) { e.Groups = append(e.Groups, []string{"eve", "fay", "gil"}) }},
		"a refusal that nobody expects": {kind: "refused", wrong: func(e *Evidence) { e.Operations[2].Answer.Reason = "NOT_FOUND" }},
		"a balance below zero": {kind: "floor", wrong: func(e *Evidence) {
			e.People[2].History = append(e.People[2].History, mix.Transaction{ID: "txn_9", Cents: -100, After: -20})
		}},
		"a history that doesn't add up":     {kind: "history", wrong: func(e *Evidence) { e.People[0].History[1].After = 71 }},
		"a balance without a history":       {kind: "balance", wrong: func(e *Evidence) { e.People[0].Balance = 71 }},
		"money from nowhere":                {kind: "sum", wrong: func(e *Evidence) { e.Funds = 21 }},
		"sales that aren't the merchant's":  {kind: "sales", wrong: func(e *Evidence) { e.Funds = 0 }},
		"a stream with a gap":               {kind: "stream", wrong: func(e *Evidence) { e.People[0].Stream = e.People[0].Stream[:1] }},
		"a stream that repeats":             {kind: "stream", wrong: func(e *Evidence) { e.People[0].Stream = append(e.People[0].Stream, e.People[0].Stream[1]) }},
		"a stream that tells another story": {kind: "stream", wrong: func(e *Evidence) { e.People[0].Stream[1].Balance = 71 }},
		"a stream without a snapshot":       {kind: "stream", wrong: func(e *Evidence) { e.People[0].Stream = e.People[0].Stream[1:] }},
		"a stream that begins anew": {kind: "stream", wrong: func(e *Evidence) {
			e.People[0].Stream = slices.Insert(e.People[0].Stream, 1, record.Event{Snapshot: true, Balance: 100})
		}},
		"a stream that ended for good": {kind: "stream", wrong: func(e *Evidence) {
			e.People[0].Stream = append(e.People[0].Stream, record.Event{State: mix.Broke + ": RESUME_TOKEN_INVALID"})
		}},
		"a sale that the terminal never showed":      {kind: "terminal", wrong: func(e *Evidence) { e.Terminals["terminal/0"] = e.Terminals["terminal/0"][1:] }},
		"a payment that the terminal wasn't told of": {kind: "terminal", wrong: func(e *Evidence) { e.Terminals["terminal/0"] = e.Terminals["terminal/0"][:1] }},
		"a payment that the terminal was told twice": {kind: "terminal", wrong: func(e *Evidence) {
			e.Terminals["terminal/0"] = append(e.Terminals["terminal/0"], e.Terminals["terminal/0"][1])
		}},
		"a sale at another terminal": {kind: "terminal", wrong: func(e *Evidence) {
			e.Terminals["terminal/1"], e.Terminals["terminal/0"] = e.Terminals["terminal/0"], nil
		}},
		"a payment that the merchant wasn't told of": {kind: "merchant", wrong: func(e *Evidence) { e.MerchantStream = e.MerchantStream[:1] }},
		"a sale that the merchant wasn't told of":    {kind: "merchant", wrong: func(e *Evidence) { e.MerchantStream = nil }},
		"a checkout that goes back":                  {kind: "merchant", wrong: func(e *Evidence) { slices.Reverse(e.MerchantStream) }},
		"a session that a newer one replaced":        {kind: "fence", wrong: func(e *Evidence) { e.Ghosts = 1 }},
		"an old balance":                             {kind: "linearizable", wrong: func(e *Evidence) { e.Operations[1].Answer.Balance = 100 }},
		"a refusal though there is money":            {kind: "linearizable", wrong: func(e *Evidence) { e.Operations[2].Cents = 130 }},
		"a balance before its payment": {kind: "linearizable", wrong: func(e *Evidence) {
			e.Operations[1].Call, e.Operations[1].Return = -2*second, -second
		}},
		"a payment that left another balance": {kind: "linearizable", wrong: func(e *Evidence) { e.Operations[0].Answer.Balance = 71 }},
		"books that don't balance":            {kind: "verify", wrong: func(e *Evidence) { e.Books = errors.New("account 7 …") }},
	} {
		t.Run(name, func(t *testing.T) {
			e := story()
			tt.wrong(e)
			v := Judge(e)
			told := slices.ContainsFunc(v.Problems, func(p string) bool { return strings.HasPrefix(p, tt.kind+": ") })
			if v.OK() || !told || v.Lost != tt.lost || v.Doubled != tt.doubled {
				t.Errorf("%d lost and %d doubled, not %d and %d; want %q among %q", v.Lost, v.Doubled, tt.lost, tt.doubled, tt.kind, v.Problems)
			}
		})
	}
}

// What is open may have happened, at any time since it was asked for.
func TestAnUnresolvedPaymentExplainsWhatItMoved(t *testing.T) {
	e := story()
	e.Operations[0].Answer = record.Answer{Outcome: record.Open}
	v := Judge(e)
	if v.Unresolved != 1 || slices.ContainsFunc(v.Problems, func(p string) bool {
		return !strings.HasPrefix(p, "unresolved: ") && p != "nothing: no transfer was acknowledged"
	}) {
		t.Errorf("got %q", v.Problems)
	}
}

func TestErrorsAreMeasuredFromTheFirstToTheLast(t *testing.T) {
	e := story()
	e.Operations[1].Attempts = []record.Attempt{
		{Begin: 2 * second, End: 3 * second, Answer: record.Answer{Outcome: record.Failed}},
		{Begin: 4 * second, End: 5 * second, Answer: record.Answer{Outcome: record.Done}},
	}
	e.Operations[4].Attempts = []record.Attempt{
		{Begin: 8 * second, End: 9 * second, Answer: record.Answer{Outcome: record.Unknown}},
		{Begin: 10 * second, End: 11 * second, Answer: record.Answer{Outcome: record.Done}},
	}
	if v := Judge(e); !v.OK() || v.ErrorWindow != 7*second || v.LastError != 9*second || v.Unknown != 1 {
		t.Errorf("got %+v", v)
	}
}

func TestProblemsOfOneKindAreCountedAfterTheFirst(t *testing.T) {
	e := story()
	e.Operations = nil
	e.People[0].History = append(e.People[0].History, make([]mix.Transaction, 10)...)
	v := Judge(e)
	if !slices.Contains(v.Problems, "unasked: 11 more") {
		t.Errorf("got %q", v.Problems)
	}
}
