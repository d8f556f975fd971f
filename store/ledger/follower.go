package ledger

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/trace"

	"github.com/tillbook/tillbook/store/cause"
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

func newFollower(l *Ledger) *follower { return &follower{pool: l.cfg.Events} }

func (f *follower) started() bool { return f.next != 0 }

const (
	// It is behind the last event and no further: the numbers of transactions that
	// were rolled back may be given again after a failover.
	selectHorizon = `
SELECT coalesce(max(l.xid) + 1, 1) AS xmin
  FROM events l WHERE l.xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint`

	// One statement has one snapshot, so the horizon and the rows agree.
	selectEvents = `
SELECT h.xmin, e.type, e.subject, e.payload, e.trace
  FROM (` + selectHorizon + `) h
  LEFT JOIN events e ON e.xid >= $1 AND e.xid < h.xmin
       AND e.type IN ('ledger.committed', 'ledger.held', 'account.opened')
       AND e.payload ->> 'replica' IS DISTINCT FROM $2
 ORDER BY e.xid, e.id`

	// Every account with an entry in one of the batches, once for each trace that
	// caused one of them; empty for those of none.
	selectTouched = `
SELECT a.code, touched.trace
  FROM (SELECT DISTINCT x.account_id, batch.trace
          FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS batch (first, last, trace)
          JOIN transactions t ON t.id BETWEEN batch.first AND batch.last
         CROSS JOIN LATERAL (
                SELECT t.a_account UNION ALL SELECT t.b_account UNION ALL
                SELECT m.account_id FROM more_entries m WHERE t.more > 0 AND m.transaction_id = t.id
         ) x (account_id)) AS touched
  JOIN accounts a ON a.id = touched.account_id`
)

// maxBatchesRead bounds how many batches a poll looks into. After a pause that
// left more, it is cheaper that everybody looks for themselves.
const maxBatchesRead = 1000

// touch is what one trace, or none, has changed.
type touch struct {
	codes []string // of accounts
	trace string
}

// poll reads what is new, but for what replica committed, and tells the codes of
// the accounts concerned, or that it may concern everybody. Its first call only
// finds out where to begin.
func (f *follower) poll(ctx context.Context, replica uuid.UUID, changed func(codes []string, by trace.SpanContext), everybody func()) error {
	if !f.started() {
		if err := f.pool.QueryRow(ctx, selectHorizon).Scan(&f.next); err != nil {
			return fmt.Errorf("reading the horizon: %w", err)
		}
		return nil
	}
	news, err := f.read(ctx, replica)
	if err != nil {
		return err
	}
	switch {
	case len(news.batches) > maxBatchesRead:
		everybody()
	case len(news.batches) > 0:
		if err := f.touched(ctx, news); err != nil {
			return err
		}
	}
	for _, c := range news.changes {
		changed(c.codes, cause.Parse(c.trace))
	}
	f.next = news.horizon
	return nil
}

// news is what a poll has read.
type news struct {
	horizon int64
	changes []touch
	batches []committed
	traces  []string // of the batches
}

func (f *follower) read(ctx context.Context, replica uuid.UUID) (*news, error) {
	rows, err := f.pool.Query(ctx, selectEvents, f.next, replica.String())
	if err != nil {
		return nil, fmt.Errorf("reading events: %w", err)
	}
	defer rows.Close()
	n := &news{}
	for rows.Next() {
		var kind, subject, trace *string
		var payload []byte
		if err := rows.Scan(&n.horizon, &kind, &subject, &payload, &trace); err != nil {
			return nil, fmt.Errorf("reading events: %w", err)
		}
		if kind == nil { // nothing new
			continue
		}
		if trace == nil {
			trace = new(string)
		}
		if err := n.add(*kind, *subject, payload, *trace); err != nil {
			return nil, fmt.Errorf("reading a %s event: %w", *kind, err)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading events: %w", err)
	}
	return n, nil
}

func (n *news) add(kind, subject string, payload []byte, trace string) error {
	switch kind {
	case "account.opened":
		n.changes = append(n.changes, touch{[]string{subject}, trace})
	case "ledger.held":
		var h held
		if err := json.Unmarshal(payload, &h); err != nil {
			return err
		}
		n.changes = append(n.changes, touch{h.Codes, trace})
	case "ledger.committed":
		var c committed
		if err := json.Unmarshal(payload, &c); err != nil {
			return err
		}
		n.batches, n.traces = append(n.batches, c), append(n.traces, trace)
	}
	return nil
}

// touched adds what the batches changed.
func (f *follower) touched(ctx context.Context, n *news) error {
	first, last := make([]uuid.UUID, len(n.batches)), make([]uuid.UUID, len(n.batches))
	for i, b := range n.batches {
		first[i], last[i] = b.First, b.Last
	}
	rows, err := f.pool.Query(ctx, selectTouched, first, last, n.traces)
	if err != nil {
		return fmt.Errorf("reading changed accounts: %w", err)
	}
	var code, trace string
	byTrace := make(map[string][]string)
	_, err = pgx.ForEachRow(rows, []any{&code, &trace}, func() error {
		byTrace[trace] = append(byTrace[trace], code)
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading changed accounts: %w", err)
	}
	for trace, codes := range byTrace {
		n.changes = append(n.changes, touch{codes, trace})
	}
	return nil
}
