package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/store/canonical"
	"github.com/tillbook/tillbook/store/id"
)

// Leaf is what the log seals of a transaction. Balances and versions are left
// out: a receipt must not show what the other side has, and Verify proves them
// from the amounts.
type Leaf struct {
	ID          uuid.UUID
	Time        time.Time
	Kind        Kind
	Key         Key
	Fingerprint [32]byte
	// Commitment stands for fingerprint, note and details where there is a note
	// or are details; nil where there are none.
	Commitment []byte
	Entries    []LeafEntry
}

// LeafEntry is an entry of a Leaf.
type LeafEntry struct {
	Account string // its code
	Asset   string // its code
	Amount  Amount
}

// leafTime is how leaves write times: in UTC, to the microsecond.
const leafTime = "2006-01-02T15:04:05.000000Z"

// Append appends the leaf's bytes to dst: lines of text, of which every character
// is determined by what the transaction is.
func (l *Leaf) Append(dst []byte) []byte {
	dst = append(dst, "tillbook/transaction/v1\nid "...)
	dst = id.Append(dst, id.Transaction, l.ID)
	dst = append(dst, "\ntime "...)
	dst = l.Time.UTC().AppendFormat(dst, leafTime)
	dst = append(dst, "\nkind "...)
	dst = append(dst, l.Kind.String()...)
	dst = append(dst, "\nkey "...)
	dst = hex.AppendEncode(dst, l.Key[:])
	for i := range l.Entries {
		e := &l.Entries[i]
		dst = append(dst, "\nentry "...)
		dst = append(dst, e.Account...)
		dst = append(dst, ' ')
		dst = append(dst, e.Asset...)
		dst = append(dst, ' ')
		dst = append(dst, e.Amount.String()...)
	}
	if l.Commitment == nil {
		dst = append(dst, "\nrequest "...)
		dst = hex.AppendEncode(dst, l.Fingerprint[:])
	} else {
		dst = append(dst, "\ntext "...)
		dst = hex.AppendEncode(dst, l.Commitment)
	}
	return append(dst, '\n')
}

// Opening is what a commitment stands for. Who has it can show that a text was
// sealed; once it is erased, nobody can find out what the text was.
type Opening struct {
	Salt        uuid.UUID
	Fingerprint [32]byte
	Note        string
	Details     []byte // JSON, or nil
}

// Commit returns the commitment. It fails if the details have no canonical form.
func (o *Opening) Commit() ([]byte, error) {
	var buf [512]byte
	b := append(buf[:0], "tillbook/text/v1\n"...)
	b = append(b, o.Salt[:]...)
	b = append(b, o.Fingerprint[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(o.Note)))
	b = append(b, o.Note...)
	if len(o.Details) > 0 {
		var err error
		if b, err = canonical.JSON(b, o.Details); err != nil {
			return nil, err
		}
	}
	sum := sha256.Sum256(b)
	return sum[:], nil
}
