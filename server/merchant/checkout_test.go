package merchant_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/store/id"
)

// sale is a request for a checkout at the shop's store, which takes tips.
func sale(key string, s shop, sum string) *merchantv1.CreateCheckoutRequest {
	return &merchantv1.CreateCheckoutRequest{
		IdempotencyKey: key, MerchantId: s.id, StoreId: s.store, Amount: amount(sum),
		TipOptions: &checkoutv1.TipOptions{Allowed: true},
	}
}

func mustSell(t testing.TB, c client, req *merchantv1.CreateCheckoutRequest) *checkoutv1.Checkout {
	t.Helper()
	res, err := c.CreateCheckout(t.Context(), req)
	if err != nil {
		t.Fatalf("create a checkout: %v", err)
	}
	return res.GetCheckout()
}

// pay pays a checkout as a customer, with a tip if there is one.
func pay(t testing.TB, r replica, u moneytest.User, c *checkoutv1.Checkout, tip string) {
	t.Helper()
	var on *moneyv1.Money
	if tip != "" {
		on = amount(tip)
	}
	_, _, err := r.desk.Pay(t.Context(), &checkout.Payment{User: u.ID, Key: id.New().String(), Checkout: c.GetCheckoutId(), Tip: on})
	if err != nil {
		t.Fatalf("pay: %v", err)
	}
}

func refund(t testing.TB, c client, key string, s shop, of *checkoutv1.Checkout, sum string) (*merchantv1.RefundCheckoutResponse, error) {
	t.Helper()
	req := &merchantv1.RefundCheckoutRequest{IdempotencyKey: key, MerchantId: s.id, CheckoutId: of.GetCheckoutId()}
	if sum != "" {
		req.Amount = amount(sum)
	}
	return c.RefundCheckout(t.Context(), req)
}

func capture(t testing.TB, c client, key string, s shop, of *checkoutv1.Checkout, sum string) (*checkoutv1.Checkout, error) {
	t.Helper()
	req := &merchantv1.CaptureCheckoutRequest{IdempotencyKey: key, MerchantId: s.id, CheckoutId: of.GetCheckoutId()}
	if sum != "" {
		req.Amount = amount(sum)
	}
	res, err := c.CaptureCheckout(t.Context(), req)
	return res.GetCheckout(), err
}

func cancelSale(t testing.TB, c client, s shop, of *checkoutv1.Checkout) (*checkoutv1.Checkout, error) {
	t.Helper()
	res, err := c.CancelCheckout(t.Context(), &merchantv1.CancelCheckoutRequest{MerchantId: s.id, CheckoutId: of.GetCheckoutId()})
	return res.GetCheckout(), err
}

func getSale(t testing.TB, c client, s shop, of *checkoutv1.Checkout) *checkoutv1.Checkout {
	t.Helper()
	res, err := c.GetCheckout(t.Context(), &merchantv1.GetCheckoutRequest{MerchantId: s.id, CheckoutId: of.GetCheckoutId()})
	if err != nil {
		t.Fatalf("get a checkout: %v", err)
	}
	return res.GetCheckout()
}

