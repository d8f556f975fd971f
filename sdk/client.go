package tillbook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/proto"

	"github.com/tillbook/tillbook/gen/tillbook/audit/v1/auditv1connect"
	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/ledger/v1/ledgerv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/limit/v1/limitv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/sandbox/v1/sandboxv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/seal/v1/sealv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/terminal/v1/terminalv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/user/v1/userv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
)

// Client talks to one Tillbook server for one person, one operator, or both. It
// is safe for concurrent use; make one and keep it, since it holds the session
// and the connections.
type Client struct {
	// Auth registers people and signs them in and out.
	Auth *Auth
	// Wallet shows and moves the money of whoever is signed in.
	Wallet *Wallet
	// Merchants lets the user sell, and operators say what that costs.
	Merchants *Merchants
	// Terminals lets a merchant's staff look after its terminals.
	Terminals *Terminals
	// Ledger shows operators the books.
	Ledger *Ledger
	// Seal lets anyone follow the log in which the books are sealed.
	Seal *Seal
	// Audit shows operators who did what.
	Audit *Audit
	// Limits lets operators bound what moves.
	Limits *Limits
	// Users lets operators look after users.
	Users *Users
	// Sandbox stands in for the outside world on servers that run with one.
	Sandbox *Sandbox

	rpc         *connect.Client
	http        *http.Client
	ownsHTTP    bool
	operatorKey string
	userAgent   string
	inject      func(context.Context, http.Header) // nil if traces aren't told
	timeout     time.Duration
	retries     int
	restored    *Session
	notify      func(*Session)
	sessions    *sessions
	stop        context.CancelFunc
}

// Option changes how a Client works.
type Option func(*Client) error

// WithHTTPClient sends requests through client instead of one of the package's
// own, for proxies, client certificates or a different pool of connections. A
// Timeout of it would cut off Wallet.Watch; leave it zero and use WithTimeout
// or contexts. Close leaves it alone.
func WithHTTPClient(client *http.Client) Option {
	return func(c *Client) error {
		if client == nil {
			return errors.New("the HTTP client is nil")
		}
		c.http, c.ownsHTTP = client, false
		return nil
	}
}

// WithOperatorKey makes calls of Ledger, Limits, Users and Audit, and those of
// Merchants about fee plans, with an operator's key, which `tillbook operator create`
// prints. It isn't used for anything else. By default there is
// none.
func WithOperatorKey(key string) Option {
	return func(c *Client) error {
		if key == "" || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return errors.New("the operator key is empty or has characters that don't belong there")
		}
		c.operatorKey = key
		return nil
	}
}

// WithSession goes on with a session that Client.Session or the callback of
// WithSessionChanged gave out, perhaps in another process. It may be nil. By
// default nobody is signed in.
func WithSession(session *Session) Option {
	return func(c *Client) error {
		c.restored = session
		return nil
	}
}

// WithSessionChanged calls changed with a copy of the session whenever it was
// begun, refreshed or ended, so that it can be kept: a refresh token works once,
// and only the newest session is worth keeping. After a sign-out the session
// holds nothing but the device's token, or is nil if there is none.
//
// Calls come one at a time and in order, before the call that caused the change
// returns. The callback must not make calls with the client.
func WithSessionChanged(changed func(*Session)) Option {
	return func(c *Client) error {
		c.notify = changed
		return nil
	}
}

// WithUserAgent puts the name of the caller's program, such as "acme-till/2.1",
// before the package's own in the User-Agent header.
func WithUserAgent(program string) Option {
	return func(c *Client) error {
		if strings.ContainsFunc(program, func(r rune) bool { return r < ' ' || r > '~' }) {
			return errors.New("the user agent has characters that a header can't carry")
		}
		c.userAgent = strings.TrimSpace(program + " " + c.userAgent)
		return nil
	}
}

// WithTraceContext has inject put the trace context of each call into its headers, of
// which traceparent and tracestate are sent. With OpenTelemetry:
//
//	tillbook.WithTraceContext(func(ctx context.Context, header http.Header) {
//		otel.GetTextMapPropagator().Inject(ctx, propagation.HeaderCarrier(header))
//	})
//
// A server continues the trace of clients that it trusts (--trusted-tracers) and links
// to that of others. By default nothing is sent.
func WithTraceContext(inject func(ctx context.Context, header http.Header)) Option {
	return func(c *Client) error {
		if inject == nil {
			return errors.New("the function that injects the trace context is nil")
		}
		c.inject = inject
		return nil
	}
}

