package ledger

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// sale is a payment of 100 by account 3: 90 for account 4 and 10 for account 1.
func sale(t testing.TB, b *batch) Transaction {
	t.Helper()
	return b.made[mustDecide(t, b, counted("sale", Posting{3, NewAmount(-100)}, Posting{4, NewAmount(90)}, Posting{1, NewAmount(10)})).made].Transaction
}

// shop has the payer 3 with 100, the receiver 4 with nothing, and its other account 6.
func shop(other int64) *batch {
	b := newBatch(locked(
		testAccount(1, 1, -100-other, false), testAccount(3, 1, 100, true), testAccount(4, 1, 0, true), testAccount(6, 1, other, true),
	), map[Key]executedKey{}, testTime)
	return b
}

func TestARefundIsTakenFromOneAccountAfterTheOther(t *testing.T) {
	b := shop(25)
	original := sale(t, b)
	from := []AccountID{4, 6}
	part := func(key string, amount int64) string {
		t.Helper()
		made := b.made[mustDecide(t, b, refund(key, original, Refund{Amount: NewAmount(amount), From: from})).made]
		var list string
		for _, e := range made.Entries {
			list += fmt.Sprint(" ", e.Account, ":", e.Amount)
		}
		return list
	}
	if got := part("a", 60); got != " 3:60 4:-60" {
		t.Errorf("the first account pays%s", got)
	}
	if got := part("b", 35); got != " 3:35 4:-30 6:-5" {
		t.Errorf("both pay%s", got)
	}
	if err := b.decide(refund("c", original, Refund{Amount: NewAmount(6), From: from})).err; !errors.Is(err, ErrRefundExceeded) {
		t.Errorf("6 of 5 that are left: %v", err)
	}
	if got := part("d", 0); got != " 3:5 6:-5" {
		t.Errorf("the second account pays%s", got)
	}
	if sum := b.refunded[original.ID]; sum != NewAmount(100) {
		t.Errorf("%s was given back", sum)
	}
}

func TestARefundIsNotTakenFromAccountsThatHaveTooLittle(t *testing.T) {
	b := shop(9)
	original := sale(t, b)
	before := whole(b)
	err := b.decide(refund("all", original, Refund{From: []AccountID{4, 6}})).err // 90 and 9
	if after := whole(b); !errors.Is(err, ErrInsufficientFunds) || after != before {
		t.Errorf("refused with %v, leaving\n%s\nwas\n%s", err, after, before)
	}
	received := b.made[mustDecide(t, b, counted("in", Posting{4, NewAmount(5)}, Posting{1, NewAmount(-5)})).made].Transaction
	err = b.decide(refund("credit", received, Refund{From: []AccountID{4}})).err
	if !errors.Is(err, ErrNotRefundable) {
		t.Errorf("what begins with a credit: %v", err)
	}
}

func TestCountersForgetAnOriginalThatIsGivenBackInParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := shop(200)
		r := []Rule{rule(MeasureAmount, Outgoing, PerDay, 1000), rule(MeasureAmount, Incoming, PerDay, 1000)}
		for i := range r {
			r[i].Scope, r[i].Asset, r[i].Zone = ScopeEveryone, 1, "UTC"
		}
		b.rules, _ = newRules(1, r)
		original := b.made[b.decide(counted("sale", Posting{3, NewAmount(-100)}, Posting{4, NewAmount(90)}, Posting{1, NewAmount(10)})).made].Transaction
		from := rapid.SampledFrom([][]AccountID{{4, 6}, {6}, {6, 4}}).Draw(t, "from")
		for left := int64(100); left > 0; {
			part := rapid.Int64Range(1, left).Draw(t, "part")
			if v := b.decide(refund(fmt.Sprint("part ", left), original, Refund{Amount: NewAmount(part), From: from})); v.err != nil {
				falsified(t, "giving %d back: %v", part, v.err)
			}
			left -= part
			number, in := 1, int64(90)
			if left == 0 {
				number, in = 0, 0
			}
			u, err := b.accounts[3].meter.counters()
			if err != nil || u[0].Amount != NewAmount(left) || int(u[0].Number) != number {
				falsified(t, "with %d left the payer's counter says %+v, %v", left, u, err)
			}
			u, err = b.accounts[4].meter.counters()
			if err != nil || u[0].Amount != NewAmount(in) || int(u[0].Number) != number {
				falsified(t, "with %d left the receiver's counter says %+v, %v", left, u, err)
			}
		}
	})
}
