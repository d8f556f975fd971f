package stack

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// ask answers a query of one number at a database.
func ask(ctx context.Context, url, query string) (n int, err error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return 0, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	return n, conn.QueryRow(ctx, query).Scan(&n)
}
