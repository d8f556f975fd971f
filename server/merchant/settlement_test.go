package merchant_test

import (
	"math"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

func TestSalesSettleAtOnceWithADocumentThatTies(t *testing.T) {
	books := moneytest.New(t)
	here, there := serve(t, books), serve(t, books)
	s := open(t, books, here, "batavia")
	here.settle(t) // nothing yet
	first := post(t, books, s, ledger.KindPurchase, "9.85", "0.15", "USD")
	post(t, books, s, ledger.KindPurchase, "20.00", "0", "USD")
	refund := post(t, books, s, ledger.KindAdjustment, "-5.00", "0", "USD")
	post(t, books, s, ledger.KindPurchase, "990", "10", "JPY")
	if got := holdings(t, there.as(s.manager), s); got != "[JPY 0 + 990][USD 0.00 + 24.85]" {
		t.Errorf("before it has %s", got)
	}
	there.settle(t)
	if got := holdings(t, here.as(s.owner), s); got != "[JPY 990 + 0][USD 24.85 + 0.00]" {
		t.Errorf("after it has %s", got)
	}
	list := settlements(t, here.as(s.manager), s)
	if len(list) != 2 {
		t.Fatalf("there are %d settlements", len(list))
	}
	byAsset := map[string]*merchantv1.Settlement{list[0].GetNet().GetAsset(): list[0], list[1].GetNet().GetAsset(): list[1]}
	usd := byAsset["USD"]
	if got := says(usd); got != "2 sales 1 refunds: 30.00 - 5.00 - 0.15 = 24.85 USD, tips 0.00" {
		t.Errorf("the document says %s", got)
	}
	if got := says(byAsset["JPY"]); got != "1 sales 0 refunds: 1000 - 0 - 10 = 990 JPY, tips 0" {
		t.Errorf("the document says %s", got)
	}
	lines := settlementLines(t, there.as(s.owner), s, usd.GetSettlementId())
	if len(lines) != 3 || lines[0].GetTransactionId() != id.Format(id.Transaction, first) || text(lines[1].GetNet()) != "20.00 USD" ||
		lines[2].GetTransactionId() != id.Format(id.Transaction, refund) || text(lines[2].GetNet()) != "-5.00 USD" {
		t.Errorf("its lines are %v", lines)
	}
	moved, err := books.Ledger().Transaction(t.Context(), mustParse(t, id.Transaction, usd.GetTransactionId()))
	if err != nil || moved.Kind != ledger.KindSettlement || !moved.CreateTime.Equal(usd.GetCutoffTime().AsTime()) {
		t.Errorf("it moved by %v, %v", moved, err)
	}

	// Nothing new settles nothing; what is new comes into the next one.
	here.settle(t)
	post(t, books, s, ledger.KindPurchase, "1.00", "0", "USD")
	there.settle(t)
	if list = settlements(t, here.as(s.manager), s); len(list) != 3 || says(list[0]) != "1 sales 0 refunds: 1.00 - 0.00 - 0.00 = 1.00 USD, tips 0.00" {
		t.Errorf("the newest of %d says %s", len(list), says(list[0]))
	}
}

func TestWhatWasGivenBackWholeWaitsForTheNextSettlement(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	s := open(t, books, r, "batavia")
	post(t, books, s, ledger.KindPurchase, "5.00", "0.10", "USD")
	post(t, books, s, ledger.KindAdjustment, "-5.00", "0", "USD")
	r.settle(t)
	if list := settlements(t, r.as(s.owner), s); len(list) != 0 {
		t.Errorf("nothing is pending, but it settled %v", list)
	}
	post(t, books, s, ledger.KindPurchase, "2.00", "0", "USD")
	r.settle(t)
	list := settlements(t, r.as(s.owner), s)
	if len(list) != 1 || says(list[0]) != "2 sales 1 refunds: 7.10 - 5.00 - 0.10 = 2.00 USD, tips 0.00" {
		t.Errorf("it settled %v", list)
	}
}

func TestWhatIsHeldWaits(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	s := open(t, books, r, "batavia")
	post(t, books, s, ledger.KindPurchase, "5.00", "0", "USD")
	pending, _, err := books.Ledger().LookupAccount(t.Context(), "merchant/"+s.id+"/pending/USD")
	if err != nil {
		t.Fatal(err)
	}
	who := func(key string) ledger.Identity {
		return ledger.Identity{Key: ledger.NewKey("test", key), Fingerprint: ledger.Fingerprint(key)}
	}
	held, err := books.Ledger().CreateHold(t.Context(), who("hold"), ledger.NewHold{
		Account: pending, Amount: ledger.NewAmount(100), Reference: "a dispute", ExpireTime: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.settle(t)
	if list := settlements(t, r.as(s.owner), s); len(list) != 0 {
		t.Errorf("while some is held it settles %v", list)
	}
	if _, err := books.Ledger().VoidHold(t.Context(), who("void"), held.Hold.ID); err != nil {
		t.Fatal(err)
	}
	r.settle(t)
	if got := holdings(t, r.as(s.owner), s); got != "[USD 5.00 + 0.00]" {
		t.Errorf("afterwards it has %s", got)
	}
}

func TestReplicasSettleOnce(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	s := open(t, books, replicas[0], "batavia")
	for round := 1; round <= 4; round++ {
		post(t, books, s, ledger.KindPurchase, "3.00", "0", "USD")
		together(6, func(i int) { replicas[i%2].settle(t) })
		if n := len(settlements(t, replicas[0].as(s.owner), s)); n != round {
			t.Fatalf("after round %d there are %d settlements", round, n)
		}
	}
	if got := holdings(t, replicas[0].as(s.owner), s); got != "[USD 12.00 + 0.00]" {
		t.Errorf("it has %s", got)
	}
}

// settleTime is when a merchant settles next.
func settleTime(t testing.TB, books *moneytest.Books, s shop) (at *time.Time) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), books.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if err := conn.QueryRow(t.Context(), `SELECT settle_time FROM merchants WHERE id = $1`, s.uuid(t)).Scan(&at); err != nil {
		t.Fatal(err)
	}
	return at
}

func TestAMerchantSettlesWhenItIsDue(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	here := replicas[0]
	s := open(t, books, here, "batavia")
	_, err := here.as(s.owner).SetSettlementSchedule(t.Context(), &merchantv1.SetSettlementScheduleRequest{
		MerchantId: s.id, SettlementSchedule: &merchantv1.SettlementSchedule{Interval: merchantv1.SettlementInterval_SETTLEMENT_INTERVAL_DAILY, MinuteOfDay: 540},
	})
	if err != nil {
		t.Fatal(err)
	}
	post(t, books, s, ledger.KindPurchase, "3.00", "0", "USD")
	here.settle(t)
	if list := settlements(t, here.as(s.owner), s); len(list) != 0 {
		t.Fatalf("before it was due it settled %v", list)
	}
	execute(t, books, `UPDATE merchants SET settle_time = now() - interval '3 days' WHERE id = $1`, s.uuid(t))
	together(4, func(i int) { replicas[i%2].settle(t) })
	if list := settlements(t, here.as(s.owner), s); len(list) != 1 || text(list[0].GetNet()) != "3.00 USD" {
		t.Fatalf("when it was due it settled %v", list)
	}
	next := settleTime(t, books, s)
	if local := next.In(time.FixedZone("WIB", 7*3600)); local.Hour() != 9 || local.Minute() != 0 || !next.After(time.Now()) || time.Until(*next) > 24*time.Hour {
		t.Errorf("it is due next at %v", next)
	}
	post(t, books, s, ledger.KindPurchase, "1.00", "0", "USD")
	here.settle(t)
	if got := holdings(t, here.as(s.owner), s); got != "[USD 3.00 + 1.00]" {
		t.Errorf("until then it has %s", got)
	}
}

// A replica that dies behind the money and before the rest leaves this.
func TestADocumentThatIsMissingIsWritten(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	s := open(t, books, r, "batavia")
	for range 3 {
		post(t, books, s, ledger.KindPurchase, "3.00", "0.05", "USD")
		r.settle(t)
	}
	want := settlements(t, r.as(s.owner), s)
	execute(t, books, `DELETE FROM settlements WHERE id <> (SELECT id FROM settlements ORDER BY id LIMIT 1)`)
	r.settle(t)
	got := settlements(t, r.as(s.owner), s)
	if len(want) != 3 || len(got) != 3 || says(got[0]) != says(want[0]) || got[1].GetSettlementId() != want[1].GetSettlementId() {
		t.Errorf("written again they are %v, before %v", got, want)
	}

	// And by the clock: the money moved, but neither document nor next time were
	// written. The sale since waits for the next time.
	execute(t, books, `UPDATE merchants SET settlement_interval = 2, settle_time = '2026-01-05 09:00+07' WHERE id = $1`, s.uuid(t))
	post(t, books, s, ledger.KindPurchase, "7.00", "0", "USD")
	r.settle(t)
	execute(t, books, `DELETE FROM settlements WHERE net = 700`)
	execute(t, books, `UPDATE merchants SET settle_time = '2026-01-05 09:00+07' WHERE id = $1`, s.uuid(t))
	post(t, books, s, ledger.KindPurchase, "1.00", "0", "USD")
	r.settle(t)
	if got := settlements(t, r.as(s.owner), s); len(got) != 4 || text(got[0].GetNet()) != "7.00 USD" {
		t.Errorf("after a crash there are %v", got)
	}
	if got := holdings(t, r.as(s.owner), s); got != "[USD 16.00 + 1.00]" {
		t.Errorf("it has %s", got)
	}
}

func TestSettlementsAreForManagersAndOwners(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	s, other := open(t, books, r, "batavia"), open(t, books, r, "bogor")
	post(t, books, s, ledger.KindPurchase, "3.00", "0", "USD")
	r.settle(t)
	made := settlements(t, r.as(s.manager), s)[0].GetSettlementId()
	for name, tt := range map[string]struct {
		as         moneytest.User
		merchant   string
		settlement string
		reason     string
	}{
		"a cashier":                {s.cashier, s.id, made, "PERMISSION_DENIED"},
		"a stranger":               {other.owner, s.id, made, "NOT_FOUND"},
		"by way of another's":      {other.owner, other.id, made, "NOT_FOUND"},
		"none":                     {s.owner, s.id, id.Format(id.Settlement, id.New()), "NOT_FOUND"},
		"a merchant that isn't it": {s.owner, id.Format(id.Merchant, id.New()), made, "NOT_FOUND"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.as(tt.as).GetSettlement(t.Context(), &merchantv1.GetSettlementRequest{MerchantId: tt.merchant, SettlementId: tt.settlement})
			moneytest.WantRefusal(t, err, tt.reason)
		})
	}
	_, err := r.as(s.cashier).ListSettlements(t.Context(), &merchantv1.ListSettlementsRequest{MerchantId: s.id})
	moneytest.WantRefusal(t, err, "PERMISSION_DENIED")
	_, err = r.as(s.owner).GetSettlement(t.Context(), &merchantv1.GetSettlementRequest{MerchantId: s.id, SettlementId: made, PageToken: "x"})
	moneytest.WantRefusal(t, err, "PAGE_TOKEN_INVALID")
}

