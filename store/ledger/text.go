package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tillbook/tillbook/store/canonical"
)

// checkText refuses notes and details that PostgreSQL would refuse, before they
// fail the batch that they are in. What little it lets through, such as numbers
// of a million digits, PostgreSQL refuses and the batch is run again without it.
func checkText(d *Draft) error {
	if !storable(d.Note) {
		return fmt.Errorf("%w: the note is not UTF-8 or has a NUL byte", ErrInvalidText)
	}
	if len(d.Details) == 0 {
		return nil
	}
	if !utf8.Valid(d.Details) || !json.Valid(d.Details) || !validEscapes(d.Details) {
		return fmt.Errorf("%w: the details are not JSON in UTF-8 or have an impossible character", ErrInvalidText)
	}
	if _, err := canonical.JSON(nil, d.Details); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidText, err)
	}
	return nil
}

// storable tells whether PostgreSQL takes a text.
func storable(text string) bool {
	return utf8.ValidString(text) && strings.IndexByte(text, 0) < 0
}

// validEscapes tells whether the \u escapes in valid JSON stand for characters
// that text can hold: not NUL, and both halves of a surrogate pair.
func validEscapes(doc []byte) bool {
	for {
		at := bytes.IndexByte(doc, '\\')
		if at < 0 {
			return true
		}
		first, n := unescape(doc[at:])
		second, _ := unescape(doc[at+n:])
		switch {
		case n == 2: // a short escape
		case first == 0:
			return false
		case utf16.IsSurrogate(first):
			if utf16.DecodeRune(first, second) == utf8.RuneError {
				return false
			}
			n *= 2
		}
		doc = doc[at+n:]
	}
}

// unescape returns the character that a \u escape at the beginning of doc names
// and the escape's length; for another escape the length is 2.
func unescape(doc []byte) (r rune, length int) {
	const long = len(`\u0000`)
	if len(doc) < long || doc[0] != '\\' || doc[1] != 'u' {
		return -1, 2
	}
	code, err := strconv.ParseUint(string(doc[2:long]), 16, 16)
	if err != nil {
		return -1, 2
	}
	return rune(code), long
}
