package main

import (
	"fmt"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	"github.com/tillbook/tillbook/sdk/terminal"
)

// receiptWidth is how many characters a line of a receipt has.
const receiptWidth = 32

// textWidth is how wide what is written beside a QR code is.
const textWidth = 36

var (
	headStyle  = lipgloss.NewStyle().Reverse(true)
	faintStyle = lipgloss.NewStyle().Faint(true)
	boldStyle  = lipgloss.NewStyle().Bold(true)
	warnStyle  = lipgloss.NewStyle().Foreground(lipgloss.Yellow)
	goodStyle  = lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Black).Background(lipgloss.Green)
	badStyle   = lipgloss.NewStyle().Bold(true).Foreground(lipgloss.BrightWhite).Background(lipgloss.Red)
	inkStyle   = lipgloss.NewStyle().Foreground(lipgloss.Color("#000000")).Background(lipgloss.Color("#ffffff"))
)

// Screen draws the state.
func Screen(s *State) string {
	body, keys := s.body()
	const around = 6 // the head, the notice and the keys, with lines between
	if room := s.Height - around; len(body) > max(room, 1) && s.Page() != PageWait {
		body = append(body[:max(room-1, 0):max(room-1, 0)], "…")
	}
	lines := []string{headStyle.Render(s.head()), ""}
	lines = append(lines, body...)
	if s.Busy != "" && s.Page() != PageUnprinted {
		keys = "Ctrl+C quits"
	}
	switch {
	case s.Busy != "":
		lines = append(lines, "", s.Busy)
	case s.Notice != "":
		lines = append(lines, "")
		lines = append(lines, paint(warnStyle, fold(s.Notice, s.Width))...)
	}
	lines = append(lines, "", faintStyle.Render(keys))
	return strings.Join(lines, "\n")
}

// head says whose counter it is, and how it is connected.
func (s *State) head() string {
	left := " Tillbook"
	if c := s.Configuration; c != nil {
		left = " " + c.GetMerchantName() + " · " + c.GetStoreName()
	}
	right := "○ connecting… "
	switch {
	case s.Ended != "":
		right = "○ stopped "
	case s.Online:
		right = fmt.Sprintf("● online, session %d ", s.Epoch)
	case s.Offline != "":
		right = "○ offline "
	case !s.Activated:
		right = "not activated "
	}
	if s.Configuration.GetLocked() {
		right = "LOCKED  " + right
	}
	gap := max(1, s.Width-lipgloss.Width(left)-lipgloss.Width(right))
	return left + strings.Repeat(" ", gap) + right
}

// body says what the page is about, and which keys do something.
func (s *State) body() (lines []string, keys string) {
	const quit = "   Ctrl+C quits"
	switch s.Page() {
	case PageEnded:
		return append(paint(badStyle, []string{" STOPPED "}), append([]string{""}, fold(s.Ended, s.Width)...)...), strings.TrimSpace(quit)
	case PageUnprinted:
		return s.unprinted(), "P prints it   D it is on paper, or needn't be" + quit
	case PageActivate:
		return []string{"Activate this till with the code that the merchant got for it.", "", "Code: " + boldStyle.Render(s.Typed.Code) + "▏"},
			"Enter activates" + quit
	case PageClosed:
		return s.closed(), "Enter goes on" + quit
	case PageCharge:
		return append(s.sale(), "", "Payment code: "+boldStyle.Render(s.Typed.Payment)+"▏"), "Enter charges it   Esc goes back" + quit
	case PageWait:
		return s.wait(), "P charges a payment code   C cancels the sale" + quit
	case PageLocked:
		return append(paint(badStyle, []string{" LOCKED "}), "", "This till is locked. A manager can unlock it."), strings.TrimSpace(quit)
	}
	return append(s.form(), s.offline(s.Width)...), "Tab next field   Space tip   Enter sells" + quit
}

// offline says why there is no session.
func (s *State) offline(width int) []string {
	if s.Online || s.Offline == "" {
		return nil
	}
	return append([]string{""}, paint(warnStyle, fold(s.Offline, width))...)
}

// form is a sale that is being typed.
func (s *State) form() []string {
	field := func(f Field, label, value string) string {
		if s.Typed.Field == f {
			return "▶ " + label + boldStyle.Render(value) + "▏"
		}
		return "  " + label + value
	}
	tip := "no"
	if s.Typed.Tip {
		tip = "the customer may give one"
	}
	return []string{
		field(FieldAmount, "Amount     ", strings.TrimSpace(s.Asset+" "+s.Typed.Amount)),
		field(FieldReference, "Reference  ", s.Typed.Reference),
		field(FieldTip, "Tip        ", tip),
	}
}

