package ledger_test

import (
	"errors"
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
			c.t.Errorf("a payment that was executed is now refused: %v", second)
		}
	}
}

func (c *town) untilDefinite(d *deed) error {
	c.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		err := c.do(d)
		if err == nil || errors.Is(err, ledger.ErrInsufficientFunds) {
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
	booked := c.readBooks()
	var acknowledged, refused, unexecuted, unknown int
	for _, d := range c.deeds {
		row, ok := booked[uuid.UUID(d.command.Key)]
		delete(booked, uuid.UUID(d.command.Key))
		if d.unknown {
			unknown++
		}
		switch {
		case d.id != uuid.Nil:
			acknowledged++
			if !ok || row != (bookedRow{d.id, d.from, d.to, -d.amount, d.amount}) {
				c.t.Errorf("a payment was acknowledged as %+v, the books say %+v", d, row)
			}
			continue
		case d.refused:
			refused++
		case d.unexecuted:
			unexecuted++
		}
		if ok {
			c.t.Errorf("a payment is in the books as %+v, its callers were told that it was not executed: %+v", row, d)
		}
	}
	if int64(len(booked)) != c.paid {
		c.t.Errorf("the books have %d transactions that nobody asked for", int64(len(booked))-c.paid)
	}
	c.verify()
	s := c.ledger().Stats()
	c.t.Logf("%d commands: %d acknowledged, %d refused, %d not executed; %d were unknown for a time, of which %d had been executed; "+
		"%d replays; %d lost commits, retries %v",
		len(c.deeds), acknowledged, refused, unexecuted, unknown, c.resolved, c.replays, s.Lost, s.Retries)
}

// bookedRow is a transaction of two entries.
type bookedRow struct {
	id                   uuid.UUID
	from, to             ledger.AccountID
	fromAmount, toAmount int64
}

// readBooks reads all transactions with a connection of its own. Their keys
// must differ even if no index saw to it.
func (c *town) readBooks() map[uuid.UUID]bookedRow {
	c.t.Helper()
	rows, err := c.superuser().Query(ctx, `
SELECT key_hash, id, a_account, b_account, a_amount::bigint, b_amount::bigint FROM transactions`)
	if err != nil {
		c.t.Fatal(err)
	}
	booked := map[uuid.UUID]bookedRow{}
	var key uuid.UUID
	var r bookedRow
	_, err = pgx.ForEachRow(rows, []any{&key, &r.id, &r.from, &r.to, &r.fromAmount, &r.toAmount}, func() error {
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
