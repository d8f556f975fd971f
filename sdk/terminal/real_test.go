package terminal_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/sdk/terminal"
)

const update = terminalv1.CommandKind_COMMAND_KIND_UPDATE

// Connections break all the time, now at this replica and now at that one; the device
// dies now and then, between its handlers; and a replica is replaced. Every command
// arrives once, in order.
func TestNothingIsLostOrDoubledWhateverBreaks(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	d := w.device()
	const commands = 300
	told := make(chan string, 2*commands)
	handlers := terminal.Handlers{Event: func(_ context.Context, e terminal.Event) {
		if e.Maybe {
			t.Error("a handler that returned is said not to have")
		}
		told <- e.Command.GetVersion()
	}}
	pos, journal := d.boot(handlers)
	_, err := pos.Activate(t.Context(), w.code(), &terminalv1.Device{Model: "P2"})
	must(t, err)
	self, err := pos.ID()
	must(t, err)
	stop := run(t, pos)

	var sending sync.WaitGroup
	sending.Go(func() {
		for n := range commands {
			if err := w.command(self, update, fmt.Sprint(n)); err != nil {
				t.Errorf("command %d: %v", n, err)
				return
			}
		}
	})
	breaking, unbroken := context.WithCancel(t.Context())
	defer unbroken()
	sending.Go(func() {
		for breaking.Err() == nil {
			time.Sleep(time.Duration(20+rand.IntN(60)) * time.Millisecond)
			d.network.cut()
		}
	})
	for n := range commands {
		switch n {
		case 60, 180: // the device dies and comes back
			_ = stop()
			must(t, pos.Close())
			must(t, journal.Close())
			pos, journal = d.boot(handlers)
			stop = run(t, pos)
		case 120: // a replica goes and another one comes
			fresh := w.start()
			d.network.mu.Lock()
			d.network.to[1] = fresh.GRPCAddr()
			d.network.mu.Unlock()
			w.replicas[1].stop()
		}
		if got := next(t, told); got != fmt.Sprint(n) {
			t.Fatalf("command %s came, want %d", got, n)
		}
	}
	unbroken()
	sending.Wait()
	_ = stop()
	if len(told) > 0 {
		t.Errorf("%d more came, such as %s", len(told), <-told)
	}
}

// The process dies while it prints what was paid. At the next start it is told again,
// with a warning.
func TestACrashBetweenPaidAndPrintedIsNoticed(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	d := w.device()
	events, never := make(chan terminal.Event, 10), make(chan struct{})
	pos, _ := d.boot(terminal.Handlers{Event: func(_ context.Context, e terminal.Event) {
		events <- e
		if e.Paid != nil {
			<-never // this process is dead from here on
		}
	}})
	_, err := pos.Activate(t.Context(), w.code(), nil)
	must(t, err)
	run(t, pos)
	t.Cleanup(func() { close(never) })
	sale, err := pos.CreateCheckout(t.Context(), &terminalv1.CreateCheckoutRequest{Amount: &moneyv1.Money{Asset: "USD", Amount: "12.50"}, Reference: "Table 4"})
	must(t, err)
	offered := next(t, events).Offered
	if offered.GetCheckoutId() != sale.GetCheckoutId() || offered.GetQrText() == "" {
		t.Fatalf("offered %v, want %v", offered, sale)
	}
	w.pay(sale)
	first := next(t, events)
	if first.Paid.GetPayment().GetTotal().GetAmount() != "12.50" || first.Maybe {
		t.Fatalf("got %+v", first)
	}

	again := make(chan terminal.Event, 10)
	reborn, _ := d.boot(terminal.Handlers{Event: func(_ context.Context, e terminal.Event) { again <- e }})
	run(t, reborn)
	if got := next(t, again); !got.Maybe || got.Paid.GetCheckoutId() != sale.GetCheckoutId() || got.Sequence != first.Sequence {
		t.Errorf("got %+v, want %+v with a warning", got, first)
	}
	self, err := reborn.ID()
	must(t, err)
	must(t, w.command(self, update, "2"))
	if got := next(t, again); got.Maybe || got.Command.GetVersion() != "2" {
		t.Errorf("got %+v, want the command", got)
	}
}

