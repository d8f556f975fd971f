package server

import (
	"context"
	"errors"
	"fmt"

	"connectrpc.com/connect/v2"
	"github.com/google/uuid"

	"github.com/tillbook/tillbook/gen/tillbook/audit/v1/auditv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/ledger/v1/ledgerv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/limit/v1/limitv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/sandbox/v1/sandboxv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/seal/v1/sealv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/terminal/v1/terminalv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/user/v1/userv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	auditservice "github.com/tillbook/tillbook/server/audit"
	"github.com/tillbook/tillbook/server/auth"
	"github.com/tillbook/tillbook/server/checkout"
	ledgerservice "github.com/tillbook/tillbook/server/ledger"
	"github.com/tillbook/tillbook/server/limit"
	"github.com/tillbook/tillbook/server/merchant"
	"github.com/tillbook/tillbook/server/rate"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/server/sandbox"
	sealservice "github.com/tillbook/tillbook/server/seal"
	"github.com/tillbook/tillbook/server/terminal"
	"github.com/tillbook/tillbook/server/user"
	"github.com/tillbook/tillbook/server/vitals"
	"github.com/tillbook/tillbook/server/wallet"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
	"github.com/tillbook/tillbook/store/seal"
)

// open builds everything between the doors and the database, from the bottom up.
func (s *Server) open(ctx context.Context) (front, error) {
	t, err := newTelemetry(ctx, s.cfg.Version, s.cfg.Logger)
	if err != nil {
		return front{}, err
	}
	s.own(t.close)
	s.tracer = t.tracer()
	db, books, err := s.openBooks(ctx, t)
	if err != nil {
		return front{}, err
	}
	if err := s.join(ctx, db); err != nil {
		return front{}, err
	}
	if err := s.followClock(ctx, db.jobs); err != nil {
		return front{}, err
	}
	keys, err := s.startSealing(ctx, t, db)
	if err != nil {
		return front{}, err
	}
	n, err := s.openNouns(db, books, keys)
	if err != nil {
		return front{}, err
	}
	monitor := vitals.New(vitals.Config{Pool: db.events.Pool, Logger: s.cfg.Logger})
	s.background(monitor.Run)
	if err := n.watchAll(t.meter, books, monitor); err != nil {
		return front{}, err
	}
	return front{history: db.history.Reading, payments: n.payments, telemetry: t, auth: n.auth, terminals: n.terminal, ping: db.events.Ping, record: db.calls.Queries().Record, register: n.register, keys: n.auth.JWKS(), log: n.seal}, nil
}

// openBooks migrates and opens the database and the ledger on it.
func (s *Server) openBooks(ctx context.Context, t *telemetry) (*pools, *ledger.Ledger, error) {
	if !s.cfg.SkipMigrate {
		from, to, err := store.Migrate(ctx, s.cfg.DatabaseURL)
		if err != nil {
			return nil, nil, err
		}
		if from != to {
			s.cfg.Logger.InfoContext(ctx, "migrated the database", "from", from, "to", to)
		}
	}
	db, err := s.openPools(ctx, store.Config{URL: s.cfg.DatabaseURL, MaxConns: s.cfg.MaxConns, Tracer: t.queryTracer()})
	if err != nil {
		return nil, nil, err
	}
	if err := db.watch(t); err != nil {
		return nil, nil, err
	}
	cfg := s.cfg.Ledger
	cfg.Logger, cfg.Events, cfg.Jobs = s.cfg.Logger, db.events.Pool, db.jobs.Pool
	if t.traces != nil {
		cfg.TracerProvider = t.traces
	}
	books := ledger.New(db.calls.Pool, cfg)
	s.own(func() error { books.Close(); return nil })
	err = watchIf(t.meter, ledgerInstruments, ledgerFamilies, func() (ledger.Stats, bool) { return books.Stats(), true })
	return db, books, errors.Join(err, watchPool(t.metrics, books.Writers(), "ledger"))
}

// startSealing opens the log's keys and seals what commits from now on, and what
// was committed before.
func (s *Server) startSealing(ctx context.Context, t *telemetry, db *pools) (*sealservice.Keys, error) {
	keys, err := sealservice.OpenKeys(ctx, db.calls, s.cfg.Secret, s.cfg.SealName, s.cfg.Logger)
	if err != nil {
		return nil, err
	}
	s.background(keys.Run)
	sealer := seal.New(db.events.Pool, seal.Config{Signers: keys.Signers, Logger: s.cfg.Logger})
	s.background(sealer.Run)
	return keys, watch(t.meter, sealInstruments, sealer.Stats)
}

// nouns are the services, one a noun. They don't know each other.
type nouns struct {
	auth     *auth.Service
	wallet   *wallet.Service
	merchant *merchant.Service
	ledger   *ledgerservice.Service
	audit    *auditservice.Service
	limit    *limit.Service
	user     *user.Service
	seal     *sealservice.Service
	terminal *terminal.Service
	sandbox  *sandbox.Service // nil unless in sandbox mode

	checkouts *checkout.Desk // what merchants, terminals and wallets share
	payments  func(rpc.Principal) error
}

