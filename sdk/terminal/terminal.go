package terminal

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/retry"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/timeout"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
)

// Config says what a Terminal works with.
type Config struct {
	// Address is where the server's native gRPC door is, as a gRPC target, such as
	// "pos.example.com:443". Required unless Conn is set.
	Address string
	// TLS is how the server proves who it is. Default: with a certificate that the
	// system trusts.
	TLS *tls.Config
	// Plaintext sends everything in the clear: for development.
	Plaintext bool
	// Conn is a connection to use instead of Address, which several terminals may
	// share: for simulations. It isn't closed.
	Conn grpc.ClientConnInterface
	// DialOptions are added to those of the connection. Default: none.
	DialOptions []grpc.DialOption

	// Keys keeps the device's key. Required.
	Keys KeyStore
	// Journal remembers what must outlast a loss of power. Required.
	Journal *Journal
	// Handlers are told what happens.
	Handlers Handlers
	// Health says how the device is, for heartbeats. Default: on mains.
	Health func() *terminalv1.Health

	// MinBackoff and MaxBackoff bound how long the device waits before it tries to
	// connect again: somewhere between nothing and a time that doubles from the first
	// to the second. Defaults 1 s and 30 s.
	MinBackoff, MaxBackoff time.Duration
	// CallTimeout bounds each try of a call. Default 10 s.
	CallTimeout time.Duration
	// Logger gets what somebody who looks for a fault should know. Default: nothing is
	// logged.
	Logger *slog.Logger
}

// Handlers are called one after the other, never two at a time. Any may be nil.
type Handlers struct {
	// Event is told what happens, once and in order. While it runs nothing else is
	// told, but the session stays alive.
	Event func(ctx context.Context, e Event)
	// Configuration is told what the terminal needs to know, at the start of each
	// session; changes come as events.
	Configuration func(*terminalv1.Configuration)
	// Online is told when a session begins and when it ends, and why.
	Online func(online bool, why error)
	// Failed is told when a session couldn't begin, and why. Run tries again, unless
	// it returns the same.
	Failed func(why error)
}

// Event is something that happened.
type Event struct {
	// Sequence is its place among all events of the terminal.
	Sequence uint64
	// Time is when it happened.
	Time time.Time
	// Maybe says that the event was told before and the process died before the
	// handler returned, or that it isn't known whether it was told before: what the
	// handler does may have been done.
	Maybe bool

	// One of these says what happened. Checkouts are as they were when the event was
	// sent, which may be later than what it tells of.
	Offered, Updated, Paid, Refunded *checkoutv1.Checkout
	Configuration                    *terminalv1.Configuration
	Command                          *terminalv1.SessionResponse_Command
}

// Terminal is a device. It is safe for concurrent use.
type Terminal struct {
	cfg     Config
	conn    grpc.ClientConnInterface
	own     *grpc.ClientConn // what Close closes; nil if the connection is shared
	clock   *clock
	creds   grpc.CallOption
	journal *Journal

	running sync.Mutex
}

// errRunning says that Run runs already.
var errRunning = errors.New("the terminal runs already")

const (
	keepaliveTime    = 30 * time.Second
	keepaliveTimeout = 10 * time.Second
	callTries        = 4
)

