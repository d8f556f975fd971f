package wallet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/server/wallet"
)

// watcher is a client of one stream.
type watcher struct {
	stream walletv1connect.WalletServiceWatchWalletClientStream
	cancel context.CancelFunc
	token  string
}

func watch(t testing.TB, r replica, u moneytest.User, token string) *watcher {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := r.as(u).WatchWallet(ctx, &walletv1.WatchWalletRequest{ResumeToken: token})
	if err != nil {
		t.Fatalf("watch: %v", err)
	}
	w := &watcher{stream: stream, cancel: cancel, token: token}
	t.Cleanup(w.close)
	return w
}

func (w *watcher) close() {
	w.cancel()
	_ = w.stream.Close()
}

func (w *watcher) next(t testing.TB) *walletv1.WatchWalletResponse {
	t.Helper()
	defer time.AfterFunc(30*time.Second, w.cancel).Stop() // what never comes is missed here
	msg, err := w.stream.Receive()
	if err != nil {
		t.Fatalf("receive: %v", err)
	}
	w.token = msg.GetResumeToken()
	return msg
}

// change returns the next change and passes over heartbeats.
func (w *watcher) change(t testing.TB) *walletv1.Transaction {
	t.Helper()
	for {
		msg := w.next(t)
		if msg.GetSnapshot() != nil {
			t.Fatal("got a snapshot in the midst of a stream")
		}
		if c := msg.GetChange(); c != nil {
			return c.GetTransaction()
		}
	}
}

func (w *watcher) snapshot(t testing.TB) string {
	t.Helper()
	msg := w.next(t)
	if msg.GetSnapshot() == nil {
		t.Fatalf("the stream begins with %v", msg)
	}
	return balances(msg.GetSnapshot().GetBalances())
}

func (w *watcher) wantRefusal(t testing.TB, reason string) moneytest.Refusal {
	t.Helper()
	for {
		msg, err := w.stream.Receive()
		if err == nil && msg.GetHeartbeat() != nil {
			continue
		}
		if err == nil || errors.Is(err, io.EOF) {
			t.Fatalf("got %v, %v; want %s", msg, err, reason)
		}
		return moneytest.WantRefusal(t, err, reason)
	}
}

func TestAWatchBeginsWithASnapshotAndTellsEachChange(t *testing.T) {
	books := moneytest.New(t)
	here, there := serve(t, books), serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "10.00 USD")

	w := watch(t, here, alice, "")
	if got := w.snapshot(t); got != "[10.00 USD held 0.00 total 10.00]" {
		t.Errorf("the snapshot is %s", got)
	}
	for i, r := range []replica{here, there, here, there} {
		paid := mustPay(t, r.as(alice), transfer(fmt.Sprint(i), "1 USD", byID(bob)))
		if got := w.change(t); !proto.Equal(got, paid) {
			t.Errorf("the stream says %v, the payer was told %v", got, paid)
		}
	}
	// An asset that alice never had, from the other replica.
	books.Fund(t, bob, "500 JPY")
	mustPay(t, there.as(bob), transfer("yen", "300 JPY", byID(alice)))
	if got := lines([]*walletv1.Transaction{w.change(t)})[0]; got != "TRANSACTION_KIND_TRANSFER 300 JPY after 300 with b***y" {
		t.Errorf("of the new account the stream says %s", got)
	}
}

func TestAnEmptyWalletCanBeWatched(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice := books.User(t, "alice")
	w := watch(t, r, alice, "")
	if got := w.snapshot(t); got != "" {
		t.Errorf("the snapshot is %s", got)
	}
	books.Fund(t, alice, "1.00 USD")
	if got := text(w.change(t).GetAmount()); got != "1.00 USD" {
		t.Errorf("the first change is %s", got)
	}
}

func TestAWatchResumesOnTheOtherReplicaWhereItWasLeft(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "100.00 USD")
	books.Fund(t, bob, "100.00 EUR")

	w := watch(t, replicas[0], alice, "")
	w.snapshot(t)
	// Left before the account in euros was opened.
	w.close()
	var want []string
	for i := range 5 {
		want = append(want, mustPay(t, replicas[0].as(alice), transfer(fmt.Sprint(i), "1 USD", byID(bob))).GetTransactionId())
		want = append(want, mustPay(t, replicas[1].as(bob), transfer(fmt.Sprint(i), "1 EUR", byID(alice))).GetTransactionId())
	}
	// Each message's token goes on behind it, on either replica.
	token := w.token
	for i := range want {
		again := watch(t, replicas[i%2], alice, token)
		if got := again.change(t).GetTransactionId(); got != want[i] {
			t.Fatalf("change %d is %s, want %s", i, got, want[i])
		}
		token = again.token
		again.close()
	}
	// Nothing is left but what comes now.
	last := watch(t, replicas[0], alice, token)
	paid := mustPay(t, replicas[1].as(alice), transfer("last", "1 USD", byID(bob)))
	if got := last.change(t); !proto.Equal(got, paid) {
		t.Errorf("after all the stream says %v, want %v", got, paid)
	}
}

