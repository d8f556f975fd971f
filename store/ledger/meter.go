package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// A metered owner is a terminal: limits count what is sold there, although the money
// goes past it. Its account has no entries, only counters; what these counted is kept
// in the table metered. There is such an account for every asset in which a rule for
// the terminal was ever set, and payments elsewhere neither lock nor write anything
// for it.

// meteredClass is the class of owners whose accounts only count.
const meteredClass = "terminal/"

// metered tells whether an owner's or account's code is that of one that only counts.
func metered(code string) bool { return strings.HasPrefix(code, meteredClass) }

const selectMeters = `
SELECT DISTINCT a.id, a.asset_id, r.scope
  FROM limit_rules r
  JOIN assets s ON s.id = r.asset_id
  JOIN accounts a ON a.code = r.scope || '/' || s.code
 WHERE r.scope LIKE '` + meteredClass + `%'`

// meterAccount counts what is metered in one asset.
type meterAccount struct {
	account AccountID
	asset   AssetID
}

// readMeters returns the accounts that count what is metered, by owner.
func readMeters(ctx context.Context, q querier) (map[string][]meterAccount, error) {
	rows, err := q.Query(ctx, selectMeters)
	if err != nil {
		return nil, fmt.Errorf("reading meters: %w", err)
	}
	meters := make(map[string][]meterAccount)
	var m meterAccount
	var owner string
	_, err = pgx.ForEachRow(rows, []any{&m.account, &m.asset, &owner}, func() error {
		meters[owner] = append(meters[owner], m)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading meters: %w", err)
	}
	return meters, nil
}

// openMeter opens the account that counts for a rule of a metered owner.
func openMeter(ctx context.Context, tx pgx.Tx, r *Rule) error {
	if !metered(r.Scope) {
		return nil
	}
	var asset string
	err := tx.QueryRow(ctx, `SELECT code FROM assets WHERE id = $1`, r.Asset).Scan(&asset)
	if err != nil {
		return fmt.Errorf("opening a meter: %w", err)
	}
	var account AccountID
	var of AssetID
	err = tx.QueryRow(ctx, openAccount, r.Scope+"/"+asset, r.Asset, false, r.Scope).Scan(&account, &of)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) { // no row: it is open
		return fmt.Errorf("opening a meter: %w", err)
	}
	return nil
}

// meterOf returns the account that counts a decision for the command's meter; 0 if
// nothing is counted.
func (b *batch) meterOf(c *Command, d *Draft) AccountID {
	if c.Meter == "" || !c.Counted || b.rules == nil || len(d.Postings) == 0 {
		return 0
	}
	first := b.accounts[d.Postings[0].Account]
	if first == nil {
		return 0
	}
	for _, m := range b.rules.meters[c.Meter] {
		if m.asset == first.Asset {
			return m.account
		}
	}
	return 0
}

// nameMeters has the accounts locked that will count the call's commands, as far as
// the rules are known here. What isn't is noticed when they are decided, and costs
// another batch.
func (l *Ledger) nameMeters(c *call) {
	known := l.rules.Load()
	if known == nil {
		return
	}
	for i := range c.items {
		it := &c.items[i]
		for _, m := range known.meters[it.command.Meter] {
			it.extra = append(it.extra, m.account)
		}
	}
}

// meteredRow is a row of the table of this name.
type meteredRow struct {
	transaction uuid.UUID
	account     AccountID
	amount      Amount
}

// checkMeter counts the change for the command's meter. What moved is what its first
// entry moved.
func (b *batch) checkMeter(c *Command, d *Draft, ch *change) error {
	account := b.meterOf(c, d)
	if account == 0 || len(ch.entries) == 0 {
		return nil
	}
	amount := ch.entries[0].Amount.Abs()
	counts, err := b.countMeter(account, charge{direction: Incoming, amount: amount, number: 1, at: b.now}, ch)
	if counts {
		ch.metered = &meteredRow{account: account, amount: amount}
	}
	return err
}

// giveBackMeter gives back what the refunded transaction was counted for.
func (b *batch) giveBackMeter(r *RefundPart, ch *change) error {
	if r.meter == 0 {
		return nil
	}
	back := charge{direction: Incoming, amount: r.Amount.Neg(), at: r.IncomingTime}
	if r.Last {
		back.number = -1
	}
	_, err := b.countMeter(r.meter, back, ch)
	return err
}

func (b *batch) countMeter(account AccountID, c charge, ch *change) (counts bool, err error) {
	u, err := b.count(b.accounts[account], []charge{c}, Amount{})
	if err != nil || u == nil {
		return false, err
	}
	ch.counted = append(ch.counted, *u)
	return true, nil
}

// meterOfTransaction returns the account that a transaction was counted by, or 0.
func (l *Ledger) meterOfTransaction(ctx context.Context, transaction uuid.UUID) (account AccountID, err error) {
	err = l.pool.QueryRow(ctx, `SELECT account_id FROM metered WHERE transaction_id = $1`, transaction).Scan(&account)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("finding what a transaction was counted by: %w", err)
	}
	return account, nil
}

const insertMetered = `
INSERT INTO metered (transaction_id, account_id, amount, create_time)
SELECT m.*, $4::timestamptz FROM unnest($1::uuid[], $2::bigint[], $3::numeric[]) AS m`

func meteredArgs(list []meteredRow, now time.Time) []any {
	var transactions []uuid.UUID
	var accounts []int64
	var amounts pgtype.FlatArray[Amount]
	for _, m := range list {
		transactions, accounts = append(transactions, m.transaction), append(accounts, int64(m.account))
		amounts = append(amounts, m.amount)
	}
	return []any{transactions, accounts, amounts, now}
}
