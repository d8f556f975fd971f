package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

const (
	selectHolds = `
SELECT h.id, h.account_id, a.code, a.asset_id, h.amount, h.captured, h.excess_bps, h.state, h.reference,
       h.create_time, h.expire_time, coalesce(h.close_time, '-infinity'), h.operations
  FROM holds h JOIN accounts a ON a.id = h.account_id`

	readHolds = selectHolds + ` WHERE h.id = ANY ($1::uuid[])`

	insertHolds = `
INSERT INTO holds (id, account_id, amount, captured, excess_bps, state, operations, reference, create_time, expire_time, close_time)
SELECT h.id, h.account_id, h.amount, h.captured, h.excess_bps, h.state, h.operations, h.reference, h.create_time, h.expire_time, h.close_time
  FROM unnest($1::uuid[], $2::bigint[], $3::numeric[], $4::numeric[], $5::int[], $6::smallint[], $7::int[], $8::text[],
              $9::timestamptz[], $10::timestamptz[], $11::timestamptz[])
    AS h (id, account_id, amount, captured, excess_bps, state, operations, reference, create_time, expire_time, close_time)`

	updateHolds = `
UPDATE holds h
   SET amount = n.amount, captured = n.captured, state = n.state, operations = n.operations, close_time = n.close_time
  FROM unnest($1::uuid[], $2::numeric[], $3::numeric[], $4::smallint[], $5::int[], $6::timestamptz[])
    AS n (id, amount, captured, state, operations, close_time)
 WHERE h.id = n.id`

	insertOperations = `
INSERT INTO hold_operations (hold_id, position, kind, account_id, held_change, amount, captured, state,
                             counted_amount, counted_number, counted_time, transaction_id, key_hash, fingerprint, create_time)
SELECT o.*, $15::timestamptz
  FROM unnest($1::uuid[], $2::int[], $3::smallint[], $4::bigint[], $5::numeric[], $6::numeric[], $7::numeric[], $8::smallint[],
              $9::numeric[], $10::int[], $11::timestamptz[], $12::uuid[], $13::uuid[], $14::bytea[]) AS o`
)

// scanHoldRow reads a row of selectHolds.
func scanHoldRow(row pgx.CollectableRow) (Hold, error) {
	var h Hold
	var closeTime timeOrInfinity
	err := row.Scan(&h.ID, &h.Account, &h.Code, &h.Asset, &h.Amount, &h.Captured, &h.ExcessBPS, &h.State, &h.Reference,
		&h.CreateTime, &h.ExpireTime, &closeTime, &h.operations)
	h.CloseTime = time.Time(closeTime)
	return h, err
}

func (b *batch) scanHold(rows pgx.Rows) error {
	h, err := scanHoldRow(rows)
	if err != nil {
		return err
	}
	if b.holds == nil {
		b.holds = make(map[uuid.UUID]Hold)
	}
	b.holds[h.ID] = h
	return nil
}

// Hold returns a hold as it is now, or ErrHoldNotFound. One whose time is over
// may still say that it is open; nothing can be done with it.
func (l *Ledger) Hold(ctx context.Context, id uuid.UUID) (Hold, error) {
	rows, err := l.pool.Query(ctx, selectHolds+` WHERE h.id = $1`, id)
	if err != nil {
		return Hold{}, fmt.Errorf("reading a hold: %w", err)
	}
	h, err := pgx.CollectExactlyOneRow(rows, scanHoldRow)
	if errors.Is(err, pgx.ErrNoRows) {
		return Hold{}, fmt.Errorf("%w: %s", ErrHoldNotFound, id)
	}
	if err != nil {
		return Hold{}, fmt.Errorf("reading a hold: %w", err)
	}
	return h, nil
}

// HoldsQuery asks for holds in some accounts, newest first.
type HoldsQuery struct {
	Accounts []AccountID
	State    HoldState // only in this state; 0 for all
	Before   uuid.UUID // only with lower ids, which are older; zero for the newest
	Limit    int       // at most so many
}

