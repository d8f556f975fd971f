package ledger_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	"github.com/tillbook/tillbook/gen/tillbook/ledger/v1/ledgerv1connect"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/store/id"
)

// refundOf is a request to give back an amount of dollars; all that is left if it
// is empty.
func refundOf(key string, txn *ledgerv1.Transaction, amount string) *ledgerv1.RefundTransactionRequest {
	req := &ledgerv1.RefundTransactionRequest{IdempotencyKey: key, TransactionId: txn.GetTransactionId(), Reason: "returned"}
	if amount != "" {
		req.Amount = usd(amount)
	}
	return req
}

func mustRefund(t testing.TB, c ledgerv1connect.LedgerServiceClient, req *ledgerv1.RefundTransactionRequest) *ledgerv1.Transaction {
	t.Helper()
	res, err := c.RefundTransaction(t.Context(), req)
	if err != nil {
		t.Fatalf("refund %s: %v", req.GetIdempotencyKey(), err)
	}
	return res.GetTransaction()
}

func reversalOf(key string, txn *ledgerv1.Transaction, receivable bool) *ledgerv1.ReverseTransactionRequest {
	return &ledgerv1.ReverseTransactionRequest{
		IdempotencyKey: key, TransactionId: txn.GetTransactionId(), Reason: "fraud", AllowReceivable: receivable,
	}
}

func mustReverse(t testing.TB, c ledgerv1connect.LedgerServiceClient, req *ledgerv1.ReverseTransactionRequest) *ledgerv1.Transaction {
	t.Helper()
	res, err := c.ReverseTransaction(t.Context(), req)
	if err != nil {
		t.Fatalf("reverse %s: %v", req.GetIdempotencyKey(), err)
	}
	return res.GetTransaction()
}

func getTransaction(t testing.TB, c ledgerv1connect.LedgerServiceClient, txn string) *ledgerv1.Transaction {
	t.Helper()
	res, err := c.GetTransaction(t.Context(), &ledgerv1.GetTransactionRequest{TransactionId: txn})
	if err != nil {
		t.Fatal(err)
	}
	return res.GetTransaction()
}

func TestATransactionIsRefundedInPartsThatNameEachOther(t *testing.T) {
	books := moneytest.New(t)
	operator := newOperator()
	c := serve(t, books).as(operator)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "10.00 USD")
	books.Fund(t, bob, "1.00 USD")
	a, b := alice.Account("USD"), bob.Account("USD")
	paid := mustPost(t, c, post("p", "sale", a+" -6 USD", b+" 6 USD"))

	first := mustRefund(t, c, refundOf("r1", paid, "2.50"))
	want := []string{a + " 2.50 USD after 6.50", b + " -2.50 USD after 4.50"}
	if got := lines(first.GetEntries()); !slices.Equal(got, want) {
		t.Errorf("the refund's entries are\n%q, want\n%q", got, want)
	}
	if first.GetKind() != "refund" || first.GetNote() != "returned" || first.GetOriginalTransactionId() != paid.GetTransactionId() {
		t.Errorf("the refund is %v", first)
	}
	wantOperator(t, books, first.GetTransactionId(), id.Format(id.Operator, operator.Operator))
	second := mustRefund(t, c, refundOf("r2", paid, ""))
	read := getTransaction(t, c, paid.GetTransactionId())
	if !proto.Equal(read.GetRefunded(), usd("6.00")) ||
		!slices.Equal(read.GetRefundTransactionIds(), []string{first.GetTransactionId(), second.GetTransactionId()}) {
		t.Errorf("the original reads as %v", read)
	}
	if again := getTransaction(t, c, first.GetTransactionId()); !proto.Equal(again, first) {
		t.Errorf("the refund reads as %v, want %v", again, first)
	}
	for _, amount := range []string{"", "0.01"} {
		_, err := c.RefundTransaction(t.Context(), refundOf("r3", paid, amount))
		moneytest.WantNothingMoved(t, err, "REFUND_EXCEEDED")
	}
	wantAvailable(t, c, a, "10.00", "10.00")
}

