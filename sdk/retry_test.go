package tillbook_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	tillbook "github.com/tillbook/tillbook/sdk"
)

func payment() *tillbook.TransferRequest {
	return &tillbook.TransferRequest{
		Recipient: tillbook.ToUsername("budi"),
		Amount:    tillbook.MustMoney("12.50 USD").Proto(),
	}
}

func asError(t *testing.T, err error) *tillbook.Error {
	t.Helper()
	e, ok := errors.AsType[*tillbook.Error](err)
	if !ok {
		t.Fatalf("got %v, want a *tillbook.Error", err)
	}
	return e
}

func TestALostAnswerIsAskedForAgainUnderTheSameKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		client := f.signedIn(t)
		f.plan(lostResponse, lostResponse, badGateway, lostRequest)
		paid, err := client.Wallet.Transfer(t.Context(), payment())
		if err != nil {
			t.Fatal(err)
		}
		if paid.GetTransactionId() != "txn_1" || f.paid() != 1 {
			t.Errorf("got transaction %s of %d, want the only one", paid.GetTransactionId(), f.paid())
		}
		if n := f.count(walletv1connect.WalletServiceTransferProcedure); n != 5 {
			t.Errorf("%d requests arrived, want 5", n)
		}
	})
}

func TestEachPaymentHasAKeyOfItsOwnAndTheRequestStaysAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		client := f.signedIn(t)
		request := payment()
		for range 2 {
			if _, err := client.Wallet.Transfer(t.Context(), request); err != nil {
				t.Fatal(err)
			}
		}
		if f.paid() != 2 || request.GetIdempotencyKey() != "" {
			t.Errorf("paid %d times, key %q; want twice and a request that was left alone", f.paid(), request.GetIdempotencyKey())
		}
	})
}

func TestTheCallersOwnKeyIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		client := f.signedIn(t)
		request := payment()
		request.IdempotencyKey = "order-17"
		for range 2 {
			paid, err := client.Wallet.Transfer(t.Context(), request)
			if err != nil || paid.GetTransactionId() != "txn_1" {
				t.Fatalf("got %v, %v; want txn_1", paid, err)
			}
		}
		if f.keys["order-17"] != "txn_1" {
			t.Errorf("the server knows the keys %v", f.keys)
		}
	})
}

// Everything that isn't marked as repeatable is sent once if it may have
// arrived. Their names come from the schema, so that new ones are covered.
func TestWhatMayHaveArrivedIsRepeatedOnlyIfTheSchemaAllowsIt(t *testing.T) {
	for _, fault := range []fault{lostRequest, lostResponse, badGateway} {
		for _, call := range authCalls() {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{}
				client := f.signedIn(t)
				f.plan(fault)
				err := call.do(t.Context(), client)
				want := 1
				if call.repeatable {
					want = 2
				}
				if n := f.count(call.procedure); n != want {
					t.Errorf("%s arrived %d times after fault %d, want %d", call.procedure, n, fault, want)
				}
				if !call.repeatable && !errors.Is(err, tillbook.ReasonUnavailable) {
					t.Errorf("%s: got %v, want UNAVAILABLE", call.procedure, err)
				}
			})
		}
	}
}

type authCall struct {
	procedure  string
	repeatable bool
	do         func(context.Context, *tillbook.Client) error
}

func authCalls() []authCall {
	return []authCall{
		{authv1connect.AuthServiceRegisterProcedure, false, func(ctx context.Context, c *tillbook.Client) error {
			_, err := c.Auth.Register(ctx, &tillbook.RegisterRequest{})
			return err
		}},
		{authv1connect.AuthServiceVerifyPhoneProcedure, false, func(ctx context.Context, c *tillbook.Client) error {
			_, err := c.Auth.VerifyPhone(ctx, nil, "000000")
			return err
		}},
		{authv1connect.AuthServiceResendCodeProcedure, false, func(ctx context.Context, c *tillbook.Client) error {
			_, err := c.Auth.ResendCode(ctx, nil)
			return err
		}},
		{authv1connect.AuthServiceLoginProcedure, false, func(ctx context.Context, c *tillbook.Client) error {
			_, err := c.Auth.Login(ctx, &tillbook.LoginRequest{})
			return err
		}},
		{authv1connect.AuthServiceVerifyLoginProcedure, false, func(ctx context.Context, c *tillbook.Client) error {
			_, err := c.Auth.VerifyLogin(ctx, nil, "000000")
			return err
		}},
		{authv1connect.AuthServiceStartPasswordResetProcedure, false, func(ctx context.Context, c *tillbook.Client) error {
			_, err := c.Auth.StartPasswordReset(ctx, "+628123456789")
			return err
		}},
		{authv1connect.AuthServiceCompletePasswordResetProcedure, false, func(ctx context.Context, c *tillbook.Client) error {
			return c.Auth.CompletePasswordReset(ctx, &tillbook.CompletePasswordResetRequest{})
		}},
		{authv1connect.AuthServiceChangePasswordProcedure, false, func(ctx context.Context, c *tillbook.Client) error {
			return c.Auth.ChangePassword(ctx, &tillbook.ChangePasswordRequest{})
		}},
		{authv1connect.AuthServiceLogoutProcedure, false, func(ctx context.Context, c *tillbook.Client) error {
			return c.Auth.Logout(ctx)
		}},
		{authv1connect.AuthServiceGetMeProcedure, true, func(ctx context.Context, c *tillbook.Client) error {
			_, err := c.Auth.Me(ctx)
			return err
		}},
	}
}

func TestWhatNeverLeftIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{dialFails: 3}
		client := f.client(t)
		if _, err := client.Auth.Register(t.Context(), &tillbook.RegisterRequest{}); err != nil {
			t.Fatal(err)
		}
		if n := f.count(authv1connect.AuthServiceRegisterProcedure); n != 1 || f.dials != 4 {
			t.Errorf("%d requests arrived over %d dials, want 1 over 4", n, f.dials)
		}
	})
}

func TestRetriesEndAndSpreadOut(t *testing.T) {
	var total time.Duration
	synctest.Test(t, func(t *testing.T) {
		f := &fake{dialFails: -1}
		client := f.signedIn(t, tillbook.WithRetries(8))
		began := time.Now()
		_, err := client.Wallet.Balances(t.Context())
		total = time.Since(began)
		if !errors.Is(err, tillbook.ReasonUnavailable) || f.dials != 9 {
			t.Errorf("got %v after %d attempts, want UNAVAILABLE after 9", err, f.dials)
		}
	})
	// 100 ms doubling to 5 s, eight times, at most; and chance never gives none.
	if longest := 16300 * time.Millisecond; total <= 0 || total > longest {
		t.Errorf("retried for %v, want more than none and at most %v", total, longest)
	}
}

func TestTheServersRetryInfoIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		client := f.signedIn(t)
		n := 0
		f.transfer = func(_ context.Context, r *walletv1.TransferRequest) (*walletv1.TransferResponse, error) {
			if n++; n <= 2 {
				return nil, failure(connect.CodeResourceExhausted, errorv1.ErrorReason_ERROR_REASON_OVERLOADED,
					notExecuted(), retryAfter(3*time.Second))
			}
			return f.pay(r)
		}
		began := time.Now()
		if _, err := client.Wallet.Transfer(t.Context(), payment()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 6*time.Second || took > 7*time.Second {
			t.Errorf("took %v, want twice 3 s and a little chance", took)
		}
	})
}

func TestALongWaitIsLeftToTheCaller(t *testing.T) {
	for name, details := range map[string]error{
		"20 seconds": failure(connect.CodeResourceExhausted, errorv1.ErrorReason_ERROR_REASON_RATE_LIMITED,
			notExecuted(), retryAfter(20*time.Second)),
		"no time": failure(connect.CodeResourceExhausted, errorv1.ErrorReason_ERROR_REASON_RATE_LIMITED, notExecuted()),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{}
				client := f.signedIn(t)
				f.transfer = func(context.Context, *walletv1.TransferRequest) (*walletv1.TransferResponse, error) {
					return nil, details
				}
				began := time.Now()
				_, err := client.Wallet.Transfer(t.Context(), payment())
				if !errors.Is(err, tillbook.ReasonRateLimited) || time.Since(began) != 0 {
					t.Errorf("got %v after %v, want RATE_LIMITED at once", err, time.Since(began))
				}
				if want := 20 * time.Second; name == "20 seconds" && asError(t, err).RetryAfter != want {
					t.Errorf("retry after %v, want %v", asError(t, err).RetryAfter, want)
				}
			})
		})
	}
}

func TestAnAttemptThatHangsIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		client := f.signedIn(t)
		f.plan(silence, silence)
		began := time.Now()
		if _, err := client.Wallet.Transfer(t.Context(), payment()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 20*time.Second || took > 21*time.Second {
			t.Errorf("took %v, want two attempts of 10 s and a third", took)
		}
	})
}

func TestACallWithoutADeadlineGetsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		client := f.signedIn(t, tillbook.WithTimeout(25*time.Second))
		f.plan(silence, silence, silence, silence)
		began := time.Now()
		_, err := client.Wallet.Transfer(t.Context(), payment())
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, tillbook.ReasonDeadlineExceeded) {
			t.Errorf("got %v, want the deadline's error", err)
		}
		if took := time.Since(began); took != 25*time.Second {
			t.Errorf("took %v, want 25 s", took)
		}
		if e := asError(t, err); e.Outcome != tillbook.OutcomeUnknown {
			t.Errorf("the outcome is %v, want UNKNOWN", e.Outcome)
		}
	})
}

func TestTheCallersContextEndsRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{dialFails: -1}
		client := f.signedIn(t, tillbook.WithRetries(10))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		_, err := client.Wallet.Balances(ctx)
		if !errors.Is(err, context.Canceled) || time.Since(began) > time.Second {
			t.Errorf("got %v after %v, want the cancellation after a second", err, time.Since(began))
		}
	})
}
