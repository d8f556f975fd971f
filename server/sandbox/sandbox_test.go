package sandbox_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	sandboxv1 "github.com/tillbook/tillbook/gen/tillbook/sandbox/v1"
	"github.com/tillbook/tillbook/gen/tillbook/sandbox/v1/sandboxv1connect"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/server/sandbox"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// replica is a server with a sandbox service.
type replica struct {
	*moneytest.Replica
	sandboxv1connect.SandboxServiceClient
}

func serve(t testing.TB, books *moneytest.Books) replica {
	t.Helper()
	r := books.Replica(t)
	sandboxv1connect.RegisterSandboxServiceHandler(r.Server, sandbox.New(sandbox.Deps{
		Store: r.Store, Ledger: r.Ledger, View: view,
	}))
	return replica{r, sandboxv1connect.NewSandboxServiceClient(r.As(rpc.Principal{}))}
}

// view stands for the wallet's: enough to tell one transaction from another.
func view(_ context.Context, user uuid.UUID, t *ledger.Transaction) (*walletv1.Transaction, error) {
	e := t.Entries[1]
	return &walletv1.Transaction{
		TransactionId: id.Format(id.Transaction, t.ID),
		BalanceAfter:  &moneyv1.Money{Amount: e.Balance.String()},
		Counterparty:  &walletv1.Counterparty{UserId: id.Format(id.User, user), MaskedName: t.Entries[0].Code},
		Note:          t.Kind.String(),
	}, nil
}

func fund(key, sum, phone string) *sandboxv1.FundRequest {
	decimal, asset, _ := strings.Cut(sum, " ")
	return &sandboxv1.FundRequest{
		IdempotencyKey: key, PhoneNumber: phone, Amount: &moneyv1.Money{Asset: asset, Amount: decimal},
	}
}

func mustFund(t testing.TB, r replica, req *sandboxv1.FundRequest) *walletv1.Transaction {
	t.Helper()
	res, err := r.Fund(t.Context(), req)
	if err != nil {
		t.Fatalf("fund %s: %v", req.GetIdempotencyKey(), err)
	}
	return res.GetTransaction()
}

func TestFundingGivesMoneyFromOutside(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice := books.User(t, "alice")
	got := mustFund(t, r, fund("k", "12.5 USD", "+62 "+alice.Phone[3:]))
	want := &walletv1.Transaction{
		TransactionId: got.GetTransactionId(),
		BalanceAfter:  &moneyv1.Money{Amount: "1250"},
		Counterparty:  &walletv1.Counterparty{UserId: alice.Name, MaskedName: "external/sandbox/USD"},
		Note:          "funding",
	}
	if !proto.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := books.Balance(t, alice, "USD"); got != "12.50" {
		t.Errorf("alice has %s", got)
	}
	if got := books.AccountBalance(t, "external/sandbox/USD"); got != "-12.50" {
		t.Errorf("the world outside has %s", got)
	}
}

func TestARefusedFundingMovesNothing(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	mustFund(t, r, fund("k", "99999999999999999999 ETH", alice.Phone))
	before := books.Transactions(t)
	cases := map[string]struct {
		req    *sandboxv1.FundRequest
		reason string
	}{
		"nobody's number":     {fund("x", "1 USD", "+6281299999999"), "RECIPIENT_NOT_FOUND"},
		"no number":           {fund("x", "1 USD", "12345"), "PHONE_NUMBER_INVALID"},
		"an unknown asset":    {fund("x", "1 XYZ", alice.Phone), "ASSET_NOT_FOUND"},
		"too many decimals":   {fund("x", "1.001 USD", alice.Phone), "AMOUNT_TOO_PRECISE"},
		"nothing":             {fund("x", "0 USD", alice.Phone), "AMOUNT_NOT_POSITIVE"},
		"less than nothing":   {fund("x", "-1 USD", alice.Phone), "AMOUNT_NOT_POSITIVE"},
		"too many digits":     {fund("x", "9999999999999999999999999999999999999 USD", alice.Phone), "AMOUNT_OUT_OF_RANGE"},
		"too much in all":     {fund("x", "99999999999999999999 ETH", bob.Phone), "AMOUNT_OUT_OF_RANGE"},
		"another amount":      {fund("k", "1 ETH", alice.Phone), "IDEMPOTENCY_KEY_REUSED"},
		"another asset":       {fund("k", "1 USD", alice.Phone), "IDEMPOTENCY_KEY_REUSED"},
		"no key":              {fund("", "1 USD", alice.Phone), "INVALID_ARGUMENT"},
		"no amount":           {&sandboxv1.FundRequest{IdempotencyKey: "x", PhoneNumber: alice.Phone}, "INVALID_ARGUMENT"},
		"no amount or number": {&sandboxv1.FundRequest{IdempotencyKey: "x"}, "INVALID_ARGUMENT"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := r.Fund(t.Context(), c.req)
			moneytest.WantNothingMoved(t, err, c.reason)
		})
	}
	if n := books.Transactions(t); n != before {
		t.Errorf("%d transactions were made", n-before)
	}
}

