package terminal_test

import (
	"testing"

	"github.com/google/uuid"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
)

func TestAMerchantSellsAtTerminalsThatAreInOrder(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	a, b := w.replica(t), w.replica(t)
	s := w.shop(t, a)
	sell := func(terminal string) (*checkoutv1.Checkout, error) {
		res := &merchantv1.CreateCheckoutResponse{}
		err := a.conn.Invoke(s.owner.context(t.Context()), merchantv1connect.MerchantServiceCreateCheckoutProcedure, &merchantv1.CreateCheckoutRequest{
			IdempotencyKey: uuid.NewString(), MerchantId: s.merchant, StoreId: s.store, TerminalId: terminal,
			Amount: &moneyv1.Money{Asset: "USD", Amount: "4.00"},
		}, res)
		return res.GetCheckout(), err
	}
	_, err := sell(s.create(t, a).GetTerminal().GetTerminalId())
	wantReason(t, err, "TERMINAL_UNAVAILABLE")
	g := s.gadget(t, a)
	s.command(t, a, g.terminal, lock, "")
	_, err = sell(g.terminal)
	wantReason(t, err, "TERMINAL_UNAVAILABLE")
	s.command(t, a, g.terminal, unlock, "")
	sale, err := sell(g.terminal)
	must(t, err)
	l := g.session(t, b, 0, 0)
	for {
		if e := l.event(); e.GetCheckoutOffered() != nil {
			if e.GetCheckoutOffered().GetCheckoutId() != sale.GetCheckoutId() {
				t.Errorf("offered %v, want %v", e.GetCheckoutOffered(), sale)
			}
			break
		}
	}
	must(t, a.conn.Invoke(s.owner.context(t.Context()), merchantv1connect.MerchantServiceCancelCheckoutProcedure, &merchantv1.CancelCheckoutRequest{
		MerchantId: s.merchant, CheckoutId: sale.GetCheckoutId(),
	}, &merchantv1.CancelCheckoutResponse{}))
	if e := l.event(); e.GetCheckoutUpdated().GetState() != checkoutv1.CheckoutState_CHECKOUT_STATE_CANCELED {
		t.Errorf("got %v, want the checkout canceled", e)
	}
	s.revoke(t, a, g.terminal)
	_, err = sell(g.terminal)
	wantReason(t, err, "TERMINAL_UNAVAILABLE")
}
