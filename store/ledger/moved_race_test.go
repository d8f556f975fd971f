package ledger_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store/ledger"
)

// setRule sets a limit for everyone in yen.
func (b *books) setRule(m ledger.Measure, d ledger.Direction, p ledger.Period, maximum int64) ledger.Rule {
	b.t.Helper()
	return b.setRuleFor(ledger.ScopeEveryone, m, d, p, maximum)
}

func (b *books) setRuleFor(scope string, m ledger.Measure, d ledger.Direction, p ledger.Period, maximum int64) ledger.Rule {
	b.t.Helper()
	rule := ledger.Rule{
		Scope: scope, Asset: jpy, Measure: m, Direction: d, Period: p, Zone: "UTC", Maximum: ledger.NewAmount(maximum),
	}
	var after ledger.Rule
	err := pgx.BeginFunc(ctx, b.stores[0].Pool, func(tx pgx.Tx) (err error) {
		_, after, err = ledger.SetRule(ctx, tx, rule)
		return err
	})
	if err != nil {
		b.t.Fatalf("setting a limit: %v", err)
	}
	return after
}

func identity(key string) ledger.Identity {
	return ledger.Identity{Key: ledger.NewKey("test", key), Fingerprint: ledger.Fingerprint(key)}
}

func (b *books) hold(account ledger.AccountID, amount int64, excess int, life time.Duration) ledger.Hold {
	b.t.Helper()
	result, err := b.tryHold(account, amount, excess, life)
	for errors.Is(err, ledger.ErrExpireTime) { // the machine took longer than that to make it
		life *= 2
		result, err = b.tryHold(account, amount, excess, life)
	}
	if err != nil {
		b.t.Fatalf("holding %d: %v", amount, err)
	}
	return result.Hold
}

func (b *books) tryHold(account ledger.AccountID, amount int64, excess int, life time.Duration) (ledger.Result, error) {
	return b.ledgers[0].CreateHold(ctx, identity(fmt.Sprint("hold ", b.keys.Add(1))), ledger.NewHold{
		Account: account, Amount: ledger.NewAmount(amount), ExcessBPS: excess, ExpireTime: time.Now().Add(life),
	})
}

func captureOf(h ledger.Hold, to ledger.AccountID, amount int64, final bool) ledger.Capture {
	return ledger.Capture{Hold: h.ID, Credits: []ledger.Posting{{Account: to, Amount: ledger.NewAmount(amount)}}, Final: final}
}

// tally runs n calls at once, on each of two ledgers in turn, and counts those
// that did something. The others must fail with one of the errors.
func (b *books) tally(n int, do func(l *ledger.Ledger, i int) error, may ...error) (done int) {
	b.t.Helper()
	errs := make([]error, n)
	atOnce(n, func(i int) { errs[i] = do(b.ledgers[i%len(b.ledgers)], i) })
	for i, err := range errs {
		known := err == nil
		for _, want := range may {
			known = known || errors.Is(err, want)
		}
		if err == nil {
			done++
		}
		if !known {
			b.t.Errorf("call %d: %v", i, err)
		}
	}
	return done
}

func TestParallelPaymentsReachALimitAndNeverPassIt(t *testing.T) {
	b := newBooks(t, 2, ledger.Config{Committers: 2, MaxBatch: 32})
	from, to := b.account("user/1/main", jpy, 100_000), b.account("user/2/main", jpy, 0)
	b.setRule(ledger.MeasureAmount, ledger.Outgoing, ledger.PerDay, 700)
	done := b.tally(500, func(l *ledger.Ledger, i int) error {
		c := transfer(fmt.Sprint("race ", i), from, to, 7)
		c.Counted = true
		_, err := l.Commit(ctx, c)
		return err
	}, ledger.ErrLimitExceeded)
	if done != 100 || b.balance("user/2/main") != 700 {
		t.Errorf("%d payments moved %d, the limit is 700", done, b.balance("user/2/main"))
	}
	usage, err := b.ledgers[1].Usage(ctx, "user/1/main", jpy)
	if err != nil || len(usage) == 0 || usage[0].Used != ledger.NewAmount(700) || !usage[0].Remaining.IsZero() {
		t.Errorf("the usage is %+v, %v", usage, err)
	}
}

func TestParallelCapturesNeverTakeMoreThanTheHold(t *testing.T) {
	b := newBooks(t, 2, ledger.Config{Committers: 2, MaxBatch: 8})
	from, to := b.account("user/1/main", jpy, 1000), b.account("user/2/main", jpy, 0)
	h := b.hold(from, 200, 1000, time.Hour) // 220 at most
	done := b.tally(50, func(l *ledger.Ledger, i int) error {
		_, err := l.CaptureHold(ctx, identity(fmt.Sprint("capture ", i)), captureOf(h, to, 11, false))
		return err
	}, ledger.ErrHoldExceeded, ledger.ErrHoldClosed)
	if done != 20 || b.balance("user/2/main") != 220 || !b.read("user/1/main").Held.IsZero() {
		t.Errorf("%d captures took %d of at most 220", done, b.balance("user/2/main"))
	}
}

