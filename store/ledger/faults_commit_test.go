package ledger_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tillbook/tillbook/store/ledger"
)

// patient waits longer for a database in trouble than any test makes it wait.
var patient = ledger.Config{Patience: 20 * time.Second}

// impatient gives up soon.
var impatient = ledger.Config{Patience: time.Second}

const (
	fromLedger   = true
	fromPostgres = false
)

func TestALostAnswerToACommitIsFoundOut(t *testing.T) {
	t.Parallel()
	c := newTown(t, patient)
	lost := c.wire.once(fromPostgres, "COMMIT", fate{kind: cut})
	d := c.deed(5)
	result, err := c.ledger().Commit(ctx, d.command)
	if err != nil {
		t.Fatalf("the payment failed: %v", err)
	}
	<-lost
	if result.Replayed {
		t.Error("the payment's own lost commit counts as another's")
	}
	c.noteExecuted(d, result)
	if n := c.ledger().Stats().Lost; n != 1 {
		t.Errorf("%d commits were lost, not 1", n)
	}
	c.check()
}

func TestACommitThatNeverArrivedIsMadeAgain(t *testing.T) {
	t.Parallel()
	c := newTown(t, patient)
	lost := c.wire.once(fromLedger, "COMMIT", fate{kind: cut})
	if err := c.do(c.deed(5)); err != nil {
		t.Fatalf("the payment failed: %v", err)
	}
	<-lost
	c.check()
}

func TestAnExecutedCommandWhoseAnswerStaysLostIsUnknownAndFoundLater(t *testing.T) {
	t.Parallel()
	c := newTown(t, impatient)
	c.wire.once(fromPostgres, "COMMIT", fate{kind: cut, unplug: true})
	d := c.deed(5)
	if err := c.do(d); !errors.Is(err, ledger.ErrOutcomeUnknown) {
		t.Fatalf("the payment ended as %v, not as unknown", err)
	}
	if len(c.readBooks()) != int(c.paid)+1 {
		t.Fatal("the payment should be in the books")
	}
	c.wire.plug()
	c.check()
	if c.resolved != 1 {
		t.Error("asking again did not show that the payment had been executed")
	}
}

func TestACommandWhoseCommitNeverArrivedIsUnknownAndExecutedLater(t *testing.T) {
	t.Parallel()
	c := newTown(t, impatient)
	c.wire.once(fromLedger, "COMMIT", fate{kind: cut, unplug: true})
	d := c.deed(5)
	if err := c.do(d); !errors.Is(err, ledger.ErrOutcomeUnknown) {
		t.Fatalf("the payment ended as %v, not as unknown", err)
	}
	if len(c.readBooks()) != int(c.paid) {
		t.Fatal("the payment should not be in the books")
	}
	c.wire.plug()
	c.check()
	if c.resolved != 0 || d.refused {
		t.Errorf("asking again should have executed the payment: %+v", d)
	}
}

func TestACommandThatWasNeverSentIsCertainlyNotExecuted(t *testing.T) {
	t.Parallel()
	c := newTown(t, impatient)
	c.wire.once(fromLedger, "SELECT key_hash", fate{kind: cut, unplug: true})
	d := c.deed(5)
	if err := c.do(d); !errors.Is(err, ledger.ErrUnavailable) {
		t.Fatalf("the payment ended as %v, not as unavailable", err)
	}
	c.wire.plug()
	c.check()
}

// PostgreSQL may report an error right behind a COMMIT that it has executed: a
// cancellation that came too late strikes when the statement is logged.
func TestAnErrorBehindACommitDoesNotUndoIt(t *testing.T) {
	t.Parallel()
	c := newTown(t, impatient)
	c.wire.obey(func(e event) fate {
		switch {
		case e == event{text: "COMMIT"}:
			return fate{inject: errorResponse("ERROR", "57014", "canceling statement due to user request")}
		case e.upstream && e.text == `BEGIN ISOLATION LEVEL READ COMMITTED` && c.ledger().Stats().Retries != nil:
			return fate{kind: cut, unplug: true}
		}
		return fate{}
	})
	if err := c.do(c.deed(5)); err != nil && !errors.Is(err, ledger.ErrOutcomeUnknown) {
		t.Errorf("the payment was executed, its caller got %v", err)
	}
	c.wire.obey(nil)
	c.wire.plug()
	c.check()
}

// What a ledger can't know while its database is away is what an earlier
// command with the same key did. It must not call that a refusal.
func TestAReplayWhileTheDatabaseIsAwayIsAnsweredAfterwards(t *testing.T) {
	t.Parallel()
	c := newTown(t, impatient)
	d := c.deed(5)
	if err := c.do(d); err != nil {
		t.Fatal(err)
	}
	c.wire.unplug()
	if err := c.do(d); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("asking again without a database ended as %v", err)
	}
	c.wire.plug()
	if err := c.untilDefinite(d); err != nil || c.replays != 1 {
		t.Errorf("asking again was not answered with the first result: %v", err)
	}
	c.check()
}

func TestLostAnswersUnderLoadLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	c := newTown(t, patient)
	c.wire.obey(func(e event) fate {
		if e.text == "COMMIT" && rand.N(6) == 0 {
			return fate{kind: cut} // one way or the other
		}
		return fate{}
	})
	c.payFor(2 * time.Second)
	c.wire.obey(nil)
	if c.ledger().Stats().Lost == 0 {
		t.Error("no commit was lost")
	}
	c.check()
}

func TestConnectionsThatBreakAtAnyByteLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	c := newTown(t, ledger.Config{Patience: 2 * time.Second, Committers: 2})
	c.wire.fray(func() int { return rand.N(25_000) })
	c.wire.unplug() // the connections of before don't break by themselves
	c.wire.plug()
	c.payFor(3 * time.Second)
	c.wire.fray(nil)
	c.check()
}
