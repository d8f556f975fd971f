package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/sdk/terminal"
)

// insistEvery is how long a request without an answer waits before it is sent again.
const insistEvery = time.Second

// settings say which till it is.
type settings struct {
	address   string
	plaintext bool
	// folder keeps the key, the journal and what is shown again after a restart.
	folder string
	// printer is the file or the device to which receipts are written.
	printer string
	asset   string
	// code activates the till at the start; may be empty.
	code        string
	dialOptions []grpc.DialOption
}

// till is the device behind the screen: it does what the state asks for, one thing at
// a time, and tells what happens.
type till struct {
	settings settings
	terminal *terminal.Terminal
	journal  *terminal.Journal
	memory   *memory
	tell     func(happened any)
	actions  chan Action
	answers  chan bool
	running  sync.WaitGroup
}

// openTill opens what the folder keeps. Tell is called from several goroutines. Close
// lets it go.
func openTill(s settings, tell func(happened any)) (*till, error) {
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		return nil, err
	}
	remembered, err := openMemory(filepath.Join(s.folder, "memory.json"))
	if err != nil {
		return nil, err
	}
	journal, err := terminal.OpenJournal(filepath.Join(s.folder, "journal"))
	if err != nil {
		return nil, err
	}
	t := &till{settings: s, journal: journal, memory: remembered, tell: tell, actions: make(chan Action, 1), answers: make(chan bool, 1)}
	t.terminal, err = terminal.New(terminal.Config{
		Address: s.address, Plaintext: s.plaintext, Journal: journal, DialOptions: s.dialOptions,
		Keys: terminal.FileKeys(filepath.Join(s.folder, "key.json")),
		Handlers: terminal.Handlers{
			Event:         t.event,
			Configuration: t.configured,
			Online:        t.online,
			Failed:        func(why error) { t.tell(Disconnected{why}) },
		},
	})
	if err != nil {
		return nil, errors.Join(err, journal.Close())
	}
	return t, nil
}

// run serves until ctx ends. The journal is closed first, so that what a handler then
// gives up isn't taken for done: it is told again at the next start.
func (t *till) run(ctx context.Context) error {
	working, cancel := context.WithCancel(context.WithoutCancel(ctx))
	t.running.Go(func() { t.serve(working) })
	<-ctx.Done()
	err := t.journal.Close()
	cancel()
	t.running.Wait()
	return errors.Join(err, t.terminal.Close())
}

// ask hands over what is to be done. The state asks for one thing at a time.
func (t *till) ask(a Action) {
	if p, ok := a.(Print); ok {
		select {
		case t.answers <- p.Again:
		default: // it is being printed right now
		}
		return
	}
	t.actions <- a
}

// serve does what is asked for.
func (t *till) serve(ctx context.Context) {
	id, err := t.terminal.ID()
	switch {
	case err != nil:
		t.tell(Stopped{err})
	case id != "":
		t.goOn(ctx)
	case t.settings.code != "":
		t.activate(ctx, t.settings.code)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-t.actions:
			t.do(ctx, a)
		}
	}
}

func (t *till) do(ctx context.Context, action Action) {
	switch a := action.(type) {
	case Activate:
		t.activate(ctx, a.Code)
	case Sell:
		a.Request.IdempotencyKey = rand.Text()
		t.tell(Done{t.insist(ctx, "The sale has", func() (*checkoutv1.Checkout, error) {
			return t.terminal.CreateCheckout(ctx, a.Request)
		})})
	case Charge:
		req := &terminalv1.ChargePaymentCodeRequest{IdempotencyKey: rand.Text(), CheckoutId: a.CheckoutID, PaymentCode: a.Code}
		t.tell(Done{t.insist(ctx, "The charge has", func() (*checkoutv1.Checkout, error) {
			return t.terminal.ChargePaymentCode(ctx, req)
		})})
	case Cancel:
		c, err := t.terminal.CancelCheckout(ctx, a.CheckoutID)
		if err == nil {
			t.tell(Sold{c})
		}
		t.tell(Done{err})
	}
}

func (t *till) activate(ctx context.Context, code string) {
	t.tell(Waiting{"Activating…"})
	if _, err := t.terminal.Activate(ctx, code, device()); err != nil {
		t.tell(Done{err})
		return
	}
	t.tell(ActivatedNow{})
	t.goOn(ctx)
}

func device() *terminalv1.Device {
	name, _ := os.Hostname()
	return &terminalv1.Device{Model: "Tillbook counter", SerialNumber: name, SoftwareVersion: "1"}
}

