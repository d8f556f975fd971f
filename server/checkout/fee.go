package checkout

import "github.com/tillbook/tillbook/store/ledger"

// Rate is what Tillbook keeps of a payment.
type Rate struct {
	BasisPoints int           // of the total, tip included; 0 to 10,000
	Fixed       ledger.Amount // on top, in the smallest unit; zero or more
}

// Split parts a total, which isn't negative, into what Tillbook keeps and what the
// merchant gets. They sum to the total exactly: the basis points are rounded half
// up to the smallest unit, and the fee is never more than the total.
func (r Rate) Split(total ledger.Amount) (fee, net ledger.Amount) {
	fee, err := total.RoundedBasisPoints(r.BasisPoints)
	if err == nil {
		fee, err = fee.Add(r.Fixed)
	}
	if err != nil || fee.Cmp(total) > 0 {
		return total, ledger.Amount{}
	}
	net, err = total.Sub(fee)
	if err != nil {
		panic("checkout: a fee between zero and the total is out of range")
	}
	return fee, net
}
