package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
)

// impolite locks an account from outside, as an operator's session may, until
// the returned function is called.
func (b *books) impolite(account ledger.AccountID) (letGo func()) {
	b.t.Helper()
	conn := b.superuser()
	tx, err := conn.Begin(ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, `SELECT FROM accounts WHERE id = $1 FOR UPDATE`, account); err != nil {
		b.t.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(ctx); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
			b.t.Error(err)
		}
	}
}

func TestAnAccountLockedElsewhereStopsOnlyItsOwnCommands(t *testing.T) {
	t.Parallel()
	b := newBooks(t, 1, ledger.Config{Patience: time.Minute})
	l := b.ledgers[0]
	locked, free := b.account("user/1/main", jpy, 100), b.account("user/2/main", jpy, 100)
	other := b.account("user/3/main", jpy, 0)
	letGo := b.impolite(locked)

	stuck := []<-chan answer{
		commit(ctx, l, transfer("from the locked", locked, other, 10)),
		commit(ctx, l, transfer("to the locked", free, locked, 1)),
		commit(ctx, l, transfer("too much from the locked", locked, other, 1000)),
	}
	for i := range 20 { // these wait for the locked account once, then pass it by
		if a := <-commit(ctx, l, transfer(fmt.Sprint("free ", i), free, other, 1)); a.err != nil {
			t.Errorf("payment %d between free accounts: %v", i, a.err)
		}
	}
	for i, done := range stuck {
		if len(done) > 0 {
			t.Fatalf("command %d on the locked account ended: %+v", i, <-done)
		}
	}
	letGo()
	for i, want := range []error{nil, nil, ledger.ErrInsufficientFunds} {
		if a := <-stuck[i]; !errors.Is(a.err, want) {
			t.Errorf("command %d on the locked account, when it is free: %v, want %v", i, a.err, want)
		}
	}
	if got := b.balance("user/1/main"); got != 91 {
		t.Errorf("the locked account has %d, want 91", got)
	}
}

func TestACommandOnALockedAccountIsGivenUpWhenPatienceEnds(t *testing.T) {
	t.Parallel()
	b := newBooks(t, 1, ledger.Config{})
	hasty := b.join(ledger.Config{Patience: 400 * time.Millisecond}, store.Config{})
	from, to := b.account("user/1/main", jpy, 100), b.account("user/2/main", jpy, 0)
	letGo := b.impolite(to)
	command := transfer("k", from, to, 10)
	if a := <-commit(ctx, hasty, command); !errors.Is(a.err, ledger.ErrUnavailable) || errors.Is(a.err, ledger.ErrOutcomeUnknown) {
		t.Errorf("while the account stays locked: %+v", a)
	}
	letGo()
	if got := b.balance("user/2/main"); got != 0 {
		t.Errorf("%d arrived by a command that was given up", got)
	}
	if a := <-commit(ctx, b.ledgers[0], command); a.err != nil || a.Replayed {
		t.Errorf("the command tried again: %+v", a)
	}
}

func TestACommandOnALockedAccountIsGivenUpWithItsCaller(t *testing.T) {
	t.Parallel()
	b := newBooks(t, 1, ledger.Config{Patience: 10 * time.Second})
	l := b.ledgers[0]
	from, to := b.account("user/1/main", jpy, 100), b.account("user/2/main", jpy, 0)
	letGo := b.impolite(to)
	defer letGo()
	caller, leave := context.WithCancel(ctx)
	defer leave()
	command := transfer("k", from, to, 10)
	stuck := commit(caller, l, command)
	waitFor(t, "the lock to be met", func() bool { return l.Stats().Retries["55P03"] > 0 })
	leave()
	if a := <-stuck; !errors.Is(a.err, context.Canceled) || errors.Is(a.err, ledger.ErrOutcomeUnknown) {
		t.Errorf("the command of a caller who left: %+v", a)
	}
	letGo()
	if a := <-commit(ctx, l, command); a.err != nil || a.Replayed {
		t.Errorf("the command tried again: %+v", a)
	}
}

