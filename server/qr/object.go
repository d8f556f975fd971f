package qr

import (
	"fmt"
	"strings"
)

// Tags under the root, and those in templates behind their template's. Ours may
// stand in any of 26 to 51; we write the first.
const (
	tagVersion    = "00"
	tagInitiation = "01"
	tagAccount    = "26"
	tagSystem     = "26.00"
	tagStore      = "26.01"
	tagCheckout   = "26.02"
	tagAsset      = "26.03"
	tagCategory   = "52"
	tagCurrency   = "53"
	tagAmount     = "54"
	tagTip        = "55"
	tagFixed      = "56"
	tagPercentage = "57"
	tagCountry    = "58"
	tagMerchant   = "59"
	tagCity       = "60"
	tagAdditional = "62"
	tagReference  = "62.05"
	tagTerminal   = "62.07"
	tagChecksum   = "63"
)

// What fixed data objects say.
const (
	version       = "01"
	static        = "11"
	dynamic       = "12"
	checksumStart = tagChecksum + "04"
)

// object is one data object of a text.
type object struct {
	tag      string // as in Error
	value    string
	position int // as in Error
}

// headLength is how many characters stand before a value.
const headLength = 4

// split reads a row of data objects, which is the text or, if within isn't empty,
// a template's value. Position is where in the text the row begins. If the row is
// broken split returns what stands before that as well.
func split(row, within string, position int) ([]object, *Error) {
	prefix := ""
	if within != "" {
		prefix = within + "."
	}
	var objects []object
	seen := make(map[string]bool)
	for rest := []rune(row); len(rest) > 0; {
		tag, ok := twoDigits(rest)
		if !ok {
			return objects, &Error{"A tag must be two digits", within, position}
		}
		tag = prefix + tag
		length, ok := twoDigits(rest[2:])
		if !ok || length == "00" {
			return objects, &Error{"A length must be two digits from 01 to 99", tag, position}
		}
		end := headLength + int(length[0]-'0')*10 + int(length[1]-'0')
		if end > len(rest) {
			return objects, &Error{"The value is shorter than its length says", tag, position}
		}
		if seen[tag] {
			return objects, &Error{"The tag is there twice", tag, position}
		}
		seen[tag] = true
		objects = append(objects, object{tag, string(rest[headLength:end]), position})
		rest, position = rest[end:], position+end
	}
	return objects, nil
}

// twoDigits returns the digits that text begins with.
func twoDigits(text []rune) (string, bool) {
	if len(text) < 2 {
		return "", false
	}
	digits := string(text[:2])
	return digits, isDigits(digits)
}

// put writes a data object of printable ASCII, or nothing if it has no value.
func put(out *strings.Builder, tag, value string) {
	if value != "" {
		fmt.Fprintf(out, "%s%02d%s", tag[len(tag)-2:], len(value), value)
	}
}

// seal completes a text by its checksum.
func seal(text string) string {
	text += checksumStart
	return text + checksum(text)
}

// checksum is CRC-16 with the polynomial 0x1021 from 0xFFFF on, not reflected
// (CRC-16/CCITT-FALSE), as 4 digits.
func checksum(text string) string {
	crc := uint16(0xFFFF)
	for i := range len(text) {
		crc ^= uint16(text[i]) << 8
		for range 8 {
			if carry := crc&0x8000 != 0; carry {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return fmt.Sprintf("%04X", crc)
}
