package wallet_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	limitv1 "github.com/tillbook/tillbook/gen/tillbook/limit/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// limit sets a limit written "user/usr_… outgoing amount day UTC 10000"; the
// maximum is in cents or a count, the asset is USD.
func limit(t testing.TB, r replica, rule string) ledger.Rule {
	t.Helper()
	asset, err := r.Ledger.Asset(t.Context(), "USD")
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(rule)
	maximum, err := ledger.ParseDecimal(f[5], 0)
	if err != nil {
		t.Fatal(err)
	}
	var set ledger.Rule
	err = r.Store.InTx(t.Context(), func(ctx context.Context, _ *store.Queries, tx pgx.Tx) error {
		_, set, err = ledger.SetRule(ctx, tx, ledger.Rule{
			Scope: f[0], Asset: asset.ID, Direction: ledger.Direction(f[1]), Measure: ledger.Measure(f[2]),
			Period: ledger.Period(f[3]), Zone: f[4], Maximum: maximum,
		})
		return err
	})
	if err != nil {
		t.Fatalf("limit %s: %v", rule, err)
	}
	return set
}

// usage is what a user is shown of one limit: "used of maximum, remaining left".
func usage(t testing.TB, c walletv1connect.WalletServiceClient, rule ledger.Rule) string {
	t.Helper()
	u := usageOf(t, c, rule)
	if u.GetLimit().GetMaximumAmount() == nil {
		return countText(u.GetUsedCount()) + " of " + countText(u.GetLimit().GetMaximumCount()) + ", " + countText(u.GetRemainingCount()) + " left"
	}
	return u.GetUsedAmount().GetAmount() + " of " + u.GetLimit().GetMaximumAmount().GetAmount() + ", " + u.GetRemainingAmount().GetAmount() + " left"
}

func countText(n int64) string { return ledger.NewAmount(n).String() }

func usageOf(t testing.TB, c walletv1connect.WalletServiceClient, rule ledger.Rule) *limitv1.LimitUsage {
	t.Helper()
	res, err := c.GetLimits(t.Context(), &walletv1.GetLimitsRequest{Asset: "USD"})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range res.GetUsages() {
		if u.GetLimit().GetLimitId() == id.Format(id.Limit, rule.ID) {
			return u
		}
	}
	t.Fatalf("the user isn't shown limit %s", id.Format(id.Limit, rule.ID))
	return nil
}

func wantUsage(t testing.TB, c walletv1connect.WalletServiceClient, rule ledger.Rule, want string) {
	t.Helper()
	if got := usage(t, c, rule); got != want {
		t.Errorf("of the %s %s per %s %s, want %s", rule.Direction, rule.Measure, rule.Period, got, want)
	}
}

func scopeOf(u moneytest.User) string { return "user/" + u.Name }

func TestARefusalSaysWhichLimitWhatIsLeftAndWhenItResets(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "100.00 USD")
	rule := limit(t, r, scopeOf(alice)+" outgoing amount day Asia/Jakarta 5000")
	mustPay(t, r.as(alice), transfer("1", "20 USD", byID(bob)))

	_, err := r.as(alice).Transfer(t.Context(), transfer("2", "30.01 USD", byID(bob)))
	got := moneytest.WantNothingMoved(t, err, "LIMIT_EXCEEDED").Metadata
	jakarta, err := time.LoadLocation("Asia/Jakarta")
	if err != nil {
		t.Fatal(err)
	}
	year, month, day := time.Now().In(jakarta).Date()
	want := map[string]string{
		"limit_id": id.Format(id.Limit, rule.ID), "scope": scopeOf(alice), "measure": "amount", "direction": "outgoing",
		"period": "day", "asset": "USD", "maximum": "50.00", "used": "20.00", "remaining": "30.00",
		"reset_time": time.Date(year, month, day+1, 0, 0, 0, 0, jakarta).UTC().Format(time.RFC3339),
	}
	delete(got, "request_id") // which every error has
	if !maps.Equal(got, want) {
		t.Errorf("the refusal says\n%v, want\n%v", got, want)
	}
	wantUsage(t, r.as(alice), rule, "20.00 of 50.00, 30.00 left")
	// The refused key is free, and the limit can be used to its last cent.
	mustPay(t, r.as(alice), transfer("2", "30 USD", byID(bob)))
	_, err = r.as(alice).Transfer(t.Context(), transfer("3", "0.01 USD", byID(bob)))
	if got := moneytest.WantNothingMoved(t, err, "LIMIT_EXCEEDED").Metadata; got["remaining"] != "0.00" {
		t.Errorf("%s remains, want 0.00", got["remaining"])
	}
	wantBalance(t, books, bob, "50.00 USD")
}

