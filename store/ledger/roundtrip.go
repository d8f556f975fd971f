package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// The statements of a batch. The first round trip is begin, lockAccounts,
// readKeys and readClock, in this order: each statement sees what was committed
// before it began, so the keys are read after the locks were won.
const (
	begin = `BEGIN ISOLATION LEVEL READ COMMITTED`

	// LockRows works above the sort, so locks are taken in the order of ids
	// whatever the plan below it: no two batches can wait for each other.
	lockAccounts = `
SELECT a.id, a.code, a.asset_id, a.balance, a.held, a.floor, a.version, a.last_time, a.ctid
  FROM unnest($1::bigint[]) WITH ORDINALITY AS want (id, n)
  JOIN accounts a ON a.id = want.id
 ORDER BY want.n
   FOR NO KEY UPDATE OF a`

	lockFreeAccounts = lockAccounts + ` SKIP LOCKED`

	readKeys = `
SELECT key_hash, id, fingerprint FROM transactions WHERE key_hash = ANY ($1::uuid[])`

	readClock = `SELECT clock_timestamp()`

	insertTransactions = `
INSERT INTO transactions (id, key_hash, create_time, kind, more, fingerprint, note, details,
                          a_account, a_version, a_amount, a_balance,
                          b_account, b_version, b_amount, b_balance)
SELECT t.id, t.key_hash, $1::timestamptz, t.kind, t.more, t.fingerprint, t.note, t.details::jsonb,
       t.a_account, t.a_version, t.a_amount, t.a_balance,
       t.b_account, t.b_version, t.b_amount, t.b_balance
  FROM unnest($2::uuid[], $3::uuid[], $4::smallint[], $5::smallint[], $6::bytea[], $7::text[], $8::text[],
              $9::bigint[], $10::bigint[], $11::numeric[], $12::numeric[],
              $13::bigint[], $14::bigint[], $15::numeric[], $16::numeric[])
    AS t (id, key_hash, kind, more, fingerprint, note, details,
          a_account, a_version, a_amount, a_balance,
          b_account, b_version, b_amount, b_balance)`

	insertMoreEntries = `
INSERT INTO more_entries (create_time, transaction_id, position, account_id, version, amount, balance)
SELECT $1::timestamptz, e.*
  FROM unnest($2::uuid[], $3::smallint[], $4::bigint[], $5::bigint[], $6::numeric[], $7::numeric[]) AS e`

	// A locked row stays where it is, so it is found again by its place, without
	// the index. Should one not be, dividing by zero fails the batch.
	updateAccounts = `
WITH updated AS (
    UPDATE accounts a
       SET balance = n.balance, version = n.version, last_time = $1
      FROM unnest($2::tid[], $3::bigint[], $4::numeric[], $5::bigint[]) AS n (place, id, balance, version)
     WHERE a.ctid = n.place AND a.id = n.id
    RETURNING 1
)
SELECT 1 / (count(*) = cardinality($2))::int FROM updated`

	insertCommitted = `
INSERT INTO events (type, subject, payload) VALUES ('ledger.committed', '', $1)`

	commit   = `COMMIT`
	rollback = `ROLLBACK`
)

// committed is the payload of a ledger.committed event: the batch made the
// transactions with ids from First to Last, all of them and no others.
type committed struct {
	Replica uuid.UUID `json:"replica"`
	First   uuid.UUID `json:"first"`
	Last    uuid.UUID `json:"last"`
	Count   int       `json:"count"`
}

// locking says how a batch comes by its accounts. The zero value waits for each.
type locking struct {
	// passBy leaves out accounts that another session has locked.
	passBy bool
	// first, unless it is 0, is an account to wait for nevertheless. That comes
	// first, while no other lock is held that others could be waiting for.
	first AccountID
}

// lock is the first round trip: it opens the transaction, locks what the calls
// named, and then reads which of their keys were executed.
func lock(ctx context.Context, conn *pgx.Conn, calls []*call, how locking) (*batch, error) {
	ids := make([]int64, 0, 2*len(calls))
	keys := make([][16]byte, 0, len(calls))
	for _, c := range calls {
		keys = append(keys, c.command.Key)
		for _, a := range c.command.Accounts {
			ids = append(ids, int64(a))
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)

	var trip pgx.Batch
	trip.Queue(begin)
	if how.first != 0 {
		trip.Queue(lockAccounts, []int64{int64(how.first)})
	}
	if how.passBy {
		trip.Queue(lockFreeAccounts, ids)
	} else {
		trip.Queue(lockAccounts, ids)
	}
	trip.Queue(readKeys, keys)
	trip.Queue(readClock)
	results := conn.SendBatch(ctx, &trip)
	defer results.Close()

	if _, err := results.Exec(); err != nil {
		return nil, fmt.Errorf("beginning a batch: %w", err)
	}
	if how.first != 0 {
		if _, err := results.Exec(); err != nil {
			return nil, fmt.Errorf("waiting for an account: %w", err)
		}
	}
	locked, err := collectLocked(results, len(ids))
	if err != nil {
		return nil, fmt.Errorf("locking accounts: %w", err)
	}
	executed, err := collectKeys(results, len(calls))
	if err != nil {
		return nil, fmt.Errorf("reading idempotency keys: %w", err)
	}
	var now time.Time
	if err := results.QueryRow().Scan(&now); err != nil {
		return nil, fmt.Errorf("reading the clock: %w", err)
	}
	return newBatch(locked, executed, now), results.Close()
}

func collectLocked(results pgx.BatchResults, n int) ([]lockedAccount, error) {
	rows, err := results.Query()
	if err != nil {
		return nil, err
	}
	return pgx.AppendRows(make([]lockedAccount, 0, n), rows, scanLocked)
}

// scanLocked reads a row of lockAccounts.
func scanLocked(row pgx.CollectableRow) (lockedAccount, error) {
	var a lockedAccount
	var last timeOrInfinity
	err := row.Scan(&a.ID, &a.Code, &a.Asset, &a.Balance, &a.Held, &a.Floor, &a.Version, &last, &a.place)
	a.LastTime = time.Time(last)
	return a, err
}

func collectKeys(results pgx.BatchResults, n int) (map[Key]executedKey, error) {
	rows, err := results.Query()
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	executed := make(map[Key]executedKey, n)
	for rows.Next() {
		var key, transaction [16]byte
		var fingerprint []byte
		if err := rows.Scan(&key, &transaction, &fingerprint); err != nil {
			return nil, err
		}
		if len(fingerprint) != 32 {
			return nil, errors.New("a stored fingerprint has not 32 bytes")
		}
		executed[key] = executedKey{transaction: transaction, fingerprint: [32]byte(fingerprint)}
	}
	return executed, rows.Err()
}

// write is the second round trip: it writes what the batch made and commits.
// Once it has been called, an error from anything but PostgreSQL itself leaves
// the outcome unknown.
func write(ctx context.Context, conn *pgx.Conn, b *batch, replica uuid.UUID) error {
	var trip pgx.Batch
	rows := newRows(b)
	trip.Queue(insertTransactions, rows.transactionArgs(b)...)
	if len(rows.more.transaction) > 0 {
		trip.Queue(insertMoreEntries, rows.moreArgs(b)...)
	}
	trip.Queue(updateAccounts, accountArgs(b)...)
	trip.Queue(insertCommitted, committed{
		Replica: replica, First: b.made[0].ID, Last: b.made[len(b.made)-1].ID, Count: len(b.made),
	})
	statements := trip.Len()
	trip.Queue(commit)

	delete(conn.PgConn().CustomData(), commitWarning)
	results := conn.SendBatch(ctx, &trip)
	defer results.Close()
	for range statements {
		if _, err := results.Exec(); err != nil {
			return fmt.Errorf("writing a batch: %w", err)
		}
	}
	tag, err := results.Exec()
	return checkCommit(conn, tag, err)
}

// confirm commits a batch that made nothing but locked accounts, which the log
// tells too: when it returns, all that was committed before is replicated.
func confirm(ctx context.Context, conn *pgx.Conn) error {
	delete(conn.PgConn().CustomData(), commitWarning)
	tag, err := conn.Exec(ctx, commit)
	return checkCommit(conn, tag, err)
}

// checkCommit tells what the answer to a COMMIT says. An error behind the answer
// changes nothing: PostgreSQL may still notice a cancellation, or be gone.
func checkCommit(conn *pgx.Conn, tag pgconn.CommandTag, err error) error {
	switch {
	case conn.PgConn().CustomData()[commitWarning] != nil:
		return fmt.Errorf("committing a batch: %w", errNotReplicated)
	case tag.String() == commit:
		return nil
	case err != nil:
		return fmt.Errorf("committing a batch: %w", err)
	default:
		return fmt.Errorf("%w: COMMIT answered %s", errNotCommitted, tag)
	}
}

// Ways in which a batch fails that PostgreSQL doesn't call an error of its own.
var (
	errNotConnected  = errors.New("connecting")
	errNotCommitted  = errors.New("the transaction was rolled back")
	errNotReplicated = errors.New("the commit may not be replicated")
)

// rows holds what a batch inserts, a slice a column.
type rows struct {
	id, key            [][16]byte
	kind, moreCount    []int16
	fingerprint        [][]byte
	note, details      []*string
	aAccount, aVersion []int64
	aAmount, aBalance  []Amount
	bAccount, bVersion []int64
	bAmount, bBalance  []Amount
	more               moreRows
}

type moreRows struct {
	transaction      [][16]byte
	position         []int16
	account, version []int64
	amount, balance  []Amount
}

func newRows(b *batch) *rows {
	n := len(b.made)
	r := &rows{
		id: make([][16]byte, n), key: make([][16]byte, n),
		kind: make([]int16, n), moreCount: make([]int16, n),
		fingerprint: make([][]byte, n), note: make([]*string, n), details: make([]*string, n),
		aAccount: make([]int64, n), aVersion: make([]int64, n), aAmount: make([]Amount, n), aBalance: make([]Amount, n),
		bAccount: make([]int64, n), bVersion: make([]int64, n), bAmount: make([]Amount, n), bBalance: make([]Amount, n),
	}
	for i := range b.made {
		t, c := &b.made[i], &b.calls[i].command
		first, second := &t.Entries[0], &t.Entries[1]
		r.id[i], r.key[i] = t.ID, c.Key
		r.kind[i], r.moreCount[i] = int16(t.Kind), int16(len(t.Entries)-2)
		r.fingerprint[i] = c.Fingerprint[:]
		r.note[i], r.details[i] = optional(t.Note), optionalJSON(t.Details)
		r.aAccount[i], r.aVersion[i], r.aAmount[i], r.aBalance[i] = int64(first.Account), first.Version, first.Amount, first.Balance
		r.bAccount[i], r.bVersion[i], r.bAmount[i], r.bBalance[i] = int64(second.Account), second.Version, second.Amount, second.Balance
		for j, e := range t.Entries[2:] {
			r.more.add(t.ID, j+2, e)
		}
	}
	return r
}

func (m *moreRows) add(transaction uuid.UUID, position int, e Entry) {
	m.transaction = append(m.transaction, transaction)
	m.position = append(m.position, int16(position))
	m.account = append(m.account, int64(e.Account))
	m.version = append(m.version, e.Version)
	m.amount = append(m.amount, e.Amount)
	m.balance = append(m.balance, e.Balance)
}

func (r *rows) transactionArgs(b *batch) []any {
	return []any{
		b.now, r.id, r.key, r.kind, r.moreCount, r.fingerprint, r.note, r.details,
		r.aAccount, r.aVersion, pgtype.FlatArray[Amount](r.aAmount), pgtype.FlatArray[Amount](r.aBalance),
		r.bAccount, r.bVersion, pgtype.FlatArray[Amount](r.bAmount), pgtype.FlatArray[Amount](r.bBalance),
	}
}

func (r *rows) moreArgs(b *batch) []any {
	m := &r.more
	return []any{
		b.now, m.transaction, m.position, m.account, m.version,
		pgtype.FlatArray[Amount](m.amount), pgtype.FlatArray[Amount](m.balance),
	}
}

func accountArgs(b *batch) []any {
	n := len(b.locked)
	places, ids, versions, balances := make([]pgtype.TID, 0, n), make([]int64, 0, n), make([]int64, 0, n), make([]Amount, 0, n)
	for i := range b.locked {
		if a := &b.locked[i]; a.changed {
			places, ids = append(places, a.place), append(ids, int64(a.ID))
			versions, balances = append(versions, a.Version), append(balances, a.Balance)
		}
	}
	return []any{b.now, pgtype.FlatArray[pgtype.TID](places), ids, pgtype.FlatArray[Amount](balances), versions}
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func optionalJSON(j json.RawMessage) *string { return optional(string(j)) }