func (s *Server) openNouns(p *pools, books *ledger.Ledger, keys *sealservice.Keys) (*nouns, error) {
	db := p.calls
	log := seal.NewLog(db.Pool)
	limiter := rate.New(db, s.cfg.Secret.Derive("limits"), s.now)
	tally := rate.NewTally(limiter, p.jobs, s.cfg.Logger)
	s.background(tally.Run)
	sms, err := s.gateway(db)
	if err != nil {
		return nil, err
	}
	n := &nouns{payments: s.cfg.Limits.payments(tally)}
	n.auth, err = auth.New(auth.Deps{
		Store: db, Events: p.events, Jobs: p.jobs, Limiter: limiter, Secret: s.cfg.Secret, SMS: sms, Clock: s.now, Logger: s.cfg.Logger, Config: s.cfg.Auth,
	})
	if err != nil {
		return nil, fmt.Errorf("open the auth service: %w", err)
	}
	s.own(func() error { n.auth.Close(); return nil })
	n.checkouts = checkout.New(checkout.Deps{
		Store: db, Jobs: p.jobs, Ledger: books, Key: s.cfg.Secret.Derive("payment codes"), Clock: s.now, Logger: s.cfg.Logger,
		Allow: func(merchant uuid.UUID) error { return tally.Allow(s.cfg.Limits.CheckoutsMerchant, merchant.String()) },
	})
	s.background(n.checkouts.Run)
	n.wallet = wallet.New(wallet.Deps{
		Store: db, Past: p.past, Ledger: books, Checkouts: n.checkouts, Log: log, Limiter: limiter, Clock: s.now, Logger: s.cfg.Logger,
	})
	s.background(func(ctx context.Context) {
		if err := n.wallet.Warm(p.jobs.Reading(ctx)); err != nil && ctx.Err() == nil {
			s.cfg.Logger.WarnContext(ctx, "the wallet begins with a cold cache", "error", err)
		}
	})
	s.openShops(n, p, books, limiter)
	n.ledger = ledgerservice.New(ledgerservice.Deps{
		Store: db, Past: p.past, Ledger: books, Checkouts: n.checkouts, Log: log, LogKeys: keys.Verifiers, Clock: s.now,
	})
	n.seal = sealservice.New(log, keys)
	n.audit = auditservice.New(db, p.past)
	n.limit = limit.New(limit.Deps{Store: db, Ledger: books})
	n.user = user.New(user.Deps{Store: db, Ledger: books, Clock: s.now})
	// A verification may take longer than a stopping server waits.
	context.AfterFunc(s.draining, n.ledger.Close)
	if s.cfg.Sandbox {
		n.sandbox = sandbox.New(sandbox.Deps{Store: db, Ledger: books, View: n.wallet.View})
	}
	return n, nil
}

// openShops opens what sells, from the terminals up.
func (s *Server) openShops(n *nouns, p *pools, books *ledger.Ledger, limiter *rate.Limiter) {
	n.terminal = terminal.New(terminal.Deps{
		Store: p.calls, Pools: p.terminals(), Limiter: limiter, Desk: n.checkouts, Secret: s.cfg.Secret, Draining: s.draining,
		Clock: s.now, Logger: s.cfg.Logger, Config: s.cfg.Terminal,
	})
	s.background(n.terminal.Run)
	n.merchant = merchant.New(merchant.Deps{
		Store: p.calls, Events: p.events, Past: p.past, Ledger: books, Checkouts: n.checkouts, Limiter: limiter, TerminalReady: n.terminal.Ready, Clock: s.now, Logger: s.cfg.Logger,
	})
	s.background(n.merchant.Run)
	s.background(merchant.NewSettler(merchant.SettlerConfig{Store: p.jobs, Ledger: books, Logger: s.cfg.Logger}).Run)
}

// gateway is how SMS messages leave: by the webhook if there is one, which also
// goes for a sandbox.
func (s *Server) gateway(db *store.Store) (auth.Gateway, error) {
	if s.cfg.SMSWebhookURL == "" {
		return sandbox.NewGateway(db), nil
	}
	return auth.NewWebhook(s.cfg.SMSWebhookURL)
}

func (n *nouns) register(calls *connect.Server) {
	authv1connect.RegisterAuthServiceHandler(calls, n.auth)
	walletv1connect.RegisterWalletServiceHandler(calls, n.wallet)
	merchantv1connect.RegisterMerchantServiceHandler(calls, n.merchant)
	ledgerv1connect.RegisterLedgerServiceHandler(calls, n.ledger)
	auditv1connect.RegisterAuditServiceHandler(calls, n.audit)
	sealv1connect.RegisterSealServiceHandler(calls, n.seal)
	limitv1connect.RegisterLimitServiceHandler(calls, n.limit)
	userv1connect.RegisterUserServiceHandler(calls, n.user)
	terminalv1connect.RegisterTerminalServiceHandler(calls, n.terminal)
	if n.sandbox != nil {
		sandboxv1connect.RegisterSandboxServiceHandler(calls, n.sandbox)
	}
}
