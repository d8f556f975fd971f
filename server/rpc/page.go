package rpc

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
)

const (
	defaultPageSize = 50
	maxPageSize     = 200
	// pageSumBytes is how much of the checksum a token carries.
	pageSumBytes = 8
)

// PageSize returns how many items a page has: what the client asked for,
// between 1 and 200, and 50 if it asked for nothing.
func PageSize(asked int32) int {
	switch {
	case asked <= 0:
		return defaultPageSize
	case asked > maxPageSize:
		return maxPageSize
	default:
		return int(asked)
	}
}

// PageKind names the list that a page token belongs to, so that a token of
// another procedure, another caller or other filters is refused:
//
//	kind := rpc.PageKind("ListTransactions", principal.User.String(), req.GetAsset())
func PageKind(parts ...string) string {
	var b []byte
	for _, part := range parts {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	return string(b)
}

// EncodePageToken writes where a list goes on. Tokens hold v as JSON and a
// checksum over the kind and it. They are not secret and not signed: a handler
// takes a position from them and never a right.
func EncodePageToken(kind string, v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		// Only a type that JSON can't write fails, which is a bug in the caller.
		panic("rpc: page token: " + err.Error())
	}
	sum := pageSum(kind, data)
	return base64.RawURLEncoding.EncodeToString(append(sum[:pageSumBytes:pageSumBytes], data...))
}

// DecodePageToken reads what EncodePageToken wrote for the same kind into v. It
// fails with PAGE_TOKEN_INVALID. An empty token is the first page's: callers
// don't decode it.
func DecodePageToken(kind, token string, v any) error {
	if err := decodePageToken(kind, token, v); err != nil {
		return NewError(errorv1.ErrorReason_ERROR_REASON_PAGE_TOKEN_INVALID,
			"The page token is damaged or belongs to another request.").
			WithField("page_token", "must be the next_page_token of a request with the same parameters").
			WithCause(err)
	}
	return nil
}

func decodePageToken(kind, token string, v any) error {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return err
	}
	if len(raw) < pageSumBytes {
		return errPageTokenShort
	}
	sum, data := raw[:pageSumBytes], raw[pageSumBytes:]
	if bytes.Contains(data, []byte(`\u0000`)) {
		return errPageTokenSum // a text that PostgreSQL can't hold is no place in a list
	}
	want := pageSum(kind, data)
	if subtle.ConstantTimeCompare(sum, want[:pageSumBytes]) != 1 {
		return errPageTokenSum
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errPageTokenSum
	}
	return nil
}

func pageSum(kind string, data []byte) [sha256.Size]byte {
	h := sha256.New()
	var n [binary.MaxVarintLen64]byte
	h.Write(n[:binary.PutUvarint(n[:], uint64(len(kind)))])
	h.Write([]byte(kind))
	h.Write(data)
	return [sha256.Size]byte(h.Sum(nil))
}

var (
	errPageTokenShort = errors.New("page token too short")
	errPageTokenSum   = errors.New("page token of another list or damaged")
)
