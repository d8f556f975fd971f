package tillbook_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"connectrpc.com/connect/v2"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	tillbook "github.com/tillbook/tillbook/sdk"
)

// threePages answers with two transactions a page.
func threePages(r *walletv1.ListTransactionsRequest) (*walletv1.ListTransactionsResponse, error) {
	var page int
	if token := r.GetPageToken(); token != "" {
		if _, err := fmt.Sscanf(token, "page-%d", &page); err != nil {
			return nil, failure(connect.CodeInvalidArgument, errorv1.ErrorReason_ERROR_REASON_PAGE_TOKEN_INVALID)
		}
	}
	response := &walletv1.ListTransactionsResponse{}
	for i := range 2 {
		response.Transactions = append(response.Transactions, &walletv1.Transaction{
			TransactionId: fmt.Sprintf("%s-%d", r.GetAsset(), 2*page+i),
		})
	}
	if page < 2 {
		response.NextPageToken = fmt.Sprintf("page-%d", page+1)
	}
	return response, nil
}

func TestAListRunsThroughAllPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{list: threePages}
		list := f.signedIn(t).Wallet.Transactions(t.Context(), &tillbook.ListTransactionsRequest{Asset: "USD"})
		for range 2 { // A list can be run through again.
			var ids []string
			for transaction, err := range list {
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, transaction.GetTransactionId())
			}
			if got, want := fmt.Sprint(ids), "[USD-0 USD-1 USD-2 USD-3 USD-4 USD-5]"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	})
}

func TestAListFetchesNoMoreThanIsLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{list: threePages}
		for _, err := range f.signedIn(t).Wallet.Transactions(t.Context(), nil) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		if n := f.count(walletv1connect.WalletServiceListTransactionsProcedure); n != 1 {
			t.Errorf("fetched %d pages", n)
		}
	})
}

func TestAListEndsWithTheErrorOfAPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{list: func(r *walletv1.ListTransactionsRequest) (*walletv1.ListTransactionsResponse, error) {
			if r.GetPageToken() == "page-2" {
				return nil, failure(connect.CodeInternal, errorv1.ErrorReason_ERROR_REASON_INTERNAL)
			}
			return threePages(r)
		}}
		seen, failed := 0, 0
		for transaction, err := range f.signedIn(t).Wallet.Transactions(t.Context(), nil) {
			switch {
			case err == nil:
				seen++
			case transaction == nil && errors.Is(err, tillbook.ReasonInternal):
				failed++
			default:
				t.Errorf("got %v, %v", transaction, err)
			}
		}
		if seen != 4 || failed != 1 {
			t.Errorf("%d transactions and %d errors, want 4 and then 1", seen, failed)
		}
	})
}

func TestAListDoesntGoInCircles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{list: func(*walletv1.ListTransactionsRequest) (*walletv1.ListTransactionsResponse, error) {
			return &walletv1.ListTransactionsResponse{NextPageToken: "again"}, nil
		}}
		var last error
		for _, err := range f.signedIn(t).Wallet.Transactions(t.Context(), nil) {
			last = err
		}
		if last == nil {
			t.Error("a list that never ends ended without an error")
		}
	})
}