func TestASaleIsMadePaidAndGivenBack(t *testing.T) {
	books := moneytest.New(t)
	here, there := serve(t, books), serve(t, books)
	if _, err := here.asOperator().SetFeePlan(t.Context(), plan("standard", feeRate(150, "0.10 USD"))); err != nil {
		t.Fatal(err)
	}
	s := open(t, books, here, "batavia")
	alice := books.User(t, "alice")
	books.Fund(t, alice, "100.00 USD")
	made := mustSell(t, here.as(s.cashier), sale("1", s, "10 USD"))
	if again := mustSell(t, there.as(s.cashier), sale("1", s, "10.00 USD")); !proto.Equal(again, made) {
		t.Errorf("a retry makes %v, the first %v", again, made)
	}
	if made.GetState() != checkout.Created || made.GetStoreId() != s.store || made.GetMerchantId() != s.id || made.GetQrText() == "" {
		t.Errorf("made %v", made)
	}
	_, err := refund(t, here.as(s.manager), "early", s, made, "")
	moneytest.WantNothingMoved(t, err, "CHECKOUT_NOT_PAID")
	_, err = capture(t, here.as(s.cashier), "early", s, made, "")
	moneytest.WantNothingMoved(t, err, "CHECKOUT_NOT_AUTHORIZED")
	pay(t, there, alice, made, "2 USD")
	paid := getSale(t, here.as(s.cashier), s, made)
	if p := paid.GetPayment(); paid.GetState() != checkout.Succeeded || text(p.GetTotal()) != "12.00 USD" || text(p.GetTip()) != "2.00 USD" ||
		text(p.GetFee()) != "0.28 USD" || text(p.GetNet()) != "11.72 USD" || p.GetMaskedCustomer() != "a***e" {
		t.Errorf("paid it is %v", paid)
	}
	_, err = cancelSale(t, here.as(s.cashier), s, made)
	if got := moneytest.WantNothingMoved(t, err, "CHECKOUT_CLOSED"); got.Metadata["state"] != "SUCCEEDED" {
		t.Errorf("the error says %v", got.Metadata)
	}
	_, err = refund(t, here.as(s.cashier), "r", s, made, "")
	moneytest.WantNothingMoved(t, err, "PERMISSION_DENIED")
	res, err := refund(t, here.as(s.manager), "r", s, made, "5 USD")
	if err != nil || text(res.GetCheckout().GetPayment().GetRefunded()) != "5.00 USD" {
		t.Fatalf("refunding answers %v, %v", res, err)
	}
	again, err := refund(t, there.as(s.manager), "r", s, made, "5 USD")
	if err != nil || again.GetTransactionId() != res.GetTransactionId() {
		t.Errorf("a retry answers %v, %v", again, err)
	}
	_, err = refund(t, there.as(s.manager), "more", s, made, "7.01 USD")
	moneytest.WantNothingMoved(t, err, "REFUND_EXCEEDED")
	_, err = refund(t, there.as(s.manager), "all", s, made, "")
	moneytest.WantNothingMoved(t, err, "INSUFFICIENT_FUNDS") // the fee isn't given back
	if got := holdings(t, here.as(s.owner), s); got != "[USD 0.00 + 6.72]" {
		t.Errorf("it has %s", got)
	}
	if got := books.Balance(t, alice, "USD"); got != "93.00" {
		t.Errorf("the customer has %s", got)
	}
}

func TestAnAuthorizedSaleIsCapturedOrVoided(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	s := open(t, books, r, "batavia")
	alice := books.User(t, "alice")
	books.Fund(t, alice, "100.00 USD")
	manual := func(key string) *checkoutv1.Checkout {
		req := sale(key, s, "10 USD")
		req.Capture = checkoutv1.CaptureMode_CAPTURE_MODE_MANUAL
		made := mustSell(t, r.as(s.cashier), req)
		pay(t, r, alice, made, "")
		return made
	}
	part, void := manual("part"), manual("void")
	_, err := capture(t, r.as(s.cashier), "c", s, part, "10.01 USD")
	moneytest.WantNothingMoved(t, err, "HOLD_EXCEEDED")
	got, err := capture(t, r.as(s.cashier), "c", s, part, "6 USD")
	if err != nil || got.GetState() != checkout.Succeeded || text(got.GetPayment().GetTotal()) != "6.00 USD" {
		t.Errorf("capturing answers %v, %v", got, err)
	}
	for range 2 {
		if got, err := cancelSale(t, r.as(s.cashier), s, void); err != nil || got.GetState() != checkout.Canceled {
			t.Errorf("voiding answers %v, %v", got, err)
		}
	}
	_, err = capture(t, r.as(s.cashier), "late", s, void, "")
	moneytest.WantNothingMoved(t, err, "CHECKOUT_CLOSED")
	if got := books.Balance(t, alice, "USD"); got != "94.00" {
		t.Errorf("the customer has %s", got)
	}
}

