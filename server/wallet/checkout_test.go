package wallet_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/server/checkout/checkouttest"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/server/qr"
	"github.com/tillbook/tillbook/store/id"
)

// market is a shop of bob's, and alice with 1,000 USD.
type market struct {
	replica
	books      *moneytest.Books
	shop       checkouttest.Shop
	alice, bob moneytest.User
	keys       int
}

func newMarket(t *testing.T) *market {
	t.Helper()
	books := moneytest.New(t)
	m := &market{replica: serve(t, books), books: books, alice: books.User(t, "alice"), bob: books.User(t, "bobby")}
	m.shop = checkouttest.Open(t, m.Store, m.bob.ID)
	books.Fund(t, m.alice, "1000.00 USD")
	return m
}

// sell makes a checkout of so much and returns it as its merchant sees it.
func (m *market) sell(t *testing.T, sum string, capture checkoutv1.CaptureMode) *checkoutv1.Checkout {
	t.Helper()
	m.keys++
	c, err := m.desk.Create(t.Context(), &checkout.Draft{
		By: checkout.Caller{User: m.bob.ID}, Key: fmt.Sprint(m.keys), Merchant: m.shop.Merchant, Terminal: m.shop.Terminal,
		Amount: amount(sum), TipOptions: &checkoutv1.TipOptions{Allowed: true}, Capture: capture,
	})
	if err != nil {
		t.Fatal(err)
	}
	shown, err := m.desk.Message(t.Context(), c, checkout.ForMerchant())
	if err != nil {
		t.Fatal(err)
	}
	return shown
}

const (
	automatic = checkoutv1.CaptureMode_CAPTURE_MODE_AUTOMATIC
	manual    = checkoutv1.CaptureMode_CAPTURE_MODE_MANUAL
)

func (m *market) find(t *testing.T, req *walletv1.GetCheckoutRequest) (*walletv1.GetCheckoutResponse, error) {
	t.Helper()
	return m.as(m.alice).GetCheckout(t.Context(), req)
}

func scan(text string) *walletv1.GetCheckoutRequest {
	return &walletv1.GetCheckoutRequest{By: &walletv1.GetCheckoutRequest_QrText{QrText: text}}
}

func TestASaleIsFoundByIDCodeAndQRText(t *testing.T) {
	m := newMarket(t)
	c := m.sell(t, "12.50 USD", automatic)
	typed := strings.ToLower(c.GetCode()[:4]) + "-" + c.GetCode()[4:8] + " " + c.GetCode()[8:]
	for what, req := range map[string]*walletv1.GetCheckoutRequest{
		"id":         {By: &walletv1.GetCheckoutRequest_CheckoutId{CheckoutId: c.GetCheckoutId()}},
		"code":       {By: &walletv1.GetCheckoutRequest_Code{Code: c.GetCode()}},
		"typed code": {By: &walletv1.GetCheckoutRequest_Code{Code: typed}},
		"QR text":    scan(c.GetQrText()),
	} {
		res, err := m.find(t, req)
		if err != nil {
			t.Errorf("by %s: %v", what, err)
			continue
		}
		if got := res.GetCheckout(); got.GetCheckoutId() != c.GetCheckoutId() || text(got.GetAmount()) != "12.50 USD" ||
			res.GetMerchantName() != "Warung Kopi" || res.GetStoreName() != "Jalan Sabang" || res.GetStoreId() != "" {
			t.Errorf("by %s there is %v", what, res)
		}
	}
	// What others read of it is right, too.
	code, err := qr.Parse(c.GetQrText())
	if err != nil || !code.Dynamic || code.Amount != "12.50" || code.Currency != "840" || code.Tip.Handling != qr.TipPrompt ||
		code.Merchant != "Warung Kopi" || code.City != "Jakarta" || code.Country != "ID" || code.Category != "5812" {
		t.Errorf("the QR text says %+v, %v", code, err)
	}
}

func TestAQRTextOfAnAssetWithoutANumberNamesTheAsset(t *testing.T) {
	m := newMarket(t)
	c := m.sell(t, "0.123456789012345678 ETH", automatic)
	code, err := qr.Parse(c.GetQrText())
	if err != nil || code.Asset != "ETH" || code.Amount != "" || code.Currency != qr.NoCurrency {
		t.Errorf("the QR text says %+v, %v", code, err)
	}
	if res, err := m.find(t, scan(c.GetQrText())); err != nil || text(res.GetCheckout().GetAmount()) != "0.123456789012345678 ETH" {
		t.Errorf("it finds %v, %v", res, err)
	}
}

