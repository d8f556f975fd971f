package ledger

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

const (
	// What is the same for nearly all transactions is left out, which is NULL:
	// the batch's time ($19), no further entries, and a second amount that is the
	// first with the other sign.
	insertTransactions = `
INSERT INTO transactions (id, key_hash, create_time, kind, more, fingerprint, note, details, salt, counted,
                          a_account, a_version, a_amount, a_balance,
                          b_account, b_version, b_amount, b_balance)
SELECT t.id, t.key_hash, coalesce(t.create_time, $19::timestamptz), t.kind, coalesce(t.more, 0), t.fingerprint,
       t.note, t.details::jsonb, t.salt, t.counted,
       t.a_account, t.a_version, t.a_amount, t.a_balance,
       t.b_account, t.b_version, coalesce(t.b_amount, -t.a_amount), t.b_balance
  FROM unnest($1::timestamptz[], $2::uuid[], $3::uuid[], $4::smallint[], $5::smallint[], $6::bytea[], $7::text[], $8::text[],
              $9::bigint[], $10::bigint[], $11::numeric[], $12::numeric[],
              $13::bigint[], $14::bigint[], $15::numeric[], $16::numeric[],
              $17::uuid[], $18::boolean[])
    AS t (create_time, id, key_hash, kind, more, fingerprint, note, details,
          a_account, a_version, a_amount, a_balance,
          b_account, b_version, b_amount, b_balance,
          salt, counted)`

	insertMoreEntries = `
INSERT INTO more_entries (create_time, transaction_id, position, account_id, version, amount, balance)
SELECT e.*
  FROM unnest($1::timestamptz[], $2::uuid[], $3::smallint[], $4::bigint[], $5::bigint[], $6::numeric[], $7::numeric[]) AS e`

	// A locked row stays where it is, so it is found again by its place, without
	// the index. Should one not be, dividing by zero fails the batch. Nearly all
	// last times are the batch's ($6), and left out.
	updateAccounts = `
WITH updated AS (
    UPDATE accounts a
       SET balance = n.balance, version = n.version, last_time = coalesce(n.last_time, $6)
      FROM unnest($1::timestamptz[], $2::tid[], $3::bigint[], $4::numeric[], $5::bigint[]) AS n (last_time, place, id, balance, version)
     WHERE a.ctid = n.place AND a.id = n.id
    RETURNING 1
)
SELECT 1 / (count(*) = cardinality($2))::int FROM updated`

	// updateAccountsWhole is for batches that change more than balances.
	updateAccountsWhole = `
WITH updated AS (
    UPDATE accounts a
       SET balance = n.balance, version = n.version, last_time = coalesce(n.last_time, $6),
           held = coalesce(n.held, 0), receivable_id = n.receivable, usage = coalesce(n.usage::jsonb, a.usage)
      FROM unnest($1::timestamptz[], $2::tid[], $3::bigint[], $4::numeric[], $5::bigint[], $7::numeric[], $8::bigint[], $9::text[])
        AS n (last_time, place, id, balance, version, held, receivable, usage)
     WHERE a.ctid = n.place AND a.id = n.id
    RETURNING 1
)
SELECT 1 / (count(*) = cardinality($2))::int FROM updated`
)

// rows holds what a batch inserts, a column each.
type rows struct {
	id, key, time, kind, moreCount, fingerprint *column
	note, details, salt, counted                *column
	a, b                                        entryColumns
	now                                         time.Time
	more                                        moreRows
	leaves                                      []byte // their hashes, for the log
}

type entryColumns struct{ account, version, amount, balance *column }

type moreRows struct {
	time, transaction, position *column
	entryColumns
}

// amountSize is what most amounts need.
const amountSize = numericHeader + 6

func newEntryColumns(n int) entryColumns {
	return entryColumns{
		account: newColumn(pgtype.Int8OID, n, 8), version: newColumn(pgtype.Int8OID, n, 8),
		amount: newColumn(pgtype.NumericOID, n, amountSize), balance: newColumn(pgtype.NumericOID, n, amountSize),
	}
}

// add adds what is written of every entry: all but the amount.
func (c *entryColumns) add(e *Entry) {
	c.account.int64(int64(e.Account))
	c.version.int64(e.Version)
	c.balance.amount(e.Balance)
}