func TestAHoldEndsInOneWay(t *testing.T) {
	b := newBooks(t, 2, ledger.Config{ExpireInterval: 5 * time.Millisecond})
	from, to := b.account("user/1/main", jpy, 1000), b.account("user/2/main", jpy, 0)
	for round := range 15 {
		h := b.hold(from, 20, 0, 25*time.Millisecond)
		time.Sleep(time.Until(h.ExpireTime) - time.Duration(round)*time.Millisecond)
		done := b.tally(6, func(l *ledger.Ledger, i int) (err error) {
			who := identity(fmt.Sprint("end ", round, i))
			if i < 4 {
				_, err = l.CaptureHold(ctx, who, captureOf(h, to, 20, true))
			} else {
				_, err = l.VoidHold(ctx, who, h.ID)
			}
			return err
		}, ledger.ErrHoldExpired, ledger.ErrHoldClosed)
		waitFor(t, "the hold to end", func() bool {
			got, err := b.ledgers[0].Hold(ctx, h.ID)
			return err == nil && got.State != ledger.HoldOpen
		})
		got, _ := b.ledgers[1].Hold(ctx, h.ID)
		if done > 1 || (done == 0) != (got.State == ledger.HoldExpired) {
			t.Errorf("%d ended a hold that is in state %d", done, got.State)
		}
		if n := b.count(`SELECT count(*) FROM hold_operations WHERE hold_id = $1`, h.ID); n != 2 {
			t.Errorf("%d operations made and ended a hold", n)
		}
	}
}

func TestParallelRefundsNeverGiveBackMoreThanWasPaid(t *testing.T) {
	b := newBooks(t, 2, ledger.Config{Committers: 2, MaxBatch: 8})
	from, to := b.account("user/1/main", jpy, 1000), b.account("user/2/main", jpy, 1000)
	original := b.pay(from, to, 100)
	done := b.tally(50, func(l *ledger.Ledger, i int) error {
		_, err := l.Refund(ctx, identity(fmt.Sprint("refund ", i)), ledger.Refund{
			Original: original.ID, Amount: ledger.NewAmount(9), Kind: ledger.KindRefund,
		})
		return err
	}, ledger.ErrRefundExceeded)
	states, err := b.ledgers[0].RefundStates(ctx, []uuid.UUID{original.ID})
	if done != 11 || err != nil || len(states[original.ID].Refunds) != 11 || b.balance("user/1/main") != 999 {
		t.Errorf("%d refunds of 9 gave 100 back: %+v, %v", done, states, err)
	}
}

func TestASubjectIsResolvedOnceByCommandsOnDifferentAccounts(t *testing.T) {
	b := newBooks(t, 2, ledger.Config{Committers: 2, MaxBatch: 4})
	to := b.account("user/to/main", jpy, 0)
	subject := uuid.New()
	payers := make([]ledger.AccountID, 50)
	for i := range payers {
		payers[i] = b.account(fmt.Sprintf("user/%d/main", i), jpy, 10)
	}
	done := b.tally(len(payers), func(l *ledger.Ledger, i int) error {
		c := transfer(fmt.Sprint("resolve ", i), payers[i], to, 10)
		pay := c.Decide
		c.Subjects = []uuid.UUID{subject}
		c.Decide = func(v ledger.View) (ledger.Draft, error) {
			d, err := pay(v)
			d.Outcome = 1
			return d, err
		}
		_, err := l.Commit(ctx, c)
		return err
	}, ledger.ErrResolved)
	if done != 1 || b.balance("user/to/main") != 10 {
		t.Errorf("resolved %d times, for %d", done, b.balance("user/to/main"))
	}
}

func TestADebtIsRepaidFirstUnderRacingCredits(t *testing.T) {
	b := newBooks(t, 2, ledger.Config{Committers: 2, MaxBatch: 8})
	from, to := b.account("user/1/main", jpy, 1000), b.account("user/2/main", jpy, 0)
	original := b.pay(from, to, 100)
	b.pay(to, b.outside(jpy), 100)
	if _, err := b.ledgers[0].Refund(ctx, identity("owe"), ledger.Refund{
		Original: original.ID, Kind: ledger.KindReversal, Receivable: true,
	}); err != nil {
		t.Fatal(err)
	}
	debt := ledger.ReceivableCode("2", "JPY")
	if b.balance(debt) != -100 {
		t.Errorf("owes %d", b.balance(debt))
	}
	b.tally(50, func(l *ledger.Ledger, i int) error {
		_, err := l.Commit(ctx, transfer(fmt.Sprint("credit ", i), from, to, 3))
		return err
	})
	if b.balance(debt) != 0 || b.balance("user/2/main") != 50 {
		t.Errorf("of 150 that came in %d are left, and %d owed", b.balance("user/2/main"), b.balance(debt))
	}
}

