package terminal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
)

// The kinds of requests that are noted. They are stored.
const (
	requestCreate = 1
	requestCharge = 2
)

// CreateCheckout begins a sale. It comes back as an event, too, to be shown. Without
// an idempotency key the request gets one; it is noted until there is an answer.
func (t *Terminal) CreateCheckout(ctx context.Context, req *terminalv1.CreateCheckoutRequest) (*checkoutv1.Checkout, error) {
	req = proto.CloneOf(req)
	if req.IdempotencyKey == "" {
		req.IdempotencyKey = rand.Text()
	}
	return t.send(ctx, requestCreate, req.GetIdempotencyKey(), req)
}

// ChargePaymentCode pays a checkout with a code that the customer shows.
func (t *Terminal) ChargePaymentCode(ctx context.Context, req *terminalv1.ChargePaymentCodeRequest) (*checkoutv1.Checkout, error) {
	req = proto.CloneOf(req)
	if req.IdempotencyKey == "" {
		req.IdempotencyKey = rand.Text()
	}
	return t.send(ctx, requestCharge, req.GetIdempotencyKey(), req)
}

// CancelCheckout ends a checkout that isn't paid.
func (t *Terminal) CancelCheckout(ctx context.Context, checkout string) (*checkoutv1.Checkout, error) {
	res := &terminalv1.CancelCheckoutResponse{}
	err := t.call(ctx, methodCancel, &terminalv1.CancelCheckoutRequest{CheckoutId: checkout}, res)
	return res.GetCheckout(), err
}

// GetCheckout returns a checkout as it stands.
func (t *Terminal) GetCheckout(ctx context.Context, checkout string) (*checkoutv1.Checkout, error) {
	res := &terminalv1.GetCheckoutResponse{}
	err := t.call(ctx, methodGet, &terminalv1.GetCheckoutRequest{CheckoutId: checkout}, res)
	return res.GetCheckout(), err
}

// send notes a request, makes it, and notes that it has its answer. After an error
// that leaves open what became of it, it stays among the pending ones.
func (t *Terminal) send(ctx context.Context, kind byte, key string, req proto.Message) (*checkoutv1.Checkout, error) {
	message, err := proto.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("write the request: %w", err)
	}
	if err := t.journal.note(record{kind: kindRequest, data: request{key, kind, message}.encode()}); err != nil {
		return nil, err
	}
	return t.execute(ctx, kind, key, req)
}

func (t *Terminal) execute(ctx context.Context, kind byte, key string, req proto.Message) (*checkoutv1.Checkout, error) {
	method, res := methodCreate, proto.Message(&terminalv1.CreateCheckoutResponse{})
	if kind == requestCharge {
		method, res = methodCharge, &terminalv1.ChargePaymentCodeResponse{}
	}
	err := t.call(ctx, method, req, res)
	if err != nil && unknown(err) {
		return nil, err
	}
	noteErr := t.journal.note(record{kind: kindAnswered, data: []byte(key)})
	if err != nil {
		return nil, errors.Join(err, noteErr)
	}
	return res.(interface{ GetCheckout() *checkoutv1.Checkout }).GetCheckout(), noteErr
}

// Pending is a request without an answer: the process died, or nobody answered.
type Pending struct {
	// Key is its idempotency key.
	Key string
	// Create or Charge is the request; the other is nil.
	Create *terminalv1.CreateCheckoutRequest
	Charge *terminalv1.ChargePaymentCodeRequest
}

// Pending returns the requests without an answer, oldest first. What became of the
// checkout of a charge can also be seen with GetCheckout, without charging it.
func (t *Terminal) Pending() []Pending {
	var list []Pending
	for _, r := range t.journal.now().requests {
		if p, ok := pendingOf(r); ok {
			list = append(list, p)
		}
	}
	return list
}

func pendingOf(r request) (Pending, bool) {
	p := Pending{Key: r.key}
	switch r.kind {
	case requestCreate:
		p.Create = &terminalv1.CreateCheckoutRequest{}
		return p, proto.Unmarshal(r.message, p.Create) == nil
	case requestCharge:
		p.Charge = &terminalv1.ChargePaymentCodeRequest{}
		return p, proto.Unmarshal(r.message, p.Charge) == nil
	}
	return p, false
}

// Retry sends a pending request again, with the same key: whatever became of the first
// try, it is executed once at most. One that was sent by a terminal that the device was
// before would be another one's: Forget it.
func (t *Terminal) Retry(ctx context.Context, p Pending) (*checkoutv1.Checkout, error) {
	if p.Charge != nil {
		return t.execute(ctx, requestCharge, p.Key, p.Charge)
	}
	return t.execute(ctx, requestCreate, p.Key, p.Create)
}

// Forget drops a pending request that isn't to be sent again.
func (t *Terminal) Forget(p Pending) error {
	return t.journal.note(record{kind: kindAnswered, data: []byte(p.Key)})
}