func TestALongBacklogIsToldToItsEnd(t *testing.T) {
	books := moneytest.New(t)
	// Neither a wake-up nor a heartbeat helps: all of it is there at once.
	r := serveWith(t, books, wallet.WatchConfig{PageSize: 3, Heartbeat: time.Hour})
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "100.00 USD")
	books.Fund(t, alice, "100.00 EUR")
	w := watch(t, r, alice, "")
	w.snapshot(t)
	w.close()
	var want []*walletv1.Transaction
	for i := range 20 {
		sum := []string{"1 USD", "2 USD", "1 EUR"}[i%3]
		want = append(want, mustPay(t, r.as(alice), transfer(fmt.Sprint(i), sum, byID(bob))))
	}
	again := watch(t, r, alice, w.token)
	for i := range want {
		if got := again.change(t); !proto.Equal(got, want[i]) {
			t.Fatalf("change %d is %v, want %v", i, got, want[i])
		}
	}
}

func TestNothingIsMissedOrRepeatedWhileMoneyMovesAndStreamsBreak(t *testing.T) {
	books := moneytest.New(t)
	// Small pages, so that backlogs take several.
	config := wallet.WatchConfig{PageSize: 3}
	replicas := []replica{serveWith(t, books, config), serveWith(t, books, config)}
	users := []moneytest.User{books.User(t, "alice"), books.User(t, "bobby"), books.User(t, "carol")}
	assets := []string{"USD", "JPY", "EUR"}
	for _, u := range users {
		for _, asset := range assets {
			books.Fund(t, u, "1000 "+asset)
		}
	}
	alice := users[0]
	w := watch(t, replicas[0], alice, "")
	w.snapshot(t)

	const payers, payments = 8, 25
	done := make(chan struct{})
	go func() {
		defer close(done)
		together(payers, func(i int) {
			for j := range payments {
				from, to := users[(i+j)%3], users[(i+j+1+j%2)%3]
				mustPay(t, replicas[(i+j)%2].as(from), transfer(fmt.Sprintf("%d.%d", i, j), "1 "+assets[j%3], byID(to)))
			}
		})
	}()
	// What alice has to see: every payment but those between the others.
	expect := 0
	for i := range payers {
		for j := range payments {
			if (i+j)%3 == 0 || (i+j+1+j%2)%3 == 0 {
				expect++
			}
		}
	}
	var seen []*walletv1.Transaction
	for len(seen) < expect {
		seen = append(seen, w.change(t))
		if len(seen)%7 == 0 {
			w.close()
			w = watch(t, replicas[len(seen)/7%2], alice, w.token)
		}
	}
	<-done
	wantHistory(t, replicas[0].as(alice), seen)
}

// wantHistory fails the test unless the changes seen are the newest of the
// history, each once and in the order of each balance.
func wantHistory(t testing.TB, c walletv1connect.WalletServiceClient, seen []*walletv1.Transaction) {
	t.Helper()
	for _, asset := range []string{"USD", "JPY", "EUR"} {
		all := list(t, c, &walletv1.ListTransactionsRequest{Asset: asset, Kind: walletv1.TransactionKind_TRANSACTION_KIND_TRANSFER}, nothing)
		slices.Reverse(all)
		var want, got []string
		for _, tx := range all {
			want = append(want, tx.String())
		}
		for _, tx := range seen {
			if tx.GetAmount().GetAsset() == asset {
				got = append(got, tx.String())
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("in %s the stream told %d changes, the history has %d:\n%q\n%q", asset, len(got), len(want), got, want)
		}
	}
}

func TestWhatCommitsBehindTheHorizonIsStillToldOnce(t *testing.T) {
	books := moneytest.New(t)
	here, there := serve(t, books), serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "10.00 USD")
	w := watch(t, here, alice, "")
	w.snapshot(t)
	first := mustPay(t, there.as(alice), transfer("1", "1 USD", byID(bob)))
	if got := w.change(t); !proto.Equal(got, first) {
		t.Fatalf("got %v", got)
	}

	// The other replica's payments lie above the horizon now.
	release := holdHorizon(t, books)
	second := mustPay(t, there.as(alice), transfer("2", "2 USD", byID(bob)))
	// This replica's own payment wakes the stream at once, and it finds both.
	third := mustPay(t, here.as(alice), transfer("3", "3 USD", byID(bob)))
	for _, want := range []*walletv1.Transaction{second, third} {
		if got := w.change(t); !proto.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	fourth := mustPay(t, there.as(alice), transfer("4", "0.50 USD", byID(bob)))
	release()
	if got := w.change(t); !proto.Equal(got, fourth) {
		t.Errorf("got %v, want %v", got, fourth)
	}
}

// holdHorizon begins a transaction that has a number and doesn't end until
// release is called: nothing that commits later can be read from the events.
func holdHorizon(t testing.TB, books *moneytest.Books) (release func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), books.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT pg_current_xact_id()`); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := tx.Commit(context.Background()); err != nil {
			t.Error(err)
		}
	}
}
