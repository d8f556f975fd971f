package bench

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
)

// growthSizes are the numbers of entries that throughput is measured at.
var growthSizes = []struct {
	entries int64
	name    string
}{
	{100_000, "growth-100k"},
	{1_000_000, "growth-1m"},
	{10_000_000, "growth-10m"},
}

// growthAccounts are few enough that opening and funding them makes fewer
// entries than the least size.
const growthAccounts = 20_000

// grow measures a database of its own as it grows, with pgbench beside it each
// time, and then how fast old entries are found in it. It verifies the books.
func grow(ctx context.Context, cfg Config, db *database, results map[string][]sample) (ledger.Report, error) {
	db, err := db.another(ctx, "growth")
	if err != nil {
		return ledger.Report{}, err
	}
	defer db.owner.Close()
	cfg.Accounts, cfg.Only = min(cfg.Accounts, growthAccounts), []string{"uniform"}
	b, err := openBooks(ctx, db, cfg)
	if err != nil {
		return ledger.Report{}, err
	}
	defer b.close()
	small := b.accounts[0]
	b.accounts = b.accounts[1:]
	if err := b.fill(ctx, []ledger.AccountID{small}, smallHistory-1); err != nil {
		return ledger.Report{}, err
	}
	for i, size := range growthSizes {
		if size.entries > cfg.Growth {
			break
		}
		cfg.Progress(fmt.Sprintf("growing to %d entries", size.entries), i, len(growthSizes)+2)
		if err := b.growTo(ctx, cfg, size.entries); err != nil {
			return ledger.Report{}, err
		}
		cfg.Progress("measuring "+size.name, i, len(growthSizes)+2)
		if err := b.measureGrown(ctx, cfg, size.name, results); err != nil {
			return ledger.Report{}, err
		}
	}
	cfg.Progress("measuring history", len(growthSizes), len(growthSizes)+2)
	if err := b.measureHistory(ctx, cfg, small, results); err != nil {
		return ledger.Report{}, err
	}
	cfg.Progress("verifying the grown books", len(growthSizes)+1, len(growthSizes)+2)
	return ledger.Verify(ctx, db.owner, ledger.VerifyOptions{MaxProblems: 10})
}

// another is a database beside this one, migrated and empty.
func (db *database) another(ctx context.Context, name string) (*database, error) {
	if _, err := db.owner.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		return nil, fmt.Errorf("creating database %s: %w", name, err)
	}
	other := *db
	var err error
	if other.url, err = withDatabase(db.server.URL(), name); err != nil {
		return nil, err
	}
	if _, _, err := store.Migrate(ctx, other.url); err != nil {
		return nil, err
	}
	other.owner, err = openOwner(ctx, other.url)
	return &other, err
}

// measureGrown measures transfers between random accounts, and pgbench right
// after, as often as there are rounds.
func (b *books) measureGrown(ctx context.Context, cfg Config, name string, results map[string][]sample) error {
	for range cfg.Rounds {
		s, err := b.transfers(ctx, cfg, cfg.Callers, false)
		if err != nil {
			return err
		}
		reference, err := b.db.pgbench(ctx, cfg, referenceClients)
		if err != nil {
			return err
		}
		results[name] = append(results[name], s)
		results[name+referenceSuffix] = append(results[name+referenceSuffix], reference)
	}
	return nil
}

// referenceSuffix marks pgbench's samples beside a measurement of growth.
const referenceSuffix = " pgbench"

func (b *books) growTo(ctx context.Context, cfg Config, entries int64) error {
	var have int64
	if err := b.db.owner.QueryRow(ctx, `SELECT 2 * count(*) FROM transactions`).Scan(&have); err != nil {
		return err
	}
	if err := b.fill(ctx, b.accounts, (entries-have)/2); err != nil {
		return err
	}
	return b.settleDown(ctx)
}

// fill adds so many transactions, as if transfers had made them: in turn, each of
// the accounts gets a cent from outside, then each gives one back, and so on.
// Indexes are made anew behind it, which is faster by far than row by row.
func (b *books) fill(ctx context.Context, accounts []ledger.AccountID, transactions int64) error {
	if transactions <= 0 {
		return nil
	}
	return pgx.BeginFunc(ctx, b.db.owner, func(tx pgx.Tx) error {
		indexes, err := dropKeys(ctx, tx)
		if err != nil {
			return err
		}
		for _, s := range []struct {
			query string
			args  []any
		}{
			{fillTransactions, []any{accounts, transactions, b.outside}},
			{fillAccounts, []any{accounts, transactions}},
			{fillOutside, []any{accounts, transactions, b.outside}},
		} {
			if _, err := tx.Exec(ctx, s.query, s.args...); err != nil {
				return fmt.Errorf("filling the books: %w", err)
			}
		}
		for _, statement := range indexes {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return fmt.Errorf("making the indexes: %w", err)
			}
		}
		return nil
	})
}

