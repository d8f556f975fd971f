package checkout_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/server/checkout/checkouttest"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rpc"
)

// code makes a customer's payment code of at most so much.
func (w *world) code(user uuid.UUID, maximum string) string {
	w.Helper()
	value, err := money.Parse(w.Context(), w.books.Ledger(), amount(maximum), "maximum")
	if err != nil {
		w.Fatal(err)
	}
	code, _, err := w.desks[1].IssueCode(w.Context(), user, value)
	if err != nil {
		w.Fatal(err)
	}
	return code
}

func (w *world) charge(c *checkout.Checkout, code string) *checkout.Charge {
	return &checkout.Charge{Terminal: w.shop.Terminal, Key: w.key(), Checkout: name(c), Code: code}
}

func TestACodePaysACheckoutAndIsThenUsed(t *testing.T) {
	w := newWorld(t)
	w.shop.Charge(t, "USD", 100, 0)
	c, other := w.sell("10.00 USD"), w.sell("5.00 USD")
	code := w.code(w.customer.ID, "10.00 USD")
	r := w.charge(c, code)
	paid, err := w.desks[0].Charge(t.Context(), r)
	if err != nil || paid.State != checkout.Succeeded {
		t.Fatalf("charging gives %v, %v", paid, err)
	}
	w.wantMoney("990.00", "9.90", "0.00", "0.10")
	_, err = w.desks[0].Charge(t.Context(), w.charge(other, code))
	w.wantReason(err, "PAYMENT_CODE_INVALID")
	w.wantState(other, checkout.Created)

	// The answer was lost, and meanwhile the customer has another code.
	w.code(w.customer.ID, "10.00 USD")
	if again, err := w.desks[1].Charge(t.Context(), r); err != nil || again.Payment != paid.Payment {
		t.Errorf("charging again gives %v, %v", again, err)
	}
	r.Checkout = name(other)
	_, err = w.desks[0].Charge(t.Context(), r)
	w.wantReason(err, "IDEMPOTENCY_KEY_REUSED")
	w.wantMoney("990.00", "9.90", "0.00", "0.10")
	w.wantEvents(c, "created succeeded")
}

func TestACodeAuthorizesAManualCheckoutOnce(t *testing.T) {
	w := newWorld(t)
	d := w.draft("10.00 USD")
	d.Capture = checkoutv1.CaptureMode_CAPTURE_MODE_MANUAL
	c, other := w.create(d), w.sellManually("1.00 USD")
	code := w.code(w.customer.ID, "10.00 USD")
	r := w.charge(c, code)
	for i := range 2 {
		if held, err := w.desks[i].Charge(t.Context(), r); err != nil || held.State != checkout.Authorized {
			t.Fatalf("charging gives %v, %v", held, err)
		}
	}
	_, err := w.desks[0].Charge(t.Context(), w.charge(other, code))
	w.wantReason(err, "PAYMENT_CODE_INVALID")
	if _, err := w.desks[0].Cancel(t.Context(), checkout.Scope{Terminal: w.shop.Terminal}, name(c)); err != nil {
		t.Fatal(err)
	}
	_, err = w.desks[0].Charge(t.Context(), w.charge(other, code)) // used all the same
	w.wantReason(err, "PAYMENT_CODE_INVALID")
}

