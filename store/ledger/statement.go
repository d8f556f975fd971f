package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"
)

// Statement is what an account had before a range of time, and what it had in the
// end. Entries never change and their versions have no gaps, so those between
// are the same whenever they are read.
type Statement struct {
	Account AccountID
	Code    string
	Asset   AssetID
	Start   time.Time // the first moment
	End     time.Time // the first moment that no longer counts
	After   int64     // the version just before Start
	Last    int64     // the version just before End
	Opening Amount    // the balance just before Start
	Closing Amount    // the balance just before End
}

// Entries is how many entries the statement has.
func (s *Statement) Entries() int64 { return s.Last - s.After }

// selectStatement looks for each version once: OFFSET 0 keeps the planner from
// copying the call to where the version is used.
const selectStatement = `
SELECT a.id, a.code, a.asset_id, r.end_time, f.version, l.version,
       coalesce(first.balance, 0), coalesce(last.balance, 0)
  FROM accounts a
 CROSS JOIN LATERAL (SELECT least($3::timestamptz, now()) AS end_time) r
 CROSS JOIN LATERAL (SELECT account_version_before(a.id, $2, $4) AS version OFFSET 0) f
 CROSS JOIN LATERAL (SELECT account_version_before(a.id, r.end_time, $4) AS version OFFSET 0) l
  LEFT JOIN LATERAL (SELECT balance FROM account_entries WHERE account_id = a.id AND version = f.version) first ON true
  LEFT JOIN LATERAL (SELECT balance FROM account_entries WHERE account_id = a.id AND version = l.version) last ON true
 WHERE a.code = $1`

// ErrStatementRange says that a statement would begin at or after its end, or
// after now.
var ErrStatementRange = errors.New("a statement ends before it begins")

// Statement returns what a statement of an account from start on and before end is
// about; an end in the future counts as now. It fails with ErrAccountNotFound or
// ErrStatementRange. Its cost grows with the logarithm of the history.
func (l *Ledger) Statement(ctx context.Context, code string, start, end time.Time) (Statement, error) {
	s := Statement{Start: start}
	err := l.pool.QueryRow(ctx, selectStatement, code, start, end, firstPosition).
		Scan(&s.Account, &s.Code, &s.Asset, &s.End, &s.After, &s.Last, &s.Opening, &s.Closing)
	if errors.Is(err, pgx.ErrNoRows) {
		return Statement{}, fmt.Errorf("%w: %s", ErrAccountNotFound, code)
	}
	if err != nil {
		return Statement{}, fmt.Errorf("reading statement: %w", err)
	}
	if !s.Start.Before(s.End) {
		return Statement{}, ErrStatementRange
	}
	return s, nil
}

// StatementEntries reads a statement's entries, oldest first and in pages of size.
// It proves on the way that they lead from the opening to the closing balance: if
// they don't, it ends with ErrStatementBroken, and it has yielded none that
// doesn't follow from the one before. No connection is kept while a page is being
// looked at.
func (l *Ledger) StatementEntries(ctx context.Context, s *Statement, size int) iter.Seq2[[]AccountEntry, error] {
	return func(yield func([]AccountEntry, error) bool) {
		version, balance := s.After, s.Opening
		for version < s.Last {
			page, err := l.EntriesAfter(ctx, s.Account, version, int(min(int64(size), s.Last-version)))
			if err == nil {
				version, balance, err = follow(page, version, balance)
			}
			if err != nil {
				yield(nil, fmt.Errorf("reading the statement of %s: %w", s.Code, err))
				return
			}
			if !yield(page, nil) {
				return
			}
		}
		if balance != s.Closing {
			yield(nil, fmt.Errorf("%w: %s closes at %s, its entries at %s", ErrStatementBroken, s.Code, s.Closing, balance))
		}
	}
}

// ErrStatementBroken says that an account's entries don't add up to its balances.
var ErrStatementBroken = errors.New("the entries don't add up to the balance")

// follow goes along the entries of a page from the version and balance before it.
func follow(page []AccountEntry, version int64, balance Amount) (int64, Amount, error) {
	if len(page) == 0 {
		return 0, Amount{}, fmt.Errorf("%w: nothing follows version %d", ErrStatementBroken, version)
	}
	for i := range page {
		e := &page[i]
		sum, err := balance.Add(e.Amount)
		if err != nil || e.Version != version+1 || e.Balance != sum {
			return 0, Amount{}, fmt.Errorf("%w: version %d with %s follows version %d with %s",
				ErrStatementBroken, e.Version, e.Balance, version, balance)
		}
		version, balance = e.Version, sum
	}
	return version, balance, nil
}
