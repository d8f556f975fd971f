package qr

import (
	"errors"
	"fmt"
)

// System is the globally unique identifier of our account template: what stands
// in its sub-tag 00.
const System = "app.tillbook"

// NoCurrency is what stands for the currency (ISO 4217) if it has no number.
const NoCurrency = "999"

// Code is what a merchant's QR code says. Texts are of printable ASCII; an empty
// one is absent.
type Code struct {
	// Dynamic says that the code is shown for one transaction; else it is shown
	// for many, as a sticker is.
	Dynamic bool
	// Store is the id of our store, 1 to 30 characters. It is mandatory for Encode;
	// Parse leaves it empty if the code isn't one of ours.
	Store string
	// Checkout is the code of our checkout, at most 29 characters; only in a
	// dynamic code.
	Checkout string
	// Category is the merchant's category (ISO 18245): 4 digits.
	Category string
	// Currency is the number of the currency to pay in (ISO 4217): 3 digits, such
	// as "360", or NoCurrency. See CurrencyNumber.
	Currency string
	// Asset is the code of our asset to pay in, such as "ETH", 2 to 12 characters.
	// With NoCurrency it is mandatory; with a currency it is empty.
	Asset string
	// Amount is what to pay: a decimal number above zero, such as "12.50", of at
	// most 13 characters. Our codes have it only if dynamic. Without it whoever
	// pays is asked for it.
	Amount string
	// Tip says what is paid on top.
	Tip Tip
	// Country is where the merchant is (ISO 3166-1): 2 capital letters.
	Country string
	// Merchant is the name that customers know, 1 to 25 characters.
	Merchant string
	// City is where the merchant does business, 1 to 15 characters.
	City string
	// Reference identifies the transaction to the merchant, at most 25 characters.
	Reference string
	// Terminal names a terminal in the store, at most 25 characters.
	Terminal string
}

// Ours tells whether the code names a store of ours.
func (c Code) Ours() bool { return c.Store != "" }

// Tip is what is paid on top of the amount.
type Tip struct {
	Handling TipHandling
	// Value is the fee: for TipFixed in the code's currency, as Code.Amount is; for
	// TipPercentage in percent, "0.01" to "99.99", at most 5 characters. For the
	// others it is empty.
	Value string
}

// TipHandling says who decides on a tip.
type TipHandling int

const (
	// TipNone adds nothing.
	TipNone TipHandling = iota
	// TipPrompt asks whoever pays for a tip.
	TipPrompt
	// TipFixed adds a fee that doesn't depend on the amount.
	TipFixed
	// TipPercentage adds a share of the amount.
	TipPercentage
)

// ErrInvalid is what every *Error is: it says that a text is no valid code, or a
// Code nothing that a text can say.
var ErrInvalid = errors.New("not a valid payment code")

// Error says what is wrong with a code, and where. It quotes nothing of the code,
// so clients may see it.
type Error struct {
	// Problem is a sentence without its full stop.
	Problem string
	// Tag is the data object, behind its template's if it is in one, such as "59"
	// or "62.05". It is empty if the problem is the text as a whole.
	Tag string
	// Position is the character of the text, from 1, with which the data object
	// begins. It is 0 if the text doesn't have it, and for Encode.
	Position int
}

// Error returns the problem and its place, as in "The merchant category code must
// be 4 digits (tag 52, character 90)."
func (e *Error) Error() string {
	switch {
	case e.Tag != "" && e.Position > 0:
		return fmt.Sprintf("%s (tag %s, character %d).", e.Problem, e.Tag, e.Position)
	case e.Tag != "":
		return fmt.Sprintf("%s (tag %s).", e.Problem, e.Tag)
	case e.Position > 0:
		return fmt.Sprintf("%s (character %d).", e.Problem, e.Position)
	default:
		return e.Problem + "."
	}
}

// Unwrap makes each an ErrInvalid.
func (e *Error) Unwrap() error { return ErrInvalid }
