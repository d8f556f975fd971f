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
	deeds := c.ofEachKind()
	for _, d := range deeds {
		lost := c.wire.once(fromPostgres, "COMMIT", fate{kind: cut})
		c.must(d)
		<-lost
	}
	if c.replays != 0 {
		t.Errorf("%d commands' own lost commit counts as another's", c.replays)
	}
	if n := c.ledger().Stats().Lost; n != int64(len(deeds)) {
		t.Errorf("%d commits were lost, not %d", n, len(deeds))
	}
	c.check()
}

func TestACommitThatNeverArrivedIsMadeAgain(t *testing.T) {
	t.Parallel()
	c := newTown(t, patient)
	for _, d := range c.ofEachKind() {
		lost := c.wire.once(fromLedger, "COMMIT", fate{kind: cut})
		c.must(d)
		<-lost
	}
	c.check()
}

// endAs does deeds in one batch, all of which must end in one way, while a message
// that passes next meets its fate.
func (c *town) endAs(want error, deeds []*deed, upstream bool, text string, f fate) {
	c.t.Helper()
	var struck <-chan struct{}
	errs := c.together(deeds, func() { struck = c.wire.once(upstream, text, f) })
	<-struck
	c.endedAs(want, deeds, errs)
}

func (c *town) endedAs(want error, deeds []*deed, errs []error) {
	c.t.Helper()
	for i, err := range errs {
		if !errors.Is(err, want) {
			c.t.Errorf("%+v ended as %v, not as %v", *deeds[i].errands[0], err, want)
		}
	}
}

// atOnce does deeds at once, in as many batches as that makes.
func (c *town) atOnce(deeds []*deed) []error {
	errs := make([]error, len(deeds))
	atOnce(len(deeds), func(i int) { errs[i] = c.do(deeds[i]) })
	return errs
}

func TestAnExecutedCommandWhoseAnswerStaysLostIsUnknownAndFoundLater(t *testing.T) {
	t.Parallel()
	c := newTown(t, impatient)
	deeds := c.ofEachKind()
	c.endAs(ledger.ErrOutcomeUnknown, deeds, fromPostgres, "COMMIT", fate{kind: cut, unplug: true})
	if n := c.inBooks(deeds); n != len(deeds)+2 {
		t.Fatalf("%d commands are in the books, it should be all of them", n)
	}
	c.wire.plug()
	c.check()
	if c.resolved != len(deeds) {
		t.Errorf("asking again showed that %d deeds had been executed, not %d", c.resolved, len(deeds))
	}
}

func TestACommandWhoseCommitNeverArrivedIsUnknownAndExecutedLater(t *testing.T) {
	t.Parallel()
	c := newTown(t, impatient)
	deeds := c.ofEachKind()
	c.endAs(ledger.ErrOutcomeUnknown, deeds, fromLedger, "COMMIT", fate{kind: cut, unplug: true})
	if n := c.inBooks(deeds); n != 0 {
		t.Fatalf("%d commands are in the books, it should be none of them", n)
	}
	c.wire.plug()
	c.check()
	for _, d := range deeds {
		if c.resolved != 0 || !d.executed {
			t.Errorf("asking again should have executed %+v", *d.errands[0])
		}
	}
}

func TestACommandThatWasNeverSentIsCertainlyNotExecuted(t *testing.T) {
	t.Parallel()
	c := newTown(t, impatient)
	deeds := c.ofEachKind()
	c.endAs(ledger.ErrUnavailable, deeds, fromLedger, "SELECT key_hash", fate{kind: cut, unplug: true})
	c.wire.plug()
	c.check()
}

// PostgreSQL may report an error right behind a COMMIT that it has executed: a
// cancellation that came too late strikes when the statement is logged.
func TestAnErrorBehindACommitDoesNotUndoIt(t *testing.T) {
	t.Parallel()
	c := newTown(t, impatient)
	deeds := c.ofEachKind()
	c.wire.obey(func(e event) fate {
		switch {
		case e == event{text: "COMMIT"}:
			return fate{inject: errorResponse("ERROR", "57014", "canceling statement due to user request")}
		case e.upstream && e.text == `BEGIN ISOLATION LEVEL READ COMMITTED` && c.ledger().Stats().Retries != nil:
			return fate{kind: cut, unplug: true}
		}
		return fate{}
	})
	for _, d := range deeds {
		if err := c.do(d); err != nil && !errors.Is(err, ledger.ErrOutcomeUnknown) {
			t.Errorf("%+v was executed, its caller got %v", *d.errands[0], err)
		}
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
	deeds := c.ofEachKind()
	for _, d := range deeds {
		c.prepare(d)
	}
	c.wire.unplug()
	c.endedAs(ledger.ErrUnavailable, deeds, c.atOnce(deeds))
	c.wire.plug()
	for _, d := range deeds {
		if err := c.untilDefinite(d); err != nil {
			t.Errorf("asking again for %+v was not answered with the first result: %v", *d.errands[0], err)
		}
	}
	c.check()
	if c.replays != len(deeds)+2 {
		t.Errorf("%d commands were answered with their first results, not %d", c.replays, len(deeds)+2)
	}
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
