package qr

import (
	"errors"
	"strings"
	"testing"
)

// with returns a code with one part of its body replaced, and a right checksum.
func with(t *testing.T, body, old, new string) string {
	t.Helper()
	if strings.Count(body, old) != 1 {
		t.Fatalf("%q isn't once in %s", old, body)
	}
	return seal(strings.Replace(body, old, new, 1))
}

func TestTextsThatBreakTheStandardAreRefused(t *testing.T) {
	sticker := func(old, new string) string { return with(t, stickerBody, old, new) }
	coffee := func(old, new string) string { return with(t, coffeeBody, old, new) }
	whole := seal(stickerBody)
	tests := map[string]struct{ text, message string }{
		"empty":             {"", "This is no payment code: those begin with 000201 (tag 00, character 1)."},
		"an address":        {"https://example.com", "This is no payment code: those begin with 000201 (tag 00, character 1)."},
		"another first tag": {seal(stickerBody[6:]), "This is no payment code: those begin with 000201 (tag 00, character 1)."},
		"another version":   {seal("000202" + stickerBody[6:]), "The version of the payment code must be 01 (tag 00, character 1)."},
		"too long":          {seal(stickerBody + "8099" + strings.Repeat("x", 99) + strings.Repeat("y", 300)), "The text is longer than 512 bytes."},
		"not UTF-8":         {seal(stickerBody + "8001\xff"), "The text is not valid UTF-8."},

		"no checksum":           {stickerBody, "The text must end with 6304 and the checksum, 4 digits or capital letters A to F (tag 63)."},
		"only a start":          {"000201", "The text must end with 6304 and the checksum, 4 digits or capital letters A to F (tag 63)."},
		"lower case checksum":   {published[:len(published)-4] + "a13a", "The text must end with 6304 and the checksum, 4 digits or capital letters A to F (tag 63)."},
		"more behind it":        {whole + " ", "The text must end with 6304 and the checksum, 4 digits or capital letters A to F (tag 63)."},
		"wrong checksum":        {strings.Replace(whole, "Kopi", "Kobi", 1), "The checksum doesn't fit the text; scan the code again (tag 63, character 114)."},
		"characters, not bytes": {strings.Replace(published, "BEIJING", "NANJING", 1), "The checksum doesn't fit the text; scan the code again (tag 63, character 241)."},
		"checksum in a value":   {seal(stickerBody + "8008"), "The last tag must be 63, the checksum (tag 80, character 114)."},
		"two checksums":         {seal(whole), "The tag is there twice (tag 63, character 122)."},

		"letters for a tag":       {sticker("5802ID", "5x02ID"), "A tag must be two digits (character 82)."},
		"half a tag":              {seal(stickerBody + "62060101x5"), "A tag must be two digits (tag 62, character 123)."},
		"letters for a length":    {sticker("5802ID", "58+2ID"), "A length must be two digits from 01 to 99 (tag 58, character 82)."},
		"digits of other scripts": {sticker("5802ID", "580٢ID"), "A length must be two digits from 01 to 99 (tag 58, character 82)."},
		"no value":                {sticker("5802ID", "5800"), "A length must be two digits from 01 to 99 (tag 58, character 82)."},
		"a short value":           {sticker("6007Jakarta", "6050Jakarta"), "The value is shorter than its length says (tag 60, character 103)."},
		"a tag twice":             {sticker("5802ID", "5802ID5802ID"), "The tag is there twice (tag 58, character 88)."},
		"a foreign tag twice":     {seal(stickerBody + "8001x8001x"), "The tag is there twice (tag 80, character 119)."},

		"an account with an accent": {seal(stickerBody + "0402é1"), "The value has a character that is not printable ASCII (tag 04, character 114)."},
		"a name with an accent":     {sticker("5911Warung Kopi", "5911Warung Kopí"), "The value has a character that is not printable ASCII (tag 59, character 88)."},
		"a control character":       {seal(stickerBody + "8001\x00"), "The value has a control character (tag 80, character 114)."},
		"an endless postal code":    {seal(stickerBody + "611112345678901"), "The value must be at most 10 characters of printable ASCII (tag 61, character 114)."},

		"no account":  {seal("000201" + stickerBody[66:]), "The merchant's account is missing: a tag from 02 to 51."},
		"no category": {sticker("52045814", ""), "The merchant category code is missing (tag 52)."},
		"no currency": {sticker("5303360", ""), "The currency is missing (tag 53)."},
		"no country":  {sticker("5802ID", ""), "The country is missing (tag 58)."},
		"no name":     {sticker("5911Warung Kopi", ""), "The merchant's name is missing (tag 59)."},
		"no city":     {sticker("6007Jakarta", ""), "The merchant's city is missing (tag 60)."},

		"another initiation":    {sticker("010211", "010213"), "The point of initiation must be 11 or 12 (tag 01, character 7)."},
		"a short category":      {sticker("52045814", "5203581"), "The merchant category code must be 4 digits (tag 52, character 67)."},
		"a category of letters": {sticker("52045814", "5204food"), "The merchant category code must be 4 digits (tag 52, character 67)."},
		"a currency's code":     {sticker("5303360", "5303IDR"), "The currency must be 3 digits (tag 53, character 75)."},
		"a lower case country":  {sticker("5802ID", "5802id"), "The country must be 2 capital letters (tag 58, character 82)."},
		"a long country":        {sticker("5802ID", "5803IDN"), "The country must be 2 capital letters (tag 58, character 82)."},
		"a long name":           {sticker("5911Warung Kopi", "5926Warung Kopi Warung Kopi Wa"), "The merchant's name must be at most 25 characters of printable ASCII (tag 59, character 88)."},
		"a long city":           {sticker("6007Jakarta", "6016Jakarta Jakarta "), "The merchant's city must be at most 15 characters of printable ASCII (tag 60, character 103)."},

		"a zero amount":     {coffee("54060.0125", "54040.00"), "The amount must be " + amount.is + " (tag 54, character 101)."},
		"a negative amount": {coffee("54060.0125", "5402-1"), "The amount must be " + amount.is + " (tag 54, character 101)."},
		"a decimal comma":   {coffee("54060.0125", "540598,73"), "The amount must be " + amount.is + " (tag 54, character 101)."},
		"two points":        {coffee("54060.0125", "54051.2.3"), "The amount must be " + amount.is + " (tag 54, character 101)."},
		"only a point":      {coffee("54060.0125", "5402.5"), "The amount must be " + amount.is + " (tag 54, character 101)."},
		"a long amount":     {coffee("54060.0125", "541412345678901234"), "The amount must be " + amount.is + " (tag 54, character 101)."},

		"another tip":            {coffee("550203", "550204"), "The tip indicator must be 01, 02 or 03 (tag 55, character 111)."},
		"a percentage too many":  {coffee("550203", "550201"), "A fee in percent needs the tip indicator 03 (tag 57, character 117)."},
		"a fee without a sign":   {coffee("550203", "56011"), "A fixed fee needs the tip indicator 02 (tag 56, character 111)."},
		"no fixed fee":           {coffee("55020357037.5", "550202"), "The fixed fee is missing (tag 56)."},
		"no percentage":          {coffee("57037.5", ""), "The fee in percent is missing (tag 57)."},
		"a fixed fee of nothing": {coffee("55020357037.5", "55020256010"), "The fixed fee must be a decimal number above zero, such as 12.50, of at most 13 characters (tag 56, character 117)."},
		"all":                    {coffee("57037.5", "5703100"), "The fee in percent must be " + percentage.is + " (tag 57, character 117)."},
		"next to nothing":        {coffee("57037.5", "57050.001"), "The fee in percent must be " + percentage.is + " (tag 57, character 117)."},
		"a sign of percent":      {coffee("57037.5", "57037%5"), "The fee in percent must be " + percentage.is + " (tag 57, character 117)."},

		"broken additional data":    {coffee("62200506INV-17", "62200507INV-17"), "A length must be two digits from 01 to 99 (tag 62.70, character 171)."},
		"a label twice":             {coffee("0706till 2", "0506till 2"), "The tag is there twice (tag 62.05, character 170)."},
		"a long reference":          {coffee("62200506INV-17", "62400526"+strings.Repeat("r", 26)), "The reference label must be at most 25 characters of printable ASCII (tag 62.05, character 160)."},
		"a terminal with an accent": {coffee("till 2", "tíll 2"), "The terminal label must be at most 25 characters of printable ASCII (tag 62.07, character 170)."},
		"a long bill number":        {seal(stickerBody + "62300126" + strings.Repeat("b", 26)), "The value must be at most 25 characters of printable ASCII (tag 62.01, character 118)."},
		"a long data request":       {seal(stickerBody + "62080904AMEX"), "The value must be at most 3 characters of printable ASCII (tag 62.09, character 118)."},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { refused(t, tt.text, tt.message) })
	}
}

