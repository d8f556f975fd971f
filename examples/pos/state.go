package main

import (
	"slices"
	"time"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
)

// State is all that the counter knows. What happens makes a new one of it (On), and
// Screen draws it; neither does anything else.
type State struct {
	Now           time.Time
	Width, Height int
	// Asset is what is sold for, such as "USD".
	Asset string

	// Activated says that the device has a terminal, Ended why it can't go on; "" if
	// it can.
	Activated bool
	Ended     string
	// Online says that there is a session, Offline why there is none, and Epoch which
	// one it is or was.
	Online  bool
	Offline string
	Epoch   uint64
	// Configuration is the last that is known; nil if none is.
	Configuration *terminalv1.Configuration

	// Typed is what is being typed.
	Typed Typed
	// Busy is what is under way, Notice what the cashier should know; "" for nothing.
	Busy, Notice string
	// Open are the checkouts that wait for a customer, oldest first. The first one is
	// shown.
	Open []*checkoutv1.Checkout
	// Closed are those whose end the cashier should see. The first one is shown. Seen
	// are those that were, the latest maxSeen.
	Closed, Seen []*checkoutv1.Checkout
	// Unprinted is the receipt that somebody must look after; nil if none.
	Unprinted *Unprinted
}

// maxSeen is how many checkouts are remembered after their end was shown, since it may
// be told again.
const maxSeen = 20

// Typed is what is being typed, and in which of the fields.
type Typed struct {
	Code, Amount, Reference string
	Tip                     bool
	Field                   Field
	// Charging says that the customer's payment code is typed, Payment.
	Charging bool
	Payment  string
}

// Field is where typing goes to in a sale.
type Field int

// The fields of a sale, from top to bottom.
const (
	FieldAmount Field = iota
	FieldReference
	FieldTip
	fields
)

// Page is what the screen is about.
type Page int

// The pages; the first that applies is shown.
const (
	PageEnded Page = iota
	PageUnprinted
	PageActivate
	PageClosed
	PageCharge
	PageWait
	PageLocked
	PageSale
)

// Page says what the screen is about.
func (s *State) Page() Page {
	switch {
	case s.Ended != "":
		return PageEnded
	case s.Unprinted != nil:
		return PageUnprinted
	case !s.Activated:
		return PageActivate
	case len(s.Closed) > 0:
		return PageClosed
	case len(s.Open) > 0 && s.Typed.Charging:
		return PageCharge
	case len(s.Open) > 0:
		return PageWait
	case s.Configuration.GetLocked():
		return PageLocked
	default:
		return PageSale
	}
}

// What happens.
type (
	// Tick says what time it is.
	Tick struct{ Now time.Time }
	// Resized says how large the window is.
	Resized struct{ Width, Height int }
	// Key is a key, by its name, and the text that it types, if any. What is pasted is
	// a key without a name.
	Key struct{ Name, Text string }
	// Connected says that a session began.
	Connected struct{ Epoch uint64 }
	// Disconnected says that there is no session, and why.
	Disconnected struct{ Why error }
	// Configured brings what the terminal needs to know.
	Configured struct{ Configuration *terminalv1.Configuration }
	// Commanded is something that the merchant wants done.
	Commanded struct {
		Command *terminalv1.SessionResponse_Command
	}
	// Sold is a checkout as it stands.
	Sold struct{ Checkout *checkoutv1.Checkout }
	// Refunded is a checkout of which money was given back.
	Refunded struct{ Checkout *checkoutv1.Checkout }
	// Unprinted is a checkout that is paid and whose receipt isn't on paper, or
	// perhaps isn't, and why.
	Unprinted struct {
		Checkout *checkoutv1.Checkout
		Why      string
	}
	// Settled says that nobody needs to look after a receipt any more.
	Settled struct{}
	// Done says that what was under way has ended, and how; nil if well.
	Done struct{ Err error }
	// Noticed is something that went wrong aside.
	Noticed struct{ Err error }
	// Waiting says that what is under way has no answer yet.
	Waiting struct{ What string }
	// ActivatedNow says that the device has its terminal.
	ActivatedNow struct{}
	// Stopped says that the terminal can't go on, and why.
	Stopped struct{ Why error }
)

// Actions are what is to be done: one of these, or nil.
type (
	Action any
	// Activate makes the device a terminal.
	Activate struct{ Code string }
	// Sell begins a sale.
	Sell struct {
		Request *terminalv1.CreateCheckoutRequest
	}
	// Charge pays a checkout with a customer's code.
	Charge struct{ CheckoutID, Code string }
	// Cancel takes a checkout back.
	Cancel struct{ CheckoutID string }
	// Print says whether to print a receipt that isn't on paper, or to let it be.
	Print struct{ Again bool }
	// Quit ends the program.
	Quit struct{}
)

