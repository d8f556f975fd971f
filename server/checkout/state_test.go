package checkout_test

import (
	"slices"
	"testing"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rpc"
)

var happenings = []checkout.Happening{
	checkout.Dispatch, checkout.Acknowledge, checkout.Authorize, checkout.Succeed, checkout.Decline, checkout.Cancel,
	checkout.Expire, checkout.Refund,
}

var states = []checkout.State{
	checkout.Created, checkout.Dispatched, checkout.Acknowledged, checkout.Authorized, checkout.Succeeded,
	checkout.Declined, checkout.Canceled, checkout.Expired,
}

func TestTheTableSaysWhereEachStepLeads(t *testing.T) {
	const none = checkoutv1.CheckoutState_CHECKOUT_STATE_UNSPECIFIED
	want := map[checkout.State][]checkout.State{ // in the order of happenings
		checkout.Created:      {checkout.Dispatched, checkout.Acknowledged, checkout.Authorized, checkout.Succeeded, checkout.Declined, checkout.Canceled, checkout.Expired, none},
		checkout.Dispatched:   {none, checkout.Acknowledged, checkout.Authorized, checkout.Succeeded, checkout.Declined, checkout.Canceled, checkout.Expired, none},
		checkout.Acknowledged: {none, none, checkout.Authorized, checkout.Succeeded, checkout.Declined, checkout.Canceled, checkout.Expired, none},
		checkout.Authorized:   {none, none, none, checkout.Succeeded, none, checkout.Canceled, checkout.Expired, none},
		checkout.Succeeded:    {none, none, none, none, none, none, none, checkout.Succeeded},
		checkout.Declined:     {none, none, none, none, none, none, none, none},
		checkout.Canceled:     {none, none, none, none, none, none, none, none},
		checkout.Expired:      {none, none, none, none, none, none, none, none},
	}
	for from, row := range want {
		for i, h := range happenings {
			if got, ok := checkout.Next(from, h); got != row[i] || ok != (row[i] != none) {
				t.Errorf("%v from %v leads to %v (%v), want %v", h, from, got, ok, row[i])
			}
		}
	}
}

// bring makes a checkout that is in a state.
func (w *world) bring(to checkout.State) *checkout.Checkout {
	w.Helper()
	ctx, d := w.Context(), w.desks[0]
	var c *checkout.Checkout
	var err error
	switch to {
	case checkout.Authorized:
		c = w.sellManually("10.00 USD")
		w.pay(c)
	case checkout.Expired:
		c = w.sell("10.00 USD")
		w.lapse(c)
		eventually(w, "expiry", func() bool { return w.get(c).State == checkout.Expired })
	default:
		c = w.sell("10.00 USD")
	}
	switch to {
	case checkout.Dispatched:
		err = d.MarkDispatched(ctx, ids(c))
	case checkout.Acknowledged:
		err = d.MarkAcknowledged(ctx, ids(c))
	case checkout.Succeeded:
		w.pay(c)
	case checkout.Declined:
		_, err = d.Decline(ctx, name(c))
	case checkout.Canceled:
		_, err = d.Cancel(ctx, w.merchant(), name(c))
	}
	if err != nil {
		w.Fatal(err)
	}
	w.wantState(c, to)
	return w.get(c)
}

// try lets something happen to a checkout, whatever state it is in.
func (w *world) try(c *checkout.Checkout, h checkout.Happening) error {
	ctx, d := w.Context(), w.desks[1]
	var err error
	switch h {
	case checkout.Dispatch:
		err = d.MarkDispatched(ctx, ids(c))
	case checkout.Acknowledge:
		err = d.MarkAcknowledged(ctx, ids(c))
	case checkout.Succeed:
		if c.State == checkout.Authorized {
			_, err = d.Capture(ctx, w.change(c, ""))
		} else {
			_, _, err = d.Pay(ctx, w.payment(c))
		}
	case checkout.Decline:
		_, err = d.Decline(ctx, name(c))
	case checkout.Cancel:
		_, err = d.Cancel(ctx, w.merchant(), name(c))
	case checkout.Refund:
		_, _, err = d.Refund(ctx, w.change(c, "1.00 USD"))
	}
	return err
}

