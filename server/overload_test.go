package server

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	"github.com/tillbook/tillbook/gen/tillbook/ledger/v1/ledgerv1connect"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/server/rate"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

// TestAFloodOfHistoryAndWatchesKeepsNoPaymentOut puts far more on a small server than
// it can do. What is asked of it goes on when what matters less is turned away.
func TestAFloodOfHistoryAndWatchesKeepsNoPaymentOut(t *testing.T) {
	url := storetest.URL(storetest.New(t))
	r := startReplica(t, url, func(c *Config) {
		c.MaxConns = 2
		c.Room = rpc.Room{Calls: 8, LeastCalls: 8, Watches: 4}
	})
	s := newStory(t, h2cClient(t), "http://"+r.Addr(), connecthttp.WithGRPC())
	ann, bob := s.register("+6281234567821", "ann"), s.register("+6281234567822", "bob")
	s.fund(ann, "1000")
	for i := range 20 {
		if _, err := s.pay(ann, bob, "0.01", fmt.Sprint("before-", i)); err != nil {
			t.Fatal(err)
		}
	}
	f := &flood{t: t, story: s, by: bob}
	stop := f.begin(60, 40)
	var payers sync.WaitGroup
	const each = 20
	for p := range 4 {
		payers.Go(func() {
			for i := range each {
				if _, err := s.pay(ann, bob, "0.01", fmt.Sprintf("%d-%d", p, i)); err != nil {
					t.Errorf("a payment in the flood: %v", err)
				}
			}
		})
	}
	payers.Wait()
	eventually(t, "history and watches are turned away", func() bool { return f.history.Load() > 0 && f.watches.Load() > 0 })
	_, metrics := get(t, "http://"+r.Addr()+"/metrics")
	stop()
	for _, line := range []string{`rpc_server_shed_total{priority="history"}`, `rpc_server_shed_total{priority="watch"}`} {
		if !strings.Contains(metrics, line) || strings.Contains(metrics, line+" 0\n") {
			t.Errorf("/metrics says nothing of %s", line)
		}
	}
	if !strings.Contains(metrics, `rpc_server_shed_total{priority="payment"} 0`) {
		t.Error("payments were turned away")
	}
	if open := f.open.Load(); open > 4 {
		t.Errorf("%d watches were open at a time", open)
	}
	for _, line := range r.log.failures(t) {
		if line["reason"] == "OVERLOADED" {
			t.Errorf("the flood writes into the log: %v", line)
			break
		}
	}
}

// flood is what is too much.
type flood struct {
	t     *testing.T
	story *story
	by    person

	history, watches atomic.Int64 // turned away
	now, open        atomic.Int64 // watches that are open, and the most that were
}

// begin lets so many callers of each kind loose. What it returns ends them.
func (f *flood) begin(readers, watchers int) (stop func()) {
	ctx, cancel := context.WithCancel(f.t.Context())
	var all sync.WaitGroup
	for range readers {
		all.Go(func() {
			for ctx.Err() == nil {
				_, err := f.story.wallet.ListTransactions(f.as(ctx), &walletv1.ListTransactionsRequest{PageSize: 200})
				f.turnedAway(ctx, err, &f.history)
			}
		})
	}
	for range watchers {
		all.Go(func() {
			for ctx.Err() == nil {
				f.turnedAway(ctx, f.watch(ctx), &f.watches)
			}
		})
	}
	return func() { cancel(); all.Wait() }
}

// as is the context of one call.
func (f *flood) as(ctx context.Context) context.Context {
	ctx, info := connect.NewClientContext(ctx)
	info.RequestHeader().Set("Authorization", "Bearer "+f.by.token)
	return ctx
}

func (f *flood) watch(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := f.story.wallet.WatchWallet(f.as(ctx), &walletv1.WatchWalletRequest{})
	if err != nil {
		return err
	}
	defer stream.Close()
	for first := true; ; first = false {
		if _, err := stream.Receive(); err != nil {
			return err
		}
		if first {
			now := f.now.Add(1)
			defer f.now.Add(-1)
			for most := f.open.Load(); now > most && !f.open.CompareAndSwap(most, now); most = f.open.Load() {
			}
		}
	}
}

func (f *flood) turnedAway(ctx context.Context, err error, count *atomic.Int64) {
	if err == nil || ctx.Err() != nil {
		return
	}
	failure := connectFailure(f.t, err, "")
	if failure.reason() != "OVERLOADED" || failure.retry.GetRetryDelay().AsDuration() <= 0 {
		f.t.Errorf("the flood is answered with %s, retry %v", failure.reason(), failure.retry)
	}
	count.Add(1)
	time.Sleep(time.Millisecond) // far less than it is asked to
}

