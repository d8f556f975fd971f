package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/tillbook/tillbook/store/ledger"
)

// holds measures pairs: money is set aside in a random account, and captured
// into another.
func (b *books) holds(ctx context.Context, cfg Config) (sample, error) {
	return b.measure(ctx, cfg, cfg.Callers, func() error {
		from, to := pick(b.accounts, false)
		amount := ledger.NewAmount(someCents())
		held, err := fresh(b.ledger.CreateHold(ctx, freshIdentity(), ledger.NewHold{
			Account: from, Amount: amount, ExpireTime: time.Now().Add(time.Hour),
		}))
		if err != nil {
			return err
		}
		captured, err := fresh(b.ledger.CaptureHold(ctx, freshIdentity(), ledger.Capture{
			Hold: held.Hold.ID, Credits: []ledger.Posting{{Account: to, Amount: amount}}, Final: true,
		}))
		if err == nil && captured.Hold.State != ledger.HoldCaptured {
			return fmt.Errorf("hold %s was captured, but is in state %d", held.Hold.ID, captured.Hold.State)
		}
		return err
	})
}

// refunds measures pairs: a transfer, and a part of it given back.
func (b *books) refunds(ctx context.Context, cfg Config) (sample, error) {
	return b.measure(ctx, cfg, cfg.Callers, func() error {
		from, to := pick(b.accounts, false)
		cents := 1 + someCents()
		paid, err := b.commit(ctx, transferCommand(from, to, cents, ledger.KindTransfer))
		if err != nil {
			return err
		}
		_, err = fresh(b.ledger.Refund(ctx, freshIdentity(), ledger.Refund{
			Original: paid.Transaction.ID, Amount: ledger.NewAmount(cents / 2), Kind: ledger.KindRefund,
		}))
		return err
	})
}
