package ledger_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
	"github.com/tillbook/tillbook/store/storetest"
)

// goodBooks holds payments of two and of four postings in two assets, and an
// account that was never used. Its accounts are numbered 1 to 7 in this order.
func goodBooks(t *testing.T) *books {
	b := newBooks(t, 1, ledger.Config{})
	outside := b.outside(jpy)
	one, two := b.account("user/1/JPY", jpy, 0), b.account("user/2/JPY", jpy, 0)
	usd1, usd2 := b.account("user/1/USD", usd, 0), b.account("user/2/USD", usd, 0)
	b.outside(usd)
	b.account("user/3/JPY", jpy, 0)
	b.pay(outside, one, 100)          // user/1/JPY 1
	b.pay(b.outside(usd), usd2, 1000) // user/2/USD 1
	b.pay(one, two, 30)               // user/1/JPY 2, user/2/JPY 1
	exchange := transfer("exchange", one, two, 5)
	exchange.Accounts = []ledger.AccountID{one, two, usd1, usd2}
	exchange.Decide = func(ledger.View) (ledger.Draft, error) {
		return ledger.Draft{Postings: []ledger.Posting{
			{Account: one, Amount: ledger.NewAmount(-5)}, {Account: two, Amount: ledger.NewAmount(5)},
			{Account: usd2, Amount: ledger.NewAmount(-700)}, {Account: usd1, Amount: ledger.NewAmount(700)},
		}}, nil
	}
	if _, err := b.ledgers[0].Commit(ctx, exchange); err != nil { // user/1/JPY 3, user/2/JPY 2
		t.Fatal(err)
	}
	b.pay(one, two, 10) // user/1/JPY 4, user/2/JPY 3
	b.pay(two, one, 2)  // user/1/JPY 5, user/2/JPY 4
	return b
}

func (b *books) report(o ledger.VerifyOptions) ledger.Report {
	b.t.Helper()
	report, err := ledger.Verify(ctx, b.stores[0].Pool, o)
	if err != nil {
		b.t.Fatal(err)
	}
	return report
}

func TestGoodBooksAreFoundGoodWhateverIsReadAtATime(t *testing.T) {
	b := goodBooks(t)
	for _, size := range []int{0, 1, 2, 3, 6, 7, 8} {
		var last, total int64
		report := b.report(ledger.VerifyOptions{ChunkSize: size, Progress: func(done, of int64) {
			if done < last || done > of {
				t.Errorf("progress went from %d to %d of %d", last, done, of)
			}
			last, total = done, of
		}})
		if !report.OK() || report.Accounts != 7 || report.Transactions != 6 || report.Entries != 14 {
			t.Errorf("%d at a time: %+v", size, report)
		}
		if last != 13 || total != 13 {
			t.Errorf("%d at a time: progress ended at %d of %d", size, last, total)
		}
	}
}

func TestEmptyBooksAreGood(t *testing.T) {
	b := newBooks(t, 1, ledger.Config{})
	if report := b.report(ledger.VerifyOptions{}); !report.OK() || report.Accounts+report.Transactions+report.Entries != 0 {
		t.Errorf("%+v", report)
	}
}

