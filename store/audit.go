package store

import (
	"context"

	"github.com/tillbook/tillbook/store/audit"
)

// Record writes audit records where these statements run: in their transaction if
// they have one.
func (q *Queries) Record(ctx context.Context, records ...audit.Record) error {
	return audit.Insert(ctx, q.db, records...)
}