func TestRefundsAreRefusedWithTheirExactReasons(t *testing.T) {
	books := moneytest.New(t)
	c := serve(t, books).as(newOperator())
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "20.00 USD")
	books.Fund(t, bob, "1.00 USD")
	a, b := alice.Account("USD"), bob.Account("USD")
	paid := mustPost(t, c, post("p", "sale", a+" -6 USD", b+" 6 USD"))
	shared := mustPost(t, c, post("s", "sale", a+" -3 USD", b+" 1 USD", "system/fees/USD 2 USD"))
	refund := mustRefund(t, c, refundOf("r", paid, "1"))
	reversed := mustPost(t, c, post("q", "sale", a+" -1 USD", b+" 1 USD"))
	reversal := mustReverse(t, c, reversalOf("v", reversed, false))
	euros := refundOf("k", paid, "1")
	euros.Amount.Asset = "EUR"

	cases := map[string]struct {
		req           *ledgerv1.RefundTransactionRequest
		reason, field string
	}{
		"more than is left":     {refundOf("k", paid, "5.01"), "REFUND_EXCEEDED", ""},
		"nothing":               {refundOf("k", paid, "0"), "AMOUNT_NOT_POSITIVE", "amount.amount"},
		"less than nothing":     {refundOf("k", paid, "-1"), "AMOUNT_NOT_POSITIVE", "amount.amount"},
		"too many decimals":     {refundOf("k", paid, "0.001"), "AMOUNT_TOO_PRECISE", "amount.amount"},
		"another asset":         {euros, "ACCOUNT_ASSET_MISMATCH", "amount.asset"},
		"a part of three":       {refundOf("k", shared, "1"), "NOT_REFUNDABLE", ""},
		"a refund":              {refundOf("k", refund, ""), "NOT_REFUNDABLE", ""},
		"a reversal":            {refundOf("k", reversal, ""), "NOT_REFUNDABLE", ""},
		"what was reversed":     {refundOf("k", reversed, ""), "REFUND_EXCEEDED", ""},
		"what there never was":  {refundOf("k", &ledgerv1.Transaction{TransactionId: id.Format(id.Transaction, id.New())}, ""), "NOT_FOUND", ""},
		"something else":        {refundOf("k", &ledgerv1.Transaction{TransactionId: "hld_1"}, ""), "INVALID_ARGUMENT", "transaction_id"},
		"for another's request": {refundOf("p", paid, "1"), "IDEMPOTENCY_KEY_REUSED", ""},
		"for another amount":    {refundOf("r", paid, "2"), "IDEMPOTENCY_KEY_REUSED", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := c.RefundTransaction(t.Context(), tc.req)
			if got := moneytest.WantNothingMoved(t, err, tc.reason); got.Field != tc.field {
				t.Errorf("the error names field %q, want %q", got.Field, tc.field)
			}
		})
	}
	// Bob has spent it.
	mustPost(t, c, post("spend", "r", b+" -7 USD", "external/s/USD 7 USD"))
	_, err := c.RefundTransaction(t.Context(), refundOf("k", paid, ""))
	moneytest.WantNothingMoved(t, err, "INSUFFICIENT_FUNDS")
	_, err = c.ReverseTransaction(t.Context(), reversalOf("k", paid, false))
	moneytest.WantNothingMoved(t, err, "INSUFFICIENT_FUNDS")
	_, err = c.ReverseTransaction(t.Context(), reversalOf("k", reversed, true))
	moneytest.WantNothingMoved(t, err, "REFUND_EXCEEDED")
	_, err = c.ReverseTransaction(t.Context(), reversalOf("k", refund, true))
	moneytest.WantNothingMoved(t, err, "NOT_REFUNDABLE")
	none := &ledgerv1.Transaction{TransactionId: id.Format(id.Transaction, id.New())}
	_, err = c.ReverseTransaction(t.Context(), reversalOf("k", none, true))
	moneytest.WantNothingMoved(t, err, "NOT_FOUND")
}

func TestARepeatedRefundAnswersAsTheFirstTime(t *testing.T) {
	books := moneytest.New(t)
	first, second := serve(t, books), serve(t, books)
	operator := newOperator()
	alice := books.User(t, "alice")
	books.Fund(t, alice, "10.00 USD")
	paid := mustPost(t, first.as(operator), post("p", "sale", alice.Account("USD")+" -6 USD", "external/s/USD 6 USD"))
	part := mustRefund(t, first.as(operator), refundOf("r", paid, "1"))
	rest := mustReverse(t, first.as(operator), reversalOf("v", paid, false))
	if rest.GetKind() != "reversal" || lines(rest.GetEntries())[0] != alice.Account("USD")+" 5.00 USD after 10.00" {
		t.Errorf("the reversal is %v", rest)
	}
	for _, r := range []replica{first, second} {
		if again := mustRefund(t, r.as(operator), refundOf("r", paid, "1.00")); !proto.Equal(again, part) {
			t.Errorf("the refund is then %v, want %v", again, part)
		}
		if again := mustReverse(t, r.as(operator), reversalOf("v", paid, false)); !proto.Equal(again, rest) {
			t.Errorf("the reversal is then %v, want %v", again, rest)
		}
	}
	if n := reversals(t, second, paid); len(n) != 1 {
		t.Errorf("%d reversals are recorded, want 1", len(n))
	}
}

// reversals are the audit records about a transaction: who did it and why.
func reversals(t testing.TB, r replica, txn *ledgerv1.Transaction) (records []string) {
	t.Helper()
	rows, err := r.Store.Pool.Query(t.Context(), `SELECT actor_id::text, details FROM audit_records
		WHERE action = 'transaction.reversed' AND subject = $1`, "transaction/"+txn.GetTransactionId())
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var actor string
		var details json.RawMessage
		if err := rows.Scan(&actor, &details); err != nil {
			t.Fatal(err)
		}
		var said struct {
			Reason string `json:"reason"`
			Owed   bool   `json:"allow_receivable"`
		}
		if err := json.Unmarshal(details, &said); err != nil {
			t.Fatal(err)
		}
		records = append(records, fmt.Sprintf("%s %s %t", actor, said.Reason, said.Owed))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return records
}