// pay pays a checkout as the customer.
func (w *town) pay(sale *checkoutv1.Checkout) {
	w.t.Helper()
	must(w.t, w.as(w.customer, "/tillbook.wallet.v1.WalletService/PayCheckout", &walletv1.PayCheckoutRequest{
		IdempotencyKey: sale.GetCheckoutId(), CheckoutId: sale.GetCheckoutId(),
	}, &walletv1.PayCheckoutResponse{}))
}

func TestASaleIsDeliveredAcknowledgedAndCharged(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	d := w.device()
	events := make(chan terminal.Event, 10)
	pos, _ := d.boot(terminal.Handlers{Event: func(_ context.Context, e terminal.Event) { events <- e }})
	_, err := pos.Activate(t.Context(), w.code(), nil)
	must(t, err)
	run(t, pos)
	sale, err := pos.CreateCheckout(t.Context(), &terminalv1.CreateCheckoutRequest{IdempotencyKey: "sale-1", Amount: &moneyv1.Money{Asset: "USD", Amount: "3"}})
	must(t, err)
	next(t, events)
	for sale.GetState() != checkoutv1.CheckoutState_CHECKOUT_STATE_ACKNOWLEDGED {
		sale, err = pos.GetCheckout(t.Context(), sale.GetCheckoutId())
		must(t, err)
	}
	if sale.GetDispatchTime() == nil || sale.GetAcknowledgeTime() == nil {
		t.Errorf("got %v", sale)
	}
	code := &walletv1.CreatePaymentCodeResponse{}
	must(t, w.as(w.customer, "/tillbook.wallet.v1.WalletService/CreatePaymentCode", &walletv1.CreatePaymentCodeRequest{
		Maximum: &moneyv1.Money{Asset: "USD", Amount: "5"},
	}, code))
	charge := &terminalv1.ChargePaymentCodeRequest{IdempotencyKey: "charge-1", CheckoutId: sale.GetCheckoutId(), PaymentCode: code.GetPaymentCode()}
	self, err := pos.ID()
	must(t, err)
	must(t, w.command(self, terminalv1.CommandKind_COMMAND_KIND_LOCK, ""))
	_, err = pos.ChargePaymentCode(t.Context(), charge)
	if terminal.ReasonOf(err) != "TERMINAL_LOCKED" {
		t.Errorf("a locked terminal charges: %v", err)
	}
	_, err = pos.CreateCheckout(t.Context(), &terminalv1.CreateCheckoutRequest{Amount: &moneyv1.Money{Asset: "USD", Amount: "3"}})
	if terminal.ReasonOf(err) != "TERMINAL_LOCKED" {
		t.Errorf("a locked terminal sells: %v", err)
	}
	must(t, w.command(self, terminalv1.CommandKind_COMMAND_KIND_UNLOCK, ""))
	paid, err := pos.ChargePaymentCode(t.Context(), charge)
	must(t, err)
	must(t, w.command(self, terminalv1.CommandKind_COMMAND_KIND_LOCK, ""))
	again, err := pos.ChargePaymentCode(t.Context(), charge) // its answer got lost, and it was locked since
	must(t, err)
	if paid.GetPayment().GetTransactionId() == "" || again.GetPayment().GetTransactionId() != paid.GetPayment().GetTransactionId() {
		t.Errorf("paid %v, then %v", paid, again)
	}
	if left := pos.Pending(); len(left) > 0 {
		t.Errorf("pending: %v", left)
	}
	other, _ := w.device().boot(terminal.Handlers{})
	_, err = other.Activate(t.Context(), w.code(), nil)
	must(t, err)
	if _, err := other.GetCheckout(t.Context(), sale.GetCheckoutId()); terminal.ReasonOf(err) != "NOT_FOUND" {
		t.Errorf("another terminal's checkout: %v", err)
	}
}
