package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store"
)

// Errors of accounts.
var (
	// ErrAccountNotFound says that there is no account with this code.
	ErrAccountNotFound = errors.New("account not found")
	// ErrAccountAsset says that the account holds another asset.
	ErrAccountAsset = errors.New("account holds another asset")
)

// AccountID is an account's number in the database. It orders locks; clients
// see the code.
type AccountID int64

// Account is an account as one moment saw it.
type Account struct {
	ID         AccountID
	Code       string // path-like and unique, such as "user/usr_…/main/USD"
	Asset      AssetID
	Balance    Amount  // the sum of all entries
	Held       Amount  // what of the balance is reserved
	Floor      *Amount // the least that Available may be; nil if unbounded
	Version    int64   // the number of entries
	LastTime   time.Time
	CreateTime time.Time
}

// Available returns what can be spent: the balance less what is held.
func (a *Account) Available() Amount {
	available, err := a.Balance.Sub(a.Held)
	if err != nil {
		// Held is between zero and the balance or, where there is no floor,
		// zero: the difference is no longer than its operands.
		panic("ledger: available exceeds 38 digits")
	}
	return available
}

// AccountSpec says which account to open.
type AccountSpec struct {
	Code      string
	Asset     AssetID
	Unbounded bool // without floor; otherwise the floor is 0
}

// accountRef is what never changes of an account.
type accountRef struct {
	id    AccountID
	asset AssetID
}

// openAccount adds the account, with its owner's tier, unless it is there and
// tells those who follow the events about a new one. Before it runs lockOwner, in
// the same transaction.
const openAccount = `
WITH opened AS (
    INSERT INTO accounts (code, asset_id, floor, tier)
    VALUES ($1, $2, CASE WHEN $3 THEN NULL ELSE 0 END, coalesce((SELECT tier FROM owners WHERE code = $4), 0))
    ON CONFLICT ON CONSTRAINT accounts_code_key DO NOTHING
    RETURNING id, asset_id
), event AS (
    INSERT INTO events (type, subject, payload) SELECT 'account.opened', $1, '{}' FROM opened
)
SELECT id, asset_id FROM opened`

// OpenAccount returns the account with this code and opens it if need be. It
// fails with ErrAccountAsset if the account holds another asset.
func (l *Ledger) OpenAccount(ctx context.Context, spec AccountSpec) (AccountID, error) {
	ref, ok := l.refs.Get(spec.Code)
	if !ok {
		var err error
		if ref, err = l.openAccount(ctx, spec); err != nil {
			return 0, err
		}
	}
	if ref.asset != spec.Asset {
		return 0, fmt.Errorf("%w: %s", ErrAccountAsset, spec.Code)
	}
	return ref.id, nil
}

func (l *Ledger) openAccount(ctx context.Context, spec AccountSpec) (accountRef, error) {
	// Looking first keeps the sequence of ids free of holes and costs nothing
	// that counts: an account is looked up once a replica.
	ref, err := l.lookup(ctx, spec.Code)
	if !errors.Is(err, ErrAccountNotFound) {
		return ref, err
	}
	owner := ownerName(spec.Code)
	var trip pgx.Batch // one transaction
	trip.Queue(lockOwner, owner)
	trip.Queue(openAccount, spec.Code, spec.Asset, spec.Unbounded, owner).QueryRow(func(row pgx.Row) error {
		return row.Scan(&ref.id, &ref.asset)
	})
	err = l.sendOnce(ctx, &trip)
	if errors.Is(err, pgx.ErrNoRows) {
		return l.lookup(ctx, spec.Code)
	}
	if err != nil {
		return accountRef{}, fmt.Errorf("opening account: %w", err)
	}
	l.refs.Add(spec.Code, ref)
	l.feed.opened(spec.Code)
	return ref, nil
}

// sendOnce runs a batch as one transaction, and fails if it may not be replicated.
func (l *Ledger) sendOnce(ctx context.Context, trip *pgx.Batch) error {
	conn, err := l.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return store.Replicated(conn.Conn(), func() error { return conn.SendBatch(ctx, trip).Close() })
}

// LookupAccount returns the number and asset of the account with this code, or
// ErrAccountNotFound.
func (l *Ledger) LookupAccount(ctx context.Context, code string) (AccountID, AssetID, error) {
	ref, ok := l.refs.Get(code)
	if !ok {
		var err error
		if ref, err = l.lookup(ctx, code); err != nil {
			return 0, 0, err
		}
	}
	return ref.id, ref.asset, nil
}

