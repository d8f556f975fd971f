package ledger_test

import (
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	"github.com/tillbook/tillbook/gen/tillbook/ledger/v1/ledgerv1connect"
	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/server/checkout/checkouttest"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/store/id"
)

// sale is a checkout of 4 dollars that a customer with 10 has authorized.
type sale struct {
	testing.TB
	replica
	operator ledgerv1connect.LedgerServiceClient
	desk     *checkout.Desk
	customer moneytest.User
	owner    moneytest.User
	shop     checkouttest.Shop
	id       uuid.UUID
}

func authorize(t testing.TB) *sale {
	t.Helper()
	books := moneytest.New(t)
	r := serve(t, books)
	s := &sale{TB: t, replica: r, operator: r.as(newOperator()), customer: books.User(t, "alice"), owner: books.User(t, "owner")}
	books.Fund(t, s.customer, "10.00 USD")
	s.shop = checkouttest.Open(t, r.Store, s.owner.ID)
	s.desk = checkout.New(checkout.Deps{Store: r.Store, Ledger: r.Ledger})
	c, err := s.desk.Create(t.Context(), &checkout.Draft{
		By: checkout.Caller{User: s.owner.ID}, Key: "sale", Merchant: s.shop.Merchant, Terminal: s.shop.Terminal,
		Amount: usd("4.00"), Capture: checkoutv1.CaptureMode_CAPTURE_MODE_MANUAL,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.id = c.ID
	if _, _, err := s.desk.Pay(t.Context(), &checkout.Payment{User: s.customer.ID, Key: "pay", Checkout: id.Format(id.Checkout, s.id)}); err != nil {
		t.Fatal(err)
	}
	return s
}

// hold is what is held for it.
func (s *sale) hold() *ledgerv1.Hold { return getHold(s, s.operator, id.Format(id.Hold, s.id)) }

// wantUntold fails the test if anybody was told of such a happening to any checkout.
func (s *sale) wantUntold(h checkout.Happening) {
	s.Helper()
	if got := s.told(h); len(got) > 0 {
		s.Errorf("%q were told %s", got, h)
	}
}

// wantTold fails the test unless the shop and its terminal were told once, and the
// checkout has the state.
func (s *sale) wantTold(h checkout.Happening, state checkout.State) {
	s.Helper()
	if got, want := s.told(h), []string{money.MerchantScope(s.shop.Merchant), money.TerminalScope(s.shop.Terminal)}; !slices.Equal(got, want) {
		s.Errorf("%q were told %s, want %q", got, h, want)
	}
	now, err := s.desk.Get(s.Context(), checkout.Scope{}, id.Format(id.Checkout, s.id))
	if err != nil || now.State != state {
		s.Errorf("the checkout is %v, %v; want %v", now, err, state)
	}
}

func (s *sale) told(h checkout.Happening) []string {
	s.Helper()
	rows, err := s.Store.Pool.Query(s.Context(), `SELECT subject FROM events WHERE type = $1`, string(h))
	if err != nil {
		s.Fatal(err)
	}
	subjects, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		s.Fatal(err)
	}
	slices.Sort(subjects)
	return subjects
}

// An operator who gives up the hold of a checkout cancels it: the shop and its terminal
// are told in the same commit, once, and of other holds nothing.
func TestGivingUpACheckoutsHoldTellsTheShop(t *testing.T) {
	s := authorize(t)
	void := func(key string, hold *ledgerv1.Hold) {
		t.Helper()
		if _, err := s.operator.VoidHold(t.Context(), &ledgerv1.VoidHoldRequest{IdempotencyKey: key, HoldId: hold.GetHoldId()}); err != nil {
			t.Fatal(err)
		}
	}
	void("other", mustHold(t, s.operator, holdOf("hold", s.customer, "1")))
	s.wantUntold(checkout.Cancel)
	for range 2 {
		void("void", s.hold())
	}
	s.wantTold(checkout.Cancel, checkout.Canceled)
	wantAvailable(t, s.operator, s.customer.Account("USD"), "10.00", "10.00")
}

// So is one paid whose hold an operator captures, by the capture that closes the hold.
func TestCapturingACheckoutsHoldTellsTheShop(t *testing.T) {
	for _, last := range []struct {
		name, amount string
		final        bool
	}{{"the rest", "3.00", false}, {"as the last", "2.00", true}} {
		t.Run(last.name, func(t *testing.T) {
			s := authorize(t)
			capture := func(key string, hold *ledgerv1.Hold, final bool, amount string) {
				t.Helper()
				mustCapture(t, s.operator, captureOf(key, hold, final, "system/hotel/USD "+amount+" USD"))
			}
			capture("other", mustHold(t, s.operator, holdOf("hold", s.customer, "1")), true, "1.00")
			capture("part", s.hold(), false, "1.00")
			s.wantUntold(checkout.Succeed)
			for range 2 {
				capture("last", s.hold(), last.final, last.amount)
			}
			s.wantTold(checkout.Succeed, checkout.Succeeded)
		})
	}
}

// A payment that an operator gives back, in part, whole or as a mistake, is refunded
// for the shop as well.
func TestGivingAPaymentBackTellsTheShop(t *testing.T) {
	for _, how := range []string{"in part", "whole", "reversed"} {
		t.Run(how, func(t *testing.T) {
			s := authorize(t)
			paid, err := s.desk.Capture(t.Context(), &checkout.Change{
				By: checkout.Caller{User: s.owner.ID}, Key: "capture", Merchant: s.shop.Merchant, Checkout: id.Format(id.Checkout, s.id),
			})
			if err != nil {
				t.Fatal(err)
			}
			other := mustPost(t, s.operator, post("other", "no sale", s.customer.Account("USD")+" -1 USD", "system/hotel/USD 1 USD"))
			mustRefund(t, s.operator, refundOf("other-back", other, "1"))
			s.wantUntold(checkout.Refund)
			sold := &ledgerv1.Transaction{TransactionId: id.Format(id.Transaction, paid.Payment)}
			for range 2 {
				switch how {
				case "in part":
					mustRefund(t, s.operator, refundOf("back", sold, "1.50"))
				case "whole":
					mustRefund(t, s.operator, refundOf("back", sold, ""))
				default:
					mustReverse(t, s.operator, reversalOf("back", sold, true))
				}
			}
			s.wantTold(checkout.Refund, checkout.Succeeded)
		})
	}
}
