package terminal

import (
	"math/big"
	"strings"
	"time"
	"unicode/utf8"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
)

// minReceiptWidth is the narrowest receipt in which an amount has its place.
const minReceiptWidth = 20

// Receipt returns the text to print of a checkout that is paid: lines of at most
// width characters, at least 20, as printers of 58 mm have 32 and those of 80 mm have
// 48. The configuration says whose it is and in which time zone.
func Receipt(c *checkoutv1.Checkout, of *terminalv1.Configuration, width int) string {
	r := &receipt{width: max(width, minReceiptWidth)}
	r.center(of.GetMerchantName())
	r.center(of.GetStoreName())
	r.center(of.GetCity())
	r.rule()
	r.pair(localTime(c, of.GetTimeZone()), c.GetCode())
	if c.GetReference() != "" {
		r.wrapped(c.GetReference())
	}
	r.rule()
	for _, item := range c.GetItems() {
		r.wrapped(item.GetName())
		price := item.GetUnitPrice().GetAmount()
		r.pair("  "+big.NewInt(int64(item.GetQuantity())).String()+" x "+price, times(price, item.GetQuantity()))
	}
	if len(c.GetItems()) > 0 {
		r.rule()
	}
	r.payment(c)
	return r.text.String()
}

// receipt is one that is being written.
type receipt struct {
	width int
	text  strings.Builder
}

func (r *receipt) payment(c *checkoutv1.Checkout) {
	p := c.GetPayment()
	r.pair("Amount", money(c.GetAmount()))
	if !isZero(p.GetTip()) {
		r.pair("Tip", money(p.GetTip()))
	}
	label := "Paid"
	if c.GetState() == checkoutv1.CheckoutState_CHECKOUT_STATE_AUTHORIZED {
		label = "Authorized"
	}
	r.pair(label, money(p.GetTotal()))
	if !isZero(p.GetRefunded()) {
		r.pair("Given back", money(p.GetRefunded()))
	}
	if p.GetMaskedCustomer() != "" {
		r.pair("By", p.GetMaskedCustomer())
	}
	if p.GetTransactionId() != "" {
		r.rule()
		r.wrapped(p.GetTransactionId())
	}
}

func (r *receipt) line(s string) {
	r.text.WriteString(strings.TrimRight(s, " "))
	r.text.WriteByte('\n')
}

func (r *receipt) rule() { r.line(strings.Repeat("-", r.width)) }

// center writes a text in the middle, if there is any.
func (r *receipt) center(s string) {
	for _, part := range wrap(s, r.width) {
		r.line(strings.Repeat(" ", (r.width-utf8.RuneCountInString(part))/2) + part)
	}
}

func (r *receipt) wrapped(s string) {
	for _, part := range wrap(s, r.width) {
		r.line(part)
	}
}

// pair writes one text on the left and one on the right, on two lines if they don't
// fit on one.
func (r *receipt) pair(left, right string) {
	gap := r.width - utf8.RuneCountInString(left) - utf8.RuneCountInString(right)
	if gap >= 1 {
		r.line(left + strings.Repeat(" ", gap) + right)
		return
	}
	r.wrapped(left)
	for _, part := range wrap(right, r.width) {
		r.line(strings.Repeat(" ", r.width-utf8.RuneCountInString(part)) + part)
	}
}

// wrap breaks a text into lines, between words where it can.
func wrap(s string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		for {
			switch {
			case line == "":
				line = word
			case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
				line += " " + word
			default:
				lines, line = append(lines, line), ""
				continue
			}
			break
		}
		for utf8.RuneCountInString(line) > width {
			runes := []rune(line)
			lines, line = append(lines, string(runes[:width])), string(runes[width:])
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// localTime is when a checkout was closed, by the clock on the shop's wall.
func localTime(c *checkoutv1.Checkout, zone string) string {
	at := c.GetCloseTime()
	if at == nil {
		at = c.GetCreateTime()
	}
	place, err := time.LoadLocation(zone)
	if err != nil {
		place = time.UTC
	}
	return at.AsTime().In(place).Format("2006-01-02 15:04")
}

func money(m *moneyv1.Money) string { return strings.TrimSpace(m.GetAsset() + " " + m.GetAmount()) }

func isZero(m *moneyv1.Money) bool { return strings.Trim(m.GetAmount(), "0.") == "" }

// times multiplies a decimal exactly; it is empty for what is none.
func times(decimal string, n uint32) string {
	whole, fraction, _ := strings.Cut(decimal, ".")
	v, ok := new(big.Int).SetString(whole+fraction, 10)
	if !ok {
		return ""
	}
	digits := v.Mul(v, big.NewInt(int64(n))).String()
	if fraction == "" {
		return digits
	}
	for len(digits) <= len(fraction) {
		digits = "0" + digits
	}
	return digits[:len(digits)-len(fraction)] + "." + digits[len(digits)-len(fraction):]
}
