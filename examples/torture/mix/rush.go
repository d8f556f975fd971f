package mix

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/tillbook/tillbook/examples/torture/record"
	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	tillbook "github.com/tillbook/tillbook/sdk"
)

// Rush is people beside the mix, for a crowd that is no part of it: they have wallets and
// a shop of their own.
type Rush struct {
	// People pay each other.
	People []*Person

	mix      *Mix
	merchant string
	waiting  []string // checkouts that were authorized and not captured
}

// rushFunds is what each begins with, in cents: more than a flood of cents spends, and
// less than what a wallet may have at the most.
const rushFunds = customerFunds

// NewRush registers people, and has the first authorize so many checkouts of the last,
// who is to capture them.
func (m *Mix) NewRush(ctx context.Context, people, checkouts int) (*Rush, error) {
	r := &Rush{mix: m}
	for i := range people {
		p, err := m.register(ctx, fmt.Sprintf("rush%d", i), rushFunds)
		if err != nil {
			return nil, err
		}
		r.People = append(r.People, p)
	}
	if err := r.authorize(ctx, checkouts); err != nil {
		return nil, fmt.Errorf("authorizing checkouts: %w", err)
	}
	return r, nil
}

func (r *Rush) seller() *Person { return r.People[len(r.People)-1] }

func (r *Rush) authorize(ctx context.Context, checkouts int) error {
	owner, customer := r.seller().patient, r.People[0].patient
	merchant, err := owner.Merchants.Create(ctx, &tillbook.CreateMerchantRequest{Name: "Rush", Country: "ID", City: "Bandung"})
	if err != nil {
		return err
	}
	r.merchant = merchant.GetMerchantId()
	store, err := owner.Merchants.CreateStore(ctx, &tillbook.CreateStoreRequest{MerchantId: r.merchant, Name: "Rush"})
	if err != nil {
		return err
	}
	for range checkouts {
		sale, err := owner.Merchants.Sell(ctx, &tillbook.CreateCheckoutRequest{
			MerchantId: r.merchant, StoreId: store.GetStoreId(), Amount: money(100), Capture: checkoutv1.CaptureMode_CAPTURE_MODE_MANUAL,
		})
		if err != nil {
			return err
		}
		if _, _, err := customer.Wallet.PayCheckout(ctx, &tillbook.PayCheckoutRequest{CheckoutId: sale.GetCheckoutId()}); err != nil {
			return err
		}
		r.waiting = append(r.waiting, sale.GetCheckoutId())
	}
	return nil
}

// Finish captures checkout i, which ends a payment that was begun, and says what each
// attempt brought. It gives up when ctx ends.
func (r *Rush) Finish(ctx context.Context, i int) (attempts []record.Answer) {
	key := rand.Text()
	for n := 0; ctx.Err() == nil; n++ {
		attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
		_, err := r.seller().plain.Merchants.Capture(attempt, &tillbook.CaptureCheckoutRequest{
			IdempotencyKey: key, MerchantId: r.merchant, CheckoutId: r.waiting[i],
		})
		cancel()
		a := record.Answer{Outcome: record.Done}
		if err != nil {
			a = answerTo(err)
		}
		attempts = append(attempts, a)
		if a.Outcome == record.Done || a.Outcome == record.Refused {
			return attempts
		}
		sleep(ctx, pauseAfter(n))
	}
	return attempts
}

// Token authorizes calls as a person.
func (p *Person) Token() string { return p.plain.Session().GetAccessToken() }
