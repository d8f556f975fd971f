package ledger

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

const (
	insertTransactions = `
INSERT INTO transactions (id, key_hash, create_time, kind, more, fingerprint, note, details, salt, counted,
                          a_account, a_version, a_amount, a_balance,
                          b_account, b_version, b_amount, b_balance)
SELECT t.id, t.key_hash, t.create_time, t.kind, t.more, t.fingerprint, t.note, t.details::jsonb, t.salt, t.counted,
       t.a_account, t.a_version, t.a_amount, t.a_balance,
       t.b_account, t.b_version, t.b_amount, t.b_balance
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
	// the index. Should one not be, dividing by zero fails the batch.
	updateAccounts = `
WITH updated AS (
    UPDATE accounts a
       SET balance = n.balance, version = n.version, last_time = n.last_time
      FROM unnest($1::timestamptz[], $2::tid[], $3::bigint[], $4::numeric[], $5::bigint[]) AS n (last_time, place, id, balance, version)
     WHERE a.ctid = n.place AND a.id = n.id
    RETURNING 1
)
SELECT 1 / (count(*) = cardinality($2))::int FROM updated`

	// updateAccountsWhole is for batches that change more than balances.
	updateAccountsWhole = `
WITH updated AS (
    UPDATE accounts a
       SET balance = n.balance, version = n.version, last_time = n.last_time,
           held = n.held, receivable_id = nullif(n.receivable, 0), usage = coalesce(n.usage::jsonb, a.usage)
      FROM unnest($1::timestamptz[], $2::tid[], $3::bigint[], $4::numeric[], $5::bigint[], $6::numeric[], $7::bigint[], $8::text[])
        AS n (last_time, place, id, balance, version, held, receivable, usage)
     WHERE a.ctid = n.place AND a.id = n.id
    RETURNING 1
)
SELECT 1 / (count(*) = cardinality($2))::int FROM updated`
)

// rows holds what a batch inserts, a slice a column.
type rows struct {
	id, key            [][16]byte
	time               []time.Time
	kind, moreCount    []int16
	fingerprint        [][]byte
	note, details      []*string
	salt               []*uuid.UUID
	counted            []*bool
	aAccount, aVersion []int64
	aAmount, aBalance  []Amount
	bAccount, bVersion []int64
	bAmount, bBalance  []Amount
	more               moreRows
	leaves             []byte // their hashes, for the log
}

type moreRows struct {
	time             []time.Time
	transaction      [][16]byte
	position         []int16
	account, version []int64
	amount, balance  []Amount
}

// isCounted is pointed to; NULL takes no room in a row.
var isCounted = true

func (l *Ledger) newRows(ctx context.Context, b *batch) (*rows, error) {
	n := len(b.made)
	r := &rows{
		id: make([][16]byte, n), key: make([][16]byte, n), time: make([]time.Time, n),
		kind: make([]int16, n), moreCount: make([]int16, n),
		fingerprint: make([][]byte, n), note: make([]*string, n), details: make([]*string, n),
		salt: make([]*uuid.UUID, n), counted: make([]*bool, n),
		aAccount: make([]int64, n), aVersion: make([]int64, n), aAmount: make([]Amount, n), aBalance: make([]Amount, n),
		bAccount: make([]int64, n), bVersion: make([]int64, n), bAmount: make([]Amount, n), bBalance: make([]Amount, n),
	}
	for i := range b.made {
		r.set(i, &b.made[i])
	}
	var err error
	r.leaves, err = l.leaves(ctx, b, r.salt)
	return r, err
}

func (r *rows) set(i int, t *made) {
	first, second := &t.Entries[0], &t.Entries[1]
	r.id[i], r.key[i], r.time[i] = t.ID, t.key, t.CreateTime
	r.kind[i], r.moreCount[i] = int16(t.Kind), int16(len(t.Entries)-2)
	r.fingerprint[i] = t.fingerprint[:]
	if t.Note != "" || len(t.Details) > 0 {
		salt := uuid.New()
		r.note[i], r.details[i], r.salt[i] = optional(t.Note), optionalJSON(t.Details), &salt
	}
	if t.Counted {
		r.counted[i] = &isCounted
	}
	r.aAccount[i], r.aVersion[i], r.aAmount[i], r.aBalance[i] = int64(first.Account), first.Version, first.Amount, first.Balance
	r.bAccount[i], r.bVersion[i], r.bAmount[i], r.bBalance[i] = int64(second.Account), second.Version, second.Amount, second.Balance
	for j, e := range t.Entries[2:] {
		r.more.add(&t.Transaction, j+2, e)
	}
}

func (m *moreRows) add(t *Transaction, position int, e Entry) {
	m.time = append(m.time, t.CreateTime)
	m.transaction = append(m.transaction, t.ID)
	m.position = append(m.position, int16(position))
	m.account = append(m.account, int64(e.Account))
	m.version = append(m.version, e.Version)
	m.amount = append(m.amount, e.Amount)
	m.balance = append(m.balance, e.Balance)
}

func (r *rows) transactionArgs() []any {
	return []any{
		r.time, r.id, r.key, r.kind, r.moreCount, r.fingerprint, r.note, r.details,
		r.aAccount, r.aVersion, pgtype.FlatArray[Amount](r.aAmount), pgtype.FlatArray[Amount](r.aBalance),
		r.bAccount, r.bVersion, pgtype.FlatArray[Amount](r.bAmount), pgtype.FlatArray[Amount](r.bBalance),
		r.salt, r.counted,
	}
}

func (m *moreRows) args() []any {
	return []any{
		m.time, m.transaction, m.position, m.account, m.version,
		pgtype.FlatArray[Amount](m.amount), pgtype.FlatArray[Amount](m.balance),
	}
}

// accountRows holds the accounts that a batch changes, a slice a column.
type accountRows struct {
	last        []timeOrInfinity
	places      []pgtype.TID
	ids         []int64
	balances    []Amount
	versions    []int64
	held        []Amount
	receivables []int64
	usages      []*string
	beyondEntry bool // whether more changed than entries change
}

// updateOf writes the accounts that a batch changed, and of those no more than
// it has to.
func updateOf(b *batch) statement {
	var r accountRows
	n := len(b.locked)
	r.last, r.places, r.ids = make([]timeOrInfinity, 0, n), make([]pgtype.TID, 0, n), make([]int64, 0, n)
	r.balances, r.versions = make([]Amount, 0, n), make([]int64, 0, n)
	for i := range b.locked {
		r.beyondEntry = r.beyondEntry || b.locked[i].more
	}
	for i := range b.locked {
		if a := &b.locked[i]; a.changed || a.more {
			r.add(a)
		}
	}
	args := []any{
		r.last, pgtype.FlatArray[pgtype.TID](r.places), r.ids, pgtype.FlatArray[Amount](r.balances), r.versions,
	}
	if !r.beyondEntry {
		return statement{updateAccounts, args}
	}
	return statement{updateAccountsWhole, append(args, pgtype.FlatArray[Amount](r.held), r.receivables, r.usages)}
}

func (r *accountRows) add(a *lockedAccount) {
	r.last = append(r.last, timeOrInfinity(a.LastTime))
	r.places, r.ids = append(r.places, a.place), append(r.ids, int64(a.ID))
	r.balances, r.versions = append(r.balances, a.Balance), append(r.versions, a.Version)
	if !r.beyondEntry {
		return
	}
	r.held, r.receivables = append(r.held, a.Held), append(r.receivables, int64(a.receivable))
	var usage *string
	if a.meter.changed {
		text := string(a.meter.usage.encode())
		usage = &text
	}
	r.usages = append(r.usages, usage)
}
