package id_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/store/id"
)

// What reads as an id is written in that one way only, or two ids would name one thing.
func FuzzParse(f *testing.F) {
	for _, text := range []string{id.Format(id.User, id.New()), id.Format(id.User, uuid.Max), "usr_", "", "usr_8zzzzzzzzzzzzzzzzzzzzzzzzz",
		"usr_zzzzzzzzzzzzzzzzzzzzzzzzzz", "USR_00000000000000000000000000", "usr_0000000000000000000000000i", "usr_\x0000000000000000000000000", "txn_00000000000000000000000000"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := id.Parse(id.User, text)
		if err == nil && id.Format(id.User, u) != text {
			t.Fatalf("%q reads as %s", text, id.Format(id.User, u))
		}
	})
}
