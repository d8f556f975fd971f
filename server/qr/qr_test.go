package qr

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// published is the example that the standard works through.
const published = "00020101021229300012D156000000000510A93FO3230Q31280012D15600000001030812345678" +
	"520441115802CN5914BEST TRANSPORT6007BEIJING64200002ZH0104最佳运输0202北京540523.72530315655020162330304" +
	"12340603***0708A60086670902ME91320016A0112233449988770708123456786304A13A"

// sticker and coffee are a static and a dynamic code of ours.
var (
	sticker = Code{
		Store: "str_06b0q7ktz8x4m2v1n9w3y5r8ce", Category: "5814", Currency: "360", Country: "ID",
		Merchant: "Warung Kopi", City: "Jakarta",
	}
	coffee = Code{
		Dynamic: true, Store: "str_06b0q7ktz8x4m2v1n9w3y5r8ce", Checkout: "K7QM2XWP",
		Category: "5814", Currency: "999", Asset: "ETH", Amount: "0.0125",
		Tip:     Tip{TipPercentage, "7.5"},
		Country: "ID", Merchant: "Warung Kopi", City: "Jakarta", Reference: "INV-17", Terminal: "till 2",
	}
)

const (
	stickerBody = "000201" + "010211" + "2650" + "0012app.tillbook" + "0130str_06b0q7ktz8x4m2v1n9w3y5r8ce" +
		"52045814" + "5303360" + "5802ID" + "5911Warung Kopi" + "6007Jakarta"
	coffeeBody = "000201" + "010212" + "2669" + "0012app.tillbook" + "0130str_06b0q7ktz8x4m2v1n9w3y5r8ce" +
		"0208K7QM2XWP" + "0303ETH" + "52045814" + "5303999" + "54060.0125" + "550203" + "57037.5" +
		"5802ID" + "5911Warung Kopi" + "6007Jakarta" + "6220" + "0506INV-17" + "0706till 2"
)

func TestTheChecksumIsThatOfTheStandard(t *testing.T) {
	if got := checksum("123456789"); got != "29B1" { // the check value of CRC-16/CCITT-FALSE
		t.Errorf("checksum = %s", got)
	}
	if got := checksum(""); got != "FFFF" {
		t.Errorf("checksum of nothing = %s", got)
	}
}

func TestThePublishedExampleIsRead(t *testing.T) {
	want := Code{
		Dynamic: true, Category: "4111", Currency: "156", Amount: "23.72", Tip: Tip{Handling: TipPrompt},
		Country: "CN", Merchant: "BEST TRANSPORT", City: "BEIJING", Terminal: "A6008667",
	}
	got, err := Parse(published)
	if err != nil || got != want {
		t.Fatalf("Parse = %+v, %v; want %+v", got, err, want)
	}
	if got.Ours() {
		t.Error("it isn't ours")
	}
}

func TestACodeIsWrittenInTheOrderOfItsTags(t *testing.T) {
	for body, code := range map[string]Code{stickerBody: sticker, coffeeBody: coffee} {
		text, err := Encode(code)
		if err != nil || text != seal(body) {
			t.Errorf("Encode = %s, %v; want %s", text, err, seal(body))
		}
		again, err := Parse(text)
		if err != nil || again != code || !again.Ours() {
			t.Errorf("Parse = %+v, %v; want %+v", again, err, code)
		}
	}
}

func TestNamesAreReducedToWhatTheStandardAllows(t *testing.T) {
	tests := map[string]string{
		"Warung Kopi":                       "Warung Kopi",
		"  as  it  is  ":                    "  as  it  is  ",
		"Café Zoë":                          "Cafe Zoe",
		"Cafe\u0301":                        "Cafe",
		"Phở Đặc Biệt":                      "Pho Dac Biet",
		"Łódź Straße Ærø":                   "Lodz Strasse AEro",
		"Joe’s “Diner” – Bar":               `Joe's "Diner" - Bar`,
		"ＴＯＫＹＯ　ｃａｆｅ":                        "TOKYO cafe",
		"Café\tand\n bar":                   "Cafe and bar",
		"東京 Ramen":                          "?? Ramen",
		"がる":                                "??",
		"한국 BBQ":                            "?? BBQ",
		"☕ Coffee\u200b":                    "? Coffee",
		"bad \xff byte":                     "bad ? byte",
		strings.Repeat("a", 30):             strings.Repeat("a", 25),
		strings.Repeat("é", 30):             strings.Repeat("e", 25),
		"Toko Roti dan Kopi Bahagia Selalu": "Toko Roti dan Kopi Bahagi",
		"Toko Roti Kopi Bahagiaaa Selalu":   "Toko Roti Kopi Bahagiaaa",
	}
	for name, want := range tests {
		code := sticker
		code.Merchant, code.City = name, name
		text, err := Encode(code)
		if err != nil {
			t.Errorf("Encode(%q): %v", name, err)
			continue
		}
		got, err := Parse(text)
		if err != nil || got.Merchant != want || len(got.City) > 15 || !strings.HasPrefix(want, got.City) {
			t.Errorf("%q is written as %q, %q, %v; want %q", name, got.Merchant, got.City, err, want)
		}
	}
}