// goOn starts the session, and goes on where the last run stopped: requests without an
// answer are sent again, and sales that waited are shown again.
func (t *till) goOn(ctx context.Context) {
	t.running.Go(func() {
		if err := t.terminal.Run(ctx); ctx.Err() == nil {
			t.tell(Stopped{err})
		}
	})
	if c := t.memory.configuration(); c != nil {
		t.tell(Configured{c})
	}
	t.tell(Waiting{"Looking after what was under way…"})
	var last error
	for _, p := range t.terminal.Pending() {
		if err := t.insist(ctx, "What was under way has", func() (*checkoutv1.Checkout, error) {
			return t.terminal.Retry(ctx, p)
		}); err != nil {
			last = err
		}
	}
	for _, id := range t.memory.open() {
		err := t.insist(ctx, "A sale that waited has", func() (*checkoutv1.Checkout, error) { return t.terminal.GetCheckout(ctx, id) })
		if terminal.ReasonOf(err) == "NOT_FOUND" { // the device is another terminal now
			err = t.memory.wait(id, false)
		}
		if err != nil {
			last = err
		}
	}
	t.tell(Done{last})
}

// insist tries until there is an answer, and tells it.
func (t *till) insist(ctx context.Context, what string, try func() (*checkoutv1.Checkout, error)) error {
	for {
		c, err := try()
		if err == nil {
			return t.show(c)
		}
		if !unanswered(err) {
			return err
		}
		t.tell(Waiting{what + " no answer yet, and is sent again…"})
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(insistEvery):
		}
	}
}

// unanswered says whether to send a request again: nobody knows what became of it, or
// nothing did and it may work soon.
func unanswered(err error) bool {
	switch e, ok := errors.AsType[*terminal.Error](err); {
	case !ok:
		return false
	default:
		switch e.Reason {
		case "", "UNAVAILABLE", "DEADLINE_EXCEEDED", "OVERLOADED", "RATE_LIMITED", "OUTCOME_UNKNOWN", "ASSERTION_REPLAYED":
			return true
		}
		return false
	}
}

// show tells how a checkout stands, and keeps whether it waits.
func (t *till) show(c *checkoutv1.Checkout) error {
	err := t.memory.wait(c.GetCheckoutId(), isOpen(c))
	t.tell(Sold{c})
	return err
}

// event is told what happens, once and in order.
func (t *till) event(ctx context.Context, e terminal.Event) {
	var err error
	switch {
	case e.Offered != nil:
		err = t.show(e.Offered)
	case e.Updated != nil:
		err = t.show(e.Updated)
	case e.Paid != nil:
		err = t.show(e.Paid)
		t.print(ctx, e.Paid, e.Maybe)
	case e.Refunded != nil:
		t.tell(Refunded{e.Refunded})
	case e.Configuration != nil:
		t.configured(e.Configuration)
	case e.Command != nil:
		t.tell(Commanded{e.Command})
	}
	if err != nil {
		t.tell(Noticed{err})
	}
}

func (t *till) online(online bool, why error) {
	if online {
		t.tell(Connected{t.terminal.Epoch()})
		return
	}
	t.tell(Disconnected{why})
}

func (t *till) configured(c *terminalv1.Configuration) {
	t.tell(Configured{c})
	if err := t.memory.configure(c); err != nil {
		t.tell(Noticed{err})
	}
}

// print prints a receipt. If that fails, or if it may have been done before, somebody
// must look; until then nothing else is told, and if the till stops, the receipt is
// asked about again.
func (t *till) print(ctx context.Context, c *checkoutv1.Checkout, maybe bool) {
	why := "The till stopped before it knew whether the receipt is on paper. Look whether it is."
	if !maybe {
		err := t.writeReceipt(c)
		if err == nil {
			return
		}
		why = words(err)
	}
	select {
	case <-t.answers: // meant for the receipt before
	default:
	}
	for {
		t.tell(Unprinted{c, why})
		select {
		case <-ctx.Done():
			return
		case again := <-t.answers:
			err := error(nil)
			if again {
				err = t.writeReceipt(c)
			}
			if err == nil {
				t.tell(Settled{})
				return
			}
			why = words(err)
		}
	}
}

func (t *till) writeReceipt(c *checkoutv1.Checkout) error {
	paper, err := os.OpenFile(t.settings.printer, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("the printer can't be used: %w", err)
	}
	_, err = paper.WriteString(terminal.Receipt(c, t.memory.configuration(), receiptWidth) + "\n\n")
	if err := errors.Join(err, paper.Close()); err != nil {
		return fmt.Errorf("the printer can't be used: %w", err)
	}
	return nil
}
