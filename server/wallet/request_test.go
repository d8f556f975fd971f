package wallet_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/store/id"
)

const (
	stateOpen     = walletv1.PaymentRequestState_PAYMENT_REQUEST_STATE_OPEN
	statePaid     = walletv1.PaymentRequestState_PAYMENT_REQUEST_STATE_PAID
	stateDeclined = walletv1.PaymentRequestState_PAYMENT_REQUEST_STATE_DECLINED
	stateCanceled = walletv1.PaymentRequestState_PAYMENT_REQUEST_STATE_CANCELED
	stateExpired  = walletv1.PaymentRequestState_PAYMENT_REQUEST_STATE_EXPIRED
)

// ask is a request for a sum from somebody.
func ask(key, sum string, from *walletv1.Recipient) *walletv1.CreatePaymentRequestRequest {
	return &walletv1.CreatePaymentRequestRequest{IdempotencyKey: key, Payer: from, Amount: amount(sum)}
}

// mustAsk asks and returns the request's id.
func mustAsk(t testing.TB, c walletv1connect.WalletServiceClient, req *walletv1.CreatePaymentRequestRequest) string {
	t.Helper()
	res, err := c.CreatePaymentRequest(t.Context(), req)
	if err != nil {
		t.Fatalf("ask %s: %v", req.GetIdempotencyKey(), err)
	}
	return res.GetPaymentRequest().GetPaymentRequestId()
}

// mustAskFor asks for payment within so long, or longer if that is over before a busy
// machine has asked, which is refused, rightly.
func mustAskFor(t testing.TB, c walletv1connect.WalletServiceClient, req *walletv1.CreatePaymentRequestRequest, life time.Duration) string {
	t.Helper()
	for ; life < time.Minute; life *= 2 {
		req.ExpireTime = timestamppb.New(time.Now().Add(life))
		res, err := c.CreatePaymentRequest(t.Context(), req)
		if err == nil {
			return res.GetPaymentRequest().GetPaymentRequestId()
		}
		if moneytest.ReadRefusal(t, err).Reason != "EXPIRE_TIME_INVALID" {
			t.Fatalf("ask %s: %v", req.GetIdempotencyKey(), err)
		}
	}
	t.Fatalf("ask %s: not even a minute is enough", req.GetIdempotencyKey())
	return ""
}

func payAsked(t testing.TB, c walletv1connect.WalletServiceClient, key, request string) (*walletv1.Transaction, error) {
	t.Helper()
	res, err := c.PayPaymentRequest(t.Context(), &walletv1.PayPaymentRequestRequest{IdempotencyKey: key, PaymentRequestId: request})
	return res.GetTransaction(), err
}

func decline(t testing.TB, c walletv1connect.WalletServiceClient, request string) (*walletv1.PaymentRequest, error) {
	t.Helper()
	res, err := c.DeclinePaymentRequest(t.Context(), &walletv1.DeclinePaymentRequestRequest{PaymentRequestId: request})
	return res.GetPaymentRequest(), err
}

func cancelAsked(t testing.TB, c walletv1connect.WalletServiceClient, request string) (*walletv1.PaymentRequest, error) {
	t.Helper()
	res, err := c.CancelPaymentRequest(t.Context(), &walletv1.CancelPaymentRequestRequest{PaymentRequestId: request})
	return res.GetPaymentRequest(), err
}

func asked(t testing.TB, c walletv1connect.WalletServiceClient, request string) *walletv1.PaymentRequest {
	t.Helper()
	res, err := c.GetPaymentRequest(t.Context(), &walletv1.GetPaymentRequestRequest{PaymentRequestId: request})
	if err != nil {
		t.Fatalf("get request %s: %v", request, err)
	}
	return res.GetPaymentRequest()
}

// listAsked returns all pages of a list of requests, of two a page.
func listAsked(t testing.TB, c walletv1connect.WalletServiceClient, sent bool, state walletv1.PaymentRequestState) (all []*walletv1.PaymentRequest) {
	t.Helper()
	req := &walletv1.ListPaymentRequestsRequest{Sent: sent, State: state, PageSize: 2}
	for {
		res, err := c.ListPaymentRequests(t.Context(), req)
		if err != nil {
			t.Fatalf("list requests: %v", err)
		}
		if len(res.GetPaymentRequests()) > 2 {
			t.Fatalf("a page of two has %d requests", len(res.GetPaymentRequests()))
		}
		all = append(all, res.GetPaymentRequests()...)
		if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
			return all
		}
	}
}

