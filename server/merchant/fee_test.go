package merchant_test

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/store/id"
)

func plan(name string, rates ...*merchantv1.FeeRate) *merchantv1.SetFeePlanRequest {
	return &merchantv1.SetFeePlanRequest{FeePlan: &merchantv1.FeePlan{Name: name, Rates: rates}}
}

func feeRate(basisPoints uint32, fixed string) *merchantv1.FeeRate {
	return &merchantv1.FeeRate{BasisPoints: basisPoints, Fixed: amount(fixed)}
}

// planOf is the plan that a merchant is on.
func planOf(t testing.TB, books *moneytest.Books, merchantID string) (name string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), books.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	err = conn.QueryRow(t.Context(), `SELECT coalesce(fee_plan, '') FROM merchants WHERE id = $1`, mustParse(t, id.Merchant, merchantID)).Scan(&name)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// recorded are the actions in the audit trail, but for calls, oldest first.
func recorded(t testing.TB, books *moneytest.Books) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), books.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), `SELECT action || ' ' || subject || ' ' || coalesce(details::text, '') FROM audit_records WHERE action NOT LIKE 'rpc.%' ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestOperatorsSetAndAssignFeePlans(t *testing.T) {
	books := moneytest.New(t)
	here, there := serve(t, books), serve(t, books)
	owner := books.User(t, "owner")
	before := mustCreate(t, here.as(owner), create("before")).GetMerchantId()
	for range 2 { // again is the same
		res, err := here.asOperator().SetFeePlan(t.Context(), plan("standard", feeRate(150, "0.10 USD"), feeRate(0, "0 JPY"), feeRate(10000, "500 IDR")))
		if err != nil || len(res.GetFeePlan().GetRates()) != 3 || text(res.GetFeePlan().GetRates()[0].GetFixed()) != "500.00 IDR" ||
			res.GetFeePlan().GetRates()[0].GetBasisPoints() != 10000 || text(res.GetFeePlan().GetRates()[2].GetFixed()) != "0.10 USD" {
			t.Fatalf("set %v, %v", res, err)
		}
	}
	after := mustCreate(t, there.as(owner), create("after")).GetMerchantId()
	if got := planOf(t, books, before) + "," + planOf(t, books, after); got != ",standard" {
		t.Errorf("merchants made before and after are on %s", got)
	}
	if _, err := there.asOperator().SetFeePlan(t.Context(), plan("friends")); err != nil {
		t.Fatal(err)
	}
	_, err := here.asOperator().AssignFeePlan(t.Context(), &merchantv1.AssignFeePlanRequest{MerchantId: after, FeePlan: "friends"})
	if err != nil || planOf(t, books, after) != "friends" {
		t.Errorf("assigning: %v; it is on %s", err, planOf(t, books, after))
	}
	for _, req := range []*merchantv1.AssignFeePlanRequest{
		{MerchantId: after, FeePlan: "none"}, {MerchantId: id.Format(id.Merchant, id.New()), FeePlan: "friends"},
	} {
		_, err := here.asOperator().AssignFeePlan(t.Context(), req)
		moneytest.WantRefusal(t, err, "NOT_FOUND")
	}
	var names []string
	list := &merchantv1.ListFeePlansRequest{PageSize: 1}
	for {
		res, err := there.asOperator().ListFeePlans(t.Context(), list)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range res.GetFeePlans() {
			names = append(names, p.GetName())
		}
		if list.PageToken = res.GetNextPageToken(); list.PageToken == "" {
			break
		}
	}
	if !slices.Equal(names, []string{"friends", "standard"}) {
		t.Errorf("the plans are %v", names)
	}
	want := []string{
		`fee_plan.set fee_plan/standard {"IDR": "10000 bp + 500.00", "JPY": "0 bp + 0", "USD": "150 bp + 0.10"}`,
		`fee_plan.set fee_plan/standard {"IDR": "10000 bp + 500.00", "JPY": "0 bp + 0", "USD": "150 bp + 0.10"}`,
		`fee_plan.set fee_plan/friends {}`,
		`merchant.fee_plan_assigned merchant/` + after + ` {"after": "friends", "before": "standard"}`,
	}
	if got := recorded(t, books); !slices.Equal(got, want) {
		t.Errorf("the audit trail has %q", got)
	}
}

func TestFeePlansThatMakeNoSenseAreRefused(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	if _, err := r.asOperator().SetFeePlan(t.Context(), plan("standard", feeRate(150, "0.10 USD"))); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		rates  []*merchantv1.FeeRate
		reason string
	}{
		"two rates of one asset": {[]*merchantv1.FeeRate{feeRate(1, "1 USD"), feeRate(2, "2 USD")}, "FEE_PLAN_INVALID"},
		"less than nothing":      {[]*merchantv1.FeeRate{feeRate(1, "-1 USD")}, "FEE_PLAN_INVALID"},
		"more than all":          {[]*merchantv1.FeeRate{feeRate(10001, "0 USD")}, "INVALID_ARGUMENT"},
		"too precise":            {[]*merchantv1.FeeRate{feeRate(1, "0.001 USD")}, "AMOUNT_TOO_PRECISE"},
		"too large":              {[]*merchantv1.FeeRate{feeRate(1, "1000000000000000000000000000000000000 USD")}, "AMOUNT_OUT_OF_RANGE"},
		"no such asset":          {[]*merchantv1.FeeRate{feeRate(1, "1 XYZ")}, "ASSET_NOT_FOUND"},
		"no fixed part":          {[]*merchantv1.FeeRate{{BasisPoints: 1}}, "INVALID_ARGUMENT"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.asOperator().SetFeePlan(t.Context(), plan("standard", tt.rates...))
			moneytest.WantRefusal(t, err, tt.reason)
		})
	}
	res, err := r.asOperator().ListFeePlans(t.Context(), &merchantv1.ListFeePlansRequest{})
	if err != nil || len(res.GetFeePlans()) != 1 || len(res.GetFeePlans()[0].GetRates()) != 1 {
		t.Errorf("after refusals the plans are %v, %v", res, err)
	}
	_, err = r.as(books.User(t, "alice")).SetFeePlan(t.Context(), plan("mine"))
	moneytest.WantRefusal(t, err, "PERMISSION_DENIED")
}