// sale says what is to be paid, and for how long.
func (s *State) sale() []string {
	c := s.Open[0]
	lines := []string{boldStyle.Render(money(c.GetAmount()))}
	if c.GetReference() != "" {
		lines = append(lines, fold(c.GetReference(), textWidth)...)
	}
	for _, item := range c.GetItems() {
		lines = append(lines, fold(fmt.Sprintf("%d x %s", item.GetQuantity(), item.GetName()), textWidth)...)
	}
	if c.GetTipOptions().GetAllowed() {
		lines = append(lines, "The customer may give a tip.")
	}
	lines = append(lines, "", "Code "+c.GetCode(), "Open for "+left(s.Now, c))
	if more := len(s.Open) - 1; more > 0 {
		lines = append(lines, fmt.Sprintf("%d more after this one", more))
	}
	return append(lines, s.offline(0)...)
}

// left is how long a checkout can still be paid.
func left(now time.Time, c *checkoutv1.Checkout) string {
	d := max(0, c.GetExpireTime().AsTime().Sub(now)).Round(time.Second)
	if d >= time.Hour {
		return fmt.Sprintf("%d:%02d h", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d:%02d min", int(d.Minutes()), int(d.Seconds())%60)
}

// wait shows the QR code with the sale beside it, or below if the window is narrow.
func (s *State) wait() []string {
	text := append([]string{"Scan to pay", ""}, s.sale()...)
	code, err := drawQR(s.Open[0].GetQrText())
	if err != nil {
		return append(text, "", err.Error())
	}
	wide, high := lipgloss.Width(code[0]), len(code)
	around := 4 // the head and the keys, with a line between
	if s.Busy+s.Notice != "" {
		around += 3
	}
	beside := s.Width >= wide+2+textWidth
	switch {
	case beside && s.Height >= high+around:
		block := lipgloss.JoinHorizontal(lipgloss.Top, strings.Join(paint(inkStyle, code), "\n"), "  ", strings.Join(text, "\n"))
		return strings.Split(block, "\n")
	case !beside && s.Width >= wide && s.Height >= high+1+len(text)+around:
		return append(append(paint(inkStyle, code), ""), text...)
	}
	note := fmt.Sprintf("The window is too small for the QR code: it needs %d × %d. The customer can also type the code.",
		wide+2+textWidth, high+around)
	return append(text, append([]string{""}, fold(note, s.Width)...)...)
}

// closed shows how a checkout ended: green for one that is paid, with its receipt.
func (s *State) closed() []string {
	c := s.Closed[0]
	title, sentence := ending(c)
	style := badStyle
	if c.GetPayment() != nil {
		style = goodStyle
	}
	bar := lipgloss.PlaceHorizontal(max(1, s.Width), lipgloss.Center, title)
	lines := append(paint(style, []string{bar}), "", sentence)
	switch {
	case c.GetPayment() == nil:
		lines = append(lines, money(c.GetAmount())+"  "+c.GetReference())
	default:
		lines = append(append(lines, ""), paper(c, s)...)
	}
	if more := len(s.Closed) - 1; more > 0 {
		lines = append(lines, "", fmt.Sprintf("%d more after this one", more))
	}
	return lines
}

// unprinted asks for somebody to look at the printer.
func (s *State) unprinted() []string {
	c := s.Unprinted.Checkout
	lines := append(paint(badStyle, []string{" LOOK AT THE PRINTER "}), "")
	lines = append(lines, fold(fmt.Sprintf("%s was paid. %s", money(c.GetPayment().GetTotal()), s.Unprinted.Why), s.Width)...)
	return append(append(lines, ""), paper(c, s)...)
}

// paper is the receipt as it is printed.
func paper(c *checkoutv1.Checkout, s *State) []string {
	return strings.Split(strings.TrimRight(terminal.Receipt(c, s.Configuration, receiptWidth), "\n"), "\n")
}

func paint(style lipgloss.Style, lines []string) []string {
	painted := make([]string, len(lines))
	for i, l := range lines {
		painted[i] = style.Render(l)
	}
	return painted
}

// fold breaks a text into lines of textWidth, or up to twice that where there is room.
func fold(text string, width int) []string {
	return strings.Split(lipgloss.Wrap(text, max(textWidth, min(width, 2*textWidth)), ""), "\n")
}
