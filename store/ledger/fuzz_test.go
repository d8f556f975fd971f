package ledger

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"unicode/utf8"
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

// Texts that are taken are ones that PostgreSQL can hold, so that none fails the batch
// that it is in.
func FuzzCheckText(f *testing.F) {
	for _, doc := range []string{`{"a":"\u0000"}`, `{"\u0000":1}`, `"\ud800"`, `"\ud83d\ude00"`, `"\\u0000"`, `"\\\u0000"`, `"\ude00\ud83d"`, `[1e1001]`, "\"\xff\"", `"\`, `\u0000`} {
		f.Add("note\x00", []byte(doc))
		f.Add("note", []byte(doc))
	}
	f.Fuzz(func(t *testing.T, note string, details []byte) {
		if checkText(&Draft{Note: note, Details: details}) != nil {
			return
		}
		if !utf8.ValidString(note) || strings.Contains(note, "\x00") {
			t.Fatalf("the note %q is taken", note)
		}
		if len(details) == 0 {
			return
		}
		var value any
		if err := json.Unmarshal(details, &value); err != nil {
			t.Fatalf("%q is taken: %v", details, err)
		}
		// Half of a surrogate pair is read as U+FFFD, which nobody has to escape.
		if held := texts(value); strings.Contains(held, "\x00") || strings.Count(held, "\ufffd") > strings.Count(string(details), "\ufffd")+strings.Count(strings.ToLower(string(details)), `\ufffd`) {
			t.Fatalf("%q is taken, which holds %q", details, held)
		}
	})
}

// texts are all in a JSON value.
func texts(value any) (all string) {
	switch v := value.(type) {
	case string:
		return v
	case []any:
		for _, each := range v {
			all += texts(each)
		}
	case map[string]any:
		for key, each := range v {
			all += key + texts(each)
		}
	}
	return all
}
