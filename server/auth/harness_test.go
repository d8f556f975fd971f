package auth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"connectrpc.com/connect/v2/connectproto"
	"github.com/alexedwards/argon2id"
	"github.com/jackc/pgx/v5"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
	"github.com/tillbook/tillbook/server/auth"
	"github.com/tillbook/tillbook/server/rate"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

// world is a database, a telephone network and a clock, on which replicas of the
// service run.
type world struct {
	url    string
	secret string
	clock  *clock
	phones *phones
	log    *lockedBuffer
	config auth.Config
}

// cheap are parameters with which hashing takes no time; one test uses the real
// ones.
var cheap = argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}

func newWorld(t testing.TB, change ...func(*auth.Config)) *world {
	t.Helper()
	limits := auth.DefaultLimits().Times(1000)
	w := &world{
		url:    storetest.NewDatabase(t),
		secret: secret.Generate(),
		clock:  &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)},
		phones: newPhones(),
		log:    &lockedBuffer{},
		config: auth.Config{
			Argon2: cheap, Limits: &limits,
			PollInterval: 20 * time.Millisecond, MaintainInterval: time.Hour,
		},
	}
	for _, f := range change {
		f(&w.config)
	}
	return w
}

// replica is one server process.
type replica struct {
	authv1connect.AuthServiceClient
	service    *auth.Service
	store      *store.Store
	statements *atomic.Int64
	tracer     *tracer
}

// before runs f once, right before a statement of the given name is sent: that
// is where another call can come in between.
func (r *replica) before(statement string, f func()) {
	r.tracer.hooks.Store("-- name: "+statement+" ", sync.OnceFunc(f))
}

func (w *world) replica(t testing.TB) *replica {
	t.Helper()
	return w.replicaWith(t, w.phones)
}

func (w *world) replicaWith(t testing.TB, gateway auth.Gateway) *replica {
	t.Helper()
	tr := &tracer{}
	s := storetest.Open(t, store.Config{URL: w.url, Tracer: tr})
	deps := w.deps(t, s)
	deps.SMS = gateway
	service, err := auth.New(deps)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(service.Close)
	return &replica{AuthServiceClient: w.client(t, service, s.Queries().Record), service: service, store: s, statements: &tr.statements, tracer: tr}
}

