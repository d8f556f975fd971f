package terminal_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	sandboxv1 "github.com/tillbook/tillbook/gen/tillbook/sandbox/v1"
	"github.com/tillbook/tillbook/gen/tillbook/sandbox/v1/sandboxv1connect"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
)

func usd(amount string) *moneyv1.Money { return &moneyv1.Money{Asset: "USD", Amount: amount} }

// counter is a shop's terminal that is online, and a customer in front of it.
type counter struct {
	*testing.T
	*shop
	r        *replica
	terminal string
	line     *line
	customer person
}

func newCounter(t *testing.T) *counter {
	t.Helper()
	w := newTown(t)
	r := w.replica(t)
	s := w.shop(t, r)
	g := s.gadget(t, r)
	c := &counter{T: t, shop: s, r: r, terminal: g.terminal, line: g.session(t, r, 0, 0), customer: w.person(t, r)}
	must(t, r.conn.Invoke(t.Context(), sandboxv1connect.SandboxServiceFundProcedure, &sandboxv1.FundRequest{
		PhoneNumber: c.customer.phone, Amount: usd("100"), IdempotencyKey: "fund",
	}, &sandboxv1.FundResponse{}))
	return c
}

func (c *counter) call(as person, procedure string, req, res proto.Message) {
	c.Helper()
	must(c, c.r.conn.Invoke(as.context(context.WithoutCancel(c.Context())), procedure, req, res))
}

// sell makes a sale of 4 dollars and waits until it is offered.
func (c *counter) sell(change func(*merchantv1.CreateCheckoutRequest)) *checkoutv1.Checkout {
	c.Helper()
	req := &merchantv1.CreateCheckoutRequest{
		IdempotencyKey: uuid.NewString(), MerchantId: c.merchant, TerminalId: c.terminal, Amount: usd("4.00"),
	}
	change(req)
	res := &merchantv1.CreateCheckoutResponse{}
	c.call(c.cashier, merchantv1connect.MerchantServiceCreateCheckoutProcedure, req, res)
	if got := c.line.event().GetCheckoutOffered(); got.GetCheckoutId() != res.GetCheckout().GetCheckoutId() {
		c.Fatalf("offered %v, want %v", got, res.GetCheckout())
	}
	return res.GetCheckout()
}

func (c *counter) pay(sale *checkoutv1.Checkout) {
	c.Helper()
	c.call(c.customer, walletv1connect.WalletServicePayCheckoutProcedure,
		&walletv1.PayCheckoutRequest{IdempotencyKey: uuid.NewString(), CheckoutId: sale.GetCheckoutId()}, &walletv1.PayCheckoutResponse{})
}

// wantUpdate waits for the news that a sale is no longer to be shown.
func (c *counter) wantUpdate(sale *checkoutv1.Checkout, want checkoutv1.CheckoutState) {
	c.Helper()
	if got := c.line.event().GetCheckoutUpdated(); got.GetCheckoutId() != sale.GetCheckoutId() || got.GetState() != want {
		c.Errorf("updated %v, want %v %v", got, sale, want)
	}
}

func (c *counter) wantPaid(sale *checkoutv1.Checkout) {
	c.Helper()
	if got := c.line.event().GetCheckoutPaid(); got.GetCheckoutId() != sale.GetCheckoutId() || got.GetPayment().GetTransactionId() == "" {
		c.Errorf("paid %v, want %v", got, sale)
	}
}

func TestATerminalIsToldWhateverBecomesOfItsSales(t *testing.T) {
	t.Parallel()
	c := newCounter(t)
	plain := func(*merchantv1.CreateCheckoutRequest) {}
	sale := c.sell(plain)
	c.pay(sale)
	c.wantPaid(sale)
	c.call(c.manager, merchantv1connect.MerchantServiceRefundCheckoutProcedure, &merchantv1.RefundCheckoutRequest{
		IdempotencyKey: "r", MerchantId: c.merchant, CheckoutId: sale.GetCheckoutId(), Amount: usd("1.50"),
	}, &merchantv1.RefundCheckoutResponse{})
	if got := c.line.event().GetCheckoutRefunded(); got.GetCheckoutId() != sale.GetCheckoutId() || got.GetPayment().GetRefunded().GetAmount() != "1.50" {
		t.Errorf("refunded %v, want 1.50 of %v", got, sale)
	}

	sale = c.sell(func(req *merchantv1.CreateCheckoutRequest) { req.Capture = checkoutv1.CaptureMode_CAPTURE_MODE_MANUAL })
	c.pay(sale)
	c.wantUpdate(sale, checkoutv1.CheckoutState_CHECKOUT_STATE_AUTHORIZED)
	c.call(c.cashier, merchantv1connect.MerchantServiceCaptureCheckoutProcedure, &merchantv1.CaptureCheckoutRequest{
		IdempotencyKey: "c", MerchantId: c.merchant, CheckoutId: sale.GetCheckoutId(),
	}, &merchantv1.CaptureCheckoutResponse{})
	c.wantPaid(sale)

	sale = c.sell(plain)
	c.call(c.customer, walletv1connect.WalletServiceDeclineCheckoutProcedure,
		&walletv1.DeclineCheckoutRequest{CheckoutId: sale.GetCheckoutId()}, &walletv1.DeclineCheckoutResponse{})
	c.wantUpdate(sale, checkoutv1.CheckoutState_CHECKOUT_STATE_DECLINED)

	sale = c.sell(plain)
	c.town.exec(t, `UPDATE checkouts SET expire_time = c.now, due_time = c.now FROM (SELECT clock_timestamp() AS now) AS c WHERE code = $1`, sale.GetCode())
	c.wantUpdate(sale, checkoutv1.CheckoutState_CHECKOUT_STATE_EXPIRED)
}
