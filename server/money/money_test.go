package money_test

import (
	"testing"

	"pgregory.net/rapid"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

func TestMoneyIsReadExactlyAndWrittenAtItsExponent(t *testing.T) {
	books := moneytest.New(t).Ledger()
	cases := []struct{ asset, in, units, out string }{
		{"USD", "12.5", "1250", "12.50"},
		{"USD", "12.50", "1250", "12.50"},
		{"USD", "-0.01", "-1", "-0.01"},
		{"USD", "-0", "0", "0.00"},
		{"JPY", "900", "900", "900"},
		{"ETH", "0.000000000000000001", "1", "0.000000000000000001"},
		{"ETH", "99999999999999999999", "99999999999999999999000000000000000000", "99999999999999999999.000000000000000000"},
		{"IDR", "999999999999999999999999999999999999.99", "99999999999999999999999999999999999999", "999999999999999999999999999999999999.99"},
	}
	for _, c := range cases {
		v, err := money.Parse(t.Context(), books, &moneyv1.Money{Asset: c.asset, Amount: c.in}, "amount")
		if err != nil {
			t.Errorf("%s %s: %v", c.in, c.asset, err)
			continue
		}
		if got := v.Amount.String(); got != c.units {
			t.Errorf("%s %s is %s units, want %s", c.in, c.asset, got, c.units)
		}
		if got := money.Format(v.Asset, v.Amount); got.GetAmount() != c.out || got.GetAsset() != c.asset {
			t.Errorf("%s %s is written %v, want %s", c.in, c.asset, got, c.out)
		}
	}
}

func TestWhatAnAssetCannotHoldIsRefusedByName(t *testing.T) {
	books := moneytest.New(t).Ledger()
	cases := []struct {
		asset, amount string
		reason        errorv1.ErrorReason
		field         string
	}{
		{"XXX", "1", errorv1.ErrorReason_ERROR_REASON_ASSET_NOT_FOUND, "to.asset"},
		{"usd", "1", errorv1.ErrorReason_ERROR_REASON_ASSET_NOT_FOUND, "to.asset"},
		{"", "1", errorv1.ErrorReason_ERROR_REASON_ASSET_NOT_FOUND, "to.asset"},
		{"US\x00", "1", errorv1.ErrorReason_ERROR_REASON_ASSET_NOT_FOUND, "to.asset"},
		{"USD", "1.001", errorv1.ErrorReason_ERROR_REASON_AMOUNT_TOO_PRECISE, "to.amount"},
		{"USD", "1.000", errorv1.ErrorReason_ERROR_REASON_AMOUNT_TOO_PRECISE, "to.amount"},
		{"JPY", "1.0", errorv1.ErrorReason_ERROR_REASON_AMOUNT_TOO_PRECISE, "to.amount"},
		{"USD", "1000000000000000000000000000000000000", errorv1.ErrorReason_ERROR_REASON_AMOUNT_OUT_OF_RANGE, "to.amount"},
		{"ETH", "100000000000000000000", errorv1.ErrorReason_ERROR_REASON_AMOUNT_OUT_OF_RANGE, "to.amount"},
		{"USD", "1e3", errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "to.amount"},
		{"USD", "", errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "to.amount"},
		{"USD", "0", errorv1.ErrorReason_ERROR_REASON_AMOUNT_NOT_POSITIVE, "to.amount"},
		{"USD", "-0", errorv1.ErrorReason_ERROR_REASON_AMOUNT_NOT_POSITIVE, "to.amount"},
		{"USD", "-5", errorv1.ErrorReason_ERROR_REASON_AMOUNT_NOT_POSITIVE, "to.amount"},
	}
	for _, c := range cases {
		_, err := money.ParsePositive(t.Context(), books, &moneyv1.Money{Asset: c.asset, Amount: c.amount}, "to")
		got := rpc.AsError(err)
		if err == nil || got.Reason() != c.reason {
			t.Errorf("%q %q: got %v, want %v", c.amount, c.asset, err, c.reason)
			continue
		}
		if len(got.Fields()) != 1 || got.Fields()[0].Path != c.field {
			t.Errorf("%q %q: names %v, want %s", c.amount, c.asset, got.Fields(), c.field)
		}
	}
}

func TestWhatIsWrittenReadsAsItself(t *testing.T) {
	books := moneytest.New(t).Ledger()
	assets, err := books.Assets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		asset := rapid.SampledFrom(assets).Draw(rt, "asset")
		units := rapid.StringMatching(`-?[1-9][0-9]{0,37}`).Draw(rt, "units")
		amount, err := ledger.ParseDecimal(units, 0)
		if err != nil {
			rt.Fatal(err)
		}
		again, err := money.Parse(t.Context(), books, money.Format(asset, amount), "amount")
		if err != nil || again.Amount != amount || again.Asset != asset {
			rt.Fatalf("%s of %s reads as %v, %v", units, asset.Code, again, err)
		}
	})
}

func TestTheOwnerOfAnAccountIsReadFromItsCode(t *testing.T) {
	user := id.New()
	code := money.UserAccount(user, ledger.Asset{Code: "USD"})
	if got, ok := money.OwnerOf(code); !ok || got != user {
		t.Errorf("the owner of %s is %v, %v", code, got, ok)
	}
	for _, code := range []string{
		"external/sandbox/USD", "user", "user/", "user/usr_0/main/USD", "users" + code[len("user"):],
		money.UserScope(user),
	} {
		if got, ok := money.OwnerOf(code); ok {
			t.Errorf("%q has the owner %v, want nobody", code, got)
		}
	}
}
