package id_test

import (
	"errors"
	"sort"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/tillbook/tillbook/store/id"
)

func TestParseReadsWhatFormatWrote(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var u uuid.UUID
		copy(u[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes"))
		s := id.Format(id.User, u)
		got, err := id.Parse(id.User, s)
		if err != nil || got != u {
			t.Fatalf("Parse(%q) = %v, %v; want %v", s, got, err, u)
		}
		if _, err := id.Parse(id.Session, s); !errors.Is(err, id.ErrInvalid) {
			t.Fatalf("Parse as another kind: %v", err)
		}
	})
}

func TestTextSortsAsBytesDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a, b uuid.UUID
		copy(a[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "a"))
		copy(b[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "b"))
		if (a.String() < b.String()) != (id.Format(id.User, a) < id.Format(id.User, b)) {
			t.Fatalf("%v and %v sort differently as text", a, b)
		}
	})
}

func TestNewIdsIncreaseAndAreVersion7OfCellZero(t *testing.T) {
	const n = 50_000
	ids := make([]string, n)
	for i := range ids {
		u := id.New()
		if u.Version() != 7 || u.Variant() != uuid.RFC4122 {
			t.Fatalf("%v has version %v, variant %v", u, u.Version(), u.Variant())
		}
		if cell := int(u[6]&0xf)<<6 | int(u[7]>>2); cell != 0 {
			t.Fatalf("%v is of cell %d", u, cell)
		}
		ids[i] = id.Format(id.Transaction, u)
	}
	if !sort.StringsAreSorted(ids) {
		t.Fatal("ids made one after the other don't sort in that order")
	}
}

func TestParseRefusesOtherForms(t *testing.T) {
	good := id.Format(id.User, id.New())
	for _, s := range []string{"", "usr_", good[:len(good)-1], good + "0", "usr_8" + good[5:], "usr_u" + good[5:], "USR" + good[3:]} {
		if _, err := id.Parse(id.User, s); !errors.Is(err, id.ErrInvalid) {
			t.Errorf("Parse(%q) = %v, want ErrInvalid", s, err)
		}
	}
}
