package checkout

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
)

// Deps is what checkouts work with.
type Deps struct {
	// Store keeps the checkouts.
	Store *store.Store
	// Jobs expires them, so that this doesn't wait for connections behind calls.
	// Default: Store.
	Jobs *store.Store
	// Ledger holds the money.
	Ledger *ledger.Ledger
	// Key is a secret of at least 16 bytes under which payment codes are hashed, the
	// same on all replicas. While it changes, codes of the one before are still good.
	Key secret.Derived
	// Clock tells the time. Default time.Now.
	Clock func() time.Time
	// Allow says whether another checkout may be made for a merchant. Default: always.
	Allow func(merchant uuid.UUID) error
	// Logger gets what an operator should know. Default: nothing is logged.
	Logger *slog.Logger
	// SweepInterval is how often Run looks for checkouts that have expired, on
	// average. Default 1 s.
	SweepInterval time.Duration
	// CaptureLife is how long what was authorized can be captured. Default 7 days.
	CaptureLife time.Duration
}

// Desk is where checkouts are made and paid. It is safe for concurrent use.
type Desk struct {
	store  *store.Store
	jobs   *store.Store
	ledger *ledger.Ledger
	allow  func(merchant uuid.UUID) error
	key    secret.Derived
	now    func() time.Time
	log    *slog.Logger
	sweep  time.Duration
	held   time.Duration
	paid   paid
}

// New returns a desk. It starts nothing and needs no closing; see Run.
func New(deps Deps) *Desk {
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	if deps.SweepInterval <= 0 {
		deps.SweepInterval = time.Second
	}
	if deps.CaptureLife <= 0 {
		deps.CaptureLife = captureLife
	}
	if deps.Clock == nil {
		deps.Clock = time.Now
	}
	if deps.Allow == nil {
		deps.Allow = func(uuid.UUID) error { return nil }
	}
	if deps.Jobs == nil {
		deps.Jobs = deps.Store
	}
	return &Desk{
		store: deps.Store, jobs: deps.Jobs, allow: deps.Allow, ledger: deps.Ledger, key: deps.Key, now: deps.Clock, log: deps.Logger,
		sweep: deps.SweepInterval, held: deps.CaptureLife,
	}
}

// Caller is whose idempotency keys a request uses: a user's or, without one, a
// terminal's.
type Caller struct{ User, Terminal uuid.UUID }

func (c Caller) scope() string {
	if c.User != uuid.Nil {
		return money.UserScope(c.User)
	}
	return money.TerminalScope(c.Terminal)
}

// Scope restricts which checkouts are found: those of a merchant, or those at a
// terminal. Zero fields restrict nothing; the zero value finds any checkout, as
// customers do. What is out of scope is NOT_FOUND.
type Scope struct{ Merchant, Terminal uuid.UUID }

// Checkout is a checkout as one moment saw it. Message shows it.
type Checkout struct {
	ID       uuid.UUID
	Merchant uuid.UUID
	Store    uuid.UUID
	Terminal uuid.UUID // zero without one
	State    State
	// Payment is the transaction that paid it; zero if none has.
	Payment uuid.UUID
	Asset   ledger.Asset
	// Amount is what is to be paid, without a tip. Total is what was paid, tip
	// included, or is authorized; zero before.
	Amount, Total ledger.Amount
	Rate          Rate

	row store.CheckoutState
}

// CaptureMode says when the money moves.
type CaptureMode = checkoutv1.CaptureMode

// optional is nil for the zero id.
func optional(u uuid.UUID) *uuid.UUID {
	if u == uuid.Nil {
		return nil
	}
	return &u
}

func (d *Desk) read(ctx context.Context, row store.CheckoutState) (*Checkout, error) {
	asset, err := d.ledger.AssetByID(ctx, ledger.AssetID(row.AssetID))
	if err != nil {
		return nil, err
	}
	c := &Checkout{
		ID: row.ID, Merchant: row.MerchantID, Store: row.StoreID, State: State(row.State), Asset: asset,
		Rate: Rate{BasisPoints: int(row.FeeBasisPoints)}, row: row,
	}
	if row.TerminalID != nil {
		c.Terminal = *row.TerminalID
	}
	switch {
	case row.PaymentID != nil:
		c.Payment = *row.PaymentID
	case row.CaptureID != nil:
		c.Payment = *row.CaptureID
	}
	total := row.Held
	if c.Payment != uuid.Nil {
		total = row.Paid
	}
	for _, a := range []struct {
		text string
		into *ledger.Amount
	}{{row.Amount, &c.Amount}, {total, &c.Total}, {row.FeeFixed, &c.Rate.Fixed}} {
		if *a.into, err = ledger.ParseDecimal(a.text, 0); err != nil {
			return nil, err
		}
	}
	return c, nil
}
