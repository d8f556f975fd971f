package limit_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	limitv1 "github.com/tillbook/tillbook/gen/tillbook/limit/v1"
	"github.com/tillbook/tillbook/gen/tillbook/limit/v1/limitv1connect"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	"github.com/tillbook/tillbook/server/limit"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

func serve(t testing.TB, books *moneytest.Books) (*moneytest.Replica, limitv1connect.LimitServiceClient, rpc.Principal) {
	t.Helper()
	r := books.Replica(t)
	limitv1connect.RegisterLimitServiceHandler(r.Server, limit.New(limit.Deps{Store: r.Store, Ledger: r.Ledger}))
	operator := rpc.Principal{Kind: rpc.KindOperator, Operator: id.New()}
	return r, limitv1connect.NewLimitServiceClient(r.As(operator)), operator
}

func everyone() *limitv1.Scope {
	return &limitv1.Scope{Scope: &limitv1.Scope_Everyone{Everyone: true}}
}

func only(u moneytest.User) *limitv1.Scope {
	return &limitv1.Scope{Scope: &limitv1.Scope_UserId{UserId: u.Name}}
}

// daily bounds what leaves a scope's accounts in a day.
func daily(scope *limitv1.Scope, maximum string) *limitv1.Limit {
	amount, asset, _ := strings.Cut(maximum, " ")
	return &limitv1.Limit{
		Scope: scope, Asset: asset, Measure: limitv1.Measure_MEASURE_AMOUNT, Direction: limitv1.Direction_DIRECTION_OUTGOING,
		Period: limitv1.Period_PERIOD_DAY, TimeZone: "Asia/Jakarta",
		Maximum: &limitv1.Limit_MaximumAmount{MaximumAmount: &moneyv1.Money{Asset: asset, Amount: amount}},
	}
}

func mustSet(t testing.TB, c limitv1connect.LimitServiceClient, l *limitv1.Limit) *limitv1.Limit {
	t.Helper()
	res, err := c.SetLimit(t.Context(), &limitv1.SetLimitRequest{Limit: l})
	if err != nil {
		t.Fatalf("set %v: %v", l, err)
	}
	return res.GetLimit()
}

// listed returns all limits of an asset, of 20 a page.
func listed(t testing.TB, c limitv1connect.LimitServiceClient, asset string) (all []*limitv1.Limit) {
	t.Helper()
	req := &limitv1.ListLimitsRequest{Asset: asset, PageSize: 20}
	for {
		res, err := c.ListLimits(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if len(res.GetLimits()) > 20 {
			t.Fatalf("a page of 20 has %d limits", len(res.GetLimits()))
		}
		all = append(all, res.GetLimits()...)
		if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
			return all
		}
	}
}

