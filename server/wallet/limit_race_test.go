package wallet_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
)

func TestFiveHundredPaymentsOnTwoReplicasReachADailyLimitAndNeverPassIt(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	alice, bob, carol := books.User(t, "alice"), books.User(t, "bobby"), books.User(t, "carol")
	books.Fund(t, alice, "2000.00 USD")
	day := limit(t, replicas[0], scopeOf(alice)+" outgoing amount day UTC 10000")

	var paid atomic.Int64
	together(500, func(i int) {
		to := []moneytest.User{bob, carol}[i/2%2]
		_, err := replicas[i%2].as(alice).Transfer(t.Context(), transfer(fmt.Sprint(i), "1 USD", byID(to)))
		if err == nil {
			paid.Add(1)
			return
		}
		if got := moneytest.ReadRefusal(t, err); got.Reason != "LIMIT_EXCEEDED" || got.Metadata["remaining"] != "0.00" {
			t.Errorf("call %d: %v, %v", i, err, got.Metadata)
		}
	})
	if paid.Load() != 100 {
		t.Errorf("%d payments of 1 USD were made within 100 USD", paid.Load())
	}
	wantUsage(t, replicas[1].as(alice), day, "100.00 of 100.00, 0.00 left")
	wantBalance(t, books, alice, "1900.00 USD")
}

func TestPaymentsOfAllSizesNeverPassALimit(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "2000.00 USD")
	out := limit(t, replicas[0], scopeOf(alice)+" outgoing amount month Asia/Jakarta 10000")
	in := limit(t, replicas[0], scopeOf(bob)+" incoming count lifetime UTC 40")

	var cents, number atomic.Int64
	together(500, func(i int) {
		n := 1 + rand.Int64N(700)
		sum := fmt.Sprintf("%d.%02d USD", n/100, n%100)
		if _, err := replicas[i%2].as(alice).Transfer(t.Context(), transfer(fmt.Sprint(i), sum, byID(bob))); err == nil {
			cents.Add(n)
			number.Add(1)
			return
		} else if got := moneytest.ReadRefusal(t, err).Reason; got != "LIMIT_EXCEEDED" && got != "RECIPIENT_LIMIT_EXCEEDED" {
			t.Errorf("call %d: %v", i, err)
		}
	})
	total := ledger.NewAmount(cents.Load())
	if cents.Load() > 10000 || number.Load() > 40 {
		t.Errorf("%d payments moved %s USD past the limits", number.Load(), total.Decimal(2))
	}
	left := ledger.NewAmount(10000 - cents.Load())
	wantUsage(t, replicas[1].as(alice), out, fmt.Sprintf("%s of 100.00, %s left", total.Decimal(2), left.Decimal(2)))
	wantUsage(t, replicas[1].as(bob), in, fmt.Sprintf("%d of 40, %d left", number.Load(), 40-number.Load()))
	wantBalance(t, books, bob, total.Decimal(2)+" USD")
}

func TestALimitHoldsWhileMoneyIsGivenBack(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "2000.00 USD")
	day := limit(t, replicas[0], scopeOf(alice)+" outgoing amount day UTC 1000")
	times := limit(t, replicas[0], scopeOf(alice)+" outgoing count day UTC 1000")

	var kept atomic.Int64
	together(40, func(i int) {
		for j := range 5 {
			key := fmt.Sprintf("%d-%d", i, j)
			res, err := replicas[i%2].as(alice).Transfer(t.Context(), transfer(key, "1 USD", byID(bob)))
			if err != nil {
				moneytest.WantNothingMoved(t, err, "LIMIT_EXCEEDED")
				continue
			}
			if j%2 == 0 {
				mustGiveBack(t, replicas[j/2%2].as(bob), giveBack(key, res.GetTransaction().GetTransactionId(), ""))
				continue
			}
			kept.Add(1)
		}
	})
	if kept.Load() > 10 {
		t.Errorf("%d payments of 1 USD were kept within 10 USD", kept.Load())
	}
	wantUsage(t, replicas[0].as(alice), day, fmt.Sprintf("%d.00 of 10.00, %d.00 left", kept.Load(), 10-kept.Load()))
	wantUsage(t, replicas[0].as(alice), times, fmt.Sprintf("%d of 1000, %d left", kept.Load(), 1000-kept.Load()))
	wantBalance(t, books, bob, fmt.Sprintf("%d.00 USD", kept.Load()))
}

func TestALoweredLimitHoldsOnBothReplicasAtOnce(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "2000.00 USD")
	limit(t, replicas[0], scopeOf(alice)+" outgoing amount lifetime UTC 100000")
	for i, r := range replicas {
		mustPay(t, r.as(alice), transfer(fmt.Sprint(i), "1 USD", byID(bob)))
	}
	rule := limit(t, replicas[0], scopeOf(alice)+" outgoing amount lifetime UTC 150")
	for i, r := range replicas {
		_, err := r.as(alice).Transfer(t.Context(), transfer(fmt.Sprint("more", i), "1 USD", byID(bob)))
		if got := moneytest.WantNothingMoved(t, err, "LIMIT_EXCEEDED").Metadata; got["used"] != "2.00" || got["remaining"] != "0.00" {
			t.Errorf("the refusal says %v", got)
		}
	}
	err := replicas[1].Store.InTx(t.Context(), func(ctx context.Context, _ *store.Queries, tx pgx.Tx) error {
		_, err := ledger.DeleteRule(ctx, tx, rule.ID)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range replicas {
		mustPay(t, r.as(alice), transfer(fmt.Sprint("free", i), "1 USD", byID(bob)))
	}
}
