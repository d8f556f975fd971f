package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/proto"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	"github.com/tillbook/tillbook/gen/tillbook/ledger/v1/ledgerv1connect"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	sandboxv1 "github.com/tillbook/tillbook/gen/tillbook/sandbox/v1"
	"github.com/tillbook/tillbook/gen/tillbook/sandbox/v1/sandboxv1connect"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	"github.com/tillbook/tillbook/server/otlptest"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

// replica is a whole server on a real database.
type replica struct {
	*Server
	log  *lockedBuffer
	stop func() error
}

func startReplica(t *testing.T, url string, change ...func(*Config)) *replica {
	t.Helper()
	log := &lockedBuffer{}
	cfg := Config{
		Listen: "127.0.0.1:0", GRPCListen: "127.0.0.1:0", DatabaseURL: url, Sandbox: true, SkipMigrate: true,
		Logger: slog.New(slog.NewJSONHandler(log, nil)),
	}
	for _, f := range change {
		f(&cfg)
	}
	s, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	r := &replica{Server: s, log: log, stop: sync.OnceValue(func() error { cancel(); return <-done })}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return r
}

// person is somebody with an account.
type person struct {
	id, phone, token string
}

// story is what the tests play, through one connection.
type story struct {
	t       *testing.T
	auth    authv1connect.AuthServiceClient
	wallet  walletv1connect.WalletServiceClient
	ledger  ledgerv1connect.LedgerServiceClient
	sandbox sandboxv1connect.SandboxServiceClient
}

func newStory(t *testing.T, c *http.Client, base string, options ...connecthttp.Option) *story {
	conn := connect.NewClient(connecthttp.NewTransport(c, base, options...))
	return &story{
		t:       t,
		auth:    authv1connect.NewAuthServiceClient(conn),
		wallet:  walletv1connect.NewWalletServiceClient(conn),
		ledger:  ledgerv1connect.NewLedgerServiceClient(conn),
		sandbox: sandboxv1connect.NewSandboxServiceClient(conn),
	}
}

func (s *story) as(token string) context.Context {
	ctx, info := connect.NewClientContext(s.t.Context())
	info.RequestHeader().Set("Authorization", "Bearer "+token)
	return ctx
}

var sixDigits = regexp.MustCompile(`\b[0-9]{6}\b`)

// register makes a person by way of the SMS that they get.
func (s *story) register(phone, name string) person {
	s.t.Helper()
	registered, err := s.auth.Register(s.t.Context(), &authv1.RegisterRequest{
		PhoneNumber: phone, Username: name, Password: "correct horse " + name, DeviceName: "test",
	})
	if err != nil {
		s.t.Fatalf("register: %v", err)
	}
	var code string
	eventually(s.t, "an SMS arrives", func() bool {
		messages, err := s.sandbox.ListMessages(s.t.Context(), &sandboxv1.ListMessagesRequest{PhoneNumber: phone})
		if err != nil {
			s.t.Fatal(err)
		}
		if len(messages.GetMessages()) > 0 {
			code = sixDigits.FindString(messages.GetMessages()[0].GetText())
		}
		return code != ""
	})
	verified, err := s.auth.VerifyPhone(s.t.Context(), &authv1.VerifyPhoneRequest{
		ChallengeId: registered.GetChallenge().GetChallengeId(), Code: code,
	})
	if err != nil {
		s.t.Fatalf("verify: %v", err)
	}
	return person{id: verified.GetUser().GetUserId(), phone: phone, token: verified.GetSession().GetAccessToken()}
}

func usd(amount string) *moneyv1.Money { return &moneyv1.Money{Asset: "USD", Amount: amount} }

func (s *story) fund(p person, amount string) {
	s.t.Helper()
	_, err := s.sandbox.Fund(s.t.Context(), &sandboxv1.FundRequest{PhoneNumber: p.phone, Amount: usd(amount), IdempotencyKey: "fund-" + p.phone})
	if err != nil {
		s.t.Fatalf("fund: %v", err)
	}
}

func (s *story) pay(from, to person, amount, key string) (*walletv1.Transaction, error) {
	res, err := s.wallet.Transfer(s.as(from.token), &walletv1.TransferRequest{
		IdempotencyKey: key, Amount: usd(amount),
		Recipient: &walletv1.Recipient{Recipient: &walletv1.Recipient_UserId{UserId: to.id}},
	})
	return res.GetTransaction(), err
}