// Whoever knows how page tokens are made gets no entry of another settlement by one.
func TestAPageOfASettlementShowsNoOthersLines(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	s := open(t, books, r, "batavia")
	for _, net := range []string{"3.00", "4.00", "5.00"} {
		post(t, books, s, ledger.KindPurchase, net, "0", "USD")
		r.settle(t)
	}
	middle := settlements(t, r.as(s.owner), s)[1]
	kind := rpc.PageKind(merchantv1connect.MerchantServiceGetSettlementProcedure, middle.GetSettlementId())
	for _, after := range []int64{math.MinInt64, -1, 0, 2, 3, 4, math.MaxInt64 - 1, math.MaxInt64} {
		res, err := r.as(s.owner).GetSettlement(t.Context(), &merchantv1.GetSettlementRequest{
			MerchantId: s.id, SettlementId: middle.GetSettlementId(), PageToken: rpc.EncodePageToken(kind, after),
		})
		if err != nil {
			t.Fatal(err)
		}
		lines := res.GetLines()
		if len(lines) > 1 || len(lines) == 1 && text(lines[0].GetNet()) != "4.00 USD" || after <= 2 && len(lines) == 0 || res.GetNextPageToken() != "" {
			t.Errorf("behind %d are %v, and then %q", after, lines, res.GetNextPageToken())
		}
	}
}