func (l *Ledger) lookup(ctx context.Context, code string) (accountRef, error) {
	var ref accountRef
	// Never from a standby, whatever the call reads there: what is found is kept, also
	// for payments.
	err := l.pool.Pool.QueryRow(ctx, `SELECT id, asset_id FROM accounts WHERE code = $1`, code).Scan(&ref.id, &ref.asset)
	if errors.Is(err, pgx.ErrNoRows) {
		return accountRef{}, fmt.Errorf("%w: %s", ErrAccountNotFound, code)
	}
	if err != nil {
		return accountRef{}, fmt.Errorf("looking up account: %w", err)
	}
	l.refs.Add(code, ref)
	return ref, nil
}

const selectAccount = `SELECT id, code, asset_id, balance, held, floor, version, last_time, create_time FROM accounts`

// scanAccount reads a row of selectAccount. An account without entries has no
// last time; its zero value stands for that.
func scanAccount(row pgx.CollectableRow) (Account, error) {
	var a Account
	var last timeOrInfinity
	err := row.Scan(&a.ID, &a.Code, &a.Asset, &a.Balance, &a.Held, &a.Floor, &a.Version, &last, &a.CreateTime)
	a.LastTime = time.Time(last)
	return a, err
}

// Account returns the account with this code as it is now, or
// ErrAccountNotFound.
func (l *Ledger) Account(ctx context.Context, code string) (Account, error) {
	rows, err := l.pool.Query(ctx, selectAccount+` WHERE code = $1`, code)
	if err != nil {
		return Account{}, fmt.Errorf("reading account: %w", err)
	}
	a, err := pgx.CollectExactlyOneRow(rows, scanAccount)
	if errors.Is(err, pgx.ErrNoRows) {
		return Account{}, fmt.Errorf("%w: %s", ErrAccountNotFound, code)
	}
	if err != nil {
		return Account{}, fmt.Errorf("reading account: %w", err)
	}
	return a, nil
}

// AccountsUnder returns all accounts whose codes begin with prefix, ordered by
// code, as one moment saw them.
func (l *Ledger) AccountsUnder(ctx context.Context, prefix string) ([]Account, error) {
	rows, err := l.pool.Query(ctx, selectAccount+` WHERE code >= $1 AND code < $2 ORDER BY code`, prefix, prefix+"\U0010FFFF")
	if err != nil {
		return nil, fmt.Errorf("reading accounts: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanAccount)
	if err != nil {
		return nil, fmt.Errorf("reading accounts: %w", err)
	}
	return list, nil
}

// Places in the order of a moment's transactions.
var (
	firstPosition = uuid.Nil // before all of them
	lastPosition  = uuid.Max // behind all of them
)

const selectAccountAt = `
SELECT a.id, a.code, a.asset_id, coalesce(e.balance, 0), 0::numeric(38,0), NULL::numeric(38,0),
       coalesce(e.version, 0), coalesce(e.create_time, '-infinity'), a.create_time
  FROM accounts a
  LEFT JOIN LATERAL (
       SELECT version, balance, create_time FROM account_entries
        WHERE account_id = a.id AND version = (SELECT account_version_before(a.id, $1, $2))
  ) e ON true`

// AccountAt returns the account as it was at a moment, entries committed at
// that moment included. Only ID, Code, Asset, Balance, Version, LastTime and
// CreateTime are set: what was held then isn't kept. An account that had no
// entries yet has balance 0.
func (l *Ledger) AccountAt(ctx context.Context, code string, at time.Time) (Account, error) {
	rows, err := l.pool.Query(ctx, selectAccountAt+` WHERE a.code = $3`, at, lastPosition, code)
	if err != nil {
		return Account{}, fmt.Errorf("reading account: %w", err)
	}
	a, err := pgx.CollectExactlyOneRow(rows, scanAccount)
	if errors.Is(err, pgx.ErrNoRows) {
		return Account{}, fmt.Errorf("%w: %s", ErrAccountNotFound, code)
	}
	if err != nil {
		return Account{}, fmt.Errorf("reading account: %w", err)
	}
	return a, nil
}

// AccountsUnderAt is AccountsUnder as of a moment, with of each account what
// AccountAt says.
func (l *Ledger) AccountsUnderAt(ctx context.Context, prefix string, at time.Time) ([]Account, error) {
	rows, err := l.pool.Query(ctx, selectAccountAt+` WHERE a.code >= $3 AND a.code < $4 ORDER BY a.code`,
		at, lastPosition, prefix, prefix+"\U0010FFFF")
	if err != nil {
		return nil, fmt.Errorf("reading accounts: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanAccount)
	if err != nil {
		return nil, fmt.Errorf("reading accounts: %w", err)
	}
	return list, nil
}
