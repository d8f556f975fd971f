package terminal_test

import (
	"testing"

	"github.com/google/uuid"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/gen/tillbook/terminal/v1/terminalv1connect"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/server/terminal"
	"github.com/tillbook/tillbook/store/id"
)

func TestAMerchantSellsAtTerminalsThatAreInOrder(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	a, b := w.replica(t), w.replica(t)
	s := w.shop(t, a)
	sell := func(terminal string) (*checkoutv1.Checkout, error) { return s.sell(t, a, terminal, uuid.NewString()) }
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

// sell makes a checkout of the shop's at one of its terminals.
func (s *shop) sell(t testing.TB, r *replica, terminal, key string) (*checkoutv1.Checkout, error) {
	t.Helper()
	res := &merchantv1.CreateCheckoutResponse{}
	err := r.conn.Invoke(s.owner.context(t.Context()), merchantv1connect.MerchantServiceCreateCheckoutProcedure, &merchantv1.CreateCheckoutRequest{
		IdempotencyKey: key, MerchantId: s.merchant, StoreId: s.store, TerminalId: terminal,
		Amount: &moneyv1.Money{Asset: "USD", Amount: "4.00"},
	}, res)
	return res.GetCheckout(), err
}

// Whoever wasn't answered asks again, and learns what was made however the terminal is
// by then.
func TestThatATerminalIsLockedHidesNoCheckoutThatWasMade(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	r := w.replica(t)
	s := w.shop(t, r)
	g := s.gadget(t, r)
	ring := func(key string) (string, error) {
		res := &terminalv1.CreateCheckoutResponse{}
		err := r.conn.Invoke(g.context(t), terminalv1connect.TerminalServiceCreateCheckoutProcedure, &terminalv1.CreateCheckoutRequest{
			IdempotencyKey: key, Amount: &moneyv1.Money{Asset: "USD", Amount: "5.00"},
		}, res)
		return res.GetCheckout().GetCheckoutId(), err
	}
	rung, err := ring("before")
	must(t, err)
	sold, err := s.sell(t, r, g.terminal, "before")
	must(t, err)
	s.command(t, r, g.terminal, lock, "")
	if again, err := ring("before"); err != nil || again != rung {
		t.Errorf("the terminal gets %s (%v), not %s", again, err, rung)
	}
	if again, err := s.sell(t, r, g.terminal, "before"); err != nil || again.GetCheckoutId() != sold.GetCheckoutId() {
		t.Errorf("the staff get %v (%v), not %v", again, err, sold)
	}
	_, err = ring("after")
	wantReason(t, err, "TERMINAL_LOCKED")
	_, err = s.sell(t, r, g.terminal, "after")
	wantReason(t, err, "TERMINAL_UNAVAILABLE")
}

// A call that was let in may come to its look at the terminal after that was revoked.
func TestATerminalThatIsRevokedWhileItAsksSellsNothing(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	r := w.replica(t)
	s := w.shop(t, r)
	g := s.gadget(t, r)
	known, err := id.Parse(id.Terminal, g.terminal)
	must(t, err)
	s.revoke(t, r, g.terminal)
	keys, err := secret.Parse(secret.Generate())
	must(t, err)
	service := terminal.New(terminal.Deps{Store: w.owner, Secret: keys, Draining: t.Context()})
	letIn := rpc.WithPrincipal(t.Context(), rpc.Principal{Kind: rpc.KindTerminal, Terminal: known})
	_, err = service.CreateCheckout(letIn, &terminalv1.CreateCheckoutRequest{
		IdempotencyKey: "1", Amount: &moneyv1.Money{Asset: "USD", Amount: "4.00"},
	})
	if rpc.ReasonOf(err) != errorv1.ErrorReason_ERROR_REASON_TERMINAL_UNAVAILABLE {
		t.Errorf("a revoked terminal sells: %v", err)
	}
}
