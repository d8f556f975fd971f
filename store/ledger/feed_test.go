package ledger_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
)

// pollCounter counts how often a replica has read the events.
type pollCounter struct{ polls atomic.Int64 }

func (c *pollCounter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	return context.WithValue(ctx, c, strings.Contains(data.SQL, "events"))
}

func (c *pollCounter) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryEndData) {
	if reads, _ := ctx.Value(c).(bool); reads {
		c.polls.Add(1)
	}
}

// watcher is a replica that commits nothing and only watches.
type watcher struct {
	t testing.TB
	b *books
	*ledger.Ledger
	pollCounter
}

func newWatcher(b *books) *watcher {
	w := &watcher{t: b.t, b: b}
	w.Ledger = b.join(ledger.Config{PollInterval: 1}, store.Config{Tracer: &w.pollCounter})
	return w
}

// catchUp waits until everything committed before has been read: until the horizon,
// which the transactions of other tests hold up too, has passed it, and then for two
// polls that end, of which the second has begun from now on.
func (w *watcher) catchUp() {
	w.t.Helper()
	newest := w.b.count(`SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint`)
	waitFor(w.t, "the horizon to pass what was committed", func() bool {
		return w.b.count(`SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint`) >= newest
	})
	w.poll()
}

// poll waits until the events were read, from now on, as far as the horizon lets.
func (w *watcher) poll() {
	w.t.Helper()
	from := w.polls.Load()
	waitFor(w.t, "the follower to read", func() bool { return w.polls.Load() >= from+3 })
}

// watch subscribes and takes the wake-ups that come of beginning.
func (w *watcher) watch(owner string) *ledger.Subscription {
	w.t.Helper()
	s := w.Watch(owner)
	w.t.Cleanup(s.Close)
	w.catchUp()
	woken(s)
	return s
}

// woken tells whether a subscription was woken since it was last asked.
func woken(s *ledger.Subscription) bool {
	select {
	case <-s.C():
		return true
	default:
		return false
	}
}

func TestCommitsWakeThoseWhoWatchOnAnotherLedgerAndNobodyElse(t *testing.T) {
	b := newBooks(t, 1, ledger.Config{})
	a1, a2 := b.account("user/1/main/JPY", jpy, 100), b.account("user/2/main/JPY", jpy, 100)
	a3, a4 := b.account("user/3/main/JPY", jpy, 100), b.account("user/4/main/JPY", jpy, 0)
	w := newWatcher(b)
	one, two, three := w.watch("user/1/"), w.watch("user/2/"), w.watch("user/3/")
	again, four := w.watch("user/1/"), w.watch("user/4/")

	b.pay(a1, a2, 1)
	w.catchUp()
	if !woken(one) || !woken(again) || !woken(two) || woken(three) || woken(four) {
		t.Error("a payment between 1 and 2 should wake those two, each watcher of them, and nobody else")
	}
	postings := []ledger.Posting{
		{Account: a1, Amount: ledger.NewAmount(-3)}, {Account: a2, Amount: ledger.NewAmount(1)},
		{Account: a4, Amount: ledger.NewAmount(1)}, {Account: a3, Amount: ledger.NewAmount(1)},
	}
	several := transfer("several", a1, a2, 3)
	several.Accounts = []ledger.AccountID{a1, a2, a3, a4}
	several.Decide = func(ledger.View) (ledger.Draft, error) { return ledger.Draft{Postings: postings}, nil }
	if _, err := b.ledgers[0].Commit(ctx, several); err != nil {
		t.Fatal(err)
	}
	w.catchUp()
	if !woken(one) || !woken(two) || !woken(three) || !woken(four) {
		t.Error("a transaction of four postings should wake all four owners")
	}
	w.catchUp()
	if woken(one) || woken(two) || woken(three) {
		t.Error("somebody was woken though nothing happened")
	}
	again.Close()
	again.Close()
	woken(again)
	b.pay(a1, a2, 1)
	w.catchUp()
	if !woken(one) || woken(again) {
		t.Error("a closed subscription should be left alone, and only it")
	}
}

func TestANewAccountWakesThoseWhoWatchItsOwner(t *testing.T) {
	b := newBooks(t, 1, ledger.Config{})
	own := b.ledgers[0].Watch("user/1/")
	defer own.Close()
	w := newWatcher(b)
	one, two := w.watch("user/1/"), w.watch("user/2/")
	woken(own)
	account := b.account("user/1/main/JPY", jpy, 0)
	w.catchUp()
	if !woken(one) || woken(two) || !woken(own) {
		t.Error("an account opened for 1 should wake those who watch 1, on every ledger, and nobody else")
	}
	b.pay(b.outside(jpy), account, 1)
	w.catchUp()
	if !woken(one) || woken(two) || !woken(own) {
		t.Error("money in an account that was opened after the watch began should wake its watchers")
	}
}

