package tillbook

import (
	"context"
	"iter"

	"google.golang.org/protobuf/proto"

	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
)

// CreateHold sets money aside in an account for a payment to come. Idempotency
// keys and unknown outcomes work as with Wallet.Transfer, here and below.
func (l *Ledger) CreateHold(ctx context.Context, request *CreateHoldRequest) (*Hold, error) {
	response, err := l.rpc.CreateHold(ctx, request)
	if err != nil {
		return nil, err
	}
	return response.GetHold(), nil
}

// IncreaseHold adds to an open hold.
func (l *Ledger) IncreaseHold(ctx context.Context, request *IncreaseHoldRequest) (*Hold, error) {
	response, err := l.rpc.IncreaseHold(ctx, request)
	if err != nil {
		return nil, err
	}
	return response.GetHold(), nil
}

// CaptureHold moves held money to where it belongs.
func (l *Ledger) CaptureHold(ctx context.Context, request *CaptureHoldRequest) (*Captured, error) {
	return l.rpc.CaptureHold(ctx, request)
}

// VoidHold gives up a hold.
func (l *Ledger) VoidHold(ctx context.Context, request *VoidHoldRequest) (*Hold, error) {
	response, err := l.rpc.VoidHold(ctx, request)
	if err != nil {
		return nil, err
	}
	return response.GetHold(), nil
}

// Hold returns a hold.
func (l *Ledger) Hold(ctx context.Context, holdID string) (*Hold, error) {
	response, err := l.rpc.GetHold(ctx, &ledgerv1.GetHoldRequest{HoldId: holdID})
	if err != nil {
		return nil, err
	}
	return response.GetHold(), nil
}

// Holds lists an account's holds that pass the request's filter, newest first.
func (l *Ledger) Holds(ctx context.Context, request *ListHoldsRequest) iter.Seq2[*Hold, error] {
	return pages(ctx, request.GetPageToken(), func(ctx context.Context, token string) ([]*Hold, string, error) {
		page := proto.CloneOf(request)
		page.PageToken = token
		response, err := l.rpc.ListHolds(ctx, page)
		return response.GetHolds(), response.GetNextPageToken(), err
	})
}

// Refund gives back a transaction or a part of it.
func (l *Ledger) Refund(ctx context.Context, request *RefundTransactionRequest) (*LedgerTransaction, error) {
	response, err := l.rpc.RefundTransaction(ctx, request)
	if err != nil {
		return nil, err
	}
	return response.GetTransaction(), nil
}

// Reverse undoes what is left of a transaction.
func (l *Ledger) Reverse(ctx context.Context, request *ReverseTransactionRequest) (*LedgerTransaction, error) {
	response, err := l.rpc.ReverseTransaction(ctx, request)
	if err != nil {
		return nil, err
	}
	return response.GetTransaction(), nil
}
