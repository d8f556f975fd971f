package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// TrialBalanceLine sums one asset over the accounts of one class: the first
// part of their codes, such as "user". The lines of an asset sum to zero.
type TrialBalanceLine struct {
	Asset    AssetID
	Class    string
	Accounts int64
	Balance  Amount
}

// TrialBalance sums all balances at one moment, ordered by asset code and
// class.
func (l *Ledger) TrialBalance(ctx context.Context) ([]TrialBalanceLine, error) {
	rows, err := l.pool.Query(ctx, `
SELECT a.asset_id, split_part(a.code, '/', 1), count(*), sum(a.balance)
  FROM accounts a JOIN assets s ON s.id = a.asset_id
 GROUP BY s.code, a.asset_id, split_part(a.code, '/', 1)
 ORDER BY s.code, 2`)
	return trialBalanceLines(rows, err)
}

// selectTrialBalanceAt looks an account's history up only if it has newer entries
// than the moment: the others have the balance that they had then, and no entry has
// the version NULL.
const selectTrialBalanceAt = `
SELECT a.asset_id, split_part(a.code, '/', 1), count(*),
       sum(CASE WHEN a.last_time <= $1 THEN a.balance ELSE coalesce(e.balance, 0) END)
  FROM accounts a
  JOIN assets s ON s.id = a.asset_id
  LEFT JOIN LATERAL (
       SELECT balance FROM account_entries
        WHERE account_id = a.id
          AND version = CASE WHEN a.last_time > $1 THEN account_version_before(a.id, $1, $2) END
  ) e ON true
 WHERE a.create_time <= $1 OR e.balance IS NOT NULL OR (a.version > 0 AND a.last_time <= $1)
 GROUP BY s.code, a.asset_id, split_part(a.code, '/', 1)
 ORDER BY s.code, 2`

// TrialBalanceAt sums all balances as they were at a moment, entries committed at
// that moment included. Accounts that were opened later are left out, unless
// entries were imported into them that happened before. Its cost grows with the
// number of accounts and the logarithm of their histories.
func (l *Ledger) TrialBalanceAt(ctx context.Context, at time.Time) ([]TrialBalanceLine, error) {
	rows, err := l.pool.Query(ctx, selectTrialBalanceAt, at, lastPosition)
	return trialBalanceLines(rows, err)
}

func trialBalanceLines(rows pgx.Rows, err error) ([]TrialBalanceLine, error) {
	if err != nil {
		return nil, fmt.Errorf("reading the trial balance: %w", err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowToStructByPos[TrialBalanceLine])
	if err != nil {
		return nil, fmt.Errorf("reading the trial balance: %w", err)
	}
	return lines, nil
}
