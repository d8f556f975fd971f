package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tillbook/tillbook/store/ledger"
)

func TestTheBooksBalanceAtAnyMoment(t *testing.T) {
	b := newBooks(t, 1, ledger.Config{})
	var accounts []ledger.AccountID
	for i := range 4 {
		accounts = append(accounts, b.account(fmt.Sprintf("user/u%d/main/USD", i), usd, 1_000))
	}
	var moments []time.Time
	rapid.Check(t, func(t *rapid.T) {
		for range rapid.IntRange(1, 5).Draw(t, "transfers") {
			order := rapid.Permutation(accounts).Draw(t, "order")
			paid := b.pay(order[0], order[1], rapid.Int64Range(1, 3).Draw(t, "amount"))
			moments = append(moments, paid.CreateTime)
		}
		at := rapid.SampledFrom(moments).Draw(t, "moment").
			Add(time.Duration(rapid.IntRange(-1, 1).Draw(t, "microseconds")) * time.Microsecond)
		lines, err := b.ledgers[0].TrialBalanceAt(ctx, at)
		if err != nil {
			t.Fatal(err)
		}
		var total int64
		for _, line := range lines {
			got, err := line.Balance.MarshalText()
			if err != nil {
				t.Fatal(err)
			}
			want := b.count(`
				SELECT coalesce(sum(e.amount), 0)::bigint FROM account_entries e JOIN accounts a ON a.id = e.account_id
				 WHERE a.asset_id = $1 AND split_part(a.code, '/', 1) = $2 AND e.create_time <= $3`, line.Asset, line.Class, at)
			if string(got) != fmt.Sprint(want) {
				t.Fatalf("%s had another balance than its entries then", line.Class)
			}
			total += want
		}
		if total != 0 || len(lines) == 0 {
			t.Fatal("the lines don't sum to zero")
		}
	})
	now, err := b.ledgers[0].TrialBalance(ctx)
	if err != nil {
		t.Fatal(err)
	}
	later, err := b.ledgers[0].TrialBalanceAt(ctx, time.Now().Add(time.Hour))
	if err != nil || fmt.Sprint(now) != fmt.Sprint(later) {
		t.Errorf("in an hour it is %v (%v), now %v", later, err, now)
	}
	before, err := b.ledgers[0].TrialBalanceAt(ctx, time.Now().Add(-time.Hour))
	if err != nil || len(before) != 0 {
		t.Errorf("before there was anything it was %v (%v)", before, err)
	}
}
