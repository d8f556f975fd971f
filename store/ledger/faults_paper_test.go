package ledger_test

import (
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store/ledger"
)

// addUp does on paper what was acknowledged, and returns the holds. Whatever the
// order in which that was executed, it adds up to the same: a hold that was voided,
// captured for the last time or to its end has ended, since nothing can follow.
func (c *town) addUp() map[uuid.UUID]*paperHold {
	c.t.Helper()
	purses, holds, back := map[ledger.AccountID]*purse{}, map[uuid.UUID]*paperHold{}, map[*errand]int64{}
	for _, p := range c.people {
		p.balance, p.held = townMoney, 0
		purses[p.id] = p
	}
	for _, d := range c.deeds {
		if !d.executed {
			continue
		}
		for _, s := range d.errands {
			for _, m := range s.moves {
				if m.amount != 0 {
					purses[m.account].balance += m.amount
				}
			}
			if s.hold != nil {
				holds[s.hold.id] = s.hold
				c.addHold(s)
			}
			if s.original != nil {
				back[s.original] += s.amount
			}
		}
	}
	for original, amount := range back {
		if amount > original.amount {
			c.t.Errorf("%d was given back of %d", amount, original.amount)
		}
	}
	for _, h := range holds {
		if h.state == ledger.HoldOpen && h.captured == h.most() {
			h.state = ledger.HoldCaptured
		}
	}
	return holds
}

// addHold adds what was done to a hold to what it is.
func (c *town) addHold(s *errand) {
	c.t.Helper()
	h, end := s.hold, ledger.HoldOpen
	switch s.operation {
	case ledger.HoldCreate, ledger.HoldIncrease:
		h.amount += s.amount
	case ledger.HoldCapture:
		h.captured += s.amount
		if s.final {
			end = ledger.HoldCaptured
		}
	case ledger.HoldVoid:
		end = ledger.HoldVoided
	}
	if end == ledger.HoldOpen {
		return
	}
	if h.state != ledger.HoldOpen {
		c.t.Errorf("hold %s ended twice", h.id)
	}
	h.state = end
}

// anyDue tells whether a hold is open although its time is over, or will be soon.
func (c *town) anyDue(conn *pgx.Conn) (due bool) {
	c.t.Helper()
	err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM holds WHERE state = 1 AND expire_time < now() + interval '10 s')`).Scan(&due)
	if err != nil {
		c.t.Fatal(err)
	}
	return due
}

// compareHolds takes out of the books how holds expired, and compares holds and
// accounts with the paper.
func (c *town) compareHolds(conn *pgx.Conn, holds map[uuid.UUID]*paperHold, booked map[ledger.Key]bookedRow) {
	c.t.Helper()
	for key, row := range booked {
		h := holds[row.hold]
		if h == nil || row.operation != ledger.HoldExpire {
			continue
		}
		if h.state != ledger.HoldOpen {
			c.t.Errorf("hold %s expired after it had ended", h.id)
		}
		h.state = ledger.HoldExpired
		delete(booked, key)
	}
	for _, h := range holds {
		h.of.held += h.remaining()
	}
	var id uuid.UUID
	var amount, captured int64
	var state ledger.HoldState
	found := 0
	c.eachRow(conn, `SELECT id, amount::bigint, captured::bigint, state FROM holds`, []any{&id, &amount, &captured, &state}, func() {
		found++
		if h := holds[id]; h == nil {
			c.t.Errorf("hold %s is not on paper", id)
		} else if h.amount != amount || h.captured != captured || h.state != state {
			c.t.Errorf("of hold %s %d of %d are captured, in state %d; on paper %d of %d, in state %d",
				id, captured, amount, state, h.captured, h.amount, h.state)
		}
	})
	if found != len(holds) {
		c.t.Errorf("there are %d holds, on paper %d", found, len(holds))
	}
	c.comparePurses(conn)
}

func (c *town) comparePurses(conn *pgx.Conn) {
	c.t.Helper()
	for _, p := range c.people {
		var balance, held int64
		c.eachRow(conn, `SELECT balance::bigint, held::bigint FROM accounts WHERE code = '`+p.code+`'`, []any{&balance, &held}, func() {})
		if balance != p.balance || held != p.held {
			c.t.Errorf("%s has %d, held %d; on paper %d, held %d", p.code, balance, held, p.balance, p.held)
		}
	}
}

func (c *town) eachRow(conn *pgx.Conn, query string, into []any, do func()) {
	c.t.Helper()
	rows, err := conn.Query(ctx, query)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := pgx.ForEachRow(rows, into, func() error { do(); return nil }); err != nil {
		c.t.Fatal(err)
	}
}
