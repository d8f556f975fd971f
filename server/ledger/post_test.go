package ledger_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/store/id"
)

func TestAPostingIsExecutedWithItsReasonAndOperator(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	operator := newOperator()
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "10.00 USD")
	books.Fund(t, bob, "10.00 USD")
	books.Fund(t, bob, "100 JPY")

	// Two assets at once, and an account that is opened by it.
	posted := mustPost(t, r.as(operator), post("fix", "wrong exchange",
		alice.Account("USD")+" -1.5 USD", bob.Account("USD")+" 1.25 USD", "system/corrections/USD 0.25 USD",
		bob.Account("JPY")+" -40 JPY", "external/bank-1/JPY 40 JPY"))
	want := []string{
		alice.Account("USD") + " -1.50 USD after 8.50",
		bob.Account("USD") + " 1.25 USD after 11.25",
		"system/corrections/USD 0.25 USD after 0.25",
		bob.Account("JPY") + " -40 JPY after 60",
		"external/bank-1/JPY 40 JPY after 40",
	}
	if got := lines(posted.GetEntries()); !slices.Equal(got, want) {
		t.Errorf("the entries are\n%q, want\n%q", got, want)
	}
	if posted.GetKind() != "adjustment" || posted.GetNote() != "wrong exchange" {
		t.Errorf("it is %v", posted)
	}
	read, err := r.as(newOperator()).GetTransaction(t.Context(), &ledgerv1.GetTransactionRequest{TransactionId: posted.GetTransactionId()})
	if err != nil || !proto.Equal(read.GetTransaction(), posted) {
		t.Errorf("it reads as %v, %v; want %v", read, err, posted)
	}
	wantOperator(t, books, posted.GetTransactionId(), id.Format(id.Operator, operator.Operator))
}

// wantOperator fails the test unless the transaction's row names its operator.
func wantOperator(t testing.TB, books *moneytest.Books, txn, operator string) {
	t.Helper()
	parsed, err := id.Parse(id.Transaction, txn)
	if err != nil {
		t.Fatal(err)
	}
	row, err := books.Ledger().Transaction(t.Context(), parsed)
	if err != nil {
		t.Fatal(err)
	}
	var details struct {
		Operator string `json:"operator_id"`
	}
	if err := json.Unmarshal(row.Details, &details); err != nil || details.Operator != operator {
		t.Errorf("the details are %s (%v), want operator %s", row.Details, err, operator)
	}
}

func TestARefusedPostingMovesNothingAndOpensNothing(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "10.00 USD")
	transactions, accounts := books.Transactions(t), books.Accounts(t)
	a, external := alice.Account("USD"), "external/new/USD"

	cases := map[string]struct {
		req    *ledgerv1.PostTransactionRequest
		reason string
		field  string
	}{
		"unbalanced":             {post("k", "r", a+" -1 USD", external+" 1.01 USD"), "UNBALANCED_POSTINGS", ""},
		"balanced across assets": {post("k", "r", a+" -1 USD", "external/new/EUR 1 EUR"), "UNBALANCED_POSTINGS", ""},
		"an account twice":       {post("k", "r", a+" -1 USD", a+" 1 USD"), "INVALID_ARGUMENT", "postings[1].account"},
		"one posting":            {post("k", "r", a+" 1 USD"), "INVALID_ARGUMENT", "postings"},
		"a zero":                 {post("k", "r", a+" 0 USD", external+" 0.00 USD"), "INVALID_ARGUMENT", "postings[0].amount.amount"},
		"more than there is":     {post("k", "r", a+" -10.01 USD", "external/sandbox/USD 10.01 USD"), "INSUFFICIENT_FUNDS", ""},
		"a user's new account":   {post("k", "r", external+" -1 USD", bob.Account("USD")+" 1 USD"), "ACCOUNT_NOT_FOUND", "postings[1].account"},
		"an account of no class": {post("k", "r", external+" -1 USD", "usr/x/USD 1 USD"), "ACCOUNT_NOT_FOUND", "postings[1].account"},
		"the wrong asset":        {post("k", "r", a+" -1 EUR", "external/new/EUR 1 EUR"), "ACCOUNT_ASSET_MISMATCH", "postings[0].amount.asset"},
		"a new one beside it":    {post("k", "r", "external/sandbox/EUR 1 EUR", "external/sandbox/USD -1 EUR"), "ACCOUNT_ASSET_MISMATCH", "postings[1].amount.asset"},
		"a wrong asset outside":  {post("k", "r", "external/sandbox/USD -1 EUR", "external/sandbox/EUR 1 EUR"), "ACCOUNT_ASSET_MISMATCH", "postings[0].amount.asset"},
		"an unknown asset":       {post("k", "r", a+" -1 XYZ", external+" 1 XYZ"), "ASSET_NOT_FOUND", "postings[0].amount.asset"},
		"too many decimals":      {post("k", "r", a+" -1.001 USD", external+" 1.001 USD"), "AMOUNT_TOO_PRECISE", "postings[0].amount.amount"},
		"too many digits":        {post("k", "r", a+" -9999999999999999999999999999999999999 USD", external+" 1 USD"), "AMOUNT_OUT_OF_RANGE", "postings[0].amount.amount"},
		"no reason":              {post("k", "", a+" -1 USD", external+" 1 USD"), "INVALID_ARGUMENT", "reason"},
		"no key":                 {post("", "r", a+" -1 USD", external+" 1 USD"), "INVALID_ARGUMENT", "idempotency_key"},
		"no account's code":      {post("k", "r", a+" -1 USD", "External/x 1 USD"), "INVALID_ARGUMENT", "postings[1].account"},
		"an endless code":        {post("k", "r", a+" -1 USD", "external/"+strings.Repeat("x", 3000)+" 1 USD"), "INVALID_ARGUMENT", "postings[1].account"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := r.as(newOperator()).PostTransaction(t.Context(), c.req)
			if got := moneytest.WantNothingMoved(t, err, c.reason); got.Field != c.field {
				t.Errorf("the error names field %q, want %q", got.Field, c.field)
			}
		})
	}
	if n := books.Transactions(t); n != transactions {
		t.Errorf("%d transactions were made", n-transactions)
	}
	if n := books.Accounts(t); n != accounts {
		t.Errorf("%d accounts were opened", n-accounts)
	}
}

