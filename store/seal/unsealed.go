package seal

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// selectUnsealed lists commits that aren't sealed, in the order of their transaction
// numbers, and of each whether all commits with lower numbers have ended.
const selectUnsealed = `
SELECT e.xid, e.id, CASE e.type WHEN 'ledger.committed' THEN 1 ELSE 2 END::smallint,
       coalesce(e.payload ->> 'first', e.payload ->> 'id')::uuid, coalesce(e.payload ->> 'last', e.payload ->> 'id')::uuid,
       coalesce((e.payload ->> 'count')::int, 1), e.create_time, e.xid < h.xmin
  FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin) h, events e
 WHERE e.xid >= $1 AND e.type IN ('ledger.committed', 'audit.recorded')
   AND NOT EXISTS (SELECT FROM log_batches b WHERE b.event_id = e.id)
 ORDER BY e.xid, e.id
 LIMIT $2`

// unsealed is a commit that isn't sealed.
type unsealed struct {
	batch
	final bool // nothing with a lower transaction number can commit any more
}

// sealable returns the commits that can be sealed now, in order, and the time of the
// oldest that isn't sealed.
func (s *Sealer) sealable(ctx context.Context, tx pgx.Tx, cursor int64) (batches []batch, oldest time.Time, err error) {
	limit := 2 * s.cfg.MaxBatches
	rows, err := tx.Query(ctx, selectUnsealed, cursor, limit)
	if err != nil {
		return nil, oldest, fmt.Errorf("reading events: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (u unsealed, err error) {
		err = row.Scan(&u.xid, &u.eventID, &u.kind, &u.first, &u.last, &u.count, &u.time, &u.final)
		return u, err
	})
	if err != nil {
		return nil, oldest, fmt.Errorf("reading events: %w", err)
	}
	if len(list) == 0 {
		return nil, oldest, nil
	}
	batches = choose(list, s.cfg.MaxBatches, len(list) == limit)
	return batches, list[0].time, readLeaves(ctx, tx, batches)
}

// choose returns what of a list of commits, in the order of their transaction
// numbers, can be sealed: in the order of their events, what is final and comes before
// everything that isn't. If there is more than was listed, its second half only serves
// to see how far the order of events differs from that of numbers, which is no further
// than the commits that ran at the same time.
func choose(list []unsealed, most int, cut bool) []batch {
	sealing := list
	if cut {
		sealing = list[:most]
	}
	var chosen []batch
	bound := int64(1<<63 - 1)
	for i := range list {
		if i < len(sealing) && list[i].final {
			chosen = append(chosen, list[i].batch)
		} else {
			bound = min(bound, list[i].eventID)
		}
	}
	slices.SortFunc(chosen, func(a, b batch) int { return cmp.Compare(a.eventID, b.eventID) })
	for i := range chosen {
		if chosen[i].eventID > bound || i == most {
			return chosen[:i]
		}
	}
	return chosen
}

// readLeaves adds the hashes that the commits left.
func readLeaves(ctx context.Context, tx pgx.Tx, batches []batch) error {
	xids, ids := make([]int64, len(batches)), make([]int64, len(batches))
	byEvent := make(map[int64]*batch, len(batches))
	for i := range batches {
		b := &batches[i]
		xids[i], ids[i], byEvent[b.eventID] = b.xid, b.eventID, b
	}
	rows, err := tx.Query(ctx, `
SELECT e.id, e.leaves FROM unnest($1::bigint[], $2::bigint[]) AS w (xid, id)
  JOIN events e ON e.xid = w.xid AND e.id = w.id`, xids, ids)
	if err != nil {
		return fmt.Errorf("reading leaves: %w", err)
	}
	var event int64
	var leaves []byte
	_, err = pgx.ForEachRow(rows, []any{&event, &leaves}, func() error {
		byEvent[event].leaves = slices.Clone(leaves)
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading leaves: %w", err)
	}
	return nil
}
