package wallet_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	"github.com/tillbook/tillbook/server/money/moneytest"
)

// list reads all pages; between is called after each but the last.
func list(t testing.TB, c walletv1connect.WalletServiceClient, req *walletv1.ListTransactionsRequest, between func()) []*walletv1.Transaction {
	t.Helper()
	req = proto.CloneOf(req)
	var all []*walletv1.Transaction
	for {
		page, err := c.ListTransactions(t.Context(), req)
		if err != nil {
			t.Fatalf("list transactions: %v", err)
		}
		distinct := make(map[string]bool)
		for _, tx := range page.GetTransactions() {
			distinct[tx.GetTransactionId()] = true
		}
		if n := len(distinct); req.GetPageSize() > 0 && n > int(req.GetPageSize()) {
			t.Fatalf("a page of %d has %d transactions", req.GetPageSize(), n)
		}
		all = append(all, page.GetTransactions()...)
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			return all
		}
		between()
	}
}

func nothing() {}

// lines shows transactions one a line, for comparing.
func lines(all []*walletv1.Transaction) []string {
	out := make([]string, len(all))
	for i, tx := range all {
		out[i] = fmt.Sprintf("%v %s after %s with %s", tx.GetKind(), text(tx.GetAmount()), tx.GetBalanceAfter().GetAmount(), tx.GetCounterparty().GetMaskedName())
	}
	return out
}

func TestHistoryIsNewestFirstAndFiltered(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "10.00 USD")
	books.Fund(t, alice, "500 JPY")
	first := mustPay(t, r.as(alice), transfer("1", "1 USD", byID(bob)))
	second := mustPay(t, r.as(alice), transfer("2", "2 USD", byID(bob)))
	mustPay(t, r.as(alice), transfer("3", "300 JPY", byID(bob)))
	mustPay(t, r.as(bob), transfer("4", "0.50 USD", byID(alice)))

	const transferKind, funding = walletv1.TransactionKind_TRANSACTION_KIND_TRANSFER, walletv1.TransactionKind_TRANSACTION_KIND_FUNDING
	all := []string{
		"TRANSACTION_KIND_TRANSFER 0.50 USD after 7.50 with b***y",
		"TRANSACTION_KIND_TRANSFER -300 JPY after 200 with b***y",
		"TRANSACTION_KIND_TRANSFER -2.00 USD after 7.00 with b***y",
		"TRANSACTION_KIND_TRANSFER -1.00 USD after 9.00 with b***y",
		"TRANSACTION_KIND_FUNDING 500 JPY after 500 with External",
		"TRANSACTION_KIND_FUNDING 10.00 USD after 10.00 with External",
	}
	later := timestamppb.New(time.Now().Add(time.Hour))
	cases := map[string]struct {
		req  *walletv1.ListTransactionsRequest
		want []string
	}{
		"all":                    {&walletv1.ListTransactionsRequest{}, all},
		"one asset":              {&walletv1.ListTransactionsRequest{Asset: "JPY"}, []string{all[1], all[4]}},
		"an asset never had":     {&walletv1.ListTransactionsRequest{Asset: "EUR"}, []string{}},
		"one kind":               {&walletv1.ListTransactionsRequest{Kind: funding}, all[4:]},
		"one asset and kind":     {&walletv1.ListTransactionsRequest{Kind: transferKind, Asset: "JPY"}, all[1:2]},
		"from a time on":         {&walletv1.ListTransactionsRequest{StartTime: second.GetCreateTime()}, all[:3]},
		"before a time":          {&walletv1.ListTransactionsRequest{EndTime: second.GetCreateTime()}, all[3:]},
		"between times":          {&walletv1.ListTransactionsRequest{StartTime: first.GetCreateTime(), EndTime: second.GetCreateTime()}, all[3:4]},
		"from the future on":     {&walletv1.ListTransactionsRequest{StartTime: later}, []string{}},
		"ending before it began": {&walletv1.ListTransactionsRequest{StartTime: later, EndTime: first.GetCreateTime()}, []string{}},
	}
	for name, c := range cases {
		for _, size := range []int32{0, 1, 2, 6} {
			c.req.PageSize = size
			if got := lines(list(t, r.as(alice), c.req, nothing)); !slices.Equal(got, c.want) {
				t.Errorf("%s, pages of %d: got %q, want %q", name, size, got, c.want)
			}
		}
	}
}

