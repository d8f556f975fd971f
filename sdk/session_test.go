package tillbook_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	tillbook "github.com/tillbook/tillbook/sdk"
)

// together makes n calls at once and returns their errors.
func together(n int, do func() error) []error {
	errs := make([]error, n)
	var calls sync.WaitGroup
	for i := range n {
		calls.Go(func() { errs[i] = do() })
	}
	calls.Wait()
	return errs
}

func TestVerifyingThePhoneSignsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		client := f.client(t)
		if _, err := client.Auth.Me(t.Context()); !errors.Is(err, tillbook.ErrSignedOut) {
			t.Errorf("before: got %v, want ErrSignedOut", err)
		}
		if n := f.count(authv1connect.AuthServiceGetMeProcedure); n != 0 {
			t.Errorf("asked the server %d times without credentials", n)
		}
		challenge, err := client.Auth.Register(t.Context(), &tillbook.RegisterRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Auth.VerifyPhone(t.Context(), challenge, "123456"); err != nil {
			t.Fatal(err)
		}
		if me, err := client.Auth.Me(t.Context()); err != nil || me.GetUsername() != "ana" {
			t.Errorf("after: got %v, %v", me, err)
		}
	})
}

func TestASessionThatOneCallFindsRevokedIsOverForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		client := f.signedIn(t)
		f.transfer = func(context.Context, *walletv1.TransferRequest) (*walletv1.TransferResponse, error) {
			return nil, failure(connect.CodeUnauthenticated, errorv1.ErrorReason_ERROR_REASON_SESSION_REVOKED, notExecuted())
		}
		_, first := client.Wallet.Transfer(t.Context(), payment())
		_, second := client.Auth.Me(t.Context())
		for _, err := range []error{first, second} {
			if !errors.Is(err, tillbook.ReasonSessionRevoked) {
				t.Errorf("got %v, want SESSION_REVOKED", err)
			}
		}
		if n := f.count(authv1connect.AuthServiceGetMeProcedure); n != 0 || client.Session().GetAccessToken() != "" {
			t.Errorf("asked again %d times with the session %v", n, client.Session())
		}
		if _, err := client.Auth.VerifyPhone(t.Context(), nil, "123456"); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Auth.Me(t.Context()); err != nil {
			t.Errorf("after a new sign-in: %v", err)
		}
	})
}

func TestTheEndOfAnOldSessionDoesntEndANewOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		client := f.signedIn(t)
		f.transfer = func(context.Context, *walletv1.TransferRequest) (*walletv1.TransferResponse, error) {
			time.Sleep(time.Second)
			return nil, failure(connect.CodeUnauthenticated, errorv1.ErrorReason_ERROR_REASON_SESSION_REVOKED, notExecuted())
		}
		var calls sync.WaitGroup
		calls.Go(func() { _, _ = client.Wallet.Transfer(t.Context(), payment()) })
		synctest.Wait()
		if _, err := client.Auth.VerifyPhone(t.Context(), nil, "123456"); err != nil {
			t.Fatal(err)
		}
		calls.Wait()
		if _, err := client.Auth.Me(t.Context()); err != nil {
			t.Errorf("got %v", err)
		}
	})
}

func TestTheSessionIsGivenOutWheneverItChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		var kept []string
		var last *tillbook.Session
		keep := tillbook.WithSessionChanged(func(s *tillbook.Session) {
			kept = append(kept, fmt.Sprintf("%s/%s/%s", s.GetAccessToken(), s.GetRefreshToken(), s.GetDeviceToken()))
			last = s
		})
		client := f.client(t, keep)
		if _, err := client.Auth.VerifyPhone(t.Context(), nil, "123456"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if _, err := client.Auth.Me(t.Context()); err != nil {
			t.Fatal(err)
		}

		restored := f.client(t, keep, tillbook.WithSession(last))
		if _, err := restored.Auth.Me(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := restored.Auth.Logout(t.Context()); err != nil {
			t.Fatal(err)
		}
		if challenge, err := restored.Auth.Login(t.Context(), &tillbook.LoginRequest{}); challenge != nil || err != nil {
			t.Errorf("got %v, %v; want a sign-in without a code on a known device", challenge, err)
		}
		want := []string{
			"access-1/refresh-1/dev-1",
			"access-2/refresh-2/dev-1",
			"//dev-1",
			"access-3/refresh-3/dev-1",
		}
		if !slices.Equal(kept, want) {
			t.Errorf("got  %v\nwant %v", kept, want)
		}
	})
}

func TestANewDeviceAsksForACode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := (&fake{}).client(t)
		challenge, err := client.Auth.Login(t.Context(), &tillbook.LoginRequest{})
		if err != nil || challenge.GetChallengeId() != "chl_2" || client.Session() != nil {
			t.Errorf("got %v, %v and session %v", challenge, err, client.Session())
		}
	})
}

// Somebody who signs in while an old session is being refreshed stays signed in.
func TestASignInOutlivesARefreshThatWasUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		f.refreshing = func(string) error {
			time.Sleep(time.Second)
			return failure(connect.CodeUnauthenticated, errorv1.ErrorReason_ERROR_REASON_REFRESH_TOKEN_INVALID)
		}
		client := f.signedIn(t)
		time.Sleep(time.Hour)
		var calls sync.WaitGroup
		calls.Go(func() { _, _ = client.Auth.Me(t.Context()) })
		synctest.Wait()
		if _, err := client.Auth.VerifyPhone(t.Context(), nil, "123456"); err != nil {
			t.Fatal(err)
		}
		calls.Wait()
		if _, err := client.Auth.Me(t.Context()); err != nil {
			t.Errorf("got %v", err)
		}
	})
}

func TestCloseEndsARefreshUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		client := f.signedIn(t)
		time.Sleep(time.Hour)
		f.plan(silence, silence)
		var calls sync.WaitGroup
		calls.Go(func() {
			if _, err := client.Auth.Me(t.Context()); err == nil {
				t.Error("got an answer of a closed client")
			}
		})
		synctest.Wait()
		began := time.Now()
		client.Close()
		if took := time.Since(began); took != 0 {
			t.Errorf("Close took %v", took)
		}
		calls.Wait()
		if _, err := client.Auth.Me(t.Context()); err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("a closed client gave %v", err)
		}
	})
}

func TestTheOperatorsKeyIsForTheLedgerOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		client := f.signedIn(t, tillbook.WithOperatorKey("key-1"))
		_, _ = client.Ledger.TrialBalance(t.Context())
		_, _ = client.Auth.Me(t.Context())
		_, _ = client.Auth.Register(t.Context(), &tillbook.RegisterRequest{})
		want := []string{"Bearer key-1", "Bearer access-1", ""}
		if !slices.Equal(f.credentials, want) {
			t.Errorf("got %q, want %q", f.credentials, want)
		}
	})
}

func TestARestoredSessionIsACopy(t *testing.T) {
	session := &tillbook.Session{AccessToken: "a", AccessExpireTime: timestamppb.Now()}
	client, err := tillbook.New("http://127.0.0.1:1", tillbook.WithSession(session))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	session.AccessToken = "b"
	client.Session().AccessToken = "c"
	if got := client.Session().GetAccessToken(); got != "a" {
		t.Errorf("the token is %q, want a", got)
	}
}