func TestClosingWaitsForCommandsOnLockedAccounts(t *testing.T) {
	t.Parallel()
	b := newBooks(t, 1, ledger.Config{Patience: 4 * time.Second})
	from, to := b.account("user/1/main", jpy, 100), b.account("user/2/main", jpy, 0)
	letGo := b.impolite(to)
	stuck := commit(ctx, b.ledgers[0], transfer("k", from, to, 10))
	waitFor(t, "the lock to be met", func() bool { return b.ledgers[0].Stats().Retries["55P03"] > 0 })
	closed := make(chan struct{})
	go func() { b.ledgers[0].Close(); close(closed) }()
	waitFor(t, "the ledger to refuse commands", func() bool { return refusesCommands(b.ledgers[0]) })
	letGo()
	if a := <-stuck; a.err != nil {
		t.Errorf("the command that waited: %v", a.err)
	}
	<-closed
}

// A parked command competes with all that want the same account and wait in
// line for it, so that it is never free. It must get its turn.
func TestACommandOnABusyAccountIsNotStarvedAfterALock(t *testing.T) {
	t.Parallel()
	b := newBooks(t, 1, ledger.Config{Patience: 3 * time.Second})
	from, busy := b.account("user/1/main", jpy, 100), b.account("user/busy/main", jpy, 0)
	letGo := b.impolite(busy)
	parked := commit(ctx, b.ledgers[0], transfer("parked", from, busy, 1))
	waitFor(t, "the lock to be met", func() bool { return len(b.ledgers[0].Stats().Retries) > 0 })
	if len(parked) > 0 {
		t.Fatalf("the command on the locked account ended: %+v", <-parked)
	}
	stop := make(chan struct{})
	var line sync.WaitGroup
	for range 3 {
		conn := b.superuser()
		line.Go(func() {
			for !closed(stop) {
				// One statement is one transaction. There are always two more in line.
				if _, err := conn.Exec(ctx, `SELECT pg_sleep(0.05) FROM (SELECT FROM accounts WHERE id = $1 FOR UPDATE) a`, busy); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	conn := b.superuser()
	waitFor(t, "the line to form", func() bool { return len(lockWaits(t, conn)) >= 3 })
	letGo()
	if a := <-parked; a.err != nil {
		t.Errorf("the parked command: %v", a.err)
	}
	close(stop)
	line.Wait()
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// While a parked command waits for one account it must keep nobody from its
// others.
func TestACommandThatWaitsForOneAccountLeavesItsOthersFree(t *testing.T) {
	t.Parallel()
	b := newBooks(t, 1, ledger.Config{Patience: time.Minute})
	first := b.account("user/1/main", jpy, 0) // a batch locks it before the other
	locked := b.account("user/2/main", jpy, 100)
	letGo := b.impolite(locked)
	stuck := commit(ctx, b.ledgers[0], transfer("stuck", locked, first, 1))
	waitFor(t, "the command to be parked", func() bool { return b.ledgers[0].Stats().Retries["55P03"] > 0 })
	conn := b.superuser()
	for seen := 0; seen < 3; {
		before := lockWaits(t, conn)
		var free int
		if err := conn.QueryRow(ctx, `SELECT count(*) FROM (SELECT FROM accounts WHERE id = $1 FOR UPDATE SKIP LOCKED) a`, first).Scan(&free); err != nil {
			t.Fatal(err)
		}
		if after := lockWaits(t, conn); len(before) == 0 || !slices.Equal(before, after) {
			continue // it did not wait all the time
		}
		if seen++; free != 1 {
			t.Error("a command that waits for one account keeps another locked")
		}
	}
	letGo()
	if a := <-stuck; a.err != nil {
		t.Error(a.err)
	}
}

// lockWaits names the transactions on this database that wait for a lock.
func lockWaits(t testing.TB, conn *pgx.Conn) []string {
	t.Helper()
	rows, err := conn.Query(ctx, `SELECT pid || ' since ' || xact_start FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event_type = 'Lock' ORDER BY pid`)
	if err != nil {
		t.Fatal(err)
	}
	waits, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return waits
}