// execute changes the database as its superuser.
func execute(t testing.TB, books *moneytest.Books, sql string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), books.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func TestARequestIsPaidOnceAndBothSidesSeeIt(t *testing.T) {
	books := moneytest.New(t)
	here, there := serve(t, books), serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "10.00 USD")

	req := ask("lunch", "4.5 USD", byName("alice"))
	req.Note = "lunch on Friday"
	begin := time.Now()
	request := mustAsk(t, here.as(bob), req)
	seen := asked(t, there.as(alice), request)
	if life := seen.GetExpireTime().AsTime().Sub(begin); life < 23*time.Hour || life > 25*time.Hour {
		t.Errorf("a request that doesn't say lives for %v", life)
	}
	if seen.GetSent() || seen.GetState() != stateOpen || text(seen.GetAmount()) != "4.50 USD" || seen.GetNote() != req.GetNote() ||
		seen.GetCounterparty().GetUserId() != bob.Name || seen.GetCounterparty().GetMaskedName() != "b***y" ||
		seen.GetTransactionId() != "" || seen.GetCloseTime() != nil {
		t.Errorf("who is asked sees %v", seen)
	}
	if own := asked(t, here.as(bob), request); !own.GetSent() || own.GetCounterparty().GetUserId() != alice.Name {
		t.Errorf("who asks sees %v", own)
	}

	paid, err := payAsked(t, there.as(alice), "pay", request)
	if err != nil {
		t.Fatal(err)
	}
	if got := lines([]*walletv1.Transaction{paid})[0]; got != "TRANSACTION_KIND_TRANSFER -4.50 USD after 5.50 with b***y" || paid.GetNote() != req.GetNote() {
		t.Errorf("the payer was told %s with note %q", got, paid.GetNote())
	}
	again, err := payAsked(t, here.as(alice), "pay", request)
	if err != nil || !proto.Equal(again, paid) {
		t.Errorf("a retry was told %v, %v; the first %v", again, err, paid)
	}
	_, err = payAsked(t, here.as(alice), "another-key", request)
	moneytest.WantNothingMoved(t, err, "PAYMENT_REQUEST_CLOSED")
	for _, side := range []moneytest.User{alice, bob} {
		now := asked(t, here.as(side), request)
		if now.GetState() != statePaid || now.GetTransactionId() != paid.GetTransactionId() || now.GetCloseTime() == nil {
			t.Errorf("%s sees %v", side.Username, now)
		}
	}
	wantBalance(t, books, alice, "5.50 USD")
	wantBalance(t, books, bob, "4.50 USD")
}

func TestADeclinedOrCanceledRequestStaysSo(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "10.00 USD")
	declined := mustAsk(t, r.as(bob), ask("1", "1 USD", byID(alice)))
	canceled := mustAsk(t, r.as(bob), ask("2", "1 USD", byID(alice)))

	for range 2 { // the second time answers as the first
		if got, err := decline(t, r.as(alice), declined); err != nil || got.GetState() != stateDeclined || got.GetCloseTime() == nil {
			t.Errorf("declining answers %v, %v", got, err)
		}
		if got, err := cancelAsked(t, r.as(bob), canceled); err != nil || got.GetState() != stateCanceled || got.GetCloseTime() == nil {
			t.Errorf("canceling answers %v, %v", got, err)
		}
	}
	_, err := cancelAsked(t, r.as(bob), declined)
	moneytest.WantRefusal(t, err, "PAYMENT_REQUEST_CLOSED")
	_, err = decline(t, r.as(alice), canceled)
	moneytest.WantRefusal(t, err, "PAYMENT_REQUEST_CLOSED")
	for _, request := range []string{declined, canceled} {
		_, err := payAsked(t, r.as(alice), "pay", request)
		moneytest.WantNothingMoved(t, err, "PAYMENT_REQUEST_CLOSED")
	}
	wantBalance(t, books, alice, "10.00 USD")
}

