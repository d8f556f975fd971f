package merchant_test

import (
	"sync/atomic"
	"testing"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

func withdraw(t testing.TB, c client, key string, s shop, sum string) (*merchantv1.WithdrawFundsResponse, error) {
	t.Helper()
	return c.WithdrawFunds(t.Context(), &merchantv1.WithdrawFundsRequest{IdempotencyKey: key, MerchantId: s.id, Amount: amount(sum)})
}

// fill makes money available to a shop.
func fill(t testing.TB, books *moneytest.Books, r replica, s shop, sum, asset string) {
	t.Helper()
	post(t, books, s, ledger.KindPurchase, sum, "0", asset)
	r.settle(t)
}

func TestTheOwnerWithdrawsWhatIsAvailable(t *testing.T) {
	books := moneytest.New(t)
	here, there := serve(t, books), serve(t, books)
	s := open(t, books, here, "batavia")
	fill(t, books, here, s, "10.00", "USD")
	post(t, books, s, ledger.KindPurchase, "5.00", "0", "USD")
	res, err := withdraw(t, here.as(s.owner), "1", s, "7.5 USD")
	if err != nil || text(res.GetBalance().GetAvailable()) != "2.50 USD" || text(res.GetBalance().GetPending()) != "5.00 USD" {
		t.Fatalf("withdrawing answers %v, %v", res, err)
	}
	again, err := withdraw(t, there.as(s.owner), "1", s, "7.50 USD")
	if err != nil || again.GetTransactionId() != res.GetTransactionId() {
		t.Errorf("a retry answers %v, %v", again, err)
	}
	if got := books.Balance(t, s.owner, "USD"); got != "7.50" {
		t.Errorf("the owner has %s", got)
	}
	_, err = withdraw(t, there.as(s.owner), "1", s, "1 USD")
	moneytest.WantNothingMoved(t, err, "IDEMPOTENCY_KEY_REUSED")
	_, err = withdraw(t, there.as(s.owner), "2", s, "2.51 USD")
	moneytest.WantNothingMoved(t, err, "INSUFFICIENT_FUNDS")
	if _, err = withdraw(t, there.as(s.owner), "2", s, "2.50 USD"); err != nil {
		t.Errorf("after a refusal the key is spent: %v", err)
	}
	if got := holdings(t, there.as(s.owner), s); got != "[USD 0.00 + 5.00]" {
		t.Errorf("it has %s", got)
	}
}

func TestWithdrawalsThatCannotBeMoveNothing(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	s, other := open(t, books, r, "batavia"), open(t, books, r, "bogor")
	fill(t, books, r, s, "20000.00", "USD")
	before := books.Transactions(t)
	for name, tt := range map[string]struct {
		as          moneytest.User
		sum, reason string
	}{
		"a manager":     {s.manager, "1 USD", "PERMISSION_DENIED"},
		"a cashier":     {s.cashier, "1 USD", "PERMISSION_DENIED"},
		"a stranger":    {other.owner, "1 USD", "NOT_FOUND"},
		"nothing":       {s.owner, "0 USD", "AMOUNT_NOT_POSITIVE"},
		"less":          {s.owner, "-1 USD", "AMOUNT_NOT_POSITIVE"},
		"too precise":   {s.owner, "0.001 USD", "AMOUNT_TOO_PRECISE"},
		"too large":     {s.owner, "1000000000000000000000000000000000000 USD", "AMOUNT_OUT_OF_RANGE"},
		"no such asset": {s.owner, "1 XYZ", "ASSET_NOT_FOUND"},
		"never any":     {s.owner, "1 EUR", "INSUFFICIENT_FUNDS"},
		"too rich":      {s.owner, "10001 USD", "RECIPIENT_LIMIT_EXCEEDED"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := withdraw(t, r.as(tt.as), id.New().String(), s, tt.sum)
			moneytest.WantNothingMoved(t, err, tt.reason)
		})
	}
	execute(t, books, `INSERT INTO limit_rules (id, scope, asset_id, measure, direction, period, zone, maximum, create_time, update_time)
		SELECT $1, $2, id, 'amount', 'outgoing', 'transaction', 'UTC', 500, now(), now() FROM assets WHERE code = 'USD'`, id.New(), "merchant/"+s.id)
	execute(t, books, `UPDATE limit_version SET version = version + 1`)
	_, err := withdraw(t, r.as(s.owner), "limited", s, "5.01 USD")
	if got := moneytest.WantNothingMoved(t, err, "LIMIT_EXCEEDED"); got.Metadata["maximum"] != "5.00" {
		t.Errorf("the error says %v", got.Metadata)
	}
	if after := books.Transactions(t); after != before {
		t.Errorf("%d transactions were made", after-before)
	}
}

func TestManyWithdrawalsNeverTakeMoreThanThereIs(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	s := open(t, books, replicas[0], "batavia")
	fill(t, books, replicas[0], s, "5.00", "USD")
	var taken atomic.Int32
	together(12, func(i int) {
		key := []string{"same", id.New().String()}[i%2]
		_, err := withdraw(t, replicas[i/2%2].as(s.owner), key, s, "2.00 USD")
		if err == nil && key != "same" {
			taken.Add(1)
		}
		if r := moneytest.ReadRefusal(t, err); err != nil && (r.Reason != "INSUFFICIENT_FUNDS" || r.Outcome != errorv1.Outcome_OUTCOME_NOT_EXECUTED) {
			t.Errorf("refused with %v", err)
		}
	})
	if got := books.Balance(t, s.owner, "USD"); got != "4.00" || taken.Load() > 2 {
		t.Errorf("the owner has %s", got)
	}
}