// Holds returns holds, newest first.
func (l *Ledger) Holds(ctx context.Context, q HoldsQuery) ([]Hold, error) {
	if q.Before == uuid.Nil {
		q.Before = uuid.Max
	}
	ids := make([]int64, len(q.Accounts))
	for i, a := range q.Accounts {
		ids[i] = int64(a)
	}
	rows, err := l.pool.Query(ctx, selectHolds+`
 WHERE h.account_id = ANY ($1) AND h.id < $2 AND ($3 = 0 OR h.state = $3)
 ORDER BY h.id DESC LIMIT $4`, ids, q.Before, int16(q.State), q.Limit)
	if err != nil {
		return nil, fmt.Errorf("reading holds: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanHoldRow)
	if err != nil {
		return nil, fmt.Errorf("reading holds: %w", err)
	}
	return list, nil
}

// holdAfter returns a hold as it was right after the operation that executed a
// key: what its first caller was told.
func (l *Ledger) holdAfter(ctx context.Context, done executedKey) (Hold, error) {
	const operation = `SELECT hold_id, amount, captured, state, create_time FROM hold_operations`
	var row pgx.Row
	if done.transaction != uuid.Nil {
		row = l.pool.QueryRow(ctx, operation+` WHERE transaction_id = $1`, done.transaction)
	} else {
		row = l.pool.QueryRow(ctx, operation+` WHERE hold_id = $1 AND position = $2`, done.hold, done.position)
	}
	var then Hold
	var at time.Time
	if err := row.Scan(&then.ID, &then.Amount, &then.Captured, &then.State, &at); err != nil {
		return Hold{}, fmt.Errorf("reading an operation on a hold: %w", err)
	}
	h, err := l.Hold(ctx, then.ID)
	if err != nil {
		return Hold{}, err
	}
	h.Amount, h.Captured, h.State, h.CloseTime = then.Amount, then.Captured, then.State, time.Time{}
	if h.State != HoldOpen {
		h.CloseTime = at
	}
	return h, nil
}

// holdStatements write what a batch did to holds, and tell those who follow the
// events whose accounts have other funds available.
func holdStatements(b *batch, replica uuid.UUID) []statement {
	if len(b.operations) == 0 {
		return nil
	}
	var fresh, changed []Hold
	seen := make(map[uuid.UUID]bool)
	news := make(map[uuid.UUID]bool)
	codes := held{Replica: replica}
	for i := range b.operations {
		op := &b.operations[i]
		news[op.hold.ID] = news[op.hold.ID] || op.kind == HoldCreate
		if seen[op.hold.ID] {
			continue
		}
		seen[op.hold.ID] = true
		codes.Codes = append(codes.Codes, b.accounts[op.hold.Account].Code)
	}
	for id := range seen {
		if news[id] {
			fresh = append(fresh, b.holds[id])
		} else {
			changed = append(changed, b.holds[id])
		}
	}
	var list []statement
	if len(fresh) > 0 {
		list = append(list, statement{insertHolds, newHoldArgs(fresh)})
	}
	if len(changed) > 0 {
		list = append(list, statement{updateHolds, changedHoldArgs(changed)})
	}
	return append(list, statement{insertOperations, operationArgs(b)}, statement{insertHeld, []any{codes}})
}

// holdColumns are the columns that both statements write.
type holdColumns struct {
	id               []uuid.UUID
	amount, captured pgtype.FlatArray[Amount]
	state            []int16
	operations       []int32
	closeTime        []*time.Time
}

func columnsOf(holds []Hold) holdColumns {
	var c holdColumns
	for i := range holds {
		h := &holds[i]
		c.id, c.amount, c.captured = append(c.id, h.ID), append(c.amount, h.Amount), append(c.captured, h.Captured)
		c.state, c.operations = append(c.state, int16(h.State)), append(c.operations, h.operations)
		var at *time.Time
		if !h.CloseTime.IsZero() {
			at = &h.CloseTime
		}
		c.closeTime = append(c.closeTime, at)
	}
	return c
}

func newHoldArgs(holds []Hold) []any {
	c := columnsOf(holds)
	var accounts []int64
	var excess []int32
	var references []string
	var create, expire []time.Time
	for i := range holds {
		h := &holds[i]
		accounts, excess = append(accounts, int64(h.Account)), append(excess, int32(h.ExcessBPS))
		references = append(references, h.Reference)
		create, expire = append(create, h.CreateTime), append(expire, h.ExpireTime)
	}
	return []any{c.id, accounts, c.amount, c.captured, excess, c.state, c.operations, references, create, expire, c.closeTime}
}

func changedHoldArgs(holds []Hold) []any {
	c := columnsOf(holds)
	return []any{c.id, c.amount, c.captured, c.state, c.operations, c.closeTime}
}

func operationArgs(b *batch) []any {
	var holds, transactions, keys []*uuid.UUID
	var positions, numbers []int32
	var kinds, states []int16
	var accounts []int64
	var held, amount, captured, counted pgtype.FlatArray[Amount]
	var times []time.Time
	var fingerprints [][]byte
	for i := range b.operations {
		op := &b.operations[i]
		h := &op.hold
		holds, positions, kinds = append(holds, &h.ID), append(positions, h.operations), append(kinds, int16(op.kind))
		accounts, held = append(accounts, int64(h.Account)), append(held, op.heldChange)
		amount, captured, states = append(amount, h.Amount), append(captured, h.Captured), append(states, int16(h.State))
		counted, numbers, times = append(counted, op.counted.amount), append(numbers, int32(op.counted.number)), append(times, op.counted.at)
		// A capture's key is in its transaction.
		var transaction, key *uuid.UUID
		var fingerprint []byte
		if op.at >= 0 {
			transaction = &b.made[op.at].ID
		} else {
			k := uuid.UUID(op.key)
			key, fingerprint = &k, op.fingerp[:]
		}
		transactions, keys, fingerprints = append(transactions, transaction), append(keys, key), append(fingerprints, fingerprint)
	}
	return []any{
		holds, positions, kinds, accounts, held, amount, captured, states, counted, numbers, times,
		transactions, keys, fingerprints, b.now,
	}
}
