package seal

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/tillbook/tillbook/store/canonical"
	"github.com/tillbook/tillbook/store/ledger"
)

// Errors of the log.
var (
	// ErrNotSealed says that a transaction isn't in the log yet.
	ErrNotSealed = errors.New("the transaction is not sealed yet")
	// ErrSize says that the log never had, or doesn't yet have, this size.
	ErrSize = errors.New("the log has no such size")
)

// Receipt proves that a transaction is in the log.
type Receipt struct {
	Leaf       []byte // the bytes that were sealed
	Index      int64  // its place in the log
	Proof      tlog.RecordProof
	Checkpoint string // signed
	// Opening shows what text was sealed; nil if there is none, or it was erased.
	Opening *ledger.Opening
	// Details are the opening's in the form in which they were hashed.
	Details []byte
}

// Log reads the log of a database.
type Log struct {
	pool *pgxpool.Pool
}

// NewLog returns the log of a database.
func NewLog(pool *pgxpool.Pool) *Log { return &Log{pool: pool} }

// Checkpoint returns the newest signed checkpoint; empty before the first.
func (l *Log) Checkpoint(ctx context.Context) (checkpoint string, size int64, err error) {
	err = l.pool.QueryRow(ctx, `SELECT checkpoint, size FROM log_head`).Scan(&checkpoint, &size)
	if err != nil {
		return "", 0, fmt.Errorf("reading the checkpoint: %w", err)
	}
	return checkpoint, size, nil
}

// Receipt returns the receipt of a transaction, or fails with ErrNotSealed or
// ledger.ErrTransactionNotFound.
func (l *Log) Receipt(ctx context.Context, transaction uuid.UUID) (Receipt, error) {
	var r Receipt
	err := pgx.BeginTxFunc(ctx, l.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		var in ranges
		in.add(transaction, transaction)
		list, err := transactions(ctx, tx, in)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return fmt.Errorf("%w: %s", ledger.ErrTransactionNotFound, transaction)
		}
		if list[0].problem != nil {
			return fmt.Errorf("the leaf of transaction %s: %w", transaction, list[0].problem)
		}
		var firstLeaf, size int64
		var firstID, lastID uuid.UUID
		err = tx.QueryRow(ctx, `
SELECT b.first_leaf, b.first_id, b.last_id, h.size, h.checkpoint
  FROM log_head h, log_batches b WHERE b.kind = 1 AND b.first_id <= $1 ORDER BY b.first_id DESC LIMIT 1`, transaction).
			Scan(&firstLeaf, &firstID, &lastID, &size, &r.Checkpoint)
		switch {
		case errors.Is(err, pgx.ErrNoRows), err == nil && lastID.String() < transaction.String():
			return ErrNotSealed
		case err != nil:
			return fmt.Errorf("finding a leaf: %w", err)
		}
		r.Leaf, r.Opening, r.Index = list[0].leaf, list[0].opening, firstLeaf+minus(transaction, firstID)
		if r.Opening != nil && len(r.Opening.Details) > 0 {
			if r.Details, err = canonical.JSON(nil, r.Opening.Details); err != nil {
				return err
			}
		}
		r.Proof, err = tlog.ProveRecord(size, r.Index, reader(ctx, tx))
		return err
	})
	return r, err
}

// Consistency proves that the log of one size begins with that of an older one. It
// fails with ErrSize.
func (l *Log) Consistency(ctx context.Context, older, newer int64) (tlog.TreeProof, error) {
	_, size, err := l.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	if older < 1 || newer < older || newer > size {
		return nil, fmt.Errorf("%w: from %d to %d of %d", ErrSize, older, newer, size)
	}
	return tlog.ProveTree(newer, older, reader(ctx, l.pool))
}

// Tile returns the hashes of a tile, in the form in which tiles are served, or
// nothing if the log has no such tile. A width below that of a full tile asks for
// its beginning.
func (l *Log) Tile(ctx context.Context, level int, index int64, width int) ([]byte, error) {
	id := tileID{level, index}
	tiles, err := loadTiles(ctx, l.pool, []tileID{id})
	if err != nil || len(tiles[id]) < width {
		return nil, err
	}
	return join(tiles[id][:width]), nil
}
