package wallet_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/server/money/moneytest"
)

func TestFiftyCallsOnTwoReplicasPayARequestOnce(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "1000.00 USD")
	request := mustAsk(t, replicas[0].as(bob), ask("1", "7 USD", byID(alice)))
	before := books.Transactions(t)

	// Ten keys, each tried five times: one of them pays.
	var mu sync.Mutex
	paidBy := make(map[string]string) // what each key was told
	var closed atomic.Int64
	together(50, func(i int) {
		key := fmt.Sprint(i % 10)
		paid, err := payAsked(t, replicas[i/10%2].as(alice), key, request)
		if err != nil {
			if got := moneytest.ReadRefusal(t, err); got.Reason != "PAYMENT_REQUEST_CLOSED" {
				t.Errorf("key %s: %v", key, err)
			}
			closed.Add(1)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		paidBy[key] = paid.GetTransactionId()
	})
	if len(paidBy) != 1 || closed.Load() != 45 {
		t.Errorf("these keys paid: %v, and %d calls were told that it was closed, want 45", paidBy, closed.Load())
	}
	if n := books.Transactions(t) - before; n != 1 {
		t.Errorf("%d transactions were made, want 1", n)
	}
	wantBalance(t, books, alice, "993.00 USD")
	wantBalance(t, books, bob, "7.00 USD")
}

// outcomes are how many calls of each sort said that they ended a request.
type outcomes struct{ paid, declined, canceled, other atomic.Int64 }

// endAtOnce pays, declines and cancels a request at the same time, each on both
// replicas.
func endAtOnce(t testing.TB, replicas []replica, requester, payer moneytest.User, request string) (o *outcomes) {
	t.Helper()
	o = &outcomes{}
	together(6, func(i int) {
		var err error
		won := &o.paid
		switch r := replicas[i%2]; i / 2 {
		case 0:
			_, err = payAsked(t, r.as(payer), "pay-"+request, request)
		case 1:
			won = &o.declined
			_, err = decline(t, r.as(payer), request)
		case 2:
			won = &o.canceled
			_, err = cancelAsked(t, r.as(requester), request)
		}
		if err != nil {
			won = &o.other
			if got := moneytest.ReadRefusal(t, err).Reason; got != "PAYMENT_REQUEST_CLOSED" && got != "PAYMENT_REQUEST_EXPIRED" {
				t.Errorf("call %d: %v", i, err)
			}
		}
		won.Add(1)
	})
	return o
}

// state is how a request must stand after that; both calls of the winning sort
// say that it won.
func (o *outcomes) state(t testing.TB) walletv1.PaymentRequestState {
	t.Helper()
	switch counts := [3]int64{o.paid.Load(), o.declined.Load(), o.canceled.Load()}; counts {
	case [3]int64{2, 0, 0}:
		return statePaid
	case [3]int64{0, 2, 0}:
		return stateDeclined
	case [3]int64{0, 0, 2}:
		return stateCanceled
	case [3]int64{0, 0, 0}:
		return stateExpired
	default:
		t.Errorf("%v calls said that they paid, declined and canceled; want two of one sort", counts)
		return 0
	}
}

func TestPayingDecliningAndCancelingAtOnceHaveOneWinner(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "1000.00 USD")
	paid := 0
	for i := range 28 {
		request := mustAsk(t, replicas[i%2].as(bob), ask(fmt.Sprint(i), "1 USD", byID(alice)))
		want := endAtOnce(t, replicas, bob, alice, request).state(t)
		if got := asked(t, replicas[i%2].as(alice), request).GetState(); got != want || want == stateExpired {
			t.Errorf("request %d is %v, the calls say %v", i, got, want)
		}
		if want == statePaid {
			paid++
		}
	}
	wantBalance(t, books, alice, fmt.Sprintf("%d.00 USD", 1000-paid))
}

func TestAtItsExpiryARequestHasOneEnd(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "1000.00 USD")
	paid := 0
	for i := range 25 {
		req := ask(fmt.Sprint(i), "1 USD", byID(alice))
		request := mustAskFor(t, replicas[i%2].as(bob), req, 40*time.Millisecond)
		expire := req.GetExpireTime().AsTime()
		// From before the edge to behind it.
		time.Sleep(time.Until(expire) - time.Duration(12-i)*400*time.Microsecond)
		o := endAtOnce(t, replicas, bob, alice, request)
		time.Sleep(time.Until(expire) + time.Millisecond)
		got := asked(t, replicas[i%2].as(alice), request)
		switch want := o.winner(t); {
		case got.GetState() != want:
			t.Errorf("request %d is %v, the calls say %v", i, got.GetState(), want)
		case want == statePaid:
			paid++
		}
		if end := got.GetCloseTime(); end != nil && !end.AsTime().Before(got.GetExpireTime().AsTime()) {
			t.Errorf("request %d ended at %v, after its expiry at %v", i, end.AsTime(), got.GetExpireTime().AsTime())
		}
	}
	wantBalance(t, books, alice, fmt.Sprintf("%d.00 USD", 1000-paid))
}

// winner is state where the second call of the winning sort may have come too
// late.
func (o *outcomes) winner(t testing.TB) walletv1.PaymentRequestState {
	t.Helper()
	won := stateExpired
	for state, n := range map[walletv1.PaymentRequestState]int64{
		statePaid: o.paid.Load(), stateDeclined: o.declined.Load(), stateCanceled: o.canceled.Load(),
	} {
		if n == 0 {
			continue
		}
		if won != stateExpired {
			t.Errorf("calls said both %v and %v", won, state)
		}
		won = state
	}
	return won
}
