package merchant_test

import (
	"fmt"
	"testing"

	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// undo gives a payment back whole, fee and all, as operators do. What the merchant
// lacks is owed.
func undo(t testing.TB, books *moneytest.Books, transaction string, kind ledger.Kind) {
	t.Helper()
	who := ledger.Identity{Key: ledger.NewKey("operator", transaction), Fingerprint: ledger.Fingerprint("undo", transaction)}
	_, err := books.Ledger().Refund(t.Context(), who, ledger.Refund{
		Original: mustParse(t, id.Transaction, transaction), Kind: kind, Receivable: kind == ledger.KindReversal,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// An operator who undoes a payment gives its fee back, too. The day then says what the
// merchant has of it, wherever the money came from.
func TestADayHasBackTheFeesOfWhatAnOperatorUndid(t *testing.T) {
	for name, of := range map[string]struct {
		kind    ledger.Kind
		settled bool // it is available by then
		spent   bool // it is withdrawn by then
	}{
		"refunded":                   {kind: ledger.KindRefund},
		"reversed":                   {kind: ledger.KindReversal},
		"reversed after it settled":  {kind: ledger.KindReversal, settled: true},
		"reversed after it was gone": {kind: ledger.KindReversal, settled: true, spent: true},
	} {
		t.Run(name, func(t *testing.T) {
			books := moneytest.New(t)
			r := serve(t, books)
			if _, err := r.asOperator().SetFeePlan(t.Context(), plan("standard", feeRate(100, "0.05 USD"))); err != nil {
				t.Fatal(err)
			}
			s := open(t, books, r, "batavia")
			alice := books.User(t, "alice")
			books.Fund(t, alice, "100.00 USD")
			c := mustSell(t, r.as(s.cashier), sale("1", s, "10 USD"))
			pay(t, r, alice, c, "")
			if of.settled {
				r.settle(t)
			}
			if of.spent {
				if _, err := withdraw(t, r.as(s.owner), "w", s, "9.85 USD"); err != nil {
					t.Fatal(err)
				}
			}
			paid, err := r.as(s.owner).GetCheckout(t.Context(), &merchantv1.GetCheckoutRequest{MerchantId: s.id, CheckoutId: c.GetCheckoutId()})
			if err != nil {
				t.Fatal(err)
			}
			undo(t, books, paid.GetCheckout().GetPayment().GetTransactionId(), of.kind)
			if kept := books.AccountBalance(t, "system/fees/USD"); kept != "0.00" {
				t.Fatalf("%s was kept", kept)
			}
			day, err := report(t, r.as(s.owner), s, today(), "")
			if err != nil {
				t.Fatal(err)
			}
			if got, want := sum(day.GetTotals()...), "[1: 10.00 (0.00) - 10.00 - 0.00 = 0.00 USD]"; got != want {
				t.Errorf("the day is %s, want %s", got, want)
			}
			if got := fmt.Sprint(len(day.GetLines())); got != "1" {
				t.Errorf("it has %s lines", got)
			}
		})
	}
}
