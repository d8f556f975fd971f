package mix

import (
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"crypto/rand"

	"github.com/tillbook/tillbook/examples/torture/record"
	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	tillbook "github.com/tillbook/tillbook/sdk"
	"github.com/tillbook/tillbook/sdk/terminal"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
)

// Shop is a merchant with terminals.
type Shop struct {
	// Merchant is its id.
	Merchant string
	// Devices are its terminals.
	Devices []*Device

	owner *tillbook.Client
	since atomic.Int64 // when a terminal came online last
}

// Device is a terminal that is online most of the time.
type Device struct {
	// Name is its stream's.
	Name string

	id       string
	terminal *terminal.Terminal
	gateway  *gateway // nil if it has none
	up       atomic.Bool
	failed   atomic.Pointer[string]

	mu    sync.Mutex
	waits map[string]chan struct{} // by checkout and state
}

// openShop makes a merchant, a store and terminals, and activates them.
func (m *Mix) openShop(ctx context.Context) (*Shop, error) {
	s := &Shop{owner: m.Owner.patient}
	merchant, err := s.owner.Merchants.Create(ctx, &tillbook.CreateMerchantRequest{Name: "Torture", Country: "ID", City: "Bandung"})
	if err != nil {
		return nil, fmt.Errorf("opening a shop: %w", err)
	}
	s.Merchant = merchant.GetMerchantId()
	store, err := s.owner.Merchants.CreateStore(ctx, &tillbook.CreateStoreRequest{MerchantId: s.Merchant, Name: "Shop"})
	if err != nil {
		return nil, fmt.Errorf("opening a shop: %w", err)
	}
	for i := range m.config.Terminals {
		made, err := s.owner.Terminals.Create(ctx, &tillbook.CreateTerminalRequest{
			MerchantId: s.Merchant, StoreId: store.GetStoreId(), Name: fmt.Sprintf("Till %d", i+1),
		})
		if err != nil {
			return nil, fmt.Errorf("making a terminal: %w", err)
		}
		d, err := m.newDevice(i)
		if err != nil {
			return nil, err
		}
		if _, err := d.terminal.Activate(ctx, made.GetActivationCode(), &terminalv1.Device{Model: "Torture", SoftwareVersion: "1.0"}); err != nil {
			return nil, fmt.Errorf("activating a terminal: %w", err)
		}
		d.id = made.GetTerminal().GetTerminalId()
		s.Devices = append(s.Devices, d)
	}
	return s, nil
}

// newDevice returns a terminal. One in three is behind a gateway.
func (m *Mix) newDevice(i int) (*Device, error) {
	d := &Device{Name: fmt.Sprintf("terminal/%d", i), waits: make(map[string]chan struct{})}
	options := []grpc.DialOption{grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second})}
	cfg := terminal.Config{
		Address: m.site.GRPC, TLS: m.site.TLS.Clone(), DialOptions: options,
		Keys: terminal.MemoryKeys(), Journal: terminal.MemoryJournal(),
		MinBackoff: 200 * time.Millisecond, MaxBackoff: 2 * time.Second,
		Handlers: terminal.Handlers{
			Event: func(_ context.Context, e terminal.Event) {
				switch {
				case e.Offered != nil:
					m.told(d, e.Offered, Offered)
				case e.Paid != nil:
					m.told(d, e.Paid, Paid)
				}
			},
			Online: func(online bool, why error) {
				d.up.Store(online)
				if online && d.gateway == nil {
					m.Shop.since.Store(int64(m.record.Now()))
				}
				if why != nil {
					d.failed.Store(new(why.Error()))
				}
			},
		},
	}
	var err error
	if i%3 == 2 {
		conn, dialErr := grpc.NewClient(m.site.GRPC, append(options, grpc.WithTransportCredentials(credentials.NewTLS(m.site.TLS.Clone())))...)
		if dialErr != nil {
			return nil, dialErr
		}
		d.gateway = &gateway{ClientConnInterface: conn, ending: m.ending}
		cfg.Conn = d.gateway
		context.AfterFunc(m.ending, func() { _ = conn.Close() })
	}
	d.terminal, err = terminal.New(cfg)
	return d, err
}

