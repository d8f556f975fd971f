package ledger_test

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/server/checkout/checkouttest"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/store/id"
)

// An operator who gives up the hold of a checkout cancels it: the shop and its terminal
// are told in the same commit, once, and of other holds nothing.
func TestGivingUpACheckoutsHoldTellsTheShop(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	c := r.as(newOperator())
	alice, owner := books.User(t, "alice"), books.User(t, "owner")
	books.Fund(t, alice, "10.00 USD")
	shop := checkouttest.Open(t, r.Store, owner.ID)
	desk := checkout.New(checkout.Deps{Store: r.Store, Ledger: r.Ledger})
	sale, err := desk.Create(t.Context(), &checkout.Draft{
		By: checkout.Caller{User: owner.ID}, Key: "sale", Merchant: shop.Merchant, Terminal: shop.Terminal,
		Amount: &moneyv1.Money{Asset: "USD", Amount: "4.00"}, Capture: checkoutv1.CaptureMode_CAPTURE_MODE_MANUAL,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := desk.Pay(t.Context(), &checkout.Payment{User: alice.ID, Key: "pay", Checkout: id.Format(id.Checkout, sale.ID)}); err != nil {
		t.Fatal(err)
	}
	told := func() []string {
		t.Helper()
		rows, err := r.Store.Pool.Query(t.Context(), `SELECT subject FROM events WHERE type = 'checkout.canceled' AND payload->>'checkout' = $1`, sale.ID.String())
		if err != nil {
			t.Fatal(err)
		}
		subjects, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(subjects)
		return subjects
	}
	other := mustHold(t, c, holdOf("other", alice, "1"))
	void := func(hold string) {
		t.Helper()
		if _, err := c.VoidHold(t.Context(), &ledgerv1.VoidHoldRequest{IdempotencyKey: "void-" + hold[len(hold)-4:], HoldId: hold}); err != nil {
			t.Fatal(err)
		}
	}
	void(other.GetHoldId())
	if got := told(); len(got) > 0 {
		t.Errorf("of another hold, %q were told", got)
	}
	for range 2 {
		void(id.Format(id.Hold, sale.ID))
	}
	if got, want := told(), []string{money.MerchantScope(shop.Merchant), money.TerminalScope(shop.Terminal)}; !slices.Equal(got, want) {
		t.Errorf("%q were told, want %q", got, want)
	}
	now, err := desk.Get(t.Context(), checkout.Scope{}, id.Format(id.Checkout, sale.ID))
	if err != nil || now.State != checkout.Canceled {
		t.Errorf("the checkout is %v, %v", now, err)
	}
	wantAvailable(t, c, alice.Account("USD"), "10.00", "10.00")
}
