package ledger_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	"github.com/tillbook/tillbook/server/money/moneytest"
)

func TestARepeatedOperationOnAHoldAnswersAsTheFirstTime(t *testing.T) {
	books := moneytest.New(t)
	first, second := serve(t, books), serve(t, books)
	operator := newOperator()
	alice := books.User(t, "alice")
	books.Fund(t, alice, "20.00 USD")

	create := holdOf("h", alice, "5")
	hold := mustHold(t, first.as(operator), create)
	increase := &ledgerv1.IncreaseHoldRequest{IdempotencyKey: "i", HoldId: hold.GetHoldId(), Amount: usd("2")}
	capture := captureOf("c", hold, false, "external/a/USD 1 USD", "external/b/USD 2 USD")
	void := &ledgerv1.VoidHoldRequest{IdempotencyKey: "v", HoldId: hold.GetHoldId()}
	run := func(r replica) (answers []proto.Message) {
		t.Helper()
		c := r.as(operator)
		created, err := c.CreateHold(t.Context(), create)
		if err != nil {
			t.Fatal(err)
		}
		increased, err := c.IncreaseHold(t.Context(), increase)
		if err != nil {
			t.Fatal(err)
		}
		captured, err := c.CaptureHold(t.Context(), capture)
		if err != nil {
			t.Fatal(err)
		}
		voided, err := c.VoidHold(t.Context(), void)
		if err != nil {
			t.Fatal(err)
		}
		return []proto.Message{created, increased, captured, voided}
	}
	want := run(first)
	for _, r := range []replica{first, second} {
		for i, answer := range run(r) {
			if !proto.Equal(answer, want[i]) {
				t.Errorf("answer %d is\n%v, want\n%v", i, answer, want[i])
			}
		}
	}
	again := captureOf("c", hold, false, "external/b/USD 2 USD", "external/a/USD 1 USD")
	if answer := mustCapture(t, second.as(operator), again); !proto.Equal(answer, want[2]) {
		t.Errorf("in another order it answers %v", answer)
	}
	wantAvailable(t, first.as(operator), alice.Account("USD"), "17.00", "17.00")
}

func TestAKeyOfAHoldStandsForOneRequest(t *testing.T) {
	books := moneytest.New(t)
	c := serve(t, books).as(newOperator())
	alice := books.User(t, "alice")
	books.Fund(t, alice, "20.00 USD")
	hold := mustHold(t, c, holdOf("h", alice, "5"))
	mustPost(t, c, post("p", "r", "external/x/USD -1 USD", "system/x/USD 1 USD"))
	mustCapture(t, c, captureOf("c", hold, false, "external/a/USD 1 USD"))

	changed := map[string]func(*ledgerv1.CreateHoldRequest){
		"another amount":    func(r *ledgerv1.CreateHoldRequest) { r.Amount = usd("6") },
		"another excess":    func(r *ledgerv1.CreateHoldRequest) { r.ExcessBasisPoints = 1 },
		"another reference": func(r *ledgerv1.CreateHoldRequest) { r.Reference = "x" },
		"another expiry":    func(r *ledgerv1.CreateHoldRequest) { r.ExpireTime = timestamppb.New(time.Now().Add(time.Hour)) },
		"a posting's key":   func(r *ledgerv1.CreateHoldRequest) { r.IdempotencyKey = "p" },
		"a capture's key":   func(r *ledgerv1.CreateHoldRequest) { r.IdempotencyKey = "c" },
	}
	for name, change := range changed {
		t.Run(name, func(t *testing.T) {
			req := holdOf("h", alice, "5")
			change(req)
			_, err := c.CreateHold(t.Context(), req)
			moneytest.WantNothingMoved(t, err, "IDEMPOTENCY_KEY_REUSED")
		})
	}
	_, err := c.IncreaseHold(t.Context(), &ledgerv1.IncreaseHoldRequest{IdempotencyKey: "h", HoldId: hold.GetHoldId(), Amount: usd("1")})
	moneytest.WantNothingMoved(t, err, "IDEMPOTENCY_KEY_REUSED")
	_, err = c.VoidHold(t.Context(), &ledgerv1.VoidHoldRequest{IdempotencyKey: "p", HoldId: hold.GetHoldId()})
	moneytest.WantNothingMoved(t, err, "IDEMPOTENCY_KEY_REUSED")
	_, err = c.CaptureHold(t.Context(), captureOf("c", hold, true, "external/a/USD 1 USD"))
	moneytest.WantNothingMoved(t, err, "IDEMPOTENCY_KEY_REUSED")
	_, err = c.CaptureHold(t.Context(), captureOf("h", hold, false, "external/a/USD 1 USD"))
	moneytest.WantNothingMoved(t, err, "IDEMPOTENCY_KEY_REUSED")
	wantSum(t, getHold(t, c, hold.GetHoldId()), "1.00 of 5.00 captured, 4.00 remains, OPEN")
}

