package tillbook

import (
	"context"
	"iter"

	"google.golang.org/protobuf/proto"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
)

// Refund gives back a payment that the user received, or a part of it.
// Idempotency keys and unknown outcomes work as with Transfer.
func (w *Wallet) Refund(ctx context.Context, request *RefundRequest) (*Transaction, error) {
	response, err := w.rpc.RefundTransaction(ctx, request)
	if err != nil {
		return nil, err
	}
	return response.GetTransaction(), nil
}

// RequestPayment asks another user for money.
func (w *Wallet) RequestPayment(ctx context.Context, request *CreatePaymentRequestRequest) (*PaymentRequest, error) {
	response, err := w.rpc.CreatePaymentRequest(ctx, request)
	if err != nil {
		return nil, err
	}
	return response.GetPaymentRequest(), nil
}

// PayRequest pays what the user was asked for. Idempotency keys and unknown
// outcomes work as with Transfer.
func (w *Wallet) PayRequest(ctx context.Context, request *PayPaymentRequestRequest) (*Transaction, error) {
	response, err := w.rpc.PayPaymentRequest(ctx, request)
	if err != nil {
		return nil, err
	}
	return response.GetTransaction(), nil
}

// DeclineRequest refuses to pay what the user was asked for.
func (w *Wallet) DeclineRequest(ctx context.Context, requestID string) (*PaymentRequest, error) {
	response, err := w.rpc.DeclinePaymentRequest(ctx, &walletv1.DeclinePaymentRequestRequest{PaymentRequestId: requestID})
	if err != nil {
		return nil, err
	}
	return response.GetPaymentRequest(), nil
}

// CancelRequest takes back what the user asked for.
func (w *Wallet) CancelRequest(ctx context.Context, requestID string) (*PaymentRequest, error) {
	response, err := w.rpc.CancelPaymentRequest(ctx, &walletv1.CancelPaymentRequestRequest{PaymentRequestId: requestID})
	if err != nil {
		return nil, err
	}
	return response.GetPaymentRequest(), nil
}

// PaymentRequest returns a request that the user sent or received.
func (w *Wallet) PaymentRequest(ctx context.Context, requestID string) (*PaymentRequest, error) {
	response, err := w.rpc.GetPaymentRequest(ctx, &walletv1.GetPaymentRequestRequest{PaymentRequestId: requestID})
	if err != nil {
		return nil, err
	}
	return response.GetPaymentRequest(), nil
}

// PaymentRequests lists the requests that the user sent or received and that pass
// the request's filter, newest first.
func (w *Wallet) PaymentRequests(ctx context.Context, request *ListPaymentRequestsRequest) iter.Seq2[*PaymentRequest, error] {
	return pages(ctx, request.GetPageToken(), func(ctx context.Context, token string) ([]*PaymentRequest, string, error) {
		page := &ListPaymentRequestsRequest{}
		if request != nil {
			page = proto.CloneOf(request)
		}
		page.PageToken = token
		response, err := w.rpc.ListPaymentRequests(ctx, page)
		return response.GetPaymentRequests(), response.GetNextPageToken(), err
	})
}

// Holds lists the holds on the user's money that pass the request's filter, newest
// first. A nil request lists them all.
func (w *Wallet) Holds(ctx context.Context, request *ListWalletHoldsRequest) iter.Seq2[*WalletHold, error] {
	return pages(ctx, request.GetPageToken(), func(ctx context.Context, token string) ([]*WalletHold, string, error) {
		page := &ListWalletHoldsRequest{}
		if request != nil {
			page = proto.CloneOf(request)
		}
		page.PageToken = token
		response, err := w.rpc.ListHolds(ctx, page)
		return response.GetHolds(), response.GetNextPageToken(), err
	})
}

// Limits returns the user's tier and the limits on their money of an asset, or of
// all assets if it is empty, with what is used of them.
func (w *Wallet) Limits(ctx context.Context, asset string) (*WalletLimits, error) {
	return w.rpc.GetLimits(ctx, &walletv1.GetLimitsRequest{Asset: asset})
}
