package ledger_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/id"
)

func TestOnlyOperatorsCallTheLedger(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	for procedure, reason := range r.Reasons(t, books.User(t, "alice").Principal()) {
		if reason != "PERMISSION_DENIED" {
			t.Errorf("a user calling %s is told %q", procedure, reason)
		}
	}
	for procedure, reason := range r.Reasons(t, rpc.Principal{}) {
		if reason != "UNAUTHENTICATED" {
			t.Errorf("a stranger calling %s is told %q", procedure, reason)
		}
	}
}

func TestAssetsAreListedInOrderOnPagesOfAnySize(t *testing.T) {
	books := moneytest.New(t)
	c := serve(t, books).as(newOperator())
	var want []string
	for size := range int32(15) {
		req := &ledgerv1.ListAssetsRequest{PageSize: size}
		var got []string
		for {
			page, err := c.ListAssets(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range page.GetAssets() {
				got = append(got, fmt.Sprintf("%s %d %s", a.GetCode(), a.GetExponent(), a.GetNetwork()))
			}
			if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
				break
			}
		}
		if size == 0 {
			want = got
		}
		if !slices.Equal(got, want) || !slices.IsSorted(got) || len(got) != 13 {
			t.Errorf("pages of %d list %q, want %q", size, got, want)
		}
	}
	_, err := c.ListAssets(t.Context(), &ledgerv1.ListAssetsRequest{PageToken: "x"})
	moneytest.WantRefusal(t, err, "PAGE_TOKEN_INVALID")
}

func TestAnAssetIsCreatedOnceAndNeverChanged(t *testing.T) {
	books := moneytest.New(t)
	first, second := serve(t, books), serve(t, books)
	points := &ledgerv1.Asset{Code: "POINTS", Exponent: 3, Network: "loyalty"}
	for _, r := range []replica{first, first, second} {
		res, err := r.as(newOperator()).CreateAsset(t.Context(), &ledgerv1.CreateAssetRequest{Asset: points})
		if err != nil || !proto.Equal(res.GetAsset(), points) {
			t.Fatalf("got %v, %v", res, err)
		}
	}
	for _, other := range []*ledgerv1.Asset{
		{Code: "POINTS", Exponent: 2, Network: "loyalty"},
		{Code: "POINTS", Exponent: 3},
		{Code: "USD", Exponent: 3},
	} {
		_, err := second.as(newOperator()).CreateAsset(t.Context(), &ledgerv1.CreateAssetRequest{Asset: other})
		moneytest.WantRefusal(t, err, "ASSET_EXISTS")
	}
	for _, bad := range []*ledgerv1.Asset{
		nil, {Code: "points"}, {Code: "P"}, {Code: "PTS", Exponent: 19}, {Code: "PTS", Network: "a\x00"},
	} {
		_, err := first.as(newOperator()).CreateAsset(t.Context(), &ledgerv1.CreateAssetRequest{Asset: bad})
		moneytest.WantRefusal(t, err, "INVALID_ARGUMENT")
	}
	// It can be used at once, on the other replica too.
	posted := mustPost(t, second.as(newOperator()), post("k", "r", "external/issuer/POINTS -1.5 POINTS", "system/pool/POINTS 1.5 POINTS"))
	if got := posted.GetEntries()[0].GetAmount().GetAmount(); got != "-1.500" {
		t.Errorf("the amount is %s", got)
	}
}

func TestAnAccountIsShownAsItIsAndAsItWas(t *testing.T) {
	books := moneytest.New(t)
	c := serve(t, books).as(newOperator())
	alice := books.User(t, "alice")
	books.Fund(t, alice, "10.00 USD")
	code := alice.Account("USD")
	first := mustPost(t, c, post("1", "r", code+" -1 USD", "system/x/USD 1 USD"))
	second := mustPost(t, c, post("2", "r", code+" -2 USD", "system/x/USD 2 USD"))

	get := func(code string, at *timestamppb.Timestamp) *ledgerv1.Account {
		t.Helper()
		res, err := c.GetAccount(t.Context(), &ledgerv1.GetAccountRequest{Code: code, AsOfTime: at})
		if err != nil {
			t.Fatal(err)
		}
		return res.GetAccount()
	}
	now := get(code, nil)
	want := &ledgerv1.Account{
		Code: code, Balance: usd("7.00"), Held: usd("0.00"), Available: usd("7.00"), Floor: usd("0.00"),
		Version: 3, CreateTime: now.GetCreateTime(),
	}
	if !proto.Equal(now, want) {
		t.Errorf("it is %v, want %v", now, want)
	}
	if outside := get("external/sandbox/USD", nil); outside.GetFloor() != nil || outside.GetBalance().GetAmount() != "-10.00" {
		t.Errorf("the world outside is %v", outside)
	}
	justBefore := func(at *timestamppb.Timestamp) *timestamppb.Timestamp {
		return timestamppb.New(at.AsTime().Add(-time.Microsecond))
	}
	for name, moment := range map[string]struct {
		at      *timestamppb.Timestamp
		balance string
		version int64
	}{
		"before all":        {timestamppb.New(now.GetCreateTime().AsTime().Add(-time.Hour)), "0.00", 0},
		"before the first":  {justBefore(first.GetCreateTime()), "10.00", 1},
		"at the first":      {first.GetCreateTime(), "9.00", 2},
		"before the second": {justBefore(second.GetCreateTime()), "9.00", 2},
		"at the second":     {second.GetCreateTime(), "7.00", 3},
	} {
		want := &ledgerv1.Account{Code: code, Balance: usd(moment.balance), Version: moment.version, CreateTime: now.GetCreateTime()}
		if got := get(code, moment.at); !proto.Equal(got, want) {
			t.Errorf("%s it was %v, want %v", name, got, want)
		}
	}
	for code, reason := range map[string]string{
		"user/nobody/main/USD": "ACCOUNT_NOT_FOUND", "": "INVALID_ARGUMENT", "a\x00b": "INVALID_ARGUMENT",
	} {
		for _, at := range []*timestamppb.Timestamp{nil, timestamppb.Now()} {
			_, err := c.GetAccount(t.Context(), &ledgerv1.GetAccountRequest{Code: code, AsOfTime: at})
			moneytest.WantRefusal(t, err, reason)
		}
	}
	_, err := c.GetAccount(t.Context(), &ledgerv1.GetAccountRequest{Code: code, AsOfTime: &timestamppb.Timestamp{Seconds: 1 << 60}})
	moneytest.WantRefusal(t, err, "INVALID_ARGUMENT")
}

