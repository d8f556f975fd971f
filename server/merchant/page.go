package merchant

import (
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/ledger"
)

// lister is a request for a page of a list.
type lister interface {
	GetPageSize() int32
	GetPageToken() string
}

// page is where in a list a request goes on, by ids, the newest first.
type page struct {
	kind   string
	before uuid.UUID
	size   int
}

// newPage reads where to go on. The parts name the list. It fails with
// PAGE_TOKEN_INVALID.
func newPage(req lister, parts ...string) (page, error) {
	p := page{kind: rpc.PageKind(parts...), before: uuid.Max, size: rpc.PageSize(req.GetPageSize())}
	if token := req.GetPageToken(); token != "" {
		return p, rpc.DecodePageToken(p.kind, token, &p.before)
	}
	return p, nil
}

// rows is how many rows to ask for: one more than the page has, to know whether
// another one follows.
func (p page) rows() int32 { return int32(p.size) + 1 }

// cut shortens what was read to the page and returns the token of the next one.
func cut[T any](p page, list []T, place func(*T) uuid.UUID) ([]T, string) {
	if len(list) <= p.size {
		return list, ""
	}
	list = list[:p.size]
	return list, rpc.EncodePageToken(p.kind, place(&list[p.size-1]))
}

// once makes something under a key, or finds what the key made before: insert fails
// with pgx.ErrNoRows if it was used. It fails with ledger.ErrKeyReused if the key was
// used for something else.
func once(fingerprint [32]byte, insert func() (uuid.UUID, error), find func() (uuid.UUID, []byte, error)) (made uuid.UUID, fresh bool, err error) {
	made, err = insert()
	if !errors.Is(err, pgx.ErrNoRows) {
		return made, true, err
	}
	made, known, err := find()
	if err == nil && string(known) != string(fingerprint[:]) {
		err = ledger.ErrKeyReused
	}
	return made, false, err
}