// New returns a terminal. It connects when it is used. Close lets it go.
func New(cfg Config) (*Terminal, error) {
	if cfg.Keys == nil || cfg.Journal == nil || cfg.Address == "" && cfg.Conn == nil {
		return nil, errors.New("a terminal needs an address, keys and a journal")
	}
	if cfg.MinBackoff <= 0 {
		cfg.MinBackoff = time.Second
	}
	if cfg.MaxBackoff <= 0 {
		cfg.MaxBackoff = 30 * time.Second
	}
	cfg.MaxBackoff = max(cfg.MaxBackoff, cfg.MinBackoff)
	if cfg.CallTimeout <= 0 {
		cfg.CallTimeout = 10 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	t := &Terminal{cfg: cfg, conn: cfg.Conn, clock: &clock{}, journal: cfg.Journal}
	t.creds = grpc.PerRPCCredentials(&assertions{keys: cfg.Keys, clock: t.clock, insecure: cfg.Plaintext || cfg.Conn != nil})
	if t.conn == nil {
		var err error
		if t.own, err = grpc.NewClient(cfg.Address, dialOptions(&cfg)...); err != nil {
			return nil, fmt.Errorf("use the address %s: %w", cfg.Address, err)
		}
		t.conn = t.own
	}
	return t, nil
}

// dialOptions make a connection that notices when the network is gone, and calls that
// are tried again when that can do no harm: each of them either reads or has a key.
func dialOptions(cfg *Config) []grpc.DialOption {
	secure := credentials.NewTLS(cfg.TLS)
	if cfg.Plaintext {
		secure = insecure.NewCredentials()
	}
	return append([]grpc.DialOption{
		grpc.WithTransportCredentials(secure),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: cfg.MinBackoff, Multiplier: 1.6, Jitter: 0.5, MaxDelay: cfg.MaxBackoff},
			MinConnectTimeout: keepaliveTimeout,
		}),
		grpc.WithChainUnaryInterceptor(
			retry.UnaryClientInterceptor(
				retry.WithMax(callTries),
				retry.WithCodes(codes.Unavailable, codes.DeadlineExceeded),
				retry.WithBackoff(retry.BackoffExponentialWithJitter(100*time.Millisecond, 0.5)),
			),
			timeout.UnaryClientInterceptor(cfg.CallTimeout),
		),
	}, cfg.DialOptions...)
}

// Close lets the connection go. It is for a terminal that doesn't run.
func (t *Terminal) Close() error {
	if t.own == nil {
		return nil
	}
	return t.own.Close()
}

// ID returns the terminal's id; empty before it is activated.
func (t *Terminal) ID() (string, error) { return t.cfg.Keys.Terminal() }

// Epoch returns the number of the terminal's latest session; 0 before the first.
func (t *Terminal) Epoch() uint64 { return t.journal.now().epoch }

// Activate makes the device the one of the terminal that the code stands for. It may
// be called again with the same code if the answer got lost. Codes can be typed in any
// case, with spaces and hyphens.
func (t *Terminal) Activate(ctx context.Context, code string, device *terminalv1.Device) (*terminalv1.Terminal, error) {
	code = strings.TrimSpace(code)
	public, err := t.cfg.Keys.Public()
	if err != nil {
		return nil, err
	}
	signature, err := t.cfg.Keys.Sign(fmt.Appendf(nil, "tillbook-terminal-activation\n%s\n%s", code, public))
	if err != nil {
		return nil, fmt.Errorf("sign the activation: %w", err)
	}
	res := &terminalv1.ActivateResponse{}
	err = explain(t.conn.Invoke(ctx, methodActivate, &terminalv1.ActivateRequest{
		ActivationCode: code, PublicKey: public, Device: device, Signature: signature,
	}, res))
	if err != nil {
		return nil, err
	}
	t.clock.learn(res.GetServerTime().AsTime())
	if err := t.cfg.Keys.Bind(res.GetTerminal().GetTerminalId()); err != nil {
		return nil, err
	}
	return res.GetTerminal(), nil
}

const (
	service        = "/tillbook.terminal.v1.TerminalService/"
	methodActivate = service + "Activate"
	methodSession  = service + "Session"
	methodCreate   = service + "CreateCheckout"
	methodCancel   = service + "CancelCheckout"
	methodGet      = service + "GetCheckout"
	methodCharge   = service + "ChargePaymentCode"
)

// activated fails with ErrNotActivated for a device without a terminal.
func (t *Terminal) activated() error {
	id, err := t.cfg.Keys.Terminal()
	if err == nil && id == "" {
		err = ErrNotActivated
	}
	return err
}

// call makes a unary call. A clock that is wrong is set right, once.
func (t *Terminal) call(ctx context.Context, method string, req, res any) error {
	if err := t.activated(); err != nil {
		return err
	}
	for again := false; ; again = true {
		err := explain(t.conn.Invoke(ctx, method, req, res, t.creds))
		now, skewed := serverTime(err)
		if !skewed || again {
			return err
		}
		t.clock.learn(now)
	}
}