func (w *world) deps(t testing.TB, s *store.Store) auth.Deps {
	t.Helper()
	keys, err := secret.Parse(w.secret)
	if err != nil {
		t.Fatal(err)
	}
	return auth.Deps{
		Store: s, Limiter: rate.New(s, keys.Derive("limit"), w.clock.Now), Secret: keys, SMS: w.phones,
		Clock: w.clock.Now, Config: w.config,
		Logger: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

// client calls the service through the interceptors of a real server. The header
// X-Test-IP says where a call comes from.
func (w *world) client(t testing.TB, service *auth.Service, record rpc.RecordFunc) authv1connect.AuthServiceClient {
	t.Helper()
	rules, err := rpc.NewValidator()
	if err != nil {
		t.Fatal(err)
	}
	server := connect.NewServer(rpc.Begin(rpc.Policies, nil), fromTestIP, rpc.Translate(),
		rpc.Authorize(service, nil, false, record), rpc.Validate(rules))
	authv1connect.RegisterAuthServiceHandler(server, service)
	return authv1connect.NewAuthServiceClient(connect.NewClient(connectinprocess.New(server)))
}

func fromTestIP(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		if info, ok := connect.CallInfoForServerContext(ctx); ok {
			if addr, err := netip.ParseAddr(info.RequestHeader().Get("X-Test-IP")); err == nil {
				ctx = rpc.WithClientIP(ctx, addr)
			}
		}
		return next(ctx, spec, stream)
	}
}

// as returns a context whose calls carry an access token.
func as(ctx context.Context, accessToken string) context.Context {
	ctx, info := connect.NewClientContext(ctx)
	info.RequestHeader().Set("Authorization", "Bearer "+accessToken)
	return ctx
}

// from returns a context whose calls come from an address.
func from(ctx context.Context, ip string) context.Context {
	ctx, info := connect.NewClientContext(ctx)
	info.RequestHeader().Set("X-Test-IP", ip)
	return ctx
}

const goodPassword = "Correct-Horse-7-Battery"

// person is somebody who has registered.
type person struct {
	phone, username string
	user            *authv1.User
	session         *authv1.Session
}

// register registers somebody who has no account.
func (w *world) register(t testing.TB, r *replica, phone, username string) person {
	t.Helper()
	res, err := r.Register(t.Context(), &authv1.RegisterRequest{
		PhoneNumber: phone, Username: username, Password: goodPassword, DeviceName: username + "'s phone",
	})
	if err != nil {
		t.Fatalf("Register: %v", err)
	}
	verified, err := r.VerifyPhone(t.Context(), &authv1.VerifyPhoneRequest{
		ChallengeId: res.GetChallenge().GetChallengeId(), Code: w.phones.code(t, phone),
	})
	if err != nil {
		t.Fatalf("VerifyPhone: %v", err)
	}
	return person{phone: phone, username: username, user: verified.GetUser(), session: verified.GetSession()}
}

// login signs somebody in on a new device.
func (w *world) login(t testing.TB, r *replica, p person) *authv1.Session {
	t.Helper()
	res, err := r.Login(t.Context(), &authv1.LoginRequest{PhoneNumber: p.phone, Password: goodPassword, DeviceName: "another"})
	if err != nil {
		t.Fatalf("Login: %v", err)
	}
	verified, err := r.VerifyLogin(t.Context(), &authv1.VerifyLoginRequest{
		ChallengeId: res.GetChallenge().GetChallengeId(), Code: w.phones.code(t, p.phone),
	})
	if err != nil {
		t.Fatalf("VerifyLogin: %v", err)
	}
	return verified.GetSession()
}

// otherCode returns a code that is wrong.
func otherCode(code string) string {
	if code[0] == '9' {
		return "0" + code[1:]
	}
	return "9" + code[1:]
}

// reason is the reason of a call's error; "" if there is none.
func reason(err error) string {
	if err == nil {
		return ""
	}
	if info := detail[*errdetails.ErrorInfo](err); info != nil && info.GetDomain() == "tillbook" {
		return info.GetReason()
	}
	return "no reason: " + err.Error()
}

func detail[T any](err error) (none T) {
	var e *connect.Error
	if !errors.As(err, &e) {
		return none
	}
	for _, d := range e.Details() {
		if msg, err := connectproto.UnmarshalErrorDetail(d); err == nil {
			if m, ok := msg.(T); ok {
				return m
			}
		}
	}
	return none
}

// wants fails the test unless a call failed for a reason.
func wants(t testing.TB, err error, want string) {
	t.Helper()
	if got := reason(err); got != want {
		t.Fatalf("the call failed with %q, want %q (%v)", got, want, err)
	}
}

// ok fails the test if a call failed.
func ok[T any](t testing.TB) func(T, error) T {
	return func(res T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
}

// settled waits until every message of a replica has been sent.
func (r *replica) settled(t testing.TB) {
	t.Helper()
	eventually(t, "messages to be sent", func() bool { return r.service.Stats().MessagesWaiting == 0 })
}

func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// clock is a time that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// tracer counts statements, and lets tests come in between.
type tracer struct {
	statements atomic.Int64
	hooks      sync.Map // what a statement begins with -> func()
}

func (tr *tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	// What the pool does with new connections doesn't count, nor does the poll,
	// which runs by itself.
	if strings.HasPrefix(data.SQL, "-- name: ") && !strings.HasPrefix(data.SQL, "-- name: ListRevocations ") {
		tr.statements.Add(1)
	}
	tr.hooks.Range(func(name, f any) bool {
		if strings.HasPrefix(data.SQL, name.(string)) {
			f.(func())()
		}
		return true
	})
	return ctx
}

func (*tracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// owner returns a connection of the database's owner, for tests that tamper.
func (w *world) owner(t testing.TB) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), w.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func query[T any](t testing.TB, conn *pgx.Conn, sql string, args ...any) (v T) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func number(i int) string { return fmt.Sprintf("+62812345%04d", i) }
