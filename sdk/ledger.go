package tillbook

import (
	"context"
	"iter"

	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	"github.com/tillbook/tillbook/gen/tillbook/ledger/v1/ledgerv1connect"
)

// Ledger shows operators the books and lets them correct them. It needs
// WithOperatorKey.
type Ledger struct {
	client *Client
	rpc    ledgerv1connect.LedgerServiceClient
}

// Assets lists the assets, ordered by code.
func (l *Ledger) Assets(ctx context.Context) iter.Seq2[*Asset, error] {
	return pages(ctx, "", func(ctx context.Context, token string) ([]*Asset, string, error) {
		response, err := l.rpc.ListAssets(ctx, &ledgerv1.ListAssetsRequest{PageToken: token})
		return response.GetAssets(), response.GetNextPageToken(), err
	})
}

// CreateAsset adds an asset. Doing so again with the same properties is no
// error.
func (l *Ledger) CreateAsset(ctx context.Context, asset *Asset) (*Asset, error) {
	response, err := l.rpc.CreateAsset(ctx, &ledgerv1.CreateAssetRequest{Asset: asset})
	if err != nil {
		return nil, err
	}
	return response.GetAsset(), nil
}

// Account returns an account as it is, or as it was at a time.
func (l *Ledger) Account(ctx context.Context, request *GetAccountRequest) (*Account, error) {
	response, err := l.rpc.GetAccount(ctx, request)
	if err != nil {
		return nil, err
	}
	return response.GetAccount(), nil
}

// Entries lists an account's entries, newest first.
func (l *Ledger) Entries(ctx context.Context, accountCode string) iter.Seq2[*Entry, error] {
	return pages(ctx, "", func(ctx context.Context, token string) ([]*Entry, string, error) {
		response, err := l.rpc.ListEntries(ctx, &ledgerv1.ListEntriesRequest{
			Account:   accountCode,
			PageSize:  200,
			PageToken: token,
		})
		return response.GetEntries(), response.GetNextPageToken(), err
	})
}

// Transaction returns a transaction with all its entries.
func (l *Ledger) Transaction(ctx context.Context, transactionID string) (*LedgerTransaction, error) {
	response, err := l.rpc.GetTransaction(ctx, &ledgerv1.GetTransactionRequest{TransactionId: transactionID})
	if err != nil {
		return nil, err
	}
	return response.GetTransaction(), nil
}

// PostTransaction posts balanced postings, for adjustments. Idempotency keys
// and unknown outcomes work as with Wallet.Transfer.
func (l *Ledger) PostTransaction(ctx context.Context, request *PostTransactionRequest) (*LedgerTransaction, error) {
	response, err := l.rpc.PostTransaction(ctx, request)
	if err != nil {
		return nil, err
	}
	return response.GetTransaction(), nil
}

// TrialBalance sums the balances per asset and class of accounts.
func (l *Ledger) TrialBalance(ctx context.Context) ([]*TrialBalanceLine, error) {
	response, err := l.rpc.GetTrialBalance(ctx, &ledgerv1.GetTrialBalanceRequest{})
	if err != nil {
		return nil, err
	}
	return response.GetLines(), nil
}

// Verify has the server prove from its rows that the books are right. It takes
// minutes on large books. Books that are wrong are no error: look at Ok.
func (l *Ledger) Verify(ctx context.Context) (*Verification, error) {
	return l.rpc.Verify(ctx, &ledgerv1.VerifyRequest{})
}
