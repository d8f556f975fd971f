package ledger_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
	"github.com/tillbook/tillbook/store/storetest"
)

func TestConnectionsCutInTheMiddleOfBatchesLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	c := newTown(t, patient)
	c.wire.obey(func(e event) fate {
		if e.upstream && rand.N(25) == 0 {
			return fate{kind: cut} // before any of a batch's statements
		}
		return fate{}
	})
	c.payFor(2 * time.Second)
	c.wire.obey(nil)
	if c.ledger().Stats().Retries["connection"] == 0 {
		t.Error("no connection was cut")
	}
	c.check()
}

// The old session holds its locks while the batch is run again.
func TestConnectionsThatFallSilentUnderLoadLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	c := newTown(t, ledger.Config{Patience: 2 * time.Second, Committers: 2})
	c.wire.keepalive = time.Second
	silenceOne := func() {
		at := []string{"BEGIN", "SELECT a.id", "INSERT INTO transactions", "UPDATE accounts", "COMMIT"}[rand.N(5)]
		c.wire.once(fromLedger, at, fate{kind: silence})
	}
	c.payFor(4500*time.Millisecond, silenceOne, c.wire.silenceAll)
	c.wire.obey(nil)
	c.check()
}

// The COMMIT is on its way all the time that the batch is tried again, and
// arrives in the end.
func TestACommitThatArrivesLateIsWaitedFor(t *testing.T) {
	t.Parallel()
	c := newTown(t, ledger.Config{Patience: 5 * time.Second})
	release := make(chan struct{})
	deeds := c.ofEachKind()
	done := make(chan []error)
	go func() {
		done <- c.together(deeds, func() { c.wire.once(fromLedger, "COMMIT", fate{kind: hold, release: release}) })
	}()
	waitFor(t, "the ledger to try again", func() bool { return c.ledger().Stats().Lost > 0 })

	if err := c.do(c.between(6, 7, 7)); err != nil {
		t.Errorf("a payment between others had to wait: %v", err)
	}
	close(release)
	c.endedAs(nil, deeds, <-done)
	if c.replays != 0 {
		t.Errorf("%d commands' own commit counts as another's", c.replays)
	}
	c.check()
}

func TestACommitThatArrivesAfterItsCallerLeftIsFoundByTheNext(t *testing.T) {
	t.Parallel()
	c := newTown(t, impatient)
	release := make(chan struct{})
	deeds := c.ofEachKind()
	c.endAs(ledger.ErrOutcomeUnknown, deeds, fromLedger, "COMMIT", fate{kind: hold, release: release})
	c.endedAs(ledger.ErrUnavailable, deeds, c.together(deeds, func() {})) // their accounts are locked
	close(release)
	c.check()
	if c.resolved != len(deeds) {
		t.Errorf("asking again showed that %d deeds had been executed, not %d", c.resolved, len(deeds))
	}
}

// PostgreSQL drops a session that opened a transaction and fell silent, so its
// locks don't outlast the callers' patience.
func TestASilentConnectionIsReplacedWithinTheCallersPatience(t *testing.T) {
	t.Parallel()
	c := newTown(t, ledger.Config{Patience: 4 * time.Second})
	for _, at := range []string{"BEGIN", "INSERT INTO transactions"} {
		c.endAs(nil, c.ofEachKind(), fromLedger, at, fate{kind: silence})
	}
	c.endAs(nil, c.ofEachKind(), fromPostgres, "COMMIT", fate{kind: silence})
	c.check()
}

// Whoever comes first after a pause finds connections that nobody knows to be
// dead.
func TestAConnectionThatFellSilentWhileIdleIsReplaced(t *testing.T) {
	t.Parallel()
	c := newTown(t, ledger.Config{Patience: 2 * time.Second, Committers: 3, MaxBatch: 1})
	var gates []*gate
	var done []<-chan answer
	for i := range 3 { // at once, each on a connection of its own
		tooMuch := c.between(2*i, 2*i+1, 1_000_000).command
		gates = append(gates, gated(&tooMuch))
		done = append(done, commit(ctx, c.ledger(), tooMuch))
		<-gates[i].entered
	}
	for i := range 3 {
		close(gates[i].open)
		if a := <-done[i]; !errors.Is(a.err, ledger.ErrInsufficientFunds) {
			t.Fatalf("a payment of too much ended as %v", a.err)
		}
	}
	time.Sleep(2 * time.Second) // one second is when a pool begins to doubt
	c.wire.silenceAll()
	if err := c.do(c.between(2, 3, 5)); err != nil {
		t.Errorf("the first payment after a pause ended as %v", err)
	}
	c.check()
}