func TestTextsThatMisuseOurTemplateAreRefused(t *testing.T) {
	sticker := func(old, new string) string { return with(t, stickerBody, old, new) }
	coffee := func(old, new string) string { return with(t, coffeeBody, old, new) }
	const store = "0130str_06b0q7ktz8x4m2v1n9w3y5r8ce"
	tests := map[string]struct{ text, message string }{
		"ours twice":                 {seal(stickerBody + "27210012app.tillbook0101x"), "The merchant's account with Tillbook is there twice (tag 27, character 114)."},
		"ours broken":                {sticker("2650"+"0012app.tillbook"+store, "2721"+"0012app.tillbook"+"0102x"), "The value is shorter than its length says (tag 27.01, character 33)."},
		"no store":                   {sticker("2650"+"0012app.tillbook"+store, "2716"+"0012app.tillbook"), "The store's id is missing (tag 27.01)."},
		"a long store":               {sticker("2650"+"0012app.tillbook"+store, "2651"+"0012app.tillbook"+"0131"+strings.Repeat("s", 31)), "The store's id must be at most 30 characters of printable ASCII (tag 26.01, character 33)."},
		"a long checkout":            {coffee("2669"+"0012app.tillbook"+store+"0208K7QM2XWP"+"0303ETH", "2662"+"0012app.tillbook"+"0101s"+"0230"+strings.Repeat("c", 30)+"0303ETH"), "The checkout's code must be at most 29 characters of printable ASCII (tag 26.02, character 38)."},
		"no asset":                   {coffee("2669"+"0012app.tillbook"+store+"0208K7QM2XWP"+"0303ETH", "2662"+"0012app.tillbook"+store+"0208K7QM2XWP"), "The asset's code is missing (tag 26.03)."},
		"a lower case asset":         {coffee("0303ETH", "0303eth"), "The asset's code must be 2 to 12 capital letters and digits, a letter first (tag 26.03, character 79)."},
		"an asset that is a digit":   {coffee("0303ETH", "03031IN"), "The asset's code must be 2 to 12 capital letters and digits, a letter first (tag 26.03, character 79)."},
		"an asset beside a currency": {coffee("5303999", "5303360"), "An asset's code needs the currency 999 (tag 26.03, character 79)."},
		"a static checkout":          {coffee("010212", "010211"), "A static code can't be for one checkout (tag 26.02, character 67)."},
		"a static amount":            {sticker("5303360", "5303360"+"5403100"), "A static code of Tillbook can't have an amount (tag 54, character 82)."},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { refused(t, tt.text, tt.message) })
	}
}

