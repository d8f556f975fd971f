package wallet_test

import (
	"context"
	"fmt"
	"testing"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	"github.com/tillbook/tillbook/server/money/moneytest"
)

func resolve(ctx context.Context, c walletv1connect.WalletServiceClient, r *walletv1.Recipient) (*walletv1.ResolveRecipientResponse, error) {
	return c.ResolveRecipient(ctx, &walletv1.ResolveRecipientRequest{Recipient: r})
}

func TestARecipientIsFoundInThreeWaysAndShownMasked(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "Bobby.99")
	for name, to := range map[string]*walletv1.Recipient{
		"phone":             byPhone(bob.Phone),
		"phone with spaces": byPhone("+62 812-" + bob.Phone[6:]),
		"username":          byName("Bobby.99"),
		"other case":        byName("bOBBY.99"),
		"id":                byID(bob),
	} {
		// The second answer comes from memory.
		for range 2 {
			got, err := resolve(t.Context(), r.as(alice), to)
			if err != nil {
				t.Fatalf("by %s: %v", name, err)
			}
			if got.GetUserId() != bob.Name || got.GetMaskedName() != "B***9" {
				t.Errorf("by %s: found %v", name, got)
			}
		}
	}
}

func TestNobodyIsFoundUntilTheyRegister(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice := books.User(t, "alice")
	_, err := resolve(t.Context(), r.as(alice), byName("bobby"))
	moneytest.WantRefusal(t, err, "RECIPIENT_NOT_FOUND")
	_, err = resolve(t.Context(), r.as(alice), byPhone("+6281"))
	moneytest.WantRefusal(t, err, "PHONE_NUMBER_INVALID")
	bob := books.User(t, "bobby")
	for _, to := range []*walletv1.Recipient{byName("bobby"), byPhone(bob.Phone), byID(bob)} {
		if got, err := resolve(t.Context(), r.as(alice), to); err != nil || got.GetUserId() != bob.Name {
			t.Errorf("after registering: %v, %v", got, err)
		}
	}
}

func TestLookingForPeopleIsLimitedOverAllReplicas(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	for i := range 30 {
		if _, err := resolve(t.Context(), replicas[i%2].as(alice), byID(bob)); err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	for _, r := range replicas {
		_, err := resolve(t.Context(), r.as(alice), byID(bob))
		if got := moneytest.WantRefusal(t, err, "RATE_LIMITED"); !got.Retry {
			t.Error("the client isn't told when to try again")
		}
	}
	if _, err := resolve(t.Context(), replicas[0].as(bob), byID(alice)); err != nil {
		t.Errorf("somebody else is held up: %v", err)
	}
}

func TestPayingIsNoWayAroundTheLimit(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "1.00 USD")
	for i := range 30 {
		_, err := r.as(alice).Transfer(t.Context(), transfer("k", "1 USD", byName(fmt.Sprintf("guess%d", i))))
		moneytest.WantNothingMoved(t, err, "RECIPIENT_NOT_FOUND")
	}
	// Nobody and somebody are now refused alike.
	for _, to := range []*walletv1.Recipient{byName("guess30"), byName("bobby"), byPhone(bob.Phone)} {
		_, err := r.as(alice).Transfer(t.Context(), transfer("k", "1 USD", to))
		moneytest.WantNothingMoved(t, err, "RATE_LIMITED")
	}
	// An id can't be guessed.
	mustPay(t, r.as(alice), transfer("k", "1 USD", byID(bob)))
}

func TestWhoPaysManyPeopleIsNotHeldUp(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice := books.User(t, "alice")
	books.Fund(t, alice, "100.00 USD")
	for i := range 50 {
		to := books.User(t, fmt.Sprintf("worker%d", i))
		mustPay(t, r.as(alice), transfer(to.Username, "1 USD", byName(to.Username)))
	}
}