func TestALedgerIsBackAsSoonAsTheNetworkIs(t *testing.T) {
	t.Parallel()
	c := newTown(t, ledger.Config{Patience: 2 * time.Second})
	c.wire.silenceEverything()
	for range 2 {
		if err := c.do(c.deed(5)); err == nil {
			t.Error("a payment succeeded without a network")
		}
	}
	c.wire.plug()
	if err := c.do(c.deed(5)); err != nil {
		t.Errorf("with the network back, a payment ended as %v", err)
	}
	c.check()
}

// throughSilence does deeds at once, while the first connection falls silent on
// which each of some statements is to be executed.
func (c *town) throughSilence(at []string, deeds ...*deed) {
	c.t.Helper()
	c.wire.obey(func(e event) fate {
		for i, text := range at {
			if e.upstream && strings.HasPrefix(strings.TrimSpace(e.text), text) {
				at = slices.Delete(at, i, i+1)
				return fate{kind: silence}
			}
		}
		return fate{}
	})
	c.endedAs(nil, deeds, c.atOnce(deeds))
	c.wire.obey(nil)
	if len(at) > 0 {
		c.t.Errorf("nobody executed %q", at)
	}
}

// The result of an earlier command is read on another connection, which may
// have fallen silent too.
func TestAReplayIsReadOnAnotherConnectionIfOneIsSilent(t *testing.T) {
	t.Parallel()
	c := newTown(t, ledger.Config{Patience: 2 * time.Second})
	paid, held := c.between(0, 1, 5), c.holding(c.people[0], 5, time.Hour)
	c.prepare(paid)
	c.prepare(held)
	c.throughSilence([]string{"SELECT t.id, t.kind", "SELECT hold_id, amount"}, paid, held)
	c.check()
}

// So is what a command is about, if its replica doesn't remember that.
func TestWhatACommandIsAboutIsReadOnAnotherConnectionIfOneIsSilent(t *testing.T) {
	t.Parallel()
	c := newTown(t, ledger.Config{Patience: 2 * time.Second})
	paid, held := c.between(0, 1, 5), c.holding(c.people[0], 5, time.Hour)
	c.prepare(paid)
	results, err := held.ask(c.join(ledger.Config{}, store.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	c.noteExecuted(held, results...)
	c.throughSilence([]string{"SELECT t.id, t.kind", "SELECT h.id, h.account_id"},
		c.refunding(paid.errands[0], 5), c.voiding(held.errands[0].hold))
	c.check()
}

// A lost commit is resolved even if for a while the ledger may not log in.
func TestALedgerThatIsTurnedAwayTriesAgain(t *testing.T) {
	t.Parallel()
	address := storetest.NewDatabase(t)
	admin, err := pgx.Connect(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	role := "role_" + strings.Trim(u.Path, "/")
	exec := func(format string) {
		t.Helper()
		if _, err := admin.Exec(ctx, fmt.Sprintf(format, pgx.Identifier{role}.Sanitize())); err != nil {
			t.Fatal(err)
		}
	}
	exec(`CREATE ROLE %s LOGIN PASSWORD 'secret' IN ROLE tillbook_app`)
	t.Cleanup(func() { exec(`DROP ROLE %s`); _ = admin.Close(ctx) })
	u.User = url.UserPassword(role, "secret")
	c := newTownAt(t, address, u.String(), patient)
	l := c.ledger()
	if err := c.do(c.deed(5)); err != nil {
		t.Fatal(err)
	}

	exec(`ALTER ROLE %s NOLOGIN`)
	c.wire.once(fromPostgres, "COMMIT", fate{kind: cut})
	d := c.deed(5)
	done := commit(ctx, l, d.command)
	waitFor(t, "logins that are refused", func() bool { return l.Stats().Retries["28000"] >= 4 })
	exec(`ALTER ROLE %s LOGIN`)
	a := <-done
	if a.err != nil {
		t.Fatalf("the payment ended as %v", a.err)
	}
	c.noteExecuted(d, a.Result)
	c.check()
}
