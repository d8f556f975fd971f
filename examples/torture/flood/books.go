package flood

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// Number reads a payment's number from its note.
func Number(note string) (n uint32, ok bool) {
	text, ok := strings.CutPrefix(note, notePrefix)
	b, err := hex.DecodeString(text)
	if !ok || err != nil || len(b) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(b), true
}

// Books compare what clients know of payments with how often each is in the books of who
// paid and of who was paid.
type Books struct {
	// Paid and Got are the entries by number.
	Paid, Got map[uint32]int
	// Unasked are entries that no payment of the flood explains.
	Unasked int
}

// Found is what the comparison found.
type Found struct {
	// Asked are payments that were asked for, Executed those that are in the books,
	// Unknown those of which the client didn't know whether they are, and Resolved those
	// that are both.
	Asked, Executed, Unknown, Resolved int
	// Lost were acknowledged and aren't there, Doubled are there more than once, and
	// Broken promises are there though the client was told that they weren't executed.
	// OneSided are in the books of only one of both.
	Lost, Doubled, Broken, OneSided int
}

// Compare compares them.
func (b *Books) Compare(known []Settled) (f Found) {
	for n, settled := range known {
		paid, got := b.Paid[uint32(n)], b.Got[uint32(n)]
		if paid != got {
			f.OneSided++
		}
		times := max(paid, got)
		if times > 0 {
			f.Executed++
		}
		if settled != Never {
			f.Asked++
		}
		if settled == Maybe {
			f.Unknown++
		}
		switch {
		case times > 1:
			f.Doubled++
		case settled == Paid && times == 0:
			f.Lost++
		case (settled == Unpaid || settled == Never) && times > 0:
			f.Broken++
		case settled == Maybe && times > 0:
			f.Resolved++
		}
	}
	return f
}
