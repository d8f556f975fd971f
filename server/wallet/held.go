package wallet

import (
	"context"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/store/ledger"
)

// unknownHeld is held of no account: whatever is held differs from it.
var unknownHeld = ledger.NewAmount(-1)

// doubtHeld notes that a client which resumes may have missed what became of
// holds: it is told how each account stands that ever had one.
func (w *watch) doubtHeld(ctx context.Context, accounts []ledger.Account) error {
	for i := range accounts {
		a := &accounts[i]
		holds, err := w.service.ledger.Holds(ctx, ledger.HoldsQuery{Accounts: []ledger.AccountID{a.ID}, Limit: 1})
		if err != nil {
			return err
		}
		if len(holds) > 0 {
			w.held[a.ID] = unknownHeld
		}
	}
	return nil
}

// tellHeld tells of which accounts another part is held than the client was told,
// and whether there are any.
func (w *watch) tellHeld(ctx context.Context, accounts []ledger.Account) (told bool, err error) {
	for i := range accounts {
		a := &accounts[i]
		if w.held[a.ID] == a.Held {
			continue
		}
		w.held[a.ID] = a.Held
		shown, err := w.service.balances(ctx, w.user, accounts[i:i+1])
		if err != nil {
			return told, err
		}
		for _, balance := range shown {
			err := w.send(&walletv1.WatchWalletResponse{Event: &walletv1.WatchWalletResponse_HoldChange_{
				HoldChange: &walletv1.WatchWalletResponse_HoldChange{Balance: balance},
			}})
			if err != nil {
				return told, err
			}
			told = true
		}
	}
	return told, nil
}

// holdMessage shows a hold to whose money is held.
func holdMessage(asset ledger.Asset, h *ledger.Hold) *walletv1.Hold {
	return &walletv1.Hold{
		HoldId: formatHold(h), Amount: money.Format(asset, h.Amount), Captured: money.Format(asset, h.Captured),
		Remaining: money.Format(asset, h.Remaining()), State: walletv1.HoldState(h.State), Reference: h.Reference,
		CreateTime: timestamp(h.CreateTime), ExpireTime: timestamp(h.ExpireTime), CloseTime: timestamp(h.CloseTime),
	}
}
