package checkout

import checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"

// State says where a checkout is, numbered as in the API.
type State = checkoutv1.CheckoutState

// The states.
const (
	Created      = checkoutv1.CheckoutState_CHECKOUT_STATE_CREATED
	Dispatched   = checkoutv1.CheckoutState_CHECKOUT_STATE_DISPATCHED
	Acknowledged = checkoutv1.CheckoutState_CHECKOUT_STATE_ACKNOWLEDGED
	Authorized   = checkoutv1.CheckoutState_CHECKOUT_STATE_AUTHORIZED
	Succeeded    = checkoutv1.CheckoutState_CHECKOUT_STATE_SUCCEEDED
	Declined     = checkoutv1.CheckoutState_CHECKOUT_STATE_DECLINED
	Canceled     = checkoutv1.CheckoutState_CHECKOUT_STATE_CANCELED
	Expired      = checkoutv1.CheckoutState_CHECKOUT_STATE_EXPIRED
)

// Happening is something that happens to a checkout, named as in its event's type.
type Happening string

// The happenings.
const (
	Create      Happening = "checkout.created"
	Dispatch    Happening = "checkout.dispatched"
	Acknowledge Happening = "checkout.acknowledged"
	Authorize   Happening = "checkout.authorized"
	Succeed     Happening = "checkout.succeeded" // paid, or captured
	Decline     Happening = "checkout.declined"
	Cancel      Happening = "checkout.canceled"
	Expire      Happening = "checkout.expired"
	Refund      Happening = "checkout.refunded"
)

// transitions are all steps that a checkout can take. What isn't here is refused.
var transitions = map[State]map[Happening]State{
	Created: {
		Dispatch: Dispatched, Acknowledge: Acknowledged,
		Succeed: Succeeded, Authorize: Authorized, Decline: Declined, Cancel: Canceled, Expire: Expired,
	},
	Dispatched: {
		Acknowledge: Acknowledged,
		Succeed:     Succeeded, Authorize: Authorized, Decline: Declined, Cancel: Canceled, Expire: Expired,
	},
	Acknowledged: {
		Succeed: Succeeded, Authorize: Authorized, Decline: Declined, Cancel: Canceled, Expire: Expired,
	},
	Authorized: {Succeed: Succeeded, Cancel: Canceled, Expire: Expired},
	Succeeded:  {Refund: Succeeded},
}

// Next returns where a happening leads from a state, or false if it can't happen
// there.
func Next(from State, h Happening) (State, bool) {
	to, ok := transitions[from][h]
	return to, ok
}

// open tells whether a checkout can still be paid.
func open(s State) bool {
	_, ok := Next(s, Decline)
	return ok
}