func TestFundingWithOneKeyAtOnceOnTwoReplicasExecutesOnce(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	amounts := []string{"5 USD", "5.0 USD", "5.00 USD"}
	const calls = 200
	answers := make([]*walletv1.Transaction, calls)
	var done sync.WaitGroup
	for i := range calls {
		done.Go(func() {
			res, err := replicas[i%2].Fund(t.Context(), fund("k", amounts[i%3], alice.Phone))
			if err != nil {
				t.Errorf("call %d: %v", i, err)
				return
			}
			answers[i] = res.GetTransaction()
		})
	}
	done.Wait()
	for i, a := range answers {
		if !proto.Equal(a, answers[0]) {
			t.Errorf("call %d was told %v, call 0 %v", i, a, answers[0])
		}
	}
	if n := books.Transactions(t); n != 1 {
		t.Errorf("%d transactions were made, want 1", n)
	}
	// Keys are each number's own.
	mustFund(t, replicas[0], fund("k", "7 USD", bob.Phone))
	if a, b := books.Balance(t, alice, "USD"), books.Balance(t, bob, "USD"); a != "5.00" || b != "7.00" {
		t.Errorf("they have %s and %s", a, b)
	}
}

func texts(t testing.TB, r replica, req *sandboxv1.ListMessagesRequest) []string {
	t.Helper()
	var all []string
	for {
		page, err := r.ListMessages(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page.GetMessages() {
			if m.GetCreateTime() == nil {
				t.Errorf("%v has no time", m)
			}
			all = append(all, m.GetPhoneNumber()+" "+m.GetText())
		}
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			return all
		}
	}
}

func TestMessagesAreListedNewestFirstForTheirNumber(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	gateway := sandbox.NewGateway(r.Store)
	const number, other = "+628123456789", "+628123456780"
	var want []string
	for i := range 7 {
		for _, to := range []string{number, other} {
			if err := gateway.Send(t.Context(), to, fmt.Sprintf("code %d", i)); err != nil {
				t.Fatal(err)
			}
		}
		want = append(want, fmt.Sprintf("%s code %d", number, i))
	}
	slices.Reverse(want)
	for size := range int32(9) {
		req := &sandboxv1.ListMessagesRequest{PhoneNumber: "+62 812-3456-789", PageSize: size}
		if got := texts(t, r, req); !slices.Equal(got, want) {
			t.Errorf("pages of %d list %q, want %q", size, got, want)
		}
	}
	page, err := r.ListMessages(t.Context(), &sandboxv1.ListMessagesRequest{PhoneNumber: number, PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.ListMessages(t.Context(), &sandboxv1.ListMessagesRequest{PhoneNumber: other, PageToken: page.GetNextPageToken()})
	moneytest.WantRefusal(t, err, "PAGE_TOKEN_INVALID")
	_, err = r.ListMessages(t.Context(), &sandboxv1.ListMessagesRequest{PhoneNumber: "12345"})
	moneytest.WantRefusal(t, err, "PHONE_NUMBER_INVALID")
}
