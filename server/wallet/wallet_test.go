package wallet_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"

	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/server/wallet"
)

// replica is a server with a wallet service.
type replica struct {
	*moneytest.Replica
	desk *checkout.Desk
}

func serve(t testing.TB, books *moneytest.Books) replica {
	t.Helper()
	return serveWith(t, books, wallet.WatchConfig{})
}

func serveWith(t testing.TB, books *moneytest.Books, watch wallet.WatchConfig) replica {
	t.Helper()
	r := replica{Replica: books.Replica(t)}
	r.desk = checkout.New(checkout.Deps{Store: r.Store, Ledger: r.Ledger, Key: secret.Fixed([]byte("a key of the tests"))})
	walletv1connect.RegisterWalletServiceHandler(r.Server, wallet.New(wallet.Deps{
		Store: r.Store, Ledger: r.Ledger, Checkouts: r.desk, Limiter: r.Limiter, Watch: watch,
	}))
	return r
}

func (r replica) as(u moneytest.User) walletv1connect.WalletServiceClient {
	return walletv1connect.NewWalletServiceClient(r.As(u.Principal()))
}

func (r replica) asAnonymous() walletv1connect.WalletServiceClient {
	return walletv1connect.NewWalletServiceClient(r.As(rpc.Principal{}))
}

// amount reads "12.50 USD".
func amount(text string) *moneyv1.Money {
	decimal, asset, _ := strings.Cut(text, " ")
	return &moneyv1.Money{Asset: asset, Amount: decimal}
}

func text(m *moneyv1.Money) string { return m.GetAmount() + " " + m.GetAsset() }

func byID(u moneytest.User) *walletv1.Recipient {
	return &walletv1.Recipient{Recipient: &walletv1.Recipient_UserId{UserId: u.Name}}
}

func byPhone(number string) *walletv1.Recipient {
	return &walletv1.Recipient{Recipient: &walletv1.Recipient_PhoneNumber{PhoneNumber: number}}
}

func byName(name string) *walletv1.Recipient {
	return &walletv1.Recipient{Recipient: &walletv1.Recipient_Username{Username: name}}
}

// transfer is a request that pays to.
func transfer(key, sum string, to *walletv1.Recipient) *walletv1.TransferRequest {
	return &walletv1.TransferRequest{IdempotencyKey: key, Recipient: to, Amount: amount(sum)}
}

// mustPay pays and fails the test if that is refused.
func mustPay(t testing.TB, c walletv1connect.WalletServiceClient, req *walletv1.TransferRequest) *walletv1.Transaction {
	t.Helper()
	res, err := c.Transfer(t.Context(), req)
	if err != nil {
		t.Fatalf("transfer %s: %v", req.GetIdempotencyKey(), err)
	}
	return res.GetTransaction()
}

func wantBalance(t testing.TB, books *moneytest.Books, u moneytest.User, want string) {
	t.Helper()
	decimal, asset, _ := strings.Cut(want, " ")
	if got := books.Balance(t, u, asset); got != decimal {
		t.Errorf("%s has %s %s, want %s", u.Username, got, asset, want)
	}
}

// balances is a list of balances as one line.
func balances(list []*walletv1.Balance) string {
	var b strings.Builder
	for _, x := range list {
		fmt.Fprintf(&b, "[%s held %s total %s]", text(x.GetAvailable()), x.GetHeld().GetAmount(), x.GetTotal().GetAmount())
	}
	return b.String()
}
