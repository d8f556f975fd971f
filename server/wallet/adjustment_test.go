package wallet_test

import (
	"slices"
	"testing"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/store/ledger"
)

// adjust posts what an operator might: a transaction with any number of
// entries.
func adjust(t testing.TB, books *moneytest.Books, key string, postings map[string]int64) {
	t.Helper()
	cmd := ledger.Command{Key: ledger.NewKey("test", key), Kind: ledger.KindAdjustment}
	draft := ledger.Draft{Note: "correction"}
	for code, units := range postings {
		account, _, err := books.Ledger().LookupAccount(t.Context(), code)
		if err != nil {
			t.Fatal(err)
		}
		cmd.Accounts = append(cmd.Accounts, account)
		draft.Postings = append(draft.Postings, ledger.Posting{Account: account, Amount: ledger.NewAmount(units)})
	}
	cmd.Decide = func(ledger.View) (ledger.Draft, error) { return draft, nil }
	if _, err := books.Ledger().Commit(t.Context(), cmd); err != nil {
		t.Fatal(err)
	}
}

func TestATransactionOfSeveralOwnBalancesIsToldForEach(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob, carol := books.User(t, "alice"), books.User(t, "bobby"), books.User(t, "carol")
	for _, u := range []moneytest.User{alice, bob, carol} {
		for _, asset := range []string{"USD", "EUR", "JPY"} {
			books.Fund(t, u, "100 "+asset)
		}
	}
	w := watch(t, r, alice, "")
	w.snapshot(t)
	adjust(t, books, "with bob", map[string]int64{
		alice.Account("USD"): -100, bob.Account("USD"): 100,
		alice.Account("EUR"): 200, bob.Account("EUR"): -200,
		alice.Account("JPY"): -3, bob.Account("JPY"): 3,
	})
	adjust(t, books, "with both", map[string]int64{
		alice.Account("USD"): -100, bob.Account("USD"): 50, carol.Account("USD"): 50,
	})
	want := []string{
		"TRANSACTION_KIND_ADJUSTMENT -1.00 USD after 98.00 with Several",
		"TRANSACTION_KIND_ADJUSTMENT -1.00 USD after 99.00 with b***y",
		"TRANSACTION_KIND_ADJUSTMENT -3 JPY after 97 with b***y",
		"TRANSACTION_KIND_ADJUSTMENT 2.00 EUR after 102.00 with b***y",
	}
	var told []*walletv1.Transaction
	for range want {
		told = append(told, w.change(t))
	}
	if got := slices.Sorted(slices.Values(lines(told))); !slices.Equal(got, want) {
		t.Errorf("the stream tells %q, want %q", got, want)
	}
	for _, size := range []int32{1, 2, 3, 50} {
		all := list(t, r.as(alice), &walletv1.ListTransactionsRequest{
			PageSize: size, Kind: walletv1.TransactionKind_TRANSACTION_KIND_ADJUSTMENT,
		}, nothing)
		if got := slices.Sorted(slices.Values(lines(all))); !slices.Equal(got, want) {
			t.Errorf("pages of %d list %q, want %q", size, got, want)
		}
	}
	shown, err := r.as(carol).GetTransaction(t.Context(), &walletv1.GetTransactionRequest{TransactionId: told[3].GetTransactionId()})
	if err != nil {
		t.Fatal(err)
	}
	if got := lines([]*walletv1.Transaction{shown.GetTransaction()})[0]; got != "TRANSACTION_KIND_ADJUSTMENT 0.50 USD after 100.50 with Several" {
		t.Errorf("to another who took part it is %s", got)
	}
}