func TestNumbersAreReadAndWrittenInTheirPlainForm(t *testing.T) {
	for raw, want := range map[string]string{
		"98.73": "98.73", "98": "98", "98.": "98", "098.70": "98.70", "00.01": "0.01", "9999999999999": "9999999999999",
	} {
		body := strings.Replace(coffeeBody, "54060.0125", object54(raw), 1)
		got, err := Parse(seal(body))
		if err != nil || got.Amount != want {
			t.Errorf("%q reads as %q, %v; want %q", raw, got.Amount, err, want)
		}
	}
	for raw, want := range map[string]string{
		"0.050000000000000000": "0.05", "3.000000000000000000": "3", "100.00000000000": "100", "12.50": "12.50", "007.": "7",
	} {
		code := coffee
		code.Amount, code.Tip = raw, Tip{TipFixed, raw}
		text, err := Encode(code)
		if err != nil {
			t.Errorf("Encode of %q: %v", raw, err)
			continue
		}
		if got, err := Parse(text); err != nil || got.Amount != want || got.Tip.Value != want {
			t.Errorf("%q is written as %q and %q, %v; want %q", raw, got.Amount, got.Tip.Value, err, want)
		}
	}
}

func object54(value string) string {
	var out strings.Builder
	put(&out, tagAmount, value)
	return out.String()
}

func TestTheLongestCodeIsWritten(t *testing.T) {
	code := Code{
		Dynamic: true, Store: strings.Repeat("s", 30), Checkout: strings.Repeat("c", 29),
		Category: "0000", Currency: NoCurrency, Asset: "A23456789012", Amount: "1234567890.12",
		Tip:     Tip{TipFixed, "1234567890.12"},
		Country: "ID", Merchant: strings.Repeat("m", 25), City: strings.Repeat("c", 15),
		Reference: strings.Repeat("r", 25), Terminal: strings.Repeat("t", 25),
	}
	text, err := Encode(code)
	if err != nil || !strings.Contains(text, "2699") {
		t.Fatalf("Encode = %s, %v", text, err)
	}
	if got, err := Parse(text); err != nil || got != code {
		t.Fatalf("Parse = %+v, %v; want %+v", got, err, code)
	}
}

func TestWhatOthersWriteIsPassedOver(t *testing.T) {
	for name, more := range map[string]string{
		"a card network's account":       "0416123456789012345603021x",
		"another system's template":      "27240011com.example0105other",
		"a template that is broken":      "2807001 bad",
		"a template with no identifier":  "29050101x",
		"our name where it isn't the id": "30160112app.tillbook",
		"reserved tags":                  "6503abc7903xyz",
		"unreserved templates":           "80050001a9903été",
		"names in another language":      "64200002ZH0104最佳运输0202北京",
		"a postal code":                  "61051234 ",
	} {
		code, err := Parse(seal(stickerBody + more))
		if err != nil || code != sticker {
			t.Errorf("%s: Parse = %+v, %v", name, code, err)
		}
	}
	inside := strings.Replace(coffeeBody, "62200506INV-17", "62420109bill 2024"+"4905later"+"0506INV-17", 1)
	if code, err := Parse(seal(inside)); err != nil || code != coffee {
		t.Errorf("other labels: Parse = %+v, %v", code, err)
	}
}

