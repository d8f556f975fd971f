package qr

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLength is how many bytes a text may have.
const maxLength = 512

// Parse reads the text of a merchant's QR code. Each failure is an *Error, and an
// ErrInvalid. In what it returns numbers are in their plain form: "98." is "98".
func Parse(text string) (Code, error) {
	if err := checkSeal(text); err != nil {
		return Code{}, err
	}
	root, err := split(text, "", 1)
	if err != nil {
		return Code{}, err
	}
	if last := root[len(root)-1]; last.tag != tagChecksum {
		return Code{}, &Error{"The last tag must be 63, the checksum", last.tag, last.position}
	}
	found, err := collect(root)
	if err != nil {
		return Code{}, err
	}
	code, err := found.code()
	if err != nil {
		return Code{}, found.locate(err)
	}
	_, ours := found[tagSystem]
	if err := code.check(ours); err != nil {
		return Code{}, found.locate(err)
	}
	code.Amount, code.Tip.Value = plain(code.Amount), plain(code.Tip.Value)
	return code, nil
}

// checkSeal checks what can be checked before the text is taken apart. It tells
// what isn't a code at all, or was damaged on its way, from what was written wrong.
func checkSeal(text string) *Error {
	switch {
	case len(text) > maxLength:
		return &Error{Problem: "The text is longer than 512 bytes"}
	case !utf8.ValidString(text):
		return &Error{Problem: "The text is not valid UTF-8"}
	case !strings.HasPrefix(text, tagVersion+"02"):
		return &Error{"This is no payment code: those begin with 000201", tagVersion, 1}
	case !strings.HasPrefix(text, tagVersion+"02"+version):
		return &Error{"The version of the payment code must be 01", tagVersion, 1}
	}
	at := len(text) - len(checksumStart) - 4
	if at < 0 || !strings.HasPrefix(text[at:], checksumStart) || strings.Trim(text[len(text)-4:], "0123456789ABCDEF") != "" {
		return &Error{"The text must end with 6304 and the checksum, 4 digits or capital letters A to F", tagChecksum, 0}
	}
	if checksum(text[:len(text)-4]) != text[len(text)-4:] {
		return &Error{"The checksum doesn't fit the text; scan the code again",
			tagChecksum, utf8.RuneCountInString(text[:at]) + 1}
	}
	return nil
}

// objects are a text's data objects by their tags, those of our template by the
// tags under which we write it.
type objects map[string]object

// collect checks the format of each value, and opens the templates that we know.
func collect(root []object) (objects, *Error) {
	found, accounts := make(objects), 0
	for _, o := range root {
		if err := checkValue(o); err != nil {
			return nil, err
		}
		found[o.tag] = o
		var err *Error
		switch {
		case o.tag == tagAdditional:
			err = found.openAdditional(o)
		case o.tag >= tagAccount && o.tag < tagCategory:
			err = found.openAccount(o)
		}
		if err != nil {
			return nil, err
		}
		if o.tag > tagInitiation && o.tag < tagCategory {
			accounts++
		}
	}
	if accounts == 0 {
		return nil, &Error{Problem: "The merchant's account is missing: a tag from 02 to 51"}
	}
	return found, nil
}

// passedOver are how many characters the standard allows in what it defines and a
// Code doesn't have: the postal code, and labels of the additional data.
var passedOver = map[string]int{
	"61": 10, "62.01": 25, "62.02": 25, "62.03": 25, "62.04": 25, "62.06": 25, "62.08": 25, "62.09": 3,
}

// checkValue checks the format of a value: printable ASCII, or any characters in
// what the standard and others may write in other scripts.
func checkValue(o object) *Error {
	most, known := passedOver[o.tag]
	switch {
	case known && !upTo(most).holds(o.value):
		return &Error{"The value must be " + upTo(most).is, o.tag, o.position}
	case o.tag >= tagAdditional && o.tag != tagChecksum:
		if strings.ContainsFunc(o.value, unicode.IsControl) {
			return &Error{"The value has a control character", o.tag, o.position}
		}
	case !isPrintable(o.value):
		return &Error{"The value has a character that is not printable ASCII", o.tag, o.position}
	}
	return nil
}

// openAdditional opens the template of additional data.
func (found objects) openAdditional(template object) *Error {
	inside, err := split(template.value, template.tag, template.position+headLength)
	if err != nil {
		return err
	}
	for _, o := range inside {
		if err := checkValue(o); err != nil {
			return err
		}
		found[o.tag] = o
	}
	return nil
}

// openAccount opens the template if it is ours. What is wrong inside of another's
// concerns nobody here.
func (found objects) openAccount(template object) *Error {
	inside, err := split(template.value, template.tag, template.position+headLength)
	if !slices.ContainsFunc(inside, func(o object) bool {
		return strings.HasSuffix(o.tag, tagSystem[2:]) && o.value == System
	}) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, twice := found[tagSystem]; twice {
		return &Error{"The merchant's account with Tillbook is there twice", template.tag, template.position}
	}
	for _, o := range inside {
		found[tagAccount+o.tag[2:]] = o
	}
	return nil
}

// code turns data objects into what they say. What they say isn't checked yet.
func (found objects) code() (Code, *Error) {
	c := Code{
		Store:     found[tagStore].value,
		Checkout:  found[tagCheckout].value,
		Category:  found[tagCategory].value,
		Currency:  found[tagCurrency].value,
		Asset:     found[tagAsset].value,
		Amount:    found[tagAmount].value,
		Country:   found[tagCountry].value,
		Merchant:  found[tagMerchant].value,
		City:      found[tagCity].value,
		Reference: found[tagReference].value,
		Terminal:  found[tagTerminal].value,
	}
	switch found[tagInitiation].value {
	case "", static:
	case dynamic:
		c.Dynamic = true
	default:
		return Code{}, &Error{Problem: "The point of initiation must be 11 or 12", Tag: tagInitiation}
	}
	var err *Error
	c.Tip, err = found.tip()
	return c, err
}

// tip joins the indicator and the fee that it announces.
func (found objects) tip() (Tip, *Error) {
	indicator, fixed, percentage := found[tagTip].value, found[tagFixed].value, found[tagPercentage].value
	handling := slices.Index(tipIndicators, indicator)
	switch {
	case handling < 0:
		return Tip{}, &Error{Problem: "The tip indicator must be 01, 02 or 03", Tag: tagTip}
	case fixed != "" && handling != int(TipFixed):
		return Tip{}, &Error{Problem: "A fixed fee needs the tip indicator 02", Tag: tagFixed}
	case percentage != "" && handling != int(TipPercentage):
		return Tip{}, &Error{Problem: "A fee in percent needs the tip indicator 03", Tag: tagPercentage}
	}
	return Tip{TipHandling(handling), fixed + percentage}, nil
}

// locate completes an error by where in the text its data object is.
func (found objects) locate(err *Error) *Error {
	if o, ok := found[err.Tag]; ok {
		return &Error{err.Problem, o.tag, o.position}
	}
	if system, ok := found[tagSystem]; ok && strings.HasPrefix(err.Tag, tagAccount+".") {
		return &Error{err.Problem, system.tag[:2] + err.Tag[2:], 0}
	}
	return err
}