// What terminals are told of a checkout.
const (
	Offered = "OFFERED"
	Paid    = "PAID"
)

func (m *Mix) told(d *Device, c *checkoutv1.Checkout, state string) {
	m.record.Told(d.Name, record.Event{Checkout: c.GetCheckoutId(), State: state, Mark: c.GetReference()})
	d.mu.Lock()
	defer d.mu.Unlock()
	told := d.wait(c.GetCheckoutId() + state)
	select {
	case <-told:
	default:
		close(told)
	}
}

// wait returns what is closed when the terminal is told. It wants the lock.
func (d *Device) wait(what string) chan struct{} {
	if d.waits[what] == nil {
		d.waits[what] = make(chan struct{})
	}
	return d.waits[what]
}

// hears waits until the terminal was told.
func (d *Device) hears(ctx context.Context, checkout, state string) bool {
	d.mu.Lock()
	told := d.wait(checkout + state)
	d.mu.Unlock()
	select {
	case <-told:
		return true
	case <-ctx.Done():
		return false
	}
}

// run keeps the terminals online.
func (s *Shop) run(m *Mix) {
	for _, d := range s.Devices {
		m.listeners.Go(func() {
			if err := d.terminal.Run(m.ending); err != nil && m.ending.Err() == nil {
				d.failed.Store(new(err.Error()))
			}
		})
		if d.gateway != nil {
			m.listeners.Go(func() { d.gateway.haunt(m.stopping) })
		}
	}
}

// Online reports whether all terminals are, but for those behind gateways, which come
// and go.
func (s *Shop) Online() bool {
	return !slices.ContainsFunc(s.Devices, func(d *Device) bool { return d.gateway == nil && !d.up.Load() })
}

// Since is when one of these came online last, since the recorder's beginning.
func (s *Shop) Since() time.Duration { return time.Duration(s.since.Load()) }

func (s *Shop) online(ctx context.Context) error {
	for !s.Online() {
		if !sleep(ctx, 20*time.Millisecond) {
			for _, d := range s.Devices {
				if why := d.failed.Load(); why != nil {
					return fmt.Errorf("a terminal isn't online: %s", *why)
				}
			}
			return fmt.Errorf("the terminals aren't online: %w", ctx.Err())
		}
	}
	return nil
}

// tellTimeout bounds how long a seller waits until the terminal shows the sale. If it
// takes longer, the customer finds it by the receipt's code.
const tellTimeout = 20 * time.Second

// sell makes a sale at a terminal that is online, and has a customer pay it.
func (m *Mix) sell(ctx context.Context) {
	d := m.Shop.Devices[mathrand.IntN(len(m.Shop.Devices))]
	if !d.up.Load() {
		return // nobody can sell there now
	}
	cents := 10 + mathrand.Int64N(90)
	sale := &record.Operation{Kind: record.Sale, Group: -1, From: d.Name, Cents: cents, Key: rand.Text(), Mark: rand.Text()}
	m.record.Begin(sale)
	begin := m.sellAtTerminal
	if mathrand.IntN(2) == 0 {
		begin = m.sellInOffice
	}
	made, known := m.settle(ctx, sale, func(ctx context.Context) record.Answer { return begin(ctx, d, sale) })
	if !known {
		return
	}
	m.record.Ended(sale, made)
	if made.Outcome != record.Done {
		return
	}
	waiting, cancel := context.WithTimeout(ctx, tellTimeout)
	d.hears(waiting, made.Checkout, Offered)
	cancel()
	m.payCheckout(ctx, m.Customers[mathrand.IntN(len(m.Customers))], made.Checkout, cents)
}

