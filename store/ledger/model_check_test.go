package ledger_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tillbook/tillbook/store/ledger"
)

// world is one run of the model beside ledgers, on accounts of its own.
type world struct {
	books  *books
	number int64 // of the run: in the codes of its accounts and in its keys
	prefix string
	model  model
	past   []*order
	drawn  int
}

// newWorld opens accounts of one or two assets. The first of each asset stands
// for the world outside.
func newWorld(t *rapid.T, b *books) *world {
	w := &world{books: b, number: b.keys.Add(1), model: model{done: map[string]*execution{}}}
	w.prefix = fmt.Sprintf("model%d/", w.number)
	for _, asset := range []ledger.AssetID{jpy, eth}[:rapid.IntRange(1, 2).Draw(t, "assets")] {
		for i := range rapid.IntRange(2, 4).Draw(t, "accounts") {
			a := &modelAccount{code: fmt.Sprintf("%s%d/%d", w.prefix, asset, i), asset: asset, bounded: i > 0, balance: mustBig("0")}
			a.id = b.open(ledger.AccountSpec{Code: a.code, Asset: asset, Unbounded: !a.bounded})
			w.model.accounts = append(w.model.accounts, a)
		}
	}
	return w
}

// replica draws one of the ledgers to read from.
func (w *world) replica(t *rapid.T) *ledger.Ledger {
	return w.books.ledgers[rapid.IntRange(0, len(w.books.ledgers)-1).Draw(t, "read from")]
}

// draw draws a few orders for the first so many ledgers.
func (w *world) draw(t *rapid.T, replicas int) (outcomes []outcome) {
	for range rapid.IntRange(1, 16).Draw(t, "orders") {
		o := w.drawOrder(t, replicas)
		w.past = append(w.past, o)
		outcomes = append(outcomes, outcome{order: o})
	}
	return outcomes
}

// explain has the model explain answers.
func (w *world) explain(t *rapid.T, outcomes []outcome) {
	t.Helper()
	if err := w.model.explain(outcomes); err != nil {
		for i := range outcomes {
			t.Log(&outcomes[i])
		}
		falsified(t, "the model doesn't agree: %v", err)
	}
}

// together commits orders at once.
func (w *world) together(t *rapid.T) {
	outcomes := w.draw(t, rapid.IntRange(1, len(w.books.ledgers)).Draw(t, "replicas"))
	atOnce(len(outcomes), func(i int) {
		o := &outcomes[i]
		o.Result, o.err = w.books.ledgers[o.Replica].Commit(ctx, w.command(o.order))
	})
	w.explain(t, outcomes)
}

// oneByOne commits orders each after the other.
func (w *world) oneByOne(t *rapid.T) {
	outcomes := w.draw(t, len(w.books.ledgers))
	for i := range outcomes {
		o := &outcomes[i]
		o.Result, o.err = w.books.ledgers[o.Replica].Commit(ctx, w.command(o.order))
		w.explain(t, outcomes[i:i+1])
	}
}

// asABatch has orders wait for the only committer of the first ledger, which
// then takes them all, in this order.
func (w *world) asABatch(t *rapid.T) {
	outcomes := w.draw(t, 1)
	l := w.books.ledgers[0]
	wait := ledger.Command{Decide: func(ledger.View) (ledger.Draft, error) { return ledger.Draft{}, errDeclined }}
	g := gated(&wait)
	first := commit(ctx, l, wait)
	<-g.entered
	var waiting []<-chan answer
	for i, o := range outcomes {
		waiting = append(waiting, commit(ctx, l, w.command(o.order)))
		for l.Stats().QueueDepth <= i {
			runtime.Gosched()
		}
	}
	close(g.open)
	<-first
	for i := range outcomes {
		outcomes[i].answer = <-waiting[i]
	}
	w.explain(t, outcomes)
}

// balances compares all accounts, read by one statement and one by one.
func (w *world) balances(t *rapid.T) {
	l := w.replica(t)
	accounts, err := l.AccountsUnder(ctx, w.prefix)
	if err != nil || len(accounts) != len(w.model.accounts) {
		falsified(t, "%d accounts, %v; want %d", len(accounts), err, len(w.model.accounts))
	}
	one, err := l.Account(ctx, accounts[rapid.IntRange(0, len(accounts)-1).Draw(t, "account")].Code)
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range append(accounts, one) {
		want := w.model.account(got.ID)
		if got.Code != want.code || got.Asset != want.asset || !got.Held.IsZero() || (got.Floor != nil) != want.bounded ||
			got.Balance.String() != want.balance.String() || got.Version != int64(len(want.history)) || !got.LastTime.Equal(want.lastTime()) {
			falsified(t, "account %+v, want %+v", got, want)
		}
	}
}

// entries compares a part of an account's entries, read in both directions.
func (w *world) entries(t *rapid.T) {
	a := w.model.accounts[w.index(t, "account")]
	version := rapid.Int64Range(0, int64(len(a.history))+2).Draw(t, "version")
	limit := rapid.IntRange(1, 6).Draw(t, "limit")
	l := w.replica(t)

	got, err := l.Entries(ctx, ledger.EntriesQuery{Account: a.id, Before: version, Limit: limit})
	var want []*execution
	for v := len(a.history); v >= 1 && len(want) < limit; v-- {
		if version == 0 || int64(v) < version {
			want = append(want, a.history[v-1])
		}
	}
	checkEntries(t, a, got, want, err)

	got, err = l.EntriesAfter(ctx, a.id, version, limit)
	checkEntries(t, a, got, a.history[min(int(version), len(a.history)):min(int(version)+limit, len(a.history))], err)
}

