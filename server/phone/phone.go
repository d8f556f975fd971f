package phone

import (
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/server/rpc"
)

// E164 is a phone number in E.164 form, such as "+628123456789".
type E164 string

// ErrInvalid says that a text is no phone number that takes SMS. Handlers return
// it as it is: its reason is PHONE_NUMBER_INVALID.
var ErrInvalid = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_PHONE_NUMBER_INVALID,
	"Give a mobile phone number with its country code, such as +62 812 3456 789.")

// maxLength is how much text is looked at; E.164 has 15 digits.
const maxLength = 32

// Parse reads a phone number with its country code, written with the usual
// spaces, dots, hyphens and brackets. It fails with ErrInvalid for whatever can't
// be a mobile phone's number.
func Parse(text string) (E164, error) {
	if len(text) > maxLength || strings.ContainsFunc(text, unusual) {
		return "", ErrInvalid
	}
	number, err := phonenumbers.Parse(text, "")
	if err != nil {
		return "", ErrInvalid
	}
	switch phonenumbers.GetNumberType(number) {
	case phonenumbers.MOBILE, phonenumbers.FIXED_LINE_OR_MOBILE:
		return E164(phonenumbers.Format(number, phonenumbers.E164)), nil
	default:
		return "", ErrInvalid
	}
}

// unusual finds what the library would read as a digit (other scripts, letters
// on a dial) or as an extension.
func unusual(r rune) bool { return !strings.ContainsRune("+0123456789 -.()/", r) }

// DialCode returns the digits that lead to the number's country, such as "62".
func (n E164) DialCode() string {
	number, err := phonenumbers.Parse(string(n), "")
	if err != nil {
		return ""
	}
	return strconv.Itoa(int(number.GetCountryCode()))
}

// Region returns the country that the number belongs to, such as "ID", or "" if
// it belongs to none.
func (n E164) Region() string {
	number, err := phonenumbers.Parse(string(n), "")
	if err != nil {
		return ""
	}
	return phonenumbers.GetRegionCodeForNumber(number)
}

// Block returns the number without its last four digits: what ten thousand
// neighbours share, which is how numbers are handed out to carriers, and to
// those who rent them for fraud.
func (n E164) Block() string {
	return string(n[:max(0, len(n)-4)])
}
