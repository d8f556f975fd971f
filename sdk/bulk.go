package tillbook

import (
	"context"

	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
)

// PostAll posts up to 1,000 transactions, all of them or none. If one is refused,
// the error's metadata says by item_index which. Those without an idempotency key
// get one each, which are kept across the automatic retries; to be able to ask
// again after an unknown outcome, give them keys yourself.
func (l *Ledger) PostAll(ctx context.Context, items []*PostTransactionRequest) ([]*LedgerTransaction, error) {
	results, err := l.post(ctx, ledgerv1.PostMode_POST_MODE_ATOMIC, items)
	if err != nil {
		return nil, err
	}
	transactions := make([]*LedgerTransaction, len(results))
	for i, r := range results {
		transactions[i] = r.GetTransaction()
	}
	return transactions, nil
}

// PostEach posts up to 1,000 transactions, each on its own, and returns a result
// for each: a transaction or a failure. Keys are as in PostAll.
func (l *Ledger) PostEach(ctx context.Context, items []*PostTransactionRequest) ([]*PostResult, error) {
	return l.post(ctx, ledgerv1.PostMode_POST_MODE_INDEPENDENT, items)
}

func (l *Ledger) post(ctx context.Context, mode ledgerv1.PostMode, items []*PostTransactionRequest) ([]*PostResult, error) {
	response, err := l.rpc.PostTransactions(ctx, &ledgerv1.PostTransactionsRequest{Mode: mode, Items: items})
	return response.GetResults(), err
}
