package checkout_test

import (
	"sync/atomic"
	"testing"

	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

func TestAnAuthorizedCheckoutIsCapturedInFull(t *testing.T) {
	w := newWorld(t)
	w.shop.Charge(t, "USD", 100, 5)
	c := w.sellManually("10.00 USD")
	p := w.payment(c)
	p.Tip = amount("2.00 USD")
	authorized, txn, err := w.desks[0].Pay(t.Context(), p)
	if err != nil || txn != nil || authorized.State != checkout.Authorized {
		t.Fatalf("paying gives %v and %v, %v", authorized, txn, err)
	}
	m := w.message(authorized, checkout.ForMerchant())
	if pay := m.GetPayment(); pay.GetTransactionId() != "" || pay.GetTotal().GetAmount() != "12.00" || pay.GetTip().GetAmount() != "2.00" ||
		pay.GetFee().GetAmount() != "0.17" || pay.GetMaskedCustomer() != "a***e" || m.GetCloseTime() == nil || m.GetQrText() != "" {
		t.Errorf("the merchant sees %v", m)
	}
	w.wantMoney("1000.00", "0.00", "0.00", "0.00")
	if again, _, err := w.desks[1].Pay(t.Context(), p); err != nil || again.State != checkout.Authorized {
		t.Errorf("paying again gives %v, %v", again, err)
	}
	r := w.change(c, "")
	for i := range 2 {
		captured, err := w.desks[i].Capture(t.Context(), r)
		if err != nil || captured.State != checkout.Succeeded {
			t.Fatalf("capturing gives %v, %v", captured, err)
		}
	}
	w.wantMoney("988.00", "11.83", "0.00", "0.17")
	got := w.message(w.get(c), checkout.ForMerchant())
	if got.GetPayment().GetTransactionId() == "" || got.GetPayment().GetNet().GetAmount() != "11.83" ||
		!got.GetCloseTime().AsTime().After(m.GetCloseTime().AsTime()) {
		t.Errorf("the merchant sees %v", got)
	}
	_, err = w.desks[0].Capture(t.Context(), w.change(c, ""))
	w.wantReason(err, "CHECKOUT_CLOSED")
}

func TestWhatIsNotCapturedIsTheCustomersAgain(t *testing.T) {
	w := newWorld(t)
	w.shop.Charge(t, "USD", 100, 0)
	c := w.sellManually("10.00 USD")
	w.pay(c)
	for _, wrong := range []struct{ sum, reason string }{
		{"10.01 USD", "HOLD_EXCEEDED"}, {"0.00 USD", "AMOUNT_NOT_POSITIVE"}, {"1.00 EUR", "ACCOUNT_ASSET_MISMATCH"}, {"0.001 USD", "AMOUNT_TOO_PRECISE"},
	} {
		_, err := w.desks[0].Capture(t.Context(), w.change(c, wrong.sum))
		w.wantReason(err, wrong.reason)
	}
	r := w.change(c, "4.00 USD")
	captured, err := w.desks[0].Capture(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if pay := w.message(captured, checkout.ForMerchant()).GetPayment(); pay.GetTotal().GetAmount() != "4.00" || pay.GetTip().GetAmount() != "0.00" {
		t.Errorf("the merchant sees %v", pay)
	}
	r.Amount = amount("5.00 USD")
	_, err = w.desks[0].Capture(t.Context(), r)
	w.wantReason(err, "IDEMPOTENCY_KEY_REUSED")
	w.wantMoney("996.00", "3.96", "0.00", "0.04")
	account, err := w.books.Ledger().Account(t.Context(), w.customer.Account("USD"))
	if err != nil || !account.Held.IsZero() {
		t.Errorf("%v is held, %v", account.Held, err)
	}
}

func TestOnlyWhatIsAuthorizedIsCaptured(t *testing.T) {
	w := newWorld(t)
	for from, reason := range map[checkout.State]string{
		checkout.Created: "CHECKOUT_NOT_AUTHORIZED", checkout.Acknowledged: "CHECKOUT_NOT_AUTHORIZED",
		checkout.Succeeded: "CHECKOUT_CLOSED", checkout.Declined: "CHECKOUT_CLOSED", checkout.Canceled: "CHECKOUT_CLOSED",
		checkout.Expired: "CHECKOUT_CLOSED",
	} {
		c := w.bring(from)
		_, err := w.desks[0].Capture(t.Context(), w.change(c, ""))
		w.wantReason(err, reason)
	}
	void := w.bring(checkout.Authorized)
	if _, err := w.desks[0].Cancel(t.Context(), w.merchant(), name(void)); err != nil {
		t.Fatal(err)
	}
	_, err := w.desks[0].Capture(t.Context(), w.change(void, ""))
	w.wantReason(err, "CHECKOUT_CLOSED")
	if m := w.message(w.get(void), checkout.ForMerchant()); m.GetPayment() != nil || m.GetState() != checkout.Canceled {
		t.Errorf("the merchant sees %v", m)
	}
}

// settle moves what is pending to what is available, as a settlement does.
func (w *world) settle(cents int64) {
	w.Helper()
	books := w.books.Ledger()
	asset, err := books.Asset(w.Context(), "USD")
	if err != nil {
		w.Fatal(err)
	}
	var accounts []ledger.AccountID
	for _, code := range []string{money.MerchantPending(w.shop.Merchant, asset), money.MerchantAvailable(w.shop.Merchant, asset)} {
		account, err := books.OpenAccount(w.Context(), ledger.AccountSpec{Code: code, Asset: asset.ID})
		if err != nil {
			w.Fatal(err)
		}
		accounts = append(accounts, account)
	}
	_, err = books.Commit(w.Context(), ledger.Command{
		Key: ledger.NewKey("settle", w.key()), Kind: ledger.KindSettlement, Accounts: accounts,
		Decide: ledger.Transfer(accounts[0], accounts[1], ledger.NewAmount(cents), ""),
	})
	if err != nil {
		w.Fatal(err)
	}
}

func TestARefundComesFromPendingAndThenFromAvailable(t *testing.T) {
	w := newWorld(t)
	w.shop.Charge(t, "USD", 100, 0)
	c := w.sell("100.00 USD")
	w.pay(c)
	w.wantMoney("900.00", "99.00", "0.00", "1.00")
	w.settle(60_00)
	fees := "1.00"
	refund := func(sum, customer, pending, available string) {
		t.Helper()
		back, txn, err := w.desks[0].Refund(t.Context(), w.change(c, sum))
		if err != nil {
			t.Fatal(err)
		}
		w.wantMoney(customer, pending, available, fees)
		refunds := w.message(back, checkout.ForMerchant()).GetPayment().GetRefundTransactionIds()
		if len(refunds) == 0 || refunds[len(refunds)-1] != id.Format(id.Transaction, txn) {
			t.Errorf("the refunds are %v, want %v last", refunds, txn)
		}
	}
	refund("10.00 USD", "910.00", "29.00", "60.00")
	refund("50.00 USD", "960.00", "0.00", "39.00") // of both
	refund("1.00 USD", "961.00", "0.00", "38.00")  // of available alone
	_, _, err := w.desks[0].Refund(t.Context(), w.change(c, "39.01 USD"))
	w.wantReason(err, "REFUND_EXCEEDED")
	_, _, err = w.desks[0].Refund(t.Context(), w.change(c, "")) // 39.00 are left, 38.00 are there
	w.wantReason(err, "INSUFFICIENT_FUNDS")
	refund("38.00 USD", "999.00", "0.00", "0.00")
	got := w.message(w.get(c), checkout.ForCustomer(w.customer.ID)).GetPayment()
	if got.GetRefunded().GetAmount() != "99.00" || len(got.GetRefundTransactionIds()) != 4 {
		t.Errorf("the customer sees %v", got)
	}
	w.pay(w.sell("50.00 USD"))
	fees = "1.50"
	refund("", "950.00", "48.50", "0.00")
	w.wantEvents(c, "created succeeded refunded refunded refunded refunded refunded")
}

func TestARefundIsMadeOnceForAKey(t *testing.T) {
	w := newWorld(t)
	c := w.sellManually("10.00 USD")
	w.pay(c)
	if _, err := w.desks[0].Capture(t.Context(), w.change(c, "")); err != nil {
		t.Fatal(err)
	}
	r := w.change(c, "4.00 USD")
	_, first, err := w.desks[0].Refund(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if _, again, err := w.desks[1].Refund(t.Context(), r); err != nil || again != first {
		t.Errorf("again it is %v, %v, want %v", again, err, first)
	}
	r.Amount = nil
	_, _, err = w.desks[0].Refund(t.Context(), r)
	w.wantReason(err, "IDEMPOTENCY_KEY_REUSED")
	for _, wrong := range []struct{ sum, reason string }{
		{"6.01 USD", "REFUND_EXCEEDED"}, {"0.00 USD", "AMOUNT_NOT_POSITIVE"}, {"1.00 EUR", "ACCOUNT_ASSET_MISMATCH"},
	} {
		_, _, err := w.desks[0].Refund(t.Context(), w.change(c, wrong.sum))
		w.wantReason(err, wrong.reason)
	}
	w.wantMoney("994.00", "6.00", "0.00", "0.00")
}

func TestRefundsThatRaceNeverExceedWhatWasPaid(t *testing.T) {
	w := newWorld(t)
	w.shop.Charge(t, "USD", 1000, 0)
	c := w.sell("10.00 USD")
	w.pay(c)
	w.pay(w.sell("20.00 USD"))
	w.settle(15_00) // 12 pending, 15 available
	var made atomic.Int64
	together(50, func(i int) {
		_, _, err := w.desks[i%2].Refund(t.Context(), w.change(c, "0.70 USD"))
		if err == nil {
			made.Add(1)
		} else if got := rpc.ReasonName(rpc.ReasonOf(err)); got != "REFUND_EXCEEDED" {
			t.Errorf("refund %d: %v", i, err)
		}
	})
	if made.Load() != 14 { // 9.80
		t.Errorf("%d refunds were made, want 14", made.Load())
	}
	w.wantMoney("979.80", "2.20", "15.00", "3.00")
	if got := w.message(w.get(c), checkout.ForMerchant()).GetPayment(); got.GetRefunded().GetAmount() != "9.80" {
		t.Errorf("%v was refunded", got.GetRefunded())
	}
}

func TestRefundsGiveBackToTheLimitsOfBothSides(t *testing.T) {
	w := newWorld(t)
	w.shop.Charge(t, "USD", 1000, 0)
	w.limit(money.UserScope(w.customer.ID), ledger.Rule{
		Measure: ledger.MeasureAmount, Direction: ledger.Outgoing, Period: ledger.PerLifetime, Maximum: ledger.NewAmount(30_00),
	})
	w.limit(money.MerchantScope(w.shop.Merchant), ledger.Rule{
		Measure: ledger.MeasureAmount, Direction: ledger.Incoming, Period: ledger.PerLifetime, Maximum: ledger.NewAmount(36_00),
	})
	c := w.sell("20.00 USD")
	w.pay(c) // 18.00 come in
	_, _, err := w.desks[0].Pay(t.Context(), w.payment(w.sell("10.01 USD")))
	w.wantReason(err, "LIMIT_EXCEEDED")
	w.settle(18_00)
	// All of it comes from what is available: pending has no entry, but its counters
	// get back what they counted with the last part.
	for _, sum := range []string{"8.00 USD", "10.00 USD"} {
		if _, _, err := w.desks[0].Refund(t.Context(), w.change(c, sum)); err != nil {
			t.Fatal(err)
		}
	}
	w.pay(w.sell("20.00 USD")) // as much as is left to the customer and, just, to the merchant
	if _, _, err := w.desks[0].Refund(t.Context(), w.change(c, "")); err != nil {
		t.Fatal(err)
	}
	last := w.sell("10.00 USD")
	w.pay(last)
	if _, _, err := w.desks[0].Refund(t.Context(), w.change(last, "3.00 USD")); err != nil {
		t.Fatal(err)
	}
	w.pay(w.sell("3.00 USD"))
}
