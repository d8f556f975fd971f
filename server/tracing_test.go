package server

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"

	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	"github.com/tillbook/tillbook/server/otlptest"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

const (
	clientTrace  = "0af7651916cd43dd8448eb211c80319c"
	clientSpan   = "b7ad6b7169203331"
	clientParent = "00-" + clientTrace + "-" + clientSpan + "-01"
)

// trustLoopback continues the traces of clients on this machine.
func trustLoopback(cfg *Config) {
	cfg.TrustedTracers = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

// traced returns a context whose call belongs to a client's trace.
func (s *story) traced(token, parent string) context.Context {
	ctx := s.as(token)
	info, _ := connect.CallInfoForClientContext(ctx)
	info.RequestHeader().Set("Traceparent", parent)
	info.RequestHeader().Set("Tracestate", "vendor=tracestate-of-mine")
	info.RequestHeader().Set("Baggage", "secret=baggage-of-mine")
	return ctx
}

// transfer is a payment of a dollar.
func transfer(to person, key string) *walletv1.TransferRequest {
	return &walletv1.TransferRequest{
		IdempotencyKey: key, Amount: usd("1"),
		Recipient: &walletv1.Recipient{Recipient: &walletv1.Recipient_UserId{UserId: to.id}},
	}
}

// TestAPaymentIsOneTraceFromItsClientToEachStatement, whichever door it comes by.
func TestAPaymentIsOneTraceFromItsClientToEachStatement(t *testing.T) {
	doors := map[string]func(*testing.T, *replica, *story, person, person) error{
		"Connect": func(_ *testing.T, _ *replica, s *story, from, to person) error {
			_, err := s.wallet.Transfer(s.traced(from.token, clientParent), transfer(to, "traced"))
			return err
		},
		"native gRPC": func(t *testing.T, r *replica, _ *story, from, to person) error {
			ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+from.token,
				"traceparent", clientParent, "baggage", "secret=baggage-of-mine")
			return grpcConn(t, r.GRPCAddr()).Invoke(ctx, walletv1connect.WalletServiceTransferProcedure,
				transfer(to, "traced"), &walletv1.TransferResponse{}, grpc.WaitForReady(true))
		},
	}
	for name, pay := range doors {
		t.Run(name, func(t *testing.T) {
			c := otlptest.Start(t)
			r := startReplica(t, storetest.URL(storetest.New(t)), trustLoopback)
			s := newStory(t, &http.Client{}, "http://"+r.Addr())
			ann, bob := s.register("+6281234567804", "ann"), s.register("+6281234567805", "bob")
			s.fund(ann, "10")
			if err := pay(t, r, s, ann, bob); err != nil {
				t.Fatal(err)
			}
			if err := r.stop(); err != nil { // sends what is left
				t.Fatal(err)
			}

			call := c.One(t, "tillbook.wallet.v1.WalletService/Transfer", clientTrace)
			if parent := string(call.GetParentSpanId()); parent != "\xb7\xadkqi 31" {
				t.Errorf("the call is a child of %x", parent)
			}
			if call.Text("tillbook.request_id") == "" {
				t.Error("the call's span doesn't say under which id the log knows it")
			}
			commit := c.One(t, "ledger.commit", clientTrace)
			batch := c.One(t, "ledger.batch", clientTrace)
			if !commit.IsIn(call) || !batch.IsIn(commit) {
				t.Errorf("the batch isn't in the commit, or that not in the call:\n%v\n%v\n%v", call, commit, batch)
			}
			sql := strings.Join(c.Statements(batch), "\n")
			for _, want := range []string{"BEGIN", "FOR NO KEY UPDATE", "INSERT INTO transactions", "INSERT INTO events", "COMMIT"} {
				if !strings.Contains(sql, want) {
					t.Errorf("the batch lacks %s; it has\n%s", want, sql)
				}
			}
			for _, secret := range []string{"81234567804", "correct horse", ann.token, "baggage-of-mine"} {
				if strings.Contains(c.Raw(), secret) {
					t.Errorf("a span has %q", secret)
				}
			}
		})
	}
}