func TestEntriesAreListedOnceWhateverArrivesMeanwhile(t *testing.T) {
	books := moneytest.New(t)
	c := serve(t, books).as(newOperator())
	n := 0
	add := func() {
		n++
		mustPost(t, c, post(fmt.Sprint(n), "r", "external/bank/USD -1 USD", "system/x/USD 1 USD"))
	}
	for range 7 {
		add()
	}
	for size := int32(1); size < 9; size++ {
		req := &ledgerv1.ListEntriesRequest{Account: "system/x/USD", PageSize: size}
		newest := int64(n)
		var got []int64
		for {
			page, err := c.ListEntries(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.GetEntries() {
				got = append(got, e.GetVersion())
				if want := fmt.Sprintf("system/x/USD 1.00 USD after %d.00", e.GetVersion()); lines([]*ledgerv1.Entry{e})[0] != want {
					t.Errorf("an entry is %v, want %s", e, want)
				}
			}
			if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
				break
			}
			add()
		}
		var want []int64
		for v := newest; v > 0; v-- {
			want = append(want, v)
		}
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d list %v, want %v", size, got, want)
		}
	}
	page, err := c.ListEntries(t.Context(), &ledgerv1.ListEntriesRequest{Account: "system/x/USD", PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.ListEntries(t.Context(), &ledgerv1.ListEntriesRequest{Account: "external/bank/USD", PageToken: page.GetNextPageToken()})
	moneytest.WantRefusal(t, err, "PAGE_TOKEN_INVALID")
	_, err = c.ListEntries(t.Context(), &ledgerv1.ListEntriesRequest{Account: "system/none/USD"})
	moneytest.WantRefusal(t, err, "ACCOUNT_NOT_FOUND")
}

func TestATransactionThatIsNotIsNotFound(t *testing.T) {
	c := serve(t, moneytest.New(t)).as(newOperator())
	for _, txn := range []string{id.Format(id.Transaction, id.New()), "txn_" + strings.Repeat("z", 26)} {
		_, err := c.GetTransaction(t.Context(), &ledgerv1.GetTransactionRequest{TransactionId: txn})
		moneytest.WantRefusal(t, err, "NOT_FOUND")
	}
}

func TestTheTrialBalanceSumsToZeroForEachAsset(t *testing.T) {
	books := moneytest.New(t)
	c := serve(t, books).as(newOperator())
	for i := range 3 {
		u := books.User(t, fmt.Sprintf("user%d", i))
		books.Fund(t, u, "10.50 USD")
		books.Fund(t, u, "100 JPY")
	}
	res, err := c.GetTrialBalance(t.Context(), &ledgerv1.GetTrialBalanceRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range res.GetLines() {
		got = append(got, fmt.Sprintf("%s %s %d %s", l.GetAsset(), l.GetAccountClass(), l.GetAccounts(), l.GetBalance().GetAmount()))
	}
	want := []string{"JPY external 1 -300", "JPY user 3 300", "USD external 1 -31.50", "USD user 3 31.50"}
	if !slices.Equal(got, want) {
		t.Errorf("it is %q, want %q", got, want)
	}
}

func TestVerifyProvesTheBooksAndNamesWhatIsWrong(t *testing.T) {
	books := moneytest.New(t)
	c := serve(t, books).as(newOperator())
	alice := books.User(t, "alice")
	books.Fund(t, alice, "10.00 USD")
	res, err := c.Verify(t.Context(), &ledgerv1.VerifyRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if want := (&ledgerv1.VerifyResponse{Ok: true, Accounts: 2, Transactions: 1, Entries: 2}); !proto.Equal(res, want) {
		t.Errorf("it says %v, want %v", res, want)
	}

	tamper(t, books, `UPDATE accounts SET balance = balance + 1 WHERE code = $1`, alice.Account("USD"))
	res, err = c.Verify(t.Context(), &ledgerv1.VerifyRequest{})
	if err != nil {
		t.Fatal(err)
	}
	named := slices.ContainsFunc(res.GetProblems(), func(p *ledgerv1.Problem) bool {
		return strings.Contains(p.GetSubject(), alice.Account("USD")) && p.GetRule() != "" && p.GetDetail() != ""
	})
	if res.GetOk() || !named {
		t.Errorf("of a changed balance it says %v", res)
	}
	tamper(t, books, `UPDATE accounts SET balance = balance - 1 WHERE code = $1`, alice.Account("USD"))
}

func tamper(t testing.TB, books *moneytest.Books, sql string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), books.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}