func TestAStoresOwnQRTextFindsTheStore(t *testing.T) {
	m := newMarket(t)
	static := func(store uuid.UUID) string {
		code, err := qr.Encode(qr.Code{
			Store: id.Format(id.Store, store), Category: "5812", Currency: "360", Country: "ID", Merchant: "Anything", City: "Jakarta",
		})
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	res, err := m.find(t, scan(static(m.shop.Store)))
	if err != nil || res.GetCheckout() != nil || res.GetStoreId() != id.Format(id.Store, m.shop.Store) ||
		res.GetMerchantName() != "Warung Kopi" || res.GetStoreName() != "Jalan Sabang" {
		t.Errorf("it finds %v, %v", res, err)
	}
	_, err = m.find(t, scan(static(id.New())))
	moneytest.WantRefusal(t, err, "NOT_FOUND")
}

func TestAQRTextThatLiesOrIsNoneFindsNothing(t *testing.T) {
	m := newMarket(t)
	c := m.sell(t, "1.00 USD", automatic)
	code, err := qr.Parse(c.GetQrText())
	if err != nil {
		t.Fatal(err)
	}
	code.Store = id.Format(id.Store, checkouttest.Open(t, m.Store, m.alice.ID).Store)
	lie, err := qr.Encode(code)
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.find(t, scan(lie))
	moneytest.WantRefusal(t, err, "NOT_FOUND")
	body, last := c.GetQrText()[:len(c.GetQrText())-1], c.GetQrText()[len(c.GetQrText())-1:]
	other := map[bool]string{true: "1", false: "0"}[last == "0"] // a checksum may end in either
	for _, text := range []string{"hello", body + other, strings.Replace(c.GetQrText(), "Kopi", "Teh!", 1)} {
		_, err := m.find(t, scan(text))
		if got := moneytest.WantRefusal(t, err, "QR_TEXT_INVALID"); got.Field != "qr_text" {
			t.Errorf("%q: the field is %s", text, got.Field)
		}
	}
	for _, req := range []*walletv1.GetCheckoutRequest{
		{By: &walletv1.GetCheckoutRequest_CheckoutId{CheckoutId: id.Format(id.Checkout, id.New())}},
		{By: &walletv1.GetCheckoutRequest_Code{Code: "000000000000"}},
	} {
		_, err := m.find(t, req)
		moneytest.WantRefusal(t, err, "NOT_FOUND")
	}
}

func (m *market) payment(c *checkoutv1.Checkout, key string) *walletv1.PayCheckoutRequest {
	return &walletv1.PayCheckoutRequest{IdempotencyKey: key, CheckoutId: c.GetCheckoutId()}
}

func TestAPurchaseStandsInTheHistoryUnderTheMerchantsName(t *testing.T) {
	m := newMarket(t)
	m.shop.Charge(t, "USD", 100, 0)
	c := m.sell(t, "10.00 USD", automatic)
	req := m.payment(c, "k")
	req.Tip = amount("2.00 USD")
	for range 2 { // a retry answers as the first time
		res, err := m.as(m.alice).PayCheckout(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if got := res.GetTransaction(); got.GetKind() != walletv1.TransactionKind_TRANSACTION_KIND_PURCHASE || text(got.GetAmount()) != "-12.00 USD" ||
			got.GetCounterparty().GetMaskedName() != "Warung Kopi" || got.GetCounterparty().GetUserId() != "" {
			t.Errorf("the payment is %v", got)
		}
		paid := res.GetCheckout()
		if paid.GetState() != checkout.Succeeded || paid.GetPayment().GetTransactionId() != res.GetTransaction().GetTransactionId() ||
			text(paid.GetPayment().GetTip()) != "2.00 USD" || paid.GetPayment().GetFee() != nil {
			t.Errorf("the checkout is %v", paid)
		}
	}
	list, err := m.as(m.alice).ListTransactions(t.Context(), &walletv1.ListTransactionsRequest{})
	if err != nil || list.GetTransactions()[0].GetCounterparty().GetMaskedName() != "Warung Kopi" {
		t.Errorf("the history is %v, %v", list, err)
	}
	wantBalance(t, m.books, m.alice, "988.00 USD")
	_, err = m.as(m.alice).PayCheckout(t.Context(), m.payment(c, "other"))
	if got := moneytest.WantNothingMoved(t, err, "CHECKOUT_CLOSED"); got.Metadata["state"] != "SUCCEEDED" {
		t.Errorf("the metadata is %v", got.Metadata)
	}
	_, err = m.as(m.alice).PayCheckout(t.Context(), m.payment(m.sell(t, "1001.00 USD", automatic), "k2"))
	moneytest.WantNothingMoved(t, err, "INSUFFICIENT_FUNDS")
	_, err = m.as(m.bob).PayCheckout(t.Context(), m.payment(m.sell(t, "1.00 USD", automatic), "k3"))
	moneytest.WantNothingMoved(t, err, "SELF_TRANSFER")
}

func TestAnAuthorizedPurchaseIsAHoldUntilItIsCaptured(t *testing.T) {
	m := newMarket(t)
	c := m.sell(t, "10.00 USD", manual)
	res, err := m.as(m.alice).PayCheckout(t.Context(), m.payment(c, "k"))
	if err != nil || res.GetTransaction() != nil || res.GetCheckout().GetState() != checkout.Authorized {
		t.Fatalf("paying gives %v, %v", res, err)
	}
	holds, err := m.as(m.alice).ListHolds(t.Context(), &walletv1.ListHoldsRequest{})
	if err != nil || len(holds.GetHolds()) != 1 || holds.GetHolds()[0].GetReference() != "Warung Kopi" || text(holds.GetHolds()[0].GetAmount()) != "10.00 USD" {
		t.Errorf("the holds are %v, %v", holds, err)
	}
	if _, err := m.desk.Capture(t.Context(), &checkout.Change{
		By: checkout.Caller{User: m.bob.ID}, Key: "c", Merchant: m.shop.Merchant, Checkout: c.GetCheckoutId(),
	}); err != nil {
		t.Fatal(err)
	}
	again, err := m.as(m.alice).PayCheckout(t.Context(), m.payment(c, "k"))
	if err != nil || again.GetCheckout().GetState() != checkout.Succeeded {
		t.Errorf("paying again gives %v, %v", again, err)
	}
	list, err := m.as(m.alice).ListTransactions(t.Context(), &walletv1.ListTransactionsRequest{})
	if err != nil || list.GetTransactions()[0].GetCounterparty().GetMaskedName() != "Warung Kopi" {
		t.Errorf("the history is %v, %v", list, err)
	}
}

func TestACustomerDeclines(t *testing.T) {
	m := newMarket(t)
	c := m.sell(t, "10.00 USD", automatic)
	for range 2 {
		res, err := m.as(m.alice).DeclineCheckout(t.Context(), &walletv1.DeclineCheckoutRequest{CheckoutId: c.GetCheckoutId()})
		if err != nil || res.GetCheckout().GetState() != checkout.Declined {
			t.Fatalf("declining gives %v, %v", res, err)
		}
	}
	_, err := m.as(m.alice).PayCheckout(t.Context(), m.payment(c, "k"))
	if got := moneytest.WantNothingMoved(t, err, "CHECKOUT_CLOSED"); got.Metadata["state"] != "DECLINED" {
		t.Errorf("the metadata is %v", got.Metadata)
	}
	paid := m.sell(t, "10.00 USD", automatic)
	if _, err := m.as(m.alice).PayCheckout(t.Context(), m.payment(paid, "k")); err != nil {
		t.Fatal(err)
	}
	_, err = m.as(m.alice).DeclineCheckout(t.Context(), &walletv1.DeclineCheckoutRequest{CheckoutId: paid.GetCheckoutId()})
	moneytest.WantRefusal(t, err, "CHECKOUT_CLOSED")
}

func TestAPaymentCodeIsChargedAtATerminal(t *testing.T) {
	m := newMarket(t)
	res, err := m.as(m.alice).CreatePaymentCode(t.Context(), &walletv1.CreatePaymentCodeRequest{Maximum: amount("20.00 USD")})
	if err != nil || res.GetPaymentCode() == "" || res.GetExpireTime() == nil {
		t.Fatalf("the code is %v, %v", res, err)
	}
	c := m.sell(t, "20.00 USD", automatic)
	paid, err := m.desk.Charge(t.Context(), &checkout.Charge{
		Terminal: m.shop.Terminal, Key: "k", Checkout: c.GetCheckoutId(), Code: strings.ToLower(res.GetPaymentCode()),
	})
	if err != nil || paid.State != checkout.Succeeded {
		t.Errorf("charging gives %v, %v", paid, err)
	}
	wantBalance(t, m.books, m.alice, "980.00 USD")
	_, err = m.as(m.alice).CreatePaymentCode(t.Context(), &walletv1.CreatePaymentCodeRequest{Maximum: amount("0.00 USD")})
	if got := moneytest.WantRefusal(t, err, "AMOUNT_NOT_POSITIVE"); got.Outcome != errorv1.Outcome_OUTCOME_UNSPECIFIED {
		t.Errorf("the outcome is %v", got.Outcome)
	}
	for range 500 {
		if _, err = m.as(m.alice).CreatePaymentCode(t.Context(), &walletv1.CreatePaymentCodeRequest{Maximum: amount("1.00 USD")}); err != nil {
			break
		}
	}
	moneytest.WantRefusal(t, err, "RATE_LIMITED")
}

func TestLookingAtSalesIsLimited(t *testing.T) {
	m := newMarket(t)
	var err error
	for range 1000 {
		_, err = m.find(t, &walletv1.GetCheckoutRequest{By: &walletv1.GetCheckoutRequest_Code{Code: "000000000000"}})
		if got := moneytest.ReadRefusal(t, err); got.Reason != "NOT_FOUND" {
			break
		}
	}
	moneytest.WantRefusal(t, err, "RATE_LIMITED")
}
