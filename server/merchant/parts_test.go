package merchant_test

import (
	"fmt"
	"testing"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// An operator can capture what was authorized in parts, and says where each goes,
// whatever the checkout's rate is. All of them are in the day, which is read in pages of
// 500, as the books have them.
func TestADayHasAllPartsThatAnOperatorCaptured(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	if _, err := r.asOperator().SetFeePlan(t.Context(), plan("standard", feeRate(100, "0.05 USD"))); err != nil {
		t.Fatal(err)
	}
	s := open(t, books, r, "batavia")
	alice := books.User(t, "alice")
	books.Fund(t, alice, "600.00 USD")
	const parts = 501
	pay(t, r, alice, mustSell(t, r.as(s.cashier), sale("before", s, "2 USD")), "")
	manual := sale("manual", s, fmt.Sprint(parts, " USD"))
	manual.Capture = checkoutv1.CaptureMode_CAPTURE_MODE_MANUAL
	c := mustSell(t, r.as(s.cashier), manual)
	pay(t, r, alice, c, "")
	pay(t, r, alice, mustSell(t, r.as(s.cashier), sale("after", s, "3 USD")), "")

	usd, err := books.Ledger().Asset(t.Context(), "USD")
	if err != nil {
		t.Fatal(err)
	}
	pending, err := books.Ledger().OpenAccount(t.Context(), ledger.AccountSpec{Code: money.MerchantPending(s.uuid(t), usd), Asset: usd.ID})
	if err != nil {
		t.Fatal(err)
	}
	hold := mustParse(t, id.Checkout, c.GetCheckoutId())
	together(parts, func(i int) {
		who := ledger.Identity{Key: ledger.NewKey("operator", fmt.Sprint(i)), Fingerprint: ledger.Fingerprint("part", fmt.Sprint(i))}
		_, err := books.Ledger().CaptureHold(t.Context(), who, ledger.Capture{
			Hold: hold, Credits: []ledger.Posting{{Account: pending, Amount: ledger.NewAmount(100)}},
		})
		if err != nil {
			t.Errorf("part %d: %v", i, err)
		}
	})
	if has := books.AccountBalance(t, money.MerchantPending(s.uuid(t), usd)); has != "505.85" {
		t.Fatalf("the merchant has %s", has)
	}
	day, err := report(t, r.as(s.owner), s, today(), "")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := sum(day.GetTotals()...), "[3: 506.00 (0.00) - 0.00 - 0.15 = 505.85 USD]"; got != want {
		t.Errorf("the day is %s, want %s", got, want)
	}
}
