package store

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"
)

type readingKey struct{}

// Reading returns a context in which what is read outside of transactions, by
// Queries and by the ledger, is read on s instead of where it would be otherwise.
// Transactions and Exec stay where they are.
func (s *Store) Reading(ctx context.Context) context.Context {
	return context.WithValue(ctx, readingKey{}, s.Pool)
}

// PoolFor returns the pool on which to read: that of Reading, or the usual one.
func PoolFor(ctx context.Context, usual *pgxpool.Pool) *pgxpool.Pool {
	if pool, ok := ctx.Value(readingKey{}).(*pgxpool.Pool); ok {
		return pool
	}
	return usual
}
