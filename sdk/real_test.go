package tillbook_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	tillbook "github.com/tillbook/tillbook/sdk"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

// member returns a client that is signed in as somebody new at the address.
func member(t *testing.T, address, username, number string, funds ...string) *tillbook.Client {
	t.Helper()
	client, err := tillbook.New("http://"+address, tillbook.WithRetries(10))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if err := join(t.Context(), client, username, number, funds...); err != nil {
		t.Fatal(err)
	}
	return client
}

// A watch and payments live through a server that goes away and comes back.
func TestARestartOfTheServerLosesNothing(t *testing.T) {
	database := storetest.NewDatabase(t)
	address, stop := startServer(t, database, "127.0.0.1:0")
	payer := member(t, address, "payer", "+62 812 2000 0001", "1000 USD")
	shop := member(t, address, "shop", "+62 812 2000 0002")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	next, end := iter.Pull2(shop.Wallet.Watch(ctx))
	defer end()
	if event, err, _ := next(); err != nil || event.GetSnapshot() == nil {
		t.Fatalf("got %v, %v; want a snapshot", event, err)
	}
	const payments = 60
	var paying sync.WaitGroup
	paying.Go(func() {
		for n := range payments {
			request := &tillbook.TransferRequest{
				IdempotencyKey: fmt.Sprint("order-", n),
				Recipient:      tillbook.ToUsername("shop"),
				Amount:         tillbook.MustMoney("1 USD").Proto(),
				Note:           fmt.Sprint(n),
			}
			// The client's own retries may end before the server is back.
			_, err := payer.Wallet.Transfer(ctx, request)
			for errors.Is(err, tillbook.ReasonUnavailable) && ctx.Err() == nil {
				_, err = payer.Wallet.Transfer(ctx, request)
			}
			if err != nil {
				t.Errorf("payment %d: %v", n, err)
				return
			}
		}
	})
	for n := range payments {
		if n == payments/3 {
			stop()
			startServer(t, database, address)
		}
		event, err, _ := next()
		if err != nil {
			t.Fatalf("change %d: %v", n, err)
		}
		came := event.GetChange().GetTransaction()
		if want := fmt.Sprintf("%d.00", n+1); came.GetNote() != fmt.Sprint(n) || came.GetBalanceAfter().GetAmount() != want {
			t.Fatalf("change %d is payment %s with balance %s, want %s", n, came.GetNote(), came.GetBalanceAfter().GetAmount(), want)
		}
	}
	paying.Wait()
}