// TestTwoPeoplePayEachOther plays the whole story at both doors of a real server.
func TestTwoPeoplePayEachOther(t *testing.T) {
	db := storetest.New(t)
	r := startReplica(t, storetest.URL(db))
	main := newStory(t, &http.Client{}, "http://"+r.Addr())
	native := newStory(t, h2cClient(t), "http://"+r.GRPCAddr(), connecthttp.WithGRPC())

	ann := main.register("+6281234567801", "ann")
	bob := native.register("+6281234567802", "bob")
	main.fund(ann, "100")

	watch, err := native.wallet.WatchWallet(native.as(bob.token), &walletv1.WatchWalletRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if first, err := watch.Receive(); err != nil || first.GetSnapshot() == nil {
		t.Fatalf("watch: %v %v", first, err)
	}

	paid, err := native.pay(ann, bob, "12.50", "lunch")
	if err != nil {
		t.Fatal(err)
	}
	again, err := main.pay(ann, bob, "12.50", "lunch")
	if err != nil || !proto.Equal(paid, again) {
		t.Errorf("the retry at the other door: %v %v, first %v", again, err, paid)
	}
	live, err := watch.Receive()
	if err != nil || live.GetChange().GetTransaction().GetAmount().GetAmount() != "12.50" {
		t.Errorf("live: %v %v", live, err)
	}
	_, err = native.pay(ann, bob, "1000", "too-much")
	f := connectFailure(t, err, "")
	if f.reason() != "INSUFFICIENT_FUNDS" || f.outcome.String() != "OUTCOME_NOT_EXECUTED" {
		t.Errorf("overspending: %s %s", f.reason(), f.outcome)
	}

	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	for {
		_, err := watch.Receive()
		if err == nil {
			continue
		}
		if errors.Is(err, io.EOF) {
			t.Fatal("the stream ended without a word")
		}
		if f := connectFailure(t, err, ""); f.reason() != "STREAM_MOVED" {
			t.Errorf("the stream ended with %s", f.reason())
		}
		break
	}
	for _, secret := range []string{"81234567801", "correct horse", ann.token} {
		if strings.Contains(r.log.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

func TestAnOperatorProvesThatTheBooksBalance(t *testing.T) {
	db := storetest.New(t)
	r := startReplica(t, storetest.URL(db))
	s := newStory(t, &http.Client{}, "http://"+r.Addr())
	ann := s.register("+6281234567803", "anna")
	s.fund(ann, "5")
	if _, err := s.ledger.Verify(s.as(ann.token), &ledgerv1.VerifyRequest{}); connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("a user verifies: %v", err)
	}
	_, key, err := storetest.Open(t, store.Config{URL: storetest.URL(db), Role: store.NoRole}).CreateOperator(t.Context(), "olga")
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.ledger.Verify(s.as(key), &ledgerv1.VerifyRequest{})
	if err != nil || !res.GetOk() {
		t.Errorf("verify: %v %v", res, err)
	}
}

func TestARealServerServesItsKeysAndItsMetrics(t *testing.T) {
	r := startReplica(t, storetest.URL(storetest.New(t)))
	if code, body := get(t, "http://"+r.Addr()+"/.well-known/jwks.json"); code != http.StatusOK || !strings.Contains(body, `"Ed25519"`) {
		t.Errorf("keys: %d %s", code, body)
	}
	if code, body := get(t, "http://"+r.Addr()+"/readyz"); code != http.StatusOK {
		t.Errorf("/readyz: %d %s", code, body)
	}
	_, body := get(t, "http://"+r.Addr()+"/metrics")
	for _, want := range []string{"ledger_queue_depth 0", "ledger_batches_total 0", "pgxpool_total_connections", "auth_passwords_hashed_total"} {
		if !strings.Contains(body, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
}

// TestAStoppedServerLeavesNothingBehind looks for goroutines of anything that New
// or Run started.
func TestAStoppedServerLeavesNothingBehind(t *testing.T) {
	owned := regexp.MustCompile(`tillbook/server/(auth|wallet|ledger|limit)\.|tillbook/store/ledger\.|pgxpool\.|` +
		`grpc\.\(\*Server\)|http2serverConn|sdk/(trace|metric)\.`)
	left := func() (stacks []string) {
		buf := make([]byte, 4<<20)
		buf = buf[:runtime.Stack(buf, true)]
		for stack := range strings.SplitSeq(string(buf), "\n\n") {
			if owned.MatchString(stack) {
				stacks = append(stacks, stack)
			}
		}
		return stacks
	}
	url := storetest.NewDatabase(t)
	before := len(left())
	otlptest.Start(t)
	r := startReplica(t, url)
	s := newStory(t, h2cClient(t), "http://"+r.GRPCAddr(), connecthttp.WithGRPC())
	ann := s.register("+6281234567806", "ann")
	if _, err := s.wallet.WatchWallet(s.as(ann.token), &walletv1.WatchWalletRequest{}); err != nil {
		t.Fatal(err)
	}
	if len(left()) <= before {
		t.Fatal("the test doesn't see what a server starts")
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all goroutines end", func() bool { return len(left()) <= before })
}

// Whatever the database does to what runs in the background.
func TestAServerDoesNotWaitForeverForWhatRunsInTheBackground(t *testing.T) {
	s := newServer(Config{})
	end, ended := make(chan struct{}), make(chan struct{})
	s.background(func(context.Context) { <-end; close(ended) })
	if err := s.closeWithin(20 * time.Millisecond); !errors.Is(err, errStuck) {
		t.Errorf("it ends with %v", err)
	}
	close(end)
	<-ended
	if err := s.closeWithin(time.Minute); err != nil {
		t.Errorf("once it has ended: %v", err)
	}
}
