package wallet

import (
	"context"

	"connectrpc.com/connect/v2"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
)

var errSoon = connect.NewError(connect.CodeUnimplemented, "not yet")

// GetCheckout finds a sale.
func (s *Service) GetCheckout(context.Context, *walletv1.GetCheckoutRequest) (*walletv1.GetCheckoutResponse, error) {
	return nil, errSoon
}

// PayCheckout pays a sale.
func (s *Service) PayCheckout(context.Context, *walletv1.PayCheckoutRequest) (*walletv1.PayCheckoutResponse, error) {
	return nil, errSoon
}

// DeclineCheckout refuses to pay a sale.
func (s *Service) DeclineCheckout(context.Context, *walletv1.DeclineCheckoutRequest) (*walletv1.DeclineCheckoutResponse, error) {
	return nil, errSoon
}

// CreatePaymentCode makes a code for a terminal to scan.
func (s *Service) CreatePaymentCode(context.Context, *walletv1.CreatePaymentCodeRequest) (*walletv1.CreatePaymentCodeResponse, error) {
	return nil, errSoon
}
