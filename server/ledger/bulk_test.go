package ledger_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/store/id"
)

const (
	atomically    = ledgerv1.PostMode_POST_MODE_ATOMIC
	independently = ledgerv1.PostMode_POST_MODE_INDEPENDENT
)

func bulk(mode ledgerv1.PostMode, items ...*ledgerv1.PostTransactionRequest) *ledgerv1.PostTransactionsRequest {
	return &ledgerv1.PostTransactionsRequest{Mode: mode, Items: items}
}

func TestAThousandItemsArePostedInOrderInEitherMode(t *testing.T) {
	books := moneytest.New(t)
	operator := newOperator()
	c := serve(t, books).as(operator)
	for _, mode := range []ledgerv1.PostMode{atomically, independently} {
		t.Run(mode.String(), func(t *testing.T) {
			var items []*ledgerv1.PostTransactionRequest
			account := "system/" + strings.ToLower(mode.String()) + "/USD"
			for i := range 1000 {
				items = append(items, post(fmt.Sprint(mode.String(), i), fmt.Sprint("item ", i), "external/x/USD -1 USD", account+" 1 USD"))
			}
			res, err := c.PostTransactions(t.Context(), bulk(mode, items...))
			if err != nil {
				t.Fatal(err)
			}
			if len(res.GetResults()) != len(items) {
				t.Fatalf("%d results", len(res.GetResults()))
			}
			for i, r := range res.GetResults() {
				if got, want := lines(r.GetTransaction().GetEntries()), fmt.Sprintf("%s 1.00 USD after %d.00", account, i+1); len(got) != 2 || got[1] != want {
					t.Fatalf("result %d is %v, want %s", i, r, want)
				}
				if txn := r.GetTransaction(); txn.GetNote() != fmt.Sprint("item ", i) || txn.GetKind() != "adjustment" {
					t.Fatalf("result %d is %v", i, r)
				}
			}
			wantOperator(t, books, res.GetResults()[999].GetTransaction().GetTransactionId(), id.Format(id.Operator, operator.Operator))
			again, err := c.PostTransactions(t.Context(), bulk(mode, items...))
			if err != nil || !proto.Equal(again, res) {
				t.Errorf("a second time it fails with %v, or answers something else", err)
			}
			_, err = c.PostTransactions(t.Context(), bulk(mode, append(items, items[0])...))
			moneytest.WantNothingMoved(t, err, "INVALID_ARGUMENT")
		})
	}
}

