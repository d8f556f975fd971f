package qr

import (
	"strings"

	"golang.org/x/text/currency"
	"golang.org/x/text/language"
)

// currencies are the codes and numbers of what ISO 4217 lists and people pay in:
// no metals, no funds, no test codes.
const currencies = `
AED784 AFN971 ALL008 AMD051 AOA973 ARS032 AUD036 AWG533 AZN944 BAM977 BBD052 BDT050 BHD048
BIF108 BMD060 BND096 BOB068 BRL986 BSD044 BTN064 BWP072 BYN933 BZD084 CAD124 CDF976 CHF756
CLP152 CNY156 COP170 CRC188 CUP192 CVE132 CZK203 DJF262 DKK208 DOP214 DZD012 EGP818 ERN232
ETB230 EUR978 FJD242 FKP238 GBP826 GEL981 GHS936 GIP292 GMD270 GNF324 GTQ320 GYD328 HKD344
HNL340 HTG332 HUF348 IDR360 ILS376 INR356 IQD368 IRR364 ISK352 JMD388 JOD400 JPY392 KES404
KGS417 KHR116 KMF174 KPW408 KRW410 KWD414 KYD136 KZT398 LAK418 LBP422 LKR144 LRD430 LSL426
LYD434 MAD504 MDL498 MGA969 MKD807 MMK104 MNT496 MOP446 MRU929 MUR480 MVR462 MWK454 MXN484
MYR458 MZN943 NAD516 NGN566 NIO558 NOK578 NPR524 NZD554 OMR512 PAB590 PEN604 PGK598 PHP608
PKR586 PLN985 PYG600 QAR634 RON946 RSD941 RUB643 RWF646 SAR682 SBD090 SCR690 SDG938 SEK752
SGD702 SHP654 SLE925 SOS706 SRD968 SSP728 STN930 SVC222 SYP760 SZL748 THB764 TJS972 TMT934
TND788 TOP776 TRY949 TTD780 TWD901 TZS834 UAH980 UGX800 USD840 UYU858 UZS860 VED926 VES928
VND704 VUV548 WST882 XAF950 XCD951 XCG532 XOF952 XPF953 YER886 ZAR710 ZMW967 ZWG924`

var numbers, codes = func() (numbers, codes map[string]string) {
	numbers, codes = make(map[string]string), make(map[string]string)
	for entry := range strings.FieldsSeq(currencies) {
		code, number := entry[:3], entry[3:]
		numbers[code], codes[number] = number, code
	}
	return numbers, codes
}()

// CurrencyNumber returns the number that ISO 4217 gives to a currency, such as
// "360" for "IDR", or false if it lists none of that code. Ask only for currencies:
// a token may have the code of one.
func CurrencyNumber(code string) (string, bool) {
	number, ok := numbers[code]
	return number, ok
}

// CurrencyCode returns the code of the currency with a number of ISO 4217, such as
// "IDR" for "360", or false if no currency that people pay in has that number.
func CurrencyCode(number string) (string, bool) {
	code, ok := codes[number]
	return code, ok
}

// CountryCurrency returns the number of the currency that people pay in in a country,
// such as "360" for "ID", or false if there is no such country (ISO 3166-1) or it has
// none.
func CountryCurrency(country string) (string, bool) {
	region, err := language.ParseRegion(country)
	if err != nil || !region.IsCountry() || region.String() != country {
		return "", false
	}
	unit, ok := currency.FromRegion(region)
	if !ok {
		return "", false
	}
	code := unit.String()
	if newer, ok := successors[code]; ok {
		code = newer
	}
	return CurrencyNumber(code)
}

// successors replaced currencies that the library still knows as those of a country.
var successors = map[string]string{
	"ANG": "XCG", "BGN": "EUR", "HRK": "EUR", "MRO": "MRU", "SLL": "SLE", "STD": "STN", "VEF": "VES", "ZWL": "ZWG",
}
