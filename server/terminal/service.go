package terminal

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/gen/tillbook/terminal/v1/terminalv1connect"
	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/server/rate"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/server/staff"
	"github.com/tillbook/tillbook/store"
)

// heartbeatEvery is how often terminals say that they are alive. The view
// terminal_states knows it too.
const heartbeatEvery = 30 * time.Second

// Config tunes sessions. The zero value works.
type Config struct {
	// Poll is how often a replica looks for what others did. Default 50 ms.
	Poll time.Duration
	// Flush is how often what terminals said is written. Default 2 s.
	Flush time.Duration
	// Recheck is how often sessions are compared with the database, should an event
	// ever be missed, and silent ones ended. Default 30 s.
	Recheck time.Duration
	// Queue is how many messages may wait for a terminal that is connected.
	// Default 64.
	Queue int
	// ReturnRate is how many terminals a second are told to come back when a
	// replica stops. Default 500.
	ReturnRate int
}

func (c *Config) setDefaults() {
	setDefault(&c.Poll, 50*time.Millisecond)
	setDefault(&c.Flush, 2*time.Second)
	setDefault(&c.Recheck, 30*time.Second)
	setDefault(&c.Queue, 64)
	setDefault(&c.ReturnRate, 500)
}

func setDefault[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Deps is what a Service needs.
type Deps struct {
	Store   *store.Store
	Limiter *rate.Limiter
	// Pools are for what happens beside calls. Default: Store.
	Pools Pools
	// Desk keeps the checkouts.
	Desk *checkout.Desk
	// Secret derives the key under which activation codes are hashed.
	Secret *secret.Keys
	// Draining is done when the replica is about to stop.
	Draining context.Context
	Logger   *slog.Logger
	Config   Config
	// Clock is the server's time. Default time.Now.
	Clock func() time.Time
}

// Pools are connections of their own, so that what happens beside calls doesn't wait
// behind them.
type Pools struct {
	// Events follows what happens.
	Events *store.Store
	// Jobs writes what terminals say, and cleans up.
	Jobs *store.Store
}

// Service serves TerminalService and lets terminals in. Run must run beside it.
type Service struct {
	store   *store.Store
	pools   Pools
	desk    *checkout.Desk
	limiter *rate.Limiter
	codes   codes
	hub     *hub
	log     *slog.Logger
	config  Config
	now     func() time.Time
}

// New returns a service.
func New(d Deps) *Service {
	d.Config.setDefaults()
	if d.Clock == nil {
		d.Clock = time.Now
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Pools.Events == nil {
		d.Pools.Events = d.Store
	}
	if d.Pools.Jobs == nil {
		d.Pools.Jobs = d.Store
	}
	s := &Service{
		store: d.Store, pools: d.Pools, desk: d.Desk, limiter: d.Limiter, codes: codes{key: d.Secret.Derive("terminal/activation")},
		log: d.Logger, config: d.Config, now: d.Clock,
	}
	s.hub = newHub(d, &content{store: d.Store, desk: d.Desk})
	return s
}

// Run follows what happens and writes what terminals say, until ctx ends.
func (s *Service) Run(ctx context.Context) {
	var loops sync.WaitGroup
	loops.Go(func() { s.hub.follow(s.pools.Events.Reading(ctx)) })
	loops.Go(func() { s.hub.presence.run(ctx) })
	loops.Go(func() { s.hub.marks.run(ctx) })
	loops.Go(func() { s.maintain(s.pools.Jobs.Reading(ctx)) })
	loops.Wait()
}

// CreateTerminal adds a terminal to a store.
func (s *Service) CreateTerminal(ctx context.Context, req *terminalv1.CreateTerminalRequest) (*terminalv1.CreateTerminalResponse, error) {
	user := rpc.PrincipalFrom(ctx).User
	merchant, _, err := staff.Require(ctx, s.store.Queries(), req.GetMerchantId(), user, staff.Manager)
	if err != nil {
		return nil, err
	}
	made, err := s.create(ctx, merchant, req)
	if err != nil {
		return nil, err
	}
	shown, err := s.get(ctx, merchant, made.id)
	if err != nil {
		return nil, err
	}
	return &terminalv1.CreateTerminalResponse{
		Terminal: shown, ActivationCode: made.code, ActivationExpireTime: timestampOf(made.expire),
	}, nil
}

// ReissueActivationCode replaces a terminal's device.
func (s *Service) ReissueActivationCode(ctx context.Context, req *terminalv1.ReissueActivationCodeRequest) (*terminalv1.ReissueActivationCodeResponse, error) {
	merchant, terminal, err := s.require(ctx, req, staff.Manager)
	if err != nil {
		return nil, err
	}
	made, err := s.reissue(ctx, merchant, terminal)
	if err != nil {
		return nil, err
	}
	return &terminalv1.ReissueActivationCodeResponse{ActivationCode: made.code, ActivationExpireTime: timestampOf(made.expire)}, nil
}

// GetTerminal returns a terminal.
func (s *Service) GetTerminal(ctx context.Context, req *terminalv1.GetTerminalRequest) (*terminalv1.GetTerminalResponse, error) {
	merchant, terminal, err := s.require(ctx, req, staff.Cashier)
	if err != nil {
		return nil, err
	}
	shown, err := s.get(ctx, merchant, terminal)
	if err != nil {
		return nil, err
	}
	return &terminalv1.GetTerminalResponse{Terminal: shown}, nil
}

// ListTerminals lists a merchant's terminals.
func (s *Service) ListTerminals(ctx context.Context, req *terminalv1.ListTerminalsRequest) (*terminalv1.ListTerminalsResponse, error) {
	merchant, _, err := staff.Require(ctx, s.store.Queries(), req.GetMerchantId(), rpc.PrincipalFrom(ctx).User, staff.Cashier)
	if err != nil {
		return nil, err
	}
	return s.list(ctx, merchant, req)
}

// SendCommand tells a terminal to do something.
func (s *Service) SendCommand(ctx context.Context, req *terminalv1.SendCommandRequest) (*terminalv1.SendCommandResponse, error) {
	merchant, terminal, err := s.require(ctx, req, staff.Manager)
	if err != nil {
		return nil, err
	}
	if err := s.command(ctx, merchant, terminal, req); err != nil {
		return nil, err
	}
	shown, err := s.get(ctx, merchant, terminal)
	if err != nil {
		return nil, err
	}
	return &terminalv1.SendCommandResponse{Terminal: shown}, nil
}

// RevokeTerminal gives a terminal up.
func (s *Service) RevokeTerminal(ctx context.Context, req *terminalv1.RevokeTerminalRequest) (*terminalv1.RevokeTerminalResponse, error) {
	merchant, terminal, err := s.require(ctx, req, staff.Manager)
	if err != nil {
		return nil, err
	}
	if err := s.revoke(ctx, merchant, terminal); err != nil {
		return nil, err
	}
	shown, err := s.get(ctx, merchant, terminal)
	if err != nil {
		return nil, err
	}
	return &terminalv1.RevokeTerminalResponse{Terminal: shown}, nil
}

// Activate binds a device's key to a terminal.
func (s *Service) Activate(ctx context.Context, req *terminalv1.ActivateRequest) (*terminalv1.ActivateResponse, error) {
	activated, err := s.activate(ctx, req)
	if err != nil {
		return nil, err
	}
	configuration, _, err := s.hub.content.configuration(ctx, activated.id)
	if err != nil {
		return nil, err
	}
	shown, err := s.get(ctx, activated.merchant, activated.id)
	if err != nil {
		return nil, err
	}
	return &terminalv1.ActivateResponse{Terminal: shown, Configuration: configuration, ServerTime: timestamppb.New(s.now())}, nil
}

// Session serves a terminal's connection until it ends or is moved.
func (s *Service) Session(ctx context.Context, stream terminalv1connect.TerminalServiceSessionServerStream) error {
	return s.serveSession(ctx, rpc.PrincipalFrom(ctx).Terminal, stream)
}
