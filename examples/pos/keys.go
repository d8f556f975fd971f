package main

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The longest texts that the server takes, in characters.
const (
	maxAmount    = 40
	maxReference = 64
	maxCode      = 24
	maxPayment   = 64
)

// press is what a key does. While something is under way, only leaving works, and
// looking after the printer.
func (s State) press(k Key) (State, Action) {
	if k.Name == "ctrl+c" {
		return s, Quit{}
	}
	if s.Busy != "" && s.Page() != PageUnprinted {
		return s, nil
	}
	switch s.Page() {
	case PageUnprinted:
		return s.pressUnprinted(k)
	case PageActivate:
		return s.pressActivate(k)
	case PageClosed:
		if k.Name == "enter" {
			s = s.dismiss()
		}
	case PageCharge:
		return s.pressCharge(k)
	case PageWait:
		return s.pressWait(k)
	case PageSale:
		return s.pressSale(k)
	}
	return s, nil
}

func (s State) pressUnprinted(k Key) (State, Action) {
	switch k.Name {
	case "p":
		return s, Print{Again: true}
	case "d":
		return s, Print{Again: false}
	}
	return s, nil
}

func (s State) pressActivate(k Key) (State, Action) {
	if k.Name == "enter" && s.Typed.Code != "" {
		s.Busy, s.Notice = "Activating…", ""
		return s, Activate{s.Typed.Code}
	}
	s.Typed.Code = edit(s.Typed.Code, k, maxCode)
	return s, nil
}

func (s State) pressWait(k Key) (State, Action) {
	switch k.Name {
	case "c":
		s.Busy, s.Notice = "Canceling…", ""
		return s, Cancel{s.Open[0].GetCheckoutId()}
	case "p":
		s.Typed.Charging, s.Notice = true, ""
	}
	return s, nil
}

func (s State) pressCharge(k Key) (State, Action) {
	switch {
	case k.Name == "esc":
		s.Typed.Charging, s.Typed.Payment, s.Notice = false, "", ""
	case k.Name == "enter" && s.Typed.Payment != "":
		code := s.Typed.Payment
		s.Busy, s.Notice, s.Typed.Payment = "Charging…", "", ""
		return s, Charge{s.Open[0].GetCheckoutId(), code}
	default:
		s.Typed.Payment = edit(s.Typed.Payment, k, maxPayment)
	}
	return s, nil
}

func (s State) pressSale(k Key) (State, Action) {
	t := &s.Typed
	switch {
	case k.Name == "tab" || k.Name == "down":
		t.Field = (t.Field + 1) % fields
	case k.Name == "shift+tab" || k.Name == "up":
		t.Field = (t.Field + fields - 1) % fields
	case k.Name == "enter" && t.Amount == "":
		s.Notice = "Type an amount first."
	case k.Name == "enter":
		s.Busy, s.Notice = "Sending the sale…", ""
		return s, Sell{s.request()}
	case t.Field == FieldAmount:
		if strings.Trim(k.Text, "0123456789.") == "" {
			t.Amount = edit(t.Amount, k, maxAmount)
		}
	case t.Field == FieldReference:
		t.Reference = edit(t.Reference, k, maxReference)
	case t.Field == FieldTip && k.Name == "space":
		t.Tip = !t.Tip
	}
	return s, nil
}

// edit applies a key to a text of at most so many characters.
func edit(text string, k Key, most int) string {
	if k.Name == "backspace" {
		_, last := utf8.DecodeLastRuneInString(text)
		return text[:len(text)-last]
	}
	for _, r := range k.Text {
		if unicode.IsPrint(r) && utf8.RuneCountInString(text) < most {
			text += string(r)
		}
	}
	return text
}
