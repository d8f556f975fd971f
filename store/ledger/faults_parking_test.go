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

func (c *town) grip(people ...int) grip {
	c.t.Helper()
	var accounts []ledger.AccountID
	for _, i := range people {
		accounts = append(accounts, c.people[i].id)
	}
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

// waitParked returns when so many commands are parked, all that there were: the
// one committer has then gone on to another one.
func (c *town) waitParked(n int64) {
	c.t.Helper()
	waitFor(c.t, "the committer to take them", func() bool { return c.ledger().Stats().Calls == n })
	if err := c.do(c.between(4, 5, 1)); err != nil {
		c.t.Fatal(err)
	}
}

func TestALedgerThatIsClosingSettlesWhatIsParked(t *testing.T) {
	t.Parallel()
	c := newTown(t, patient)
	other := c.join(patient, store.Config{})
	first, second := c.grip(0, 1), c.grip(2, 3)
	d, rival := c.between(0, 1, 5), c.between(6, 7, 5)
	gate, again := c.rival(rival, 2, 3)
	done := commit(ctx, c.ledger(), d.command)
	waitFor(t, "the first to be taken", func() bool { return c.ledger().Stats().Calls == 1 })
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
	payer, payee := c.people[from].id, c.people[to].id
	command.Accounts = []ledger.AccountID{payer, payee}
	command.Decide = ledger.Transfer(payer, payee, ledger.NewAmount(d.errands[0].amount), "")
	return gated(&command), command
}

// The key is executed on other accounts after the parked command looked for it
// and before it inserts it.
func TestAParkedCommandWhoseKeyIsUsedMeanwhileIsAReplay(t *testing.T) {
	t.Parallel()
	c := newTown(t, patient)
	held := c.grip(2, 3)
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
	if a := <-done; a.err != nil || !a.Replayed || a.Transaction.ID != d.errands[0].told.transaction {
		t.Errorf("the parked payment ended as %+v, not as a replay of %+v", a, *d.errands[0])
	}
	c.check()
}

func TestACommandWhoseAccountsStayLockedIsCertainlyNotExecuted(t *testing.T) {
	t.Parallel()
	c := newTown(t, impatient)
	held := c.grip(0)
	if err := c.do(c.between(0, 1, 5)); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("a payment from a locked account ended as %v", err)
	}
	if err := c.do(c.between(2, 3, 5)); err != nil {
		t.Errorf("a payment between others ended as %v", err)
	}
	held.letGo(t)
	c.check()
}
