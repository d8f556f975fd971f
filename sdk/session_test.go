package tillbook_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
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

func TestAHundredCallsOnAnExpiredTokenRefreshOnce(t *testing.T) {
	for name, knows := range map[string]bool{"the client knows": true, "only the server knows": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{refreshing: func(string) error { time.Sleep(time.Second); return nil }}
				client := f.signedIn(t)
				if knows {
					time.Sleep(time.Hour)
				} else {
					f.expire()
				}
				errs := together(100, func() error {
					_, err := client.Wallet.Transfer(t.Context(), payment())
					return err
				})
				if err := errors.Join(errs...); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(f.refreshes, []string{"refresh-1"}) || f.paid() != 100 {
					t.Errorf("refreshed with %v and paid %d times, want one refresh and 100 payments", f.refreshes, f.paid())
				}
			})
		})
	}
}

func TestAFailedRefreshReachesEveryCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{refreshing: func(string) error {
			time.Sleep(time.Second)
			return failure(connect.CodeUnauthenticated, errorv1.ErrorReason_ERROR_REASON_SESSION_REVOKED)
		}}
		client := f.signedIn(t)
		f.expire()
		call := func() error {
			_, err := client.Wallet.Transfer(t.Context(), payment())
			return err
		}
		for _, err := range append(together(100, call), call()) { // The last one comes after the end.
			if !errors.Is(err, tillbook.ReasonSessionRevoked) || !errors.Is(err, tillbook.ErrSignedOut) ||
				asError(t, err).Outcome != tillbook.OutcomeNotExecuted {
				t.Fatalf("got %v, want SESSION_REVOKED and nothing executed", err)
			}
		}
		if len(f.refreshes) != 1 {
			t.Errorf("refreshed %d times", len(f.refreshes))
		}
		if n := f.count(walletv1connect.WalletServiceTransferProcedure); n > 100 {
			t.Errorf("%d requests arrived, also after the end of the session", n)
		}
	})
}

func TestACallerWhoGivesUpDoesntSpoilTheRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{refreshing: func(string) error { time.Sleep(2 * time.Second); return nil }}
		client := f.signedIn(t)
		time.Sleep(time.Hour)
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var calls sync.WaitGroup
		calls.Go(func() {
			if _, err := client.Auth.Me(impatient); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the impatient caller got %v", err)
			}
		})
		synctest.Wait() // The impatient caller began the refresh.
		calls.Go(func() {
			if _, err := client.Auth.Me(t.Context()); err != nil {
				t.Errorf("the patient caller got %v", err)
			}
		})
		calls.Wait()
		if len(f.refreshes) != 1 {
			t.Errorf("refreshed %d times", len(f.refreshes))
		}
	})
}

func TestATokenIsReplacedBeforeItExpiresWhileCallsGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{refreshing: func(string) error { time.Sleep(5 * time.Second); return nil }}
		client := f.signedIn(t)
		time.Sleep(14*time.Minute + 10*time.Second)
		began := time.Now()
		if _, err := client.Auth.Me(t.Context()); err != nil || time.Since(began) != 0 {
			t.Errorf("got %v after %v, want an answer at once", err, time.Since(began))
		}
		time.Sleep(6 * time.Second)
		if token := client.Session().GetAccessToken(); token != "access-2" {
			t.Errorf("the token is %s, want access-2", token)
		}
	})
}

func TestAGoodTokenIsUsedWhileTheServerCantRefreshIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{refreshing: func(string) error {
			return failure(connect.CodeUnavailable, errorv1.ErrorReason_ERROR_REASON_UNAVAILABLE)
		}}
		client := f.signedIn(t)
		time.Sleep(14*time.Minute + 10*time.Second)
		for range 40 {
			if _, err := client.Auth.Me(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if n := len(f.refreshes); n < 8 || n > 8*20 {
			t.Errorf("tried %d refreshes in 40 s, want a burst every 5 to 8 s", n)
		}
	})
}

// A clock that is wrong by hours must not make the client refresh all the time.
func TestAWrongClockDoesntRefreshEachCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{clockBehind: 5 * time.Hour}
		client := f.signedIn(t)
		for range 30 {
			if _, err := client.Auth.Me(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if n := len(f.refreshes); n != 1 {
			t.Errorf("refreshed %d times in 30 s, want once for the session that was restored", n)
		}
	})
}

// The server forgives the repetition of a refresh token for a few seconds only.
func TestALostRefreshIsRepeatedAtOnceAndNotLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		client := f.signedIn(t)
		time.Sleep(time.Hour)
		f.plan(lostRequest)
		began := time.Now()
		if _, err := client.Auth.Me(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 3*time.Second || len(f.refreshes) != 1 {
			t.Errorf("took %v with %d refreshes executed", took, len(f.refreshes))
		}
		if n := f.count(authv1connect.AuthServiceRefreshProcedure); n != 2 {
			t.Errorf("%d refreshes arrived, want the lost one and its repetition", n)
		}

		time.Sleep(time.Hour)
		f.plan(silence)
		err := client.Auth.ChangePassword(t.Context(), &tillbook.ChangePasswordRequest{})
		if !errors.Is(err, tillbook.ReasonUnavailable) {
			t.Errorf("got %v, want UNAVAILABLE", err)
		}
		if n := f.count(authv1connect.AuthServiceRefreshProcedure); n != 3 {
			t.Errorf("%d refreshes arrived: one that hung for 15 s was repeated", n)
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
		if _, err := client.Auth.Me(t.Context()); err == nil {
			t.Error("a closed client refreshed")
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
