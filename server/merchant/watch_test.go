package merchant_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/server/merchant"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/store/id"
)

// watcher is a client of one stream.
type watcher struct {
	stream merchantv1connect.MerchantServiceWatchMerchantClientStream
	cancel context.CancelFunc
	token  string
}

// watch opens a stream and waits until it is served.
func watch(t testing.TB, c client, s shop, token string) *watcher {
	t.Helper()
	w := watchOnly(t, c, s, token)
	if msg := w.next(t); msg.GetHeartbeat() == nil {
		t.Fatalf("the stream begins with %v", msg)
	}
	return w
}

func watchOnly(t testing.TB, c client, s shop, token string) *watcher {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := c.WatchMerchant(ctx, &merchantv1.WatchMerchantRequest{MerchantId: s.id, ResumeToken: token})
	if err != nil {
		t.Fatalf("watch: %v", err)
	}
	w := &watcher{stream: stream, cancel: cancel}
	t.Cleanup(w.close)
	return w
}

func (w *watcher) close() {
	w.cancel()
	_ = w.stream.Close()
}

func (w *watcher) next(t testing.TB) *merchantv1.WatchMerchantResponse {
	t.Helper()
	msg, err := w.stream.Receive()
	if err != nil {
		t.Fatalf("receive: %v", err)
	}
	if w.token = msg.GetResumeToken(); w.token == "" {
		t.Fatalf("%v has no resume token", msg)
	}
	return msg
}

// event returns the next message that is no heartbeat.
func (w *watcher) event(t testing.TB) *merchantv1.WatchMerchantResponse {
	t.Helper()
	for {
		if msg := w.next(t); msg.GetHeartbeat() == nil {
			return msg
		}
	}
}

func (w *watcher) checkout(t testing.TB) *checkoutv1.Checkout {
	t.Helper()
	msg := w.event(t)
	if msg.GetCheckout() == nil {
		t.Fatalf("got %v, want a checkout", msg)
	}
	return msg.GetCheckout()
}

func (w *watcher) wantRefusal(t testing.TB, reason string) {
	t.Helper()
	for {
		msg, err := w.stream.Receive()
		if err == nil && msg.GetHeartbeat() != nil {
			continue
		}
		if err == nil || errors.Is(err, io.EOF) {
			t.Fatalf("got %v, %v; want %s", msg, err, reason)
		}
		moneytest.WantRefusal(t, err, reason)
		return
	}
}

func TestAWatchTellsWhatHappensOnAnyReplica(t *testing.T) {
	books := moneytest.New(t)
	here, there := serve(t, books), serve(t, books)
	s, other := open(t, books, here, "batavia"), open(t, books, here, "bogor")
	alice := books.User(t, "alice")
	books.Fund(t, alice, "100.00 USD")
	w := watch(t, here.as(s.cashier), s, "")
	mustSell(t, here.as(other.owner), sale("1", other, "1 USD"))
	for i, r := range []replica{here, there, here} {
		made := mustSell(t, r.as(s.cashier), sale(fmt.Sprint(i), s, "1 USD"))
		if got := w.checkout(t); !proto.Equal(got, made) {
			t.Errorf("the stream says %v, made was %v", got, made)
		}
		pay(t, there, alice, made, "")
		if got := w.checkout(t); got.GetState() != checkout.Succeeded || text(got.GetPayment().GetNet()) != "1.00 USD" {
			t.Errorf("the stream says %v", got)
		}
	}
	execute(t, books, `INSERT INTO events (type, subject, payload) VALUES ('terminal.alert', $1, jsonb_build_object('terminal', $2::uuid, 'message', 'Two devices.'))`,
		"merchant/"+s.id, id.New())
	if got := w.event(t).GetTerminalAlert(); got.GetMessage() != "Two devices." || len(got.GetTerminalId()) != 30 {
		t.Errorf("the stream says %v", got)
	}
}

func TestAWatchGoesOnWhereItsTokenSays(t *testing.T) {
	books := moneytest.New(t)
	here, there := serve(t, books), serve(t, books)
	s, other := open(t, books, here, "batavia"), open(t, books, here, "bogor")
	alice := books.User(t, "alice")
	books.Fund(t, alice, "100.00 USD")
	w := watch(t, here.as(s.cashier), s, "")
	mustSell(t, here.as(s.cashier), sale("0", s, "1 USD")) // isn't told again
	w.checkout(t)
	first := mustSell(t, here.as(s.cashier), sale("1", s, "1 USD"))
	w.checkout(t)
	w.close()
	pay(t, here, alice, first, "")
	var made []string
	for i := range 5 {
		made = append(made, mustSell(t, here.as(s.cashier), sale(fmt.Sprint("more-", i), s, "1 USD")).GetCheckoutId())
	}
	again := watch(t, there.as(s.owner), s, w.token)
	if got := again.checkout(t); got.GetCheckoutId() != first.GetCheckoutId() || got.GetState() != checkout.Succeeded {
		t.Errorf("it goes on with %v", got)
	}
	for _, want := range made {
		if got := again.checkout(t).GetCheckoutId(); got != want {
			t.Fatalf("it goes on with %s, want %s", got, want)
		}
	}
	for name, token := range map[string]string{
		"damaged": w.token + "x", "nonsense": "x", "another merchant's": watch(t, here.as(other.owner), other, "").token,
	} {
		t.Run(name, func(t *testing.T) {
			watchOnly(t, here.as(s.cashier), s, token).wantRefusal(t, "RESUME_TOKEN_INVALID")
		})
	}
	watchOnly(t, here.as(other.owner), s, "").wantRefusal(t, "NOT_FOUND")
}

