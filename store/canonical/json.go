// Package canonical gives JSON values one form, so that they can be hashed.
//
// PostgreSQL's jsonb keeps a value but not its spelling: it sorts keys, drops
// white space and writes numbers in its own way. What is hashed before it is
// stored must come out the same when it is read again, so this form depends on
// the value alone: keys in the order of their bytes, no white space, strings as
// encoding/json writes them without escaping for HTML, and numbers as reduced
// fractions of integers ("5", "-5/2").
package canonical

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// ErrNumber says that a number is too long to be hashed.
var ErrNumber = errors.New("a number in JSON has too large an exponent")

// maxExponent bounds how many digits a number may be written out to.
const maxExponent = 1000

// JSON appends the canonical form of a JSON document to dst. It fails if doc is
// not JSON, or holds a number of more than about a thousand digits.
func JSON(dst, doc []byte) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(doc))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("reading JSON: %w", err)
	}
	return appendValue(dst, value)
}

func appendValue(dst []byte, value any) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		if v {
			return append(dst, "true"...), nil
		}
		return append(dst, "false"...), nil
	case string:
		return appendString(dst, v)
	case json.Number:
		return appendNumber(dst, string(v))
	case []any:
		return appendArray(dst, v)
	case map[string]any:
		return appendObject(dst, v)
	default:
		return nil, fmt.Errorf("a JSON value of type %T", value)
	}
}

func appendString(dst []byte, s string) ([]byte, error) {
	var buf bytes.Buffer
	encoder := json.NewEncoder(&buf)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(s); err != nil {
		return nil, err
	}
	return append(dst, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...), nil
}

// appendNumber writes a number as its value. Large exponents are refused before
// they are written out.
func appendNumber(dst []byte, s string) ([]byte, error) {
	if len(s) > maxExponent {
		return nil, ErrNumber
	}
	if at := strings.IndexAny(s, "eE"); at >= 0 {
		exponent, ok := new(big.Int).SetString(strings.TrimPrefix(s[at+1:], "+"), 10)
		if !ok || exponent.CmpAbs(big.NewInt(maxExponent)) > 0 {
			return nil, ErrNumber
		}
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return nil, fmt.Errorf("reading the number %q", s)
	}
	if r.IsInt() {
		return append(dst, r.Num().String()...), nil
	}
	return append(dst, r.String()...), nil
}

func appendArray(dst []byte, list []any) (_ []byte, err error) {
	dst = append(dst, '[')
	for i, element := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = appendValue(dst, element); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

func appendObject(dst []byte, object map[string]any) (_ []byte, err error) {
	keys := make([]string, 0, len(object))
	for key := range object {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	dst = append(dst, '{')
	for i, key := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = appendString(dst, key); err != nil {
			return nil, err
		}
		dst = append(dst, ':')
		if dst, err = appendValue(dst, object[key]); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}
