package ledger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tillbook/tillbook/store/ledger"
)

// movedBooks hold, capture, limit, refund and owe something each.
func movedBooks(t *testing.T) *books {
	b := newBooks(t, 1, ledger.Config{ExpireInterval: time.Hour})
	l := b.ledgers[0]
	one, two := b.account("user/1/main", jpy, 1000), b.account("user/2/main", jpy, 0)
	b.setRule(ledger.MeasureAmount, ledger.Outgoing, ledger.PerDay, 5000)
	b.setRule(ledger.MeasureAmount, ledger.Incoming, ledger.PerDay, 5000)
	h := b.hold(one, 100, 0, time.Hour)
	b.hold(one, 30, 0, time.Hour)
	if _, err := l.CaptureHold(ctx, identity("capture"), captureOf(h, two, 40, false)); err != nil {
		t.Fatal(err)
	}
	pay := transfer("counted", one, two, 200)
	pay.Counted = true
	paid, err := l.Commit(ctx, pay)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Refund(ctx, identity("part"), ledger.Refund{
		Original: paid.Transaction.ID, Amount: ledger.NewAmount(50), Kind: ledger.KindRefund,
	}); err != nil {
		t.Fatal(err)
	}
	b.setRuleFor("terminal/1", ledger.MeasureAmount, ledger.Incoming, ledger.PerDay, 5000)
	if _, err := l.Commit(ctx, sale("sale", one, two, 10)); err != nil {
		t.Fatal(err)
	}
	b.pay(two, b.outside(jpy), 200)
	if _, err := l.Refund(ctx, identity("rest"), ledger.Refund{
		Original: paid.Transaction.ID, Kind: ledger.KindReversal, Receivable: true,
	}); err != nil {
		t.Fatal(err)
	}
	return b
}

var movedTamperings = []struct{ rule, sql, says string }{
	{"account_held", `UPDATE accounts SET held = held + 1 WHERE code = 'user/1/main'`, "account user/1/main"},
	{"account_held", `UPDATE accounts SET held = 0 WHERE code = 'user/1/main'`, "account user/1/main"},
	{"hold_history", `UPDATE holds SET amount = amount + 5 WHERE amount = 100`, "hold "},
	{"hold_history", `UPDATE holds SET state = 3, close_time = now() WHERE amount = 30`, "hold "},
	{"hold_history", `DELETE FROM hold_operations WHERE kind = 1 AND amount = 100`, "operation 2 of hold"},
	{"hold_history", `UPDATE hold_operations SET held_change = held_change - 1 WHERE kind = 3`, "operation 2 of hold"},
	{"hold_history", `DELETE FROM holds WHERE amount = 30`, "hold "},
	{"hold_capture", `UPDATE holds SET captured = captured + 1 WHERE amount = 100`, "hold "},
	{"hold_capture", `DELETE FROM hold_operations WHERE kind = 3`, "is a capture, but of no hold"},
	{"refund_sum", `UPDATE refunds SET amount = amount + 1 WHERE amount = 50`, "transaction "},
	{"refund_sum", `DELETE FROM refunds WHERE amount = 50`, "nothing is known of what"},
	{"refund_sum", `UPDATE refunds SET original_id = gen_random_uuid() WHERE amount = 50`, "transaction "},
	{"account_usage", `UPDATE accounts SET usage = regexp_replace(usage::text, '(\d+) (\d+)"', '7 \2"')::jsonb WHERE code = 'user/1/main'`, "account user/1/main"},
	{"account_usage", `UPDATE accounts SET usage = regexp_replace(usage::text, '(\d+) (\d+)"', '\1 7"')::jsonb WHERE code = 'user/2/main'`, "account user/2/main"},
	{"account_usage", `UPDATE hold_operations SET counted_amount = counted_amount + 1 WHERE kind = 1 AND amount = 30`, "account user/1/main"},
	{"account_usage", `UPDATE transactions SET counted = NULL WHERE kind = 1 AND counted`, "account user/"},
	{"account_usage", `UPDATE accounts SET usage = regexp_replace(usage::text, '(\d+) (\d+)"', '7 \2"')::jsonb WHERE code = 'terminal/1/JPY'`, "account terminal/1/JPY"},
	{"account_usage", `DELETE FROM metered`, "account terminal/1/JPY"},
	{"metered", `UPDATE metered SET amount = amount + 1`, "was counted as 11, it moved 10"},
	{"metered", `UPDATE transactions SET counted = NULL WHERE id IN (SELECT transaction_id FROM metered)`, "it moved nothing"},
	{"account_tier", `UPDATE accounts SET tier = 3 WHERE code = 'user/2/main'`, "account user/2/main"},
	{"account_tier", `INSERT INTO owners VALUES ('user/1', 2, now())`, "account user/1/main"},
	{"receivable", `UPDATE accounts SET balance = 5 WHERE code LIKE 'receivable/%'`, "account receivable/2/JPY"},
}

func TestEveryTamperingWithWhatIsHeldLimitedOrOwedIsFound(t *testing.T) {
	b := movedBooks(t)
	b.broken = true
	if report := b.report(ledger.VerifyOptions{}); !report.OK() {
		t.Fatalf("the books as they are: %s", describe(report))
	}
	conn := b.superuser()
	for _, c := range movedTamperings {
		t.Run(c.rule+" "+c.sql, func(t *testing.T) {
			tables := []string{"accounts", "transactions", "holds", "hold_operations", "refunds", "owners", "metered"}
			for _, table := range tables {
				mustExec(t, conn, `CREATE TABLE kept_`+table+` AS TABLE `+table)
			}
			mustExec(t, conn, c.sql)
			found := false
			for _, p := range b.report(ledger.VerifyOptions{ChunkSize: 1}).Problems {
				found = found || p.Rule == c.rule && strings.Contains(p.Subject+" "+p.Detail, c.says)
			}
			if !found {
				t.Errorf("found\n%s", describe(b.report(ledger.VerifyOptions{})))
			}
			for _, table := range tables {
				overriding := map[string]string{"accounts": " OVERRIDING SYSTEM VALUE"}[table]
				mustExec(t, conn, `TRUNCATE `+table+`; INSERT INTO `+table+overriding+` TABLE kept_`+table+`; DROP TABLE kept_`+table)
			}
			if report := b.report(ledger.VerifyOptions{}); !report.OK() {
				t.Fatalf("the books as they were: %s", describe(report))
			}
		})
	}
}
