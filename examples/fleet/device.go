package main

import (
	"context"
	"sync/atomic"
	"time"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/sdk/terminal"
)

// device is one terminal: that of the SDK, on a shared connection and without a disk.
type device struct {
	*terminal.Terminal
	line *line
	// replica is where its session is, while it is online.
	replica int
	online  atomic.Bool
	// ready is called when it is online for the first time.
	ready func()
}

// maxPause bounds the wait between two tries to come back.
const maxPause = time.Minute

// newDevice returns a terminal that tells the client what happens. When it loses its
// session it comes back at a random time within the spread.
func (c *client) newDevice(l *line) (d *device, err error) {
	d = &device{line: l, ready: func() {}}
	d.Terminal, err = terminal.New(terminal.Config{
		Conn: l, Keys: terminal.MemoryKeys(), Journal: terminal.MemoryJournal(),
		MinBackoff: c.spread(), MaxBackoff: max(maxPause, c.spread()),
		Health: func() *terminalv1.Health {
			c.count(func(s *state) { s.Heartbeats++ })
			return &terminalv1.Health{BatteryPercent: 80, Network: "wifi", SignalPercent: 70, SoftwareVersion: "1.0"}
		},
		Handlers: terminal.Handlers{
			Event:  func(_ context.Context, e terminal.Event) { c.happened(&e) },
			Online: func(online bool, why error) { c.turned(d, online, why) },
		},
	})
	return d, err
}

func (d *device) activate(ctx context.Context, code string) error {
	_, err := d.Activate(ctx, code, &terminalv1.Device{Model: "Fleet", SoftwareVersion: "1.0"})
	return err
}

// sell begins a sale.
func (d *device) sell(ctx context.Context, amount string) (*checkoutv1.Checkout, error) {
	return d.CreateCheckout(ctx, &terminalv1.CreateCheckoutRequest{Amount: &moneyv1.Money{Asset: asset, Amount: amount}})
}

// turned notes that a terminal came online or lost its session.
func (c *client) turned(d *device, online bool, why error) {
	d.online.Store(online)
	if !online {
		c.failed("session", why)
		c.count(func(s *state) { s.Online[d.replica]-- })
		return
	}
	d.replica = int(d.line.replica.Load())
	c.count(func(s *state) { s.Handshakes++; s.Online[d.replica]++ })
	d.ready()
}

func (c *client) happened(e *terminal.Event) {
	now := time.Now()
	switch {
	case e.Offered != nil:
		c.book.offered(e.Offered, now)
	case e.Paid != nil:
		c.book.paid(e.Paid, now)
	}
}
