package server

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/ledger"
)

const (
	transferProcedure  = walletv1connect.WalletServiceTransferProcedure
	getWalletProcedure = walletv1connect.WalletServiceGetWalletProcedure
	registerProcedure  = authv1connect.AuthServiceRegisterProcedure
)

func transferRequest(change ...func(*walletv1.TransferRequest)) *walletv1.TransferRequest {
	req := &walletv1.TransferRequest{
		IdempotencyKey: "0198c2d4-5f0e-7c3a-9f6e-3a1f2b4c5d6e",
		Recipient:      &walletv1.Recipient{Recipient: &walletv1.Recipient_Username{Username: "bob"}},
		Amount:         &moneyv1.Money{Asset: "USD", Amount: "12.50"},
		Note:           "lunch",
	}
	for _, f := range change {
		f(req)
	}
	return req
}

// failTransfers makes every transfer fail with err.
func failTransfers(err error) func(*Config, *harness) {
	return func(_ *Config, h *harness) {
		h.wallet.transfer = func(context.Context, *walletv1.TransferRequest) (*walletv1.TransferResponse, error) {
			return nil, err
		}
	}
}

// checkFailure checks what every error has.
func checkFailure(t *testing.T, f *failure, code connect.Code, reason string) {
	t.Helper()
	if f == nil {
		t.Fatalf("no error, want %s", reason)
	}
	if f.code != code || f.reason() != reason {
		t.Fatalf("%s %s %q, want %s %s", f.code, f.reason(), f.message, code, reason)
	}
	if f.info.GetDomain() != "tillbook" {
		t.Errorf("domain %q", f.info.GetDomain())
	}
	if id := f.info.GetMetadata()["request_id"]; id == "" || id != f.header {
		t.Errorf("request id %q in the error, %q in the header", id, f.header)
	}
}

func TestACallSucceedsInEveryProtocol(t *testing.T) {
	h := start(t)
	for name, call := range h.clients(t) {
		t.Run(name, func(t *testing.T) {
			var res walletv1.TransferResponse
			if f := call(t, transferProcedure, userToken, transferRequest(), &res); f != nil {
				t.Fatalf("%s %s", f.code, f.message)
			}
			if res.GetTransaction().GetNote() != "lunch" {
				t.Errorf("answer %v", &res)
			}
		})
	}
}

func TestErrorsArriveWholeInEveryProtocol(t *testing.T) {
	h := start(t, failTransfers(fmt.Errorf("transfer: %w", ledger.ErrOverloaded)))
	for name, call := range h.clients(t) {
		t.Run(name, func(t *testing.T) {
			f := call(t, transferProcedure, userToken, transferRequest(), &walletv1.TransferResponse{})
			checkFailure(t, f, connect.CodeResourceExhausted, "OVERLOADED")
			if f.outcome != errorv1.Outcome_OUTCOME_NOT_EXECUTED {
				t.Errorf("outcome %s", f.outcome)
			}
			if f.retry.GetRetryDelay().AsDuration() <= 0 {
				t.Errorf("retry %v", f.retry)
			}
		})
	}
}

func TestAnInvalidRequestNamesItsFields(t *testing.T) {
	h := start(t)
	req := transferRequest(func(r *walletv1.TransferRequest) { r.Amount.Amount, r.IdempotencyKey = "1,50", "" })
	for name, call := range h.clients(t) {
		t.Run(name, func(t *testing.T) {
			f := call(t, transferProcedure, userToken, req, &walletv1.TransferResponse{})
			checkFailure(t, f, connect.CodeInvalidArgument, "INVALID_ARGUMENT")
			var paths []string
			for _, v := range f.fields.GetFieldViolations() {
				paths = append(paths, v.GetField())
				if v.GetDescription() == "" || v.GetReason() == "" {
					t.Errorf("violation %v", v)
				}
			}
			if got := strings.Join(paths, " "); got != "idempotency_key amount.amount" {
				t.Errorf("fields %q", got)
			}
			if f.outcome != errorv1.Outcome_OUTCOME_NOT_EXECUTED {
				t.Errorf("outcome %s", f.outcome)
			}
		})
	}
}

