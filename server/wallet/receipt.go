package wallet

import (
	"context"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rpc"
)

// GetReceipt returns the proof that one of the caller's transactions is sealed.
func (s *Service) GetReceipt(ctx context.Context, req *walletv1.GetReceiptRequest) (*walletv1.GetReceiptResponse, error) {
	t, _, err := s.find(ctx, rpc.PrincipalFrom(ctx).User, req.GetTransactionId())
	if err != nil {
		return nil, err
	}
	receipt, err := money.Receipt(ctx, s.log, t.ID)
	return &walletv1.GetReceiptResponse{Receipt: receipt}, err
}
