package server

import (
	"context"
	"fmt"

	"connectrpc.com/connect/v2"

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
	"github.com/tillbook/tillbook/server/sandbox"
	sealservice "github.com/tillbook/tillbook/server/seal"
	"github.com/tillbook/tillbook/server/terminal"
	"github.com/tillbook/tillbook/server/user"
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
	db, books, err := s.openBooks(ctx, t)
	if err != nil {
		return front{}, err
	}
	if err := s.followClock(ctx, db); err != nil {
		return front{}, err
	}
	key, err := s.startSealing(ctx, t, db)
	if err != nil {
		return front{}, err
	}
	n, err := s.openNouns(db, books, key)
	if err != nil {
		return front{}, err
	}
	if err := watch(t.meter, authInstruments, n.auth.Stats); err != nil {
		return front{}, err
	}
	return front{telemetry: t, auth: n.auth, terminals: n.terminal, ping: db.Ping, record: db.Queries().Record, register: n.register, keys: n.auth.JWKS(), log: n.seal}, nil
}

// openBooks migrates and opens the database and the ledger on it.
func (s *Server) openBooks(ctx context.Context, t *telemetry) (*store.Store, *ledger.Ledger, error) {
	if !s.cfg.SkipMigrate {
		from, to, err := store.Migrate(ctx, s.cfg.DatabaseURL)
		if err != nil {
			return nil, nil, err
		}
		if from != to {
			s.cfg.Logger.Info("migrated the database", "from", from, "to", to)
		}
	}
	db, err := store.Open(ctx, store.Config{URL: s.cfg.DatabaseURL, MaxConns: s.cfg.MaxConns, Tracer: t.queryTracer()})
	if err != nil {
		return nil, nil, err
	}
	s.own(func() error { db.Close(); return nil })
	if err := watchPool(t.metrics, db.Pool); err != nil {
		return nil, nil, err
	}
	cfg := s.cfg.Ledger
	cfg.Logger = s.cfg.Logger
	if t.traces != nil {
		cfg.TracerProvider = t.traces
	}
	books := ledger.New(db.Pool, cfg)
	s.own(func() error { books.Close(); return nil })
	if err := watch(t.meter, ledgerInstruments, books.Stats); err != nil {
		return nil, nil, err
	}
	if err := watchRetries(t.meter, books.Stats); err != nil {
		return nil, nil, err
	}
	return db, books, nil
}

// startSealing opens the log's key and seals what commits from now on, and what
// was committed before.
func (s *Server) startSealing(ctx context.Context, t *telemetry, db *store.Store) (sealservice.Key, error) {
	key, err := sealservice.OpenKey(ctx, db, s.cfg.Secret, s.cfg.SealName)
	if err != nil {
		return key, err
	}
	sealer := seal.New(db.Pool, seal.Config{Signer: key.Signer, Logger: s.cfg.Logger})
	s.background(sealer.Run)
	return key, watch(t.meter, sealInstruments, sealer.Stats)
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
}

func (s *Server) openNouns(db *store.Store, books *ledger.Ledger, key sealservice.Key) (*nouns, error) {
	log := seal.NewLog(db.Pool)
	limiter := rate.New(db, s.cfg.Secret.Derive("limits"), s.now)
	sms, err := s.gateway(db)
	if err != nil {
		return nil, err
	}
	n := &nouns{}
	n.auth, err = auth.New(auth.Deps{
		Store: db, Limiter: limiter, Secret: s.cfg.Secret, SMS: sms, Clock: s.now, Logger: s.cfg.Logger, Config: s.cfg.Auth,
	})
	if err != nil {
		return nil, fmt.Errorf("open the auth service: %w", err)
	}
	s.own(func() error { n.auth.Close(); return nil })
	n.checkouts = checkout.New(checkout.Deps{
		Store: db, Ledger: books, Key: s.cfg.Secret.Derive("payment codes"), Clock: s.now, Logger: s.cfg.Logger,
	})
	s.background(n.checkouts.Run)
	n.wallet = wallet.New(wallet.Deps{
		Store: db, Ledger: books, Checkouts: n.checkouts, Log: log, Limiter: limiter, Clock: s.now, Logger: s.cfg.Logger,
	})
	s.background(func(ctx context.Context) {
		if err := n.wallet.Warm(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Logger.Warn("the wallet begins with a cold cache", "error", err)
		}
	})
	s.openShops(n, db, books, limiter)
	n.ledger = ledgerservice.New(ledgerservice.Deps{Store: db, Ledger: books, Log: log, LogKey: key.Verifier, Clock: s.now})
	n.seal = sealservice.New(log, key)
	n.audit = auditservice.New(db)
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
func (s *Server) openShops(n *nouns, db *store.Store, books *ledger.Ledger, limiter *rate.Limiter) {
	n.terminal = terminal.New(terminal.Deps{
		Store: db, Limiter: limiter, Desk: n.checkouts, Secret: s.cfg.Secret, Draining: s.draining,
		Clock: s.now, Logger: s.cfg.Logger, Config: s.cfg.Terminal,
	})
	s.background(n.terminal.Run)
	n.merchant = merchant.New(merchant.Deps{
		Store: db, Ledger: books, Checkouts: n.checkouts, Limiter: limiter, TerminalReady: n.terminal.Ready, Clock: s.now, Logger: s.cfg.Logger,
	})
	s.background(n.merchant.Run)
	s.background(merchant.NewSettler(merchant.SettlerConfig{Store: db, Ledger: books, Logger: s.cfg.Logger}).Run)
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