// dropKeys drops the keys of transactions and returns what makes them again.
func dropKeys(ctx context.Context, tx pgx.Tx) (again []string, err error) {
	rows, err := tx.Query(ctx, `
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
 WHERE conrelid = 'transactions'::regclass AND contype IN ('p', 'u') ORDER BY conname`)
	if err != nil {
		return nil, err
	}
	var name, definition string
	var drop []string
	_, err = pgx.ForEachRow(rows, []any{&name, &definition}, func() error {
		drop = append(drop, "ALTER TABLE transactions DROP CONSTRAINT "+name)
		again = append(again, "ALTER TABLE transactions ADD CONSTRAINT "+name+" "+definition)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, statement := range drop {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return nil, err
		}
	}
	return again, nil
}

// In the statements below $1 are the n accounts, $2 is the number of transactions
// and $3 the account outside. Transaction m is of account m mod n, as its step m /
// n: even steps take a cent from outside, odd ones give it back. Times are a
// microsecond apart and lie behind all before.
const (
	fillTransactions = `
WITH start AS (
    SELECT greatest(clock_timestamp(), max(last_time)) + interval '1 microsecond' AS at FROM accounts
), wanted AS (
    SELECT a.id, a.version, a.balance, w.n - 1 AS place, cardinality($1::bigint[])::bigint AS n
      FROM unnest($1::bigint[]) WITH ORDINALITY AS w (id, n) JOIN accounts a ON a.id = w.id
), steps AS (
    SELECT w.*, m, m / n AS step, CASE WHEN m / n % 2 = 0 THEN 1 ELSE -1 END AS cents,
           start.at + m * interval '1 microsecond' AS time
      FROM start CROSS JOIN generate_series(0, $2::bigint - 1) AS m
      JOIN wanted w ON w.place = m % cardinality($1::bigint[])
)
INSERT INTO transactions (id, key_hash, create_time, kind, more, fingerprint,
                          a_account, a_version, a_amount, a_balance, b_account, b_version, b_amount, b_balance)
SELECT (lpad(to_hex((extract(epoch FROM s.time) * 1000)::bigint), 12, '0') || '70008' || lpad(to_hex(s.m), 15, '0'))::uuid,
       gen_random_uuid(), s.time, 1, 0, sha256(int8send(s.m)),
       o.id, o.version + s.m + 1, -s.cents,
       o.balance - CASE WHEN s.cents > 0 THEN s.place + 1 ELSE s.n - s.place - 1 END,
       s.id, s.version + s.step + 1, s.cents, s.balance + (s.cents > 0)::int
  FROM steps s CROSS JOIN (SELECT * FROM accounts WHERE id = $3) o`

	fillAccounts = `
UPDATE accounts a
   SET version = a.version + f.steps, balance = a.balance + f.steps % 2,
       last_time = (SELECT max(create_time) FROM transactions)
                   - ($2::bigint - f.place - 1 - (f.steps - 1) * f.n) * interval '1 microsecond'
  FROM (SELECT id, place, n, ($2::bigint - place - 1) / n + 1 AS steps
          FROM (SELECT w.id, w.n - 1 AS place, cardinality($1::bigint[])::bigint AS n
                  FROM unnest($1::bigint[]) WITH ORDINALITY AS w (id, n)) w
         WHERE place < $2::bigint) f
 WHERE a.id = f.id`

	fillOutside = `
UPDATE accounts a
   SET version = a.version + $2::bigint,
       balance = a.balance - CASE WHEN f.step % 2 = 0 THEN f.place + 1 ELSE f.n - f.place - 1 END,
       last_time = (SELECT max(create_time) FROM transactions)
  FROM (SELECT ($2::bigint - 1) / n AS step, ($2::bigint - 1) % n AS place, n
          FROM (SELECT cardinality($1::bigint[])::bigint) c (n)) f
 WHERE a.id = $3`
)