func TestEachSortOfLimitRefusesWhatPassesIt(t *testing.T) {
	for name, tt := range map[string]struct {
		rule   string
		first  string // is paid
		second string // is refused, if not empty
		third  string // is paid after it
		usage  string
		resets bool
	}{
		"amount at a time": {"outgoing amount transaction UTC 1000", "10 USD", "10.01 USD", "10 USD", "0.00 of 10.00, 10.00 left", false},
		"amount a day":     {"outgoing amount day UTC 1000", "6 USD", "4.01 USD", "4 USD", "10.00 of 10.00, 0.00 left", true},
		"amount a month":   {"outgoing amount month UTC 1000", "6 USD", "4.01 USD", "4 USD", "10.00 of 10.00, 0.00 left", true},
		"amount in all":    {"outgoing amount lifetime UTC 1000", "6 USD", "4.01 USD", "4 USD", "10.00 of 10.00, 0.00 left", false},
		"payments a day":   {"outgoing count day UTC 2", "1 USD", "", "1 USD", "2 of 2, 0 left", true},
		"payments a month": {"outgoing count month UTC 2", "1 USD", "", "1 USD", "2 of 2, 0 left", true},
		"payments in all":  {"outgoing count lifetime UTC 2", "1 USD", "", "1 USD", "2 of 2, 0 left", false},

		"a month elsewhere": {"outgoing amount month Pacific/Kiritimati 1000", "6 USD", "4.01 USD", "4 USD", "10.00 of 10.00, 0.00 left", true},
	} {
		t.Run(name, func(t *testing.T) {
			books := moneytest.New(t)
			r := serve(t, books)
			alice, bob := books.User(t, "alice"), books.User(t, "bobby")
			books.Fund(t, alice, "100.00 USD")
			rule := limit(t, r, scopeOf(alice)+" "+tt.rule)
			mustPay(t, r.as(alice), transfer("1", tt.first, byID(bob)))
			if tt.second != "" {
				_, err := r.as(alice).Transfer(t.Context(), transfer("2", tt.second, byID(bob)))
				moneytest.WantNothingMoved(t, err, "LIMIT_EXCEEDED")
			}
			mustPay(t, r.as(alice), transfer("3", tt.third, byID(bob)))
			wantUsage(t, r.as(alice), rule, tt.usage)
			reset := usageOf(t, r.as(alice), rule).GetResetTime()
			if (reset != nil) != tt.resets || reset != nil && !reset.AsTime().After(time.Now()) {
				t.Errorf("it resets at %v", reset)
			}
			if !strings.HasPrefix(tt.rule, "outgoing amount transaction") {
				_, err := r.as(alice).Transfer(t.Context(), transfer("4", "0.01 USD", byID(bob)))
				moneytest.WantNothingMoved(t, err, "LIMIT_EXCEEDED")
			}
		})
	}
}

func TestARecipientsLimitTellsThePayerNothing(t *testing.T) {
	for name, rule := range map[string]string{
		"balance":        "incoming balance transaction UTC 5000",
		"amount a day":   "incoming amount day UTC 1000",
		"amount at once": "incoming amount transaction UTC 1000",
		"count in all":   "incoming count lifetime UTC 0",
	} {
		t.Run(name, func(t *testing.T) {
			books := moneytest.New(t)
			r := serve(t, books)
			alice, bob := books.User(t, "alice"), books.User(t, "bobby")
			books.Fund(t, alice, "100.00 USD")
			books.Fund(t, bob, "43.21 USD")
			limit(t, r, scopeOf(bob)+" "+rule)
			request := mustAsk(t, r.as(bob), ask("1", "10.01 USD", byID(alice)))

			_, transferErr := r.as(alice).Transfer(t.Context(), transfer("1", "10.01 USD", byID(bob)))
			_, payErr := payAsked(t, r.as(alice), "2", request)
			for _, err := range []error{transferErr, payErr} {
				got := moneytest.WantNothingMoved(t, err, "RECIPIENT_LIMIT_EXCEEDED")
				delete(got.Metadata, "request_id") // which every error has
				if len(got.Metadata) > 0 || got.Retry || strings.ContainsAny(err.Error(), "0123456789") {
					t.Errorf("the payer is told %v: %v", err, got.Metadata)
				}
			}
			wantBalance(t, books, bob, "43.21 USD")
		})
	}
}

