package ledger_test

import (
	"errors"
	"testing"

	"github.com/tillbook/tillbook/store/ledger"
)

// A change of the rules that was lost with an old primary and another one made on the
// new primary have the same version.
func TestRulesAreReadAgainAfterAFailover(t *testing.T) {
	b := newBooks(t, 1, ledger.Config{})
	from, to := b.account("user/1/main", jpy, 1000), b.account("user/2/main", jpy, 0)
	pay := func(key string) error {
		c := transfer(key, from, to, 10)
		c.Counted = true
		_, err := b.ledgers[0].Commit(ctx, c)
		return err
	}
	rule := b.setRule(ledger.MeasureAmount, ledger.Outgoing, ledger.PerTransaction, 100)
	if err := pay("before"); err != nil {
		t.Fatal(err)
	}
	admin := b.superuser()
	if _, err := admin.Exec(ctx, `UPDATE limit_rules SET maximum = 5 WHERE id = $1`, rule.ID); err != nil {
		t.Fatal(err)
	}
	if err := pay("remembered"); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
		t.Fatal(err)
	}
	// The ledger finds out with one of its own connections, whichever is used first.
	waitFor(t, "the rules to be read again", func() bool {
		_, _ = b.ledgers[0].Account(ctx, "user/1/main")
		return errors.Is(pay("after"), ledger.ErrLimitExceeded)
	})
}
