package ledger

import (
	"context"
	"fmt"
	"math"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Problem is one thing that is wrong with the books.
type Problem struct {
	Rule    string // the rule that is broken, such as "entry_gap"
	Subject string // the row that breaks it
	Detail  string // what was expected and what was found
}

// Report is what Verify found.
type Report struct {
	Problems     []Problem // at most VerifyOptions.MaxProblems
	Accounts     int64     // how many were checked
	Transactions int64
	Entries      int64
}

// OK tells whether the books are right.
func (r *Report) OK() bool { return len(r.Problems) == 0 }

// VerifyOptions tunes Verify. The zero value works.
type VerifyOptions struct {
	// Progress, if set, is called now and then with how much is done.
	Progress func(done, total int64)
	// MaxProblems is how many problems to name before stopping. Default 1,000.
	MaxProblems int
	// ChunkSize is how many accounts or transactions to check at a time, which
	// bounds the memory that PostgreSQL needs. Default 20,000.
	ChunkSize int
	// Beside are further checks under the same snapshot. They tell problems, and
	// stop when they are told that there are enough.
	Beside []Check
}

// Check looks for problems in a transaction that sees one snapshot. It stops when
// problem returns false.
type Check func(ctx context.Context, tx pgx.Tx, problem func(Problem) bool) error

// Verify proves from the rows, under one snapshot, that the books are right. It
// trusts no figure that it can recompute:
//
//   - transaction_balance: every transaction's entries sum to zero for each
//     asset, and it has as many entries as it says;
//   - entry_gap: an account's entries are numbered 1, 2, 3 … without gaps;
//   - entry_balance: each entry's balance is the one before plus its amount;
//   - entry_time: times never decrease along an account's versions, and all
//     entries of a transaction are of its time;
//   - account_balance, account_version, account_time: the account's row says what
//     its entries do;
//   - account_floor: nothing is below its floor;
//   - account_held: what an account has held is the sum of its open holds;
//   - hold_history: every hold is where its operations, numbered without gaps, led
//     it;
//   - hold_capture: what was captured of holds is what captures took;
//   - refund_sum: nothing is given back more than once, or without an original;
//   - account_usage: the counters of limits counted what moved;
//   - metered: what was counted for a terminal is what was sold there;
//   - account_tier: accounts have the tier of their owner;
//   - receivable: nobody owes less than nothing;
//   - asset_sum: every asset sums to zero over all accounts;
//   - entry_orphan: every entry has its account and its transaction.
//
// It reads everything; on large books that takes minutes.
func Verify(ctx context.Context, pool *pgxpool.Pool, o VerifyOptions) (Report, error) {
	setDefault(&o.MaxProblems, 1000)
	setDefault(&o.ChunkSize, 20_000)
	var v verifier
	err := pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		v = verifier{ctx: ctx, tx: tx, options: o}
		return v.run()
	})
	if err != nil {
		return Report{}, fmt.Errorf("verifying the books: %w", err)
	}
	return v.report, nil
}

type verifier struct {
	ctx         context.Context
	tx          pgx.Tx
	options     VerifyOptions
	report      Report
	done, total int64
}

func (v *verifier) run() error {
	err := v.tx.QueryRow(v.ctx, `SELECT (SELECT count(*) FROM accounts), (SELECT count(*) FROM transactions)`).
		Scan(&v.report.Accounts, &v.report.Transactions)
	if err != nil {
		return err
	}
	v.total = v.report.Accounts + v.report.Transactions
	for _, check := range []func() error{v.assets, v.accounts, v.transactions, v.holds, v.orphans} {
		if err := check(); err != nil {
			return err
		}
	}
	for _, check := range v.options.Beside {
		if v.full() {
			return nil
		}
		if err := check(v.ctx, v.tx, v.add); err != nil {
			return err
		}
	}
	return nil
}

// add keeps a problem, and tells whether more are wanted.
func (v *verifier) add(p Problem) bool {
	v.report.Problems = append(v.report.Problems, p)
	return !v.full()
}

// full tells whether enough problems were found.
func (v *verifier) full() bool { return len(v.report.Problems) >= v.options.MaxProblems }

func (v *verifier) advance(n int64) {
	v.done += n
	if v.options.Progress != nil {
		v.options.Progress(min(v.done, v.total), v.total)
	}
}

// collect runs a query whose rows are problems.
func (v *verifier) collect(query string, args ...any) error {
	if v.full() {
		return nil
	}
	rows, err := v.tx.Query(v.ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() && !v.full() {
		p, err := pgx.RowToStructByPos[Problem](rows)
		if err != nil {
			return err
		}
		v.report.Problems = append(v.report.Problems, p)
	}
	return rows.Err()
}

func (v *verifier) assets() error { return v.collect(verifyAssets) }

// accounts checks the accounts and their entries, a range of ids at a time. The
// ranges leave out nothing: entries of accounts that don't exist are checked
// here too.
func (v *verifier) accounts() error {
	low := int64(math.MinInt64)
	for {
		var high *int64
		var n int64
		err := v.tx.QueryRow(v.ctx, `SELECT max(id), count(*) FROM (SELECT id FROM accounts WHERE id > $1 ORDER BY id LIMIT $2) a`,
			low, v.options.ChunkSize).Scan(&high, &n)
		if err != nil {
			return err
		}
		end := int64(math.MaxInt64)
		if n == int64(v.options.ChunkSize) {
			end = *high
		}
		for _, check := range []string{verifyAccounts, verifyHeld, verifyUsage, verifyTiers} {
			if err := v.collect(check, low, end); err != nil {
				return err
			}
		}
		v.advance(n)
		if end == math.MaxInt64 || v.full() {
			return nil
		}
		low = end
	}
}

func (v *verifier) transactions() error {
	low := uuid.Nil
	for {
		var high *uuid.UUID
		var n, more int64
		err := v.tx.QueryRow(v.ctx, `
SELECT (array_agg(id ORDER BY id DESC))[1], count(*), coalesce(sum(more), 0)
  FROM (SELECT id, more FROM transactions WHERE id > $1 ORDER BY id LIMIT $2) t`,
			low, v.options.ChunkSize).Scan(&high, &n, &more)
		if err != nil || n == 0 {
			return err
		}
		for _, check := range []string{verifyTransactions, verifyCaptures, verifyMetered, verifyRefunds} {
			if err := v.collect(check, low, *high); err != nil {
				return err
			}
		}
		v.report.Entries += 2*n + more
		v.advance(n)
		if v.full() {
			return nil
		}
		low = *high
	}
}

// holds checks the holds with their operations, a range of ids at a time. The
// first range begins below all ids, the last one has no end, so that operations
// of holds that don't exist are found too.
func (v *verifier) holds() error {
	low := uuid.Nil
	for {
		high, n := uuid.Max, 0
		err := v.tx.QueryRow(v.ctx, `
SELECT coalesce((array_agg(id ORDER BY id DESC))[1], $3), count(*)
  FROM (SELECT id FROM holds WHERE id > $1 ORDER BY id LIMIT $2) h`,
			low, v.options.ChunkSize, uuid.Max).Scan(&high, &n)
		if err != nil {
			return err
		}
		if n < v.options.ChunkSize {
			high = uuid.Max
		}
		if err := v.collect(verifyHolds, low, high); err != nil || high == uuid.Max || v.full() {
			return err
		}
		low = high
	}
}

func (v *verifier) orphans() error { return v.collect(verifyOrphans) }