func TestDataObjectsMayStandInAnyOrder(t *testing.T) {
	body := "000201" + "6220" + "0706till 2" + "0506INV-17" + "6007Jakarta" + "5911Warung Kopi" + "5802ID" + "57037.5" + "550203" +
		"54060.0125" + "5303999" + "52045814" + "5169" + "0303ETH" + "0208K7QM2XWP" + "0130str_06b0q7ktz8x4m2v1n9w3y5r8ce" +
		"0012app.tillbook" + "2611no template" + "010212"
	got, err := Parse(seal(body))
	if err != nil || got != coffee {
		t.Fatalf("Parse = %+v, %v; want %+v", got, err, coffee)
	}
}

func TestACodeWithoutPointOfInitiationIsStatic(t *testing.T) {
	got, err := Parse(seal(strings.Replace(stickerBody, "010211", "", 1)))
	if err != nil || got != sticker {
		t.Fatalf("Parse = %+v, %v", got, err)
	}
}

func TestWhateverIsEncodedParsesToTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		code := drawCode(rt)
		text, err := Encode(code)
		if err != nil {
			rt.Fatalf("Encode(%+v): %v", code, err)
		}
		got, err := Parse(text)
		if err != nil || got != code {
			rt.Fatalf("%s reads as %+v, %v; want %+v", text, got, err, code)
		}
	})
}

// drawCode makes a code of ours that needs no reducing.
func drawCode(t *rapid.T) Code {
	text := func(most int) string { return rapid.StringMatching(fmt.Sprintf("[ -~]{1,%d}", most)).Draw(t, "text") }
	maybe := func(text func() string) string {
		if rapid.Bool().Draw(t, "present") {
			return text()
		}
		return ""
	}
	number := rapid.StringMatching(`[1-9][0-9]{0,9}(\.[0-9]{1,2})?`)
	code := Code{
		Dynamic: rapid.Bool().Draw(t, "dynamic"), Store: text(30),
		Category: rapid.StringMatching("[0-9]{4}").Draw(t, "category"),
		Currency: rapid.StringMatching("[0-8][0-9]{2}").Draw(t, "currency"),
		Country:  rapid.StringMatching("[A-Z]{2}").Draw(t, "country"),
		Merchant: text(25), City: text(15),
		Reference: maybe(func() string { return text(25) }), Terminal: maybe(func() string { return text(25) }),
	}
	if rapid.Bool().Draw(t, "unlisted") {
		code.Currency, code.Asset = NoCurrency, rapid.StringMatching("[A-Z][A-Z0-9]{1,11}").Draw(t, "asset")
	}
	if code.Dynamic {
		code.Checkout = maybe(func() string { return text(29) })
		code.Amount = maybe(func() string { return number.Draw(t, "amount") })
	}
	switch code.Tip.Handling = TipHandling(rapid.IntRange(0, 3).Draw(t, "tip")); code.Tip.Handling {
	case TipFixed:
		code.Tip.Value = number.Draw(t, "fee")
	case TipPercentage:
		code.Tip.Value = rapid.StringMatching(`[1-9][0-9]?(\.[0-9]{1,2})?`).Draw(t, "percent")
	}
	return code
}

func TestNoTextIsWrittenThatDoesNotParse(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		code := drawCode(rt)
		anything := rapid.OneOf(rapid.String(), rapid.StringMatching(`[0-9]{0,20}\.?[0-9]{0,20}`), rapid.StringMatching("[0-9A-Z]{0,40}"))
		for _, text := range []*string{
			&code.Store, &code.Checkout, &code.Category, &code.Currency, &code.Asset, &code.Amount, &code.Tip.Value,
			&code.Country, &code.Merchant, &code.City, &code.Reference, &code.Terminal,
		} {
			if rapid.IntRange(0, 5).Draw(rt, "odds") == 0 {
				*text = anything.Draw(rt, "anything")
			}
		}
		code.Tip.Handling = TipHandling(rapid.IntRange(-1, 4).Draw(rt, "handling"))
		text, err := Encode(code)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				rt.Fatalf("Encode(%+v): %v", code, err)
			}
			return
		}
		got, err := Parse(text)
		if err != nil {
			rt.Fatalf("Encode(%+v) = %s, which doesn't parse: %v", code, text, err)
		}
		if again, err := Encode(got); err != nil || again != text {
			rt.Fatalf("%s is written again as %s, %v", text, again, err)
		}
	})
}
