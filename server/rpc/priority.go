package rpc

import (
	"github.com/tillbook/tillbook/gen/tillbook/ledger/v1/ledgerv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/terminal/v1/terminalv1connect"
)

// Priority says what is turned away first when there is more to do than can be done:
// from the last to the first of these.
type Priority uint8

const (
	// PriorityFinish is what finishes a payment that was begun.
	PriorityFinish Priority = iota + 1
	// PriorityPayment is what begins one.
	PriorityPayment
	// PriorityCall is everything that isn't one of the others.
	PriorityCall
	// PrioritySignIn is what strangers may call. Hashing passwords takes long, so it
	// has places of its own.
	PrioritySignIn
	// PriorityHistory is lists, reports and exports, which can wait.
	PriorityHistory
	// PriorityWatch is streams that a client opens again by itself.
	PriorityWatch
	// PrioritySession is the streams of terminals. They are bounded in number and
	// otherwise not turned away: without one, a terminal can't sell.
	PrioritySession
	// PriorityProbe is the streams of infrastructure: health and reflection. Strangers
	// may open them, so they have places of their own, too.
	PriorityProbe

	priorities
)

var priorityNames = [priorities]string{
	"none", "finish", "payment", "call", "sign_in", "history", "watch", "session", "probe",
}

// String returns the name that metrics have.
func (p Priority) String() string { return priorityNames[p] }

// finishing are the procedures that only finish payments.
var finishing = map[string]bool{
	merchantv1connect.MerchantServiceCaptureCheckoutProcedure: true,
	merchantv1connect.MerchantServiceCancelCheckoutProcedure:  true,
	terminalv1connect.TerminalServiceCancelCheckoutProcedure:  true,
	ledgerv1connect.LedgerServiceCaptureHoldProcedure:         true,
	ledgerv1connect.LedgerServiceVoidHoldProcedure:            true,
}

// priorityOf is the policy's own priority or, without one, what follows from it.
func (p *Policy) priorityOf(procedure string) Priority {
	switch {
	case p.Priority != 0:
		return p.Priority
	case p.Money && finishing[procedure]:
		return PriorityFinish
	case p.Money:
		return PriorityPayment
	case p.Access == Public:
		return PrioritySignIn
	default:
		return PriorityCall
	}
}
