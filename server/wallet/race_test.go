package wallet_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/server/money/moneytest"
)

// together runs f n times at once.
func together(n int, f func(i int)) {
	var ready, done sync.WaitGroup
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			f(i)
		})
	}
	done.Wait()
}

func TestTwoHundredCallsWithOneKeyOnTwoReplicasExecuteOnceAndAgree(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "100.00 USD")
	before := books.Transactions(t)

	// They name the payee in three ways and the amount in two.
	recipients := []*walletv1.Recipient{byID(bob), byName("Bobby"), byPhone(bob.Phone)}
	amounts := []string{"7 USD", "7.00 USD"}
	const calls = 200
	answers := make([]*walletv1.Transaction, calls)
	together(calls, func(i int) {
		req := transfer("once", amounts[i%len(amounts)], recipients[i%len(recipients)])
		res, err := replicas[i%2].as(alice).Transfer(t.Context(), req)
		if err != nil {
			t.Errorf("call %d: %v", i, err)
			return
		}
		answers[i] = res.GetTransaction()
	})
	for i, a := range answers {
		if !proto.Equal(a, answers[0]) {
			t.Errorf("call %d was told %v, call 0 %v", i, a, answers[0])
		}
	}
	if n := books.Transactions(t) - before; n != 1 {
		t.Errorf("%d transactions were made, want 1", n)
	}
	wantBalance(t, books, alice, "93.00 USD")
	wantBalance(t, books, bob, "7.00 USD")
}

func TestOneKeyForDifferentPaymentsAtOnceExecutesOneOfThem(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	alice, bob, carol := books.User(t, "alice"), books.User(t, "bobby"), books.User(t, "carol")
	books.Fund(t, alice, "100.00 USD")
	before := books.Transactions(t)

	var executed, reused atomic.Int64
	together(60, func(i int) {
		to := []moneytest.User{bob, carol}[i%2]
		_, err := replicas[i/2%2].as(alice).Transfer(t.Context(), transfer("one", fmt.Sprintf("%d USD", 1+i%3), byID(to)))
		if err == nil {
			executed.Add(1)
			return
		}
		moneytest.WantNothingMoved(t, err, "IDEMPOTENCY_KEY_REUSED")
		reused.Add(1)
	})
	if n := books.Transactions(t) - before; n != 1 {
		t.Errorf("%d transactions were made, want 1", n)
	}
	// Six different payments, ten calls each.
	if executed.Load() != 10 || reused.Load() != 50 {
		t.Errorf("%d calls succeeded and %d were refused, want 10 and 50", executed.Load(), reused.Load())
	}
}

func TestRacingPayersNeverOverdraw(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	alice, bob, carol := books.User(t, "alice"), books.User(t, "bobby"), books.User(t, "carol")
	books.Fund(t, alice, "10.00 USD")

	var paid atomic.Int64
	together(100, func(i int) {
		to := []moneytest.User{bob, carol}[i/2%2]
		_, err := replicas[i%2].as(alice).Transfer(t.Context(), transfer(fmt.Sprint(i), "1 USD", byID(to)))
		if err == nil {
			paid.Add(1)
			return
		}
		moneytest.WantNothingMoved(t, err, "INSUFFICIENT_FUNDS")
	})
	if paid.Load() != 10 {
		t.Errorf("%d payments of 1 USD were made from 10 USD", paid.Load())
	}
	wantBalance(t, books, alice, "0.00 USD")
}

func TestPaymentsInOppositeDirectionsAllGoThrough(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	users := []moneytest.User{books.User(t, "alice"), books.User(t, "bobby"), books.User(t, "carol")}
	for _, u := range users {
		books.Fund(t, u, "1000.00 USD")
	}
	together(64, func(i int) {
		for j := range 10 {
			from := (i + j) % len(users)
			to := (from + 1 + rand.IntN(len(users)-1)) % len(users)
			mustPay(t, replicas[i%2].as(users[from]), transfer(fmt.Sprintf("%d-%d", i, j), "0.01 USD", byID(users[to])))
		}
	})
	if n := books.Transactions(t); n != len(users)+640 {
		t.Errorf("there are %d transactions, want %d", n, len(users)+640)
	}
}

func TestFirstPaymentsToANewPayeeAtOnceOpenOneAccount(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	bob := books.User(t, "bobby")
	payers := make([]moneytest.User, 20)
	for i := range payers {
		payers[i] = books.User(t, fmt.Sprintf("payer%d", i))
		books.Fund(t, payers[i], "1.00 USD")
	}
	together(len(payers), func(i int) {
		mustPay(t, replicas[i%2].as(payers[i]), transfer("k", "1 USD", byID(bob)))
	})
	wantBalance(t, books, bob, "20.00 USD")
}
