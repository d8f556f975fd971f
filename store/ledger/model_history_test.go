package ledger_test

import (
	"flag"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/tillbook/tillbook/store/ledger"
)

// history reads through all pages of a query and compares them with what a
// look at every entry finds.
func (w *world) history(t *rapid.T) {
	q := ledger.HistoryQuery{
		Kind:  ledger.Kind(rapid.IntRange(0, 3).Draw(t, "kind")),
		Limit: rapid.IntRange(1, 8).Draw(t, "limit"),
	}
	accounts := rapid.Permutation(indexes(w.model.accounts)).Draw(t, "accounts")
	accounts = accounts[:rapid.IntRange(1, len(accounts)).Draw(t, "how many")]
	for _, i := range accounts {
		q.Accounts = append(q.Accounts, w.model.accounts[i].id)
	}
	if rapid.Bool().Draw(t, "from a start") {
		q.Start = w.moment(t)
	}
	if rapid.Bool().Draw(t, "to an end") {
		q.End = w.moment(t)
	}
	want := w.expected(q)
	l := w.replica(t)
	for page := 1; ; page++ {
		got, err := l.History(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Entries) > len(want) {
			falsified(t, "page %d of %+v has entries too many: %+v", page, q, got.Entries)
		}
		for i := range got.Entries {
			checkEntry(t, w.model.account(got.Entries[i].Account), &got.Entries[i], want[i].execution)
			if got.Entries[i].Account != want[i].account {
				falsified(t, "page %d has an entry of account %d, want %d", page, got.Entries[i].Account, want[i].account)
			}
		}
		want = want[len(got.Entries):]
		if got.Next == nil {
			break
		}
		if len(got.Entries) < q.Limit || len(got.Entries) >= q.Limit+len(accounts) {
			falsified(t, "page %d of %+v has %d entries", page, q, len(got.Entries))
		}
		q.Before = got.Next
	}
	if len(want) > 0 {
		falsified(t, "the pages of %+v end with %d entries missing", q, len(want))
	}
}

// place is an entry that a history should hold.
type place struct {
	*execution
	account ledger.AccountID
}

// expected filters and sorts all entries there are, newest first.
func (w *world) expected(q ledger.HistoryQuery) (places []place) {
	ids := slices.Sorted(slices.Values(q.Accounts))
	all := slices.Clone(w.model.all)
	slices.SortFunc(all, func(a, b *execution) int { return inBooksOrder(&b.Transaction, &a.Transaction) })
	for _, e := range all {
		if q.Kind != 0 && e.Kind != q.Kind || e.CreateTime.Before(q.Start) || !q.End.IsZero() && !e.CreateTime.Before(q.End) {
			continue
		}
		for _, id := range slices.Backward(ids) {
			if _, ok := e.EntryOf(id); ok {
				places = append(places, place{e, id})
			}
		}
	}
	return places
}

// falsified ends a run of a property. Rapid makes a failing run shorter as long as
// it fails in the same words, so those can't tell what differs from run to run.
func falsified(t *rapid.T, format string, args ...any) {
	t.Helper()
	t.Logf(format, args...)
	t.Fatal(format)
}

// check is rapid.Check with a number of runs in percent of -rapid.checks, which
// is 100 by default. Tests that use it don't run in parallel.
func check(t *testing.T, percent int, property func(*rapid.T)) {
	t.Helper()
	checks := flag.Lookup("rapid.checks")
	before := checks.Value.String()
	n, err := strconv.Atoi(before)
	if err != nil {
		t.Fatal(err)
	}
	if err := checks.Value.Set(strconv.Itoa(max(1, n*percent/100))); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = checks.Value.Set(before) }()
	rapid.Check(t, property)
}
