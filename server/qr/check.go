package qr

import (
	"fmt"
	"strings"
)

// The most characters of texts. Those of our template fill the 99 of a template:
// 16 for our identifier, 34 for the store, 33 for the checkout, 16 for the asset.
const (
	maxStore      = 30
	maxCheckout   = 29
	maxAsset      = 12
	maxAmount     = 13
	maxPercentage = 5
	maxMerchant   = 25
	maxCity       = 15
	maxLabel      = 25
)

// rule is what one text of a Code must be.
type rule struct {
	tag, name, value string
	mandatory        bool
	form             form
}

// form is a set of texts.
type form struct {
	holds func(string) bool
	is    string // completes "… must be"
}

// check finds what a text can't say. Ours says that the code has our template,
// whose rules are narrower than the standard's.
func (c Code) check(ours bool) *Error {
	if c.Tip.Handling < TipNone || c.Tip.Handling > TipPercentage {
		return &Error{Problem: "There is no such handling of tips", Tag: tagTip}
	}
	rules := []rule{
		{tagCategory, "The merchant category code", c.Category, true, digits(4)},
		{tagCurrency, "The currency", c.Currency, true, digits(3)},
		{tagAmount, "The amount", c.Amount, false, amount},
		{tagCountry, "The country", c.Country, true, country},
		{tagMerchant, "The merchant's name", c.Merchant, true, upTo(maxMerchant)},
		{tagCity, "The merchant's city", c.City, true, upTo(maxCity)},
		{tagReference, "The reference label", c.Reference, false, upTo(maxLabel)},
		{tagTerminal, "The terminal label", c.Terminal, false, upTo(maxLabel)},
		c.Tip.rule(),
	}
	if ours {
		rules = append(rules,
			rule{tagStore, "The store's id", c.Store, true, upTo(maxStore)},
			rule{tagCheckout, "The checkout's code", c.Checkout, false, upTo(maxCheckout)},
			rule{tagAsset, "The asset's code", c.Asset, c.Currency == NoCurrency, asset})
	}
	for _, r := range rules {
		switch {
		case r.value == "" && !r.mandatory:
		case r.value == "":
			return &Error{Problem: r.name + " is missing", Tag: r.tag}
		case !r.form.holds(r.value):
			return &Error{Problem: r.name + " must be " + r.form.is, Tag: r.tag}
		}
	}
	if ours {
		return c.checkOurs()
	}
	return nil
}

// rule is that of the fee, which depends on how tips are handled.
func (t Tip) rule() rule {
	switch t.Handling {
	case TipFixed:
		return rule{tagFixed, "The fixed fee", t.Value, true, amount}
	case TipPercentage:
		return rule{tagPercentage, "The fee in percent", t.Value, true, percentage}
	default:
		return rule{tagTip, "The tip's value", t.Value, false, none}
	}
}

// checkOurs finds what contradicts itself.
func (c Code) checkOurs() *Error {
	switch {
	case c.Asset != "" && c.Currency != NoCurrency:
		return &Error{Problem: "An asset's code needs the currency 999", Tag: tagAsset}
	case c.Checkout != "" && !c.Dynamic:
		return &Error{Problem: "A static code can't be for one checkout", Tag: tagCheckout}
	case c.Amount != "" && !c.Dynamic:
		return &Error{Problem: "A static code of Tillbook can't have an amount", Tag: tagAmount}
	}
	return nil
}

var (
	amount = form{
		func(s string) bool { return len(s) <= maxAmount && isDecimal(s) && strings.Trim(s, "0.") != "" },
		"a decimal number above zero, such as 12.50, of at most 13 characters",
	}
	none       = form{func(s string) bool { return s == "" }, "empty unless the tip is fixed or in percent"}
	percentage = form{isPercentage, "a decimal number from 0.01 to 99.99 of at most 5 characters"}
	country    = form{func(s string) bool { return len(s) == 2 && isOf(s, capitals) }, "2 capital letters"}
	asset      = form{isAsset, "2 to 12 capital letters and digits, a letter first"}
)

func digits(n int) form {
	return form{func(s string) bool { return len(s) == n && isDigits(s) }, fmt.Sprintf("%d digits", n)}
}

func upTo(n int) form {
	return form{func(s string) bool { return len(s) <= n && isPrintable(s) }, fmt.Sprintf("at most %d characters of printable ASCII", n)}
}

const (
	capitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	numerals = "0123456789"
)

func isOf(s, set string) bool { return strings.Trim(s, set) == "" }
func isDigits(s string) bool  { return isOf(s, numerals) }

// isPrintable tells whether s is of the standard's common character set.
func isPrintable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// isAsset tells whether s has the form of our assets' codes.
func isAsset(s string) bool {
	return len(s) >= 2 && len(s) <= maxAsset && isOf(s[:1], capitals) && isOf(s, capitals+numerals)
}

// isDecimal tells whether s is digits, with or without a point behind one of them.
func isDecimal(s string) bool {
	whole, fraction, _ := strings.Cut(s, ".")
	return whole != "" && isDigits(whole) && isDigits(fraction)
}

// isPercentage tells whether s is above 0 and below 100, and doesn't round down to
// nothing.
func isPercentage(s string) bool {
	if len(s) > maxPercentage || !isDecimal(s) {
		return false
	}
	whole, fraction, _ := strings.Cut(plain(s), ".")
	return len(whole) <= 2 && strings.Trim(whole+(fraction + "00")[:2], "0") != ""
}
