package ledger

import (
	"context"
	"fmt"

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
	if err != nil {
		return nil, fmt.Errorf("reading the trial balance: %w", err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowToStructByPos[TrialBalanceLine])
	if err != nil {
		return nil, fmt.Errorf("reading the trial balance: %w", err)
	}
	return lines, nil
}