func TestAWatchPassesOverWhatCannotBeShown(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	s := open(t, books, r, "batavia")
	w := watch(t, r.as(s.cashier), s, "")
	w.close()
	execute(t, books, `INSERT INTO events (type, subject, payload)
		SELECT 'checkout.created', $1, jsonb_build_object('checkout', gen_random_uuid()) FROM generate_series(1, 450)`, "merchant/"+s.id)
	made := mustSell(t, r.as(s.cashier), sale("1", s, "1 USD"))
	if got := watch(t, r.as(s.cashier), s, w.token).checkout(t); got.GetCheckoutId() != made.GetCheckoutId() {
		t.Errorf("it goes on with %v", got)
	}
}

func TestAWatchEndsWithTheWork(t *testing.T) {
	books := moneytest.New(t)
	here, there := serve(t, books), serve(t, books)
	s := open(t, books, here, "batavia")
	w := watch(t, here.as(s.cashier), s, "")
	if err := remove(t, there.as(s.owner), s, s.cashier); err != nil {
		t.Fatal(err)
	}
	w.wantRefusal(t, "PERMISSION_DENIED")
}

func TestDrainingMovesWatches(t *testing.T) {
	books := moneytest.New(t)
	here, there := serve(t, books), serve(t, books)
	s := open(t, books, here, "batavia")
	w := watch(t, here.as(s.cashier), s, "")
	here.Drain()
	w.wantRefusal(t, "STREAM_MOVED")
	made := mustSell(t, there.as(s.cashier), sale("1", s, "1 USD"))
	if got := watch(t, there.as(s.cashier), s, w.token).checkout(t); got.GetCheckoutId() != made.GetCheckoutId() {
		t.Errorf("it goes on with %v", got)
	}
}

func TestASilentWatchBeatsAndFindsWhatNoWakeUpTold(t *testing.T) {
	books := moneytest.New(t)
	here, there := serveWith(t, books, merchant.WatchConfig{Heartbeat: 5 * time.Millisecond, PollInterval: time.Hour}), serve(t, books)
	s := open(t, books, here, "batavia")
	w := watch(t, here.as(s.cashier), s, "")
	for range 3 {
		if msg := w.next(t); msg.GetHeartbeat().GetTime() == nil {
			t.Fatalf("got %v, want a heartbeat", msg)
		}
	}
	made := mustSell(t, there.as(s.cashier), sale("1", s, "1 USD"))
	if got := w.checkout(t); got.GetCheckoutId() != made.GetCheckoutId() {
		t.Errorf("the stream says %v", got)
	}
}

func TestOneUserWatchesOnAFewStreams(t *testing.T) {
	books := moneytest.New(t)
	r := serveWith(t, books, merchant.WatchConfig{MaxPerUser: 2})
	s := open(t, books, r, "batavia")
	first := watch(t, r.as(s.cashier), s, "")
	watch(t, r.as(s.cashier), s, "")
	watchOnly(t, r.as(s.cashier), s, "").wantRefusal(t, "RATE_LIMITED")
	watch(t, r.as(s.owner), s, "")
	first.close()
	for {
		w := watchOnly(t, r.as(s.cashier), s, "")
		_, err := w.stream.Receive()
		if err == nil {
			break
		}
		moneytest.WantRefusal(t, err, "RATE_LIMITED") // until the server has noticed
	}
}

// A client that doesn't read holds up nobody, and misses nothing once it does.
func TestAClientThatDoesNotReadMissesNothing(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	s := open(t, books, r, "batavia")
	slow, quick := watch(t, r.as(s.cashier), s, ""), watch(t, r.as(s.owner), s, "")
	var made []string
	for i := range 30 {
		made = append(made, mustSell(t, r.as(s.cashier), sale(fmt.Sprint(i), s, "1 USD")).GetCheckoutId())
	}
	for _, w := range []*watcher{quick, slow} {
		for _, want := range made {
			if got := w.checkout(t).GetCheckoutId(); got != want {
				t.Fatalf("got %s, want %s", got, want)
			}
		}
	}
}
