package mask_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/tillbook/tillbook/server/mask"
)

func TestMaskShowsOnlyTheEndsOfANameLongEnoughToHideIn(t *testing.T) {
	cases := map[string]string{
		"alice":            "a***e",
		"Bartholomew.1985": "B***5",
		"anna":             "a***a",
		"bob":              "***",
		"al":               "***",
		"":                 "***",
		"Ångström":         "Å***m",
		"王小明同学":            "王***学",
	}
	for name, want := range cases {
		if got := mask.Name(name); got != want {
			t.Errorf("mask.Name(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestMaskNeverTellsTheLengthAndNeverCutsACharacter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		masked := mask.Name(rapid.String().Draw(t, "name"))
		if !utf8.ValidString(masked) {
			t.Fatalf("%q is not UTF-8", masked)
		}
		if n := utf8.RuneCountInString(masked); n != 3 && n != 5 {
			t.Fatalf("%q has %d characters", masked, n)
		}
		if !strings.Contains(masked, "***") {
			t.Fatalf("%q hides nothing", masked)
		}
	})
}