func TestAReversalOfSpentMoneyIsOwedAndRepaidFirst(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	operator := newOperator()
	c := r.as(operator)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "10.00 USD")
	books.Fund(t, bob, "1.00 USD")
	a, b := alice.Account("USD"), bob.Account("USD")
	paid := mustPost(t, c, post("p", "sale", a+" -6 USD", b+" 6 USD"))
	mustPost(t, c, post("spend", "r", b+" -5 USD", "external/s/USD 5 USD")) // 2.00 are left

	reversal := mustReverse(t, c, reversalOf("v", paid, true))
	owed := "receivable/" + id.Format(id.User, bob.ID) + "/USD"
	want := []string{a + " 6.00 USD after 10.00", b + " -2.00 USD after 0.00", owed + " -4.00 USD after -4.00"}
	got := lines(reversal.GetEntries())
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the reversal's entries are\n%q, want\n%q", got, want)
	}
	if records := reversals(t, r, paid); !slices.Equal(records, []string{operator.Operator.String() + " fraud true"}) {
		t.Errorf("recorded are %q", records)
	}
	if again := mustReverse(t, c, reversalOf("v", paid, true)); !proto.Equal(again, reversal) {
		t.Errorf("a second time it is %v, want %v", again, reversal)
	}
	// What comes in repays it before bob can spend it.
	mustPost(t, c, post("in1", "r", "external/s/USD -3 USD", b+" 3 USD"))
	if has, owes := books.AccountBalance(t, b), books.AccountBalance(t, owed); has != "0.00" || owes != "-1.00" {
		t.Errorf("bob has %s and owes %s", has, owes)
	}
	mustPost(t, c, post("in2", "r", "external/s/USD -3 USD", b+" 3 USD"))
	if has, owes := books.AccountBalance(t, b), books.AccountBalance(t, owed); has != "2.00" || owes != "0.00" {
		t.Errorf("bob has %s and owes %s", has, owes)
	}
	page, err := c.ListEntries(t.Context(), &ledgerv1.ListEntriesRequest{Account: owed})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range page.GetEntries()[:2] {
		repayment := getTransaction(t, c, e.GetTransactionId())
		if repayment.GetKind() != "repayment" {
			t.Errorf("it was repaid by %v", repayment)
		}
		_, err := c.RefundTransaction(t.Context(), refundOf("k", repayment, ""))
		moneytest.WantNothingMoved(t, err, "NOT_REFUNDABLE")
	}
}

func TestRacingRefundsNeverExceedTheOriginal(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	alice := books.User(t, "alice")
	books.Fund(t, alice, "10.00 USD")
	paid := mustPost(t, replicas[0].as(newOperator()), post("p", "sale", alice.Account("USD")+" -10 USD", "external/s/USD 10 USD"))
	var refunded, reversed atomic.Int32
	var done sync.WaitGroup
	for i := range 50 {
		done.Go(func() {
			c := replicas[i%2].as(newOperator())
			var err error
			if i == 25 {
				if _, err = c.ReverseTransaction(t.Context(), reversalOf("k", paid, false)); err == nil {
					reversed.Add(1)
				}
			} else if _, err = c.RefundTransaction(t.Context(), refundOf("k", paid, "0.75")); err == nil {
				refunded.Add(1)
			}
			if err != nil {
				moneytest.WantNothingMoved(t, err, "REFUND_EXCEEDED")
			}
		})
	}
	done.Wait()
	// Refunds of 0.75 never take all of 10.00, so the reversal finds something left
	// whenever it comes.
	c := replicas[1].as(newOperator())
	read := getTransaction(t, c, paid.GetTransactionId())
	if reversed.Load() != 1 || read.GetRefunded().GetAmount() != "10.00" ||
		len(read.GetRefundTransactionIds()) != int(refunded.Load())+1 {
		t.Errorf("%s was given back by %d refunds and %d reversals; named are %d", read.GetRefunded().GetAmount(),
			refunded.Load(), reversed.Load(), len(read.GetRefundTransactionIds()))
	}
	wantAvailable(t, c, alice.Account("USD"), "10.00", "10.00")
}

func TestACaptureIsRefundedLikeAnyPayment(t *testing.T) {
	books := moneytest.New(t)
	c := serve(t, books).as(newOperator())
	alice := books.User(t, "alice")
	books.Fund(t, alice, "10.00 USD")
	hold := mustHold(t, c, holdOf("h", alice, "5"))
	captured := mustCapture(t, c, captureOf("c", hold, true, "external/s/USD 4 USD")).GetTransaction()
	mustRefund(t, c, refundOf("r", captured, "1.50"))
	wantAvailable(t, c, alice.Account("USD"), "7.50", "7.50")
	// A capture that is asked for again shows what was given back since.
	again := mustCapture(t, c, captureOf("c", hold, true, "external/s/USD 4 USD")).GetTransaction()
	if again.GetRefunded().GetAmount() != "1.50" {
		t.Errorf("it is shown as %v", again)
	}
}
