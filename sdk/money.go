package tillbook

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strings"

	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
)

// Money is an exact amount of one asset, such as 12.50 USD. It is a small
// immutable value: copy it freely. No operation rounds, and none mixes assets.
//
// The zero Money has no asset and an amount of 0; adding it to any other Money
// gives that Money, so a sum can start from it.
//
// Money keeps the number of decimals that it was written with, so == tells
// "12.5 USD" and "12.50 USD" apart. Compare with Cmp.
type Money struct {
	asset  string
	amount string // canonical decimal, "" for the zero Money
}

// NewMoney returns an amount, such as "12.50", of the asset with a code such as
// "USD". It fails with ErrMoneySyntax if either isn't well formed, and with
// ErrMoneyRange for more than 38 digits.
func NewMoney(amount, asset string) (Money, error) {
	if !assetPattern.MatchString(asset) {
		return Money{}, fmt.Errorf("%w: %q is not an asset code such as USD", ErrMoneySyntax, asset)
	}
	if !amountPattern.MatchString(amount) {
		return Money{}, fmt.Errorf("%w: %q is not an amount such as 12.50", ErrMoneySyntax, amount)
	}
	if digits(amount) > maxDigits {
		return Money{}, fmt.Errorf("%w: an amount has at most %d digits", ErrMoneyRange, maxDigits)
	}
	units, scale := parseDecimal(amount)
	return Money{asset: asset, amount: formatDecimal(units, scale)}, nil
}

// ParseMoney reads an amount and an asset code with a space between them, such
// as "12.50 USD". It fails as NewMoney does.
func ParseMoney(text string) (Money, error) {
	amount, asset, found := strings.Cut(text, " ")
	if !found {
		return Money{}, fmt.Errorf("%w: %q is not an amount and an asset such as 12.50 USD", ErrMoneySyntax, text)
	}
	return NewMoney(amount, asset)
}

// MustMoney is ParseMoney for amounts that stand in the program's source. It
// panics if text is malformed.
func MustMoney(text string) Money {
	m, err := ParseMoney(text)
	if err != nil {
		panic(err)
	}
	return m
}

// MoneyFrom returns the Money that a message holds. A nil message is an error:
// an amount that is missing is not an amount of zero.
func MoneyFrom(message *moneyv1.Money) (Money, error) {
	if message == nil {
		return Money{}, fmt.Errorf("%w: the message holds no amount", ErrMoneySyntax)
	}
	return NewMoney(message.GetAmount(), message.GetAsset())
}

// Proto returns m as the message that requests take.
func (m Money) Proto() *moneyv1.Money {
	return &moneyv1.Money{Asset: m.asset, Amount: m.Amount()}
}

// Asset returns the asset's code; it is empty for the zero Money.
func (m Money) Asset() string { return m.asset }

// Amount returns the amount as a decimal string with the number of decimals
// that it was written with.
func (m Money) Amount() string {
	if m.amount == "" {
		return "0"
	}
	return m.amount
}

// String returns what ParseMoney reads, such as "12.50 USD".
func (m Money) String() string {
	if m.asset == "" {
		return m.Amount()
	}
	return m.Amount() + " " + m.asset
}

// Add returns m + other. It fails with ErrAssetMismatch if they are of
// different assets and with ErrMoneyRange if the sum has more than 38 digits.
func (m Money) Add(other Money) (Money, error) {
	switch {
	case m == Money{}:
		return other, nil
	case other == Money{}:
		return m, nil
	case m.asset != other.asset:
		return Money{}, fmt.Errorf("%w: %s and %s", ErrAssetMismatch, m.asset, other.asset)
	}
	a, b, scale := align(m, other)
	sum := formatDecimal(a.Add(a, b), scale)
	if digits(sum) > maxDigits {
		return Money{}, fmt.Errorf("%w: %s + %s", ErrMoneyRange, m, other)
	}
	return Money{asset: m.asset, amount: sum}, nil
}

// Sub returns m - other and fails as Add does.
func (m Money) Sub(other Money) (Money, error) { return m.Add(other.Neg()) }

// Neg returns -m.
func (m Money) Neg() Money {
	if m.Sign() == 0 {
		return m
	}
	if rest, negative := strings.CutPrefix(m.amount, "-"); negative {
		return Money{asset: m.asset, amount: rest}
	}
	return Money{asset: m.asset, amount: "-" + m.amount}
}

// Cmp returns -1, 0 or 1 as m is less than, equal to or greater than other,
// whatever number of decimals they are written with. It fails with
// ErrAssetMismatch if they are of different assets; the zero Money compares
// with every asset.
func (m Money) Cmp(other Money) (int, error) {
	if m.asset != other.asset && m != (Money{}) && other != (Money{}) {
		return 0, fmt.Errorf("%w: %s and %s", ErrAssetMismatch, m.asset, other.asset)
	}
	a, b, _ := align(m, other)
	return a.Cmp(b), nil
}

// Sign returns -1, 0 or 1 as m is negative, zero or positive.
func (m Money) Sign() int {
	units, _ := parseDecimal(m.Amount())
	return units.Sign()
}

// IsZero reports whether m is an amount of zero.
func (m Money) IsZero() bool { return m.Sign() == 0 }

// MarshalText writes what String returns, so that Money is a string in JSON.
func (m Money) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (m *Money) UnmarshalText(text []byte) error {
	if string(text) == "0" {
		*m = Money{}
		return nil
	}
	parsed, err := ParseMoney(string(text))
	if err != nil {
		return err
	}
	*m = parsed
	return nil
}

// maxDigits is how many digits an amount may have in all.
const maxDigits = 38

var (
	assetPattern  = regexp.MustCompile(`^[A-Z][A-Z0-9]{1,11}$`)
	amountPattern = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)
)

// align returns both amounts in units of the finer of the two scales.
func align(m, other Money) (a, b *big.Int, scale int) {
	a, scaleA := parseDecimal(m.Amount())
	b, scaleB := parseDecimal(other.Amount())
	scale = max(scaleA, scaleB)
	return shift(a, scale-scaleA), shift(b, scale-scaleB), scale
}

func shift(units *big.Int, places int) *big.Int {
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil)
	return units.Mul(units, power)
}

// parseDecimal reads a decimal that matches amountPattern.
func parseDecimal(text string) (units *big.Int, scale int) {
	whole, fraction, _ := strings.Cut(text, ".")
	units, ok := new(big.Int).SetString(whole+fraction, 10)
	if !ok {
		panic("tillbook: malformed amount " + text) // Unreachable: checked when the Money was made.
	}
	return units, len(fraction)
}

// formatDecimal writes units of 10^-scale as a decimal with scale decimals.
func formatDecimal(units *big.Int, scale int) string {
	text := new(big.Int).Abs(units).String()
	if scale > 0 {
		if missing := scale + 1 - len(text); missing > 0 {
			text = strings.Repeat("0", missing) + text
		}
		text = text[:len(text)-scale] + "." + text[len(text)-scale:]
	}
	if units.Sign() < 0 {
		text = "-" + text
	}
	return text
}

// digits counts the digits of a decimal.
func digits(text string) int {
	return len(text) - strings.Count(text, "-") - strings.Count(text, ".")
}

var (
	// ErrMoneySyntax means that a text isn't an amount of money.
	ErrMoneySyntax = errors.New("tillbook: malformed money")
	// ErrMoneyRange means that an amount has more than 38 digits.
	ErrMoneyRange = errors.New("tillbook: amount out of range")
	// ErrAssetMismatch means that amounts of different assets were mixed.
	ErrAssetMismatch = errors.New("tillbook: different assets")
)