func TestAPaymentOfARequestCountsAndARefundGivesBack(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "100.00 USD")
	out := limit(t, r, scopeOf(alice)+" outgoing amount day UTC 1000")
	times := limit(t, r, scopeOf(alice)+" outgoing count month UTC 2")
	in := limit(t, r, scopeOf(bob)+" incoming amount lifetime UTC 2000")

	request := mustAsk(t, r.as(bob), ask("1", "7 USD", byID(alice)))
	paid, err := payAsked(t, r.as(alice), "1", request)
	if err != nil {
		t.Fatal(err)
	}
	wantUsage(t, r.as(alice), out, "7.00 of 10.00, 3.00 left")
	other := mustAsk(t, r.as(bob), ask("2", "3.01 USD", byID(alice)))
	_, err = payAsked(t, r.as(alice), "2", other)
	moneytest.WantNothingMoved(t, err, "LIMIT_EXCEEDED")

	mustGiveBack(t, r.as(bob), giveBack("1", paid.GetTransactionId(), "2 USD"))
	wantUsage(t, r.as(alice), out, "5.00 of 10.00, 5.00 left")
	wantUsage(t, r.as(alice), times, "1 of 2, 1 left")
	wantUsage(t, r.as(bob), in, "5.00 of 20.00, 15.00 left")
	// What was refused then goes through now, with the same key.
	if _, err = payAsked(t, r.as(alice), "2", other); err != nil {
		t.Fatal(err)
	}
	// Given back whole, a payment was none.
	mustGiveBack(t, r.as(bob), giveBack("2", paid.GetTransactionId(), ""))
	wantUsage(t, r.as(alice), out, "3.01 of 10.00, 6.99 left")
	wantUsage(t, r.as(alice), times, "1 of 2, 1 left")
	wantUsage(t, r.as(bob), in, "3.01 of 20.00, 16.99 left")
}

func TestGetLimitsShowsTheTierAndEveryRuleThatApplies(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "43.21 USD")
	limit(t, r, "everyone outgoing count day UTC 50")
	limit(t, r, scopeOf(alice)+" outgoing count month UTC 60")
	limit(t, r, scopeOf(bob)+" outgoing count month UTC 70")

	shown := func(asset string) (tier int32, rules []string) {
		t.Helper()
		res, err := r.as(alice).GetLimits(t.Context(), &walletv1.GetLimitsRequest{Asset: asset})
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range res.GetUsages() {
			l := u.GetLimit()
			rules = append(rules, strings.TrimSpace(l.GetAsset()+" "+l.GetMeasure().String()[8:]+" "+l.GetPeriod().String()[7:]+" "+
				l.GetMaximumAmount().GetAmount()+u.GetUsedAmount().GetAmount()))
		}
		slices.Sort(rules)
		return res.GetTier(), rules
	}
	want := func(factor string) []string {
		return []string{
			"USD AMOUNT DAY 2" + factor + ".000.00", "USD AMOUNT MONTH 10" + factor + ".000.00", "USD AMOUNT TRANSACTION 1" + factor + ".000.00",
			"USD BALANCE TRANSACTION 10" + factor + ".0043.21", "USD COUNT DAY", "USD COUNT MONTH",
		}
	}
	if tier, rules := shown("USD"); tier != 0 || !slices.Equal(rules, want("000")) {
		t.Errorf("tier %d is limited by %q", tier, rules)
	}
	err := r.Store.InTx(t.Context(), func(ctx context.Context, _ *store.Queries, tx pgx.Tx) error {
		_, err := ledger.SetTier(ctx, tx, scopeOf(alice), 2)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if tier, rules := shown("USD"); tier != 2 || !slices.Equal(rules, want("00000")) {
		t.Errorf("tier %d is limited by %q", tier, rules)
	}
	// Of all assets, those that alice never had too.
	if _, rules := shown(""); len(rules) != 10*4+2 {
		t.Errorf("of all assets there are %d limits: %q", len(rules), rules)
	}
	_, err = r.as(alice).GetLimits(t.Context(), &walletv1.GetLimitsRequest{Asset: "XYZ"})
	moneytest.WantRefusal(t, err, "ASSET_NOT_FOUND")
}
