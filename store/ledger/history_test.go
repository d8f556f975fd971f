package ledger_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/tillbook/tillbook/store/ledger"
)

// moment is a place in time that an entry may have.
type moment struct {
	at time.Time
	id uuid.UUID
}

func (m moment) before(other moment) bool {
	if !m.at.Equal(other.at) {
		return m.at.Before(other.at)
	}
	return bytes.Compare(m.id[:], other.id[:]) < 0
}

// drawMoment draws from so few that many are equal in time or follow closely.
func drawMoment(t *rapid.T) moment {
	return moment{
		at: time.Date(2026, 1, 1, 0, 0, 0, rapid.IntRange(0, 12).Draw(t, "µs")*1000, time.UTC),
		id: uuid.UUID{0: byte(rapid.IntRange(0, 3).Draw(t, "id")), 15: byte(rapid.IntRange(0, 9).Draw(t, "tail"))},
	}
}

// The function that halves its way to a place in an account's history, against
// counting all entries that come earlier.
func TestTheVersionBeforeAPlaceIsTheNumberOfEarlierEntries(t *testing.T) {
	b := newBooks(t, 1, ledger.Config{})
	b.broken = true // there are entries without their transactions' others
	conn := b.superuser()
	mustExec(t, conn, `CREATE FUNCTION naive(account bigint, at timestamptz, before_id uuid) RETURNS bigint LANGUAGE sql AS
		'SELECT count(*) FROM account_entries WHERE account_id = account AND (create_time, transaction_id) < (at, before_id)'`)
	account := b.account("user/1/main", jpy, 0)
	check(t, 100, func(t *rapid.T) {
		if _, err := conn.Exec(ctx, `TRUNCATE transactions, more_entries`); err != nil {
			t.Fatal(err)
		}
		var last moment
		used := map[uuid.UUID]bool{}
		entries := rapid.IntRange(0, 20).Draw(t, "entries")
		for version := 1; version <= entries; version++ {
			next := drawMoment(t)
			if !last.before(next) {
				next.at = last.at.Add(time.Microsecond)
			}
			last = next
			sql := writeEntry[rapid.IntRange(0, len(writeEntry)-1).Draw(t, "where")]
			if used[next.id] {
				sql = writeEntry[0]
			}
			used[next.id] = true
			if _, err := conn.Exec(ctx, sql, account, version, next.id, next.at); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := conn.Exec(ctx, `UPDATE accounts SET version = $2 WHERE id = $1`, account, entries); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			at := drawMoment(t)
			var got, want int64
			if err := conn.QueryRow(ctx, `SELECT account_version_before($1, $2, $3), naive($1, $2, $3)`,
				account, at.at, at.id).Scan(&got, &want); err != nil || got != want {
				falsified(t, "before %v of %d entries: version %d, %v; %d come earlier", at, entries, got, err, want)
			}
		}
	})
}

// writeEntry are the ways in which an entry can be stored: as one of a
// transaction's further entries, its first or its second.
var writeEntry = []string{
	`INSERT INTO more_entries (account_id, version, transaction_id, position, create_time, amount, balance)
	 VALUES ($1, $2, $3, $2::bigint, $4, 0, 0)`,
	`INSERT INTO transactions (id, key_hash, create_time, kind, more, fingerprint, a_account, a_version, a_amount, a_balance, b_account, b_version, b_amount, b_balance)
	 VALUES ($3, $3, $4, 1, 1, '\x', $1, $2, 0, 0, -1, $2, 0, 0)`,
	`INSERT INTO transactions (id, key_hash, create_time, kind, more, fingerprint, a_account, a_version, a_amount, a_balance, b_account, b_version, b_amount, b_balance)
	 VALUES ($3, $3, $4, 1, 1, '\x', -1, $2, 0, 0, $1, $2, 0, 0)`,
}

func TestAHistoryStaysInPlaceWhilePaymentsArrive(t *testing.T) {
	b := newBooks(t, 1, ledger.Config{})
	one, two := b.account("user/1/JPY", jpy, 0), b.account("user/2/JPY", jpy, 0)
	outside := b.outside(jpy)
	for i := range 10 {
		b.pay(outside, []ledger.AccountID{one, two}[i%2], int64(i+1))
	}
	q := ledger.HistoryQuery{Accounts: []ledger.AccountID{one, two}, Limit: 3}
	var amounts []int64
	for {
		page, err := b.ledgers[0].History(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Entries {
			amounts = append(amounts, integer(t, e.Amount))
		}
		if page.Next == nil {
			break
		}
		q.Before = page.Next
		b.pay(outside, one, 100)
	}
	if got, want := fmt.Sprint(amounts), "[10 9 8 7 6 5 4 3 2 1]"; got != want {
		t.Errorf("read %s, want %s", got, want)
	}
}

// A rare kind among many others: a page may find nothing and still go on.
func TestAHistoryOfARareKindIsFoundBehindManyOthers(t *testing.T) {
	b := newBooks(t, 1, ledger.Config{})
	one, two := b.account("user/1/JPY", jpy, 0), b.account("user/2/JPY", jpy, 0)
	outside := b.outside(jpy)
	rare := transfer("rare", outside, one, 5)
	rare.Kind = ledger.KindAdjustment
	made, err := b.ledgers[0].Commit(ctx, rare)
	if err != nil {
		t.Fatal(err)
	}
	atOnce(1200, func(i int) {
		if _, err := b.ledgers[0].Commit(ctx, transfer(fmt.Sprint(i), outside, one, 1)); err != nil {
			t.Error(err)
		}
		if _, err := b.ledgers[0].Commit(ctx, transfer(fmt.Sprint("on ", i), one, two, 1)); err != nil {
			t.Error(err)
		}
	})
	q := ledger.HistoryQuery{Accounts: []ledger.AccountID{one, two}, Kind: ledger.KindAdjustment, Limit: 1}
	var found []ledger.AccountEntry
	for pages := 1; ; pages++ {
		page, err := b.ledgers[0].History(ctx, q)
		if err != nil || pages > 5 {
			t.Fatalf("page %d: %v", pages, err)
		}
		found = append(found, page.Entries...)
		if q.Before = page.Next; q.Before == nil {
			break
		}
	}
	if len(found) != 1 || found[0].Transaction.ID != made.Transaction.ID || found[0].Code != "user/1/JPY" {
		t.Errorf("found %+v, want the entry of %s", found, made.Transaction.ID)
	}
}

func TestATransactionThatIsNotThereIsNotFound(t *testing.T) {
	b := newBooks(t, 1, ledger.Config{})
	if _, err := b.ledgers[0].Transaction(ctx, uuid.New()); !errors.Is(err, ledger.ErrTransactionNotFound) {
		t.Errorf("got %v", err)
	}
	page, err := b.ledgers[0].History(ctx, ledger.HistoryQuery{Accounts: []ledger.AccountID{b.account("user/1/JPY", jpy, 0), 99}, Limit: 5})
	if err != nil || len(page.Entries) != 0 || page.Next != nil {
		t.Errorf("the history of nothing: %+v, %v", page, err)
	}
}
