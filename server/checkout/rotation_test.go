package checkout_test

import (
	"sync/atomic"
	"testing"

	"github.com/tillbook/tillbook/server/checkout"
)

func TestACodePaysOnceThoughItsKeyChangedMeanwhile(t *testing.T) {
	keys := [][]byte{[]byte("the key before")}
	var now atomic.Pointer[[][]byte]
	now.Store(&keys)
	w := newWorldWith(t, checkout.Deps{Key: func() [][]byte { return *now.Load() }})
	before, pending, other := w.sell("10.00 USD"), w.sell("20.00 USD"), w.sell("5.00 USD")
	first := w.charge(before, w.code(w.customer.ID, "10.00 USD"))
	paid, err := w.desks[0].Charge(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	code := w.code(w.customer.ID, "20.00 USD")

	after := [][]byte{[]byte("the key after"), keys[0]}
	now.Store(&after)
	// The answer was lost, and the code is long gone.
	if again, err := w.desks[1].Charge(t.Context(), first); err != nil || again.Payment != paid.Payment {
		t.Fatalf("charging again gives %v, %v", again, err)
	}
	r := w.charge(pending, code)
	late, err := w.desks[1].Charge(t.Context(), r)
	if err != nil || late.State != checkout.Succeeded {
		t.Fatalf("a code from before: %v, %v", late, err)
	}
	if again, err := w.desks[0].Charge(t.Context(), r); err != nil || again.Payment != late.Payment {
		t.Errorf("charging again gives %v, %v", again, err)
	}
	_, err = w.desks[0].Charge(t.Context(), w.charge(other, code))
	w.wantReason(err, "PAYMENT_CODE_INVALID")
	r.Checkout = name(other)
	_, err = w.desks[0].Charge(t.Context(), r)
	w.wantReason(err, "IDEMPOTENCY_KEY_REUSED")
}
