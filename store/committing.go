package store

import (
	"context"
	"errors"
	"net"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// committingKey is a key of a connection's custom data.
const committingKey = "tillbook.committing"

var errCommitting = errors.New("a COMMIT is not canceled")

// Committing says that a COMMIT is about to be sent on a connection; call the result
// when that is over.
//
// A driver that gives a connection up asks PostgreSQL, on another one, to cancel what
// it may be executing. A COMMIT that waits for its standbys would then stop waiting
// and show everybody what a failover may still lose: a stream would tell of a payment
// that never was. Left alone it stays unseen until a standby has it.
func Committing(conn *pgconn.PgConn) (over func()) {
	committing, ok := conn.CustomData()[committingKey].(*atomic.Bool)
	if !ok {
		return func() {} // the connection of another pool
	}
	committing.Store(true)
	return func() {
		if !conn.IsClosed() { // else the driver cancels, now or a little later
			committing.Store(false)
		}
	}
}

// neverCancelCommits makes Committing work for a pool's connections. A connection that
// is there dials only to cancel.
func neverCancelCommits(config *pgxpool.Config) {
	config.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		committing := new(atomic.Bool)
		dial := c.DialFunc
		c.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			if committing.Load() {
				return nil, errCommitting
			}
			return dial(ctx, network, address)
		}
		c.AfterConnect = func(_ context.Context, conn *pgconn.PgConn) error {
			conn.CustomData()[committingKey] = committing
			return nil
		}
		return nil
	}
}
