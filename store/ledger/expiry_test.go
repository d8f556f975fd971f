package ledger_test

import (
	"errors"
	"testing"
	"time"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
)

func TestAHoldExpiresAlthoughTheReplicaThatMadeItIsGone(t *testing.T) {
	t.Parallel()
	b := newBooks(t, 1, ledger.Config{ExpireInterval: time.Hour})
	a := b.account("user/1/main/JPY", jpy, 100)
	maker := b.ledgers[0]
	made, err := maker.CreateHold(ctx, ledger.Identity{Key: ledger.NewKey("test", "hold")}, ledger.NewHold{
		Account: a, Amount: ledger.NewAmount(60), ExpireTime: time.Now().Add(2 * time.Second),
	})
	if err != nil {
		t.Fatal(err)
	}
	// Its time is over before anybody has noticed: nothing can be done with it.
	waitFor(t, "the hold's time to be over", func() bool { return time.Now().After(made.Hold.ExpireTime.Add(50 * time.Millisecond)) })
	_, err = maker.CaptureHold(ctx, ledger.Identity{Key: ledger.NewKey("test", "late")}, ledger.Capture{
		Hold: made.Hold.ID, Credits: []ledger.Posting{{Account: b.outside(jpy), Amount: ledger.NewAmount(1)}},
	})
	if !errors.Is(err, ledger.ErrHoldExpired) {
		t.Errorf("a capture that came late: %v", err)
	}
	if held := b.read("user/1/main/JPY").Held; integer(t, held) != 60 {
		t.Fatalf("%s is held before it was noticed, want 60", held)
	}
	maker.Close()
	for range 2 {
		b.join(ledger.Config{ExpireInterval: time.Millisecond}, store.Config{})
	}
	waitFor(t, "another replica to expire it", func() bool { return b.read("user/1/main/JPY").Held.IsZero() })
	if n := b.count(`SELECT count(*) FROM hold_operations WHERE kind = 5`); n != 1 {
		t.Errorf("it expired %d times", n)
	}
}