func TestSalesAreNobodyElses(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	s, other := open(t, books, r, "batavia"), open(t, books, r, "bogor")
	made := mustSell(t, r.as(s.cashier), sale("1", s, "1 USD"))
	theirs := other
	theirs.store = s.store
	for name, try := range map[string]func(shop) error{
		"get": func(at shop) error {
			_, err := r.as(other.owner).GetCheckout(t.Context(), &merchantv1.GetCheckoutRequest{MerchantId: at.id, CheckoutId: made.GetCheckoutId()})
			return err
		},
		"cancel":  func(at shop) error { _, err := cancelSale(t, r.as(other.owner), at, made); return err },
		"capture": func(at shop) error { _, err := capture(t, r.as(other.owner), "1", at, made, ""); return err },
		"refund":  func(at shop) error { _, err := refund(t, r.as(other.owner), "1", at, made, ""); return err },
		"create": func(at shop) error {
			at.store = s.store
			_, err := r.as(other.owner).CreateCheckout(t.Context(), sale("2", at, "1 USD"))
			return err
		},
		"list": func(at shop) error {
			if at.id == other.id {
				at.id = s.id
			}
			_, err := r.as(other.owner).ListCheckouts(t.Context(), &merchantv1.ListCheckoutsRequest{MerchantId: at.id})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			moneytest.WantRefusal(t, try(s), "NOT_FOUND")
			moneytest.WantRefusal(t, try(other), "NOT_FOUND")
		})
	}
}

func TestSalesThatCannotBeAreRefused(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	s := open(t, books, r, "batavia")
	elsewhere := mustAddStore(t, r.as(s.owner), s.id, "Menteng").GetStoreId()
	for name, tt := range map[string]struct {
		change func(*merchantv1.CreateCheckoutRequest)
		reason string
	}{
		"for nothing":                 {func(q *merchantv1.CreateCheckoutRequest) { q.Amount = amount("0 USD") }, "AMOUNT_NOT_POSITIVE"},
		"too precise":                 {func(q *merchantv1.CreateCheckoutRequest) { q.Amount = amount("0.001 USD") }, "AMOUNT_TOO_PRECISE"},
		"no such asset":               {func(q *merchantv1.CreateCheckoutRequest) { q.Amount = amount("1 XYZ") }, "ASSET_NOT_FOUND"},
		"no store":                    {func(q *merchantv1.CreateCheckoutRequest) { q.StoreId = "" }, "INVALID_ARGUMENT"},
		"not its store":               {func(q *merchantv1.CreateCheckoutRequest) { q.StoreId = id.Format(id.Store, id.New()) }, "NOT_FOUND"},
		"not its terminal":            {func(q *merchantv1.CreateCheckoutRequest) { q.TerminalId = id.Format(id.Terminal, id.New()) }, "NOT_FOUND"},
		"a terminal of another store": {func(q *merchantv1.CreateCheckoutRequest) { q.TerminalId = addTerminal(t, books, s, elsewhere) }, "NOT_FOUND"},
		"items that don't add up": {func(q *merchantv1.CreateCheckoutRequest) {
			q.Items = []*checkoutv1.CheckoutItem{{Name: "Tea", Quantity: 2, UnitPrice: amount("0.51 USD")}}
		}, "ITEMS_MISMATCH"},
		"over before": {func(q *merchantv1.CreateCheckoutRequest) { q.ExpireTime = timestamppb.New(time.Now().Add(-time.Hour)) }, "EXPIRE_TIME_INVALID"},
	} {
		t.Run(name, func(t *testing.T) {
			req := sale(id.New().String(), s, "1 USD")
			tt.change(req)
			_, err := r.as(s.cashier).CreateCheckout(t.Context(), req)
			moneytest.WantRefusal(t, err, tt.reason)
		})
	}
	var all []*checkoutv1.Checkout
	for i := range 5 {
		all = append(all, mustSell(t, r.as(s.cashier), sale(string(rune('a'+i)), s, "1 USD")))
	}
	if _, err := cancelSale(t, r.as(s.cashier), s, all[1]); err != nil {
		t.Fatal(err)
	}
	var listed []*checkoutv1.Checkout
	req := &merchantv1.ListCheckoutsRequest{MerchantId: s.id, StoreId: s.store, State: checkout.Created, PageSize: 2}
	for {
		res, err := r.as(s.cashier).ListCheckouts(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, res.GetCheckouts()...)
		if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	if len(listed) != 4 || !proto.Equal(listed[0], all[4]) || !proto.Equal(listed[3], all[0]) {
		t.Errorf("listed %v", listed)
	}
	req.StoreId = elsewhere
	if res, err := r.as(s.cashier).ListCheckouts(t.Context(), req); err != nil || len(res.GetCheckouts()) != 0 {
		t.Errorf("elsewhere it lists %v, %v", res, err)
	}
}
