package wallet

import (
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/server/rate"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
	"github.com/tillbook/tillbook/store/seal"
)

// Deps is what the service works with.
type Deps struct {
	// Store reads users and keeps requests for money.
	Store *store.Store
	// Past is where further pages and statements are read. Default: Store.
	Past *store.Past
	// Ledger holds the money.
	Ledger *ledger.Ledger
	// Checkouts are the sales that users pay.
	Checkouts *checkout.Desk
	// Log is where transactions are sealed.
	Log *seal.Log
	// Limiter bounds how often a user may look for others or ask them for money.
	Limiter *rate.Limiter
	// Logger gets what an operator should know. Default: nothing is logged.
	Logger *slog.Logger
	// Clock tells the time. Default time.Now.
	Clock func() time.Time
	// Watch tunes WatchWallet.
	Watch WatchConfig
}

// New returns the service. It starts nothing and needs no closing.
func New(deps Deps) *Service {
	if deps.Clock == nil {
		deps.Clock = time.Now
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	deps.Watch.setDefaults()
	payees := newPayees(deps.Store, deps.Clock)
	return &Service{
		store:     deps.Store,
		past:      deps.Past,
		ledger:    deps.Ledger,
		limiter:   deps.Limiter,
		log:       deps.Log,
		checkouts: deps.Checkouts,
		merchants: newCache[uuid.UUID, string](merchantsCached, merchantsLife, deps.Clock),
		payees:    payees,
		lookups:   &lookups{payees: payees, limiter: deps.Limiter, log: deps.Logger},
		watchers:  newWatchers(deps.Watch.MaxPerUser, "You watch your wallet on too many connections. Close one first."),
		exports:   newWatchers(maxExports, "You are being sent too many statements at once. Wait for one to end."),
		now:       deps.Clock,
		watch:     deps.Watch,
	}
}
