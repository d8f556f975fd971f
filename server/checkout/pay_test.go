package checkout_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
)

func TestAPaymentIsPartedBetweenMerchantAndTillbook(t *testing.T) {
	w := newWorld(t)
	w.shop.Charge(t, "USD", 250, 10) // 2.5 % and 10 cents
	c := w.sell("10.00 USD")
	p := w.payment(c)
	p.Tip = amount("1.00 USD")
	w.shop.Charge(t, "USD", 9_999, 0) // too late for this one
	paid, txn, err := w.desks[0].Pay(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if paid.State != checkout.Succeeded || txn == nil || txn.Kind != ledger.KindPurchase || paid.Payment != txn.ID {
		t.Errorf("the checkout is %v, paid by %v", paid.State, txn)
	}
	w.wantMoney("989.00", "10.62", "0.00", "0.38") // 0.275 is 28 cents
	got := w.message(paid, checkout.ForMerchant()).GetPayment()
	if got.GetTip().GetAmount() != "1.00" || got.GetTotal().GetAmount() != "11.00" || got.GetFee().GetAmount() != "0.38" ||
		got.GetNet().GetAmount() != "10.62" || got.GetMaskedCustomer() != "a***e" {
		t.Errorf("the merchant sees %v", got)
	}
	for _, other := range []checkout.Viewer{checkout.ForTerminal(), checkout.ForCustomer(w.customer.ID)} {
		if m := w.message(paid, other).GetPayment(); m.GetFee() != nil || m.GetNet() != nil || m.GetTotal().GetAmount() != "11.00" {
			t.Errorf("others see %v", m)
		}
	}
	stranger := w.message(paid, checkout.ForCustomer(w.owner.ID))
	if stranger.GetPayment() != nil || stranger.GetQrText() != "" {
		t.Errorf("another customer sees %v", stranger)
	}
}

func TestAFeeTakesAtMostTheTotal(t *testing.T) {
	w := newWorld(t)
	w.shop.Charge(t, "USD", 0, 500)
	w.pay(w.sell("3.00 USD"))
	w.wantMoney("997.00", "0.00", "0.00", "3.00")
	w.pay(w.sell("7.00 USD"))
	w.wantMoney("990.00", "2.00", "0.00", "8.00")
}

func TestAPaymentIsRefusedByName(t *testing.T) {
	w := newWorld(t)
	untipped := w.draft("10.00 USD")
	untipped.TipOptions = nil
	poor := w.books.User(t, "bobby")
	cases := map[string]struct {
		of     *checkout.Checkout
		change func(*checkout.Payment)
		reason string
	}{
		"its owner pays":    {w.sell("10.00 USD"), func(p *checkout.Payment) { p.User = w.owner.ID }, "SELF_TRANSFER"},
		"no money":          {w.sell("10.00 USD"), func(p *checkout.Payment) { p.User = poor.ID }, "INSUFFICIENT_FUNDS"},
		"too little money":  {w.sell("999.00 USD"), func(p *checkout.Payment) { p.Tip = amount("1.01 USD") }, "INSUFFICIENT_FUNDS"},
		"no tip allowed":    {w.create(untipped), func(p *checkout.Payment) { p.Tip = amount("0.01 USD") }, "TIP_NOT_ALLOWED"},
		"too large a tip":   {w.sell("10.00 USD"), func(p *checkout.Payment) { p.Tip = amount("10.01 USD") }, "TIP_NOT_ALLOWED"},
		"a negative tip":    {w.sell("10.00 USD"), func(p *checkout.Payment) { p.Tip = amount("-0.01 USD") }, "TIP_NOT_ALLOWED"},
		"a tip in euros":    {w.sell("10.00 USD"), func(p *checkout.Payment) { p.Tip = amount("1.00 EUR") }, "ACCOUNT_ASSET_MISMATCH"},
		"too precise a tip": {w.sell("10.00 USD"), func(p *checkout.Payment) { p.Tip = amount("0.001 USD") }, "AMOUNT_TOO_PRECISE"},
		"another checkout":  {w.sell("10.00 USD"), func(p *checkout.Payment) { p.Checkout = "chk_0000000000000000000000000" }, "NOT_FOUND"},
	}
	for what, c := range cases {
		t.Run(what, func(t *testing.T) {
			p := w.payment(c.of)
			c.change(p)
			_, _, err := w.desks[0].Pay(t.Context(), p)
			if got := rpc.ReasonName(rpc.ReasonOf(err)); err == nil || got != c.reason {
				t.Errorf("got %s (%v), want %s", got, err, c.reason)
			}
			w.wantState(c.of, checkout.Created)
		})
	}
	w.wantMoney("1000.00", "0.00", "0.00", "0.00")
}

func TestLimitsOfBothSidesAreKept(t *testing.T) {
	w := newWorld(t)
	w.books.Fund(t, w.customer, "500.00 USD")
	_, _, err := w.desks[0].Pay(t.Context(), w.payment(w.sell("1000.01 USD"))) // one of their tier's
	if e := w.wantReason(err, "LIMIT_EXCEEDED"); !strings.Contains(e.Message(), "1000.00 USD") {
		t.Errorf("it says %q", e.Message())
	}
	w.limit(money.MerchantScope(w.shop.Merchant), ledger.Rule{
		Measure: ledger.MeasureAmount, Direction: ledger.Incoming, Period: ledger.PerLifetime, Maximum: ledger.NewAmount(50_00),
	})
	w.pay(w.sell("50.00 USD"))
	_, _, err = w.desks[0].Pay(t.Context(), w.payment(w.sell("0.01 USD")))
	w.wantReason(err, "RECIPIENT_LIMIT_EXCEEDED")
	manual := w.sellManually("0.01 USD")
	w.pay(manual)
	_, err = w.desks[0].Capture(t.Context(), w.change(manual, ""))
	w.wantReason(err, "RECIPIENT_LIMIT_EXCEEDED")
	w.wantState(manual, checkout.Authorized)
	w.wantMoney("1450.00", "50.00", "0.00", "0.00")
}

func TestLimitsOfATerminalAreKept(t *testing.T) {
	w := newWorld(t)
	w.limit(money.TerminalScope(w.shop.Terminal), ledger.Rule{
		Measure: ledger.MeasureAmount, Direction: ledger.Incoming, Period: ledger.PerDay, Maximum: ledger.NewAmount(50_00),
	})
	sold := w.pay(w.sell("50.00 USD"))
	_, _, err := w.desks[0].Pay(t.Context(), w.payment(w.sell("0.01 USD")))
	w.wantReason(err, "RECIPIENT_LIMIT_EXCEEDED")
	manual := w.sellManually("0.01 USD")
	w.pay(manual)
	_, err = w.desks[0].Capture(t.Context(), w.change(manual, ""))
	w.wantReason(err, "RECIPIENT_LIMIT_EXCEEDED")
	elsewhere := w.draft("60.00 USD")
	elsewhere.Terminal, elsewhere.Store = [16]byte{}, w.shop.Store
	w.pay(w.create(elsewhere))
	if _, _, err := w.desks[1].Refund(t.Context(), w.change(sold, "20.00 USD")); err != nil {
		t.Fatal(err)
	}
	w.pay(w.sell("20.00 USD"))
	_, _, err = w.desks[0].Pay(t.Context(), w.payment(w.sell("0.01 USD")))
	w.wantReason(err, "RECIPIENT_LIMIT_EXCEEDED")
}

// limit sets a limit in USD.
func (w *world) limit(scope string, r ledger.Rule) {
	w.Helper()
	asset, err := w.books.Ledger().Asset(w.Context(), "USD")
	if err != nil {
		w.Fatal(err)
	}
	r.Scope, r.Asset, r.Zone = scope, asset.ID, "UTC"
	err = w.store.InTx(w.Context(), func(ctx context.Context, _ *store.Queries, tx pgx.Tx) error {
		_, _, err := ledger.SetRule(ctx, tx, r)
		return err
	})
	if err != nil {
		w.Fatal(err)
	}
}

func TestTheSameKeyPaysOnce(t *testing.T) {
	w := newWorld(t)
	c, other := w.sell("10.00 USD"), w.sell("10.00 USD")
	p := w.payment(c)
	_, first, err := w.desks[0].Pay(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	again, second, err := w.desks[1].Pay(t.Context(), p)
	if err != nil || second.ID != first.ID || again.State != checkout.Succeeded {
		t.Errorf("paying again gives %v and %v, %v", again, second, err)
	}
	tipped := *p
	tipped.Tip = amount("1.00 USD")
	_, _, err = w.desks[0].Pay(t.Context(), &tipped)
	w.wantReason(err, "IDEMPOTENCY_KEY_REUSED")
	p.Checkout = name(other)
	_, _, err = w.desks[0].Pay(t.Context(), p)
	w.wantReason(err, "IDEMPOTENCY_KEY_REUSED")
	// Another key doesn't pay it again.
	_, _, err = w.desks[0].Pay(t.Context(), w.payment(c))
	if e := w.wantReason(err, "CHECKOUT_CLOSED"); e.Message() != "The checkout is succeeded." {
		t.Errorf("it says %q", e.Message())
	}
	w.wantMoney("990.00", "10.00", "0.00", "0.00")
}

func TestWhatWasPaidIsToldAgainAfterTheCheckoutsTime(t *testing.T) {
	w := newWorld(t)
	expire, c, p, first := w.payInTime(func(*checkout.Draft) {})
	eventually(t, "the expiry", func() bool { return time.Now().After(expire) })
	_, again, err := w.desks[1].Pay(t.Context(), p)
	if err != nil || again.ID != first.ID {
		t.Errorf("paying again gives %v, %v", again, err)
	}
	w.wantState(c, checkout.Succeeded)
}

// payInTime pays a checkout that lives for a moment. A slow machine needs several
// tries.
func (w *world) payInTime(change func(*checkout.Draft)) (time.Time, *checkout.Checkout, *checkout.Payment, *ledger.Transaction) {
	w.Helper()
	for {
		d := w.draft("1.00 USD")
		change(d)
		c, expire := w.brief(100*time.Millisecond, d)
		p := w.payment(c)
		if _, paid, err := w.desks[0].Pay(w.Context(), p); err == nil {
			return expire, c, p, paid
		}
	}
}

func TestAPaymentThatIsHeldUpBeyondTheCheckoutsTimeIsRefused(t *testing.T) {
	w := newWorld(t)
	d := w.draft("10.00 USD")
	for _, capture := range []checkout.CaptureMode{checkoutv1.CaptureMode_CAPTURE_MODE_AUTOMATIC, checkoutv1.CaptureMode_CAPTURE_MODE_MANUAL} {
		d.Capture = capture
		tx, err := w.store.Pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), `SELECT FROM accounts WHERE code = $1 FOR UPDATE`, w.customer.Account("USD")); err != nil {
			t.Fatal(err)
		}
		c, expire := w.brief(300*time.Millisecond, d)
		answer := make(chan error, 1)
		go func() {
			_, _, err := w.desks[0].Pay(t.Context(), w.payment(c))
			answer <- err
		}()
		eventually(t, "the expiry", func() bool { return time.Now().After(expire) })
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.wantReason(<-answer, "CHECKOUT_EXPIRED")
		w.wantState(c, checkout.Expired)
	}
	w.wantMoney("1000.00", "0.00", "0.00", "0.00")
}

func TestAnExpiredCheckoutIsNotPaid(t *testing.T) {
	w := newWorld(t)
	c := w.bring(checkout.Expired)
	_, _, err := w.desks[0].Pay(t.Context(), w.payment(c))
	w.wantReason(err, "CHECKOUT_EXPIRED")
	w.wantMoney("1000.00", "0.00", "0.00", "0.00")
}
