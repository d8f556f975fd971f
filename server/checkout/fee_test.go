package checkout_test

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/store/ledger"
)

func parse(t interface{ Fatal(...any) }, units string) ledger.Amount {
	a, err := ledger.ParseDecimal(units, 0)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestFeeAndNetSumToTheTotalExactly(t *testing.T) {
	units := rapid.StringMatching(`[1-9][0-9]{0,37}`)
	rapid.Check(t, func(t *rapid.T) {
		total := units.Draw(t, "total")
		fixed := rapid.OneOf(rapid.Just("0"), rapid.StringMatching(`[1-9][0-9]{0,3}`), units).Draw(t, "fixed")
		bps := rapid.IntRange(0, 10_000).Draw(t, "bps")
		fee, net := checkout.Rate{BasisPoints: bps, Fixed: parse(t, fixed)}.Split(parse(t, total))

		whole, _ := new(big.Int).SetString(total, 10)
		want := new(big.Int).Mul(whole, big.NewInt(int64(bps)))
		want.Add(want, big.NewInt(5_000)).Div(want, big.NewInt(10_000)) // half up
		extra, _ := new(big.Int).SetString(fixed, 10)
		if want.Add(want, extra).Cmp(whole) > 0 {
			want = whole
		}
		if fee.String() != want.String() {
			t.Errorf("%d basis points and %s of %s are %s, want %s", bps, fixed, total, fee, want)
		}
		if sum, err := fee.Add(net); err != nil || sum.String() != total || net.Sign() < 0 {
			t.Errorf("%s and %s are not %s", fee, net, total)
		}
	})
}

func TestFeesAreRoundedHalfUp(t *testing.T) {
	for _, c := range []struct {
		total int64
		bps   int
		fixed int64
		fee   string
	}{
		{total: 100, bps: 250, fee: "3"}, // 2.5
		{total: 100, bps: 249, fee: "2"}, // 2.49
		{total: 1, bps: 5_000, fee: "1"},
		{total: 1, bps: 4_999, fee: "0"},
		{total: 1000, bps: 290, fixed: 30, fee: "59"},
		{total: 10, bps: 290, fixed: 30, fee: "10"},
	} {
		fee, _ := checkout.Rate{BasisPoints: c.bps, Fixed: ledger.NewAmount(c.fixed)}.Split(ledger.NewAmount(c.total))
		if fee.String() != c.fee {
			t.Errorf("%d basis points and %d of %d are %s, want %s", c.bps, c.fixed, c.total, fee, c.fee)
		}
	}
}
