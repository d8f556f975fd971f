package terminal_test

import (
	"context"
	"testing"

	"github.com/google/uuid"

	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/sdk/terminal"
	"github.com/tillbook/tillbook/store/id"
)

// A database that has lost its last seconds doesn't know what the device took then. The
// device misses nothing of what happens from there on.
func TestADeviceAheadOfItsServerGoesBack(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	d := w.device()
	events := make(chan terminal.Event, 10)
	pos, journal := d.boot(terminal.Handlers{Event: func(_ context.Context, e terminal.Event) { events <- e }})
	_, err := pos.Activate(t.Context(), w.code(), nil)
	must(t, err)
	self, err := pos.ID()
	must(t, err)
	must(t, w.command(self, update, "1"))
	must(t, journal.Overtake(1<<40))
	run(t, pos)
	if got := next(t, events); got.Command.GetVersion() != "1" || !got.Maybe {
		t.Errorf("got %+v, want the command with a warning", got)
	}
	must(t, w.command(self, update, "2"))
	if got := next(t, events); got.Command.GetVersion() != "2" {
		t.Errorf("got %+v, want the next command", got)
	}
}

// The numbers of the terminal that a device was before mean nothing to the next one.
func TestADeviceThatBecomesAnotherTerminalBeginsAnew(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	second := &terminalv1.CreateTerminalResponse{}
	must(t, w.as(w.merchant, service+"CreateTerminal", &terminalv1.CreateTerminalRequest{
		IdempotencyKey: uuid.NewString(), MerchantId: w.merchantID(), StoreId: id.Format(id.Store, w.shop.Store), Name: "Bar",
	}, second))
	d := w.device()
	events := make(chan terminal.Event, 10)
	handlers := terminal.Handlers{Event: func(_ context.Context, e terminal.Event) { events <- e }}
	pos, journal := d.boot(handlers)
	_, err := pos.Activate(t.Context(), w.code(), nil)
	must(t, err)
	_, err = w.owner.Pool.Exec(t.Context(), "UPDATE terminals SET epoch = 5000 WHERE public_key IS NOT NULL")
	must(t, err)
	must(t, w.command(second.GetTerminal().GetTerminalId(), update, "waits at the bar"))
	first, err := pos.ID()
	must(t, err)
	must(t, w.command(first, update, "comes later"))
	stop := run(t, pos)
	next(t, events)
	_ = stop()
	must(t, pos.Close())
	must(t, journal.Close())

	pos, _ = d.boot(handlers)
	_, err = pos.Activate(t.Context(), second.GetActivationCode(), nil)
	must(t, err)
	run(t, pos)
	if got := next(t, events); got.Command.GetVersion() != "waits at the bar" || got.Maybe {
		t.Errorf("got %+v, want what waited", got)
	}
}