func TestARepeatedPostingIsTheFirstAndAKeyStandsForOne(t *testing.T) {
	books := moneytest.New(t)
	first, second := serve(t, books), serve(t, books)
	operator := newOperator()
	alice := books.User(t, "alice")
	books.Fund(t, alice, "10.00 USD")
	a, system := alice.Account("USD"), "system/corrections/USD"

	posted := mustPost(t, first.as(operator), post("k", "r", a+" -1 USD", system+" 1 USD"))
	for name, req := range map[string]*ledgerv1.PostTransactionRequest{
		"the same":      post("k", "r", a+" -1 USD", system+" 1 USD"),
		"more zeros":    post("k", "r", a+" -1.00 USD", system+" 1.0 USD"),
		"another order": post("k", "r", system+" 1 USD", a+" -1 USD"),
	} {
		for _, r := range []replica{first, second} {
			if again := mustPost(t, r.as(operator), req); !proto.Equal(again, posted) {
				t.Errorf("%s: got %v, want %v", name, again, posted)
			}
		}
	}
	for name, req := range map[string]*ledgerv1.PostTransactionRequest{
		"another amount":  post("k", "r", a+" -2 USD", system+" 2 USD"),
		"another account": post("k", "r", a+" -1 USD", "system/other/USD 1 USD"),
		"another reason":  post("k", "s", a+" -1 USD", system+" 1 USD"),
		"the other way":   post("k", "r", a+" 1 USD", system+" -1 USD"),
	} {
		_, err := second.as(operator).PostTransaction(t.Context(), req)
		t.Log(name)
		moneytest.WantNothingMoved(t, err, "IDEMPOTENCY_KEY_REUSED")
	}
	// Keys are each operator's own.
	mustPost(t, first.as(newOperator()), post("k", "r", a+" -2 USD", system+" 2 USD"))
	if got := books.Balance(t, alice, "USD"); got != "7.00" {
		t.Errorf("alice has %s", got)
	}
}

func TestOneKeyPostedAtOnceOnTwoReplicasExecutesOnce(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	operator := newOperator()
	alice := books.User(t, "alice")
	books.Fund(t, alice, "10.00 USD")
	before := books.Transactions(t)

	const calls = 200
	answers := make([]*ledgerv1.Transaction, calls)
	var done sync.WaitGroup
	for i := range calls {
		done.Go(func() {
			res, err := replicas[i%2].as(operator).PostTransaction(t.Context(),
				post("k", "r", alice.Account("USD")+" -1 USD", "system/corrections/USD 1 USD"))
			if err != nil {
				t.Errorf("call %d: %v", i, err)
				return
			}
			answers[i] = res.GetTransaction()
		})
	}
	done.Wait()
	for i, a := range answers {
		if !proto.Equal(a, answers[0]) {
			t.Errorf("call %d was told %v, call 0 %v", i, a, answers[0])
		}
	}
	if n := books.Transactions(t) - before; n != 1 {
		t.Errorf("%d transactions were made, want 1", n)
	}
}

func TestRacingPostingsNeverOverdraw(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	alice := books.User(t, "alice")
	books.Fund(t, alice, "10.00 USD")
	var done sync.WaitGroup
	for i := range 40 {
		done.Go(func() {
			_, err := replicas[i%2].as(newOperator()).PostTransaction(t.Context(),
				post("k", "r", alice.Account("USD")+" -1 USD", fmt.Sprintf("system/s%d/USD 1 USD", i%4)))
			if err != nil {
				moneytest.WantNothingMoved(t, err, "INSUFFICIENT_FUNDS")
			}
		})
	}
	done.Wait()
	if got := books.Balance(t, alice, "USD"); got != "0.00" {
		t.Errorf("alice has %s", got)
	}
}
