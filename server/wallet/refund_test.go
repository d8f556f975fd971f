package wallet_test

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// giveBack is a request that refunds a sum of a payment; all that is left if the
// sum is empty.
func giveBack(key, transaction, sum string) *walletv1.RefundTransactionRequest {
	req := &walletv1.RefundTransactionRequest{IdempotencyKey: key, TransactionId: transaction}
	if sum != "" {
		req.Amount = amount(sum)
	}
	return req
}

func mustGiveBack(t testing.TB, c walletv1connect.WalletServiceClient, req *walletv1.RefundTransactionRequest) *walletv1.Transaction {
	t.Helper()
	res, err := c.RefundTransaction(t.Context(), req)
	if err != nil {
		t.Fatalf("refund %s: %v", req.GetIdempotencyKey(), err)
	}
	return res.GetTransaction()
}

func get(t testing.TB, c walletv1connect.WalletServiceClient, transaction string) *walletv1.Transaction {
	t.Helper()
	res, err := c.GetTransaction(t.Context(), &walletv1.GetTransactionRequest{TransactionId: transaction})
	if err != nil {
		t.Fatalf("get %s: %v", transaction, err)
	}
	return res.GetTransaction()
}

func TestARefundIsLinkedBothWaysInBothHistories(t *testing.T) {
	books := moneytest.New(t)
	here, there := serve(t, books), serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "10.00 USD")
	paid := mustPay(t, here.as(alice), transfer("pay", "6 USD", byID(bob))).GetTransactionId()
	w := watch(t, there, alice, "")
	w.snapshot(t)

	req := giveBack("1", paid, "2.5 USD")
	req.Note = "one was broken"
	part := mustGiveBack(t, here.as(bob), req)
	if got := lines([]*walletv1.Transaction{part})[0]; got != "TRANSACTION_KIND_REFUND -2.50 USD after 3.50 with a***e" ||
		part.GetOriginalTransactionId() != paid || part.GetNote() != req.GetNote() {
		t.Errorf("who gives back is told %s: %v", got, part)
	}
	if told := w.change(t); !proto.Equal(told, get(t, there.as(alice), part.GetTransactionId())) || text(told.GetAmount()) != "2.50 USD" ||
		told.GetOriginalTransactionId() != paid {
		t.Errorf("the payer's stream tells %v", told)
	}
	rest := mustGiveBack(t, there.as(bob), giveBack("2", paid, ""))
	if text(rest.GetAmount()) != "-3.50 USD" {
		t.Errorf("the rest is %s", text(rest.GetAmount()))
	}
	for _, u := range []moneytest.User{alice, bob} {
		original := get(t, here.as(u), paid)
		if text(original.GetRefunded()) != "6.00 USD" || original.GetOriginalTransactionId() != "" ||
			!slices.Equal(original.GetRefundTransactionIds(), []string{part.GetTransactionId(), rest.GetTransactionId()}) {
			t.Errorf("%s sees of the payment %v", u.Username, original)
		}
		for _, listed := range list(t, here.as(u), &walletv1.ListTransactionsRequest{}, nothing) {
			if !proto.Equal(listed, get(t, here.as(u), listed.GetTransactionId())) {
				t.Errorf("%s lists %v, and gets another", u.Username, listed)
			}
		}
		only := list(t, here.as(u), &walletv1.ListTransactionsRequest{Kind: walletv1.TransactionKind_TRANSACTION_KIND_REFUND}, nothing)
		if len(only) != 2 {
			t.Errorf("%s lists %d refunds, want 2", u.Username, len(only))
		}
	}
	wantBalance(t, books, alice, "10.00 USD")
	wantBalance(t, books, bob, "0.00 USD")
}

