package ledger

import (
	"errors"
	"fmt"
	"strings"

	"github.com/holiman/uint256"
)

// MaxDigits is the number of decimal digits that an amount may have in its
// asset's smallest unit. It is the precision of the numeric columns.
const MaxDigits = 38

// Errors of amounts.
var (
	// ErrAmountRange says that an amount, or a balance that it would lead to,
	// has more than MaxDigits digits.
	ErrAmountRange = errors.New("amount exceeds 38 digits")
	// ErrTooPrecise says that a decimal has more decimals than its asset.
	ErrTooPrecise = errors.New("amount has more decimals than its asset")
	// ErrAmountSyntax says that a string is not a decimal number.
	ErrAmountSyntax = errors.New("amount is not a decimal number")
)

// Amount is an exact signed number of an asset's smallest units, between
// -(10^38 - 1) and 10^38 - 1. The zero value is 0. Amounts are values: they can
// be copied and compared with ==.
type Amount struct {
	v uint256.Int // two's complement
}

// maxAmount is 10^38 - 1.
var maxAmount = func() uint256.Int {
	v := pow10(MaxDigits)
	v.SubUint64(&v, 1)
	return v
}()

// maxAmountValue is the largest amount.
var maxAmountValue = Amount{v: maxAmount}

func pow10(n int) uint256.Int {
	var v uint256.Int
	v.Exp(uint256.NewInt(10), uint256.NewInt(uint64(n)))
	return v
}

// NewAmount returns n smallest units.
func NewAmount(n int64) Amount {
	var a Amount
	if n >= 0 {
		a.v.SetUint64(uint64(n))
		return a
	}
	a.v.SetUint64(uint64(-(n + 1)) + 1)
	a.v.Neg(&a.v)
	return a
}

// inRange tells whether |a| <= 10^38 - 1. Sums of two amounts in range can't
// overflow 256 bits, so checking after adding is enough.
func (a Amount) inRange() bool {
	var abs uint256.Int
	abs.Abs(&a.v)
	return !abs.Gt(&maxAmount)
}

// Add returns a + b, or ErrAmountRange.
func (a Amount) Add(b Amount) (Amount, error) {
	var sum Amount
	sum.v.Add(&a.v, &b.v)
	if !sum.inRange() {
		return Amount{}, ErrAmountRange
	}
	return sum, nil
}

// Sub returns a - b, or ErrAmountRange.
func (a Amount) Sub(b Amount) (Amount, error) { return a.Add(b.Neg()) }

// Neg returns -a.
func (a Amount) Neg() Amount {
	a.v.Neg(&a.v)
	return a
}

// Sign returns -1, 0 or 1.
func (a Amount) Sign() int { return a.v.Sign() }

// BasisPoints returns bps hundredths of a percent of an amount that isn't
// negative, rounded down, or ErrAmountRange.
func (a Amount) BasisPoints(bps int) (Amount, error) {
	var part Amount
	part.v.Mul(&a.v, uint256.NewInt(uint64(bps)))
	part.v.Div(&part.v, uint256.NewInt(10_000))
	if !part.inRange() {
		return Amount{}, ErrAmountRange
	}
	return part, nil
}

// RoundedBasisPoints is BasisPoints rounded half up.
func (a Amount) RoundedBasisPoints(bps int) (Amount, error) {
	var part Amount
	part.v.Mul(&a.v, uint256.NewInt(uint64(bps)))
	part.v.Add(&part.v, uint256.NewInt(5_000))
	part.v.Div(&part.v, uint256.NewInt(10_000))
	if !part.inRange() {
		return Amount{}, ErrAmountRange
	}
	return part, nil
}

// Min returns the smaller of a and b.
func (a Amount) Min(b Amount) Amount {
	if a.Cmp(b) < 0 {
		return a
	}
	return b
}

// IsZero tells whether a is 0.
func (a Amount) IsZero() bool { return a.v.IsZero() }

// Cmp returns -1 if a < b, 0 if a == b and 1 if a > b.
func (a Amount) Cmp(b Amount) int {
	switch {
	case a.v.Eq(&b.v):
		return 0
	case a.v.Slt(&b.v):
		return -1
	default:
		return 1
	}
}

// Abs returns |a|.
func (a Amount) Abs() Amount {
	if a.Sign() < 0 {
		return a.Neg()
	}
	return a
}

// MarshalText writes a as an integer in the smallest unit.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (a *Amount) UnmarshalText(text []byte) error {
	v, err := ParseDecimal(string(text), 0)
	*a = v
	return err
}

// String writes a as an integer in the smallest unit.
func (a Amount) String() string { return a.Decimal(0) }

// Decimal writes a in major units with exactly exponent decimals, such as
// "-12.50" for -1250 with exponent 2.
func (a Amount) Decimal(exponent int) string {
	var abs uint256.Int
	abs.Abs(&a.v)
	digits := abs.Dec()
	if pad := exponent + 1 - len(digits); pad > 0 {
		digits = strings.Repeat("0", pad) + digits
	}
	sign := ""
	if a.Sign() < 0 {
		sign = "-"
	}
	if exponent == 0 {
		return sign + digits
	}
	point := len(digits) - exponent
	return sign + digits[:point] + "." + digits[point:]
}

// ParseDecimal reads a decimal number of major units, such as "-12.5", of an
// asset with the given exponent. It fails with ErrAmountSyntax, with
// ErrTooPrecise if s has more decimals than exponent, even zeros, or with
// ErrAmountRange.
func ParseDecimal(s string, exponent int) (Amount, error) {
	body, negative := strings.CutPrefix(s, "-")
	whole, fraction, point := strings.Cut(body, ".")
	if whole == "" || point && fraction == "" || !allDigits(whole) || !allDigits(fraction) {
		return Amount{}, fmt.Errorf("%w: %q", ErrAmountSyntax, s)
	}
	if len(fraction) > exponent {
		return Amount{}, fmt.Errorf("%w: %d decimals, at most %d", ErrTooPrecise, len(fraction), exponent)
	}
	digits := strings.TrimLeft(whole+fraction+strings.Repeat("0", exponent-len(fraction)), "0")
	if len(digits) > MaxDigits {
		return Amount{}, ErrAmountRange
	}
	a := parseDigits(digits)
	if negative {
		a = a.Neg()
	}
	return a, nil
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// parseDigits reads at most MaxDigits decimal digits, taking as many at a time
// as fit in a word.
func parseDigits(digits string) Amount {
	const word = 18
	var a Amount
	for len(digits) > 0 {
		n := min(len(digits), word)
		chunk, scale := uint64(0), uint64(1)
		for i := range n {
			chunk = chunk*10 + uint64(digits[i]-'0')
			scale *= 10
		}
		if !a.v.IsZero() {
			a.v.Mul(&a.v, uint256.NewInt(scale))
		}
		a.v.AddUint64(&a.v, chunk)
		digits = digits[n:]
	}
	return a
}