func refused(t *testing.T, text, message string) {
	t.Helper()
	code, err := Parse(text)
	if !errors.Is(err, ErrInvalid) || err.Error() != message || code != (Code{}) {
		t.Errorf("Parse(%q) = %+v, %v; want %s", text, code, err, message)
	}
	if _, ok := errors.AsType[*Error](err); !ok {
		t.Errorf("%T is no *Error", err)
	}
}

func TestCodesThatNoTextCanSayAreRefused(t *testing.T) {
	tests := map[string]struct {
		change  func(*Code)
		message string
	}{
		"not ours":             {func(c *Code) { c.Store = "" }, "The store's id is missing (tag 26.01)."},
		"a long store":         {func(c *Code) { c.Store += "x" }, "The store's id must be at most 30 characters of printable ASCII (tag 26.01)."},
		"a store with accents": {func(c *Code) { c.Store = "é" }, "The store's id must be at most 30 characters of printable ASCII (tag 26.01)."},
		"a long checkout":      {func(c *Code) { c.Checkout = strings.Repeat("c", 30) }, "The checkout's code must be at most 29 characters of printable ASCII (tag 26.02)."},
		"no name":              {func(c *Code) { c.Merchant = "" }, "The merchant's name is missing (tag 59)."},
		"a name of nothing":    {func(c *Code) { c.Merchant = "\u200b\n" }, "The merchant's name is missing (tag 59)."},
		"no city":              {func(c *Code) { c.City = "" }, "The merchant's city is missing (tag 60)."},
		"no asset":             {func(c *Code) { c.Asset = "" }, "The asset's code is missing (tag 26.03)."},
		"two currencies":       {func(c *Code) { c.Currency = "360" }, "An asset's code needs the currency 999 (tag 26.03)."},
		"too exact":            {func(c *Code) { c.Amount = "0.000000000000000001" }, "The amount must be a decimal number above zero, such as 12.50, of at most 13 characters (tag 54)."},
		"a static amount":      {func(c *Code) { c.Dynamic, c.Checkout = false, "" }, "A static code of Tillbook can't have an amount (tag 54)."},
		"a static checkout":    {func(c *Code) { c.Dynamic = false }, "A static code can't be for one checkout (tag 26.02)."},
		"a fee for a prompt":   {func(c *Code) { c.Tip.Handling = TipPrompt }, "The tip's value must be empty unless the tip is fixed or in percent (tag 55)."},
		"no fee":               {func(c *Code) { c.Tip.Value = "" }, "The fee in percent is missing (tag 57)."},
		"no such handling":     {func(c *Code) { c.Tip.Handling = 4 }, "There is no such handling of tips (tag 55)."},
		"a negative handling":  {func(c *Code) { c.Tip.Handling = -1 }, "There is no such handling of tips (tag 55)."},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			code := coffee
			tt.change(&code)
			text, err := Encode(code)
			if !errors.Is(err, ErrInvalid) || err.Error() != tt.message || text != "" {
				t.Errorf("Encode = %q, %v; want %s", text, err, tt.message)
			}
		})
	}
}
