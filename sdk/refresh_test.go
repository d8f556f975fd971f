package tillbook_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	tillbook "github.com/tillbook/tillbook/sdk"
)

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
			return failure(connect.CodeInternal, errorv1.ErrorReason_ERROR_REASON_INTERNAL)
		}}
		client := f.signedIn(t)
		time.Sleep(14*time.Minute + 10*time.Second)
		for range 40 {
			if _, err := client.Auth.Me(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if n := len(f.refreshes); n != 8 {
			t.Errorf("tried %d refreshes in 40 s, want one every 5 s", n)
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

func TestARepeatedRefreshEndsWithTheServersGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		client := f.signedIn(t)
		time.Sleep(time.Hour)
		f.plan(lostRequest, silence)
		began := time.Now()
		if _, err := client.Auth.Me(t.Context()); !errors.Is(err, tillbook.ReasonUnavailable) {
			t.Errorf("got %v, want UNAVAILABLE", err)
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("tried for %v, want 3 s", took)
		}
	})
}