func TestALedgersOwnCommitsWakeItsWatchersBeforeItsCallers(t *testing.T) {
	b := newBooks(t, 0, ledger.Config{})
	// Nothing is read from the database within an hour.
	b.join(ledger.Config{PollInterval: 3600e9}, store.Config{})
	from, to := b.account("user/1/main/JPY", jpy, 100), b.account("user/2/main/JPY", jpy, 0)
	s := b.ledgers[0].Watch("user/2/")
	defer s.Close()
	waitFor(t, "the follower to begin", func() bool { return woken(s) })
	b.pay(from, to, 1)
	if !woken(s) {
		t.Error("the caller has its answer and the watcher was not woken")
	}
}

// slowReplica writes a transaction and its event as a replica does, and leaves
// the commit for later.
func (b *books) slowReplica(from, to ledger.AccountID) (commit func()) {
	b.t.Helper()
	tx, err := b.superuser().Begin(ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	const move = `UPDATE accounts SET balance = balance + $2, version = version + 1, last_time = now() WHERE id = $1`
	const insert = `
INSERT INTO transactions (id, key_hash, create_time, kind, fingerprint,
                          a_account, a_version, a_amount, a_balance, b_account, b_version, b_amount, b_balance)
SELECT $1, $1, now(), 1, '\x', a.id, a.version, -5, a.balance, b.id, b.version, 5, b.balance
  FROM accounts a, accounts b WHERE a.id = $2 AND b.id = $3`
	const announce = `
INSERT INTO events (type, subject, payload)
VALUES ('ledger.committed', '', jsonb_build_object('replica', gen_random_uuid(), 'first', $1::uuid, 'last', $1::uuid, 'count', 1))`
	transaction := uuid.New()
	for _, statement := range []struct {
		sql  string
		args []any
	}{
		{move, []any{from, -5}}, {move, []any{to, 5}},
		{insert, []any{transaction, from, to}}, {announce, []any{transaction}},
	} {
		if _, err := tx.Exec(ctx, statement.sql, statement.args...); err != nil {
			b.t.Fatalf("%s: %v", statement.sql, err)
		}
	}
	return func() {
		b.t.Helper()
		if err := tx.Commit(ctx); err != nil {
			b.t.Fatal(err)
		}
	}
}

// A transaction that began early and commits late has a lower number than what
// was committed and read meanwhile.
func TestACommitThatComesLateStillWakesItsWatchers(t *testing.T) {
	b := newBooks(t, 1, ledger.Config{})
	a1, a2 := b.account("user/1/main/JPY", jpy, 100), b.account("user/2/main/JPY", jpy, 100)
	a3, a4 := b.account("user/3/main/JPY", jpy, 100), b.account("user/4/main/JPY", jpy, 100)
	w := newWatcher(b)
	late, prompt := w.watch("user/1/"), w.watch("user/3/")

	slow, slower := b.slowReplica(a1, a2), b.slowReplica(b.outside(jpy), b.account("user/5/main/JPY", jpy, 0))
	b.pay(a3, a4, 1)
	w.poll() // a follower of the newest number would have gone past the slow one
	b.pay(a3, a4, 1)
	w.poll()
	if woken(late) {
		t.Fatal("a watcher was woken by what is not committed")
	}
	slow()
	w.poll()
	slower()
	w.catchUp()
	if !woken(late) {
		t.Error("the commit that came late woke nobody")
	}
	if !woken(prompt) {
		t.Error("the commits that were in time woke nobody")
	}
	w.catchUp()
	if woken(late) || woken(prompt) {
		t.Error("somebody was woken twice for one commit")
	}
}

func TestWhoWatchesFirstIsWokenForWhatHappenedAsTheWatchBegan(t *testing.T) {
	b := newBooks(t, 1, ledger.Config{})
	from, to := b.account("user/1/main/JPY", jpy, 100), b.account("user/2/main/JPY", jpy, 0)
	w := newWatcher(b)
	for range 20 {
		s := w.Watch("user/2/")
		before, err := w.Account(ctx, "user/2/main/JPY")
		if err != nil {
			t.Fatal(err)
		}
		b.pay(from, to, 1)
		for a := before; a.Version == before.Version; {
			waitFor(t, "the watcher to be woken", func() bool { return woken(s) })
			if a, err = w.Account(ctx, "user/2/main/JPY"); err != nil {
				t.Fatal(err)
			}
		}
		s.Close()
	}
}