func TestAnErrorOfMoneySaysWhatBecameOfIt(t *testing.T) {
	tests := map[string]struct {
		err      error
		executed bool
		reason   string
		outcome  errorv1.Outcome
	}{
		"refused":           {err: ledger.ErrInsufficientFunds, reason: "INSUFFICIENT_FUNDS", outcome: errorv1.Outcome_OUTCOME_NOT_EXECUTED},
		"unknown":           {err: fmt.Errorf("%w: %w", ledger.ErrOutcomeUnknown, context.DeadlineExceeded), reason: "OUTCOME_UNKNOWN", outcome: errorv1.Outcome_OUTCOME_UNKNOWN},
		"a fault of ours":   {err: errors.New("index out of range"), reason: "INTERNAL", outcome: errorv1.Outcome_OUTCOME_UNKNOWN},
		"gave up in time":   {err: context.Canceled, reason: "CANCELED", outcome: errorv1.Outcome_OUTCOME_NOT_EXECUTED},
		"after the commit":  {err: context.DeadlineExceeded, executed: true, reason: "DEADLINE_EXCEEDED", outcome: errorv1.Outcome_OUTCOME_EXECUTED},
		"the handler knows": {err: rpc.AsError(errors.New("x")).WithOutcome(errorv1.Outcome_OUTCOME_EXECUTED), reason: "INTERNAL", outcome: errorv1.Outcome_OUTCOME_EXECUTED},
	}
	var now struct {
		err      error
		executed bool
	}
	h := start(t, func(_ *Config, h *harness) {
		h.wallet.transfer = func(ctx context.Context, _ *walletv1.TransferRequest) (*walletv1.TransferResponse, error) {
			if now.executed {
				rpc.MarkExecuted(ctx)
			}
			return nil, now.err
		}
	})
	call := grpcClient(t, h.server.GRPCAddr())
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			now.err, now.executed = tt.err, tt.executed
			f := call(t, transferProcedure, userToken, transferRequest(), &walletv1.TransferResponse{})
			if f.reason() != tt.reason || f.outcome != tt.outcome {
				t.Errorf("%s %s, want %s %s", f.reason(), f.outcome, tt.reason, tt.outcome)
			}
		})
	}
}

func TestAFaultTellsClientsNothingAndTheLogOnce(t *testing.T) {
	h := start(t, failTransfers(errors.New(`SELECT * FROM users WHERE phone = '+628123456789', password "hunter2"`)))
	for name, call := range h.clients(t) {
		before := len(h.log.failures(t))
		f := call(t, transferProcedure, userToken, transferRequest(), &walletv1.TransferResponse{})
		checkFailure(t, f, connect.CodeInternal, "INTERNAL")
		if strings.Contains(f.message, "SELECT") || strings.Contains(f.message, "hunter2") {
			t.Errorf("%s: message %q", name, f.message)
		}
		eventually(t, name+": logged", func() bool { return len(h.log.failures(t)) > before })
		lines := h.log.failures(t)[before:]
		if len(lines) != 1 {
			t.Fatalf("%s: %d lines in the log", name, len(lines))
		}
		line := lines[0]
		if line["level"] != "ERROR" || line["request_id"] != f.header || line["procedure"] != transferProcedure || line["reason"] != "INTERNAL" {
			t.Errorf("%s: log line %v", name, line)
		}
		cause, _ := line["cause"].(string)
		if !strings.Contains(cause, "SELECT * FROM users") || strings.Contains(cause, "8123456789") {
			t.Errorf("%s: cause %q", name, cause)
		}
	}
}

func TestAPanicEndsOneCallOnly(t *testing.T) {
	h := start(t, func(_ *Config, h *harness) {
		h.wallet.transfer = func(context.Context, *walletv1.TransferRequest) (*walletv1.TransferResponse, error) {
			panic("no such thing")
		}
	})
	for name, call := range h.clients(t) {
		t.Run(name, func(t *testing.T) {
			f := call(t, transferProcedure, userToken, transferRequest(), &walletv1.TransferResponse{})
			checkFailure(t, f, connect.CodeInternal, "INTERNAL")
			if strings.Contains(f.message, "no such thing") {
				t.Errorf("message %q", f.message)
			}
			if f := call(t, getWalletProcedure, userToken, &walletv1.GetWalletRequest{}, &walletv1.GetWalletResponse{}); f != nil {
				t.Errorf("the next call: %s", f.message)
			}
		})
	}
	for _, line := range h.log.failures(t) {
		stack, _ := line["stack"].(string)
		if line["cause"] != "panic: no such thing" || !strings.Contains(stack, "TestAPanicEndsOneCallOnly") {
			t.Errorf("log line %v", line)
		}
	}
}

// What is thrown around the interceptors ends its call alone, too. How far that had come
// nobody knows.
func TestAPanicAroundACallIsAnErrorLikeOthers(t *testing.T) {
	h := start(t)
	seen := observerForTest(t, h)
	calls := connect.NewServer()
	calls.Register(connect.Method{
		Spec:    connect.Spec{Procedure: transferProcedure},
		Handler: func(context.Context, connect.Spec, connect.ServerStream) error { panic("secret") },
	})
	door := newGRPCDoor(&h.server.cfg, calls, seen, newArrivals())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = door.Serve(listener) }() // until it is stopped
	t.Cleanup(door.Stop)
	f := grpcClient(t, listener.Addr().String())(t, transferProcedure, userToken, transferRequest(), &walletv1.TransferResponse{})
	if f == nil || f.code != connect.CodeInternal || f.reason() != "INTERNAL" || f.outcome != errorv1.Outcome_OUTCOME_UNKNOWN ||
		strings.Contains(f.message, "secret") || f.info.GetMetadata()["request_id"] == "" {
		t.Errorf("got %+v", f)
	}
	if failures := h.log.failures(t); len(failures) != 1 || failures[0]["cause"] != "panic: secret" {
		t.Errorf("the log says %v", failures)
	}
}

