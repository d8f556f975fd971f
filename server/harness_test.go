package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/google/uuid"

	"github.com/tillbook/tillbook/gen/tillbook/audit/v1/auditv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	"github.com/tillbook/tillbook/gen/tillbook/ledger/v1/ledgerv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/limit/v1/limitv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/sandbox/v1/sandboxv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/seal/v1/sealv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/terminal/v1/terminalv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/user/v1/userv1connect"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/audit"
)

// fakeWallet is a service whose procedures are what a test says.
type fakeWallet struct {
	walletv1connect.UnimplementedWalletServiceHandler
	getWallet func(context.Context) error
	transfer  func(context.Context, *walletv1.TransferRequest) (*walletv1.TransferResponse, error)
	watch     func(context.Context, *walletv1.WatchWalletRequest, walletv1connect.WalletServiceWatchWalletServerStream) error
}

func (f *fakeWallet) GetWallet(ctx context.Context, _ *walletv1.GetWalletRequest) (*walletv1.GetWalletResponse, error) {
	if f.getWallet != nil {
		if err := f.getWallet(ctx); err != nil {
			return nil, err
		}
	}
	return &walletv1.GetWalletResponse{}, nil
}

func (f *fakeWallet) Transfer(ctx context.Context, req *walletv1.TransferRequest) (*walletv1.TransferResponse, error) {
	if f.transfer == nil {
		return &walletv1.TransferResponse{Transaction: &walletv1.Transaction{Note: req.GetNote()}}, nil
	}
	return f.transfer(ctx, req)
}

func (f *fakeWallet) WatchWallet(ctx context.Context, req *walletv1.WatchWalletRequest, stream walletv1connect.WalletServiceWatchWalletServerStream) error {
	return f.watch(ctx, req, stream)
}

// fakeLedger answers every operator.
type fakeLedger struct {
	ledgerv1connect.UnimplementedLedgerServiceHandler
}

func (fakeLedger) ListAssets(context.Context, *ledgerv1.ListAssetsRequest) (*ledgerv1.ListAssetsResponse, error) {
	return &ledgerv1.ListAssetsResponse{}, nil
}

// ImportTransactions counts items, and refuses those of number 1,000 and above.
func (fakeLedger) ImportTransactions(_ context.Context, stream ledgerv1connect.LedgerServiceImportTransactionsServerStream) (*ledgerv1.ImportTransactionsResponse, error) {
	res := &ledgerv1.ImportTransactionsResponse{NextSequence: 1}
	for {
		m, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			return res, nil
		}
		if err != nil {
			return nil, err
		}
		if m.GetFirstSequence() >= 1000 {
			return nil, rpc.NewError(errorv1.ErrorReason_ERROR_REASON_IMPORT_SEQUENCE_INVALID, "It is too late.").
				WithMetadata("next_sequence", strconv.FormatInt(res.GetNextSequence(), 10))
		}
		res.Imported += int64(len(m.GetItems()))
		res.NextSequence = m.GetFirstSequence() + int64(len(m.GetItems()))
	}
}

// fakeAuth knows two tokens.
type fakeAuth struct{}

const (
	userToken     = "user-token"
	operatorToken = "operator-token"
)

var theUser, theOperator = uuid.New(), uuid.New()

func (fakeAuth) Authenticate(_ context.Context, bearer string) (rpc.Principal, error) {
	switch bearer {
	case userToken:
		return rpc.Principal{Kind: rpc.KindUser, User: theUser}, nil
	case operatorToken:
		return rpc.Principal{Kind: rpc.KindOperator, Operator: theOperator}, nil
	default:
		return rpc.Principal{}, rpc.NewError(errorv1.ErrorReason_ERROR_REASON_UNAUTHENTICATED, "The token can't be read.")
	}
}

// harness is a running server without a database.
type harness struct {
	server *Server
	wallet *fakeWallet
	auth   fakeAuth
	log    *lockedBuffer
	ping   func(context.Context) error
	tune   func(*Server)
	stop   func() error // what Run returned; once
}

// start runs a server in front of fakes, changed by the test if it wants to.
func start(t testing.TB, change ...func(*Config, *harness)) *harness {
	t.Helper()
	h := &harness{wallet: &fakeWallet{}, log: &lockedBuffer{}}
	h.ping = func(context.Context) error { return nil }
	cfg := Config{
		Listen: "127.0.0.1:0", GRPCListen: "127.0.0.1:0", Sandbox: true, DatabaseURL: "unused",
		Logger: slog.New(slog.NewJSONHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&cfg, h)
	}
	cfg.setDefaults()
	if err := cfg.Check(); err != nil {
		t.Fatal(err)
	}
	s := newServer(cfg)
	if err := s.listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	tel, err := newTelemetry(t.Context(), "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.own(tel.close)
	err = s.mount(front{telemetry: tel, auth: h.auth, ping: func(ctx context.Context) error { return h.ping(ctx) },
		record: func(context.Context, ...audit.Record) error { return nil }, register: h.register, keys: http.NotFoundHandler()})
	if err != nil {
		t.Fatal(err)
	}
	h.server = s
	if h.tune != nil {
		h.tune(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	h.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := h.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return h
}

func (h *harness) register(calls *connect.Server) {
	authv1connect.RegisterAuthServiceHandler(calls, authv1connect.UnimplementedAuthServiceHandler{})
	walletv1connect.RegisterWalletServiceHandler(calls, h.wallet)
	ledgerv1connect.RegisterLedgerServiceHandler(calls, fakeLedger{})
	sandboxv1connect.RegisterSandboxServiceHandler(calls, sandboxv1connect.UnimplementedSandboxServiceHandler{})
	auditv1connect.RegisterAuditServiceHandler(calls, auditv1connect.UnimplementedAuditServiceHandler{})
	limitv1connect.RegisterLimitServiceHandler(calls, limitv1connect.UnimplementedLimitServiceHandler{})
	merchantv1connect.RegisterMerchantServiceHandler(calls, merchantv1connect.UnimplementedMerchantServiceHandler{})
	sealv1connect.RegisterSealServiceHandler(calls, sealv1connect.UnimplementedSealServiceHandler{})
	terminalv1connect.RegisterTerminalServiceHandler(calls, terminalv1connect.UnimplementedTerminalServiceHandler{})
	userv1connect.RegisterUserServiceHandler(calls, userv1connect.UnimplementedUserServiceHandler{})
}

func (h *harness) url(path string) string { return "http://" + h.server.Addr() + path }

// lockedBuffer is a log that a test can read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// failures are the lines that say that a call failed.
func (b *lockedBuffer) failures(t *testing.T) []map[string]any {
	t.Helper()
	var lines []map[string]any
	for line := range strings.Lines(b.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		if m["msg"] == "call failed" {
			lines = append(lines, m)
		}
	}
	return lines
}

// eventually waits for something that another goroutine brings about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

func isClosed(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return true
	}
	_ = conn.Close()
	return false
}
