package ledger

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// ErrTransactionNotFound says that there is no transaction with this id.
var ErrTransactionNotFound = errors.New("transaction not found")

// Position is a place in a history: behind everything earlier and before
// everything later. Times increase along an account's versions and ids order
// the transactions of one moment, so a position means the same in all accounts.
type Position struct {
	Time        time.Time
	Transaction uuid.UUID
}

// HistoryQuery asks for entries of some accounts.
type HistoryQuery struct {
	Accounts []AccountID
	Kind     Kind      // only this kind; 0 for all
	Start    time.Time // only at or after; zero for no bound
	End      time.Time // only before; zero for no bound
	Before   *Position // only before; nil for the newest
	Limit    int       // at most so many entries
}

// HistoryPage is what History found.
type HistoryPage struct {
	Entries []AccountEntry // newest first
	// Next is where to continue, or nil if there is nothing more. When a filter
	// passes over much, a page may be short or empty and still have a Next.
	Next *Position
}

// historyScan bounds how many entries of an account one page looks at.
const historyScan = 2000

// selectHistory takes the newest entries of each account that lie before a
// position, and of those the newest of all.
const selectHistory = `
SELECT e.account_id, e.version, e.transaction_id, e.create_time
  FROM unnest($1::bigint[]) AS wanted (id)
 CROSS JOIN LATERAL (
       SELECT account_id, version, transaction_id, create_time
         FROM account_entries
        WHERE account_id = wanted.id
          AND version <= (SELECT account_version_before(wanted.id, $2, $3))
        ORDER BY version DESC
        LIMIT $4
 ) e
 WHERE e.create_time >= $5
 ORDER BY e.create_time DESC, e.transaction_id DESC, e.account_id DESC
 LIMIT $4`

// History returns entries of several accounts, newest first, with their
// transactions. Its cost grows with the page and the logarithm of the history.
func (l *Ledger) History(ctx context.Context, q HistoryQuery) (HistoryPage, error) {
	before := Position{Time: endOfTime, Transaction: uuid.Max}
	if !q.End.IsZero() {
		before = Position{Time: q.End}
	}
	if q.Before != nil && q.Before.Time.Before(before.Time) {
		before = *q.Before
	}
	// A transaction has at most one entry an account, so this many rows hold the
	// page and, behind it, at least the beginning of another transaction.
	scan := q.Limit + len(q.Accounts) + 1
	if q.Kind != 0 {
		scan = max(scan, historyScan)
	}
	found, err := l.places(ctx, q.Accounts, before, q.Start, scan)
	if err != nil {
		return HistoryPage{}, err
	}
	more := len(found) == scan
	if more {
		found = withoutLastTransaction(found)
	}
	return l.page(ctx, q, found, more)
}

// endOfTime lies behind every transaction.
var endOfTime = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// withoutLastTransaction drops the last transaction, of which some entries may
// have been cut off.
func withoutLastTransaction(found []place) []place {
	last := found[len(found)-1].Transaction
	for len(found) > 0 && found[len(found)-1].Transaction == last {
		found = found[:len(found)-1]
	}
	return found
}

// place is an entry's address.
type place struct {
	Account     AccountID
	Version     int64
	Transaction uuid.UUID
	Time        time.Time
}

