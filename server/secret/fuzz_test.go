package secret

import (
	"strings"
	"testing"

	"github.com/google/uuid"
)

// Keys that read seal and open; those that don't aren't quoted in the error.
func FuzzParse(f *testing.F) {
	for _, text := range []string{Generate(), Generate() + "," + Generate(), "", " ,\n", "c2hvcnQ=", strings.Repeat("A", 44), strings.Repeat("=", 44)} {
		f.Add(text, []byte("sealed"))
	}
	row := Row{Table: "t", Column: "c", ID: uuid.Nil}
	f.Fuzz(func(t *testing.T, text string, sealed []byte) {
		k, err := Parse(text)
		if err != nil {
			if len(text) > 16 && strings.Contains(err.Error(), text) {
				t.Fatalf("the error quotes %q", text)
			}
			return
		}
		if _, err := k.Open(row, sealed); err == nil {
			t.Fatalf("%x was never sealed", sealed)
		}
	})
}