func TestAnItemIsRefusedByIndexFieldAndReason(t *testing.T) {
	books := moneytest.New(t)
	c := serve(t, books).as(newOperator())
	alice := books.User(t, "alice")
	books.Fund(t, alice, "10.00 USD")
	a, x, s := alice.Account("USD"), "external/x/USD", "system/s/USD"
	good := mustPost(t, c, post("first", "r", x+" -1 USD", s+" 1 USD"))
	before, accounts := books.Transactions(t), books.Accounts(t)

	cases := map[string]struct {
		item          *ledgerv1.PostTransactionRequest
		reason, field string
	}{
		"more than there is": {post("k", "r", a+" -10.01 USD", x+" 10.01 USD"), "INSUFFICIENT_FUNDS", "items[2]"},
		"unbalanced":         {post("k", "r", a+" -1 USD", x+" 1.01 USD"), "UNBALANCED_POSTINGS", "items[2]"},
		"an unknown account": {post("k", "r", x+" -1 USD", "user/x/main/USD 1 USD"), "ACCOUNT_NOT_FOUND", "items[2].postings[1].account"},
		"the wrong asset":    {post("k", "r", a+" -1 EUR", "external/new/EUR 1 EUR"), "ACCOUNT_ASSET_MISMATCH", "items[2].postings[0].amount.asset"},
		"too many decimals":  {post("k", "r", a+" -1.001 USD", x+" 1.001 USD"), "AMOUNT_TOO_PRECISE", "items[2].postings[0].amount.amount"},
		"an account twice":   {post("k", "r", a+" -1 USD", a+" 1 USD"), "INVALID_ARGUMENT", "items[2].postings[1].account"},
		"a key of before":    {post("first", "other", x+" -1 USD", s+" 1 USD"), "IDEMPOTENCY_KEY_REUSED", "items[2]"},
		"a neighbour's key":  {post("a", "other", x+" -1 USD", s+" 1 USD"), "IDEMPOTENCY_KEY_REUSED", "items[2]"},
	}
	n := 0
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			one, two, four := post("a", "r", a+" -1 USD", x+" 1 USD"), post("b", "r", x+" -1 USD", s+" 1 USD"), post("d", "r", x+" -1 USD", s+" 1 USD")
			_, err := c.PostTransactions(t.Context(), bulk(atomically, one, two, tc.item, four))
			got := moneytest.WantNothingMoved(t, err, tc.reason)
			if got.Field != tc.field || got.Metadata["item_index"] != "2" {
				t.Errorf("the error names field %q and item %q", got.Field, got.Metadata["item_index"])
			}
			if n := books.Transactions(t); n != before {
				t.Errorf("%d transactions were made", n-before)
			}
		})
	}
	if n := books.Accounts(t); n != accounts {
		t.Errorf("%d accounts were opened", n-accounts)
	}
	for name, tc := range cases {
		t.Run(name+" independently", func(t *testing.T) {
			n++
			one, four := post("a", "r", a+" -0.10 USD", x+" 0.10 USD"), post(fmt.Sprint("d", n), "r", x+" -1 USD", s+" 1 USD")
			again := post("first", "r", x+" -1 USD", s+" 1 USD")
			res, err := c.PostTransactions(t.Context(), bulk(independently, one, again, tc.item, four))
			if err != nil {
				t.Fatal(err)
			}
			r := res.GetResults()
			failure := r[2].GetFailure()
			field := strings.TrimSuffix(tc.field, "items[2]")
			if failure.GetReason() != tc.reason || failure.GetField() != field || failure.GetMessage() == "" ||
				failure.GetOutcome() != errorv1.Outcome_OUTCOME_NOT_EXECUTED {
				t.Errorf("the item failed with %v, want %s for field %q", failure, tc.reason, field)
			}
			if r[0].GetTransaction() == nil || r[3].GetTransaction() == nil || !proto.Equal(r[1].GetTransaction(), good) {
				t.Errorf("its neighbours came to %v", r)
			}
		})
	}
	if got := books.Balance(t, alice, "USD"); got != "9.90" { // one key, so once
		t.Errorf("alice has %s", got)
	}
}

func TestABulkThatBreaksARuleIsRefusedAsAWhole(t *testing.T) {
	books := moneytest.New(t)
	c := serve(t, books).as(newOperator())
	good := post("k", "r", "external/x/USD -1 USD", "system/x/USD 1 USD")
	for name, tc := range map[string]struct {
		req   *ledgerv1.PostTransactionsRequest
		field string
	}{
		"no mode":        {bulk(ledgerv1.PostMode_POST_MODE_UNSPECIFIED, good), "mode"},
		"an odd mode":    {bulk(9, good), "mode"},
		"no items":       {bulk(atomically), "items"},
		"no reason":      {bulk(independently, good, post("l", "", "external/x/USD -1 USD", "system/x/USD 1 USD")), "items[1].reason"},
		"no key":         {bulk(independently, good, post("", "r", "external/x/USD -1 USD", "system/x/USD 1 USD")), "items[1].idempotency_key"},
		"a strange code": {bulk(atomically, good, post("l", "r", "external/x/USD -1 USD", "System/x 1 USD")), "items[1].postings[1].account"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.PostTransactions(t.Context(), tc.req)
			if got := moneytest.WantNothingMoved(t, err, "INVALID_ARGUMENT"); got.Field != tc.field {
				t.Errorf("the error names field %q, want %q", got.Field, tc.field)
			}
		})
	}
	if n := books.Transactions(t); n != 0 {
		t.Errorf("%d transactions were made", n)
	}
}

