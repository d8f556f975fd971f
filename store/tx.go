package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tillbook/tillbook/store/cause"
)

const (
	maxAttempts     = 5
	firstBackoff    = 5 * time.Millisecond
	commitTimeout   = 10 * time.Second
	rollbackTimeout = 5 * time.Second
)

// begin opens a transaction in one round trip. The statement timeout must stay
// longer than commitTimeout: a COMMIT is then given up by its caller, who knows
// what that means, before the server can cancel it.
const begin = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = '30s'"

// beginFor is begin, and in a call that is traced what has new rows name its trace.
func beginFor(ctx context.Context) string {
	if text := cause.Text(cause.Of(ctx)); text != "" {
		return begin + "; SET LOCAL " + cause.Setting + " = '" + text + "'"
	}
	return begin
}

// NameTrace has what a transaction writes from here on name the trace of ctx, for a
// job that learns only in its transaction what caused it.
func NameTrace(ctx context.Context, tx pgx.Tx) error {
	text := cause.Text(cause.Of(ctx))
	if text == "" {
		return nil
	}
	if _, err := tx.Exec(ctx, `SELECT set_config('`+cause.Setting+`', $1, true)`, text); err != nil {
		return fmt.Errorf("naming a transaction's trace: %w", err)
	}
	return nil
}

// InTx runs f in a transaction (READ COMMITTED) and commits it if f returns nil.
// After a deadlock or a serialization failure it runs f again, a few times at
// most, so f must have no effect outside the transaction. What f returns comes
// back as it is.
//
// A context that ends before the COMMIT rolls back; the COMMIT itself runs on,
// under a deadline of its own. If its answer is lost the error is
// ErrOutcomeUnknown.
func (s *Store) InTx(ctx context.Context, f func(ctx context.Context, q *Queries, tx pgx.Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := s.once(ctx, f)
		if err == nil || attempt == maxAttempts || errors.Is(err, ErrOutcomeUnknown) ||
			!isCode(err, codeSerializationFailure, codeDeadlock) {
			return err
		}
		if err := sleep(ctx, jitter(firstBackoff<<attempt)); err != nil {
			return err
		}
	}
}

func (s *Store) once(ctx context.Context, f func(ctx context.Context, q *Queries, tx pgx.Tx) error) (err error) {
	// The connection is held by hand, since the pool's own transactions give it
	// back inside Commit, before its warnings are read.
	conn, err := s.Pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer conn.Release()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: beginFor(ctx)})
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	committing := false
	defer func() {
		if !committing {
			rollback(ctx, tx)
		}
	}()
	if err := f(ctx, New(translating{tx}), tx); err != nil {
		return translate(err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	committing = true
	return commit(ctx, tx)
}

// rollback also runs when f panics. A connection on which it fails is closed by
// the pool, which ends the transaction too.
func rollback(ctx context.Context, tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	_ = tx.Rollback(ctx)
}

func commit(ctx context.Context, tx pgx.Tx) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	conn := tx.Conn().PgConn()
	takeWarning(conn)
	defer Committing(conn)()
	err := tx.Commit(ctx)
	return commitError(err, takeWarning(conn))
}

// commitError says what the answer to a COMMIT means: nil if it was committed;
// an error that wraps ErrOutcomeUnknown if that can't be known; any other error
// if it was certainly not committed.
//
// A warning counts as unknown: it is how PostgreSQL says that the wait for a
// synchronous standby was cut short, after which a failover may lose the
// transaction.
func commitError(err error, warning *pgconn.Notice) error {
	switch {
	case err == nil && warning == nil:
		return nil
	case err == nil:
		return fmt.Errorf("%w: %s", ErrOutcomeUnknown, warning.Message)
	case errors.Is(err, pgx.ErrTxCommitRollback), errors.Is(err, pgx.ErrTxClosed), pgconn.SafeToRetry(err), refusesCommit(err):
		return fmt.Errorf("commit: %w", translate(err))
	default:
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
}

// refusesCommit tells the errors by which a server that is alive says that it
// rolled back instead: a deferred constraint or a conflict.
func refusesCommit(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code == codeStatementUnknown {
		return false
	}
	return strings.HasPrefix(pg.Code, "23") || strings.HasPrefix(pg.Code, "40")
}

// lastWarning is a key of a connection's custom data.
const lastWarning = "tillbook.warning"

// rememberWarning keeps what takeWarning returns.
func rememberWarning(conn *pgconn.PgConn, notice *pgconn.Notice) {
	if notice.Code == codeWarning {
		conn.CustomData()[lastWarning] = notice
	}
}

// takeWarning returns the last warning that came on the connection since it was
// asked before, or nil.
func takeWarning(conn *pgconn.PgConn) *pgconn.Notice {
	data := conn.CustomData()
	notice, _ := data[lastWarning].(*pgconn.Notice)
	delete(data, lastWarning)
	return notice
}

// jitter spreads out those who collided once, so that they don't meet again.
func jitter(limit time.Duration) time.Duration {
	return 1 + rand.N(limit)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
