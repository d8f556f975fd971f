package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/tillbook/tillbook/store/canonical"
	"github.com/tillbook/tillbook/store/id"
)

// leafTime is how leaves write times: in UTC, to the microsecond.
const leafTime = "2006-01-02T15:04:05.000000Z"

// AppendLeaf appends what the log seals of a record to dst.
func (r *Record) AppendLeaf(dst []byte) ([]byte, error) {
	commitment := r.Commitment
	if commitment == nil {
		var err error
		if commitment, err = r.Commit(); err != nil {
			return nil, err
		}
	}
	dst = append(dst, "tillbook/audit/v1\nid "...)
	dst = id.Append(dst, id.Audit, r.ID)
	dst = append(dst, "\ntime "...)
	dst = r.Time.UTC().AppendFormat(dst, leafTime)
	dst = append(dst, "\nactor "...)
	dst = append(dst, r.Actor.String()...)
	dst = append(dst, "\naction "...)
	dst = append(dst, r.Action...)
	dst = append(dst, "\nsubject "...)
	dst = append(dst, r.Subject...)
	dst = append(dst, "\ndetails "...)
	dst = hex.AppendEncode(dst, commitment)
	return append(dst, '\n'), nil
}

// Commit returns the commitment to what can be erased of a record.
func (r *Record) Commit() ([]byte, error) {
	text, err := json.Marshal(map[string]any{
		"details": r.Details, "client_ip": r.ClientIP, "request_id": r.RequestID,
	})
	if err != nil {
		return nil, err
	}
	b := append([]byte("tillbook/audit-details/v1\n"), r.Salt[:]...)
	if b, err = canonical.JSON(b, text); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	return sum[:], nil
}