func TestAChargeIsRefusedByName(t *testing.T) {
	w := newWorld(t)
	elsewhere := checkouttest.Open(t, w.store, w.books.User(t, "bobby").ID)
	poor := w.books.User(t, "cindy")
	euro := w.draft("1.00 EUR")
	canceled, expired := w.bring(checkout.Canceled), w.bring(checkout.Expired)
	stale := w.code(w.customer.ID, "100.00 USD")
	cases := []struct {
		what, code string
		of         *checkout.Checkout
		terminal   uuid.UUID
		reason     string
	}{
		{"a replaced code", stale, w.sell("1.00 USD"), w.shop.Terminal, "PAYMENT_CODE_INVALID"},
		{"nonsense", "123", w.sell("1.00 USD"), w.shop.Terminal, "PAYMENT_CODE_INVALID"},
		{"too much", "", w.sell("100.01 USD"), w.shop.Terminal, "PAYMENT_CODE_EXCEEDED"},
		{"another asset", "", w.create(euro), w.shop.Terminal, "PAYMENT_CODE_EXCEEDED"},
		{"the owner's", w.code(w.owner.ID, "100.00 USD"), w.sell("1.00 USD"), w.shop.Terminal, "SELF_TRANSFER"},
		{"no money", w.code(poor.ID, "100.00 USD"), w.sell("1.00 USD"), w.shop.Terminal, "INSUFFICIENT_FUNDS"},
		{"another's checkout", "", w.sell("1.00 USD"), elsewhere.Terminal, "NOT_FOUND"},
		{"a canceled one", "", canceled, w.shop.Terminal, "CHECKOUT_CLOSED"},
		{"an expired one", "", expired, w.shop.Terminal, "CHECKOUT_EXPIRED"},
	}
	good := w.code(w.customer.ID, "100.00 USD")
	for _, c := range cases {
		t.Run(c.what, func(t *testing.T) {
			if c.code == "" {
				c.code = good
			}
			r := w.charge(c.of, c.code)
			r.Terminal = c.terminal
			_, err := w.desks[0].Charge(t.Context(), r)
			if got := rpc.ReasonName(rpc.ReasonOf(err)); err == nil || got != c.reason {
				t.Errorf("got %s (%v), want %s", got, err, c.reason)
			}
		})
	}
	// What was refused didn't use the code up.
	if _, err := w.desks[0].Charge(t.Context(), w.charge(w.sell("100.00 USD"), good)); err != nil {
		t.Error(err)
	}
}

func TestATerminalLearnsNothingOfACustomersLimits(t *testing.T) {
	w := newWorld(t)
	w.books.Fund(t, w.customer, "500.00 USD")
	_, err := w.desks[0].Charge(t.Context(), w.charge(w.sell("1000.01 USD"), w.code(w.customer.ID, "2000.00 USD")))
	if e := w.wantReason(err, "LIMIT_EXCEEDED"); strings.ContainsAny(e.Message(), "0123456789") {
		t.Errorf("it says %q", e.Message())
	}
}

func TestACodesTimeEnds(t *testing.T) {
	w := newWorld(t)
	c := w.sell("1.00 USD")
	code := w.code(w.customer.ID, "10.00 USD")
	var left float64
	if err := w.store.Pool.QueryRow(t.Context(), `SELECT extract(epoch FROM expire_time - now()) FROM payment_codes`).Scan(&left); err != nil {
		t.Fatal(err)
	}
	if left < 30 || left > 60 {
		t.Errorf("a code works for %v seconds, want 60", left)
	}
	if _, err := w.store.Pool.Exec(t.Context(), `UPDATE payment_codes SET expire_time = clock_timestamp()`); err != nil {
		t.Fatal(err)
	}
	_, err := w.desks[0].Charge(t.Context(), w.charge(c, code))
	w.wantReason(err, "PAYMENT_CODE_INVALID")
	w.wantState(c, checkout.Created)
}

func TestTheCodeItselfIsNotKept(t *testing.T) {
	w := newWorld(t)
	code := w.code(w.customer.ID, "10.00 USD")
	var row string
	if err := w.store.Pool.QueryRow(t.Context(), `SELECT payment_codes::text || encode(code_hash, 'escape') FROM payment_codes`).Scan(&row); err != nil {
		t.Fatal(err)
	}
	if len(code) != 20 || row == "" {
		t.Errorf("the code is %q", code)
	}
	for i := range len(code) - 8 {
		if part := code[i : i+8]; strings.Contains(row, part) {
			t.Errorf("the row has %q of the code", part)
		}
	}
}

func TestACodeThatRacesPaysOneCheckoutOnce(t *testing.T) {
	w := newWorld(t)
	var list []*checkout.Checkout
	for range 10 {
		list = append(list, w.sell("1.00 USD"))
	}
	code := w.code(w.customer.ID, "5.00 USD")
	keys := make([]string, len(list))
	for i := range keys {
		keys[i] = w.key()
	}
	var paid atomic.Int64
	together(50, func(i int) { // five times each, on both replicas
		r := w.charge(list[i%10], code)
		r.Key = keys[i%10]
		_, err := w.desks[i/10%2].Charge(t.Context(), r)
		if err == nil {
			paid.Add(1)
		} else if got := rpc.ReasonName(rpc.ReasonOf(err)); got != "PAYMENT_CODE_INVALID" {
			t.Errorf("call %d: %v", i, err)
		}
	})
	if paid.Load() != 5 {
		t.Errorf("%d calls were told that they were paid, want the 5 of one checkout", paid.Load())
	}
	w.wantPaid(1)
}
