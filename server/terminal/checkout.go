package terminal

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
)

var (
	errLocked = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_TERMINAL_LOCKED,
		"The terminal is locked. Somebody on the staff can unlock it.")
	errUnready = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_TERMINAL_UNAVAILABLE,
		"The terminal isn't activated, is locked or was revoked.")
)

// CreateCheckout begins a sale at the calling terminal.
func (s *Service) CreateCheckout(ctx context.Context, req *terminalv1.CreateCheckoutRequest) (*terminalv1.CreateCheckoutResponse, error) {
	terminal := rpc.PrincipalFrom(ctx).Terminal
	sale, refused := s.maySell(ctx, terminal)
	if refused != nil && !errors.Is(refused, errLocked) {
		return nil, refused
	}
	made, err := s.desk.Create(ctx, &checkout.Draft{
		By: checkout.Caller{Terminal: terminal}, Key: req.GetIdempotencyKey(), Refused: refused,
		Merchant: sale.MerchantID, Store: sale.StoreID, Terminal: terminal,
		Amount: req.GetAmount(), Reference: req.GetReference(), Items: req.GetItems(),
		TipOptions: req.GetTipOptions(), Capture: req.GetCapture(), ExpireTime: req.GetExpireTime(),
	})
	if err != nil {
		return nil, err
	}
	shown, err := s.show(ctx, made)
	return &terminalv1.CreateCheckoutResponse{Checkout: shown}, err
}

// CancelCheckout ends one of the terminal's checkouts that isn't paid. A terminal
// that is locked may: it sells nothing by it.
func (s *Service) CancelCheckout(ctx context.Context, req *terminalv1.CancelCheckoutRequest) (*terminalv1.CancelCheckoutResponse, error) {
	ended, err := s.desk.Cancel(ctx, s.scope(ctx), req.GetCheckoutId())
	if err != nil {
		return nil, err
	}
	rpc.MarkExecuted(ctx)
	shown, err := s.show(ctx, ended)
	return &terminalv1.CancelCheckoutResponse{Checkout: shown}, err
}

// GetCheckout returns one of the terminal's checkouts.
func (s *Service) GetCheckout(ctx context.Context, req *terminalv1.GetCheckoutRequest) (*terminalv1.GetCheckoutResponse, error) {
	found, err := s.desk.Get(ctx, s.scope(ctx), req.GetCheckoutId())
	if err != nil {
		return nil, err
	}
	shown, err := s.desk.Message(ctx, found, checkout.ForTerminal())
	return &terminalv1.GetCheckoutResponse{Checkout: shown}, err
}

// ChargePaymentCode pays one of the terminal's checkouts. That a terminal is locked
// doesn't hide what an earlier try of the same request did.
func (s *Service) ChargePaymentCode(ctx context.Context, req *terminalv1.ChargePaymentCodeRequest) (*terminalv1.ChargePaymentCodeResponse, error) {
	found, err := s.desk.Get(ctx, s.scope(ctx), req.GetCheckoutId())
	if err != nil {
		return nil, err
	}
	if found.State != checkout.Succeeded && found.State != checkout.Authorized {
		if _, err := s.maySell(ctx, found.Terminal); err != nil {
			return nil, err
		}
	}
	paid, err := s.desk.Charge(ctx, &checkout.Charge{
		Terminal: found.Terminal, Key: req.GetIdempotencyKey(), Checkout: req.GetCheckoutId(), Code: req.GetPaymentCode(),
	})
	if err != nil {
		return nil, err
	}
	rpc.MarkExecuted(ctx)
	shown, err := s.show(ctx, paid)
	return &terminalv1.ChargePaymentCodeResponse{Checkout: shown}, err
}

// scope is what the calling terminal may see.
func (s *Service) scope(ctx context.Context) checkout.Scope {
	return checkout.Scope{Terminal: rpc.PrincipalFrom(ctx).Terminal}
}

// maySell returns whose a terminal is, unless it is locked or, since the call was let
// in, lost its device.
func (s *Service) maySell(ctx context.Context, terminal uuid.UUID) (store.GetTerminalSaleRow, error) {
	row, err := s.store.Queries().GetTerminalSale(ctx, terminal)
	if err != nil {
		return row, fmt.Errorf("reading a terminal: %w", err)
	}
	switch {
	case !row.Active:
		return row, errUnready
	case row.Locked:
		return row, errLocked
	}
	return row, nil
}

// Ready says whether a merchant's checkout can be sent to one of its terminals. It
// fails with TERMINAL_UNAVAILABLE. Of a terminal that isn't the merchant's it says
// nothing.
func (s *Service) Ready(ctx context.Context, merchant, terminal uuid.UUID) error {
	row, err := s.store.Queries().GetTerminalSale(ctx, terminal)
	switch {
	case errors.Is(err, pgx.ErrNoRows), err == nil && row.MerchantID != merchant:
		return nil
	case err != nil:
		return fmt.Errorf("reading a terminal: %w", err)
	case row.Locked || !row.Active:
		return errUnready
	}
	return nil
}

// show shows a checkout that just changed, and has that followed at once.
func (s *Service) show(ctx context.Context, c *checkout.Checkout) (*checkoutv1.Checkout, error) {
	s.hub.wake()
	return s.desk.Message(ctx, c, checkout.ForTerminal())
}