func (l *Ledger) places(ctx context.Context, accounts []AccountID, before Position, start time.Time, limit int) ([]place, error) {
	ids := make([]int64, len(accounts))
	for i, a := range accounts {
		ids[i] = int64(a)
	}
	rows, err := l.pool.Query(ctx, selectHistory, ids, before.Time, before.Transaction, limit, start)
	if err != nil {
		return nil, fmt.Errorf("reading history: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[place])
	if err != nil {
		return nil, fmt.Errorf("reading history: %w", err)
	}
	return found, nil
}

// page picks the entries that the query wants from those found. The page ends
// at the limit, but never between two entries of one transaction: the position
// that follows could not tell them apart. more says that there is something
// behind what was found.
func (l *Ledger) page(ctx context.Context, q HistoryQuery, found []place, more bool) (HistoryPage, error) {
	transactions, err := l.transactions(ctx, found)
	if err != nil {
		return HistoryPage{}, err
	}
	var page HistoryPage
	for i, p := range found {
		full := len(page.Entries) >= q.Limit
		if full && p.Transaction != found[i-1].Transaction {
			page.Next = &Position{Time: found[i-1].Time, Transaction: found[i-1].Transaction}
			return page, nil
		}
		t := transactions[p.Transaction]
		if q.Kind != 0 && t.Kind != q.Kind {
			continue
		}
		entry, ok := t.EntryOf(p.Account)
		if !ok {
			return HistoryPage{}, fmt.Errorf("transaction %s lacks the entry of account %d", p.Transaction, p.Account)
		}
		page.Entries = append(page.Entries, AccountEntry{Entry: entry, Transaction: t})
	}
	if more {
		last := found[len(found)-1]
		page.Next = &Position{Time: last.Time, Transaction: last.Transaction}
	}
	return page, nil
}

// EntriesQuery asks for entries of one account, newest first.
type EntriesQuery struct {
	Account AccountID
	Before  int64 // only versions below; 0 for the newest
	Limit   int   // at most so many entries
}

// Entries returns an account's entries, newest first.
func (l *Ledger) Entries(ctx context.Context, q EntriesQuery) ([]AccountEntry, error) {
	// The bound is a plain comparison, so that any plan begins at it and none reads
	// what is newer.
	const query = `SELECT account_id, version, transaction_id, create_time FROM account_entries
		WHERE account_id = $1 AND version < $2 ORDER BY version DESC LIMIT $3`
	before := q.Before
	if before == 0 {
		before = math.MaxInt64
	}
	return l.entries(ctx, query, q.Account, before, q.Limit)
}

// EntriesAfter returns an account's entries with versions above version,
// oldest first.
func (l *Ledger) EntriesAfter(ctx context.Context, account AccountID, version int64, limit int) ([]AccountEntry, error) {
	const query = `SELECT account_id, version, transaction_id, create_time FROM account_entries
		WHERE account_id = $1 AND version > $2 ORDER BY version LIMIT $3`
	return l.entries(ctx, query, account, version, limit)
}

func (l *Ledger) entries(ctx context.Context, query string, args ...any) ([]AccountEntry, error) {
	rows, err := l.pool.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("reading entries: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[place])
	if err != nil {
		return nil, fmt.Errorf("reading entries: %w", err)
	}
	page, err := l.page(ctx, HistoryQuery{Limit: len(found)}, found, false)
	return page.Entries, err
}

// Transaction returns a transaction with its entries, or
// ErrTransactionNotFound.
func (l *Ledger) Transaction(ctx context.Context, id uuid.UUID) (Transaction, error) {
	found, err := l.readTransactions(ctx, selectTransaction, id)
	if err != nil {
		return Transaction{}, err
	}
	t, ok := found[id]
	if !ok {
		return Transaction{}, fmt.Errorf("%w: %s", ErrTransactionNotFound, id)
	}
	return t, nil
}

const (
	selectTransactions = selectEntries + `
 WHERE t.id = ANY ($1)
 ORDER BY t.id, e.position`

	// selectTransaction is planned once; PostgreSQL plans a look-up in an array
	// anew each time, which takes several times as long as the look-up.
	selectTransaction = selectEntries + `
 WHERE t.id = $1
 ORDER BY e.position`

	selectEntries = `
SELECT t.id, t.kind, t.create_time, coalesce(t.note, ''), t.details, coalesce(t.counted, false),
       e.account_id, a.code, a.asset_id, e.version, e.amount, e.balance
  FROM transactions t
 CROSS JOIN LATERAL (
       SELECT 0 AS position, t.a_account AS account_id, t.a_version AS version, t.a_amount AS amount, t.a_balance AS balance
       UNION ALL SELECT 1, t.b_account, t.b_version, t.b_amount, t.b_balance
       UNION ALL SELECT m.position, m.account_id, m.version, m.amount, m.balance
                   FROM more_entries m WHERE t.more > 0 AND m.transaction_id = t.id
 ) e
  JOIN accounts a ON a.id = e.account_id`
)

// transactions loads the transactions at some places.
func (l *Ledger) transactions(ctx context.Context, places []place) (map[uuid.UUID]Transaction, error) {
	if len(places) == 0 {
		return nil, nil
	}
	ids := make([]uuid.UUID, len(places))
	for i, p := range places {
		ids[i] = p.Transaction
	}
	return l.readTransactions(ctx, selectTransactions, ids)
}

// readTransactions runs one of the queries above.
func (l *Ledger) readTransactions(ctx context.Context, query string, which any) (map[uuid.UUID]Transaction, error) {
	found := make(map[uuid.UUID]Transaction)
	rows, err := l.pool.Query(ctx, query, which)
	if err != nil {
		return nil, fmt.Errorf("reading transactions: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var t Transaction
		var e Entry
		err := rows.Scan(&t.ID, &t.Kind, &t.CreateTime, &t.Note, &t.Details, &t.Counted,
			&e.Account, &e.Code, &e.Asset, &e.Version, &e.Amount, &e.Balance)
		if err != nil {
			return nil, fmt.Errorf("reading transactions: %w", err)
		}
		if known, ok := found[t.ID]; ok {
			t = known
		}
		t.Entries = append(t.Entries, e)
		found[t.ID] = t
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading transactions: %w", err)
	}
	return found, nil
}