func TestARefundThatCannotBeIsRefused(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob, carol := books.User(t, "alice"), books.User(t, "bobby"), books.User(t, "carol")
	books.Fund(t, alice, "100.00 USD")
	paid := mustPay(t, r.as(alice), transfer("pay", "10 USD", byID(bob))).GetTransactionId()
	returned := mustPay(t, r.as(alice), transfer("returned", "1 USD", byID(bob))).GetTransactionId()
	refund := mustGiveBack(t, r.as(bob), giveBack("returned", returned, "")).GetTransactionId()
	spent := mustPay(t, r.as(alice), transfer("spent", "50 USD", byID(carol))).GetTransactionId()
	mustPay(t, r.as(carol), transfer("spend", "20 USD", byID(bob)))
	funding := list(t, r.as(alice), &walletv1.ListTransactionsRequest{Kind: walletv1.TransactionKind_TRANSACTION_KIND_FUNDING}, nothing)[0].GetTransactionId()
	before := books.Transactions(t)

	for name, tt := range map[string]struct {
		by     moneytest.User
		req    *walletv1.RefundTransactionRequest
		reason string
	}{
		"more than was paid":        {bob, giveBack("k", paid, "10.01 USD"), "REFUND_EXCEEDED"},
		"what was given back":       {bob, giveBack("k", returned, ""), "REFUND_EXCEEDED"},
		"by who paid":               {alice, giveBack("k", paid, ""), "NOT_REFUNDABLE"},
		"by a stranger":             {carol, giveBack("k", paid, ""), "NOT_FOUND"},
		"of no transaction":         {bob, giveBack("k", id.Format(id.Transaction, id.New()), ""), "NOT_FOUND"},
		"of a refund":               {alice, giveBack("k", refund, ""), "NOT_REFUNDABLE"},
		"of money from outside":     {alice, giveBack("k", funding, ""), "NOT_REFUNDABLE"},
		"of what was spent":         {carol, giveBack("k", spent, ""), "INSUFFICIENT_FUNDS"},
		"nothing":                   {bob, giveBack("k", paid, "0 USD"), "AMOUNT_NOT_POSITIVE"},
		"less than nothing":         {bob, giveBack("k", paid, "-1 USD"), "AMOUNT_NOT_POSITIVE"},
		"too precise a sum":         {bob, giveBack("k", paid, "0.001 USD"), "AMOUNT_TOO_PRECISE"},
		"other money":               {bob, giveBack("k", paid, "1 EUR"), "ACCOUNT_ASSET_MISMATCH"},
		"unknown money":             {bob, giveBack("k", paid, "1 XYZ"), "ASSET_NOT_FOUND"},
		"with a key of another":     {bob, giveBack("returned", paid, ""), "IDEMPOTENCY_KEY_REUSED"},
		"without a key":             {bob, giveBack("", paid, ""), "INVALID_ARGUMENT"},
		"with a payment's key":      {carol, giveBack("spend", spent, "1 USD"), "IDEMPOTENCY_KEY_REUSED"},
		"of what is no transaction": {bob, giveBack("k", "txn_x", ""), "INVALID_ARGUMENT"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.as(tt.by).RefundTransaction(t.Context(), tt.req)
			moneytest.WantNothingMoved(t, err, tt.reason)
		})
	}
	if n := books.Transactions(t) - before; n != 0 {
		t.Errorf("%d transactions were made", n)
	}
	// A refused refund leaves its key free.
	mustGiveBack(t, r.as(bob), giveBack("k", paid, ""))
}

func TestARetriedRefundIsTheFirst(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "10.00 USD")
	paid := mustPay(t, replicas[0].as(alice), transfer("pay", "10 USD", byID(bob))).GetTransactionId()
	answers := make([]*walletv1.Transaction, 40)
	together(len(answers), func(i int) {
		answers[i] = mustGiveBack(t, replicas[i%2].as(bob), giveBack("once", paid, []string{"4 USD", "4.00 USD"}[i/2%2]))
	})
	for i, a := range answers {
		if a.GetTransactionId() != answers[0].GetTransactionId() {
			t.Errorf("call %d was told %v, call 0 %v", i, a, answers[0])
		}
	}
	_, err := replicas[0].as(bob).RefundTransaction(t.Context(), giveBack("once", paid, "5 USD"))
	moneytest.WantNothingMoved(t, err, "IDEMPOTENCY_KEY_REUSED")
	wantBalance(t, books, bob, "6.00 USD")
}

func TestRacingRefundsNeverExceedThePayment(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "10.00 USD")
	books.Fund(t, bob, "100.00 USD")
	paid := mustPay(t, replicas[0].as(alice), transfer("pay", "10 USD", byID(bob))).GetTransactionId()
	var refunded atomic.Int64
	together(50, func(i int) {
		_, err := replicas[i%2].as(bob).RefundTransaction(t.Context(), giveBack(fmt.Sprint(i), paid, "3 USD"))
		if err == nil {
			refunded.Add(1)
			return
		}
		if got := moneytest.ReadRefusal(t, err).Reason; got != "REFUND_EXCEEDED" {
			t.Errorf("call %d: %v", i, err)
		}
	})
	if refunded.Load() != 3 {
		t.Errorf("3 USD were given back %d times of 10 USD", refunded.Load())
	}
	wantBalance(t, books, alice, "9.00 USD")
	wantBalance(t, books, bob, "101.00 USD")
}

