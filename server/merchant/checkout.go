package merchant

import (
	"context"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/id"
)

// createCheckout begins a sale at a store, at one of its terminals or without one.
func (s *Service) createCheckout(ctx context.Context, m member, req *merchantv1.CreateCheckoutRequest) (*checkoutv1.Checkout, error) {
	draft := &checkout.Draft{
		By: checkout.Caller{User: m.user}, Key: req.GetIdempotencyKey(), Merchant: m.merchant,
		Amount: req.GetAmount(), Reference: req.GetReference(), Items: req.GetItems(), TipOptions: req.GetTipOptions(),
		Capture: req.GetCapture(), ExpireTime: req.GetExpireTime(),
	}
	var err error
	if text := req.GetStoreId(); text != "" {
		if draft.Store, err = id.Parse(id.Store, text); err != nil {
			return nil, errNoStore.WithCause(err)
		}
	}
	if text := req.GetTerminalId(); text != "" {
		if draft.Terminal, err = id.Parse(id.Terminal, text); err != nil {
			return nil, errNoTerminal.WithCause(err)
		}
		draft.Refused = s.terminalReady(ctx, m.merchant, draft.Terminal)
	}
	made, err := s.checkouts.Create(ctx, draft)
	return s.showCheckout(ctx, made, err)
}

func (s *Service) listCheckouts(ctx context.Context, m member, req *merchantv1.ListCheckoutsRequest) (shown []*checkoutv1.Checkout, next string, err error) {
	filter := checkout.Filter{Merchant: m.merchant, State: req.GetState(), PageSize: req.GetPageSize(), PageToken: req.GetPageToken()}
	if text := req.GetStoreId(); text != "" {
		if filter.Store, err = id.Parse(id.Store, text); err != nil {
			return nil, "", errNoStore.WithCause(err)
		}
	}
	if text := req.GetTerminalId(); text != "" {
		if filter.Terminal, err = id.Parse(id.Terminal, text); err != nil {
			return nil, "", errNoTerminal.WithCause(err)
		}
	}
	list, next, err := s.checkouts.List(ctx, filter)
	if err != nil {
		return nil, "", err
	}
	shown, err = s.checkouts.Messages(ctx, list, checkout.ForMerchant())
	return shown, next, err
}

// changed shows a checkout behind a commit: from there on no error undoes it.
func (s *Service) changed(ctx context.Context, c *checkout.Checkout, err error) (*checkoutv1.Checkout, error) {
	if err != nil {
		return nil, err
	}
	shown, err := s.showCheckout(ctx, c, nil)
	if err != nil {
		return nil, rpc.AsError(err).WithOutcome(errorv1.Outcome_OUTCOME_EXECUTED)
	}
	return shown, nil
}

// showCheckout shows a checkout to its merchant, unless it couldn't be had.
func (s *Service) showCheckout(ctx context.Context, c *checkout.Checkout, err error) (*checkoutv1.Checkout, error) {
	if err != nil {
		return nil, err
	}
	return s.checkouts.Message(ctx, c, checkout.ForMerchant())
}