func TestRacingCapturesNeverExceedTheHold(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	alice := books.User(t, "alice")
	books.Fund(t, alice, "100.00 USD")
	req := holdOf("h", alice, "20")
	req.ExcessBasisPoints = 1000 // so that 22 captures of one fit
	hold := mustHold(t, replicas[0].as(newOperator()), req)
	var captured atomic.Int32
	var done sync.WaitGroup
	for i := range 50 {
		done.Go(func() {
			_, err := replicas[i%2].as(newOperator()).CaptureHold(t.Context(), captureOf("k", hold, false, fmt.Sprintf("external/s%d/USD 1 USD", i%3)))
			if err == nil {
				captured.Add(1)
				return
			}
			if got := moneytest.ReadRefusal(t, err).Reason; got != "HOLD_EXCEEDED" && got != "HOLD_CLOSED" {
				t.Errorf("capture %d: %v", i, err)
			}
		})
	}
	done.Wait()
	if n := captured.Load(); n != 22 {
		t.Errorf("%d captures were executed, want 22", n)
	}
	c := replicas[1].as(newOperator())
	wantSum(t, getHold(t, c, hold.GetHoldId()), "22.00 of 20.00 captured, 0.00 remains, CAPTURED")
	wantAvailable(t, c, alice.Account("USD"), "78.00", "78.00")
}

func TestCaptureVoidAndExpiryHaveOneWinner(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	alice := books.User(t, "alice")
	const rounds = 30
	books.Fund(t, alice, "100.00 USD")
	expiry := time.Now().Add(3 * time.Second)
	holds := make([]*ledgerv1.Hold, rounds)
	var done sync.WaitGroup
	for i := range holds { // at once, or a busy machine isn't done before they expire
		done.Go(func() {
			req := holdOf(fmt.Sprint("h", i), alice, "1")
			req.ExpireTime = timestamppb.New(expiry)
			res, err := replicas[i%2].as(newOperator()).CreateHold(t.Context(), req)
			if err != nil {
				t.Errorf("hold %d: %v", i, err)
			}
			holds[i] = res.GetHold()
		})
	}
	if done.Wait(); t.Failed() {
		return
	}
	// Calls come around the moment at which all expire.
	var captures, voids [rounds]atomic.Bool
	for i, hold := range holds {
		try := func(r replica, won *atomic.Bool, call func(ctx context.Context, r replica) error) {
			time.Sleep(time.Until(expiry.Add(time.Duration(i-rounds/2) * 4 * time.Millisecond)))
			switch err := call(t.Context(), r); {
			case err == nil:
				won.Store(true)
			default:
				if got := moneytest.WantNothingMoved(t, err, moneytest.ReadRefusal(t, err).Reason).Reason; got != "HOLD_EXPIRED" && got != "HOLD_CLOSED" {
					t.Errorf("hold %d: %v", i, err)
				}
			}
		}
		done.Go(func() {
			try(replicas[0], &captures[i], func(ctx context.Context, r replica) error {
				_, err := r.as(newOperator()).CaptureHold(ctx, captureOf("c", hold, true, "external/s/USD 1 USD"))
				return err
			})
		})
		done.Go(func() {
			try(replicas[1], &voids[i], func(ctx context.Context, r replica) error {
				_, err := r.as(newOperator()).VoidHold(ctx, &ledgerv1.VoidHoldRequest{IdempotencyKey: "v", HoldId: hold.GetHoldId()})
				return err
			})
		})
	}
	done.Wait()
	c := replicas[0].as(newOperator())
	won := map[ledgerv1.HoldState]int{}
	for i, hold := range holds {
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			if hold = getHold(t, c, hold.GetHoldId()); hold.GetState() != ledgerv1.HoldState_HOLD_STATE_OPEN {
				break
			}
		}
		state := hold.GetState()
		won[state]++
		if captures[i].Load() != (state == ledgerv1.HoldState_HOLD_STATE_CAPTURED) || voids[i].Load() != (state == ledgerv1.HoldState_HOLD_STATE_VOIDED) {
			t.Errorf("hold %d is %v; the capture won: %t, the void: %t", i, state, captures[i].Load(), voids[i].Load())
		}
	}
	t.Logf("winners: %v", won)
	rest := fmt.Sprintf("%d.00", 100-won[ledgerv1.HoldState_HOLD_STATE_CAPTURED])
	wantAvailable(t, c, alice.Account("USD"), rest, rest)
}