func TestOneKeyTwiceInABulkExecutesOnce(t *testing.T) {
	books := moneytest.New(t)
	c := serve(t, books).as(newOperator())
	item := post("k", "r", "external/x/USD -1 USD", "system/x/USD 1 USD")
	_, err := c.PostTransactions(t.Context(), bulk(atomically, item, item))
	if got := moneytest.WantNothingMoved(t, err, "IDEMPOTENCY_KEY_REUSED"); got.Metadata["item_index"] != "1" {
		t.Errorf("the error names item %q", got.Metadata["item_index"])
	}
	res, err := c.PostTransactions(t.Context(), bulk(independently, item, item))
	if err != nil || !proto.Equal(res.GetResults()[0], res.GetResults()[1]) || res.GetResults()[0].GetTransaction() == nil {
		t.Errorf("got %v, %v", res, err)
	}
	if n := books.Transactions(t); n != 1 {
		t.Errorf("%d transactions were made", n)
	}
}

// Each bulk takes 3.00 in three steps, so that whoever comes last finds funds for
// some of its items and not for all.
func TestRacingBulksAreAtomic(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	alice := books.User(t, "alice")
	books.Fund(t, alice, "20.00 USD")
	a := alice.Account("USD")
	var executed atomic.Int32
	var done sync.WaitGroup
	const calls = 40
	for i := range calls {
		done.Go(func() {
			to := fmt.Sprintf("system/s%d/USD 1 USD", i)
			_, err := replicas[i%2].as(newOperator()).PostTransactions(t.Context(), bulk(atomically,
				post("1", "r", a+" -1 USD", to), post("2", "r", a+" -1 USD", to), post("3", "r", to[:len(to)-6]+" 1 USD", a+" -1 USD")))
			if err == nil {
				executed.Add(1)
				return
			}
			moneytest.WantNothingMoved(t, err, "INSUFFICIENT_FUNDS")
		})
	}
	done.Wait()
	if n := executed.Load(); n != 6 {
		t.Errorf("%d bulks were executed, want 6", n)
	}
	if got := books.Balance(t, alice, "USD"); got != "2.00" {
		t.Errorf("alice has %s", got)
	}
	for i := range calls {
		if got := books.AccountBalance(t, fmt.Sprintf("system/s%d/USD", i)); got != "none" && got != "0.00" && got != "3.00" {
			t.Errorf("bulk %d came to %s", i, got)
		}
	}
}

func TestOneBulkSentAtOnceToTwoReplicasExecutesOnce(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	operator := newOperator()
	for _, mode := range []ledgerv1.PostMode{atomically, independently} {
		var items []*ledgerv1.PostTransactionRequest
		for i := range 50 {
			items = append(items, post(fmt.Sprint(mode.String(), i), "r", "external/x/USD -1 USD", fmt.Sprintf("system/s%d/USD 1 USD", i%7)))
		}
		before := books.Transactions(t)
		answers := make([]*ledgerv1.PostTransactionsResponse, 20)
		var done sync.WaitGroup
		for i := range answers {
			done.Go(func() {
				var err error
				if answers[i], err = replicas[i%2].as(operator).PostTransactions(t.Context(), bulk(mode, items...)); err != nil {
					t.Errorf("%v call %d: %v", mode, i, err)
				}
			})
		}
		done.Wait()
		for i := range answers {
			if !proto.Equal(answers[i], answers[0]) {
				t.Errorf("%v: call %d was told something else than call 0", mode, i)
			}
		}
		if n := books.Transactions(t) - before; n != len(items) {
			t.Errorf("%v: %d transactions were made, want %d", mode, n, len(items))
		}
	}
}
