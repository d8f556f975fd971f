package auth

import (
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A refresh or device token has one form only.
func FuzzParseOpaque(f *testing.F) {
	for _, text := range []string{opaque{1}.text(refreshPrefix), "tbr_", "", "tbr_AAAA", "tbr_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB", "tbd_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if o, ok := parseOpaque(refreshPrefix, text); ok && o.text(refreshPrefix) != text {
			t.Fatalf("%q reads as %q", text, o.text(refreshPrefix))
		}
	})
}

// Nothing that wasn't signed is a token, whatever it says of keys and algorithms.
func FuzzAccessToken(f *testing.F) {
	for _, text := range []string{
		"", "..", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJIUzI1NiIsImtpZCI6IiJ9.e30.AAAA",
		"eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCIsImtpZCI6ImtleV94In0.eyJzdWIiOiJ1c3JfIiwiZXhwIjoxZTMwMH0.AAAA",
	} {
		f.Add(text)
	}
	parser := newParser(Config{}.withDefaults(), time.Now)
	f.Fuzz(func(t *testing.T, text string) {
		var c claims
		token, err := parser.ParseWithClaims(text, &c, func(*jwt.Token) (any, error) { return nil, errUnknownKey })
		if err == nil || token != nil && token.Valid {
			t.Fatalf("%q is a token", text)
		}
	})
}

// A password is refused or taken, and never stops the server.
func FuzzPassword(f *testing.F) {
	for _, p := range []string{"password1", "correct horse battery", "p@$$w0rd!!!!", "\xff\xfe\x00aaaaaaa", "ａａａａａａａａ", "12345678", "abcabcabcabc"} {
		f.Add(p, "ada.lovelace")
	}
	f.Fuzz(func(_ *testing.T, p, username string) {
		_ = checkPassword("password", p)
		_ = checkOwnPassword("password", p, "+628123456789", username)
	})
}
