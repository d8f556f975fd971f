package terminal_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"

	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/sdk/terminal"
)

// online is a handler that tells when a session begins.
func online(began chan<- struct{}) func(bool, error) {
	return func(is bool, _ error) {
		if is {
			began <- struct{}{}
		}
	}
}

func TestADeviceWhoseClockIsWrongSetsItRight(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	d := w.device()
	began := make(chan struct{}, 10)
	pos, _ := d.boot(terminal.Handlers{Online: online(began)})
	_, err := pos.Activate(t.Context(), w.code(), nil)
	must(t, err)
	pos.Misset(24 * time.Hour)
	_, err = pos.CreateCheckout(t.Context(), &terminalv1.CreateCheckoutRequest{Amount: &moneyv1.Money{Asset: "USD", Amount: "1"}})
	must(t, err)
	pos.Misset(-24 * time.Hour)
	run(t, pos)
	next(t, began)
}

func TestARevokedTerminalStops(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	d := w.device()
	began := make(chan struct{}, 10)
	pos, _ := d.boot(terminal.Handlers{Online: online(began)})
	if err := pos.Run(t.Context()); !errors.Is(err, terminal.ErrNotActivated) {
		t.Fatalf("a device without a terminal runs: %v", err)
	}
	code := w.code()
	_, err := pos.Activate(t.Context(), code, nil)
	must(t, err)
	_, err = pos.Activate(t.Context(), code, nil) // the first answer got lost
	must(t, err)
	ended := make(chan error, 1)
	go func() { ended <- pos.Run(t.Context()) }()
	next(t, began)
	self, err := pos.ID()
	must(t, err)
	must(t, w.as(w.merchant, service+"RevokeTerminal", &terminalv1.RevokeTerminalRequest{MerchantId: w.merchantID(), TerminalId: self}, &terminalv1.RevokeTerminalResponse{}))
	if err := next(t, ended); terminal.ReasonOf(err) != "TERMINAL_REVOKED" {
		t.Errorf("it ended with %v", err)
	}
}

func TestADeviceComesBackToAnotherReplicaWhenItsOwnStops(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	d := w.device()
	d.network.to = d.network.to[1:]
	began := make(chan struct{}, 10)
	pos, _ := d.boot(terminal.Handlers{Online: online(began)})
	_, err := pos.Activate(t.Context(), w.code(), nil)
	must(t, err)
	run(t, pos)
	next(t, began)
	d.network.mu.Lock()
	d.network.to = []string{w.replicas[0].GRPCAddr()}
	d.network.mu.Unlock()
	w.replicas[1].stop()
	next(t, began)
}

// The process dies when a request is on its way, and the answer never comes. The next
// process knows of it, and finds out without selling twice.
func TestARequestWithoutAnAnswerIsPendingAfterACrash(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	d := w.device()
	pos, journal := d.boot(terminal.Handlers{})
	_, err := pos.Activate(t.Context(), w.code(), nil)
	must(t, err)
	sale := &terminalv1.CreateCheckoutRequest{IdempotencyKey: "sale-1", Amount: &moneyv1.Money{Asset: "USD", Amount: "1"}}
	first, err := pos.CreateCheckout(t.Context(), sale)
	must(t, err)
	must(t, pos.Close())
	must(t, journal.Close())

	// This one sends the same and hears nothing.
	journal, err = terminal.OpenJournal(d.folder + "/journal")
	must(t, err)
	deaf, err := terminal.New(terminal.Config{
		Address: "passthrough:///nowhere", Plaintext: true, Keys: terminal.FileKeys(d.folder + "/key"), Journal: journal,
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return nil, errors.New("no network") })},
	})
	must(t, err)
	if _, err := deaf.CreateCheckout(t.Context(), sale); err == nil {
		t.Fatal("an answer came without a network")
	}
	must(t, deaf.Close())
	must(t, journal.Close())

	reborn, _ := d.boot(terminal.Handlers{})
	left := reborn.Pending()
	if len(left) != 1 || left[0].Key != "sale-1" || left[0].Create.GetAmount().GetAmount() != "1" {
		t.Fatalf("pending: %v", left)
	}
	again, err := reborn.Retry(t.Context(), left[0])
	must(t, err)
	if again.GetCheckoutId() != first.GetCheckoutId() {
		t.Errorf("sold twice: %s, %s", first.GetCheckoutId(), again.GetCheckoutId())
	}
	if left := reborn.Pending(); len(left) > 0 {
		t.Errorf("still pending: %v", left)
	}
	_, err = reborn.CreateCheckout(t.Context(), &terminalv1.CreateCheckoutRequest{Amount: &moneyv1.Money{Asset: "USD", Amount: "-1"}})
	if left := reborn.Pending(); err == nil || len(left) > 0 {
		t.Errorf("what was refused (%v) is pending: %v", err, left)
	}
}
