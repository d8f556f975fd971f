package qr

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// likenesses are of letters and signs that are common in names and that Unicode
// doesn't decompose.
var likenesses = map[rune]string{
	'ß': "ss", 'ẞ': "SS", 'æ': "ae", 'Æ': "AE", 'œ': "oe", 'Œ': "OE",
	'ø': "o", 'Ø': "O", 'đ': "d", 'Đ': "D", 'ð': "d", 'Ð': "D", 'ł': "l", 'Ł': "L",
	'ħ': "h", 'Ħ': "H", 'ı': "i", 'þ': "th", 'Þ': "Th", 'ɓ': "b", 'Ɓ': "B",
	'ɗ': "d", 'Ɗ': "D", 'ƙ': "k", 'Ƙ': "K", 'ɛ': "e", 'Ɛ': "E", 'ɔ': "o", 'Ɔ': "O",
	'‘': "'", '’': "'", 'ʻ': "'", 'ʼ': "'", '“': `"`, '”': `"`, '«': `"`, '»': `"`,
	'‐': "-", '–': "-", '—': "-", '−': "-", '·': ".", '•': ".", '×': "x",
}

// reduce turns a name into printable ASCII of at most that many characters. One
// that is both already stays as it is.
func reduce(name string, most int) string {
	if !isPrintable(name) {
		name = strings.Join(strings.Fields(resemble(name)), " ")
	}
	if len(name) > most {
		name = strings.TrimRight(name[:most], " ")
	}
	return name
}

// resemble replaces each character by ASCII like it.
func resemble(name string) string {
	var bare strings.Builder
	for _, r := range norm.NFKD.String(name) {
		if !unicode.In(r, unicode.Mn, unicode.Cf) {
			bare.WriteRune(r)
		}
	}
	var out strings.Builder
	for _, r := range norm.NFC.String(bare.String()) { // so that a Korean syllable is one character again
		like, known := likenesses[r]
		switch {
		case known:
			out.WriteString(like)
		case r >= ' ' && r <= '~':
			out.WriteRune(r)
		case unicode.IsSpace(r) || unicode.IsControl(r):
			out.WriteByte(' ')
		default:
			out.WriteByte('?')
		}
	}
	return out.String()
}

// plain drops from a decimal number the zeros and the point that say nothing and
// that others may stumble over: "098." becomes "98". What is no decimal number
// stays as it is.
func plain(s string) string {
	if !isDecimal(s) {
		return s
	}
	whole, fraction, _ := strings.Cut(s, ".")
	whole = strings.TrimLeft(whole, "0")
	if whole == "" {
		whole = "0"
	}
	if fraction == "" {
		return whole
	}
	return whole + "." + fraction
}

// shorten drops zeros from the end of a decimal number that is longer than most,
// as those of assets with many decimals are.
func shorten(s string, most int) string {
	if len(s) <= most || !isDecimal(s) || !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}
