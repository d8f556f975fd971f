package qr

import (
	"strings"
	"testing"
)

func TestCurrenciesHaveOneCodeAndOneNumber(t *testing.T) {
	for _, entry := range strings.Fields(currencies) {
		code, number := entry[:3], entry[3:]
		if len(entry) != 6 || !isOf(code, capitals) || !isDigits(number) || number == NoCurrency {
			t.Errorf("%q is no code and number", entry)
		}
		if got, ok := CurrencyNumber(code); !ok || got != number {
			t.Errorf("CurrencyNumber(%s) = %s, %v", code, got, ok)
		}
		if got, ok := CurrencyCode(number); !ok || got != code {
			t.Errorf("CurrencyCode(%s) = %s, %v", number, got, ok)
		}
	}
	for code, number := range map[string]string{
		"IDR": "360", "MYR": "458", "HKD": "344", "NGN": "566", "KES": "404", "GHS": "936",
		"USD": "840", "CAD": "124", "EUR": "978", "JPY": "392", "ETH": "", "usd": "", "XXX": "",
	} {
		if got, ok := CurrencyNumber(code); got != number || ok != (number != "") {
			t.Errorf("CurrencyNumber(%s) = %q, %v; want %q", code, got, ok, number)
		}
	}
	if got, ok := CurrencyCode(NoCurrency); ok {
		t.Errorf("CurrencyCode(999) = %s", got)
	}
}

func TestACountryHasACurrency(t *testing.T) {
	for country, want := range map[string]string{
		"ID": "360", "MY": "458", "HK": "344", "NG": "566", "KE": "404", "GH": "936", "US": "840", "CA": "124", "DE": "978", "JP": "392",
		"HR": "978", "BG": "978", "AQ": "", "XX": "", "ZZ": "", "UK": "", "EU": "", "id": "", "": "", "419": "",
	} {
		if got, ok := CountryCurrency(country); got != want || ok != (want != "") {
			t.Errorf("%q has the currency %q, %v; want %q", country, got, ok, want)
		}
	}
}
