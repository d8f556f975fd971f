package wallet_test

import (
	"fmt"
	"slices"
	"testing"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/server/money/moneytest"
)

func TestRequestsAreListedNewestFirstByDirectionAndState(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "10.00 USD")
	var sent []string
	for i := range 7 {
		sent = append(sent, mustAsk(t, r.as(bob), ask(fmt.Sprint(i), "1 USD", byID(alice))))
	}
	back := mustAsk(t, r.as(alice), ask("back", "1 USD", byID(bob)))
	if _, err := payAsked(t, r.as(alice), "pay", sent[1]); err != nil {
		t.Fatal(err)
	}
	if _, err := decline(t, r.as(alice), sent[2]); err != nil {
		t.Fatal(err)
	}
	if _, err := cancelAsked(t, r.as(bob), sent[3]); err != nil {
		t.Fatal(err)
	}
	execute(t, books, `UPDATE payment_requests SET expire_time = create_time WHERE id = (SELECT id FROM payment_requests ORDER BY id LIMIT 1)`)

	for _, tt := range []struct {
		of    moneytest.User
		sent  bool
		state walletv1.PaymentRequestState
		want  []string
	}{
		{bob, true, 0, []string{sent[6], sent[5], sent[4], sent[3], sent[2], sent[1], sent[0]}},
		{alice, false, 0, []string{sent[6], sent[5], sent[4], sent[3], sent[2], sent[1], sent[0]}},
		{alice, false, stateOpen, []string{sent[6], sent[5], sent[4]}},
		{alice, false, statePaid, sent[1:2]},
		{bob, true, stateDeclined, sent[2:3]},
		{bob, true, stateCanceled, sent[3:4]},
		{bob, true, stateExpired, sent[0:1]},
		{alice, true, 0, []string{back}},
		{bob, false, 0, []string{back}},
	} {
		var got []string
		for _, p := range listAsked(t, r.as(tt.of), tt.sent, tt.state) {
			if p.GetSent() != tt.sent {
				t.Errorf("a list of sent=%v has %v", tt.sent, p)
			}
			got = append(got, p.GetPaymentRequestId())
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s, sent %v, state %v: %q, want %q", tt.of.Username, tt.sent, tt.state, got, tt.want)
		}
	}
}

func TestAPageTokenOfRequestsFitsItsListAlone(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	for i := range 3 {
		mustAsk(t, r.as(bob), ask(fmt.Sprint(i), "1 USD", byID(alice)))
	}
	page, err := r.as(bob).ListPaymentRequests(t.Context(), &walletv1.ListPaymentRequestsRequest{Sent: true, PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	for name, req := range map[string]*walletv1.ListPaymentRequestsRequest{
		"damaged":         {Sent: true, PageToken: page.GetNextPageToken() + "x"},
		"other direction": {PageToken: page.GetNextPageToken()},
		"other state":     {Sent: true, State: stateOpen, PageToken: page.GetNextPageToken()},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.as(bob).ListPaymentRequests(t.Context(), req)
			moneytest.WantRefusal(t, err, "PAGE_TOKEN_INVALID")
		})
	}
	_, err = r.as(alice).ListPaymentRequests(t.Context(), &walletv1.ListPaymentRequestsRequest{Sent: true, PageToken: page.GetNextPageToken()})
	moneytest.WantRefusal(t, err, "PAGE_TOKEN_INVALID")
}

func TestAskingIsLimitedOverAllReplicas(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	for i := range 30 {
		mustAsk(t, replicas[i%2].as(bob), ask(fmt.Sprint(i), "1 USD", byID(alice)))
	}
	// One more comes back each ten seconds: a slow machine may grant a few.
	for i := range 10 {
		_, err := replicas[i%2].as(bob).CreatePaymentRequest(t.Context(), ask(fmt.Sprintf("more-%d", i), "1 USD", byID(alice)))
		if err == nil {
			continue
		}
		if refusal := moneytest.WantRefusal(t, err, "RATE_LIMITED"); !refusal.Retry {
			t.Error("who asks too often isn't told when to try again")
		}
		return
	}
	t.Error("forty requests were made at once")
}

func TestAUserHasAHundredOpenRequestsAtMost(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	first := mustAsk(t, replicas[0].as(bob), ask("first", "1 USD", byID(alice)))
	execute(t, books, `
		INSERT INTO payment_requests
		SELECT gen_random_uuid(), requester_id, payer_id, asset_id, amount, note, gen_random_uuid(), fingerprint, create_time, expire_time
		  FROM payment_requests, generate_series(1, 94)`)
	// Five are left, whoever asks for them at once.
	made := make([]bool, 20)
	together(len(made), func(i int) {
		_, err := replicas[i%2].as(bob).CreatePaymentRequest(t.Context(), ask(fmt.Sprint(i), "1 USD", byID(alice)))
		if made[i] = err == nil; err != nil {
			moneytest.WantRefusal(t, err, "TOO_MANY_PAYMENT_REQUESTS")
		}
	})
	n := 0
	for _, ok := range made {
		if ok {
			n++
		}
	}
	if n != 5 {
		t.Errorf("%d more were made, want 5", n)
	}
	// What is known is known, and what ends makes room.
	if again := mustAsk(t, replicas[0].as(bob), ask("first", "1 USD", byID(alice))); again != first {
		t.Errorf("a retry made %s, the first %s", again, first)
	}
	if _, err := cancelAsked(t, replicas[0].as(bob), first); err != nil {
		t.Fatal(err)
	}
	mustAsk(t, replicas[1].as(bob), ask("room", "1 USD", byID(alice)))
}
