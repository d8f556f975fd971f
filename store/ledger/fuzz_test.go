package ledger

import (
	"math/big"
	"strings"
	"testing"
)

// An amount that was read is the one that was written, to the last digit.
func FuzzParseDecimal(f *testing.F) {
	for _, text := range []string{"0", "-0", "12.50", "-0.01", "0.000000000000000001", strings.Repeat("9", 38), strings.Repeat("9", 39), "1e9", "+1", ".5", "5.", "1.2.3", "--1", "٣", "0x1", " 1", "1\x00", "000000000000000000000000000000000000000001"} {
		f.Add(text, uint8(2))
		f.Add(text, uint8(18))
	}
	f.Fuzz(func(t *testing.T, text string, exponent uint8) {
		places := int(exponent % 19)
		a, err := ParseDecimal(text, places)
		if err != nil {
			return
		}
		want, ok := new(big.Rat).SetString(text)
		if !ok {
			t.Fatalf("%q reads as %s", text, a.Decimal(places))
		}
		got, ok := new(big.Rat).SetString(a.Decimal(places))
		if !ok || got.Cmp(want) != 0 {
			t.Fatalf("%q reads as %s", text, a.Decimal(places))
		}
		again, err := ParseDecimal(a.Decimal(places), places)
		if err != nil || again != a {
			t.Fatalf("%q is written as %q, which reads as %v, %v", text, a.Decimal(places), again, err)
		}
	})
}

// The database's own forms are read as well: a tampered database must not stop a
// replica.
func FuzzParseUsage(f *testing.F) {
	for _, text := range []string{`["out day UTC 1 2 3"]`, `["a b c 9223372036854775807 -1 -1","x"]`, `["`, ``, `[]`, `["     "]`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(_ *testing.T, text []byte) { _, _ = parseUsage(text) })
}
