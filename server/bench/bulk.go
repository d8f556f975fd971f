package bench

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	"github.com/tillbook/tillbook/gen/tillbook/ledger/v1/ledgerv1connect"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	"github.com/tillbook/tillbook/store"
)

// bulkOrder says what the load posts with each call.
type bulkOrder struct {
	Items    int // transfers a call; 0 for calls of another kind
	Key      string
	Accounts []string // codes
	Hot      bool     // all into the first account
}

// bulkInFlight is how many transfers are under way in bulk calls, more or less.
const bulkInFlight = 1600

// bulk has the load process post so many transfers a call, each on its own.
func (s *server) bulk(ctx context.Context, cfg Config, items int, hot bool) (sample, error) {
	codes := make([]string, len(s.books.users))
	for i, u := range s.books.users {
		codes[i] = mainCode(u)
	}
	return s.measure(ctx, loadOrder{
		Door: doorGRPC, Address: s.grpcAddr, Callers: max(2, bulkInFlight/items), Duration: cfg.Duration,
		Bulk: bulkOrder{Items: items, Key: s.operatorKey, Accounts: codes, Hot: hot},
	}, items)
}

// hireOperator returns an operator's key, which posting in bulk needs.
func (b *books) hireOperator(ctx context.Context) (string, error) {
	owner, err := store.Open(ctx, store.Config{URL: b.db.url, Role: store.NoRole, MaxConns: 1})
	if err != nil {
		return "", err
	}
	defer owner.Close()
	_, key, err := owner.CreateOperator(ctx, "bench")
	return key, err
}

// post makes one call and checks that every item of it was executed.
func (o *bulkOrder) post(ctx context.Context, c *grpc.ClientConn) error {
	request := &ledgerv1.PostTransactionsRequest{
		Mode:  ledgerv1.PostMode_POST_MODE_INDEPENDENT,
		Items: make([]*ledgerv1.PostTransactionRequest, o.Items),
	}
	for i := range request.Items {
		from, to := 1+mathrand.IntN(len(o.Accounts)-1), 0
		if !o.Hot {
			to = mathrand.IntN(from)
		}
		amount := strconv.FormatFloat(float64(1+mathrand.IntN(100))/100, 'f', 2, 64)
		request.Items[i] = &ledgerv1.PostTransactionRequest{
			IdempotencyKey: rand.Text(),
			Reason:         "bench",
			Postings: []*ledgerv1.Posting{
				{Account: o.Accounts[from], Amount: &moneyv1.Money{Asset: "USD", Amount: "-" + amount}},
				{Account: o.Accounts[to], Amount: &moneyv1.Money{Asset: "USD", Amount: amount}},
			},
		}
	}
	response := new(ledgerv1.PostTransactionsResponse)
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+o.Key)
	if err := c.Invoke(ctx, ledgerv1connect.LedgerServicePostTransactionsProcedure, request, response); err != nil {
		return err
	}
	if len(response.GetResults()) != o.Items {
		return fmt.Errorf("%d items got %d results", o.Items, len(response.GetResults()))
	}
	for _, r := range response.GetResults() {
		if r.GetTransaction() == nil {
			return fmt.Errorf("an item failed: %s", r.GetFailure().GetReason())
		}
	}
	return nil
}
