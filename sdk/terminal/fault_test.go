package terminal_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/sdk/terminal"
)

var errDied = errors.New("the device lost its power")

// steps are where in a sale a device dies.
var steps = []string{
	"the sale is noted, but not sent", "the sale is made, but not answered",
	"it comes, but isn't shown", "it is shown",
	"the charge is noted, but not sent", "it is charged, but not answered",
	"it is paid, but not printed", "it is printed, but that isn't noted", "it is printed",
}

const nowhere = "nowhere"

// till is the storage of a device on which a simple counter runs: what the SDK keeps,
// the sale that is shown, and the paper in the printer.
type till struct {
	*device
	mu    sync.Mutex
	shown *checkoutv1.Checkout
	paper []string
}

// life is one run of the counter. It dies at a step: from there on it neither sends
// nor keeps anything.
type life struct {
	*till
	pos     *terminal.Terminal
	journal *terminal.Journal
	dies    string
	died    chan struct{}
	offered chan struct{} // a sale is shown
	printed chan struct{}
	updates chan string
}

func (t *till) live(dies string) *life {
	t.w.t.Helper()
	l := &life{
		till: t, dies: dies, died: make(chan struct{}),
		offered: make(chan struct{}, 9), printed: make(chan struct{}, 9), updates: make(chan string, 9),
	}
	var err error
	l.journal, err = terminal.OpenJournal(filepath.Join(t.folder, "journal"))
	must(t.w.t, err)
	l.pos, err = terminal.New(terminal.Config{
		Address: "passthrough:///replica", Plaintext: true, Keys: terminal.FileKeys(filepath.Join(t.folder, "key")), Journal: l.journal,
		Handlers: terminal.Handlers{Event: l.event}, MinBackoff: 10 * time.Millisecond, MaxBackoff: 100 * time.Millisecond,
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(t.network.dial), grpc.WithChainUnaryInterceptor(l.call)},
	})
	must(t.w.t, err)
	t.w.t.Cleanup(func() { _, _ = l.pos.Close(), l.journal.Close() })
	return l
}

// dead says whether the device dies at this step, if it is one, or has died before.
func (l *life) dead(step string) bool {
	if step == l.dies {
		_ = l.journal.Close() // what is on the disk stays as it is
		close(l.died)
	}
	select {
	case <-l.died:
		return true
	default:
		return false
	}
}

// call makes a call unless the device dies before, and hears the answer unless it dies
// then.
func (l *life) call(ctx context.Context, method string, req, res any, conn *grpc.ClientConn, next grpc.UnaryInvoker, options ...grpc.CallOption) error {
	before, after := "", ""
	switch method {
	case service + "CreateCheckout":
		before, after = steps[0], steps[1]
	case service + "ChargePaymentCode":
		before, after = steps[4], steps[5]
	}
	if l.dead(before) {
		return errDied
	}
	err := next(ctx, method, req, res, conn, options...)
	if l.dead(after) {
		return errDied
	}
	return err
}

// event shows what is offered and prints what is paid. Where it can't know whether a
// receipt is on paper, it looks.
func (l *life) event(ctx context.Context, e terminal.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case e.Offered != nil:
		if l.dead(steps[2]) {
			return
		}
		l.shown = e.Offered
		l.offered <- struct{}{}
	case e.Paid != nil:
		if l.dies == steps[5] { // the message may be here before the answer, but the device prints no more
			select {
			case <-l.died:
			case <-ctx.Done():
			}
		}
		if l.dead(steps[6]) {
			return
		}
		if !e.Maybe || len(l.paper) == 0 {
			l.paper = append(l.paper, e.Paid.GetCheckoutId())
		}
		if !l.dead(steps[7]) {
			l.printed <- struct{}{}
		}
	case e.Command != nil:
		l.updates <- e.Command.GetVersion()
	}
}

// sell sells for USD 3, from where the life before stopped to the receipt.
func (l *life) sell() error {
	ctx := l.w.t.Context()
	stop := run(l.w.t, l.pos)
	defer stop()
	sale, err := l.begin(ctx)
	if err != nil {
		return err
	}
	if l.dead(steps[3]) {
		return errDied
	}
	if sale.GetPayment() == nil {
		code := &walletv1.CreatePaymentCodeResponse{}
		must(l.w.t, l.w.as(l.w.customer, "/tillbook.wallet.v1.WalletService/CreatePaymentCode", &walletv1.CreatePaymentCodeRequest{
			Maximum: &moneyv1.Money{Asset: "USD", Amount: "3"},
		}, code))
		_, err := l.pos.ChargePaymentCode(ctx, &terminalv1.ChargePaymentCodeRequest{CheckoutId: sale.GetCheckoutId(), PaymentCode: code.GetPaymentCode()})
		if err != nil {
			return err
		}
	}
	select {
	case <-l.printed:
	case <-l.died:
	case <-time.After(30 * time.Second):
		return errors.New("it is never printed")
	}
	if l.dead("") || l.settle() != nil || l.dead(steps[8]) {
		return errDied
	}
	return nil
}

// settle waits for something that is told later, so that all before is noted.
func (l *life) settle() error {
	self, err := l.pos.ID()
	if err != nil {
		return err
	}
	if err := l.w.command(self, update, "1"); err != nil {
		return err
	}
	next(l.w.t, l.updates)
	return nil
}

