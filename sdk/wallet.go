package tillbook

import (
	"context"
	"iter"

	"google.golang.org/protobuf/proto"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
)

// Wallet shows and moves the money of whoever is signed in.
type Wallet struct {
	rpc walletv1connect.WalletServiceClient
}

// ToPhone names the recipient of a transfer by phone number with country code.
func ToPhone(number string) *Recipient {
	return &Recipient{Recipient: &walletv1.Recipient_PhoneNumber{PhoneNumber: number}}
}

// ToUsername names the recipient of a transfer by username.
func ToUsername(name string) *Recipient {
	return &Recipient{Recipient: &walletv1.Recipient_Username{Username: name}}
}

// ToUser names the recipient of a transfer by user id.
func ToUser(id string) *Recipient {
	return &Recipient{Recipient: &walletv1.Recipient_UserId{UserId: id}}
}

// Balances returns the balance of every asset that the user ever had, ordered
// by asset and all read at one moment.
func (w *Wallet) Balances(ctx context.Context) ([]*Balance, error) {
	response, err := w.rpc.GetWallet(ctx, &walletv1.GetWalletRequest{})
	if err != nil {
		return nil, err
	}
	return response.GetBalances(), nil
}

// Resolve finds who would be paid, so that the payer can check the name first.
func (w *Wallet) Resolve(ctx context.Context, recipient *Recipient) (*ResolvedRecipient, error) {
	return w.rpc.ResolveRecipient(ctx, &walletv1.ResolveRecipientRequest{Recipient: recipient})
}

// Transfer pays another user. A request without an idempotency key gets one of
// its own, which is kept across the automatic retries, so that the money moves
// once or not at all. If even they can't find out which, the error's Outcome is
// OutcomeUnknown: send the request again with the error's IdempotencyKey.
func (w *Wallet) Transfer(ctx context.Context, request *TransferRequest) (*Transaction, error) {
	response, err := w.rpc.Transfer(ctx, request)
	if err != nil {
		return nil, err
	}
	return response.GetTransaction(), nil
}

// Transaction returns one of the user's transactions.
func (w *Wallet) Transaction(ctx context.Context, transactionID string) (*Transaction, error) {
	response, err := w.rpc.GetTransaction(ctx, &walletv1.GetTransactionRequest{TransactionId: transactionID})
	if err != nil {
		return nil, err
	}
	return response.GetTransaction(), nil
}

// Transactions lists the user's transactions that pass the request's filters,
// newest first, fetching pages of the request's size as they are needed. A nil
// request lists them all.
func (w *Wallet) Transactions(ctx context.Context, request *ListTransactionsRequest) iter.Seq2[*Transaction, error] {
	return pages(ctx, request.GetPageToken(), func(ctx context.Context, token string) ([]*Transaction, string, error) {
		page := &ListTransactionsRequest{}
		if request != nil {
			page = proto.CloneOf(request)
		}
		page.PageToken = token
		response, err := w.rpc.ListTransactions(ctx, page)
		return response.GetTransactions(), response.GetNextPageToken(), err
	})
}
