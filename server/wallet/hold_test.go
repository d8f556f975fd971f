package wallet_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/server/wallet"
	"github.com/tillbook/tillbook/store/id"
)

// listHolds returns all pages of a user's holds, of two a page.
func listHolds(t testing.TB, c walletv1connect.WalletServiceClient, state walletv1.HoldState) (all []*walletv1.Hold) {
	t.Helper()
	req := &walletv1.ListHoldsRequest{State: state, PageSize: 2}
	for {
		res, err := c.ListHolds(t.Context(), req)
		if err != nil {
			t.Fatalf("list holds: %v", err)
		}
		all = append(all, res.GetHolds()...)
		if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
			return all
		}
	}
}

// holdChange returns the next change of what is held, as one line; heartbeats are
// passed over.
func (w *watcher) holdChange(t testing.TB) string {
	t.Helper()
	for {
		msg := w.next(t)
		if msg.GetHeartbeat() != nil {
			continue
		}
		if msg.GetHoldChange() == nil {
			t.Fatalf("the stream tells %v, want a change of what is held", msg)
		}
		return balances([]*walletv1.Balance{msg.GetHoldChange().GetBalance()})
	}
}

func voidHold(t testing.TB, books *moneytest.Books, hold uuid.UUID) {
	t.Helper()
	if _, err := books.Ledger().VoidHold(t.Context(), identity("void", hold.String()), hold); err != nil {
		t.Fatal(err)
	}
}

func TestHoldsAreListedNewestFirstByState(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "100.00 USD")
	books.Fund(t, alice, "1000 JPY")
	books.Fund(t, bob, "10.00 USD")
	var ids []string
	for i, sum := range []string{"1 USD", "20 USD", "300 JPY", "4 USD"} {
		h := holdOf(t, books, alice, fmt.Sprint(i), sum, "hotel "+fmt.Sprint(i))
		ids = append(ids, id.Format(id.Hold, h.ID))
		switch i {
		case 0:
			voidHold(t, books, h.ID)
		case 1:
			capture(t, books, "part", h, false, map[string]int64{bob.Account("USD"): 500})
		case 3:
			capture(t, books, "all", h, true, map[string]int64{bob.Account("USD"): 300})
		}
	}
	foreign := holdOf(t, books, bob, "foreign", "1 USD", "")

	for _, tt := range []struct {
		of    moneytest.User
		state walletv1.HoldState
		want  []string
	}{
		{alice, 0, []string{ids[3], ids[2], ids[1], ids[0]}},
		{alice, walletv1.HoldState_HOLD_STATE_OPEN, []string{ids[2], ids[1]}},
		{alice, walletv1.HoldState_HOLD_STATE_VOIDED, []string{ids[0]}},
		{alice, walletv1.HoldState_HOLD_STATE_CAPTURED, []string{ids[3]}},
		{alice, walletv1.HoldState_HOLD_STATE_EXPIRED, nil},
		{bob, 0, []string{id.Format(id.Hold, foreign.ID)}},
	} {
		var got []string
		for _, h := range listHolds(t, r.as(tt.of), tt.state) {
			got = append(got, h.GetHoldId())
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s, state %v: %q, want %q", tt.of.Username, tt.state, got, tt.want)
		}
	}
	part := listHolds(t, r.as(alice), walletv1.HoldState_HOLD_STATE_OPEN)[1]
	if text(part.GetAmount()) != "20.00 USD" || text(part.GetCaptured()) != "5.00 USD" || text(part.GetRemaining()) != "15.00 USD" ||
		part.GetReference() != "hotel 1" || part.GetCloseTime() != nil || !part.GetExpireTime().AsTime().After(part.GetCreateTime().AsTime()) {
		t.Errorf("a hold captured in part is %v", part)
	}
	res, err := r.as(alice).GetWallet(t.Context(), &walletv1.GetWalletRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got := balances(res.GetBalances()); got != "[700 JPY held 300 total 1000][77.00 USD held 15.00 total 92.00]" {
		t.Errorf("the wallet is %s", got)
	}
	_, err = r.as(bob).Transfer(t.Context(), transfer("held", "18 USD", byID(alice)))
	moneytest.WantNothingMoved(t, err, "INSUFFICIENT_FUNDS")
}

func TestSomebodyWithoutMoneyHasNoHolds(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, bob, "10.00 USD")
	holdOf(t, books, bob, "1", "1 USD", "")
	if all := listHolds(t, r.as(alice), 0); len(all) > 0 {
		t.Errorf("alice, who never had anything, lists %v", all)
	}
}