// sellAtTerminal has the terminal itself make the sale.
func (m *Mix) sellAtTerminal(ctx context.Context, d *Device, sale *record.Operation) record.Answer {
	c, err := d.terminal.CreateCheckout(ctx, &terminalv1.CreateCheckoutRequest{
		IdempotencyKey: sale.Key, Amount: money(sale.Cents), Reference: sale.Mark,
	})
	if err != nil {
		return answerOfTerminal(err)
	}
	return record.Answer{Outcome: record.Done, Checkout: c.GetCheckoutId()}
}

// sellInOffice has the merchant make it for the terminal to show. That the server takes
// the terminal to be away passes.
func (m *Mix) sellInOffice(ctx context.Context, d *Device, sale *record.Operation) record.Answer {
	c, err := m.Owner.plain.Merchants.Sell(ctx, &tillbook.CreateCheckoutRequest{
		IdempotencyKey: sale.Key, MerchantId: m.Shop.Merchant, TerminalId: d.id, Amount: money(sale.Cents), Reference: sale.Mark,
	})
	switch {
	case errors.Is(err, tillbook.ReasonTerminalUnavailable):
		return record.Answer{Outcome: record.Failed, Reason: string(tillbook.ReasonTerminalUnavailable)}
	case err != nil:
		return answerTo(err)
	}
	return record.Answer{Outcome: record.Done, Checkout: c.GetCheckoutId()}
}

func (m *Mix) payCheckout(ctx context.Context, by *Person, checkout string, cents int64) {
	o := &record.Operation{
		Kind: record.Payment, Group: -1, From: by.Name, To: m.Shop.Merchant, Cents: cents, Key: rand.Text(), Checkout: checkout,
	}
	m.record.Begin(o)
	try := func(ctx context.Context) record.Answer {
		_, t, err := by.plain.Wallet.PayCheckout(ctx, &tillbook.PayCheckoutRequest{IdempotencyKey: o.Key, CheckoutId: checkout})
		if err != nil {
			return answerTo(err)
		}
		return paid(t)
	}
	a, known := m.settle(ctx, o, try)
	if !known {
		return
	}
	m.record.Ended(o, a)
	if a.Outcome == record.Done && mathrand.IntN(4) == 0 {
		m.askAgain(ctx, o, try)
	}
}

// answerOfTerminal says what an error tells of a terminal's attempt.
func answerOfTerminal(err error) record.Answer {
	e, ok := errors.AsType[*terminal.Error](err)
	if !ok {
		return record.Answer{Outcome: record.Unknown, Reason: err.Error()}
	}
	a := record.Answer{Outcome: record.Unknown, Reason: e.Reason}
	if a.Reason == "" {
		a.Reason = "UNAVAILABLE"
	}
	switch {
	case e.Outcome == errorv1.Outcome_OUTCOME_NOT_EXECUTED && final[e.Reason]:
		a.Outcome = record.Refused
	case e.Outcome == errorv1.Outcome_OUTCOME_NOT_EXECUTED:
		a.Outcome = record.Failed
	}
	return a
}

// final are the refusals of a terminal's requests that trying again doesn't change.
var final = map[string]bool{
	"INVALID_ARGUMENT": true, "IDEMPOTENCY_KEY_REUSED": true, "TOO_MANY_CHECKOUTS": true, "TERMINAL_REVOKED": true, "TERMINAL_LOCKED": true,
}

// Funds is what the merchant has, in cents, whether settled or not.
func (s *Shop) Funds(ctx context.Context) (int64, error) {
	_, balances, err := s.owner.Merchants.Get(ctx, s.Merchant)
	if err != nil {
		return 0, fmt.Errorf("reading what the merchant has: %w", err)
	}
	var sum int64
	for _, b := range balances {
		for _, amount := range []string{b.GetAvailable().GetAmount(), b.GetPending().GetAmount()} {
			n, err := cents(amount)
			if err != nil {
				return 0, err
			}
			sum += n
		}
	}
	return sum, nil
}
