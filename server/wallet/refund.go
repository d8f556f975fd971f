package wallet

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// find returns a transaction in which the user took part.
func (s *Service) find(ctx context.Context, user uuid.UUID, text string) (ledger.Transaction, ledger.Entry, error) {
	notFound := rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_FOUND, "There is no such transaction.")
	txn, err := id.Parse(id.Transaction, text)
	if err != nil {
		return ledger.Transaction{}, ledger.Entry{}, notFound.WithCause(err)
	}
	t, err := s.ledger.Transaction(ctx, txn)
	if errors.Is(err, ledger.ErrTransactionNotFound) {
		return ledger.Transaction{}, ledger.Entry{}, notFound.WithCause(err)
	}
	if err != nil {
		return ledger.Transaction{}, ledger.Entry{}, err
	}
	e, ok := entryOf(&t, user)
	if !ok {
		return ledger.Transaction{}, ledger.Entry{}, notFound.WithCause(errNotTheirs)
	}
	return t, e, nil
}

// refund gives back a payment that the user received from another user.
func (s *Service) refund(ctx context.Context, user uuid.UUID, req *walletv1.RefundTransactionRequest) (ledger.Transaction, error) {
	original, entry, err := s.find(ctx, user, req.GetTransactionId())
	if err != nil {
		return ledger.Transaction{}, err
	}
	// What somebody else received a part of isn't the user's alone to give back.
	if entry.Amount.Sign() < 0 || len(original.Entries) != 2 ||
		original.Kind != ledger.KindTransfer && original.Kind != ledger.KindCapture {
		return ledger.Transaction{}, rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_REFUNDABLE,
			"Only payments that you alone received can be given back.")
	}
	refund := ledger.Refund{Original: original.ID, Kind: ledger.KindRefund, Note: req.GetNote()}
	said := "all"
	if req.GetAmount() != nil {
		value, err := money.ParsePositive(ctx, s.ledger, req.GetAmount(), "amount")
		if err != nil {
			return ledger.Transaction{}, err
		}
		if value.Asset.ID != entry.Asset {
			return ledger.Transaction{}, ledger.ErrAccountAsset
		}
		refund.Amount, said = value.Amount, value.Amount.String()
	}
	result, err := s.ledger.Refund(ctx, ledger.Identity{
		Key:         ledger.NewKey(money.UserScope(user), req.GetIdempotencyKey()),
		Fingerprint: ledger.Fingerprint("refund", req.GetTransactionId(), said, req.GetNote()),
	}, refund)
	return result.Transaction, err
}

// refundsOf finds what was given back of transactions, all at once.
func (s *Service) refundsOf(ctx context.Context, entries []ledger.AccountEntry) (map[uuid.UUID]ledger.RefundState, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	ids := make([]uuid.UUID, len(entries))
	for i := range entries {
		ids[i] = entries[i].Transaction.ID
	}
	return s.ledger.RefundStates(ctx, ids)
}

func showRefunds(shown *walletv1.Transaction, asset ledger.Asset, state ledger.RefundState) {
	if state.Original != uuid.Nil {
		shown.OriginalTransactionId = id.Format(id.Transaction, state.Original)
	}
	if len(state.Refunds) == 0 {
		return
	}
	shown.Refunded = money.Format(asset, state.Refunded)
	for _, refund := range state.Refunds {
		shown.RefundTransactionIds = append(shown.GetRefundTransactionIds(), id.Format(id.Transaction, refund))
	}
}

func formatHold(h *ledger.Hold) string { return id.Format(id.Hold, h.ID) }

// timestamp leaves a time out that never came.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
