package wallet_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/server/wallet"
)

func TestAHeartbeatFindsWhatNoWakeUpTold(t *testing.T) {
	books := moneytest.New(t)
	here := serveWith(t, books, wallet.WatchConfig{Heartbeat: 20 * time.Millisecond})
	there := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "10.00 USD")
	w := watch(t, here, alice, "")
	w.snapshot(t)

	// The horizon doesn't move until the end of the test, so no wake-up comes.
	defer holdHorizon(t, books)()
	paid := mustPay(t, there.as(alice), transfer("1", "1 USD", byID(bob)))
	if got := w.change(t); !proto.Equal(got, paid) {
		t.Errorf("got %v, want %v", got, paid)
	}
}

func TestASilentStreamBeatsAndItsTokensGoOn(t *testing.T) {
	books := moneytest.New(t)
	r := serveWith(t, books, wallet.WatchConfig{Heartbeat: time.Millisecond})
	alice := books.User(t, "alice")
	books.Fund(t, alice, "10.00 USD")
	w := watch(t, r, alice, "")
	w.snapshot(t)
	for range 3 {
		if msg := w.next(t); msg.GetHeartbeat().GetTime() == nil {
			t.Fatalf("got %v, want a heartbeat", msg)
		}
	}
	w.close()
	again := watch(t, r, alice, w.token)
	books.Fund(t, alice, "1.00 USD")
	if got := text(again.change(t).GetBalanceAfter()); got != "11.00 USD" {
		t.Errorf("after resuming from a heartbeat the balance is %s", got)
	}
}

func TestDrainingMovesStreams(t *testing.T) {
	books := moneytest.New(t)
	r, other := serve(t, books), serve(t, books)
	alice := books.User(t, "alice")
	w := watch(t, r, alice, "")
	w.snapshot(t)
	r.Drain()
	_, err := w.stream.Receive()
	moneytest.WantRefusal(t, err, "STREAM_MOVED")
	if connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("the code is %v", connect.CodeOf(err))
	}
	books.Fund(t, alice, "1.00 USD")
	if got := text(watch(t, other, alice, w.token).change(t).GetAmount()); got != "1.00 USD" {
		t.Errorf("after moving the stream tells %s", got)
	}
}

func TestAUserHasEightStreamsAtMost(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	var open []*watcher
	for range 8 {
		w := watch(t, r, alice, "")
		w.snapshot(t)
		open = append(open, w)
	}
	if got := watch(t, r, alice, "").wantRefusal(t, "RATE_LIMITED"); !got.Retry {
		t.Error("the client isn't told when to try again")
	}
	watch(t, r, bob, "").snapshot(t)
	// The place of one that left becomes free when its handler has ended.
	open[0].close()
	for {
		w := watch(t, r, alice, "")
		msg, err := w.stream.Receive()
		if err == nil && msg.GetSnapshot() != nil {
			break
		}
		moneytest.WantRefusal(t, err, "RATE_LIMITED")
	}
}

func TestAStreamEndsWithItsClient(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice := books.User(t, "alice")
	var open []*watcher
	for range 5 {
		w := watch(t, r, alice, "")
		w.snapshot(t)
		open = append(open, w)
	}
	if n := handlers(); n != 5 {
		t.Fatalf("%d handlers run for 5 streams", n)
	}
	for _, w := range open {
		w.close()
	}
	// A handler that doesn't end keeps this loop until the test is killed.
	for handlers() > 0 {
		time.Sleep(time.Millisecond)
	}
}

// handlers counts the goroutines that serve a stream.
func handlers() int {
	stacks := make([]byte, 1<<22)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return strings.Count(string(stacks), "server/wallet.(*Service).WatchWallet(")
}

func TestAClientThatReadsSlowlyHoldsUpNobodyElse(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "100.00 USD")
	slow := watch(t, r, alice, "")
	slow.snapshot(t)
	quick := watch(t, r, alice, "")
	quick.snapshot(t)
	var told []*walletv1.Transaction
	for i := range 20 {
		mustPay(t, r.as(alice), transfer(fmt.Sprint(i), "1 USD", byID(bob)))
		told = append(told, quick.change(t))
	}
	for i, want := range told {
		if got := slow.change(t); !proto.Equal(got, want) {
			t.Fatalf("change %d is %v for the slow client, want %v", i, got, want)
		}
	}
}