func TestAnExpiredRequestCanNeitherBePaidNorEnded(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "10.00 USD")
	req := ask("soon", "1 USD", byID(alice))
	request := mustAskFor(t, r.as(bob), req, 100*time.Millisecond)
	time.Sleep(time.Until(req.GetExpireTime().AsTime()) + 10*time.Millisecond)

	_, err := payAsked(t, r.as(alice), "pay", request)
	moneytest.WantNothingMoved(t, err, "PAYMENT_REQUEST_EXPIRED")
	_, err = decline(t, r.as(alice), request)
	moneytest.WantRefusal(t, err, "PAYMENT_REQUEST_EXPIRED")
	_, err = cancelAsked(t, r.as(bob), request)
	moneytest.WantRefusal(t, err, "PAYMENT_REQUEST_EXPIRED")
	if got := asked(t, r.as(bob), request); got.GetState() != stateExpired || got.GetCloseTime() != nil {
		t.Errorf("the request is %v", got)
	}
	// A retry is still the first request, which its key made in time.
	if again := mustAsk(t, r.as(bob), req); again != request {
		t.Errorf("a retry made %s, the first %s", again, request)
	}
}

func TestARequestThatCannotBeIsRefused(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	days := func(n int) *timestamppb.Timestamp {
		return timestamppb.New(time.Now().Add(time.Duration(n) * 24 * time.Hour))
	}
	for name, tt := range map[string]struct {
		payer  *walletv1.Recipient
		sum    string
		expire *timestamppb.Timestamp
		reason string
	}{
		"of oneself":       {payer: byID(bob), sum: "1 USD", reason: "SELF_TRANSFER"},
		"of nobody":        {payer: byName("nobody"), sum: "1 USD", reason: "RECIPIENT_NOT_FOUND"},
		"of no number":     {payer: byPhone("+6281"), sum: "1 USD", reason: "RECIPIENT_NOT_FOUND"},
		"for nothing":      {payer: byID(alice), sum: "0 USD", reason: "AMOUNT_NOT_POSITIVE"},
		"for less":         {payer: byID(alice), sum: "-1 USD", reason: "AMOUNT_NOT_POSITIVE"},
		"too precise":      {payer: byID(alice), sum: "0.001 USD", reason: "AMOUNT_TOO_PRECISE"},
		"of no asset":      {payer: byID(alice), sum: "1 XYZ", reason: "ASSET_NOT_FOUND"},
		"over before":      {payer: byID(alice), sum: "1 USD", expire: days(-1), reason: "EXPIRE_TIME_INVALID"},
		"for too long":     {payer: byID(alice), sum: "1 USD", expire: days(31), reason: "EXPIRE_TIME_INVALID"},
		"until no time":    {payer: byID(alice), sum: "1 USD", expire: &timestamppb.Timestamp{Nanos: -1}, reason: "EXPIRE_TIME_INVALID"},
		"without whom":     {sum: "1 USD", reason: "INVALID_ARGUMENT"},
		"for no such sum":  {payer: byID(alice), sum: "x USD", reason: "INVALID_ARGUMENT"},
		"for a huge sum":   {payer: byID(alice), sum: "9999999999999999999999999999999999999 USD", reason: "AMOUNT_OUT_OF_RANGE"},
		"just in time":     {payer: byID(alice), sum: "1 USD", expire: days(29)},
		"in unknown money": {payer: byID(alice), sum: "1 usd", reason: "INVALID_ARGUMENT"},
	} {
		t.Run(name, func(t *testing.T) {
			req := ask(name, tt.sum, tt.payer)
			req.IdempotencyKey, req.ExpireTime = fmt.Sprintf("%x", name), tt.expire
			_, err := r.as(bob).CreatePaymentRequest(t.Context(), req)
			if tt.reason == "" && err == nil {
				return
			}
			got := moneytest.WantRefusal(t, err, tt.reason)
			if tt.reason == "RECIPIENT_NOT_FOUND" && got.Field != "payer" {
				t.Errorf("the error names field %q", got.Field)
			}
		})
	}
}