func TestARuleIsKeptByAllThatBeginsAfterIt(t *testing.T) {
	b := newBooks(t, 2, ledger.Config{})
	from, to := b.account("user/1/main", jpy, 1000), b.account("user/2/main", jpy, 0)
	for round := range 10 {
		rule := b.setRule(ledger.MeasureAmount, ledger.Outgoing, ledger.PerTransaction, 5)
		for i, l := range b.ledgers {
			c := transfer(fmt.Sprint("over ", round, i), from, to, 6)
			c.Counted = true
			if _, err := l.Commit(ctx, c); !errors.Is(err, ledger.ErrLimitExceeded) {
				t.Errorf("ledger %d with the limit: %v", i, err)
			}
		}
		err := pgx.BeginFunc(ctx, b.stores[1].Pool, func(tx pgx.Tx) error {
			_, err := ledger.DeleteRule(ctx, tx, rule.ID)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, l := range b.ledgers {
			c := transfer(fmt.Sprint("free ", round, i), from, to, 6)
			c.Counted = true
			if _, err := l.Commit(ctx, c); err != nil {
				t.Errorf("ledger %d without it: %v", i, err)
			}
		}
	}
}

func TestRulesWithoutSenseAreRefused(t *testing.T) {
	b := newBooks(t, 1, ledger.Config{})
	good := ledger.Rule{
		Scope: ledger.ScopeEveryone, Asset: jpy, Measure: ledger.MeasureAmount, Direction: ledger.Outgoing,
		Period: ledger.PerDay, Zone: "UTC", Maximum: ledger.NewAmount(1),
	}
	for name, spoil := range map[string]func(*ledger.Rule){
		"no zone":                  func(r *ledger.Rule) { r.Zone = "" },
		"the machine's zone":       func(r *ledger.Rule) { r.Zone = "Local" },
		"an unknown zone":          func(r *ledger.Rule) { r.Zone = "Mars/Base" },
		"a lifetime in a zone":     func(r *ledger.Rule) { r.Period, r.Zone = ledger.PerLifetime, "Asia/Tokyo" },
		"a balance going out":      func(r *ledger.Rule) { r.Measure = ledger.MeasureBalance },
		"a number per transaction": func(r *ledger.Rule) { r.Measure, r.Period = ledger.MeasureCount, ledger.PerTransaction },
		"a maximum below zero":     func(r *ledger.Rule) { r.Maximum = ledger.NewAmount(-1) },
		"no measure":               func(r *ledger.Rule) { r.Measure = "weight" },
		"no direction":             func(r *ledger.Rule) { r.Direction = "up" },
		"no period":                func(r *ledger.Rule) { r.Period = "year" },
	} {
		r := good
		spoil(&r)
		err := pgx.BeginFunc(ctx, b.stores[0].Pool, func(tx pgx.Tx) error {
			_, _, err := ledger.SetRule(ctx, tx, r)
			return err
		})
		if !errors.Is(err, ledger.ErrRuleInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReplaysOfHoldsShowThemAsTheyWereThen(t *testing.T) {
	b := newBooks(t, 2, ledger.Config{})
	from, to := b.account("user/1/main", jpy, 1000), b.account("user/2/main", jpy, 0)
	l := b.ledgers[0]
	expire := time.Now().Add(time.Hour)
	create := func(l *ledger.Ledger) (ledger.Result, error) {
		return l.CreateHold(ctx, identity("create"), ledger.NewHold{Account: from, Amount: ledger.NewAmount(50), ExpireTime: expire})
	}
	first, err := create(l)
	if err != nil {
		t.Fatal(err)
	}
	steps := []func(*ledger.Ledger) (ledger.Result, error){
		create,
		func(l *ledger.Ledger) (ledger.Result, error) {
			return l.IncreaseHold(ctx, identity("increase"), first.Hold.ID, ledger.NewAmount(20))
		},
		func(l *ledger.Ledger) (ledger.Result, error) {
			return l.CaptureHold(ctx, identity("capture"), captureOf(first.Hold, to, 30, false))
		},
		func(l *ledger.Ledger) (ledger.Result, error) { return l.VoidHold(ctx, identity("void"), first.Hold.ID) },
	}
	results := []ledger.Result{first}
	for _, step := range steps[1:] {
		r, err := step(l)
		if err != nil || r.Replayed {
			t.Fatalf("%+v, %v", r, err)
		}
		results = append(results, r)
	}
	for i, step := range steps {
		again, err := step(b.ledgers[1])
		was := results[i].Hold
		if err != nil || !again.Replayed || again.Hold.Amount != was.Amount || again.Hold.Captured != was.Captured ||
			again.Hold.State != was.State || !again.Hold.CloseTime.Equal(was.CloseTime) || again.Transaction.ID != results[i].Transaction.ID {
			t.Errorf("step %d again: %+v, %v; it was %+v", i, again, err, results[i])
		}
	}
}