// WithTimeout sets how long a call may take with all its retries when its
// context has no deadline: 30 seconds by default. Wallet.Watch takes as long as
// it likes, and Ledger.Verify and Ledger.TrialBalance, which read all the books,
// half an hour and a minute.
func WithTimeout(timeout time.Duration) Option {
	return func(c *Client) error {
		if timeout <= 0 {
			return fmt.Errorf("the timeout of %v isn't positive", timeout)
		}
		c.timeout = timeout
		return nil
	}
}

// WithRetries sets how often a call that may be repeated is sent again after it
// failed: 4 times by default, 0 for never, 10 at most.
func WithRetries(retries int) Option {
	return func(c *Client) error {
		if retries < 0 || retries > 10 {
			return fmt.Errorf("%d retries: there can be 0 to 10", retries)
		}
		c.retries = retries
		return nil
	}
}

// New returns a client of the server at baseURL, such as
// "https://api.example.com" or "http://127.0.0.1:8080". It opens no connection
// yet: the first call does.
func New(baseURL string, options ...Option) (*Client, error) {
	if err := checkBaseURL(baseURL); err != nil {
		return nil, err
	}
	c := &Client{
		http:      newHTTPClient(),
		ownsHTTP:  true,
		userAgent: "tillbook-go (" + runtime.Version() + ")",
		timeout:   30 * time.Second,
		retries:   4,
	}
	for _, option := range options {
		if err := option(c); err != nil {
			return nil, fmt.Errorf("tillbook: %w", err)
		}
	}
	c.rpc = connect.NewClient(connecthttp.NewTransport(doer{c.http}, baseURL), c.intercept)
	c.Auth = &Auth{client: c, rpc: authv1connect.NewAuthServiceClient(c.rpc)}
	c.Wallet = &Wallet{rpc: walletv1connect.NewWalletServiceClient(c.rpc)}
	c.Merchants = &Merchants{rpc: merchantv1connect.NewMerchantServiceClient(c.rpc)}
	c.Terminals = &Terminals{rpc: terminalv1connect.NewTerminalServiceClient(c.rpc)}
	c.Ledger = &Ledger{client: c, rpc: ledgerv1connect.NewLedgerServiceClient(c.rpc)}
	c.Seal = &Seal{rpc: sealv1connect.NewSealServiceClient(c.rpc)}
	c.Audit = &Audit{rpc: auditv1connect.NewAuditServiceClient(c.rpc)}
	c.Limits = &Limits{rpc: limitv1connect.NewLimitServiceClient(c.rpc)}
	c.Users = &Users{rpc: userv1connect.NewUserServiceClient(c.rpc)}
	c.Sandbox = &Sandbox{rpc: sandboxv1connect.NewSandboxServiceClient(c.rpc)}

	base, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.sessions = &sessions{base: base, refresh: c.refresh, notify: c.notify}
	if c.restored != nil {
		c.sessions.current = proto.CloneOf(c.restored)
	}
	return c, nil
}

// Session returns a copy of what has to be kept to stay signed in, or nil if
// there is nothing. It holds secrets. WithSession takes it, and
// WithSessionChanged gives it out whenever it changes.
func (c *Client) Session() *Session { return c.sessions.export() }

// RPC returns the client under this one, for the generated service clients in
// gen: calls made through it have the same credentials, idempotency keys,
// retries and errors.
//
//	wallets := walletv1connect.NewWalletServiceClient(client.RPC())
func (c *Client) RPC() *connect.Client { return c.rpc }

// Close ends a refresh that is under way and closes idle connections. It
// doesn't sign out, and calls that are under way go on.
func (c *Client) Close() {
	c.sessions.close(c.stop)
	if c.ownsHTTP {
		c.http.CloseIdleConnections()
	}
}

// refresh makes one attempt to exchange a refresh token.
func (c *Client) refresh(ctx context.Context, token string) (*Session, *Error) {
	response, err := c.Auth.rpc.Refresh(ctx, &authv1.RefreshRequest{RefreshToken: token})
	if err != nil {
		return nil, asError(err)
	}
	return response.GetSession(), nil
}

// asError returns the Error that a call through the interceptor failed with.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return localError(err)
}

func checkBaseURL(baseURL string) error {
	u, err := url.Parse(baseURL)
	switch {
	case err != nil:
		return fmt.Errorf("tillbook: the base URL: %w", err)
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return fmt.Errorf("tillbook: the base URL %q is not like https://api.example.com", baseURL)
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return errors.New("tillbook: the base URL carries a user, a query or a fragment")
	}
	return nil
}
