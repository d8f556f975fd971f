package ledger_test

import (
	"errors"
	"testing"
	"time"

	"github.com/tillbook/tillbook/store/ledger"
)

// A key stands for one request, whether that moved money or only changed a hold.
func TestAKeyThatChangedAHoldMovesNoMoneyLater(t *testing.T) {
	t.Parallel()
	b := newBooks(t, 2, ledger.Config{})
	one, other := b.ledgers[0], b.ledgers[1]
	a, c := b.account("user/1/main/JPY", jpy, 100), b.account("user/2/main/JPY", jpy, 100)
	paid := b.pay(c, a, 5)
	who := func(key, request string) ledger.Identity {
		return ledger.Identity{Key: ledger.NewKey("test", key), Fingerprint: ledger.Fingerprint(request)}
	}
	hold := func(key string) (ledger.Result, error) {
		return one.CreateHold(ctx, who(key, "hold"), ledger.NewHold{Account: a, Amount: ledger.NewAmount(10), ExpireTime: time.Now().Add(time.Hour)})
	}
	made, err := hold("create")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := one.IncreaseHold(ctx, who("increase", "increase"), made.Hold.ID, ledger.NewAmount(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := one.VoidHold(ctx, who("void", "void"), made.Hold.ID); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"create", "increase", "void"} {
		transferred := transfer(key, c, a, 1)
		if _, err := other.Commit(ctx, transferred); !errors.Is(err, ledger.ErrKeyReused) {
			t.Errorf("a transfer under the key of %s: %v", key, err)
		}
		_, err := other.CommitAll(ctx, []ledger.Command{transfer("fresh "+key, c, a, 1), transferred})
		if !errors.Is(err, ledger.ErrKeyReused) {
			t.Errorf("a group under the key of %s: %v", key, err)
		}
		_, err = other.Refund(ctx, who(key, "refund"), ledger.Refund{Original: paid.ID, Kind: ledger.KindRefund})
		if !errors.Is(err, ledger.ErrKeyReused) {
			t.Errorf("a refund under the key of %s: %v", key, err)
		}
	}
	if _, err := one.Commit(ctx, transfer("moved", a, c, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := hold("moved"); !errors.Is(err, ledger.ErrKeyReused) {
		t.Errorf("a hold under the key of a transfer: %v", err)
	}
}
