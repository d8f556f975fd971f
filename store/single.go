package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// single runs statements that are transactions of their own, each where its context
// says, and takes a commit that may not be replicated for one whose outcome isn't
// known, as InTx does.
type single struct{ pool *pgxpool.Pool }

func (s single) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	defer conn.Release()
	var tag pgconn.CommandTag
	err = Replicated(conn.Conn(), func() (err error) {
		tag, err = conn.Exec(ctx, sql, args...)
		return err
	})
	return tag, err
}

func (s single) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	conn, err := PoolFor(ctx, s.pool).Acquire(ctx)
	if err != nil {
		return failedRows{err: err}, err
	}
	takeWarning(conn.Conn().PgConn())
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		conn.Release()
		return rows, err
	}
	return &singleRows{Rows: rows, conn: conn}, nil
}

func (s single) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	conn, err := PoolFor(ctx, s.pool).Acquire(ctx)
	if err != nil {
		return failedRows{err: err}
	}
	takeWarning(conn.Conn().PgConn())
	return singleRow{Row: conn.QueryRow(ctx, sql, args...), conn: conn}
}

// Replicated runs a transaction on a connection. If its commit came back with a
// warning, a failover may lose it: then the error wraps ErrOutcomeUnknown.
func Replicated(conn *pgx.Conn, run func() error) error {
	takeWarning(conn.PgConn())
	return unreplicated(conn, run())
}

func unreplicated(conn *pgx.Conn, err error) error {
	warning := takeWarning(conn.PgConn())
	if err != nil || warning == nil {
		return err
	}
	return fmt.Errorf("%w: %s", ErrOutcomeUnknown, warning.Message)
}

// singleRow gives its connection back when it is scanned, which happens once.
type singleRow struct {
	pgx.Row
	conn *pgxpool.Conn
}

func (r singleRow) Scan(dest ...any) error {
	done := false
	defer func() {
		if !done { // it panicked, in the middle of the answer
			_ = r.conn.Conn().Close(context.Background())
		}
		r.conn.Release()
	}()
	err := r.Row.Scan(dest...)
	done = true
	return unreplicated(r.conn.Conn(), err)
}

// singleRows gives its connection back at its end.
type singleRows struct {
	pgx.Rows
	conn *pgxpool.Conn
	err  error
}

func (r *singleRows) Close() {
	r.Rows.Close()
	if r.conn != nil {
		r.err = unreplicated(r.conn.Conn(), r.Rows.Err())
		r.conn.Release()
		r.conn = nil
	}
}

func (r *singleRows) Next() bool {
	if r.Rows.Next() {
		return true
	}
	r.Close()
	return false
}

func (r *singleRows) Err() error {
	if r.conn != nil {
		return r.Rows.Err()
	}
	return r.err
}

func (r *singleRows) Scan(dest ...any) error {
	err := r.Rows.Scan(dest...)
	if err != nil {
		r.Close()
	}
	return err
}

// failedRows is what a statement returns that found no connection.
type failedRows struct {
	pgx.Rows
	err error
}

func (failedRows) Close()              {}
func (failedRows) Next() bool          { return false }
func (r failedRows) Err() error        { return r.err }
func (r failedRows) Scan(...any) error { return r.err }
