package main

import (
	"errors"
	"fmt"
	"strings"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/sdk/terminal"
)

// reasons are what cashiers are told instead of what the server says to programs.
var reasons = map[string]string{
	"TERMINAL_LOCKED":         "This till is locked. A manager can unlock it.",
	"TERMINAL_KEY_SHARED":     "Two devices use this till's key, so it is locked. A manager must look into it, and unlock it or give it a new code.",
	"TERMINAL_REVOKED":        "This till was given up. To be another one, it starts with a new folder.",
	"ASSERTION_INVALID":       "The server doesn't take this till for the one it was. It needs a new activation code.",
	"ACTIVATION_CODE_INVALID": "This code is wrong, used or too old. A manager can make a new one.",
	"CLOCK_SKEWED":            "The clock of this device is wrong, and the server doesn't accept that. Set it right.",
	"SESSION_FENCED":          "The till's session was taken over by a newer one.",
	"STREAM_MOVED":            "The server asked to connect again.",
	"NOT_READING":             "The till was too slow to take its messages.",
	"PAYMENT_CODE_INVALID":    "This payment code is wrong, used or older than a minute. The customer can make a new one.",
	"PAYMENT_CODE_EXCEEDED":   "The customer's code isn't good for that much. The customer can make a new one.",
	"INSUFFICIENT_FUNDS":      "The customer doesn't have that much.",
	"LIMIT_EXCEEDED":          "That is more than the customer may pay now.",
	"CHECKOUT_CLOSED":         "This sale is over already.",
	"CHECKOUT_EXPIRED":        "The time to pay this sale is over.",
}

// words says an error to a cashier; "" for none.
func words(err error) string {
	if err == nil {
		return ""
	}
	if w := reasons[terminal.ReasonOf(err)]; w != "" {
		return w
	}
	if e, ok := errors.AsType[*terminal.Error](err); ok {
		if e.Reason == "" {
			return "The server can't be reached."
		}
		return e.Message
	}
	text := err.Error()
	return strings.ToUpper(text[:1]) + strings.TrimSuffix(text[1:], ".") + "."
}

// stopped says what is left to do when the terminal can't go on: a device that lost
// its place can get it back with a new code, any other can't.
func (s State) stopped(why error) State {
	s.Online, s.Offline, s.Busy = false, "", ""
	if terminal.ReasonOf(why) == "ASSERTION_INVALID" {
		s.Activated, s.Notice, s.Typed = false, words(why), Typed{}
		return s
	}
	s.Ended = words(why)
	return s
}

// commandWords says what the merchant wants done; locking is shown as such.
func commandWords(c *terminalv1.SessionResponse_Command, before string) string {
	switch c.GetKind() {
	case terminalv1.CommandKind_COMMAND_KIND_REBOOT:
		return "The merchant asks to restart this device."
	case terminalv1.CommandKind_COMMAND_KIND_UPDATE:
		return "The merchant asks to install version " + c.GetVersion() + "."
	}
	return before
}

// ending says how a checkout ended, in a word or two and in a sentence.
func ending(c *checkoutv1.Checkout) (title, sentence string) {
	switch c.GetState() {
	case checkoutv1.CheckoutState_CHECKOUT_STATE_SUCCEEDED:
		return "PAID", fmt.Sprintf("%s by %s.", money(c.GetPayment().GetTotal()), c.GetPayment().GetMaskedCustomer())
	case checkoutv1.CheckoutState_CHECKOUT_STATE_AUTHORIZED:
		return "AUTHORIZED", fmt.Sprintf("%s of %s are set aside.", money(c.GetPayment().GetTotal()), c.GetPayment().GetMaskedCustomer())
	case checkoutv1.CheckoutState_CHECKOUT_STATE_DECLINED:
		return "DECLINED", "The customer refused to pay."
	case checkoutv1.CheckoutState_CHECKOUT_STATE_CANCELED:
		return "CANCELED", "The sale was taken back. Nothing was paid."
	case checkoutv1.CheckoutState_CHECKOUT_STATE_EXPIRED:
		return "EXPIRED", expiries[c.GetExpiry()]
	}
	return strings.TrimPrefix(c.GetState().String(), "CHECKOUT_STATE_"), ""
}

var expiries = map[checkoutv1.CheckoutExpiry]string{
	checkoutv1.CheckoutExpiry_CHECKOUT_EXPIRY_NOT_DELIVERED:    "It never reached this till. Nothing was paid.",
	checkoutv1.CheckoutExpiry_CHECKOUT_EXPIRY_NOT_ACKNOWLEDGED: "It was sent, but this till never said that it came. Nothing was paid.",
	checkoutv1.CheckoutExpiry_CHECKOUT_EXPIRY_NOT_PAID:         "Nobody paid in time.",
	checkoutv1.CheckoutExpiry_CHECKOUT_EXPIRY_NOT_CAPTURED:     "It wasn't captured in time; the money is the customer's again.",
}

func money(m *moneyv1.Money) string { return strings.TrimSpace(m.GetAsset() + " " + m.GetAmount()) }
