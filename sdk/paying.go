package tillbook

import (
	"context"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
)

// FindCheckout finds a sale by its id, its code or the QR text that was scanned.
func (w *Wallet) FindCheckout(ctx context.Context, request *FindCheckoutRequest) (*FoundCheckout, error) {
	return w.rpc.GetCheckout(ctx, request)
}

// PayCheckout pays a sale, or authorizes it if its capture is manual: then there is no
// transaction. Idempotency keys and unknown outcomes work as with Transfer.
func (w *Wallet) PayCheckout(ctx context.Context, request *PayCheckoutRequest) (*Checkout, *Transaction, error) {
	response, err := w.rpc.PayCheckout(ctx, request)
	if err != nil {
		return nil, nil, err
	}
	return response.GetCheckout(), response.GetTransaction(), nil
}

// DeclineCheckout refuses to pay a sale.
func (w *Wallet) DeclineCheckout(ctx context.Context, checkoutID string) (*Checkout, error) {
	response, err := w.rpc.DeclineCheckout(ctx, &walletv1.DeclineCheckoutRequest{CheckoutId: checkoutID})
	if err != nil {
		return nil, err
	}
	return response.GetCheckout(), nil
}

// PaymentCode returns a code for a terminal to scan, which pays one checkout once,
// within 60 seconds and up to maximum, tip included.
func (w *Wallet) PaymentCode(ctx context.Context, maximum Money) (*PaymentCode, error) {
	return w.rpc.CreatePaymentCode(ctx, &walletv1.CreatePaymentCodeRequest{Maximum: maximum.Proto()})
}
