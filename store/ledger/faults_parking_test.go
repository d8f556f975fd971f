package ledger_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
)

// grip locks accounts as a session does that fell silent, until let go.
type grip struct{ tx pgx.Tx }

func (c *town) grip(accounts ...ledger.AccountID) grip {
	c.t.Helper()
	tx, err := c.superuser().Begin(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, `SELECT FROM accounts WHERE id = ANY ($1) ORDER BY id FOR UPDATE`, accounts); err != nil {
		c.t.Fatal(err)
	}
	return grip{tx}
}

func (g grip) letGo(t *testing.T) {
	t.Helper()
	if err := g.tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
}

// between is a deed between two of the people.
func (c *town) between(from, to int, amount int64) *deed {
	d := c.deed(amount)
	d.from, d.to = c.people[from], c.people[to]
	d.command.Accounts = []ledger.AccountID{d.from, d.to}
	d.command.Decide = ledger.Transfer(d.from, d.to, ledger.NewAmount(amount), "")
	return d
}

// waitParked returns when so many commands are parked, all that there were: the
// one committer has then gone on to another one.
func (c *town) waitParked(n int64) {
	c.t.Helper()
	waitFor(c.t, "the committer to take them", func() bool { return c.ledger().Stats().Calls == c.paid+n })
	if err := c.do(c.between(4, 5, 1)); err != nil {
		c.t.Fatal(err)
	}
}

func TestALedgerThatIsClosingSettlesWhatIsParked(t *testing.T) {
	t.Parallel()
	c := newTown(t, patient)
	other := c.join(patient, store.Config{})
	first, second := c.grip(c.people[0], c.people[1]), c.grip(c.people[2], c.people[3])
	d, rival := c.between(0, 1, 5), c.between(6, 7, 5)
	gate, again := c.rival(rival, 2, 3)
	done := commit(ctx, c.ledger(), d.command)
	waitFor(t, "the first to be taken", func() bool { return c.ledger().Stats().Calls == c.paid+1 })
	rivalDone := commit(ctx, c.ledger(), again)
	c.waitParked(2)

	closed := make(chan struct{})
	go func() { c.ledger().Close(); close(closed) }()
	over, cancel := context.WithCancel(ctx)
	cancel()
	waitFor(t, "the ledger to be closing", func() bool {
		_, err := c.ledger().Commit(over, d.command)
		return errors.Is(err, ledger.ErrClosed)
	})
	time.Sleep(100 * time.Millisecond) // for Close to get past the committers
	second.letGo(t)
	<-gate.entered
	result, err := other.Commit(ctx, rival.command)
	if err != nil {
		t.Fatal(err)
	}
	c.noteExecuted(rival, result)
	close(gate.open) // PostgreSQL refuses what runs with the other one
	if a := <-rivalDone; a.err != nil || !a.Replayed {
		t.Errorf("a parked payment whose key was used ended as %v, replayed %t", a.err, a.Replayed)
	}
	first.letGo(t)
	a := <-done
	if a.err != nil {
		t.Fatalf("a parked payment ended as %v", a.err)
	}
	c.noteExecuted(d, a.Result)
	<-closed
	c.check()
}

// rival is the same request as a deed, on other accounts and with a gate.
func (c *town) rival(d *deed, from, to int) (*gate, ledger.Command) {
	command := d.command
	command.Accounts = []ledger.AccountID{c.people[from], c.people[to]}
	command.Decide = ledger.Transfer(c.people[from], c.people[to], ledger.NewAmount(d.amount), "")
	return gated(&command), command
}

// The key is executed on other accounts after the parked command looked for it
// and before it inserts it.
func TestAParkedCommandWhoseKeyIsUsedMeanwhileIsAReplay(t *testing.T) {
	t.Parallel()
	c := newTown(t, patient)
	held := c.grip(c.people[2], c.people[3])
	d := c.between(0, 1, 5)
	gate, rival := c.rival(d, 2, 3)
	done := commit(ctx, c.ledger(), rival)
	c.waitParked(1)

	held.letGo(t)
	<-gate.entered
	if err := c.do(d); err != nil {
		t.Fatal(err)
	}
	close(gate.open)
	if a := <-done; a.err != nil || !a.Replayed || a.Transaction.ID != d.id {
		t.Errorf("the parked payment ended as %+v, not as a replay of %s", a, d.id)
	}
	c.check()
}

func TestACommandWhoseAccountsStayLockedIsCertainlyNotExecuted(t *testing.T) {
	t.Parallel()
	c := newTown(t, impatient)
	held := c.grip(c.people[0])
	if err := c.do(c.between(0, 1, 5)); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("a payment from a locked account ended as %v", err)
	}
	if err := c.do(c.between(2, 3, 5)); err != nil {
		t.Errorf("a payment between others ended as %v", err)
	}
	held.letGo(t)
	c.check()
}
