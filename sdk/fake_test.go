package tillbook_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/gen/tillbook/ledger/v1/ledgerv1connect"
	sandboxv1 "github.com/tillbook/tillbook/gen/tillbook/sandbox/v1"
	"github.com/tillbook/tillbook/gen/tillbook/sandbox/v1/sandboxv1connect"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	tillbook "github.com/tillbook/tillbook/sdk"
)

// fake is a server that fails as it is told. Everything between it and the
// client is real but for the wire, which is a pipe in memory: so tests can let
// hours pass in an instant.
type fake struct {
	authv1connect.UnimplementedAuthServiceHandler
	walletv1connect.UnimplementedWalletServiceHandler
	sandboxv1connect.UnimplementedSandboxServiceHandler

	// accessLife is how long access tokens last; 15 minutes if zero.
	accessLife time.Duration
	// clockBehind is how far the server's clock is behind the client's.
	clockBehind time.Duration
	// transfer and watch replace what the procedures do.
	transfer func(context.Context, *walletv1.TransferRequest) (*walletv1.TransferResponse, error)
	watch    func(context.Context, *walletv1.WatchWalletRequest, walletv1connect.WalletServiceWatchWalletServerStream) error
	list     func(*walletv1.ListTransactionsRequest) (*walletv1.ListTransactionsResponse, error)
	// refreshing is called by each Refresh before it does anything.
	refreshing func(token string) error

	mu          sync.Mutex
	faults      []fault
	requests    []string // the procedures that arrived, in order
	credentials []string // the Authorization headers that arrived, in order
	generated   int      // of sessions
	access      string   // the access token that counts
	expiry      time.Time
	refresh     string            // the refresh token that counts
	refreshes   []string          // the refresh tokens that arrived
	keys        map[string]string // idempotency key -> transaction id
	dialFails   int               // how many dials to refuse, -1 for all
	dials       int
	messages    []*sandboxv1.Message
}

// fault is what happens to one request.
type fault int

const (
	noFault      fault = iota
	lostRequest        // the connection ends before the server executes it
	lostResponse       // the server executes it, then the connection ends
	badGateway         // a proxy says 502
	silence            // no answer until the caller gives up
)

// client returns a client of the fake over pipes of its own.
func (f *fake) client(t *testing.T, options ...tillbook.Option) *tillbook.Client {
	t.Helper()
	listener := newPipes()
	server := &http.Server{Handler: f.handler()}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		if err := f.dial(); err != nil {
			return nil, err
		}
		return listener.dial(ctx)
	}}
	options = append([]tillbook.Option{tillbook.WithHTTPClient(&http.Client{Transport: transport})}, options...)
	client, err := tillbook.New("http://tillbook.test", options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		transport.CloseIdleConnections()
		_ = server.Close()
		<-served
	})
	return client
}

// signedIn returns a client with a session that the fake honours.
func (f *fake) signedIn(t *testing.T, options ...tillbook.Option) *tillbook.Client {
	t.Helper()
	return f.client(t, append([]tillbook.Option{tillbook.WithSession(f.newSession("dev-1"))}, options...)...)
}

func (f *fake) dial() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dials++
	if f.dialFails == 0 {
		return nil
	}
	if f.dialFails > 0 {
		f.dialFails--
	}
	return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}

func (f *fake) handler() http.Handler {
	server := connect.NewServer(f.authenticate)
	authv1connect.RegisterAuthServiceHandler(server, f)
	walletv1connect.RegisterWalletServiceHandler(server, f)
	ledgerv1connect.RegisterLedgerServiceHandler(server, ledgerv1connect.UnimplementedLedgerServiceHandler{})
	sandboxv1connect.RegisterSandboxServiceHandler(server, f)
	mux := http.NewServeMux()
	connecthttp.Mount(mux, server)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch f.arrived(r) {
		case lostRequest:
			panic(http.ErrAbortHandler)
		case lostResponse:
			mux.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		case badGateway:
			http.Error(w, "<h1>Bad Gateway</h1>", http.StatusBadGateway)
		case silence:
			_, _ = io.Copy(io.Discard, r.Body) // Else the server doesn't see the caller go.
			<-r.Context().Done()
		default:
			mux.ServeHTTP(w, r)
		}
	})
}

