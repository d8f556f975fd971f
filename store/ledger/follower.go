package ledger

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// follower reads the events from a moment on, each once.
//
// Transactions commit in another order than they got their numbers, so "newer
// than the last one seen" would skip what commits late. The follower stops
// short of the snapshot horizon instead: every transaction below it has ended,
// so what it reads there is all that there will ever be.
type follower struct {
	pool *pgxpool.Pool
	next int64 // the first transaction number not yet read; 0 before start
}

func newFollower(l *Ledger) *follower { return &follower{pool: l.pool} }

func (f *follower) started() bool { return f.next != 0 }

const (
	// It is behind the last event and no further: the numbers of transactions that
	// were rolled back may be given again after a failover.
	selectHorizon = `
SELECT coalesce(max(l.xid) + 1, 1) AS xmin
  FROM events l WHERE l.xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint`

	// One statement has one snapshot, so the horizon and the rows agree.
	selectEvents = `
SELECT h.xmin, e.type, e.subject, e.payload
  FROM (` + selectHorizon + `) h
  LEFT JOIN events e ON e.xid >= $1 AND e.xid < h.xmin
       AND e.type IN ('ledger.committed', 'ledger.held', 'account.opened')
       AND e.payload ->> 'replica' IS DISTINCT FROM $2
 ORDER BY e.xid, e.id`

	// Every account with an entry in one of the batches, each once.
	selectTouched = `
SELECT code FROM accounts WHERE id IN (
    SELECT x.account_id
      FROM unnest($1::uuid[], $2::uuid[]) AS batch (first, last)
      JOIN transactions t ON t.id BETWEEN batch.first AND batch.last
     CROSS JOIN LATERAL (
            SELECT t.a_account UNION ALL SELECT t.b_account UNION ALL
            SELECT m.account_id FROM more_entries m WHERE t.more > 0 AND m.transaction_id = t.id
     ) x (account_id))`
)

// maxBatchesRead bounds how many batches a poll looks into. After a pause that
// left more, it is cheaper that everybody looks for themselves.
const maxBatchesRead = 1000

// poll reads what is new, but for what replica committed, and tells the codes of
// the accounts concerned, or that it may concern everybody. Its first call only
// finds out where to begin.
func (f *follower) poll(ctx context.Context, replica uuid.UUID, changed func(codes []string), everybody func()) error {
	if !f.started() {
		if err := f.pool.QueryRow(ctx, selectHorizon).Scan(&f.next); err != nil {
			return fmt.Errorf("reading the horizon: %w", err)
		}
		return nil
	}
	horizon, codes, batches, err := f.read(ctx, replica)
	if err != nil {
		return err
	}
	switch {
	case len(batches) > maxBatchesRead:
		everybody()
	case len(batches) > 0:
		touched, err := f.touched(ctx, batches)
		if err != nil {
			return err
		}
		codes = append(codes, touched...)
	}
	changed(codes)
	f.next = horizon
	return nil
}

func (f *follower) read(ctx context.Context, replica uuid.UUID) (horizon int64, codes []string, batches []committed, err error) {
	rows, err := f.pool.Query(ctx, selectEvents, f.next, replica.String())
	if err != nil {
		return 0, nil, nil, fmt.Errorf("reading events: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var kind, subject *string
		var payload []byte
		if err := rows.Scan(&horizon, &kind, &subject, &payload); err != nil {
			return 0, nil, nil, fmt.Errorf("reading events: %w", err)
		}
		switch {
		case kind == nil: // nothing new
		case *kind == "account.opened":
			codes = append(codes, *subject)
		case *kind == "ledger.held":
			var h held
			if err := json.Unmarshal(payload, &h); err != nil {
				return 0, nil, nil, fmt.Errorf("reading a ledger.held event: %w", err)
			}
			codes = append(codes, h.Codes...)
		case *kind == "ledger.committed":
			var c committed
			if err := json.Unmarshal(payload, &c); err != nil {
				return 0, nil, nil, fmt.Errorf("reading a ledger.committed event: %w", err)
			}
			batches = append(batches, c)
		}
	}
	if err := rows.Err(); err != nil {
		return 0, nil, nil, fmt.Errorf("reading events: %w", err)
	}
	return horizon, codes, batches, nil
}

func (f *follower) touched(ctx context.Context, batches []committed) ([]string, error) {
	first, last := make([]uuid.UUID, len(batches)), make([]uuid.UUID, len(batches))
	for i, b := range batches {
		first[i], last[i] = b.First, b.Last
	}
	rows, err := f.pool.Query(ctx, selectTouched, first, last)
	if err != nil {
		return nil, fmt.Errorf("reading changed accounts: %w", err)
	}
	codes, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("reading changed accounts: %w", err)
	}
	return codes, nil
}
