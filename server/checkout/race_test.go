package checkout_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/server/rpc"
)

// rush lets fifty calls on two replicas pay, decline and cancel a checkout at once,
// and returns how many of each were told that they did.
func (w *world) rush(c *checkout.Checkout) map[checkout.Happening]int {
	w.Helper()
	var mu sync.Mutex
	won := make(map[checkout.Happening]int)
	keys := [4]string{w.key(), w.key(), w.key(), w.key()}
	together(50, func(i int) {
		d, h := w.desks[i%2], []checkout.Happening{checkout.Succeed, checkout.Succeed, checkout.Decline, checkout.Cancel}[i%4]
		var err error
		switch h {
		case checkout.Succeed:
			p := w.payment(c)
			p.Key = keys[i/4%4] // four keys, each several times
			_, _, err = d.Pay(w.Context(), p)
		case checkout.Decline:
			_, err = d.Decline(w.Context(), name(c))
		case checkout.Cancel:
			_, err = d.Cancel(w.Context(), w.merchant(), name(c))
		}
		if err == nil {
			mu.Lock()
			defer mu.Unlock()
			won[h]++
			return
		}
		if got := rpc.ReasonName(rpc.ReasonOf(err)); !slices.Contains([]string{"CHECKOUT_CLOSED", "CHECKOUT_EXPIRED"}, got) {
			w.Errorf("call %d: %v", i, err)
		}
	})
	return won
}

var endings = map[checkout.State]checkout.Happening{
	checkout.Succeeded: checkout.Succeed, checkout.Declined: checkout.Decline, checkout.Canceled: checkout.Cancel,
	checkout.Expired: checkout.Expire,
}

// wantWinner checks that the checkout ended in one way, and that only those who did
// it were told so.
func (w *world) wantWinner(c *checkout.Checkout, won map[checkout.Happening]int) checkout.State {
	w.Helper()
	now := w.get(c).State
	end, ok := endings[now]
	if !ok {
		w.Errorf("the checkout is %v", now)
	}
	for h, n := range won {
		if h != end && n > 0 {
			w.Errorf("the checkout is %v, but %d calls of %v were told that they won", now, n, h)
		}
	}
	w.wantEvents(c, "created "+string(end)[len("checkout."):])
	m := w.message(w.get(c), checkout.ForMerchant())
	if late := !m.GetCloseTime().AsTime().Before(m.GetExpireTime().AsTime()); late != (now == checkout.Expired) {
		w.Errorf("it is %v since %v, and expires at %v", now, m.GetCloseTime().AsTime(), m.GetExpireTime().AsTime())
	}
	return now
}

func TestPayingDecliningAndCancelingAtOnceHaveOneWinner(t *testing.T) {
	w := newWorld(t)
	before, paid := w.books.Transactions(t), 0
	seen := make(map[checkout.State]int)
	for range 16 {
		c := w.sell("1.00 USD")
		won := w.rush(c)
		state := w.wantWinner(c, won)
		if seen[state]++; won[endings[state]] == 0 {
			t.Errorf("the checkout is %v, but nobody was told that they did it", state)
		}
		if state == checkout.Succeeded {
			paid++
		}
	}
	if n := w.books.Transactions(t) - before; n != paid {
		t.Errorf("%d transactions were made for %d paid checkouts", n, paid)
	}
	w.wantPaid(paid)
	t.Log(seen)
}

// wantPaid checks that so many checkouts of one dollar were paid.
func (w *world) wantPaid(n int) {
	w.Helper()
	if n > 0 {
		w.wantMoney(fmt.Sprintf("%d.00", 1000-n), fmt.Sprintf("%d.00", n), "0.00", "0.00")
	} else if got := w.books.Balance(w, w.customer, "USD"); got != "1000.00" {
		w.Errorf("nothing was paid, but the customer has %s", got)
	}
}

func TestAtItsExpiryACheckoutHasOneEnd(t *testing.T) {
	w := newWorldWith(t, checkout.Deps{SweepInterval: 5 * time.Millisecond})
	sweepOnBoth(t, w)
	paid := 0
	for i := range 20 {
		c, expire := w.brief(60*time.Millisecond, w.draft("1.00 USD"))
		// From before the edge to behind it.
		edge := expire.Add(time.Duration(i-15) * time.Millisecond)
		eventually(t, "the edge", func() bool { return !time.Now().Before(edge) })
		won := w.rush(c)
		eventually(t, "the end", func() bool { _, ended := endings[w.get(c).State]; return ended })
		if w.wantWinner(c, won) == checkout.Succeeded {
			paid++
		}
	}
	w.wantPaid(paid)
}

func TestCaptureVoidAndExpiryAtOnceHaveOneWinner(t *testing.T) {
	w := newWorldWith(t, checkout.Deps{CaptureLife: 80 * time.Millisecond, SweepInterval: 5 * time.Millisecond})
	sweepOnBoth(t, w)
	captured := 0
	seen := make(map[checkout.State]int)
	for i := range 20 {
		_, c, _, _ := w.payInTime(func(d *checkout.Draft) { d.Capture = checkoutv1.CaptureMode_CAPTURE_MODE_MANUAL })
		edge := time.Now().Add(time.Duration(i*5) * time.Millisecond)
		eventually(t, "the edge", func() bool { return !time.Now().Before(edge) })
		together(20, func(i int) {
			var err error
			if i/2%2 == 0 {
				_, err = w.desks[i%2].Capture(t.Context(), w.change(c, ""))
			} else {
				_, err = w.desks[i%2].Cancel(t.Context(), w.merchant(), name(c))
			}
			if got := rpc.ReasonName(rpc.ReasonOf(err)); err != nil && got != "CHECKOUT_CLOSED" && got != "HOLD_EXPIRED" {
				t.Errorf("call %d: %v", i, err)
			}
		})
		eventually(t, "the end", func() bool { _, ended := endings[w.get(c).State]; return ended })
		state := w.get(c).State
		if seen[state]++; state == checkout.Succeeded {
			captured++
		}
		w.wantEvents(c, "created authorized "+string(endings[state])[len("checkout."):])
	}
	w.wantPaid(captured)
	t.Log(seen)
}

// sweepOnBoth runs the sweepers of both replicas.
func sweepOnBoth(t *testing.T, w *world) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var done sync.WaitGroup
	for _, d := range w.desks {
		done.Go(func() { d.Run(ctx) })
	}
	t.Cleanup(func() { stop(); done.Wait() })
}