// records are the audit records of an action, as lines.
func records(t testing.TB, books *moneytest.Books, action string) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), books.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), `
		SELECT actor_kind || ' ' || actor_id || ' ' || subject || ' ' || coalesce(details->>'before', '-') || ' ' || coalesce(details->>'after', '-')
		  FROM audit_records WHERE action = $1 ORDER BY id`, action)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestALimitIsSetChangedAndDeletedAndEachIsRecorded(t *testing.T) {
	books := moneytest.New(t)
	_, c, operator := serve(t, books)
	alice := books.User(t, "alice")

	set := mustSet(t, c, daily(only(alice), "50 USD"))
	if set.GetLimitId() == "" || set.GetScope().GetUserId() != alice.Name || set.GetMaximumAmount().GetAmount() != "50.00" ||
		set.GetTimeZone() != "Asia/Jakarta" || set.GetCreateTime() == nil {
		t.Errorf("the limit is %v", set)
	}
	changed := mustSet(t, c, daily(only(alice), "60.5 USD"))
	if changed.GetLimitId() != set.GetLimitId() || changed.GetMaximumAmount().GetAmount() != "60.50" ||
		!changed.GetCreateTime().AsTime().Equal(set.GetCreateTime().AsTime()) || !changed.GetUpdateTime().AsTime().After(set.GetUpdateTime().AsTime()) {
		t.Errorf("it was %v and is %v", set, changed)
	}
	// Another zone is another limit, listed behind it.
	other := daily(only(alice), "70 USD")
	other.TimeZone = ""
	utc := mustSet(t, c, other)
	if utc.GetLimitId() == set.GetLimitId() || utc.GetTimeZone() != "UTC" {
		t.Errorf("in UTC the limit is %v", utc)
	}
	all := listed(t, c, "USD")
	if len(all) != 12+2 || !proto.Equal(all[12], changed) || !proto.Equal(all[13], utc) {
		t.Errorf("of %d limits in USD the last are %v", len(all), all[max(0, len(all)-2):])
	}

	if _, err := c.DeleteLimit(t.Context(), &limitv1.DeleteLimitRequest{LimitId: set.GetLimitId()}); err != nil {
		t.Fatal(err)
	}
	_, err := c.DeleteLimit(t.Context(), &limitv1.DeleteLimitRequest{LimitId: set.GetLimitId()})
	moneytest.WantRefusal(t, err, "NOT_FOUND")
	if n := len(listed(t, c, "USD")); n != 13 {
		t.Errorf("after deleting one there are %d limits", n)
	}
	if again := mustSet(t, c, daily(only(alice), "50 USD")); again.GetLimitId() == set.GetLimitId() {
		t.Error("a limit that was deleted came back under its id")
	}

	actor := "operator " + operator.Operator.String() + " limit/"
	want := []string{actor + set.GetLimitId() + " - 5000", actor + set.GetLimitId() + " 5000 6050", actor + utc.GetLimitId() + " - 7000"}
	got := records(t, books, "limit.set")
	if len(got) != 4 || strings.Join(got[:3], "\n") != strings.Join(want, "\n") {
		t.Errorf("recorded is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := strings.Join(records(t, books, "limit.deleted"), "\n"); got != actor+set.GetLimitId()+" 6050 -" {
		t.Errorf("recorded of the deletion is %s", got)
	}
}

func TestALimitThatMakesNoSenseIsRefusedAndNotRecorded(t *testing.T) {
	books := moneytest.New(t)
	_, c, _ := serve(t, books)
	for name, tt := range map[string]struct {
		change func(*limitv1.Limit)
		reason string
		field  string
	}{
		"no scope":              {func(l *limitv1.Limit) { l.Scope = nil }, "INVALID_ARGUMENT", "limit.scope"},
		"a scope of none":       {func(l *limitv1.Limit) { l.Scope = &limitv1.Scope{} }, "INVALID_ARGUMENT", "limit.scope.scope"},
		"a tier there isn't":    {func(l *limitv1.Limit) { l.Scope = &limitv1.Scope{Scope: &limitv1.Scope_Tier{Tier: 10}} }, "INVALID_ARGUMENT", "limit.scope.tier"},
		"everyone, untrue":      {func(l *limitv1.Limit) { l.Scope = &limitv1.Scope{Scope: &limitv1.Scope_Everyone{}} }, "INVALID_ARGUMENT", "limit.scope.everyone"},
		"an unknown asset":      {func(l *limitv1.Limit) { l.Asset = "XYZ" }, "ASSET_NOT_FOUND", "limit.asset"},
		"no measure":            {func(l *limitv1.Limit) { l.Measure = 0 }, "INVALID_ARGUMENT", "limit.measure"},
		"no period":             {func(l *limitv1.Limit) { l.Period = 0 }, "INVALID_ARGUMENT", "limit.period"},
		"no direction":          {func(l *limitv1.Limit) { l.Direction = 0 }, "INVALID_ARGUMENT", "limit.direction"},
		"no maximum":            {func(l *limitv1.Limit) { l.Maximum = nil }, "INVALID_ARGUMENT", "limit.maximum"},
		"an unknown zone":       {func(l *limitv1.Limit) { l.TimeZone = "Asia/Atlantis" }, "INVALID_ARGUMENT", ""},
		"a path as zone":        {func(l *limitv1.Limit) { l.TimeZone = "../../etc/passwd" }, "INVALID_ARGUMENT", "limit.time_zone"},
		"the server's own zone": {func(l *limitv1.Limit) { l.TimeZone = "Local" }, "INVALID_ARGUMENT", ""},
		"a maximum below zero":  {func(l *limitv1.Limit) { l.GetMaximumAmount().Amount = "-1" }, "INVALID_ARGUMENT", "limit.maximum_amount.amount"},
		"too precise":           {func(l *limitv1.Limit) { l.GetMaximumAmount().Amount = "0.001" }, "AMOUNT_TOO_PRECISE", "limit.maximum_amount.amount"},
		"of other money":        {func(l *limitv1.Limit) { l.GetMaximumAmount().Asset = "EUR" }, "INVALID_ARGUMENT", "limit.maximum_amount.asset"},
		"an amount as count":    {func(l *limitv1.Limit) { l.Maximum = &limitv1.Limit_MaximumCount{MaximumCount: 1} }, "INVALID_ARGUMENT", "limit"},
		"a balance that leaves": {func(l *limitv1.Limit) { l.Measure = limitv1.Measure_MEASURE_BALANCE }, "INVALID_ARGUMENT", "limit"},
		"what a terminal pays": {func(l *limitv1.Limit) {
			l.Scope = &limitv1.Scope{Scope: &limitv1.Scope_TerminalId{TerminalId: id.Format(id.Terminal, id.New())}}
		}, "INVALID_ARGUMENT", "limit"},
		"a count of one": {func(l *limitv1.Limit) {
			l.Measure, l.Period, l.Maximum = limitv1.Measure_MEASURE_COUNT, limitv1.Period_PERIOD_TRANSACTION, &limitv1.Limit_MaximumCount{MaximumCount: 1}
		}, "INVALID_ARGUMENT", "limit"},
	} {
		t.Run(name, func(t *testing.T) {
			l := daily(everyone(), "50 USD")
			tt.change(l)
			_, err := c.SetLimit(t.Context(), &limitv1.SetLimitRequest{Limit: l})
			if got := moneytest.WantRefusal(t, err, tt.reason); got.Field != tt.field {
				t.Errorf("the error names field %q, want %q: %v", got.Field, tt.field, err)
			}
		})
	}
	if got := records(t, books, "limit.set"); len(got) > 0 {
		t.Errorf("recorded is %q", got)
	}
	if n := len(listed(t, c, "USD")); n != 12 {
		t.Errorf("there are %d limits in USD, want the 12 of the tiers", n)
	}
}

func TestEveryoneAtOnceSetsOneLimit(t *testing.T) {
	books := moneytest.New(t)
	_, here, _ := serve(t, books)
	_, there, _ := serve(t, books)
	done := make(chan string)
	for i := range 20 {
		go func() {
			c := []limitv1connect.LimitServiceClient{here, there}[i%2]
			res, err := c.SetLimit(t.Context(), &limitv1.SetLimitRequest{Limit: daily(everyone(), fmt.Sprintf("%d USD", i))})
			if err != nil {
				t.Error(err)
			}
			done <- res.GetLimit().GetLimitId()
		}()
	}
	ids := make(map[string]bool)
	for range 20 {
		ids[<-done] = true
	}
	if len(ids) != 1 || len(records(t, books, "limit.set")) != 20 {
		t.Errorf("the limits %v were set, want one", ids)
	}
}

func TestUsageOfAnAccountIsShown(t *testing.T) {
	books := moneytest.New(t)
	r, c, _ := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "20.00 USD")
	books.Fund(t, bob, "1.00 USD")
	set := mustSet(t, c, daily(only(alice), "50 USD"))
	from, _, err := r.Ledger.LookupAccount(t.Context(), alice.Account("USD"))
	if err != nil {
		t.Fatal(err)
	}
	to, _, err := r.Ledger.LookupAccount(t.Context(), bob.Account("USD"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Ledger.Commit(t.Context(), ledger.Command{
		Key: ledger.NewKey("test", "1"), Fingerprint: ledger.Fingerprint("1"), Kind: ledger.KindTransfer, Counted: true,
		Accounts: []ledger.AccountID{from, to}, Decide: ledger.Transfer(from, to, ledger.NewAmount(750), ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.GetUsage(t.Context(), &limitv1.GetUsageRequest{Account: alice.Account("USD")})
	if err != nil {
		t.Fatal(err)
	}
	used := make(map[string]string)
	for _, u := range res.GetUsages() {
		used[u.GetLimit().GetLimitId()] = u.GetUsedAmount().GetAmount() + " used, " + u.GetRemainingAmount().GetAmount() + " left"
	}
	if len(used) != 5 || used[set.GetLimitId()] != "7.50 used, 42.50 left" {
		t.Errorf("the usage is %v", used)
	}
	_, err = c.GetUsage(t.Context(), &limitv1.GetUsageRequest{Account: alice.Account("EUR")})
	moneytest.WantRefusal(t, err, "ACCOUNT_NOT_FOUND")
}

func TestALimitsListRefusesWhatItCannotShow(t *testing.T) {
	books := moneytest.New(t)
	_, c, _ := serve(t, books)
	page, err := c.ListLimits(t.Context(), &limitv1.ListLimitsRequest{PageSize: 7})
	if err != nil {
		t.Fatal(err)
	}
	if len(page.GetLimits()) != 7 || len(listed(t, c, "")) != 120 {
		t.Errorf("a page of seven has %d limits, all are %d", len(page.GetLimits()), len(listed(t, c, "")))
	}
	_, err = c.ListLimits(t.Context(), &limitv1.ListLimitsRequest{Asset: "USD", PageToken: page.GetNextPageToken()})
	moneytest.WantRefusal(t, err, "PAGE_TOKEN_INVALID")
	_, err = c.ListLimits(t.Context(), &limitv1.ListLimitsRequest{Asset: "XYZ"})
	moneytest.WantRefusal(t, err, "ASSET_NOT_FOUND")
}

func TestOnlyOperatorsCallTheLimits(t *testing.T) {
	books := moneytest.New(t)
	r, _, _ := serve(t, books)
	alice := books.User(t, "alice")
	for procedure, reason := range r.Reasons(t, alice.Principal()) {
		if reason != "PERMISSION_DENIED" {
			t.Errorf("%s answers a user with %q", procedure, reason)
		}
	}
	for procedure, reason := range r.Reasons(t, rpc.Principal{}) {
		if reason != "UNAUTHENTICATED" {
			t.Errorf("%s answers a stranger with %q", procedure, reason)
		}
	}
}
