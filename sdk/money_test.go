package tillbook_test

import (
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	tillbook "github.com/tillbook/tillbook/sdk"
)

func TestMoneyIsReadAsItIsWritten(t *testing.T) {
	for _, text := range []string{
		"12.50 USD", "0 JPY", "-0.01 EUR", "0.000000000000000001 ETH",
		strings.Repeat("9", 38) + " IDR", "0." + strings.Repeat("9", 37) + " ETH",
	} {
		m, err := tillbook.ParseMoney(text)
		if err != nil || m.String() != text {
			t.Errorf("%s came back as %s, %v", text, m, err)
		}
		from, err := tillbook.MoneyFrom(m.Proto())
		if err != nil || from != m {
			t.Errorf("%s came back from its message as %s, %v", text, from, err)
		}
	}
}

func TestWhatIsNoMoneyIsRefused(t *testing.T) {
	for text, want := range map[string]error{
		"":                                       tillbook.ErrMoneySyntax,
		"12.50":                                  tillbook.ErrMoneySyntax,
		"USD 12.50":                              tillbook.ErrMoneySyntax,
		"12,50 USD":                              tillbook.ErrMoneySyntax,
		"1e3 USD":                                tillbook.ErrMoneySyntax,
		"+1 USD":                                 tillbook.ErrMoneySyntax,
		"01 USD":                                 tillbook.ErrMoneySyntax,
		".5 USD":                                 tillbook.ErrMoneySyntax,
		"5. USD":                                 tillbook.ErrMoneySyntax,
		"5  USD":                                 tillbook.ErrMoneySyntax,
		"5 usd":                                  tillbook.ErrMoneySyntax,
		"5 U":                                    tillbook.ErrMoneySyntax,
		"5 USD ":                                 tillbook.ErrMoneySyntax,
		"NaN USD":                                tillbook.ErrMoneySyntax,
		"٣ USD":                                  tillbook.ErrMoneySyntax,
		"5 USD\n":                                tillbook.ErrMoneySyntax,
		"-- 5 USD":                               tillbook.ErrMoneySyntax,
		"1_000 USD":                              tillbook.ErrMoneySyntax,
		"0x10 USD":                               tillbook.ErrMoneySyntax,
		"1\x00 USD":                              tillbook.ErrMoneySyntax,
		"5 USDUSDUS":                             nil,
		"1" + strings.Repeat("0", 38) + " IDR":   tillbook.ErrMoneyRange,
		"0." + strings.Repeat("1", 38) + " ETH":  tillbook.ErrMoneyRange,
		strings.Repeat("9", 1_000_000) + " JPY":  tillbook.ErrMoneyRange,
		"5 " + strings.Repeat("U", 13):           tillbook.ErrMoneySyntax,
		"1." + strings.Repeat("0", 38) + " USDC": tillbook.ErrMoneyRange,
		"-" + strings.Repeat("9", 38) + ".0 USDC": tillbook.ErrMoneyRange,
	} {
		if _, err := tillbook.ParseMoney(text); !errors.Is(err, want) {
			t.Errorf("%.60q gave %v, want %v", text, err, want)
		}
	}
	if _, err := tillbook.MoneyFrom(nil); !errors.Is(err, tillbook.ErrMoneySyntax) {
		t.Errorf("a missing amount gave %v", err)
	}
}

func TestAssetsDontMix(t *testing.T) {
	usd, idr := tillbook.MustMoney("1 USD"), tillbook.MustMoney("1 IDR")
	if _, err := usd.Add(idr); !errors.Is(err, tillbook.ErrAssetMismatch) {
		t.Errorf("Add gave %v", err)
	}
	if _, err := usd.Sub(idr); !errors.Is(err, tillbook.ErrAssetMismatch) {
		t.Errorf("Sub gave %v", err)
	}
	if _, err := usd.Cmp(idr); !errors.Is(err, tillbook.ErrAssetMismatch) {
		t.Errorf("Cmp gave %v", err)
	}
}

func TestASumCanStartFromNothing(t *testing.T) {
	var sum tillbook.Money
	for _, text := range []string{"0.10 USD", "0.20 USD", "-0.3 USD"} {
		var err error
		if sum, err = sum.Add(tillbook.MustMoney(text)); err != nil {
			t.Fatal(err)
		}
	}
	if sum.String() != "0.00 USD" || !sum.IsZero() {
		t.Errorf("got %s", sum)
	}
}

func TestASumThatIsTooLargeIsRefused(t *testing.T) {
	most := tillbook.MustMoney(strings.Repeat("9", 38) + " IDR")
	if _, err := most.Add(tillbook.MustMoney("1 IDR")); !errors.Is(err, tillbook.ErrMoneyRange) {
		t.Errorf("got %v", err)
	}
	if _, err := most.Add(tillbook.MustMoney("0.01 IDR")); !errors.Is(err, tillbook.ErrMoneyRange) {
		t.Errorf("got %v", err)
	}
}

func TestMoneyIsAStringInJSON(t *testing.T) {
	type invoice struct{ Total, Paid tillbook.Money }
	text, err := json.Marshal(invoice{Total: tillbook.MustMoney("12.50 USD")})
	if err != nil || string(text) != `{"Total":"12.50 USD","Paid":"0"}` {
		t.Fatalf("got %s, %v", text, err)
	}
	var back invoice
	if err := json.Unmarshal(text, &back); err != nil || back.Total.String() != "12.50 USD" || back.Paid != (tillbook.Money{}) {
		t.Errorf("got %v, %v", back, err)
	}
}

// Arithmetic agrees with that of rational numbers.
func TestMoneyCountsExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) (tillbook.Money, *big.Rat) {
			text := rapid.StringMatching(`-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?`).Draw(t, label)
			m, err := tillbook.NewMoney(text, "ETH")
			if err != nil {
				t.Fatal(err)
			}
			r, _ := new(big.Rat).SetString(text)
			return m, r
		}
		a, ra := draw("a")
		b, rb := draw("b")
		check := func(what string, got tillbook.Money, want *big.Rat) {
			if r, ok := new(big.Rat).SetString(got.Amount()); !ok || r.Cmp(want) != 0 || got.Sign() != want.Sign() {
				t.Fatalf("%s of %s and %s is %s, want %s", what, a, b, got, want.FloatString(18))
			}
			if strings.HasPrefix(got.Amount(), "-") != (want.Sign() < 0) {
				t.Fatalf("%s is written %s", what, got)
			}
		}
		sum, err := a.Add(b)
		if err != nil {
			t.Fatal(err)
		}
		check("sum", sum, new(big.Rat).Add(ra, rb))
		difference, err := a.Sub(b)
		if err != nil {
			t.Fatal(err)
		}
		check("difference", difference, new(big.Rat).Sub(ra, rb))
		check("negative", a.Neg(), new(big.Rat).Neg(ra))
		if order, err := a.Cmp(b); err != nil || order != ra.Cmp(rb) {
			t.Fatalf("Cmp of %s and %s is %d, %v", a, b, order, err)
		}
	})
}
