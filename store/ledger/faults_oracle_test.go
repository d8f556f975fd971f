package ledger_test

import (
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store/ledger"
)

// settle asks again about everything that was left unknown, now that nothing is
// broken, until there is an answer; and once more, which must give the same.
func (c *town) settle() {
	c.t.Helper()
	for _, d := range slices.Clone(c.deeds) {
		if !d.unknown {
			continue
		}
		before := c.replays
		first := c.untilDefinite(d)
		if first == nil && c.replays > before {
			c.resolved++
		}
		if second := c.untilDefinite(d); (first == nil) != (second == nil) && first == nil {
			c.t.Errorf("what was executed is now refused: %v", second)
		}
	}
}

func (c *town) untilDefinite(d *deed) error {
	c.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		err := c.do(d)
		if err == nil || isRefusal(err) {
			return err
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("an unknown outcome can't be resolved: %v", err)
		}
	}
}

// check compares what the callers were told with the books, and reports.
func (c *town) check() {
	c.t.Helper()
	c.settle()
	conn := c.superuser()
	waitFor(c.t, "holds to expire", func() bool { return !c.anyDue(conn) })
	booked := c.readBooks()
	var acknowledged, refused, unexecuted, unknown int
	for _, d := range c.deeds {
		c.compareDeed(d, booked)
		if d.unknown {
			unknown++
		}
		switch {
		case d.executed:
			acknowledged++
		case d.refused:
			refused++
		case d.unexecuted:
			unexecuted++
		}
	}
	c.compareHolds(conn, c.addUp(), booked)
	if int64(len(booked)) != c.paid {
		c.t.Errorf("the books have %d commands that nobody asked for", int64(len(booked))-c.paid)
	}
	c.verify()
	s := c.ledger().Stats()
	c.t.Logf("%d deeds: %d acknowledged, %d refused, %d not executed; %d were unknown for a time, of which %d had been executed; "+
		"%d replays; %d lost commits, retries %v",
		len(c.deeds), acknowledged, refused, unexecuted, unknown, c.resolved, c.replays, s.Lost, s.Retries)
}

// compareDeed takes a deed's commands out of the books, which must have them as
// its callers were told.
func (c *town) compareDeed(d *deed, booked map[ledger.Key]bookedRow) {
	c.t.Helper()
	for _, s := range d.errands {
		row, ok := booked[s.key]
		delete(booked, s.key)
		switch {
		case d.executed && row != s.told:
			c.t.Errorf("a command was acknowledged as %+v, the books say %+v", s.told, row)
		case ok && !d.executed:
			c.t.Errorf("a command is in the books as %+v, its callers were told that it was not executed: %+v", row, d)
		}
	}
}

// bookedRow is what the books have under a key: a transaction, what was done to a
// hold and how that left it, or both.
type bookedRow struct {
	transaction      uuid.UUID
	moves            [2]move
	hold             uuid.UUID
	operation        ledger.HoldOperation
	amount, captured int64
	state            ledger.HoldState
}

// rowOf is the row that a result speaks of.
func (c *town) rowOf(s *errand, r *ledger.Result) bookedRow {
	row := bookedRow{
		transaction: r.Transaction.ID, hold: r.Hold.ID, operation: s.operation, state: r.Hold.State,
		amount: integer(c.t, r.Hold.Amount), captured: integer(c.t, r.Hold.Captured),
	}
	for i, e := range r.Transaction.Entries {
		row.moves[i] = move{e.Account, integer(c.t, e.Amount)}
	}
	return row
}

// readBooks reads all that was executed with a connection of its own. The keys
// must differ even if no index saw to it.
func (c *town) readBooks() map[ledger.Key]bookedRow {
	c.t.Helper()
	rows, err := c.superuser().Query(ctx, `
SELECT coalesce(t.key_hash, o.key_hash), coalesce(t.id, $1), coalesce(t.a_account, 0), coalesce(t.a_amount, 0)::bigint,
       coalesce(t.b_account, 0), coalesce(t.b_amount, 0)::bigint,
       coalesce(o.hold_id, $1), coalesce(o.kind, 0), coalesce(o.amount, 0)::bigint, coalesce(o.captured, 0)::bigint, coalesce(o.state, 0)
  FROM transactions t FULL JOIN hold_operations o ON o.transaction_id = t.id`, uuid.Nil)
	if err != nil {
		c.t.Fatal(err)
	}
	booked := map[ledger.Key]bookedRow{}
	var key [16]byte
	var r bookedRow
	from, to := &r.moves[0], &r.moves[1]
	_, err = pgx.ForEachRow(rows, []any{
		&key, &r.transaction, &from.account, &from.amount, &to.account, &to.amount, &r.hold, &r.operation, &r.amount, &r.captured, &r.state,
	}, func() error {
		if other, ok := booked[key]; ok {
			c.t.Errorf("a key was executed twice: %+v and %+v", other, r)
		}
		booked[key] = r
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return booked
}

// inBooks tells how many of the deeds' commands are in the books.
func (c *town) inBooks(deeds []*deed) (n int) {
	c.t.Helper()
	booked := c.readBooks()
	for _, d := range deeds {
		for _, s := range d.errands {
			if _, ok := booked[s.key]; ok {
				n++
			}
		}
	}
	return n
}
