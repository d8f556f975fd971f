package merchant_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tillbook/tillbook/server/merchant"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/store/ledger"
)

// With many merchants, looking at all of them each second is more than a database can
// take. One that can't settle must not bring that about.
func TestAMerchantThatCannotSettleDoesNotHaveAllOthersLookedAt(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	stuck, heard, silent := open(t, books, r, "stuck"), open(t, books, r, "heard"), open(t, books, r, "silent")
	alice := books.User(t, "alice")
	books.Fund(t, alice, "10.00 USD")
	execute(t, books, fmt.Sprintf(`ALTER TABLE settlements ADD CONSTRAINT stuck CHECK (merchant_id <> '%s')`, stuck.uuid(t)))
	post(t, books, stuck, ledger.KindPurchase, "1.00", "0", "USD")
	post(t, books, silent, ledger.KindPurchase, "1.00", "0", "USD") // its account is opened, which is told

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		merchant.NewSettler(merchant.SettlerConfig{
			Store: r.Store, Ledger: r.Ledger, Interval: 5 * time.Millisecond, SweepInterval: time.Hour,
		}).Run(ctx)
	}()
	documents := func(s shop) int { return len(settlements(t, r.as(s.owner), s)) }
	until := func(s shop, n int) {
		t.Helper()
		for documents(s) < n {
			time.Sleep(time.Millisecond) // until the test is killed
		}
	}
	sellTo := func(key string) { pay(t, r, alice, mustSell(t, r.as(heard.cashier), sale(key, heard, "1 USD")), "") }
	until(silent, 1)
	sellTo("1")
	until(heard, 1)
	// No event tells of this one, so only a look at all finds it.
	post(t, books, silent, ledger.KindPurchase, "1.00", "0", "USD")
	for n := 2; n < 5; n++ {
		sellTo(fmt.Sprint(n))
		until(heard, n)
	}
	if n := documents(silent); n != 1 {
		t.Errorf("who was told of nothing since has %d settlements, want 1", n)
	}
	// Who failed is tried again.
	if n := documents(stuck); n != 0 {
		t.Errorf("the one that can't settle has %d settlements", n)
	}
	execute(t, books, `ALTER TABLE settlements DROP CONSTRAINT stuck`)
	until(stuck, 1)
	stop()
	<-ended
}
