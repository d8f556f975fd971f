package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store/ledger"
)

// sale is a payment at terminal 1.
func sale(key string, from, to ledger.AccountID, amount int64) ledger.Command {
	c := transfer(key, from, to, amount)
	c.Counted, c.Meter = true, "terminal/1"
	return c
}

// metered is what a terminal's first limit in yen has counted.
func (b *books) metered(terminal string) string {
	b.t.Helper()
	usage, err := b.ledgers[0].Usage(ctx, terminal+"/JPY", jpy)
	if err != nil || len(usage) == 0 {
		b.t.Fatalf("the usage of %s is %+v, %v", terminal, usage, err)
	}
	return usage[0].Used.String()
}

func TestParallelSalesReachATerminalsLimitAndNeverPassIt(t *testing.T) {
	b := newBooks(t, 2, ledger.Config{Committers: 2, MaxBatch: 32})
	// Everybody pays somebody else: all that they share is the terminal.
	var payers, payees []ledger.AccountID
	for i := range 10 {
		payers = append(payers, b.account(fmt.Sprintf("user/%d/main", i), jpy, 1000))
		payees = append(payees, b.account(fmt.Sprintf("merchant/%d/pending", i), jpy, 0))
	}
	b.setRuleFor("terminal/1", ledger.MeasureAmount, ledger.Incoming, ledger.PerDay, 700)
	done := b.tally(500, func(l *ledger.Ledger, i int) error {
		_, err := l.Commit(ctx, sale(fmt.Sprint("race ", i), payers[i%10], payees[i%10], 7))
		return err
	}, ledger.ErrLimitExceeded)
	if got := b.metered("terminal/1"); done != 100 || got != "700" {
		t.Errorf("%d sales counted %s, the limit is 700", done, got)
	}
}

func TestATerminalsLimitsCountWhatIsSoldThereAndNothingElse(t *testing.T) {
	b := newBooks(t, 1, ledger.Config{})
	l := b.ledgers[0]
	one, two := b.account("user/1/main", jpy, 1000), b.account("merchant/2/pending", jpy, 0)
	b.setRule(ledger.MeasureCount, ledger.Incoming, ledger.PerDay, 4) // is about people and merchants
	pay := func(key, terminal string, amount int64) ledger.Transaction {
		t.Helper()
		c := sale(key, one, two, amount)
		c.Meter = terminal
		r, err := l.Commit(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		return r.Transaction
	}
	pay("before there is a limit", "terminal/1", 100)
	b.setRuleFor("terminal/1", ledger.MeasureAmount, ledger.Incoming, ledger.PerDay, 60)
	sold := pay("there", "terminal/1", 40)
	pay("elsewhere", "terminal/2", 50)
	pay("nowhere", "", 50)
	if got := b.metered("terminal/1"); got != "40" {
		t.Errorf("the terminal has counted %s, want 40", got)
	}
	refund := ledger.Refund{Original: sold.ID, Amount: ledger.NewAmount(30), Kind: ledger.KindRefund}
	for range 2 { // a retry gives back nothing more
		if _, err := l.Refund(ctx, identity("back"), refund); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.metered("terminal/1"); got != "10" {
		t.Errorf("after giving back 30 the terminal has counted %s, want 10", got)
	}
}

func TestAHoldsCaptureCountsAtItsTerminal(t *testing.T) {
	b := newBooks(t, 1, ledger.Config{})
	one, two := b.account("user/1/main", jpy, 1000), b.account("merchant/2/pending", jpy, 0)
	b.setRuleFor("terminal/1", ledger.MeasureAmount, ledger.Incoming, ledger.PerMonth, 60)
	h := b.hold(one, 100, 0, time.Hour)
	capture := captureOf(h, two, 61, false)
	capture.Meter = "terminal/1"
	if _, err := b.ledgers[0].CaptureHold(ctx, identity("too much"), capture); err == nil {
		t.Error("61 was captured past a limit of 60")
	}
	capture.Credits[0].Amount = ledger.NewAmount(60)
	if _, err := b.ledgers[0].CaptureHold(ctx, identity("capture"), capture); err != nil {
		t.Fatal(err)
	}
	if got := b.metered("terminal/1"); got != "60" {
		t.Errorf("the terminal has counted %s, want 60", got)
	}
}

func TestWhatIsPostedTogetherAtATerminalCountsTogetherOrNotAtAll(t *testing.T) {
	b := newBooks(t, 1, ledger.Config{MaxBatch: 16})
	one, two := b.account("user/1/main", jpy, 1000), b.account("merchant/2/pending", jpy, 0)
	b.setRuleFor("terminal/1", ledger.MeasureAmount, ledger.Incoming, ledger.PerDay, 60)
	if _, err := b.ledgers[0].Commit(ctx, sale("too much", one, two, 61)); err == nil {
		t.Error("61 passed a limit of 60")
	}
	// Others are in the same batches, so that these commit something.
	b.tally(400, func(l *ledger.Ledger, i int) error { // in a batch of 16 there is hardly ever a second group
		if i%20 != 0 {
			_, err := l.Commit(ctx, transfer(fmt.Sprint("beside ", i), one, two, 1))
			return err
		}
		_, err := l.CommitAll(ctx, []ledger.Command{
			sale(fmt.Sprint("first ", i), one, two, 40), sale(fmt.Sprint("second ", i), one, two, 30),
		})
		if err == nil {
			t.Error("70 passed a limit of 60")
		}
		return err
	}, ledger.ErrLimitExceeded)
	if _, err := b.ledgers[0].Commit(ctx, sale("alone", one, two, 60)); err != nil {
		t.Errorf("what was refused was counted: %v", err)
	}
}

func TestATerminalHasLimitsOnlyOfWhatIsSold(t *testing.T) {
	b := newBooks(t, 1, ledger.Config{})
	for what, r := range map[string]ledger.Rule{
		"outgoing money": {Measure: ledger.MeasureAmount, Direction: ledger.Outgoing, Period: ledger.PerDay},
		"a balance":      {Measure: ledger.MeasureBalance, Direction: ledger.Incoming, Period: ledger.PerTransaction},
	} {
		r.Scope, r.Asset, r.Zone = "terminal/1", jpy, "UTC"
		err := pgx.BeginFunc(ctx, b.stores[0].Pool, func(tx pgx.Tx) error {
			_, _, err := ledger.SetRule(ctx, tx, r)
			return err
		})
		if err == nil {
			t.Errorf("a limit on %s was set", what)
		}
	}
}