func TestARequestsKeyStandsForOneRequest(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "10.00 USD")
	requests := make([]string, 20)
	together(len(requests), func(i int) {
		payer := []*walletv1.Recipient{byID(alice), byName("ALICE"), byPhone(alice.Phone)}[i%3]
		requests[i] = mustAsk(t, replicas[i%2].as(bob), ask("once", []string{"2 USD", "2.00 USD"}[i%2], payer))
	})
	for _, other := range requests {
		if other != requests[0] {
			t.Fatalf("one key made %s and %s", requests[0], other)
		}
	}
	if all := listAsked(t, replicas[0].as(bob), true, 0); len(all) != 1 {
		t.Errorf("there are %d requests, want 1", len(all))
	}
	_, err := replicas[0].as(bob).CreatePaymentRequest(t.Context(), ask("once", "3 USD", byID(alice)))
	moneytest.WantRefusal(t, err, "IDEMPOTENCY_KEY_REUSED")

	// Paying has keys of its own, which are those of the payer's payments.
	other := mustAsk(t, replicas[0].as(bob), ask("other", "1 USD", byID(alice)))
	if _, err := payAsked(t, replicas[0].as(alice), "pay", requests[0]); err != nil {
		t.Fatal(err)
	}
	_, err = payAsked(t, replicas[1].as(alice), "pay", other)
	moneytest.WantNothingMoved(t, err, "IDEMPOTENCY_KEY_REUSED")
	_, err = replicas[1].as(alice).Transfer(t.Context(), transfer("pay", "2 USD", byID(bob)))
	moneytest.WantNothingMoved(t, err, "IDEMPOTENCY_KEY_REUSED")
	wantBalance(t, books, alice, "8.00 USD")
}

func TestARequestStaysOpenWhenItCannotBePaidYet(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	request := mustAsk(t, r.as(bob), ask("1", "5 USD", byID(alice)))
	for _, funds := range []string{"", "4.99 USD"} {
		if funds != "" {
			books.Fund(t, alice, funds)
		}
		_, err := payAsked(t, r.as(alice), "pay", request)
		moneytest.WantNothingMoved(t, err, "INSUFFICIENT_FUNDS")
	}
	if got := asked(t, r.as(alice), request).GetState(); got != stateOpen {
		t.Errorf("after refusals it is %v", got)
	}
	books.Fund(t, alice, "0.01 USD")
	if _, err := payAsked(t, r.as(alice), "pay", request); err != nil {
		t.Errorf("with the funds, the same key is refused: %v", err)
	}
	wantBalance(t, books, bob, "5.00 USD")
}

func TestARequestIsNobodyElses(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob, carol := books.User(t, "alice"), books.User(t, "bobby"), books.User(t, "carol")
	for _, u := range []moneytest.User{alice, bob, carol} {
		books.Fund(t, u, "10.00 USD")
	}
	request := mustAsk(t, r.as(bob), ask("1", "5 USD", byID(alice)))
	unknown := id.Format(id.Request, id.New())

	for name, try := range map[string]func() error{
		"a stranger reads it": func() error {
			_, err := r.as(carol).GetPaymentRequest(t.Context(), &walletv1.GetPaymentRequestRequest{PaymentRequestId: request})
			return err
		},
		"a stranger declines it":    func() error { _, err := decline(t, r.as(carol), request); return err },
		"a stranger cancels it":     func() error { _, err := cancelAsked(t, r.as(carol), request); return err },
		"the payer cancels it":      func() error { _, err := cancelAsked(t, r.as(alice), request); return err },
		"the requester declines it": func() error { _, err := decline(t, r.as(bob), request); return err },
		"somebody reads one of none": func() error {
			_, err := r.as(bob).GetPaymentRequest(t.Context(), &walletv1.GetPaymentRequestRequest{PaymentRequestId: unknown})
			return err
		},
		"somebody declines one of none": func() error { _, err := decline(t, r.as(alice), unknown); return err },
		"somebody cancels one of none":  func() error { _, err := cancelAsked(t, r.as(bob), unknown); return err },
	} {
		t.Run(name, func(t *testing.T) { moneytest.WantRefusal(t, try(), "NOT_FOUND") })
	}
	for _, u := range []moneytest.User{bob, carol} {
		_, err := payAsked(t, r.as(u), "pay", request)
		moneytest.WantNothingMoved(t, err, "NOT_FOUND")
	}
	_, err := payAsked(t, r.as(alice), "pay", unknown)
	moneytest.WantNothingMoved(t, err, "NOT_FOUND")
	if all := append(listAsked(t, r.as(carol), true, 0), listAsked(t, r.as(carol), false, 0)...); len(all) > 0 {
		t.Errorf("a stranger lists %v", all)
	}
	if got := asked(t, r.as(alice), request).GetState(); got != stateOpen {
		t.Errorf("after all that it is %v", got)
	}
}