// begin returns the sale that a life before began, or a new one.
func (l *life) begin(ctx context.Context) (*checkoutv1.Checkout, error) {
	if pending := l.pos.Pending(); len(pending) > 0 {
		return l.pos.Retry(ctx, pending[0])
	}
	l.mu.Lock()
	shown := l.shown
	l.mu.Unlock()
	if shown != nil {
		return l.pos.GetCheckout(ctx, shown.GetCheckoutId())
	}
	if l.dies == nowhere { // died between the answer and the event, which comes now
		next(l.w.t, l.offered)
		return l.shown, nil
	}
	sale, err := l.pos.CreateCheckout(ctx, &terminalv1.CreateCheckoutRequest{Amount: &moneyv1.Money{Asset: "USD", Amount: "3"}})
	if err != nil {
		return nil, err
	}
	select {
	case <-l.offered:
	case <-l.died:
		return nil, errDied
	}
	return sale, nil
}

func TestATerminalKilledAtAnyStepOfASaleSellsOnceAndPrintsOnce(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	for n, step := range steps {
		device := &till{device: w.device()}
		first := device.live(step)
		_, err := first.pos.Activate(t.Context(), w.code(), nil)
		must(t, err)
		if err := first.sell(); err == nil {
			t.Fatalf("%s: it lives", step)
		}
		<-first.died
		must(t, first.pos.Close())

		second := device.live(nowhere)
		if step != steps[8] {
			if err := second.sell(); err != nil {
				t.Fatalf("%s: the next life: %v", step, err)
			}
		}
		// What comes after this would be told too much.
		run(t, second.pos)
		must(t, second.settle())
		var sales, paid int
		must(t, w.owner.Pool.QueryRow(t.Context(), "SELECT count(*), count(*) FILTER (WHERE state = 5) FROM checkout_states").Scan(&sales, &paid))
		if len(device.paper) != 1 || len(second.printed) > 0 || len(second.pos.Pending()) > 0 || sales != n+1 || paid != n+1 {
			t.Errorf("%s: %d receipts, pending %v; %d sales in all, %d of them paid", step, len(device.paper), second.pos.Pending(), sales, paid)
		}
	}
	var balance string
	must(t, w.owner.Pool.QueryRow(t.Context(), "SELECT balance::text FROM accounts WHERE code LIKE '%/main/USD' AND balance > 0 AND code LIKE 'user/%'").Scan(&balance))
	if want := fmt.Sprint(100_000 - 300*len(steps)); balance != want {
		t.Errorf("the customer has %s cents left, want %s", balance, want)
	}
}

// All replicas are away for a while; the sales that wait are paid when one is back.
func TestCheckoutsOutwaitARestartOfTheServer(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	d := w.device()
	offered, paid := make(chan string, 20), make(chan string, 20)
	online := make(chan bool, 20)
	pos, _ := d.boot(terminal.Handlers{
		Event: func(_ context.Context, e terminal.Event) {
			switch {
			case e.Offered != nil:
				offered <- e.Offered.GetCheckoutId()
			case e.Paid != nil:
				paid <- e.Paid.GetCheckoutId()
			}
		},
		Online: func(on bool, _ error) { online <- on },
	})
	_, err := pos.Activate(t.Context(), w.code(), nil)
	must(t, err)
	run(t, pos)
	const sales = 8
	var list []*checkoutv1.Checkout
	for range sales {
		sale, err := pos.CreateCheckout(t.Context(), &terminalv1.CreateCheckoutRequest{Amount: &moneyv1.Money{Asset: "USD", Amount: "3"}})
		must(t, err)
		list = append(list, sale)
	}
	for _, sale := range list {
		if got := next(t, offered); got != sale.GetCheckoutId() {
			t.Fatalf("offered %s, want %s", got, sale.GetCheckoutId())
		}
	}
	next(t, online)
	for _, r := range w.replicas {
		r.stop()
	}
	if next(t, online) {
		t.Fatal("online without a server")
	}
	w.replicas = []*replica{w.start()}
	w.office = w.dial(w.replicas[0].GRPCAddr())
	for _, sale := range list {
		w.pay(sale)
	}
	d.network.mu.Lock() // what was paid meanwhile waits for the device, too
	d.network.to = []string{w.replicas[0].GRPCAddr()}
	d.network.mu.Unlock()
	for _, sale := range list {
		if got := next(t, paid); got != sale.GetCheckoutId() {
			t.Fatalf("paid %s, want %s", got, sale.GetCheckoutId())
		}
	}
	if len(offered)+len(paid) > 0 {
		t.Errorf("%d offered and %d paid once too often", len(offered), len(paid))
	}
}

// What keeps a session from beginning is told, in words that say what is wrong.
func TestADeviceIsToldWhyItIsNotLetIn(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	failed := make(chan error, 1) // the first counts
	pos, _ := w.device().boot(terminal.Handlers{Failed: func(why error) {
		select {
		case failed <- why:
		default:
		}
	}})
	_, err := pos.Activate(t.Context(), w.code(), nil)
	must(t, err)
	pos.Misset(24 * time.Hour)
	run(t, pos)
	if why := next(t, failed); terminal.ReasonOf(why) != "CLOCK_SKEWED" || !strings.Contains(why.Error(), "clock is wrong") {
		t.Errorf("it is told: %v", why)
	}
}

func (w *town) dial(address string) *grpc.ClientConn {
	w.t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(w.t, err)
	w.t.Cleanup(func() { _ = conn.Close() })
	return conn
}