func TestPaymentsAreLimitedOverReplicasTogether(t *testing.T) {
	url := storetest.URL(storetest.New(t))
	limited := func(c *Config) {
		limits := DefaultLimits()
		limits.PaymentsUser = rate.Rule{Name: "payments.user", Per: time.Hour, Burst: 3}
		limits.PaymentsOperator = rate.Rule{Name: "payments.operator", Per: time.Hour, Burst: 3}
		c.Limits = &limits
	}
	one, other := startReplica(t, url, limited), startReplica(t, url, limited)
	here, there := newStory(t, &http.Client{}, "http://"+one.Addr()), newStory(t, &http.Client{}, "http://"+other.Addr())
	ann, bob := here.register("+6281234567831", "ann"), here.register("+6281234567832", "bob")
	here.fund(ann, "20")
	db := storetest.Open(t, store.Config{URL: url, Role: store.NoRole})
	_, operator, err := db.CreateOperator(t.Context(), "olga")
	if err != nil {
		t.Fatal(err)
	}
	for n, pay := range []func(s *story, key string) error{
		func(s *story, key string) error {
			_, err := s.pay(ann, bob, "1", key)
			return err
		},
		func(s *story, key string) error {
			_, err := s.ledger.PostTransaction(s.as(operator), &ledgerv1.PostTransactionRequest{IdempotencyKey: key, Reason: "A prize", Postings: []*ledgerv1.Posting{
				{Account: "user/" + ann.id + "/main/USD", Amount: usd("-1")}, {Account: "user/" + bob.id + "/main/USD", Amount: usd("1")},
			}})
			return err
		},
	} {
		for i := range 3 {
			if err := pay(here, fmt.Sprint(n, "-", i)); err != nil {
				t.Fatal(err)
			}
		}
		counted := func(payments int) {
			eventually(t, "the payments are counted", func() (yes bool) {
				err := db.Pool.QueryRow(t.Context(), `SELECT count(*) = $1 FROM rate_limits WHERE tat > now() + $2 * interval '1 hour'`,
					n+1, payments-1).Scan(&yes)
				return err == nil && yes
			})
		}
		counted(3)
		// What the other doesn't know yet passes, and is owed; it alone would let three pass.
		var failure *failure
		for i := range 3 {
			if err := pay(there, fmt.Sprint(n, "-there-", i)); err != nil {
				failure = connectFailure(t, err, "")
				break
			}
			counted(4 + i)
			time.Sleep(100 * time.Millisecond)
		}
		if failure.reason() != "RATE_LIMITED" || failure.retry == nil || failure.outcome.String() != "OUTCOME_NOT_EXECUTED" {
			t.Fatalf("the payments went on until %+v", failure)
		}
		if _, err := db.Pool.Exec(t.Context(), `UPDATE rate_limits SET tat = tat + interval '9 hours' WHERE tat > now() + interval '2 hours'`); err != nil {
			t.Fatal(err) // those are always counted from now on
		}
	}
	if _, err := there.pay(bob, ann, "1", "back"); err != nil {
		t.Errorf("somebody else's payment: %v", err)
	}
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

func TestAFloodFromOneAddressIsTurnedAway(t *testing.T) {
	h := start(t, func(c *Config, _ *harness) {
		limits := DefaultLimits()
		limits.Address = rate.Rule{Name: "shield.address", Per: time.Hour, Burst: 3}
		c.Limits, c.TrustedProxies = &limits, loopback
	})
	from := func(address string) *failure {
		r := post(t, h.url(getWalletProcedure), strings.NewReader("{}"), "Content-Type", "application/json",
			"Authorization", "Bearer "+userToken, "X-Forwarded-For", address)
		if r.StatusCode == http.StatusOK {
			return nil
		}
		return readFailure(t, r)
	}
	for _, address := range []string{"203.0.113.1", "2001:db8::1"} {
		for range 3 {
			if f := from(address); f != nil {
				t.Fatalf("%s: %s", address, f.reason())
			}
		}
	}
	for _, address := range []string{"203.0.113.1", "2001:db8::2"} {
		if f := from(address); f.reason() != "RATE_LIMITED" || f.retry == nil {
			t.Errorf("%s: %s", address, f.reason())
		}
	}
	if f := from("203.0.113.2"); f != nil {
		t.Errorf("somebody else: %s", f.reason())
	}
}

func TestAFloodOfOneCallerIsTurnedAway(t *testing.T) {
	h := start(t, func(c *Config, _ *harness) {
		limits := DefaultLimits()
		limits.Caller = rate.Rule{Name: "shield.caller", Per: time.Hour, Burst: 3}
		c.Limits = &limits
	})
	call := curlClient(h.url(""))
	as := func(token, procedure string) *failure {
		return call(t, procedure, token, &walletv1.GetWalletRequest{}, &walletv1.GetWalletResponse{})
	}
	for range 3 {
		if f := as(userToken, getWalletProcedure); f != nil {
			t.Fatalf("within the limit: %s", f.reason())
		}
	}
	if f := as(userToken, getWalletProcedure); f.reason() != "RATE_LIMITED" || f.retry == nil {
		t.Errorf("past the limit: %+v", f)
	}
	if f := as(operatorToken, ledgerv1connect.LedgerServiceListAssetsProcedure); f != nil {
		t.Errorf("somebody else: %s", f.reason())
	}
	_, metrics := get(t, h.url("/metrics"))
	if !strings.Contains(metrics, `rpc_server_shed_total{priority="call"} 1`) {
		t.Error("/metrics doesn't count what was turned away")
	}
}
