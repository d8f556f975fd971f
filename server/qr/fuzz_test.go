package qr

import (
	"errors"
	"strings"
	"testing"
)

func FuzzParse(f *testing.F) {
	for _, text := range []string{
		published, seal(stickerBody), seal(coffeeBody), "", "000201", "https://tillbook.app/p/1",
		seal(stickerBody + "64200002ZH0104最佳运输0202北京"), seal(stickerBody + "2807001 bad"),
		seal(strings.Replace(coffeeBody, "55020357037.5", "550202560300.1", 1)),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		checkParse(t, text)
		// Most of what fails, fails by its checksum; look behind that, too.
		if len(text) >= 8 && text[len(text)-8:len(text)-4] == checksumStart {
			text = text[:len(text)-8]
		}
		checkParse(t, seal(text))
	})
}

// checkParse checks that what reads as ours is written so that it reads the same.
func checkParse(t *testing.T, text string) {
	t.Helper()
	code, err := Parse(text)
	if err != nil {
		if message := err.Error(); !errors.Is(err, ErrInvalid) || !isPrintable(message) || !strings.HasSuffix(message, ".") {
			t.Fatalf("Parse(%q): %q", text, err)
		}
		if code != (Code{}) {
			t.Fatalf("Parse(%q) failed with %+v", text, code)
		}
		return
	}
	if !code.Ours() {
		return
	}
	again, err := Encode(code)
	if err != nil {
		t.Fatalf("%q reads as %+v, which can't be written: %v", text, code, err)
	}
	if got, err := Parse(again); err != nil || got != code {
		t.Fatalf("%q reads as %+v, but written again as %+v, %v", text, code, got, err)
	}
}
