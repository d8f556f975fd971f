package ledger_test

import (
	"strings"
	"testing"

	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	"github.com/tillbook/tillbook/gen/tillbook/ledger/v1/ledgerv1connect"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	ledgerservice "github.com/tillbook/tillbook/server/ledger"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/id"
)

// replica is a server with a ledger service.
type replica struct{ *moneytest.Replica }

func serve(t testing.TB, books *moneytest.Books) replica {
	t.Helper()
	r := replica{books.Replica(t)}
	service := ledgerservice.New(ledgerservice.Deps{Store: r.Store, Ledger: r.Ledger})
	t.Cleanup(service.Close)
	ledgerv1connect.RegisterLedgerServiceHandler(r.Server, service)
	return r
}

func (r replica) as(operator rpc.Principal) ledgerv1connect.LedgerServiceClient {
	return ledgerv1connect.NewLedgerServiceClient(r.As(operator))
}

func newOperator() rpc.Principal {
	return rpc.Principal{Kind: rpc.KindOperator, Operator: id.New()}
}

// usd is so many dollars.
func usd(amount string) *moneyv1.Money { return &moneyv1.Money{Asset: "USD", Amount: amount} }

// post is a request with postings written "code amount asset".
func post(key, reason string, postings ...string) *ledgerv1.PostTransactionRequest {
	return &ledgerv1.PostTransactionRequest{IdempotencyKey: key, Reason: reason, Postings: parsePostings(postings...)}
}

func parsePostings(texts ...string) []*ledgerv1.Posting {
	var list []*ledgerv1.Posting
	for _, text := range texts {
		f := strings.Fields(text)
		list = append(list, &ledgerv1.Posting{Account: f[0], Amount: &moneyv1.Money{Amount: f[1], Asset: f[2]}})
	}
	return list
}

func mustPost(t testing.TB, c ledgerv1connect.LedgerServiceClient, req *ledgerv1.PostTransactionRequest) *ledgerv1.Transaction {
	t.Helper()
	res, err := c.PostTransaction(t.Context(), req)
	if err != nil {
		t.Fatalf("post %s: %v", req.GetIdempotencyKey(), err)
	}
	return res.GetTransaction()
}

// lines shows entries one a line.
func lines(entries []*ledgerv1.Entry) []string {
	out := make([]string, len(entries))
	for i, e := range entries {
		out[i] = e.GetAccount() + " " + e.GetAmount().GetAmount() + " " + e.GetAmount().GetAsset() + " after " + e.GetBalanceAfter().GetAmount()
	}
	return out
}
