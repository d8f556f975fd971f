package auth

import (
	_ "embed"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tillbook/tillbook/server/phone"
)

// The length of passwords, in characters.
const (
	minPassword = 8
	maxPassword = 64
)

// checkPassword says whether a new password is long enough and not one that is
// guessed first. The field is the request's, for the error.
func checkPassword(field, password string) error {
	n := utf8.RuneCountInString(normal(password))
	if n < minPassword || n > maxPassword {
		return errPasswordLength.WithField(field, "must have 8 to 64 characters")
	}
	if common(password) {
		return errPasswordTooCommon.WithField(field, "must not be a common password")
	}
	return nil
}

// checkOwnPassword says whether a password is something that everybody knows of
// its owner.
func checkOwnPassword(field, password string, number phone.E164, username string) error {
	folded := fold(password)
	national := strings.TrimPrefix(string(number), "+"+number.DialCode())
	for _, known := range []string{username, string(number), string(number[1:]), national, "0" + national} {
		if folded == fold(known) || untail(folded) == fold(known) {
			return errPasswordTooCommon.WithField(field, "must not be the phone number or the username")
		}
	}
	return nil
}

// common says whether a password is one that is guessed first: one of the list,
// with or without the usual digits behind it and the usual substitutions in it, a
// run of characters, or a date.
func common(password string) bool {
	folded := fold(password)
	if trivial(folded) || date(folded) {
		return true
	}
	list := commonPasswords()
	for _, variant := range []string{folded, unleet(folded), untail(folded), unleet(untail(folded)), untail(unleet(folded))} {
		if list[variant] {
			return true
		}
	}
	return false
}

// trivial finds a run: one or two characters over and over, or neighbours in the
// alphabet or among the digits.
func trivial(password string) bool {
	distinct := map[rune]bool{}
	same, up, down := 0, 0, 0
	var last rune
	for _, r := range password {
		distinct[r] = true
		switch r - last {
		case 0:
			same++
		case 1:
			up++
		case -1:
			down++
		}
		last = r
	}
	n := utf8.RuneCountInString(password)
	steps := n - 1
	return len(distinct) <= 2 || max(up+same, down+same) >= steps-1 || repeats(password)
}

// date says whether a password is a day, such as a birthday, in eight digits.
func date(password string) bool {
	for _, layout := range []string{"02012006", "01022006", "20060102"} {
		day, err := time.Parse(layout, password)
		if err == nil && day.Year() >= 1900 && day.Year() < 2100 {
			return true
		}
	}
	return false
}

// repeats says whether a password is one short piece over and over.
func repeats(password string) bool {
	for size := 1; size <= 4; size++ {
		if len(password)%size == 0 && strings.Repeat(password[:size], len(password)/size) == password {
			return true
		}
	}
	return false
}

// maxTail is how many digits and signs behind a word don't make it better.
const maxTail = 4

// untail takes the digits and signs from the end: "dragon123!" is "dragon".
func untail(password string) string {
	word := strings.TrimRightFunc(password, func(r rune) bool { return !unicode.IsLetter(r) })
	if utf8.RuneCountInString(password)-utf8.RuneCountInString(word) > maxTail {
		return password
	}
	return word
}

var leet = strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i")

// unleet undoes the usual substitutions: "p@ssw0rd" is "password".
func unleet(password string) string { return leet.Replace(password) }

func fold(s string) string { return strings.ToLower(normal(s)) }

// commonList holds one word a line, in lower case. Words may be shorter than a
// password, since they are also looked for without what follows them.
//
//go:embed common_passwords.txt
var commonList string

var commonPasswords = sync.OnceValue(func() map[string]bool {
	list := make(map[string]bool)
	for word := range strings.Lines(commonList) {
		if word = strings.TrimSpace(word); word != "" {
			list[fold(word)] = true
		}
	}
	return list
})
