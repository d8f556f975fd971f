package tillbook_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	tillbook "github.com/tillbook/tillbook/sdk"
)

func TestAnUnknownOutcomeIsResolvedWithTheErrorsKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		client := f.signedIn(t)
		f.plan(lostResponse, lostRequest, badGateway, lostRequest, lostRequest)
		_, err := client.Wallet.Transfer(t.Context(), payment())
		e := asError(t, err)
		if e.Outcome != tillbook.OutcomeUnknown || !errors.Is(err, tillbook.ReasonOutcomeUnknown) || e.IdempotencyKey == "" {
			t.Fatalf("got %v with outcome %v and key %q", err, e.Outcome, e.IdempotencyKey)
		}
		again := payment()
		again.IdempotencyKey = e.IdempotencyKey
		if _, err := client.Wallet.Transfer(t.Context(), again); err != nil {
			t.Fatal(err)
		}
		if f.paid() != 1 {
			t.Errorf("paid %d times", f.paid())
		}
	})
}

// A refusal of the second attempt says nothing about the first, which may have
// moved the money.
func TestARefusalOfARetryLeavesAnUnknownOutcomeUnknown(t *testing.T) {
	for reason, want := range map[errorv1.ErrorReason]tillbook.Outcome{
		errorv1.ErrorReason_ERROR_REASON_SESSION_REVOKED:    tillbook.OutcomeUnknown,
		errorv1.ErrorReason_ERROR_REASON_NOT_FOUND:          tillbook.OutcomeUnknown,
		errorv1.ErrorReason_ERROR_REASON_INSUFFICIENT_FUNDS: tillbook.OutcomeNotExecuted, // Decided under the key.
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{}
			client := f.signedIn(t)
			f.plan(lostResponse)
			f.transfer = func(context.Context, *walletv1.TransferRequest) (*walletv1.TransferResponse, error) {
				return nil, failure(connect.CodeFailedPrecondition, reason, notExecuted())
			}
			_, err := client.Wallet.Transfer(t.Context(), payment())
			if e := asError(t, err); e.Outcome != want {
				t.Errorf("%v: the outcome is %v, want %v", reason, e.Outcome, want)
			}
		})
	}
}

func TestAPaymentThatNeverLeftMovedNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{dialFails: -1}
		client := f.signedIn(t)
		_, err := client.Wallet.Transfer(t.Context(), payment())
		if e := asError(t, err); e.Outcome != tillbook.OutcomeNotExecuted || errors.Is(err, tillbook.ReasonOutcomeUnknown) {
			t.Errorf("got %v with outcome %v, want NOT_EXECUTED", err, e.Outcome)
		}
	})
}

func TestARequestThatCantBeWrittenIsRefusedBeforeItLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		client := f.signedIn(t)
		request := payment()
		request.Note = "\xff"
		_, err := client.Wallet.Transfer(t.Context(), request)
		e := asError(t, err)
		if e.Reason != tillbook.ReasonInvalidArgument || e.Outcome != tillbook.OutcomeNotExecuted {
			t.Errorf("got %v with outcome %v", err, e.Outcome)
		}
		if n := f.count(walletv1connect.WalletServiceTransferProcedure); n != 0 {
			t.Errorf("%d requests arrived", n)
		}
	})
}

func TestTheServersUnknownOutcomeIsAskedAbout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		client := f.signedIn(t)
		n := 0
		f.transfer = func(_ context.Context, r *walletv1.TransferRequest) (*walletv1.TransferResponse, error) {
			response, err := f.pay(r)
			if n++; n < 3 {
				return nil, failure(connect.CodeUnknown, errorv1.ErrorReason_ERROR_REASON_OUTCOME_UNKNOWN,
					&errorv1.OutcomeInfo{Outcome: errorv1.Outcome_OUTCOME_UNKNOWN})
			}
			return response, err
		}
		if _, err := client.Wallet.Transfer(t.Context(), payment()); err != nil || f.paid() != 1 {
			t.Errorf("got %v, paid %d times", err, f.paid())
		}
	})
}

func TestAnErrorSaysAllThatTheServerSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		client := f.signedIn(t)
		f.transfer = func(context.Context, *walletv1.TransferRequest) (*walletv1.TransferResponse, error) {
			return nil, failure(connect.CodeInvalidArgument, errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, notExecuted(),
				&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
					{Field: "amount.asset", Description: "must be a code"},
				}})
		}
		_, err := client.Wallet.Transfer(t.Context(), payment())
		e := asError(t, err)
		if e.Code != connect.CodeInvalidArgument || e.Reason != tillbook.ReasonInvalidArgument || e.RequestID != "req-1" ||
			len(e.Fields) != 1 || e.Fields[0].Field != "amount.asset" || e.Outcome != tillbook.OutcomeNotExecuted {
			t.Errorf("got %+v", e)
		}
		want := "tillbook: WalletService/Transfer: INVALID_ARGUMENT: A sentence about ERROR_REASON_INVALID_ARGUMENT.; amount.asset: must be a code"
		if err.Error() != want {
			t.Errorf("got  %s\nwant %s", err, want)
		}
		if connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Error("the transport's error is gone")
		}
	})
}

// What a proxy or another product says is not a reason of ours.
func TestReasonsOfOtherDomainsAreNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		client := f.signedIn(t)
		f.transfer = func(context.Context, *walletv1.TransferRequest) (*walletv1.TransferResponse, error) {
			detail, err := connectproto.NewErrorDetail(&errdetails.ErrorInfo{Reason: "INSUFFICIENT_FUNDS", Domain: "example.com"})
			if err != nil {
				return nil, err
			}
			return nil, connect.NewError(connect.CodePermissionDenied, "no").WithDetail(detail)
		}
		_, err := client.Wallet.Transfer(t.Context(), payment())
		if !errors.Is(err, tillbook.ReasonPermissionDenied) || errors.Is(err, tillbook.ReasonInsufficientFunds) {
			t.Errorf("got %v", err)
		}
	})
}

// Over HTTP/2 too, a request that reached the server counts as sent.
func TestOverHTTP2ALostAnswerIsUnknownToo(t *testing.T) {
	f := &fake{}
	server := httptest.NewUnstartedServer(f.handler())
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	client, err := tillbook.New(server.URL, tillbook.WithHTTPClient(server.Client()), tillbook.WithRetries(0),
		tillbook.WithSession(f.newSession("")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	f.plan(lostRequest, lostRequest)
	_, err = client.Wallet.Transfer(t.Context(), payment())
	if e := asError(t, err); e.Outcome != tillbook.OutcomeUnknown {
		t.Errorf("got %v with outcome %v, want UNKNOWN", err, e.Outcome)
	}
	if _, err := client.Auth.Register(t.Context(), &tillbook.RegisterRequest{}); !errors.Is(err, tillbook.ReasonUnavailable) {
		t.Errorf("got %v, want UNAVAILABLE", err)
	}
	if n := f.count(authv1connect.AuthServiceRegisterProcedure); n != 1 {
		t.Errorf("Register arrived %d times", n)
	}
}

// An HTTP client of the caller's own may not tell what it does with
// connections; then nothing is taken for unsent.
func TestAnHTTPClientThatTellsNothingIsNotTrusted(t *testing.T) {
	calls := 0
	mute := roundTripper(func(*http.Request) (*http.Response, error) {
		calls++
		return nil, errors.New("something broke")
	})
	client, err := tillbook.New("http://tillbook.test", tillbook.WithHTTPClient(&http.Client{Transport: mute}),
		tillbook.WithRetries(0), tillbook.WithSession(&tillbook.Session{AccessToken: "a", AccessExpireTime: never}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	_, err = client.Wallet.Transfer(t.Context(), payment())
	if e := asError(t, err); e.Outcome != tillbook.OutcomeUnknown || calls != 1 {
		t.Errorf("got %v with outcome %v after %d calls, want UNKNOWN", err, e.Outcome, calls)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

func TestErrorsNeverShowTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		client := f.signedIn(t)
		f.plan(lostRequest, lostRequest, lostRequest, lostRequest, lostRequest)
		_, err := client.Wallet.Balances(t.Context())
		if err == nil || strings.Contains(err.Error(), f.access) {
			t.Errorf("got %v", err)
		}
	})
}
