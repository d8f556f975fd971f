// Package checkout keeps the sales of merchants on their way from the counter to the
// money. It is no service: those of merchants, terminals and wallets share it.
//
// # States
//
// A checkout moves along these lines and no others; Next is the table, and a test
// tries every step that isn't in it.
//
//	CREATED --dispatch--> DISPATCHED --acknowledge--> ACKNOWLEDGED
//	   |                                                   ^
//	   '-------------------acknowledge---------------------'
//
//	each of these  --succeed----> SUCCEEDED    (it is paid)
//	               --authorize--> AUTHORIZED   (it is to be captured)
//	               --decline----> DECLINED
//	               --cancel-----> CANCELED
//	               --expire-----> EXPIRED
//
//	AUTHORIZED     --succeed----> SUCCEEDED    (it is captured)
//	               --cancel-----> CANCELED     (its hold is voided)
//	               --expire-----> EXPIRED      (it isn't captured in time)
//
//	SUCCEEDED      --refund-----> SUCCEEDED
//
// # One winner
//
// Payment, refusal, cancellation and expiry are one row in the table resolutions,
// whose primary key is the checkout: the first one wins, on whichever replica. A
// payment inserts it in the commit that moves the money, so money never arrives for a
// checkout that is canceled, and none that is paid is canceled. An authorized
// checkout has a hold of its own id, and from then on what becomes of the hold,
// under the lock of its account, is what becomes of the checkout.
//
// A state is what the rows say and not what the clock does: a checkout is EXPIRED
// once the row is there that says so, and not a moment before a payment that began in
// time can still commit. Run writes these rows on every replica, and whoever reads a
// checkout whose time is over writes it first. An expired authorization is told when
// Run comes by; nothing can be captured from its expiry on.
//
// # Money
//
// The customer pays the total, tip included: to Tillbook the fee of the rate that was
// in force when the checkout was made, to the merchant's pending account the rest,
// exactly. A refund goes back to the customer from the merchant's pending account,
// as far as that has it, and else from the available one; the fee stays. What an
// operator gives back whole comes from whoever got it, the fee from Tillbook.
//
// # Events
//
// Each change writes an event for the merchant and one for the terminal, if there is
// one, in its own database transaction: the type is the Happening, the payload
// {"checkout": "<uuid>"}. Who follows them reads the checkout as it stands.
//
// # Payment codes
//
// A customer's code pays one checkout of any merchant. That it was used is a row in
// resolutions as well, of the same commit.
package checkout
