package checkout_test

import (
	"context"
	"testing"
	"time"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

// expired is how many checkouts have expired, by the rows that say so.
func (w *world) expired() (n int) {
	w.Helper()
	if err := w.store.Pool.QueryRow(w.Context(), `SELECT count(*) FROM resolutions WHERE outcome = 5`).Scan(&n); err != nil {
		w.Fatal(err)
	}
	return n
}

func TestWhatNobodyLooksAtExpiresOnceByItself(t *testing.T) {
	w := newWorldWith(t, checkout.Deps{SweepInterval: 2 * time.Millisecond})
	var list []*checkout.Checkout
	for range 15 {
		list = append(list, w.sell("1.00 USD"))
	}
	sweepOnBoth(t, w)
	w.lapse(list...)
	eventually(t, "expiry", func() bool { return w.expired() == len(list) })
	for _, c := range list {
		w.wantEvents(c, "created expired")
		w.wantState(c, checkout.Expired)
	}
}

func TestExpiriesAreToldApart(t *testing.T) {
	w := newWorldWith(t, checkout.Deps{CaptureLife: 100 * time.Millisecond, SweepInterval: 5 * time.Millisecond})
	elsewhere := w.draft("1.00 USD")
	elsewhere.Terminal, elsewhere.Store = [16]byte{}, w.shop.Store
	never, sent, shown, none := w.sell("1.00 USD"), w.sell("1.00 USD"), w.sell("1.00 USD"), w.create(elsewhere)
	if err := w.desks[0].MarkDispatched(t.Context(), ids(sent, shown)); err != nil {
		t.Fatal(err)
	}
	if err := w.desks[0].MarkAcknowledged(t.Context(), ids(shown)); err != nil {
		t.Fatal(err)
	}
	w.lapse(never, sent, shown, none)
	_, authorized, _, _ := w.payInTime(func(d *checkout.Draft) { d.Capture = checkoutv1.CaptureMode_CAPTURE_MODE_MANUAL })
	sweepOnBoth(t, w)
	for c, want := range map[*checkout.Checkout]checkoutv1.CheckoutExpiry{
		never:      checkoutv1.CheckoutExpiry_CHECKOUT_EXPIRY_NOT_DELIVERED,
		sent:       checkoutv1.CheckoutExpiry_CHECKOUT_EXPIRY_NOT_ACKNOWLEDGED,
		shown:      checkoutv1.CheckoutExpiry_CHECKOUT_EXPIRY_NOT_PAID,
		none:       checkoutv1.CheckoutExpiry_CHECKOUT_EXPIRY_NOT_PAID,
		authorized: checkoutv1.CheckoutExpiry_CHECKOUT_EXPIRY_NOT_CAPTURED,
	} {
		eventually(t, want.String(), func() bool { return w.get(c).State == checkout.Expired })
		m := w.message(w.get(c), checkout.ForMerchant())
		if m.GetExpiry() != want || m.GetQrText() != "" || m.GetPayment() != nil {
			t.Errorf("the merchant sees %v, want %v", m, want)
		}
		if c != authorized && m.GetCloseTime().AsTime().Before(m.GetExpireTime().AsTime()) {
			t.Errorf("it expired at %v, before its time %v", m.GetCloseTime().AsTime(), m.GetExpireTime().AsTime())
		}
	}
	w.wantEvents(authorized, "created authorized expired")
	w.wantMoney("1000.00", "0.00", "0.00", "0.00")
	if got := w.events(none, money.MerchantScope(w.shop.Merchant)); got != "created expired" {
		t.Errorf("the merchant was told %q", got)
	}
	if got := w.events(none, money.TerminalScope(w.shop.Terminal)); got != "" {
		t.Errorf("a terminal was told %q of what is not its own", got)
	}
}

func TestWhatHasEndedIsNotLookedAtAgain(t *testing.T) {
	w := newWorldWith(t, checkout.Deps{SweepInterval: 5 * time.Millisecond})
	_, paid, _, _ := w.payInTime(func(*checkout.Draft) {})
	_, held, _, _ := w.payInTime(func(d *checkout.Draft) { d.Capture = checkoutv1.CaptureMode_CAPTURE_MODE_MANUAL })
	sweepOnBoth(t, w)
	due := func(c *checkout.Checkout) (at *time.Time) {
		if err := w.store.Pool.QueryRow(t.Context(), `SELECT due_time FROM checkouts WHERE id = $1`, c.ID).Scan(&at); err != nil {
			t.Fatal(err)
		}
		return at
	}
	eventually(t, "the end of looking", func() bool { return due(paid) == nil })
	eventually(t, "the authorization's turn", func() bool { at := due(held); return at != nil && time.Until(*at) > 6*24*time.Hour })
	w.wantState(paid, checkout.Succeeded)
	w.wantState(held, checkout.Authorized)
	w.wantEvents(paid, "created succeeded")
	w.wantEvents(held, "created authorized")
}

func TestWhatIsPaidIsNoLongerAmongWhatMayBeOpen(t *testing.T) {
	w := newWorldWith(t, checkout.Deps{SweepInterval: 2 * time.Millisecond})
	sweepOnBoth(t, w)
	c := w.sell("1.00 USD")
	w.pay(c)
	eventually(t, "the checkout to be seen to", func() (seen bool) {
		err := w.store.Pool.QueryRow(t.Context(), `SELECT due_time IS NULL FROM checkouts WHERE id = $1`, c.ID).Scan(&seen)
		if err != nil {
			t.Fatal(err)
		}
		return seen
	})
	w.wantState(c, checkout.Succeeded)
	w.wantEvents(c, "created succeeded")
}

// Two who change the same checkouts in different orders would wait for each other, and
// everybody for them, until the database notices.
func TestWhatIsPaidIsSeenToInTheOrderOfIDs(t *testing.T) {
	w := newWorld(t)
	first, second := w.sell("1.00 USD"), w.sell("2.00 USD")
	for _, c := range []*checkout.Checkout{second, first} {
		w.pay(c)
		if _, err := w.store.Pool.Exec(t.Context(), `UPDATE checkouts SET due_time = due_time + interval '1 second' WHERE id = $1`, c.ID); err != nil {
			t.Fatal(err)
		}
	}
	tx, err := w.store.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.WithoutCancel(t.Context()))
	lock := func(c *checkout.Checkout, how string) {
		t.Helper()
		if _, err := tx.Exec(t.Context(), `SELECT FROM checkouts WHERE id = $1 FOR NO KEY UPDATE `+how, c.ID); err != nil {
			t.Fatal(err)
		}
	}
	lock(first, "")
	owner := storetest.Open(t, store.Config{URL: w.books.URL(), Role: store.NoRole})
	settled := make(chan error, 1)
	go func() {
		_, err := w.store.Queries().SettleDueCheckouts(t.Context(), ids(second, first))
		settled <- err
	}()
	eventually(t, "it to wait", func() (waits bool) {
		err := owner.Pool.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%SettleDueCheckouts%')`).Scan(&waits)
		if err != nil {
			t.Fatal(err)
		}
		return waits
	})
	lock(second, "NOWAIT")
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-settled; err != nil {
		t.Error(err)
	}
}