func TestAHistoryThatCannotBeIsRefused(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice := books.User(t, "alice")
	for range 3 {
		books.Fund(t, alice, "1.00 USD")
	}
	page, err := r.as(alice).ListTransactions(t.Context(), &walletv1.ListTransactionsRequest{PageSize: 1, Asset: "USD"})
	if err != nil {
		t.Fatal(err)
	}
	token := page.GetNextPageToken()
	for name, c := range map[string]struct {
		req    *walletv1.ListTransactionsRequest
		reason string
	}{
		"an unknown asset":       {&walletv1.ListTransactionsRequest{Asset: "XYZ"}, "ASSET_NOT_FOUND"},
		"no asset's code":        {&walletv1.ListTransactionsRequest{Asset: "\x00"}, "ASSET_NOT_FOUND"},
		"a time that is none":    {&walletv1.ListTransactionsRequest{StartTime: &timestamppb.Timestamp{Nanos: -1}}, "INVALID_ARGUMENT"},
		"a page too large":       {&walletv1.ListTransactionsRequest{PageSize: 201}, "INVALID_ARGUMENT"},
		"a token of nothing":     {&walletv1.ListTransactionsRequest{PageToken: "nonsense"}, "PAGE_TOKEN_INVALID"},
		"other filters":          {&walletv1.ListTransactionsRequest{PageToken: token}, "PAGE_TOKEN_INVALID"},
		"a token cut short":      {&walletv1.ListTransactionsRequest{PageToken: token[:len(token)-1], Asset: "USD"}, "PAGE_TOKEN_INVALID"},
		"another time in filter": {&walletv1.ListTransactionsRequest{PageToken: token, Asset: "USD", EndTime: timestamppb.Now()}, "PAGE_TOKEN_INVALID"},
	} {
		_, err := r.as(alice).ListTransactions(t.Context(), c.req)
		if got := moneytest.ReadRefusal(t, err); got.Reason != c.reason {
			t.Errorf("%s: got %+v (%v), want %s", name, got, err, c.reason)
		}
	}
	// The page's size is no part of what is asked for.
	if _, err := r.as(alice).ListTransactions(t.Context(), &walletv1.ListTransactionsRequest{PageSize: 5, PageToken: token, Asset: "USD"}); err != nil {
		t.Errorf("another page size: %v", err)
	}
}

func TestPagesShowEachTransactionOnceWhateverArrivesMeanwhile(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	assets := []string{"USD", "JPY", "EUR"}
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		us := []moneytest.User{books.User(t, fmt.Sprintf("one.%d", round)), books.User(t, fmt.Sprintf("two.%d", round))}
		for _, asset := range assets {
			books.Fund(t, us[0], "1000 "+asset)
		}
		n := 0
		pay := func() {
			n++
			from := rapid.IntRange(0, 1).Draw(rt, "from")
			sum := fmt.Sprintf("%d %s", rapid.IntRange(1, 3).Draw(rt, "sum"), rapid.SampledFrom(assets).Draw(rt, "asset"))
			_, err := replicas[n%2].as(us[from]).Transfer(t.Context(), transfer(fmt.Sprint(n), sum, byID(us[1-from])))
			if err != nil && moneytest.ReadRefusal(t, err).Reason != "INSUFFICIENT_FUNDS" {
				rt.Fatal(err)
			}
		}
		for range rapid.IntRange(0, 15).Draw(rt, "before") {
			pay()
		}
		req := &walletv1.ListTransactionsRequest{
			Asset: rapid.SampledFrom([]string{"", "USD"}).Draw(rt, "filter"),
			Kind:  walletv1.TransactionKind(rapid.IntRange(0, 2).Draw(rt, "kind")),
		}
		want := lines(list(t, replicas[0].as(us[0]), req, nothing))
		req.PageSize = int32(rapid.IntRange(1, 7).Draw(rt, "page"))
		got := lines(list(t, replicas[1].as(us[0]), req, func() {
			for range rapid.IntRange(0, 2).Draw(rt, "between") {
				pay()
			}
		}))
		if !slices.Equal(got, want) {
			rt.Fatalf("pages of %d show\n%q, want\n%q", req.GetPageSize(), got, want)
		}
	})
}
