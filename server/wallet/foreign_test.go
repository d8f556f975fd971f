package wallet_test

import (
	"strings"
	"testing"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/id"
)

func TestOnlyUsersCallTheWallet(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	operator := rpc.Principal{Kind: rpc.KindOperator, Operator: id.New()}
	for procedure, reason := range r.Reasons(t, operator) {
		if reason != "PERMISSION_DENIED" {
			t.Errorf("an operator calling %s is told %q", procedure, reason)
		}
	}
	for procedure, reason := range r.Reasons(t, rpc.Principal{}) {
		if reason != "UNAUTHENTICATED" {
			t.Errorf("a stranger calling %s is told %q", procedure, reason)
		}
	}
}

func TestSomebodyElsesTransactionIsNotFoundLikeOneThatIsNot(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob, mallory := books.User(t, "alice"), books.User(t, "bobby"), books.User(t, "mallory")
	books.Fund(t, alice, "10.00 USD")
	books.Fund(t, mallory, "10.00 USD")
	paid := mustPay(t, r.as(alice), transfer("k", "1 USD", byID(bob)))

	messages := make(map[string]bool)
	for _, txn := range []string{
		paid.GetTransactionId(),
		id.Format(id.Transaction, id.New()),
		"txn_" + strings.Repeat("z", 26),
	} {
		_, err := r.as(mallory).GetTransaction(t.Context(), &walletv1.GetTransactionRequest{TransactionId: txn})
		moneytest.WantRefusal(t, err, "NOT_FOUND")
		messages[err.Error()] = true
	}
	if len(messages) != 1 {
		t.Errorf("the answers differ: %v", messages)
	}
	list, err := r.as(mallory).ListTransactions(t.Context(), &walletv1.ListTransactionsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tx := range list.GetTransactions() {
		if tx.GetTransactionId() == paid.GetTransactionId() {
			t.Error("the list shows somebody else's transaction")
		}
	}
}

func TestATokenIsOfNoUseToSomebodyElse(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, mallory := books.User(t, "alice"), books.User(t, "mallory")
	for range 3 {
		books.Fund(t, alice, "1.00 USD")
		books.Fund(t, mallory, "1.00 USD")
	}
	page, err := r.as(alice).ListTransactions(t.Context(), &walletv1.ListTransactionsRequest{PageSize: 1})
	if err != nil || page.GetNextPageToken() == "" {
		t.Fatalf("page %v, %v", page, err)
	}
	_, err = r.as(mallory).ListTransactions(t.Context(), &walletv1.ListTransactionsRequest{PageSize: 1, PageToken: page.GetNextPageToken()})
	moneytest.WantRefusal(t, err, "PAGE_TOKEN_INVALID")

	token := watch(t, r, alice, "").next(t).GetResumeToken()
	watch(t, r, mallory, token).wantRefusal(t, "RESUME_TOKEN_INVALID")
}
