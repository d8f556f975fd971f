package terminal_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
	sandboxv1 "github.com/tillbook/tillbook/gen/tillbook/sandbox/v1"
	"github.com/tillbook/tillbook/gen/tillbook/sandbox/v1/sandboxv1connect"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/gen/tillbook/terminal/v1/terminalv1connect"
	"github.com/tillbook/tillbook/server"
	"github.com/tillbook/tillbook/server/terminal"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/storetest"
)

// town is a database with replicas on it.
type town struct {
	url     string
	owner   *store.Store // with the rights of the database's owner
	numbers atomic.Int64
}

func newTown(t testing.TB) *town {
	t.Helper()
	w := &town{url: storetest.NewDatabase(t)}
	w.owner = storetest.Open(t, store.Config{URL: w.url, Role: store.NoRole, MaxConns: 3})
	return w
}

// replica is a server with both doors.
type replica struct {
	*server.Server
	conn *grpc.ClientConn // to the native door
	stop func()
}

func (w *town) replica(t testing.TB, change ...func(*server.Config)) *replica {
	t.Helper()
	cfg := server.Config{
		Listen: "127.0.0.1:0", GRPCListen: "127.0.0.1:0", DatabaseURL: w.url, MaxConns: 10, Sandbox: true, Grace: 5 * time.Second,
		Logger:   slog.New(slog.NewTextHandler(io.Discard, nil)),
		Terminal: terminal.Config{Poll: 5 * time.Millisecond, Flush: 10 * time.Millisecond, Recheck: time.Hour},
	}
	for _, f := range change {
		f(&cfg)
	}
	s, err := server.New(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	r := &replica{Server: s, conn: dial(t, s.GRPCAddr())}
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with: %v", err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

func dial(t testing.TB, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// person is somebody who is signed in.
type person struct {
	id    uuid.UUID
	phone string
	token string
}

func (p person) context(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+p.token)
}

func (w *town) person(t testing.TB, r *replica) person {
	t.Helper()
	n := w.numbers.Add(1)
	phone := fmt.Sprintf("+62812%08d", 30_000_000+n)
	challenge := &authv1.RegisterResponse{}
	must(t, r.conn.Invoke(t.Context(), authv1connect.AuthServiceRegisterProcedure, &authv1.RegisterRequest{
		PhoneNumber: phone, Username: fmt.Sprintf("person%d", n), Password: "correct horse battery",
	}, challenge))
	messages := &sandboxv1.ListMessagesResponse{}
	eventually(t, "the code arrives", func() bool {
		must(t, r.conn.Invoke(t.Context(), sandboxv1connect.SandboxServiceListMessagesProcedure, &sandboxv1.ListMessagesRequest{PhoneNumber: phone}, messages))
		return len(messages.GetMessages()) > 0
	})
	verified := &authv1.VerifyPhoneResponse{}
	must(t, r.conn.Invoke(t.Context(), authv1connect.AuthServiceVerifyPhoneProcedure, &authv1.VerifyPhoneRequest{
		ChallengeId: challenge.GetChallenge().GetChallengeId(), Code: messages.GetMessages()[0].GetText()[:6],
	}, verified))
	user, err := id.Parse(id.User, verified.GetUser().GetUserId())
	must(t, err)
	return person{user, phone, verified.GetSession().GetAccessToken()}
}

// shop is a store of a merchant's, with somebody of each role.
type shop struct {
	town                    *town
	merchant, store         string
	owner, manager, cashier person
}

func (w *town) shop(t testing.TB, r *replica) *shop {
	t.Helper()
	s := &shop{town: w, owner: w.person(t, r), manager: w.person(t, r), cashier: w.person(t, r)}
	merchant, at := id.New(), id.New()
	s.merchant, s.store = id.Format(id.Merchant, merchant), id.Format(id.Store, at)
	w.exec(t, `INSERT INTO merchants (id, owner_id, name, country, city, category_code, time_zone, settlement_interval,
			settlement_minute, settlement_weekday, key_hash, fingerprint, create_time)
		VALUES ($1, $2, 'Kopi Senja', 'ID', 'Bandung', '5812', 'Asia/Jakarta', 1, 0, 0, $1, '', now())`, merchant, s.owner.id)
	w.exec(t, `INSERT INTO stores (id, merchant_id, name, city, key_hash, fingerprint, create_time)
		VALUES ($1, $2, 'Braga', 'Bandung', $1, '', now())`, at, merchant)
	for role, p := range map[int]person{1: s.owner, 2: s.manager, 3: s.cashier} {
		w.exec(t, `INSERT INTO staff (merchant_id, user_id, role) VALUES ($1, $2, $3)`, merchant, p.id, role)
	}
	return s
}

func (w *town) exec(t testing.TB, statement string, args ...any) {
	t.Helper()
	if _, err := w.owner.Pool.Exec(context.WithoutCancel(t.Context()), statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// create adds a terminal and returns it with its code.
func (s *shop) create(t testing.TB, r *replica) *terminalv1.CreateTerminalResponse {
	t.Helper()
	res := &terminalv1.CreateTerminalResponse{}
	must(t, r.conn.Invoke(s.manager.context(t.Context()), terminalv1connect.TerminalServiceCreateTerminalProcedure, &terminalv1.CreateTerminalRequest{
		IdempotencyKey: uuid.NewString(), MerchantId: s.merchant, StoreId: s.store, Name: "Counter",
	}, res))
	return res
}

func (s *shop) terminal(t testing.TB, r *replica, terminal string) *terminalv1.Terminal {
	t.Helper()
	res := &terminalv1.GetTerminalResponse{}
	must(t, r.conn.Invoke(s.cashier.context(t.Context()), terminalv1connect.TerminalServiceGetTerminalProcedure,
		&terminalv1.GetTerminalRequest{MerchantId: s.merchant, TerminalId: terminal}, res))
	return res.GetTerminal()
}

func (s *shop) command(t testing.TB, r *replica, terminal string, kind terminalv1.CommandKind, version string) {
	t.Helper()
	must(t, r.conn.Invoke(s.manager.context(context.WithoutCancel(t.Context())), terminalv1connect.TerminalServiceSendCommandProcedure,
		&terminalv1.SendCommandRequest{MerchantId: s.merchant, TerminalId: terminal, Kind: kind, Version: version}, &terminalv1.SendCommandResponse{}))
}

func (s *shop) revoke(t testing.TB, r *replica, terminal string) *terminalv1.Terminal {
	t.Helper()
	res := &terminalv1.RevokeTerminalResponse{}
	must(t, r.conn.Invoke(s.manager.context(t.Context()), terminalv1connect.TerminalServiceRevokeTerminalProcedure,
		&terminalv1.RevokeTerminalRequest{MerchantId: s.merchant, TerminalId: terminal}, res))
	return res.GetTerminal()
}

// gadget is a device with a key.
type gadget struct {
	key      ed25519.PrivateKey
	terminal string
}

func newGadget(t testing.TB) *gadget {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	return &gadget{key: key}
}

// gadget adds a terminal and activates a device for it.
func (s *shop) gadget(t testing.TB, r *replica) *gadget {
	t.Helper()
	g := newGadget(t)
	_, err := g.activate(t, r, s.create(t, r).GetActivationCode())
	must(t, err)
	return g
}

func (g *gadget) request(code string) *terminalv1.ActivateRequest {
	public := g.key.Public().(ed25519.PublicKey)
	signed := fmt.Appendf(nil, "tillbook-terminal-activation\n%s\n%s", code, public)
	return &terminalv1.ActivateRequest{
		ActivationCode: code, PublicKey: public, Signature: ed25519.Sign(g.key, signed),
		Device: &terminalv1.Device{Model: "P2", SerialNumber: "7", SoftwareVersion: "1.0"},
	}
}

func (g *gadget) activate(t testing.TB, r *replica, code string) (*terminalv1.ActivateResponse, error) {
	t.Helper()
	res := &terminalv1.ActivateResponse{}
	err := r.conn.Invoke(t.Context(), terminalv1connect.TerminalServiceActivateProcedure, g.request(code), res)
	if err == nil {
		g.terminal = res.GetTerminal().GetTerminalId()
	}
	return res, err
}

// claims are those of a good assertion.
func (g *gadget) claims() jwt.RegisteredClaims {
	now := time.Now()
	return jwt.RegisteredClaims{
		Issuer: g.terminal, Subject: g.terminal, Audience: jwt.ClaimStrings{"tillbook-terminal"}, ID: uuid.NewString(),
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(time.Minute)),
	}
}

func (g *gadget) sign(t testing.TB, claims jwt.RegisteredClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims)
	token.Header["typ"] = "terminal+jwt"
	text, err := token.SignedString(g.key)
	must(t, err)
	return text
}

func (g *gadget) context(t testing.TB) context.Context {
	t.Helper()
	return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Terminal "+g.sign(t, g.claims()))
}

// reasonOf is the public reason of an error, without the enum's prefix.
func reasonOf(err error) string {
	if info := infoOf(err); info != nil {
		return info.GetReason()
	}
	return fmt.Sprint(err)
}

func infoOf(err error) *errdetails.ErrorInfo {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info
		}
	}
	return nil
}

func wantReason(t testing.TB, err error, want string) {
	t.Helper()
	if got := reasonOf(err); got != want {
		t.Fatalf("got %s (%v), want %s", got, err, want)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// patience is how long tests wait for what has to happen.
const patience = 30 * time.Second

// eventually waits for something that another goroutine brings about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

func (s *shop) reissue(t testing.TB, r *replica, terminal string) (code string) {
	t.Helper()
	res := &terminalv1.ReissueActivationCodeResponse{}
	must(t, r.conn.Invoke(s.manager.context(t.Context()), terminalv1connect.TerminalServiceReissueActivationCodeProcedure,
		&terminalv1.ReissueActivationCodeRequest{MerchantId: s.merchant, TerminalId: terminal}, res))
	wantTenMinutes(t, res.GetActivationExpireTime())
	return res.GetActivationCode()
}

// recheckOften makes a replica compare its sessions with the database all the time.
func recheckOften(c *server.Config) { c.Terminal.Recheck = 20 * time.Millisecond }