// never is an expiry that doesn't come.
var never = timestamppb.New(time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC))

// arrived records a request and returns its fault.
func (f *fake) arrived(r *http.Request) fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, r.URL.Path)
	f.credentials = append(f.credentials, r.Header.Get("Authorization"))
	if len(f.faults) == 0 {
		return noFault
	}
	next := f.faults[0]
	f.faults = f.faults[1:]
	return next
}

// count returns how many requests of the procedure arrived.
func (f *fake) count(procedure string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, p := range f.requests {
		if p == procedure {
			n++
		}
	}
	return n
}

// plan sets what happens to the next requests.
func (f *fake) plan(faults ...fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = faults
}

// newSession makes the fake honour a new session, and only that.
func (f *fake) newSession(device string) *tillbook.Session {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rotate(device)
}

func (f *fake) rotate(device string) *tillbook.Session {
	life := f.accessLife
	if life == 0 {
		life = 15 * time.Minute
	}
	f.generated++
	f.access, f.refresh = fmt.Sprintf("access-%d", f.generated), fmt.Sprintf("refresh-%d", f.generated)
	f.expiry = time.Now().Add(life)
	return &authv1.Session{
		SessionId:         "ses_1",
		AccessToken:       f.access,
		AccessExpireTime:  timestamppb.New(f.expiry.Add(-f.clockBehind)),
		RefreshToken:      f.refresh,
		SessionExpireTime: timestamppb.New(time.Now().Add(6 * time.Hour)),
		DeviceToken:       device,
	}
}

// expire makes the access token that is in use an expired one.
func (f *fake) expire() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.expiry = time.Now()
}

// authenticate refuses procedures of users without the token that counts.
func (f *fake) authenticate(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		switch spec.Procedure {
		case authv1connect.AuthServiceGetMeProcedure, authv1connect.AuthServiceLogoutProcedure,
			walletv1connect.WalletServiceTransferProcedure, walletv1connect.WalletServiceWatchWalletProcedure,
			walletv1connect.WalletServiceGetWalletProcedure:
			info, _ := connect.CallInfoForServerContext(ctx)
			f.mu.Lock()
			bearer, current, expired := info.RequestHeader().Get("Authorization"), f.access, !time.Now().Before(f.expiry)
			f.mu.Unlock()
			switch {
			case bearer == "":
				return failure(connect.CodeUnauthenticated, errorv1.ErrorReason_ERROR_REASON_UNAUTHENTICATED)
			case bearer != "Bearer "+current, expired:
				return failure(connect.CodeUnauthenticated, errorv1.ErrorReason_ERROR_REASON_TOKEN_EXPIRED)
			}
		}
		return next(ctx, spec, stream)
	}
}

func (f *fake) Refresh(_ context.Context, r *authv1.RefreshRequest) (*authv1.RefreshResponse, error) {
	f.mu.Lock()
	f.refreshes = append(f.refreshes, r.GetRefreshToken())
	hook := f.refreshing
	f.mu.Unlock()
	if hook != nil {
		if err := hook(r.GetRefreshToken()); err != nil {
			return nil, err
		}
	}
	return &authv1.RefreshResponse{Session: f.newSession("")}, nil
}

func (f *fake) GetMe(context.Context, *authv1.GetMeRequest) (*authv1.GetMeResponse, error) {
	return &authv1.GetMeResponse{User: &authv1.User{UserId: "usr_1", Username: "ana"}}, nil
}

