package wallet

import (
	"testing"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

func TestTheOtherSideIsOneUserOrALabel(t *testing.T) {
	alice, bob, carol := id.New(), id.New(), id.New()
	usd, eur := ledger.Asset{Code: "USD"}, ledger.Asset{Code: "EUR"}
	of := func(user uuid.UUID) string { return money.UserAccount(user, usd) }
	cases := map[string]struct {
		codes []string
		want  otherSide
	}{
		"a payment":                  {[]string{of(alice), of(bob)}, otherSide{user: bob}},
		"a payment received":         {[]string{of(bob), of(alice)}, otherSide{user: bob}},
		"a payment with a fee":       {[]string{of(alice), of(bob), "system/fees/USD"}, otherSide{user: bob}},
		"a fee before the payee":     {[]string{"system/fees/USD", of(bob), of(alice)}, otherSide{user: bob}},
		"a purchase":                 {[]string{of(alice), money.MerchantPending(bob, usd), "system/fees/USD"}, otherSide{merchant: bob}},
		"a purchase all for the fee": {[]string{of(alice), "system/fees/USD"}, otherSide{label: "System"}},
		"a purchase given back":      {[]string{of(alice), money.MerchantPending(bob, usd), money.MerchantAvailable(bob, usd)}, otherSide{merchant: bob}},
		"a fee before the merchant":  {[]string{"system/fees/USD", money.MerchantPending(bob, usd), of(alice)}, otherSide{merchant: bob}},
		"money from outside":         {[]string{"external/bank/USD", of(alice)}, otherSide{label: "External"}},
		"from outside, less a fee":   {[]string{"external/bank/USD", "system/fees/USD", of(alice)}, otherSide{label: "External"}},
		"the other way round":        {[]string{"system/fees/USD", "external/bank/USD", of(alice)}, otherSide{label: "External"}},
		"a correction":               {[]string{of(alice), "system/corrections/USD"}, otherSide{label: "System"}},
		"several users":              {[]string{of(alice), of(bob), of(carol)}, otherSide{label: "Several"}},
		"between own accounts":       {[]string{of(alice), money.UserAccount(alice, eur)}, otherSide{label: "Own accounts"}},
		"one user in two currencies": {[]string{of(alice), of(bob), money.UserAccount(alice, eur), money.UserAccount(bob, eur)}, otherSide{user: bob}},
	}
	for name, c := range cases {
		tx := &ledger.Transaction{}
		for _, code := range c.codes {
			tx.Entries = append(tx.Entries, ledger.Entry{Code: code})
		}
		if got := otherSideOf(tx, alice); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}
