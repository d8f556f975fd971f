package ledger

import (
	"context"

	"github.com/google/uuid"

	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/audit"
	"github.com/tillbook/tillbook/store/id"
	books "github.com/tillbook/tillbook/store/ledger"
)

// RefundTransaction gives back a part of a transaction, or all of it.
func (s *Service) RefundTransaction(ctx context.Context, req *ledgerv1.RefundTransactionRequest) (*ledgerv1.RefundTransactionResponse, error) {
	original, err := s.original(ctx, req.GetTransactionId())
	if err != nil {
		return nil, err
	}
	events, err := s.checkouts.RefundEvents(ctx, original.ID)
	if err != nil {
		return nil, err
	}
	refund := books.Refund{
		Original: original.ID, Kind: books.KindRefund, Note: req.GetReason(), Details: detailsOf(rpc.PrincipalFrom(ctx).Operator), Events: events,
	}
	said := "all"
	if req.GetAmount() != nil {
		value, err := money.ParsePositive(ctx, s.books, req.GetAmount(), "amount")
		if err != nil {
			return nil, err
		}
		if value.Asset.ID != original.Entries[0].Asset {
			return nil, otherAsset("amount")
		}
		refund.Amount, said = value.Amount, value.Amount.String()
	}
	result, err := s.books.Refund(ctx,
		identity(ctx, req.GetIdempotencyKey(), "refund", req.GetTransactionId(), said, req.GetReason()), refund)
	if err != nil {
		return nil, err
	}
	shown, err := s.executed(ctx, &result.Transaction)
	if err != nil {
		return nil, err
	}
	return &ledgerv1.RefundTransactionResponse{Transaction: shown}, nil
}

// ReverseTransaction undoes what is left of a transaction.
func (s *Service) ReverseTransaction(ctx context.Context, req *ledgerv1.ReverseTransactionRequest) (*ledgerv1.ReverseTransactionResponse, error) {
	original, err := s.original(ctx, req.GetTransactionId())
	if err != nil {
		return nil, err
	}
	events, err := s.checkouts.RefundEvents(ctx, original.ID)
	if err != nil {
		return nil, err
	}
	owed := "refuse"
	if req.GetAllowReceivable() {
		owed = "receivable"
	}
	result, err := s.books.Refund(ctx,
		identity(ctx, req.GetIdempotencyKey(), "reverse", req.GetTransactionId(), owed, req.GetReason()),
		books.Refund{
			Original: original.ID, Kind: books.KindReversal, Note: req.GetReason(),
			Details: detailsOf(rpc.PrincipalFrom(ctx).Operator), Receivable: req.GetAllowReceivable(),
			Audit: reversed(ctx, original.ID, req), Events: events,
		})
	if err != nil {
		return nil, err
	}
	shown, err := s.executed(ctx, &result.Transaction)
	if err != nil {
		return nil, err
	}
	return &ledgerv1.ReverseTransactionResponse{Transaction: shown}, nil
}

func (s *Service) original(ctx context.Context, text string) (books.Transaction, error) {
	txn, err := id.Parse(id.Transaction, text)
	if err != nil {
		return books.Transaction{}, books.ErrTransactionNotFound
	}
	return s.books.Transaction(ctx, txn)
}

// reversed is the record of a reversal, made in the same commit.
func reversed(ctx context.Context, original uuid.UUID, req *ledgerv1.ReverseTransactionRequest) *audit.Record {
	r := audit.New(audit.Actor{Kind: audit.Operator, ID: rpc.PrincipalFrom(ctx).Operator},
		"transaction.reversed", "transaction/"+id.Format(id.Transaction, original),
		map[string]any{"reason": req.GetReason(), "allow_receivable": req.GetAllowReceivable()}).
		From(rpc.Origin(ctx))
	return &r
}