func (f *fake) Register(context.Context, *authv1.RegisterRequest) (*authv1.RegisterResponse, error) {
	return &authv1.RegisterResponse{Challenge: &authv1.Challenge{ChallengeId: "chl_1"}}, nil
}

func (f *fake) VerifyPhone(context.Context, *authv1.VerifyPhoneRequest) (*authv1.VerifyPhoneResponse, error) {
	return &authv1.VerifyPhoneResponse{
		Session: f.newSession("dev-1"),
		User:    &authv1.User{UserId: "usr_1"},
	}, nil
}

func (f *fake) Login(_ context.Context, r *authv1.LoginRequest) (*authv1.LoginResponse, error) {
	if r.GetDeviceToken() != "dev-1" {
		return &authv1.LoginResponse{Result: &authv1.LoginResponse_Challenge{
			Challenge: &authv1.Challenge{ChallengeId: "chl_2"},
		}}, nil
	}
	return &authv1.LoginResponse{Result: &authv1.LoginResponse_Session{Session: f.newSession("dev-1")}}, nil
}

func (f *fake) Logout(context.Context, *authv1.LogoutRequest) (*authv1.LogoutResponse, error) {
	return &authv1.LogoutResponse{}, nil
}

func (f *fake) GetWallet(context.Context, *walletv1.GetWalletRequest) (*walletv1.GetWalletResponse, error) {
	return &walletv1.GetWalletResponse{}, nil
}

// Transfer executes each key once.
func (f *fake) Transfer(ctx context.Context, r *walletv1.TransferRequest) (*walletv1.TransferResponse, error) {
	if f.transfer != nil {
		return f.transfer(ctx, r)
	}
	return f.pay(r)
}

func (f *fake) pay(r *walletv1.TransferRequest) (*walletv1.TransferResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.keys == nil {
		f.keys = map[string]string{}
	}
	id, known := f.keys[r.GetIdempotencyKey()]
	if !known {
		id = fmt.Sprintf("txn_%d", len(f.keys)+1)
		f.keys[r.GetIdempotencyKey()] = id
	}
	return &walletv1.TransferResponse{Transaction: &walletv1.Transaction{
		TransactionId: id,
		Amount:        r.GetAmount(),
		Note:          r.GetNote(),
	}}, nil
}

// paid returns how many payments were executed.
func (f *fake) paid() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.keys)
}

func (f *fake) WatchWallet(ctx context.Context, r *walletv1.WatchWalletRequest, s walletv1connect.WalletServiceWatchWalletServerStream) error {
	return f.watch(ctx, r, s)
}

func (f *fake) ListTransactions(_ context.Context, r *walletv1.ListTransactionsRequest) (*walletv1.ListTransactionsResponse, error) {
	return f.list(r)
}

// failure is an error as the server sends it.
func failure(code connect.Code, reason errorv1.ErrorReason, details ...proto.Message) *connect.Error {
	const prefix = len("ERROR_REASON_")
	err := connect.NewError(code, "A sentence about "+reason.String()+".")
	details = append(details, &errdetails.ErrorInfo{
		Reason:   reason.String()[prefix:],
		Domain:   "tillbook",
		Metadata: map[string]string{"request_id": "req-1"},
	})
	for _, d := range details {
		detail, packErr := connectproto.NewErrorDetail(d)
		if packErr != nil {
			panic(packErr)
		}
		err = err.WithDetail(detail)
	}
	return err
}

func notExecuted() proto.Message {
	return &errorv1.OutcomeInfo{Outcome: errorv1.Outcome_OUTCOME_NOT_EXECUTED}
}

func retryAfter(d time.Duration) proto.Message {
	return &errdetails.RetryInfo{RetryDelay: durationpb.New(d)}
}

// pipes is a network in memory that fake time can pass over.
type pipes struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func newPipes() *pipes {
	return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed:
		return nil, &net.OpError{Op: "dial", Net: "pipe", Err: net.ErrClosed}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }
