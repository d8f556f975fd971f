package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/tillbook/tillbook/store/cause"
)

// The statements of the first round trip are begin, lockAccounts, and then those
// that read, readClock last. Each statement sees what was committed before it
// began, so everything is read after the locks were won.
const (
	begin = `BEGIN ISOLATION LEVEL READ COMMITTED`

	// LockRows works above the sort, so locks are taken in the order of ids
	// whatever the plan below it: no two batches can wait for each other.
	lockAccounts = `
SELECT a.id, a.code, a.asset_id, a.balance, a.held, a.floor, a.version, a.last_time, a.ctid,
       a.tier, a.receivable_id, a.usage
  FROM unnest($1::bigint[]) WITH ORDINALITY AS want (id, n)
  JOIN accounts a ON a.id = want.id
 ORDER BY want.n
   FOR NO KEY UPDATE OF a`

	lockFreeAccounts = lockAccounts + ` SKIP LOCKED`

	readKeys = `
SELECT key_hash, id, fingerprint FROM transactions WHERE key_hash = ANY ($1::uuid[])`

	readOperationKeys = `
SELECT key_hash, hold_id, position, fingerprint FROM hold_operations WHERE key_hash = ANY ($1::uuid[])`

	readRefunded = `
SELECT original_id, sum(amount)::numeric(38, 0) FROM refunds WHERE original_id = ANY ($1::uuid[]) GROUP BY original_id`

	readResolved = `
SELECT subject, outcome, transaction_id FROM resolutions WHERE subject = ANY ($1::uuid[])`

	readClock = `SELECT clock_timestamp(), (SELECT version FROM limit_version)`
)

// locking says how a batch comes by its accounts. The zero value waits for each.
type locking struct {
	// passBy leaves out accounts that another session has locked.
	passBy bool
	// first, unless it is 0, is an account to wait for nevertheless. That comes
	// first, while no other lock is held that others could be waiting for.
	first AccountID
}

// wanted is what the commands of a batch name.
type wanted struct {
	accounts         []int64 // ascending
	keys             *column
	holds, originals [][16]byte
	subjects         [][16]byte
	limited          bool   // whether limits can matter
	trace            string // what new rows name as their trace; empty for none
}

func want(calls []*call) *wanted {
	w := &wanted{accounts: make([]int64, 0, 2*len(calls)), keys: newColumn(pgtype.UUIDOID, len(calls), 16)}
	for _, c := range calls {
		for i := range c.items {
			w.add(&c.items[i])
		}
	}
	slices.Sort(w.accounts)
	w.accounts = slices.Compact(w.accounts)
	return w
}

func (w *wanted) add(it *item) {
	c := &it.command
	w.keys.uuid(c.Key)
	for _, a := range c.Accounts {
		w.accounts = append(w.accounts, int64(a))
	}
	for _, a := range it.extra {
		w.accounts = append(w.accounts, int64(a))
	}
	if c.Hold != uuid.Nil {
		w.holds = append(w.holds, c.Hold)
	}
	if c.Original != uuid.Nil {
		w.originals = append(w.originals, c.Original)
	}
	for _, subject := range c.Subjects {
		w.subjects = append(w.subjects, subject)
	}
	w.limited = w.limited || c.Counted || c.Original != uuid.Nil
}

func (w *wanted) accountColumn() *column {
	c := newColumn(pgtype.Int8OID, len(w.accounts), 8)
	for _, a := range w.accounts {
		c.int64(a)
	}
	return c
}

// lock is the first round trip: it opens the transaction, locks the accounts that
// the calls named, and then reads what was done before: which of their keys were
// executed, their holds, what was refunded and resolved.
func (l *Ledger) lock(ctx context.Context, conn *pgx.Conn, calls []*call, how locking) (*batch, error) {
	w := want(calls)
	w.trace = cause.Text(cause.Of(ctx))
	var trip pgx.Batch
	trip.Queue(begin)
	if w.trace != "" {
		trip.Queue(setTrace, w.trace)
	}
	if how.first != 0 {
		trip.Queue(lockAccounts, []int64{int64(how.first)})
	}
	if how.passBy {
		trip.Queue(lockFreeAccounts, w.accountColumn())
	} else {
		trip.Queue(lockAccounts, w.accountColumn())
	}
	trip.Queue(readKeys, w.keys)
	trip.Queue(readOperationKeys, w.keys)
	for _, more := range w.reads() {
		trip.Queue(more.query, more.ids)
	}
	trip.Queue(readClock)
	results := conn.SendBatch(ctx, &trip)
	defer results.Close()
	b, version, err := collect(results, w, how)
	if err != nil {
		return nil, err
	}
	if err := results.Close(); err != nil {
		return nil, err
	}
	if w.limited {
		b.rules, err = l.rulesAt(ctx, conn, version)
	}
	return b, err
}

// read is a statement of the first round trip that few batches need.
type read struct {
	query string
	ids   [][16]byte
	scan  func(*batch, pgx.Rows) error
}

func (w *wanted) reads() []read {
	var list []read
	for _, r := range []read{
		{readHolds, w.holds, (*batch).scanHold},
		{readRefunded, w.originals, (*batch).scanRefunded},
		{readResolved, w.subjects, (*batch).scanResolved},
	} {
		if len(r.ids) > 0 {
			list = append(list, r)
		}
	}
	return list
}

// collect reads the answers of the first round trip.
func collect(results pgx.BatchResults, w *wanted, how locking) (b *batch, version int64, err error) {
	if _, err := results.Exec(); err != nil {
		return nil, 0, fmt.Errorf("beginning a batch: %w", err)
	}
	if w.trace != "" {
		if _, err := results.Exec(); err != nil {
			return nil, 0, fmt.Errorf("naming a batch's trace: %w", err)
		}
	}
	if how.first != 0 {
		if _, err := results.Exec(); err != nil {
			return nil, 0, fmt.Errorf("waiting for an account: %w", err)
		}
	}
	locked, err := collectLocked(results, len(w.accounts))
	if err != nil {
		return nil, 0, fmt.Errorf("locking accounts: %w", err)
	}
	executed, err := collectKeys(results, int(w.keys.count))
	if err != nil {
		return nil, 0, fmt.Errorf("reading idempotency keys: %w", err)
	}
	rest := &batch{keys: executed}
	if err := rest.scanAll(results, (*batch).scanOperationKey); err != nil {
		return nil, 0, fmt.Errorf("reading the keys of holds: %w", err)
	}
	for _, r := range w.reads() {
		if err := rest.scanAll(results, r.scan); err != nil {
			return nil, 0, fmt.Errorf("reading what was done before: %w", err)
		}
	}
	var now time.Time
	if err := results.QueryRow().Scan(&now, &version); err != nil {
		return nil, 0, fmt.Errorf("reading the clock: %w", err)
	}
	b = newBatch(locked, executed, now)
	b.holds, b.refunded, b.resolved = rest.holds, rest.refunded, rest.resolved
	return b, version, nil
}

func collectLocked(results pgx.BatchResults, n int) ([]lockedAccount, error) {
	rows, err := results.Query()
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := make([]lockedAccount, 0, n)
	for rows.Next() {
		list = append(list, lockedAccount{})
		if err := list[len(list)-1].read(fields{values: rows.RawValues()}); err != nil {
			return nil, err
		}
	}
	return list, rows.Err()
}

// read reads a row of lockAccounts.
func (a *lockedAccount) read(f fields) error {
	a.ID, a.Code, a.Asset = AccountID(f.int64()), f.text(), AssetID(f.int16())
	a.Balance, a.Held, a.Floor = f.amount(), f.amount(), f.floor()
	a.Version, a.LastTime, a.place = f.int64(), f.time(), f.place()
	a.tier, a.receivable, a.meter.stored = f.int16(), f.id(), f.bytes()
	return f.err
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
		done := executedKey{transaction: transaction}
		if done.fingerprint, err = fingerprintOf(fingerprint); err != nil {
			return nil, err
		}
		executed[key] = done
	}
	return executed, rows.Err()
}

func fingerprintOf(stored []byte) (f [32]byte, err error) {
	if copy(f[:], stored) != len(f) || len(stored) != len(f) {
		return f, errors.New("a stored fingerprint has not 32 bytes")
	}
	return f, nil
}

func (b *batch) scanAll(results pgx.BatchResults, scan func(*batch, pgx.Rows) error) error {
	rows, err := results.Query()
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(b, rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (b *batch) scanOperationKey(rows pgx.Rows) error {
	var key, hold [16]byte
	var done executedKey
	var fingerprint []byte
	if err := rows.Scan(&key, &hold, &done.position, &fingerprint); err != nil {
		return err
	}
	done.hold = hold
	var err error
	done.fingerprint, err = fingerprintOf(fingerprint)
	b.keys[key] = done
	return err
}

func (b *batch) scanRefunded(rows pgx.Rows) error {
	var original uuid.UUID
	var sum Amount
	if err := rows.Scan(&original, &sum); err != nil {
		return err
	}
	b.setRefunded(original, sum)
	return nil
}

func (b *batch) scanResolved(rows pgx.Rows) error {
	var transaction *uuid.UUID
	var ended ResolvedError
	if err := rows.Scan(&ended.Subject, &ended.Outcome, &transaction); err != nil {
		return err
	}
	if transaction != nil {
		ended.Transaction = *transaction
	}
	if b.resolved == nil {
		b.resolved = make(map[uuid.UUID]ResolvedError)
	}
	b.resolved[ended.Subject] = ended
	return nil
}
