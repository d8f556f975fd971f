package merchant_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/server/merchant"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// ledgerSum adds amounts of one asset up.
func ledgerSum(t testing.TB, books *moneytest.Books, list ...*moneyv1.Money) ledger.Amount {
	t.Helper()
	var total ledger.Amount
	for _, m := range list {
		v, err := money.Parse(t.Context(), books.Ledger(), m, "amount")
		if err == nil {
			total, err = total.Add(v.Amount)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return total
}

// wantTied fails the test unless a settlement's parts and its lines add up to its net.
func wantTied(t testing.TB, books *moneytest.Books, c client, s shop, x *merchantv1.Settlement) {
	t.Helper()
	var nets []*moneyv1.Money
	sales, refunds := uint32(0), uint32(0)
	for _, l := range settlementLines(t, c, s, x.GetSettlementId()) {
		nets = append(nets, l.GetNet())
		if l.GetCheckoutId() == "" {
			t.Errorf("a line of %s names no checkout", x.GetSettlementId())
		}
		if ledgerSum(t, books, l.GetNet()).Sign() < 0 {
			refunds++
		} else {
			sales++
		}
	}
	net := ledgerSum(t, books, x.GetNet())
	parts, err := ledgerSum(t, books, x.GetGross()).Sub(ledgerSum(t, books, x.GetRefunds(), x.GetFees()))
	if err != nil || parts != net || ledgerSum(t, books, nets...) != net || sales != x.GetSaleCount() || refunds != x.GetRefundCount() {
		t.Errorf("%s doesn't tie: %s; its lines add up to %s in %d sales and %d refunds",
			x.GetSettlementId(), says(x), ledgerSum(t, books, nets...), sales, refunds)
	}
}

func TestADocumentTiesToItsCheckouts(t *testing.T) {
	books := moneytest.New(t)
	here, there := serve(t, books), serve(t, books)
	if _, err := here.asOperator().SetFeePlan(t.Context(), plan("standard", feeRate(250, "0.05 USD"))); err != nil {
		t.Fatal(err)
	}
	s := open(t, books, here, "batavia")
	alice := books.User(t, "alice")
	books.Fund(t, alice, "100.00 USD")
	a := mustSell(t, here.as(s.cashier), sale("1", s, "10 USD"))
	pay(t, here, alice, a, "1.50 USD")
	manual := sale("2", s, "8 USD")
	manual.Capture = checkoutv1.CaptureMode_CAPTURE_MODE_MANUAL
	b := mustSell(t, here.as(s.cashier), manual)
	pay(t, there, alice, b, "2 USD")
	if _, err := capture(t, there.as(s.cashier), "c", s, b, "9 USD"); err != nil {
		t.Fatal(err)
	}
	back, err := refund(t, there.as(s.manager), "r", s, a, "4 USD")
	if err != nil {
		t.Fatal(err)
	}
	there.settle(t)
	list := settlements(t, here.as(s.owner), s)
	if len(list) != 1 || says(list[0]) != "2 sales 1 refunds: 20.50 - 4.00 - 0.62 = 15.88 USD, tips 2.50" {
		t.Fatalf("it settled %v", list)
	}
	wantTied(t, books, here.as(s.owner), s, list[0])
	lines := settlementLines(t, here.as(s.owner), s, list[0].GetSettlementId())
	if lines[0].GetCheckoutId() != a.GetCheckoutId() || lines[1].GetCheckoutId() != b.GetCheckoutId() ||
		lines[2].GetCheckoutId() != a.GetCheckoutId() || lines[2].GetTransactionId() != back.GetTransactionId() {
		t.Errorf("its lines are %v", lines)
	}
	// What is given back beyond what is pending comes from what is available.
	pay(t, here, alice, mustSell(t, here.as(s.cashier), sale("3", s, "1 USD")), "")
	if _, err := refund(t, here.as(s.manager), "r2", s, a, "5 USD"); err != nil {
		t.Fatal(err)
	}
	if got := holdings(t, here.as(s.owner), s); got != "[USD 11.80 + 0.00]" {
		t.Errorf("it has %s", got)
	}
}

func TestASettlerThatRunsHearsOfSales(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	s := open(t, books, r, "batavia")
	alice := books.User(t, "alice")
	books.Fund(t, alice, "10.00 USD")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		merchant.NewSettler(merchant.SettlerConfig{
			Store: r.Store, Ledger: r.Ledger, Interval: 5 * time.Millisecond, SweepInterval: time.Hour,
		}).Run(ctx)
	}()
	// It has looked at everything before the second sale: that one it must hear of.
	for i := range 2 {
		pay(t, r, alice, mustSell(t, r.as(s.cashier), sale(fmt.Sprint(i), s, "1 USD")), "")
		for len(settlements(t, r.as(s.owner), s)) <= i {
			time.Sleep(time.Millisecond) // until the test is killed
		}
	}
	stop()
	<-ended
}

// A sale that the fee takes all of puts nothing into the pending account, and a
// document is made of that account's entries.
func TestASaleThatIsAllFeeIsInTheReportAndInNoDocument(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	if _, err := r.asOperator().SetFeePlan(t.Context(), plan("standard", feeRate(0, "0.02 USD"))); err != nil {
		t.Fatal(err)
	}
	s := open(t, books, r, "batavia")
	alice := books.User(t, "alice")
	books.Fund(t, alice, "10.00 USD")
	for i, sum := range []string{"0.01 USD", "0.02 USD", "0.03 USD"} {
		pay(t, r, alice, mustSell(t, r.as(s.cashier), sale(fmt.Sprint(i), s, sum)), "")
	}
	r.settle(t)
	list := settlements(t, r.as(s.owner), s)
	if len(list) != 1 || says(list[0]) != "1 sales 0 refunds: 0.03 - 0.00 - 0.02 = 0.01 USD, tips 0.00" {
		t.Errorf("it settled %v", list)
	}
	day, err := report(t, r.as(s.owner), s, today(), "")
	if err != nil || len(day.GetTotals()) != 1 || sum(day.GetTotals()[0]) != "[3: 0.06 (0.00) - 0.00 - 0.05 = 0.01 USD]" {
		t.Errorf("the day is %v, %v", day, err)
	}
	if kept := books.AccountBalance(t, "system/fees/USD"); kept != "0.05" {
		t.Errorf("%s was kept", kept)
	}
}

// TestWhateverHappensTheDocumentsAddUp lets random sales, refunds, settlements and
// withdrawals happen at the same time on two replicas.
func TestWhateverHappensTheDocumentsAddUp(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	if _, err := replicas[0].asOperator().SetFeePlan(t.Context(), plan("standard", feeRate(333, "0.01 USD"))); err != nil {
		t.Fatal(err)
	}
	s := open(t, books, replicas[0], "batavia")
	customers := make([]moneytest.User, 4)
	for i := range customers {
		customers[i] = books.User(t, fmt.Sprint("customer_", i))
		books.Fund(t, customers[i], "500.00 USD")
	}
	together(len(customers), func(worker int) {
		random := rand.New(rand.NewPCG(seed, uint64(worker)))
		for range 12 {
			r := replicas[random.IntN(2)]
			cents := 1 + random.IntN(2000)
			made := mustSell(t, r.as(s.cashier), sale(id.New().String(), s, fmt.Sprintf("%d.%02d USD", cents/100, cents%100)))
			if random.IntN(5) == 0 {
				if _, err := cancelSale(t, r.as(s.cashier), s, made); err != nil {
					t.Errorf("cancel: %v", err)
				}
				continue
			}
			pay(t, r, customers[worker], made, fmt.Sprintf("0.%02d USD", random.IntN(min(cents, 100))))
			if random.IntN(3) == 0 {
				_, err := refund(t, r.as(s.manager), id.New().String(), s, made, fmt.Sprintf("%d.%02d USD", random.IntN(cents)/100, 1+random.IntN(99)))
				if err != nil {
					allow(t, err, "REFUND_EXCEEDED", "INSUFFICIENT_FUNDS")
				}
			}
			switch random.IntN(4) {
			case 0:
				r.settle(t)
			case 1:
				if _, err := withdraw(t, r.as(s.owner), id.New().String(), s, "1.23 USD"); err != nil {
					allow(t, err, "INSUFFICIENT_FUNDS")
				}
			}
		}
	})
	together(4, func(i int) { replicas[i%2].settle(t) })
	wantBooksToAgree(t, books, replicas[1], s)
}

func allow(t testing.TB, err error, reasons ...string) {
	t.Helper()
	got := moneytest.ReadRefusal(t, err)
	for _, reason := range reasons {
		if got.Reason == reason {
			return
		}
	}
	t.Errorf("refused with %v", err)
}

// wantBooksToAgree compares documents, balances, checkouts and the day's report.
func wantBooksToAgree(t *testing.T, books *moneytest.Books, r replica, s shop) {
	t.Helper()
	owner := r.as(s.owner)
	var moved, fees, refunds []*moneyv1.Money
	for _, x := range settlements(t, owner, s) {
		wantTied(t, books, owner, s, x)
		moved, fees, refunds = append(moved, x.GetNet()), append(fees, x.GetFees()), append(refunds, x.GetRefunds())
	}
	asset, err := books.Ledger().Asset(t.Context(), "USD")
	if err != nil {
		t.Fatal(err)
	}
	balance := func(code string) ledger.Amount {
		return ledgerSum(t, books, &moneyv1.Money{Asset: "USD", Amount: books.AccountBalance(t, code)})
	}
	merchantID := s.uuid(t)
	if pending := balance(money.MerchantPending(merchantID, asset)); !pending.IsZero() {
		t.Errorf("%s is pending in the end", pending)
	}
	var given, sold []*moneyv1.Money
	req := &merchantv1.ListCheckoutsRequest{MerchantId: s.id, State: checkout.Succeeded, PageSize: 200}
	res, err := owner.ListCheckouts(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range res.GetCheckouts() {
		sold = append(sold, c.GetPayment().GetNet())
		if net := ledgerSum(t, books, c.GetPayment().GetNet()); net.IsZero() { // in no document
			fees = append(fees, c.GetPayment().GetFee())
		}
		if back := c.GetPayment().GetRefunded(); back != nil {
			given = append(given, back)
		}
	}
	if kept := balance(money.FeesAccount(asset)); kept != ledgerSum(t, books, fees...) {
		t.Errorf("the documents and the sales that were all fee say that %s was kept, the books %s", ledgerSum(t, books, fees...), kept)
	}
	day, err := report(t, owner, s, today(), "")
	if err != nil || len(day.GetTotals()) != 1 {
		t.Fatalf("the day is %v, %v", day, err)
	}
	total := day.GetTotals()[0]
	if ledgerSum(t, books, total.GetRefunds()) != ledgerSum(t, books, given...) || ledgerSum(t, books, total.GetFees()) != ledgerSum(t, books, fees...) ||
		int(total.GetCount()) != len(res.GetCheckouts()) {
		t.Errorf("the day is %s, the checkouts gave %s back", sum(total), ledgerSum(t, books, given...))
	}
	// All that was sold is what moved, and what was given back of it before it did.
	settled, err := ledgerSum(t, books, moved...).Add(ledgerSum(t, books, refunds...))
	if err != nil || settled != ledgerSum(t, books, sold...) {
		t.Errorf("%s was sold, the documents say %s", ledgerSum(t, books, sold...), settled)
	}
	has, err := balance(money.MerchantAvailable(merchantID, asset)).Add(balance(money.UserAccount(s.owner.ID, asset)))
	if err != nil || has != ledgerSum(t, books, total.GetNet()) {
		t.Errorf("merchant and owner have %s, the day's net is %s", has, ledgerSum(t, books, total.GetNet()))
	}
}
