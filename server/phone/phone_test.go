package phone

import (
	"errors"
	"strings"
	"testing"
)

func TestNumbersAreKeptAsE164(t *testing.T) {
	tests := map[string]E164{
		"+62 812-3456-789":   "+628123456789",
		"+628123456789":      "+628123456789",
		"+62 (812) 3456 789": "+628123456789",
		"+62 0812 3456 789":  "+628123456789",
		"+60 12-345 6789":    "+60123456789",
		"+852 6123 4567":     "+85261234567",
		"+234 803 123 4567":  "+2348031234567",
		"+254.712.123456":    "+254712123456",
		"+233 24 123 4567":   "+233241234567",
		"+1 415 555 2671":    "+14155552671",
		"+81 90-1234-5678":   "+819012345678",
	}
	for text, want := range tests {
		got, err := Parse(text)
		if err != nil || got != want {
			t.Errorf("Parse(%q) = %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestNumbersThatTakeNoSMSAreRefused(t *testing.T) {
	tests := map[string]string{
		"nothing":           "",
		"no country code":   "0812 3456 789",
		"words":             "not a number",
		"letters on a dial": "+1 800 FLOWERS",
		"a fixed line":      "+62 21 6539 0605",
		"toll free":         "+1 800 555 0199",
		"premium rate":      "+44 909 879 0000",
		"too short":         "+62 812",
		"too long":          "+62 812 3456 7890 1234 5678",
		"no such country":   "+999 123 456 789",
		"an extension":      "+62 812 3456 789 ext 5",
		"other digits":      "+٦٢٨١٢٣٤٥٦٧٨٩",
		"endless":           "+62" + strings.Repeat("1", 1000),
		"two numbers":       "+628123456789/+628123456788",
	}
	for name, text := range tests {
		if got, err := Parse(text); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: Parse(%q) = %q, %v; want ErrInvalid", name, text, got, err)
		}
	}
}

func TestANumberKnowsItsCountryAndBlock(t *testing.T) {
	n := E164("+628123456789")
	if got := n.DialCode(); got != "62" {
		t.Errorf("DialCode = %q", got)
	}
	if got := n.Region(); got != "ID" {
		t.Errorf("Region = %q", got)
	}
	if got := n.Block(); got != "+62812345" {
		t.Errorf("Block = %q", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("+62 812-3456-789")
	f.Add("+1 (415) 555.2671")
	f.Fuzz(func(t *testing.T, text string) {
		n, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(string(n))
		if err != nil || again != n {
			t.Fatalf("Parse(%q) = %q, but that reads as %q, %v", text, n, again, err)
		}
	})
}