// holdOf holds a part of a user's money.
func holdOf(t testing.TB, books *moneytest.Books, u moneytest.User, key, sum, reference string) ledger.Hold {
	t.Helper()
	account, asset, err := books.Ledger().LookupAccount(t.Context(), u.Account(amount(sum).GetAsset()))
	if err != nil {
		t.Fatal(err)
	}
	held, err := books.Ledger().AssetByID(t.Context(), asset)
	if err != nil {
		t.Fatal(err)
	}
	value, err := ledger.ParseDecimal(amount(sum).GetAmount(), held.Exponent)
	if err != nil {
		t.Fatal(err)
	}
	result, err := books.Ledger().CreateHold(t.Context(), identity("hold", key), ledger.NewHold{
		Account: account, Amount: value, Reference: reference, ExpireTime: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatalf("hold %s: %v", key, err)
	}
	return result.Hold
}

func identity(what, key string) ledger.Identity {
	return ledger.Identity{Key: ledger.NewKey("test", what+key), Fingerprint: ledger.Fingerprint(what, key)}
}

// capture captures parts of a hold, in cents.
func capture(t testing.TB, books *moneytest.Books, key string, hold ledger.Hold, final bool, credits map[string]int64) string {
	t.Helper()
	c := ledger.Capture{Hold: hold.ID, Final: final}
	for code, cents := range credits {
		account, err := books.Ledger().OpenAccount(t.Context(), ledger.AccountSpec{Code: code, Asset: hold.Asset})
		if err != nil {
			t.Fatal(err)
		}
		c.Credits = append(c.Credits, ledger.Posting{Account: account, Amount: ledger.NewAmount(cents)})
	}
	result, err := books.Ledger().CaptureHold(t.Context(), identity("capture", key), c)
	if err != nil {
		t.Fatalf("capture %s: %v", key, err)
	}
	return id.Format(id.Transaction, result.Transaction.ID)
}

func TestACaptureIsGivenBackByWhoAloneReceivedIt(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob, carol := books.User(t, "alice"), books.User(t, "bobby"), books.User(t, "carol")
	books.Fund(t, alice, "10.00 USD")
	hold := holdOf(t, books, alice, "1", "6 USD", "dinner")
	alone := capture(t, books, "1", hold, false, map[string]int64{bob.Account("USD"): 200})
	shared := capture(t, books, "2", hold, true, map[string]int64{bob.Account("USD"): 300, carol.Account("USD"): 100})

	// What carol received is not bob's to give back.
	for _, u := range []moneytest.User{bob, carol} {
		_, err := r.as(u).RefundTransaction(t.Context(), giveBack("shared", shared, ""))
		moneytest.WantNothingMoved(t, err, "NOT_REFUNDABLE")
	}
	mustGiveBack(t, r.as(bob), giveBack("alone", alone, "1 USD"))
	wantBalance(t, books, alice, "5.00 USD")
	wantBalance(t, books, bob, "4.00 USD")
	wantBalance(t, books, carol, "1.00 USD")
}

func TestAWalletShowsWhatIsOwedUntilItIsRepaid(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "20.00 USD")
	paid := mustPay(t, r.as(alice), transfer("pay", "10 USD", byID(bob)))
	mustPay(t, r.as(bob), transfer("spend", "7 USD", byID(alice)))
	original, err := id.Parse(id.Transaction, paid.GetTransactionId())
	if err != nil {
		t.Fatal(err)
	}
	_, err = books.Ledger().Refund(t.Context(), identity("reverse", ""), ledger.Refund{
		Original: original, Kind: ledger.KindReversal, Receivable: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	owed := func() string {
		t.Helper()
		res, err := r.as(bob).GetWallet(t.Context(), &walletv1.GetWalletRequest{})
		if err != nil {
			t.Fatal(err)
		}
		b := res.GetBalances()[0]
		return text(b.GetTotal()) + " owed " + text(b.GetOwed())
	}
	if got := owed(); got != "0.00 USD owed 7.00 USD" {
		t.Errorf("after the reversal bob has %s", got)
	}
	w := watch(t, r, bob, "")
	if owed := w.next(t).GetSnapshot().GetBalances()[0].GetOwed(); text(owed) != "7.00 USD" {
		t.Errorf("the snapshot says that %s is owed", text(owed))
	}
	mustPay(t, r.as(alice), transfer("1", "3 USD", byID(bob)))
	if got := owed(); got != "0.00 USD owed 4.00 USD" {
		t.Errorf("after 3 USD came in bob has %s", got)
	}
	mustPay(t, r.as(alice), transfer("2", "5 USD", byID(bob)))
	if got := owed(); got != "1.00 USD owed  " {
		t.Errorf("after all was repaid bob has %s", got)
	}
	var told []string
	for range 4 {
		told = append(told, lines([]*walletv1.Transaction{w.change(t)})[0])
	}
	want := []string{
		"TRANSACTION_KIND_TRANSFER 3.00 USD after 3.00 with a***e",
		"TRANSACTION_KIND_REPAYMENT -3.00 USD after 0.00 with System",
		"TRANSACTION_KIND_TRANSFER 5.00 USD after 5.00 with a***e",
		"TRANSACTION_KIND_REPAYMENT -4.00 USD after 1.00 with System",
	}
	if !slices.Equal(told, want) {
		t.Errorf("bob's stream tells\n%q, want\n%q", told, want)
	}
	if shown := get(t, r.as(bob), paid.GetTransactionId()); text(shown.GetRefunded()) != "10.00 USD" {
		t.Errorf("the reversed payment is shown as %v", shown)
	}
}