// On returns the state after something happened, and what is to be done about it.
func (s State) On(happened any) (State, Action) {
	switch h := happened.(type) {
	case Tick:
		s.Now = h.Now
	case Resized:
		s.Width, s.Height = h.Width, h.Height
	case Key:
		return s.press(h)
	case Connected:
		s.Online, s.Offline, s.Epoch = true, "", h.Epoch
	case Disconnected:
		s.Online, s.Offline = false, words(h.Why)
	case Configured:
		s.Configuration = h.Configuration
	case Commanded:
		s.Notice = commandWords(h.Command, s.Notice)
	case Sold:
		s = s.sold(h.Checkout)
	case Refunded:
		s.Notice = "Given back of " + money(h.Checkout.GetPayment().GetTotal()) + ": " + money(h.Checkout.GetPayment().GetRefunded()) + "."
	case Unprinted:
		s.Unprinted = &h
	case Settled:
		s.Unprinted = nil
	case Waiting:
		s.Busy = h.What
	case Noticed:
		s.Notice = words(h.Err)
	case Done:
		s.Busy, s.Notice = "", words(h.Err)
	case ActivatedNow:
		s.Activated, s.Busy, s.Notice, s.Typed = true, "", "", Typed{}
	case Stopped:
		s = s.stopped(h.Why)
	}
	return s, nil
}

// sold takes in how a checkout stands. The same may be told more than once and late:
// by the answer to a request and by an event.
func (s State) sold(c *checkoutv1.Checkout) State {
	open, closed := find(s.Open, c), find(s.Closed, c)
	for _, known := range [][]*checkoutv1.Checkout{s.Open, s.Closed, s.Seen} {
		if at := find(known, c); at >= 0 && known[at].GetState() > c.GetState() {
			return s
		}
	}
	switch {
	case isOpen(c):
		s.Open = put(s.Open, open, c)
	case closed >= 0:
		s.Closed = put(s.Closed, closed, c)
	case find(s.Seen, c) >= 0 && s.Seen[find(s.Seen, c)].GetState() == c.GetState():
	default:
		s.Closed = put(s.Closed, closed, c)
	}
	if !isOpen(c) && open >= 0 {
		s.Open = slices.Delete(slices.Clone(s.Open), open, open+1)
	}
	if open == 0 && !isOpen(c) || open < 0 && isOpen(c) {
		s.Typed, s.Notice = Typed{}, ""
	}
	return s
}

// dismiss puts away the checkout whose end was shown.
func (s State) dismiss() State {
	if at := find(s.Seen, s.Closed[0]); at >= 0 {
		s.Seen = slices.Delete(slices.Clone(s.Seen), at, at+1)
	}
	s.Seen = append(slices.Clone(s.Seen[max(0, len(s.Seen)-maxSeen+1):]), s.Closed[0])
	s.Closed, s.Notice = slices.Clone(s.Closed[1:]), ""
	return s
}

// find returns where a checkout is in a list, -1 if it isn't.
func find(list []*checkoutv1.Checkout, c *checkoutv1.Checkout) int {
	return slices.IndexFunc(list, func(o *checkoutv1.Checkout) bool { return o.GetCheckoutId() == c.GetCheckoutId() })
}

// put returns the list with a checkout at its place, or at the end if that is -1.
func put(list []*checkoutv1.Checkout, at int, c *checkoutv1.Checkout) []*checkoutv1.Checkout {
	list = slices.Clone(list)
	if at < 0 {
		return append(list, c)
	}
	list[at] = c
	return list
}

// isOpen says whether a checkout can still be paid.
func isOpen(c *checkoutv1.Checkout) bool {
	switch c.GetState() {
	case checkoutv1.CheckoutState_CHECKOUT_STATE_CREATED, checkoutv1.CheckoutState_CHECKOUT_STATE_DISPATCHED,
		checkoutv1.CheckoutState_CHECKOUT_STATE_ACKNOWLEDGED:
		return true
	}
	return false
}

// request is the sale that was typed.
func (s *State) request() *terminalv1.CreateCheckoutRequest {
	r := &terminalv1.CreateCheckoutRequest{
		Amount: &moneyv1.Money{Asset: s.Asset, Amount: s.Typed.Amount}, Reference: s.Typed.Reference,
	}
	if s.Typed.Tip {
		r.TipOptions = &checkoutv1.TipOptions{Allowed: true, Percentages: []uint32{5, 10, 15}}
	}
	return r
}