func TestBooksAreVerifiedUnderOneSnapshotWhilePaymentsGoOn(t *testing.T) {
	b := newBooks(t, 2, ledger.Config{Committers: 2, MaxBatch: 4})
	from, to := b.account("user/1/JPY", jpy, 1e9), b.account("user/2/JPY", jpy, 1e9)
	stop := make(chan struct{})
	var paying []<-chan error
	for i := range 8 {
		ended := make(chan error, 1)
		paying = append(paying, ended)
		go func() { ended <- keepPaying(b.ledgers[i%2], fmt.Sprint(i), from, to, stop) }()
	}
	for range 10 {
		if report := b.report(ledger.VerifyOptions{ChunkSize: 50}); !report.OK() {
			t.Errorf("%+v", report.Problems[0])
		}
	}
	close(stop)
	for _, ended := range paying {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// keepPaying pays one thing after another until stop is closed.
func keepPaying(l *ledger.Ledger, key string, from, to ledger.AccountID, stop <-chan struct{}) error {
	for n := 0; !closed(stop); n++ {
		if _, err := l.Commit(ctx, transfer(fmt.Sprint(key, "/", n), from, to, 1)); err != nil {
			return err
		}
	}
	return nil
}

// tampering is what one who may do everything does to the books, and what must
// be said of it. $txn stands for the transaction with four postings.
type tampering struct {
	name string
	sql  string
	says []string // "rule: subject detail", in part
}

const exchanged = ` WHERE more = 2`

var tamperings = []tampering{
	{"an entry's amount", `UPDATE transactions SET a_amount = a_amount - 1` + exchanged,
		[]string{"transaction_balance: transaction $txn JPY sums to -1", "entry_balance: entry 3 of account user/1/JPY (transaction $txn) says balance 65 after 70 and amount -6"}},
	{"both amounts of a transfer", `UPDATE transactions SET a_amount = a_amount - 1, b_amount = b_amount + 1 WHERE a_account = 2 AND a_version = 4`,
		[]string{"entry_balance: entry 4 of account user/1/JPY", "entry_balance: entry 3 of account user/2/JPY", "account_balance: account user/1/JPY says 57, its entries sum to 56"}},
	{"an amount in more_entries", `UPDATE more_entries SET amount = amount + 1 WHERE position = 3`,
		[]string{"transaction_balance: transaction $txn USD sums to 1", "entry_balance: entry 1 of account user/1/USD"}},
	{"the balance after an entry", `UPDATE transactions SET b_balance = b_balance + 1` + exchanged,
		[]string{"entry_balance: entry 2 of account user/2/JPY (transaction $txn) says balance 36 after 30 and amount 5", "entry_balance: entry 3 of account user/2/JPY"}},
	{"an account's balance", `UPDATE accounts SET balance = balance + 1 WHERE code = 'user/2/USD'`,
		[]string{"account_balance: account user/2/USD says 301, its entries sum to 300", "asset_sum: asset USD all balances sum to 1"}},
	{"an account's balance to not a number", `UPDATE accounts SET balance = 'NaN' WHERE code = 'user/2/USD'`,
		[]string{"account_balance: account user/2/USD says NaN", "asset_sum: asset USD"}},
	{"the balance of an account without entries", `UPDATE accounts SET balance = 5 WHERE code = 'user/3/JPY'`,
		[]string{"account_balance: account user/3/JPY says 5, its entries sum to 0", "asset_sum: asset JPY all balances sum to 5"}},
	{"two accounts' balances against each other", `UPDATE accounts SET balance = balance + CASE code WHEN 'user/1/JPY' THEN 7 ELSE -7 END WHERE code IN ('user/1/JPY', 'user/2/JPY')`,
		[]string{"account_balance: account user/1/JPY", "account_balance: account user/2/JPY"}},
	{"a transaction is removed", `DELETE FROM transactions WHERE a_account = 2 AND a_version = 4`,
		[]string{"entry_gap: entry 5 of account user/1/JPY", "entry_gap: entry 4 of account user/2/JPY", "account_version: account user/1/JPY says 5, it has 4 entries"}},
	{"the newest transaction is removed", `DELETE FROM transactions WHERE b_version = 5`,
		[]string{"account_version: account user/1/JPY says 5, it has 4", "account_balance: account user/2/JPY", "account_time: account user/1/JPY"}},
	{"a transaction of four is removed, its other entries stay", `DELETE FROM transactions` + exchanged,
		[]string{"entry_orphan: entry 1 of account number 4 transaction $txn does not exist", "entry_gap: entry 4 of account user/1/JPY"}},
	{"a further entry is removed", `DELETE FROM more_entries WHERE position = 3`,
		[]string{"transaction_balance: transaction $txn says that it has 4 entries, it has 3", "transaction_balance: transaction $txn USD sums to -700", "account_version: account user/1/USD says 1, it has 0"}},
	{"both further entries are removed", `DELETE FROM more_entries`,
		[]string{"transaction_balance: transaction $txn says that it has 4 entries, it has 2", "account_version: account user/2/USD says 2, it has 1"}},
	{"a further entry is added", `INSERT INTO more_entries SELECT 7, 1, id, 2, create_time, 0, 0 FROM transactions WHERE a_account = 2 AND a_version = 4`,
		[]string{"says that it has 2 entries, it has 3", "account_version: account user/3/JPY says 0, it has 1 entries"}},
	{"a version is left out", `UPDATE transactions SET b_version = 6 WHERE b_version = 5`,
		[]string{"entry_gap: entry 6 of account user/1/JPY", "follows entry 4"}},
	{"a version is there twice", `UPDATE transactions SET b_version = 4 WHERE b_version = 5`,
		[]string{"entry_gap: entry 4 of account user/1/JPY", "follows entry 4"}},
	{"versions begin with 0", `UPDATE transactions SET b_version = 0 WHERE b_account = 2 AND b_version = 1`,
		[]string{"entry_gap: entry 0 of account user/1/JPY", "entry_gap: entry 2 of account user/1/JPY"}},
	{"an account's version", `UPDATE accounts SET version = version + 1 WHERE code = 'user/1/USD'`,
		[]string{"account_version: account user/1/USD says 2, it has 1 entries"}},
	{"an account's last time", `UPDATE accounts SET last_time = last_time - interval '1 hour' WHERE code = 'user/1/USD'`,
		[]string{"account_time: account user/1/USD"}},
	{"the last time of an account without entries", `UPDATE accounts SET last_time = now() WHERE code = 'user/3/JPY'`,
		[]string{"account_time: account user/3/JPY"}},
	{"the time of a transaction", `UPDATE transactions SET create_time = create_time - interval '1 hour' WHERE a_account = 2 AND a_version = 4`,
		[]string{"entry_time: entry 4 of account user/1/JPY", "entry_time: entry 3 of account user/2/JPY"}},
	{"the time of a further entry", `UPDATE more_entries SET create_time = create_time - interval '1 microsecond' WHERE position = 2`,
		[]string{"entry_time: entry 2 of account user/2/USD"}},
	{"a floor is raised above the balance", `UPDATE accounts SET floor = 58 WHERE code = 'user/1/JPY'`,
		[]string{"account_floor: account user/1/JPY has 57 available, its floor is 58"}},
	{"an account is overdrawn, with all its entries", `UPDATE transactions SET a_amount = -200, a_balance = -135, b_amount = 200, b_balance = 235 WHERE a_account = 2 AND a_version = 4;
		UPDATE transactions SET a_balance = 233, b_balance = -133 WHERE b_version = 5;
		UPDATE accounts SET balance = CASE code WHEN 'user/1/JPY' THEN -133 ELSE 233 END WHERE code IN ('user/1/JPY', 'user/2/JPY')`,
		[]string{"account_floor: account user/1/JPY has -133 available, its floor is 0"}},
	{"money is held by no hold", `UPDATE accounts SET held = 5 WHERE code = 'user/1/JPY'`,
		[]string{"account_held: account user/1/JPY says that 5 is held"}},
	{"an account is removed", `DELETE FROM accounts WHERE code = 'user/1/USD'`,
		[]string{"entry_orphan: entry 1 of account number 4 the account does not exist", "asset_sum: asset USD"}},
	{"an account is of another asset", `UPDATE accounts SET asset_id = 10 WHERE code = 'user/1/USD'`,
		[]string{"transaction_balance: transaction $txn JPY sums to 700", "transaction_balance: transaction $txn USD sums to -700", "asset_sum: asset JPY"}},
	{"an entry is of another account", `UPDATE transactions SET b_account = 7, b_version = 1 WHERE b_version = 5`,
		[]string{"account_version: account user/1/JPY says 5, it has 4", "account_version: account user/3/JPY says 0, it has 1"}},
	{"everything is removed but the accounts", `TRUNCATE transactions, more_entries`,
		[]string{"account_version: account user/1/JPY says 5, it has 0 entries", "account_balance: account user/2/USD says 300, its entries sum to 0"}},
}

func TestEveryTamperingIsFoundAndTheRowNamed(t *testing.T) {
	b := goodBooks(t)
	b.broken = true
	conn := b.superuser()
	var exchange string
	if err := conn.QueryRow(ctx, `SELECT id::text FROM transactions`+exchanged).Scan(&exchange); err != nil {
		t.Fatal(err)
	}
	mustExec(t, conn, `ALTER TABLE transactions DROP CONSTRAINT transactions_balance;
		ALTER TABLE accounts DROP CONSTRAINT accounts_floor;
		CREATE SCHEMA untouched;
		CREATE TABLE untouched.accounts AS TABLE accounts;
		CREATE TABLE untouched.transactions AS TABLE transactions;
		CREATE TABLE untouched.more_entries AS TABLE more_entries`)
	for _, c := range tamperings {
		t.Run(c.name, func(t *testing.T) {
			mustExec(t, conn, c.sql)
			for _, size := range []int{20_000, 1} {
				found := describe(b.report(ledger.VerifyOptions{ChunkSize: size}))
				for _, says := range c.says {
					if says = strings.ReplaceAll(says, "$txn", exchange); !strings.Contains(found, says) {
						t.Errorf("reading %d at a time found\n%sand not %q", size, found, says)
					}
				}
			}
			mustExec(t, conn, `TRUNCATE accounts, transactions, more_entries;
				INSERT INTO accounts OVERRIDING SYSTEM VALUE TABLE untouched.accounts;
				INSERT INTO transactions TABLE untouched.transactions;
				INSERT INTO more_entries TABLE untouched.more_entries`)
			if report := b.report(ledger.VerifyOptions{}); !report.OK() {
				t.Fatalf("the books as they were: %s", describe(report))
			}
		})
	}
}

func mustExec(t testing.TB, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func describe(r ledger.Report) string {
	var lines strings.Builder
	for _, p := range r.Problems {
		fmt.Fprintf(&lines, "%s: %s %s\n", p.Rule, p.Subject, p.Detail)
	}
	return lines.String()
}

func TestVerificationStopsAfterAsManyProblemsAsAskedFor(t *testing.T) {
	b := goodBooks(t)
	b.broken = true
	mustExec(t, b.superuser(), `UPDATE accounts SET balance = balance + 1`)
	all := len(b.report(ledger.VerifyOptions{}).Problems)
	for _, most := range []int{1, 3} {
		if got := len(b.report(ledger.VerifyOptions{MaxProblems: most, ChunkSize: 2}).Problems); got != most || all <= most {
			t.Errorf("%d of %d problems named, want %d", got, all, most)
		}
	}
}

func TestVerificationEndsWithItsContext(t *testing.T) {
	s := storetest.Open(t, store.Config{URL: storetest.NewDatabase(t)})
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if report, err := ledger.Verify(gone, s.Pool, ledger.VerifyOptions{}); err == nil {
		t.Errorf("without a connection the books are %+v", report)
	}
}

func TestTheServingRoleCannotRewriteHistory(t *testing.T) {
	b := goodBooks(t)
	for _, table := range []string{"transactions", "more_entries", "events"} {
		column := map[string]string{"transactions": "note", "more_entries": "balance", "events": "subject"}[table]
		for _, sql := range []string{
			fmt.Sprintf(`UPDATE %s SET %s = %[2]s`, table, column), `DELETE FROM ` + table, `TRUNCATE ` + table, `DROP TABLE ` + table,
			`ALTER TABLE ` + table + ` DISABLE TRIGGER ALL`,
		} {
			if _, err := b.stores[0].Pool.Exec(ctx, sql); err == nil || !strings.Contains(err.Error(), "42501") {
				t.Errorf("%s: %v, want insufficient privilege", sql, err)
			}
		}
	}
	for _, sql := range []string{`DELETE FROM accounts`, `DELETE FROM assets`, `UPDATE assets SET exponent = 0`} {
		if _, err := b.stores[0].Pool.Exec(ctx, sql); err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("%s: %v, want insufficient privilege", sql, err)
		}
	}
}