func TestAnUnknownProcedureIsAnErrorLikeOthers(t *testing.T) {
	h := start(t)
	for name, call := range h.clients(t) {
		for _, procedure := range []string{"/tillbook.wallet.v1.WalletService/Rob", "/tillbook.bank.v1.BankService/Rob"} {
			t.Run(name+procedure, func(t *testing.T) {
				f := call(t, procedure, userToken, &emptypb.Empty{}, &emptypb.Empty{})
				checkFailure(t, f, connect.CodeUnimplemented, "UNIMPLEMENTED")
			})
		}
	}
}

func TestAMessageThatIsTooLargeIsRefused(t *testing.T) {
	h := start(t)
	req := transferRequest(func(r *walletv1.TransferRequest) { r.Note = strings.Repeat("x", 1<<20) })
	for name, call := range h.clients(t) {
		t.Run(name, func(t *testing.T) {
			f := call(t, transferProcedure, userToken, req, &walletv1.TransferResponse{})
			checkFailure(t, f, connect.CodeResourceExhausted, "MESSAGE_TOO_LARGE")
			if f.outcome != errorv1.Outcome_OUTCOME_NOT_EXECUTED {
				t.Errorf("outcome %s", f.outcome)
			}
		})
	}
}

func TestAGzipBombIsRefused(t *testing.T) {
	h := start(t)
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	zeros := make([]byte, 1<<20)
	for range 64 {
		_, _ = w.Write(zeros)
	}
	_ = w.Close()
	r := post(t, h.url(transferProcedure), &bomb, "Content-Type", "application/proto", "Content-Encoding", "gzip", "Authorization", "Bearer "+userToken)
	checkFailure(t, readFailure(t, r), connect.CodeResourceExhausted, "MESSAGE_TOO_LARGE")
}

func TestWhatCantBeReadIsRefusedWithAReason(t *testing.T) {
	h := start(t)
	tests := map[string]struct {
		body    string
		headers []string
		code    connect.Code
		reason  string
		says    string
	}{
		"not JSON":         {body: "{", code: connect.CodeInvalidArgument, reason: "INVALID_ARGUMENT", says: "decoded"},
		"wrong type":       {body: `{"note": 1}`, code: connect.CodeInvalidArgument, reason: "INVALID_ARGUMENT", says: "note"},
		"nothing":          {body: "", code: connect.CodeInvalidArgument, reason: "INVALID_ARGUMENT", says: "zero-length"},
		"bad gzip":         {body: "{}", headers: []string{"Content-Encoding", "gzip"}, code: connect.CodeInvalidArgument, reason: "INVALID_ARGUMENT"},
		"other encoding":   {body: "{}", headers: []string{"Content-Encoding", "br"}, code: connect.CodeUnimplemented, reason: "UNIMPLEMENTED", says: "gzip"},
		"bad timeout":      {body: "{}", headers: []string{"Connect-Timeout-Ms", "soon"}, code: connect.CodeInvalidArgument, reason: "INVALID_ARGUMENT", says: "timeout"},
		"other version":    {body: "{}", headers: []string{"Connect-Protocol-Version", "2"}, code: connect.CodeInvalidArgument, reason: "INVALID_ARGUMENT", says: "must be 1"},
		"already too late": {body: "{}", headers: []string{"Connect-Timeout-Ms", "0"}, code: connect.CodeDeadlineExceeded, reason: "DEADLINE_EXCEEDED"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			headers := append([]string{"Content-Type", "application/json", "Authorization", "Bearer " + userToken}, tt.headers...)
			f := readFailure(t, post(t, h.url(transferProcedure), strings.NewReader(tt.body), headers...))
			checkFailure(t, f, tt.code, tt.reason)
			if !strings.Contains(f.message, tt.says) {
				t.Errorf("message %q doesn't mention %q", f.message, tt.says)
			}
			if f.outcome != errorv1.Outcome_OUTCOME_NOT_EXECUTED {
				t.Errorf("outcome %s", f.outcome)
			}
		})
	}
}

func TestARequestThatCantBeDecodedStaysOutOfTheLog(t *testing.T) {
	h := start(t)
	r := post(t, h.url(registerProcedure), strings.NewReader(`{"password": hunter2}`), "Content-Type", "application/json")
	checkFailure(t, readFailure(t, r), connect.CodeInvalidArgument, "INVALID_ARGUMENT")
	if log := h.log.String(); strings.Contains(log, "hunter2") || len(h.log.failures(t)) != 1 {
		t.Errorf("log: %s", log)
	}
}

func TestGRPCMessagesThatCantBeDecodedAreRefusedWithAReason(t *testing.T) {
	h := start(t)
	for _, addr := range []string{h.server.Addr(), h.server.GRPCAddr()} {
		// A string field with a number in it.
		broken := &walletv1.TransferRequest{}
		broken.ProtoReflect().SetUnknown([]byte{0x0a, 0x05, 'x'})
		f := grpcClient(t, addr)(t, transferProcedure, userToken, broken, &walletv1.TransferResponse{})
		checkFailure(t, f, connect.CodeInvalidArgument, "INVALID_ARGUMENT")
	}
}