func TestARealSessionRefreshesOnceForAHundredCalls(t *testing.T) {
	address, _ := startServer(t, storetest.NewDatabase(t), "127.0.0.1:0")
	var mu sync.Mutex
	changes := 0
	session := member(t, address, "kartika", "+62 812 2000 0003").Session()
	session.AccessExpireTime = timestamppb.New(time.Now().Add(-time.Second)) // As the client will find it in a while.
	client, err := tillbook.New("http://"+address, tillbook.WithSession(session),
		tillbook.WithSessionChanged(func(*tillbook.Session) {
			mu.Lock()
			defer mu.Unlock()
			changes++
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	errs := together(100, func() error {
		_, err := client.Auth.Me(t.Context())
		return err
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if now := client.Session(); changes != 1 || now.GetRefreshToken() == session.GetRefreshToken() ||
		now.GetDeviceToken() != session.GetDeviceToken() {
		t.Errorf("the session changed %d times, want once, with the device's token kept", changes)
	}
}

func TestARevokedSessionEndsItsWatchAndItsCalls(t *testing.T) {
	address, _ := startServer(t, storetest.NewDatabase(t), "127.0.0.1:0")
	const number = "+62 812 2000 0004"
	lost := member(t, address, "lestari", number)
	found, err := tillbook.New("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(found.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	challenge, err := found.Auth.Login(ctx, &tillbook.LoginRequest{PhoneNumber: number, Password: "correct horse battery"})
	if err != nil || challenge == nil {
		t.Fatalf("got %v, %v; want a challenge on a new device", challenge, err)
	}
	// The same number's code, read by the other client's sandbox, which knows the
	// first one.
	code, err := lost.Sandbox.Code(ctx, number)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := found.Auth.VerifyLogin(ctx, challenge, code); err != nil {
		t.Fatal(err)
	}

	revoked := 0
	for session, err := range found.Auth.Sessions(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if !session.GetCurrent() {
			revoked++
			if err := found.Auth.RevokeSession(ctx, session.GetSessionId()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if revoked != 1 {
		t.Fatalf("revoked %d sessions, want 1", revoked)
	}
	var last error
	for _, err := range lost.Wallet.Watch(ctx) {
		last = err
	}
	if !errors.Is(last, tillbook.ReasonSessionRevoked) || !errors.Is(last, tillbook.ErrSignedOut) {
		t.Errorf("the watch ended with %v, want SESSION_REVOKED", last)
	}
	if _, err := lost.Auth.Me(ctx); !errors.Is(err, tillbook.ReasonSessionRevoked) {
		t.Errorf("a call gave %v, want SESSION_REVOKED", err)
	}
	if _, err := found.Auth.Me(ctx); err != nil {
		t.Errorf("the other session: %v", err)
	}
}

func TestOperatorsSeeAndCorrectTheBooks(t *testing.T) {
	database := storetest.NewDatabase(t)
	address, _ := startServer(t, database, "127.0.0.1:0")
	owner := storetest.Open(t, store.Config{URL: database, Role: store.NoRole})
	_, key, err := owner.CreateOperator(t.Context(), "olga")
	if err != nil {
		t.Fatal(err)
	}
	client, err := tillbook.New("http://"+address, tillbook.WithOperatorKey(key))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	ctx := t.Context()

	points, err := client.Ledger.CreateAsset(ctx, &tillbook.Asset{Code: "POINTS", Exponent: 0})
	if err != nil || points.GetCode() != "POINTS" {
		t.Fatalf("got %v, %v", points, err)
	}
	assets := 0
	for _, err := range client.Ledger.Assets(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		assets++
	}
	if assets != 14 {
		t.Errorf("%d assets, want the 13 seeded ones and another", assets)
	}
	const from, to = "external/bank/POINTS", "system/fees/POINTS"
	posted, err := client.Ledger.PostTransaction(ctx, &tillbook.PostTransactionRequest{
		Reason: "opening",
		Postings: []*tillbook.Posting{
			{Account: from, Amount: tillbook.MustMoney("-5 POINTS").Proto()},
			{Account: to, Amount: tillbook.MustMoney("5 POINTS").Proto()},
		},
	})
	if err != nil || len(posted.GetEntries()) != 2 {
		t.Fatalf("got %v, %v", posted, err)
	}
	if again, err := client.Ledger.Transaction(ctx, posted.GetTransactionId()); err != nil || again.GetNote() != "opening" {
		t.Errorf("got %v, %v", again, err)
	}
	for entry, err := range client.Ledger.Entries(ctx, to) {
		if err != nil || entry.GetBalanceAfter().GetAmount() != "5" {
			t.Errorf("got %v, %v", entry, err)
		}
	}
	account, err := client.Ledger.Account(ctx, &tillbook.GetAccountRequest{Code: to})
	if err != nil || account.GetBalance().GetAmount() != "5" {
		t.Errorf("got %v, %v", account, err)
	}
	if lines, err := client.Ledger.TrialBalance(ctx); err != nil || len(lines) != 2 {
		t.Errorf("got %v, %v", lines, err)
	}
	if verified, err := client.Ledger.Verify(ctx); err != nil || !verified.GetOk() || verified.GetTransactions() != 1 {
		t.Errorf("got %v, %v", verified, err)
	}
}