func TestAPageTokenOfHoldsFitsItsListAlone(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "10.00 USD")
	for i := range 3 {
		holdOf(t, books, alice, fmt.Sprint(i), "1 USD", "")
	}
	page, err := r.as(alice).ListHolds(t.Context(), &walletv1.ListHoldsRequest{PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	token := page.GetNextPageToken()
	_, err = r.as(bob).ListHolds(t.Context(), &walletv1.ListHoldsRequest{PageToken: token})
	moneytest.WantRefusal(t, err, "PAGE_TOKEN_INVALID")
	_, err = r.as(alice).ListHolds(t.Context(), &walletv1.ListHoldsRequest{PageToken: token, State: walletv1.HoldState_HOLD_STATE_OPEN})
	moneytest.WantRefusal(t, err, "PAGE_TOKEN_INVALID")
	_, err = r.as(alice).ListHolds(t.Context(), &walletv1.ListHoldsRequest{PageToken: token + "x"})
	moneytest.WantRefusal(t, err, "PAGE_TOKEN_INVALID")
}

func TestAStreamTellsWhatIsHeldWithoutAnEntry(t *testing.T) {
	books := moneytest.New(t)
	// Streams look again before they say that nothing happened; these are told.
	quiet := wallet.WatchConfig{Heartbeat: time.Hour}
	here, there := serveWith(t, books, quiet), serveWith(t, books, quiet)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "10.00 USD")
	first, second := watch(t, here, alice, ""), watch(t, there, alice, "")
	for _, w := range []*watcher{first, second} {
		w.snapshot(t)
	}
	told := func(want string) {
		t.Helper()
		for i, w := range []*watcher{first, second} {
			if got := w.holdChange(t); got != want {
				t.Errorf("stream %d tells %s, want %s", i, got, want)
			}
		}
	}
	h := holdOf(t, books, alice, "1", "4 USD", "")
	told("[6.00 USD held 4.00 total 10.00]")
	voidHold(t, books, h.ID)
	told("[10.00 USD held 0.00 total 10.00]")
	h = holdOf(t, books, alice, "2", "5 USD", "")
	told("[5.00 USD held 5.00 total 10.00]")
	// A capture is an entry, and lets go of what was held.
	capture(t, books, "2", h, false, map[string]int64{bob.Account("USD"): 200})
	for _, w := range []*watcher{first, second} {
		if got := text(w.change(t).GetBalanceAfter()); got != "8.00 USD" {
			t.Errorf("after the capture there are %s", got)
		}
	}
	told("[5.00 USD held 3.00 total 8.00]")
}

func TestAResumedStreamTellsWhatIsHeldNow(t *testing.T) {
	books := moneytest.New(t)
	here, there := serve(t, books), serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "10.00 USD")
	w := watch(t, here, alice, "")
	w.snapshot(t)
	w.close()
	h := holdOf(t, books, alice, "1", "4 USD", "")
	again := watch(t, there, alice, w.token)
	if got := again.holdChange(t); got != "[6.00 USD held 4.00 total 10.00]" {
		t.Errorf("the resumed stream tells %s", got)
	}
	again.close()
	// Let go while nobody looked: it is told that nothing is held, and nothing is
	// missed of what moved.
	voidHold(t, books, h.ID)
	paid := mustPay(t, here.as(alice), transfer("1", "1 USD", byID(bob)))
	last := watch(t, here, alice, again.token)
	if got := last.change(t).GetTransactionId(); got != paid.GetTransactionId() {
		t.Errorf("the resumed stream tells %s, want %s", got, paid.GetTransactionId())
	}
	if got := last.holdChange(t); got != "[9.00 USD held 0.00 total 9.00]" {
		t.Errorf("the resumed stream tells %s", got)
	}
	// A new stream says it in its snapshot, and not again.
	holdOf(t, books, alice, "2", "2 USD", "")
	fresh := watch(t, there, alice, "")
	if got := fresh.snapshot(t); got != "[7.00 USD held 2.00 total 9.00]" {
		t.Errorf("the snapshot is %s", got)
	}
	mustPay(t, here.as(alice), transfer("2", "1 USD", byID(bob)))
	if got := text(fresh.change(t).GetBalanceAfter()); got != "8.00 USD" {
		t.Errorf("the next change leads to %s", got)
	}
}
