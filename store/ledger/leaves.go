package ledger

import (
	"context"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/tillbook/tillbook/store/audit"
)

// leaves hashes what a batch made, so that the log needn't read it again. The
// salts are those of the rows.
func (l *Ledger) leaves(ctx context.Context, b *batch, salts []*uuid.UUID) ([]byte, error) {
	hashes := make([]byte, 0, tlog.HashSize*len(b.made))
	var leaf Leaf
	var text []byte
	for i := range b.made {
		t := &b.made[i]
		leaf.ID, leaf.Time, leaf.Kind, leaf.Key, leaf.Fingerprint = t.ID, t.CreateTime, t.Kind, t.key, t.fingerprint
		leaf.Commitment = nil
		if salts[i] != nil {
			o := Opening{Salt: *salts[i], Fingerprint: t.fingerprint, Note: t.Note, Details: t.Details}
			var err error
			if leaf.Commitment, err = o.Commit(); err != nil {
				return nil, err
			}
		}
		var err error
		if leaf.Entries, err = l.leafEntries(ctx, leaf.Entries[:0], t.Entries); err != nil {
			return nil, err
		}
		text = leaf.Append(text[:0])
		hash := tlog.RecordHash(text)
		hashes = append(hashes, hash[:]...)
	}
	return hashes, nil
}

func (l *Ledger) leafEntries(ctx context.Context, dst []LeafEntry, entries []Entry) ([]LeafEntry, error) {
	for i := range entries {
		e := &entries[i]
		asset, err := l.AssetByID(ctx, e.Asset)
		if err != nil {
			return nil, err
		}
		dst = append(dst, LeafEntry{Account: e.Code, Asset: asset.Code, Amount: e.Amount})
	}
	return dst, nil
}

func auditStatements(b *batch) []statement {
	if len(b.audits) == 0 {
		return nil
	}
	records, events := audit.Statements(b.audits)
	return []statement{{records.SQL, records.Args}, {events.SQL, events.Args}}
}
