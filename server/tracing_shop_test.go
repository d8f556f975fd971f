package server

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/types/known/timestamppb"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/server/otlptest"
	"github.com/tillbook/tillbook/store/storetest"
)

// TestASaleIsOneTraceUpToItsSettlement: paying it, telling the shop, making the money
// available. Another one, which nobody pays, is one up to its expiry.
func TestASaleIsOneTraceUpToItsSettlement(t *testing.T) {
	const otherTrace = "0af7651916cd43dd8448eb211c80319d"
	c := otlptest.Start(t)
	r := startReplica(t, storetest.URL(storetest.New(t)), trustLoopback)
	base := "http://" + r.Addr()
	s := newStory(t, &http.Client{}, base)
	shop := merchantv1connect.NewMerchantServiceClient(connect.NewClient(connecthttp.NewTransport(&http.Client{}, base)))
	ann, cora := s.register("+6281234567804", "ann"), s.register("+6281234567805", "cora")
	s.fund(ann, "10")
	merchant, err := shop.CreateMerchant(s.as(cora.token), &merchantv1.CreateMerchantRequest{
		IdempotencyKey: "m", Name: "Kopi", Country: "ID", City: "Bandung", TimeZone: "Asia/Jakarta",
	})
	if err != nil {
		t.Fatal(err)
	}
	id := merchant.GetMerchant().GetMerchantId()
	store, err := shop.CreateStore(s.as(cora.token), &merchantv1.CreateStoreRequest{IdempotencyKey: "s", MerchantId: id, Name: "Braga"})
	if err != nil {
		t.Fatal(err)
	}
	watch, err := shop.WatchMerchant(s.as(cora.token), &merchantv1.WatchMerchantRequest{MerchantId: id})
	if err != nil {
		t.Fatal(err)
	}
	told := func() *checkoutv1.Checkout {
		for {
			m, err := watch.Receive()
			if err != nil {
				t.Fatal(err)
			}
			if sale := m.GetCheckout(); sale != nil {
				return sale
			}
		}
	}
	sale := &merchantv1.CreateCheckoutRequest{
		IdempotencyKey: "1", MerchantId: id, StoreId: store.GetStore().GetStoreId(), Amount: usd("4"),
	}
	made, err := shop.CreateCheckout(s.as(cora.token), sale)
	if err != nil {
		t.Fatal(err)
	}
	told()
	_, err = s.wallet.PayCheckout(s.traced(ann.token, clientParent), &walletv1.PayCheckoutRequest{
		IdempotencyKey: "p", CheckoutId: made.GetCheckout().GetCheckoutId(),
	})
	if err != nil {
		t.Fatal(err)
	}
	told()
	eventually(t, "the sale settles", func() bool {
		list, err := shop.ListSettlements(s.as(cora.token), &merchantv1.ListSettlementsRequest{MerchantId: id})
		if err != nil {
			t.Fatal(err)
		}
		return len(list.GetSettlements()) > 0
	})
	sale.IdempotencyKey, sale.ExpireTime = "2", timestamppb.New(time.Now().Add(time.Second))
	if _, err := shop.CreateCheckout(s.traced(cora.token, strings.Replace(clientParent, clientTrace, otherTrace, 1)), sale); err != nil {
		t.Fatal(err)
	}
	for told().GetState() != checkoutv1.CheckoutState_CHECKOUT_STATE_EXPIRED {
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}

	batches := c.Find(func(s otlptest.Span) bool { return s.GetName() == "ledger.batch" && s.Trace() == clientTrace })
	push, settled := c.One(t, "merchant.push", clientTrace), c.One(t, "merchant.settle", clientTrace)
	if len(batches) != 2 || !push.IsIn(batches[0]) || !settled.IsIn(batches[0]) {
		t.Errorf("the push or the settlement isn't in the payment's batch: %v", batches)
	}
	if sql := strings.Join(c.Statements(settled), "\n"); !strings.Contains(sql, "INSERT INTO transactions") || !strings.Contains(sql, "INSERT INTO settlements") {
		t.Errorf("the settlement's statements: %s", sql)
	}
	created := c.Find(func(s otlptest.Span) bool {
		return s.Trace() == otherTrace && strings.HasSuffix(s.GetName(), "/CreateCheckout")
	})
	expired := c.One(t, "checkout.expire", otherTrace)
	if len(created) != 1 || !expired.IsIn(created[0]) {
		t.Errorf("the expiry isn't in the sale's call: %v", expired)
	}
	pushes := c.Find(func(s otlptest.Span) bool { return s.Trace() == otherTrace && s.GetName() == "merchant.push" })
	if len(pushes) != 2 || !pushes[0].IsIn(created[0]) || !pushes[1].IsIn(expired) {
		t.Errorf("the shop isn't told of the sale and of its expiry in its trace: %v", pushes)
	}
}
