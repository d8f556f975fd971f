package seal

import (
	"bytes"
	"cmp"
	"fmt"
	"sort"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// selectUncovered finds rows that no sealed batch covers. Each row costs a look-up,
// since a count can be made to fit.
const selectUncovered = `
SELECT 1::smallint, t.id FROM transactions t
 WHERE NOT coalesce((SELECT b.last_id >= t.id FROM log_batches b
                      WHERE b.kind = 1 AND b.first_id <= t.id ORDER BY b.first_id DESC LIMIT 1), false)
UNION ALL
SELECT 2::smallint, r.id FROM audit_records r
 WHERE NOT EXISTS (SELECT FROM log_batches b WHERE b.kind = 2 AND b.first_id = r.id)`

// selectTail finds what commits announced that aren't sealed yet.
const selectTail = `
SELECT CASE e.type WHEN 'ledger.committed' THEN 1 ELSE 2 END::smallint,
       coalesce(e.payload ->> 'first', e.payload ->> 'id')::uuid, coalesce((e.payload ->> 'count')::bigint, 1)
  FROM events e
 WHERE e.type IN ('ledger.committed', 'audit.recorded')
   AND NOT EXISTS (SELECT FROM log_batches b WHERE b.event_id = e.id)
 ORDER BY 1, 2`

// selectPassedOver finds commits below the cursor that aren't sealed, and sealed
// ones whose event is gone.
const selectPassedOver = `
SELECT 'event ' || e.id, 'was passed over'
  FROM events e, log_head h
 WHERE e.xid < h.cursor AND e.type IN ('ledger.committed', 'audit.recorded')
   AND NOT EXISTS (SELECT FROM log_batches b WHERE b.event_id = e.id)
UNION ALL
SELECT 'event ' || b.event_id, 'is gone, but leaf ' || b.first_leaf || ' came from it'
  FROM log_batches b WHERE NOT EXISTS (SELECT FROM events e WHERE e.id = b.event_id)`

// announcement is what one commit said that it made.
type announcement struct {
	Kind  int16
	First uuid.UUID
	Count int64
}

// announced finds rows that no commit announced, and commits that were passed over.
func (c *checker) announced() error {
	rows, err := c.tx.Query(c.ctx, selectTail)
	if err != nil {
		return fmt.Errorf("reading what isn't sealed: %w", err)
	}
	tail, err := pgx.CollectRows(rows, pgx.RowToStructByPos[announcement])
	if err != nil {
		return fmt.Errorf("reading what isn't sealed: %w", err)
	}
	if rows, err = c.tx.Query(c.ctx, selectUncovered); err != nil {
		return fmt.Errorf("finding what was not announced: %w", err)
	}
	var kind int16
	var which uuid.UUID
	_, err = pgx.ForEachRow(rows, []any{&kind, &which}, func() error {
		if !covers(tail, kind, which) {
			c.report("log_unsealed", subjectOf(kind, which), "is there, but no commit made it")
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("finding what was not announced: %w", err)
	}
	return c.passedOver()
}

// covers tells whether one of the announcements, which are in order, is of a row.
func covers(tail []announcement, kind int16, which uuid.UUID) bool {
	after := sort.Search(len(tail), func(i int) bool {
		return cmp.Or(cmp.Compare(tail[i].Kind, kind), bytes.Compare(tail[i].First[:], which[:])) > 0
	})
	if after == 0 || tail[after-1].Kind != kind {
		return false
	}
	last := plus(tail[after-1].First, tail[after-1].Count-1)
	return bytes.Compare(which[:], last[:]) <= 0
}

func (c *checker) passedOver() error {
	rows, err := c.tx.Query(c.ctx, selectPassedOver)
	if err != nil {
		return fmt.Errorf("finding what was passed over: %w", err)
	}
	var subject, detail string
	_, err = pgx.ForEachRow(rows, []any{&subject, &detail}, func() error {
		c.report("log_gap", subject, "%s", detail)
		return nil
	})
	return err
}
