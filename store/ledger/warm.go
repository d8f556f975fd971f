package ledger

import (
	"context"
	"fmt"
)

// warm fills the cache with the numbers of the newest accounts, so that a
// replica that just started doesn't look each of them up on its own.
func (l *Ledger) warm(ctx context.Context) error {
	rows, err := l.pool.Query(ctx, `SELECT code, id, asset_id FROM accounts ORDER BY id DESC LIMIT $1`, l.cfg.CacheSize)
	if err != nil {
		return fmt.Errorf("reading accounts: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var code string
		var ref accountRef
		if err := rows.Scan(&code, &ref.id, &ref.asset); err != nil {
			return fmt.Errorf("reading accounts: %w", err)
		}
		l.refs.ContainsOrAdd(code, ref)
	}
	return rows.Err()
}