func TestEveryIllegalStepIsRefusedAndChangesNothing(t *testing.T) {
	w := newWorld(t)
	for _, from := range states {
		for _, h := range happenings {
			// Authorizing is paying, and nobody can let something expire.
			if _, legal := checkout.Next(from, h); legal || h == checkout.Authorize || h == checkout.Expire {
				continue
			}
			c := w.bring(from)
			told, moved := w.events(c, money.MerchantScope(w.shop.Merchant)), w.books.Transactions(t)
			before := w.books.Balance(t, w.customer, "USD")
			err := w.try(c, h)
			quiet := h == checkout.Dispatch || h == checkout.Acknowledge // marks only what they can
			again := h == checkout.Decline && from == checkout.Declined || h == checkout.Cancel && from == checkout.Canceled
			if want := stepRefusals[h]; quiet || again {
				if err != nil {
					t.Errorf("%v in %v: %v", h, from, err)
				}
			} else if got := rpc.ReasonName(rpc.ReasonOf(err)); err == nil || !slices.Contains(want, got) {
				t.Errorf("%v in %v: got %v, want one of %v", h, from, err, want)
			}
			w.wantState(c, from)
			if after := w.books.Transactions(t); after != moved || w.events(c, money.MerchantScope(w.shop.Merchant)) != told || w.books.Balance(t, w.customer, "USD") != before {
				t.Errorf("%v in %v moved something", h, from)
			}
		}
	}
}

var stepRefusals = map[checkout.Happening][]string{
	checkout.Succeed: {"CHECKOUT_CLOSED", "CHECKOUT_EXPIRED"},
	checkout.Decline: {"CHECKOUT_CLOSED", "CHECKOUT_EXPIRED"},
	checkout.Cancel:  {"CHECKOUT_CLOSED"},
	checkout.Refund:  {"CHECKOUT_NOT_PAID"},
}

func TestEachLegalStepIsToldOnceToMerchantAndTerminal(t *testing.T) {
	w := newWorld(t)
	ctx, d := t.Context(), w.desks[0]
	c := w.sell("10.00 USD")
	for range 2 {
		if err := d.MarkDispatched(ctx, ids(c)); err != nil {
			t.Fatal(err)
		}
	}
	w.wantState(c, checkout.Dispatched)
	for range 2 {
		if err := d.MarkAcknowledged(ctx, ids(c)); err != nil {
			t.Fatal(err)
		}
	}
	w.wantState(c, checkout.Acknowledged)
	w.pay(c)
	if _, _, err := d.Refund(ctx, w.change(c, "")); err != nil {
		t.Fatal(err)
	}
	w.wantEvents(c, "created dispatched acknowledged succeeded refunded")
	m := w.message(w.get(c), checkout.ForMerchant())
	if !m.GetDispatchTime().AsTime().Before(m.GetAcknowledgeTime().AsTime()) || !m.GetAcknowledgeTime().AsTime().Before(m.GetCloseTime().AsTime()) {
		t.Errorf("dispatched at %v, acknowledged at %v, closed at %v", m.GetDispatchTime(), m.GetAcknowledgeTime(), m.GetCloseTime())
	}

	manual := w.sellManually("10.00 USD")
	w.pay(manual)
	if _, err := d.Capture(ctx, w.change(manual, "")); err != nil {
		t.Fatal(err)
	}
	w.wantEvents(manual, "created authorized succeeded")
	void := w.sellManually("10.00 USD")
	w.pay(void)
	if _, err := d.Cancel(ctx, w.merchant(), name(void)); err != nil {
		t.Fatal(err)
	}
	w.wantEvents(void, "created authorized canceled")
	w.wantEvents(w.bring(checkout.Declined), "created declined")
	w.wantEvents(w.bring(checkout.Expired), "created expired")
}