func (l *Ledger) newRows(ctx context.Context, b *batch) (*rows, error) {
	n := len(b.made)
	r := &rows{
		id: newColumn(pgtype.UUIDOID, n, 16), key: newColumn(pgtype.UUIDOID, n, 16),
		time: newColumn(pgtype.TimestamptzOID, n, 8),
		kind: newColumn(pgtype.Int2OID, n, 2), moreCount: newColumn(pgtype.Int2OID, n, 2),
		fingerprint: newColumn(pgtype.ByteaOID, n, 32),
		note:        newColumn(pgtype.TextOID, n, 0), details: newColumn(pgtype.TextOID, n, 0),
		salt: newColumn(pgtype.UUIDOID, n, 0), counted: newColumn(pgtype.BoolOID, n, 1),
		a: newEntryColumns(n), b: newEntryColumns(n),
		more: moreRows{
			time: newColumn(pgtype.TimestamptzOID, 0, 0), transaction: newColumn(pgtype.UUIDOID, 0, 0),
			position: newColumn(pgtype.Int2OID, 0, 0), entryColumns: newEntryColumns(0),
		},
	}
	salts := make([]*uuid.UUID, n)
	for i := range b.made {
		salts[i] = r.add(&b.made[i], b.now)
	}
	r.now = b.now
	var err error
	r.leaves, err = l.leaves(ctx, b, salts)
	return r, err
}

// add returns the salt of the transaction's text, or nil if it has none.
func (r *rows) add(t *made, now time.Time) (salt *uuid.UUID) {
	r.id.uuid(t.ID)
	r.key.uuid(t.key)
	if t.CreateTime.Equal(now) {
		r.time.null()
	} else {
		r.time.time(t.CreateTime)
	}
	r.kind.int16(int16(t.Kind))
	r.fingerprint.bytes(t.fingerprint[:])
	r.note.text(t.Note)
	r.details.text(string(t.Details))
	if t.Note != "" || len(t.Details) > 0 {
		made := uuid.New()
		salt = &made
		r.salt.uuid(made)
	} else {
		r.salt.null()
	}
	if t.Counted {
		r.counted.bool(true)
	} else {
		r.counted.null() // takes no room in a row
	}
	first, second := &t.Entries[0], &t.Entries[1]
	r.a.add(first)
	r.a.amount.amount(first.Amount)
	r.b.add(second)
	if len(t.Entries) == 2 {
		r.moreCount.null()
		r.b.amount.null()
		return salt
	}
	r.moreCount.int16(int16(len(t.Entries) - 2))
	r.b.amount.amount(second.Amount)
	for j := 2; j < len(t.Entries); j++ {
		r.more.time.time(t.CreateTime)
		r.more.transaction.uuid(t.ID)
		r.more.position.int16(int16(j))
		r.more.add(&t.Entries[j])
		r.more.amount.amount(t.Entries[j].Amount)
	}
	return salt
}

func (r *rows) transactionArgs() []any {
	return []any{
		r.time, r.id, r.key, r.kind, r.moreCount, r.fingerprint, r.note, r.details,
		r.a.account, r.a.version, r.a.amount, r.a.balance,
		r.b.account, r.b.version, r.b.amount, r.b.balance,
		r.salt, r.counted, r.now,
	}
}

func (m *moreRows) args() []any {
	return []any{m.time, m.transaction, m.position, m.account, m.version, m.amount, m.balance}
}

// accountRows holds the accounts that a batch changes, a column each.
type accountRows struct {
	last, places, ids, balances, versions *column
	held, receivables, usages             *column // nil unless more changed than entries change
}

// updateOf writes the accounts that a batch changed, and of those no more than
// it has to.
func updateOf(b *batch) statement {
	n := len(b.locked)
	r := accountRows{
		last: newColumn(pgtype.TimestamptzOID, n, 8), places: newColumn(pgtype.TIDOID, n, 6),
		ids:      newColumn(pgtype.Int8OID, n, 8),
		balances: newColumn(pgtype.NumericOID, n, amountSize), versions: newColumn(pgtype.Int8OID, n, 8),
	}
	args := []any{r.last, r.places, r.ids, r.balances, r.versions, b.now}
	query := updateAccounts
	if b.changesMore() {
		r.held, r.receivables = newColumn(pgtype.NumericOID, n, amountSize), newColumn(pgtype.Int8OID, n, 8)
		r.usages = newColumn(pgtype.TextOID, n, 0)
		args, query = append(args, r.held, r.receivables, r.usages), updateAccountsWhole
	}
	for i := range b.locked {
		if a := &b.locked[i]; a.changed || a.more {
			r.add(a, b.now)
		}
	}
	return statement{query, args}
}

// changesMore tells whether a batch changes accounts beyond what entries change.
func (b *batch) changesMore() bool {
	for i := range b.locked {
		if b.locked[i].more {
			return true
		}
	}
	return false
}

func (r *accountRows) add(a *lockedAccount, now time.Time) {
	if a.LastTime.Equal(now) {
		r.last.null()
	} else {
		r.last.time(a.LastTime)
	}
	r.places.place(a.place)
	r.ids.int64(int64(a.ID))
	r.balances.amount(a.Balance)
	r.versions.int64(a.Version)
	if r.held == nil {
		return
	}
	if a.Held.IsZero() {
		r.held.null()
	} else {
		r.held.amount(a.Held)
	}
	if a.receivable == 0 {
		r.receivables.null()
	} else {
		r.receivables.int64(int64(a.receivable))
	}
	if a.meter.changed {
		r.usages.bytes(a.meter.usage.encode())
	} else {
		r.usages.null()
	}
}