func checkEntries(t *rapid.T, a *modelAccount, got []ledger.AccountEntry, want []*execution, err error) {
	t.Helper()
	if err != nil || len(got) != len(want) {
		falsified(t, "%d entries of %s, %v; want %d", len(got), a.code, err, len(want))
	}
	for i := range got {
		checkEntry(t, a, &got[i], want[i])
	}
}

func checkEntry(t *rapid.T, a *modelAccount, got *ledger.AccountEntry, want *execution) {
	t.Helper()
	if err := sameTransaction(&got.Transaction, &want.Transaction); err != nil {
		falsified(t, "an entry's transaction: %v", err)
	}
	entry, ok := want.EntryOf(a.id)
	if !ok || got.Entry != entry || a.history[entry.Version-1] != want {
		falsified(t, "entry %+v of %s, want %+v", got.Entry, a.code, entry)
	}
}

// moments compares an account as it was at the time of an entry or beside it.
func (w *world) moments(t *rapid.T) {
	a := w.model.accounts[w.index(t, "account")]
	at := w.moment(t)
	want := 0
	for want < len(a.history) && !a.history[want].CreateTime.After(at) {
		want++
	}
	got, err := w.replica(t).AccountAt(ctx, a.code, at)
	if err != nil {
		t.Fatal(err)
	}
	balance, last := ledger.Amount{}, time.Time{}
	if want > 0 {
		entry, _ := a.history[want-1].EntryOf(a.id)
		balance, last = entry.Balance, a.history[want-1].CreateTime
	}
	if got.ID != a.id || got.Code != a.code || got.Asset != a.asset || got.Version != int64(want) || got.Balance != balance || !got.LastTime.Equal(last) {
		falsified(t, "at %v: %+v, want version %d, balance %s", at, got, want, balance)
	}
}

// moment draws a time at a transaction or a microsecond beside it.
func (w *world) moment(t *rapid.T) time.Time {
	if len(w.model.all) == 0 {
		return time.Now()
	}
	e := w.model.all[rapid.IntRange(0, len(w.model.all)-1).Draw(t, "execution")]
	return e.CreateTime.Add(time.Duration(rapid.IntRange(-1, 1).Draw(t, "µs")) * time.Microsecond)
}

// transactions compares single transactions and the sums over all accounts.
func (w *world) transactions(t *rapid.T) {
	l := w.replica(t)
	if len(w.model.all) > 0 {
		want := w.model.all[rapid.IntRange(0, len(w.model.all)-1).Draw(t, "execution")]
		got, err := l.Transaction(ctx, want.ID)
		if err == nil {
			err = sameTransaction(&got, &want.Transaction)
		}
		if err != nil {
			falsified(t, "a transaction: %v", err)
		}
	}
	lines, err := l.TrialBalance(ctx)
	if err != nil {
		t.Fatal(err)
	}
	lines = slices.DeleteFunc(lines, func(line ledger.TrialBalanceLine) bool { return line.Class+"/" != w.prefix })
	var accounts int64
	for _, line := range lines {
		accounts += line.Accounts
		if !line.Balance.IsZero() {
			falsified(t, "a closed group sums to %+v", line)
		}
	}
	if accounts != int64(len(w.model.accounts)) {
		falsified(t, "the trial balance counts %d accounts: %+v", accounts, lines)
	}
}

// Nothing here depends on time, so that rapid finds the shortest story of what
// goes wrong.
func TestLedgersAgreeWithAModelOneByOneAndInBatches(t *testing.T) {
	b := newBooks(t, 2, ledger.Config{Committers: 1, MaxBatch: 8})
	check(t, 20, func(t *rapid.T) {
		w := newWorld(t, b)
		t.Repeat(w.actions(map[string]func(*rapid.T){"one by one": w.oneByOne, "as a batch": w.asABatch}))
	})
}

func TestLedgersAgreeWithAModelUnderConcurrentCommands(t *testing.T) {
	b := newBooks(t, 3, ledger.Config{Committers: 2, MaxBatch: 5})
	check(t, 40, func(t *rapid.T) {
		w := newWorld(t, b)
		t.Repeat(w.actions(map[string]func(*rapid.T){"at once": w.together, "at once again": w.together}))
	})
	for i, l := range b.ledgers {
		if s := l.Stats(); s.Retries["40P01"] > 0 || s.Lost > 0 || s.Unknown > 0 {
			t.Errorf("ledger %d met trouble: %+v", i, s)
		}
	}
}

// actions adds the reads, of which balances comes after every other action.
func (w *world) actions(actions map[string]func(*rapid.T)) map[string]func(*rapid.T) {
	actions[""] = w.balances
	actions["entries"] = w.entries
	actions["history"] = w.history
	actions["moments"] = w.moments
	actions["transactions"] = w.transactions
	return actions
}
