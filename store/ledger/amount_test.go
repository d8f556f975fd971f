package ledger

import (
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
	"pgregory.net/rapid"
)

// bigAmounts draws integers in the range of Amount, with many near its ends and
// near the boundaries of words and of base 10000.
func bigAmounts() *rapid.Generator[*big.Int] {
	limit := new(big.Int).Sub(new(big.Int).Exp(big.NewInt(10), big.NewInt(MaxDigits), nil), big.NewInt(1))
	return rapid.Custom(func(t *rapid.T) *big.Int {
		n := new(big.Int)
		switch rapid.IntRange(0, 3).Draw(t, "shape") {
		case 0:
			n.SetInt64(rapid.Int64().Draw(t, "small"))
		case 1:
			digits := rapid.StringOfN(rapid.RuneFrom([]rune("0123456789")), 1, MaxDigits, -1).Draw(t, "digits")
			n.SetString(digits, 10)
		case 2:
			n.Sub(limit, big.NewInt(rapid.Int64Range(0, 3).Draw(t, "below limit")))
		default:
			n.Exp(big.NewInt(10), big.NewInt(rapid.Int64Range(0, MaxDigits-1).Draw(t, "power")), nil)
			n.Add(n, big.NewInt(rapid.Int64Range(-1, 1).Draw(t, "beside")))
		}
		if rapid.Bool().Draw(t, "negative") {
			n.Neg(n)
		}
		return n
	})
}

func amountOf(t interface{ Fatalf(string, ...any) }, n *big.Int) Amount {
	a, err := ParseDecimal(n.String(), 0)
	if err != nil {
		t.Fatalf("ParseDecimal(%s): %v", n, err)
	}
	return a
}

func TestAmountsAgreeWithBigIntegers(t *testing.T) {
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(MaxDigits), nil)
	rapid.Check(t, func(t *rapid.T) {
		x, y := bigAmounts().Draw(t, "x"), bigAmounts().Draw(t, "y")
		a, b := amountOf(t, x), amountOf(t, y)
		if a.String() != x.String() || a.Sign() != x.Sign() || a.Cmp(b) != x.Cmp(y) || a.IsZero() != (x.Sign() == 0) {
			t.Fatalf("%s reads as %s, sign %d, compared with %s %d", x, a, a.Sign(), y, a.Cmp(b))
		}
		sum := new(big.Int).Add(x, y)
		got, err := a.Add(b)
		if sum.CmpAbs(limit) >= 0 {
			if !errors.Is(err, ErrAmountRange) {
				t.Fatalf("%s + %s = %s, %v; want ErrAmountRange", x, y, got, err)
			}
			return
		}
		if err != nil || got.String() != sum.String() {
			t.Fatalf("%s + %s = %s, %v; want %s", x, y, got, err, sum)
		}
		if back, err := got.Sub(b); err != nil || back != a {
			t.Fatalf("%s + %s - %s = %s, %v", x, y, y, back, err)
		}
	})
}

func TestAmountsSurvivePostgreSQLsBinaryForm(t *testing.T) {
	m := pgtype.NewMap()
	rapid.Check(t, func(t *rapid.T) {
		x := bigAmounts().Draw(t, "x")
		a := amountOf(t, x)
		encoded := appendNumeric(nil, a)
		if got, err := decodeNumeric(encoded); err != nil || got != a {
			t.Fatalf("%s comes back as %s, %v", a, got, err)
		}
		// pgx's own reader and writer of numeric are the reference.
		var reference pgtype.Numeric
		if err := m.Scan(pgtype.NumericOID, pgtype.BinaryFormatCode, encoded, &reference); err != nil {
			t.Fatalf("pgx can't read %s: %v", a, err)
		}
		exact := new(big.Int).Mul(reference.Int, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(reference.Exp)), nil))
		if exact.Cmp(x) != 0 {
			t.Fatalf("pgx reads %s as %s", x, exact)
		}
		theirs, err := m.Encode(pgtype.NumericOID, pgtype.BinaryFormatCode, pgtype.Numeric{Int: x, Valid: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decodeNumeric(theirs); err != nil || got != a {
			t.Fatalf("what pgx wrote for %s reads as %s, %v", x, got, err)
		}
	})
}

func TestDecimalsAreReadAndWrittenExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := bigAmounts().Draw(t, "x")
		exponent := rapid.IntRange(0, 18).Draw(t, "exponent")
		a := amountOf(t, x)
		s := a.Decimal(exponent)
		if _, fraction, _ := strings.Cut(s, "."); len(fraction) != exponent {
			t.Fatalf("%s has not %d decimals", s, exponent)
		}
		if back, err := ParseDecimal(s, exponent); err != nil || back != a {
			t.Fatalf("%s reads as %s, %v; want %s", s, back, err, a)
		}
	})
}

func TestMalformedDecimalsAreRefused(t *testing.T) {
	for _, test := range []struct {
		in       string
		exponent int
		want     error
	}{
		{"", 2, ErrAmountSyntax},
		{"-", 2, ErrAmountSyntax},
		{".", 2, ErrAmountSyntax},
		{"1.", 2, ErrAmountSyntax},
		{".5", 2, ErrAmountSyntax},
		{"+1", 2, ErrAmountSyntax},
		{"--1", 2, ErrAmountSyntax},
		{"1e3", 2, ErrAmountSyntax},
		{"1,000", 2, ErrAmountSyntax},
		{" 1", 2, ErrAmountSyntax},
		{"1.2.3", 2, ErrAmountSyntax},
		{"٣", 2, ErrAmountSyntax},
		{"0.001", 2, ErrTooPrecise},
		{"1.0", 0, ErrTooPrecise},
		{"1" + strings.Repeat("0", 38), 0, ErrAmountRange},
		{"1" + strings.Repeat("0", 36), 2, ErrAmountRange},
	} {
		if a, err := ParseDecimal(test.in, test.exponent); !errors.Is(err, test.want) {
			t.Errorf("ParseDecimal(%q, %d) = %s, %v; want %v", test.in, test.exponent, a, err, test.want)
		}
	}
}

func FuzzDecodeNumericNeverPanics(f *testing.F) {
	f.Add([]byte{})
	f.Add(appendNumeric(nil, NewAmount(-123456789)))
	f.Fuzz(func(t *testing.T, src []byte) {
		if a, err := decodeNumeric(src); err == nil && !a.inRange() {
			t.Fatalf("%x reads as %s, out of range", src, a)
		}
	})
}