// TestAStrangersTraceIsLinkedAndDecidesNothing: neither what is sampled nor the id
// under which the call is found.
func TestAStrangersTraceIsLinkedAndDecidesNothing(t *testing.T) {
	const procedure = "tillbook.wallet.v1.WalletService/GetWallet"
	c := otlptest.Start(t)
	url := storetest.URL(storetest.New(t))
	r := startReplica(t, url)
	s := newStory(t, &http.Client{}, "http://"+r.Addr())
	ann := s.register("+6281234567804", "ann")
	// It claims to come from where traces are trusted, and from nobody's proxy.
	ctx := s.traced(ann.token, clientParent)
	info, _ := connect.CallInfoForClientContext(ctx)
	info.RequestHeader().Set("X-Forwarded-For", "127.0.0.1")
	if _, err := s.wallet.GetWallet(ctx, &walletv1.GetWalletRequest{}); err != nil {
		t.Fatal(err)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	calls := c.Find(func(s otlptest.Span) bool { return s.GetName() == procedure })
	if len(calls) != 1 || calls[0].Trace() == clientTrace || len(calls[0].GetParentSpanId()) != 0 {
		t.Fatalf("the call's spans: %v", calls)
	}
	if links := calls[0].GetLinks(); len(links) != 1 || string(links[0].GetSpanId()) != "\xb7\xadkqi 31" {
		t.Errorf("its links: %v", links)
	}
	for _, theirs := range []string{"baggage-of-mine", "tracestate-of-mine"} {
		if strings.Contains(c.Raw(), theirs) {
			t.Errorf("a span has %s", theirs)
		}
	}

	// Where nothing is sampled but what is asked for, strangers can't ask.
	t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
	before := len(c.Find(func(otlptest.Span) bool { return true }))
	for _, trust := range []bool{false, true} {
		r := startReplica(t, url, func(cfg *Config) {
			if trust {
				trustLoopback(cfg)
			}
		})
		s := newStory(t, &http.Client{}, "http://"+r.Addr())
		if _, err := s.wallet.GetWallet(s.traced(ann.token, clientParent), &walletv1.GetWalletRequest{}); err != nil {
			t.Fatal(err)
		}
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if sampled := len(c.Find(func(otlptest.Span) bool { return true })) > before; sampled != trust {
			t.Errorf("trusted: %v; sampled: %v", trust, sampled)
		}
	}
}

// TestAWatchOnAnotherReplicaIsInThePaymentsTrace: what wakes it is read from the rows.
func TestAWatchOnAnotherReplicaIsInThePaymentsTrace(t *testing.T) {
	c := otlptest.Start(t)
	db := storetest.New(t)
	r, far := startReplica(t, storetest.URL(db), trustLoopback), startReplica(t, storetest.URL(db), trustLoopback)
	s := newStory(t, &http.Client{}, "http://"+r.Addr())
	ann, bob := s.register("+6281234567804", "ann"), s.register("+6281234567805", "bob")
	s.fund(ann, "10")
	there := newStory(t, &http.Client{}, "http://"+far.Addr())
	watch, err := there.wallet.WatchWallet(there.as(bob.token), &walletv1.WatchWalletRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if first, err := watch.Receive(); err != nil || first.GetSnapshot() == nil {
		t.Fatalf("watch: %v %v", first, err)
	}
	if _, err := s.wallet.Transfer(s.traced(ann.token, clientParent), transfer(bob, "seen")); err != nil {
		t.Fatal(err)
	}
	if live, err := watch.Receive(); err != nil || live.GetChange() == nil {
		t.Fatalf("watch: %v %v", live, err)
	}
	// The stream's first look may have found it, before it was told why to look.
	eventually(t, "the push in the trace", func() bool {
		return len(c.Find(func(s otlptest.Span) bool { return s.GetName() == "wallet.push" && s.Trace() == clientTrace })) > 0
	})
	for _, r := range []*replica{far, r} {
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
	}

	batch, push := c.One(t, "ledger.batch", clientTrace), c.One(t, "wallet.push", clientTrace)
	if !push.IsIn(batch) || push.Replica == batch.Replica {
		t.Errorf("the push is not in the batch, or not of the other replica:\n%v\n%v", batch, push)
	}
	if len(c.Statements(push)) == 0 {
		t.Error("the push has no statements")
	}
	streams := c.Find(func(s otlptest.Span) bool { return strings.HasSuffix(s.GetName(), "/WatchWallet") })
	if len(streams) != 1 || !push.LinksTo(streams[0]) {
		t.Errorf("the push isn't linked to its stream: %v", push.GetLinks())
	}
}

// TestAJobIsInTheTraceOfWhatCausedIt: a hold that expires, whichever replica sees to
// it.
func TestAJobIsInTheTraceOfWhatCausedIt(t *testing.T) {
	c := otlptest.Start(t)
	db := storetest.New(t)
	r := startReplica(t, storetest.URL(db), trustLoopback)
	_, key, err := storetest.Open(t, store.Config{URL: storetest.URL(db), Role: store.NoRole}).CreateOperator(t.Context(), "olga")
	if err != nil {
		t.Fatal(err)
	}
	s := newStory(t, &http.Client{}, "http://"+r.Addr())
	ann := s.register("+6281234567804", "ann")
	s.fund(ann, "10")
	held, err := s.ledger.CreateHold(s.traced(key, clientParent), &ledgerv1.CreateHoldRequest{
		IdempotencyKey: "h", Account: "user/" + ann.id + "/main/USD", Amount: usd("1"),
		ExpireTime: timestamppb.New(time.Now().Add(time.Second)),
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the hold expires", func() bool {
		h, err := s.ledger.GetHold(s.as(key), &ledgerv1.GetHoldRequest{HoldId: held.GetHold().GetHoldId()})
		if err != nil {
			t.Fatal(err)
		}
		return h.GetHold().GetState() == ledgerv1.HoldState_HOLD_STATE_EXPIRED
	})
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}

	job := c.One(t, "ledger.expire_holds", clientTrace)
	made := c.Find(func(s otlptest.Span) bool {
		return s.GetName() == "ledger.batch" && s.Trace() == clientTrace && job.IsIn(s)
	})
	if len(made) != 1 {
		t.Errorf("the job isn't in the batch that made the hold: %v", job)
	}
	if sql := strings.Join(c.Statements(job), "\n"); !strings.Contains(sql, "UPDATE holds") || !strings.Contains(sql, "COMMIT") {
		t.Errorf("the job's statements: %s", sql)
	}
}
