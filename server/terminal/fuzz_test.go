package terminal

import (
	"crypto/ed25519"
	"encoding/base64"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/server/secret"
)

// What a device signs may hold anything: claims that pass have a bounded life and
// an id of a bounded length.
func FuzzAssertionClaims(f *testing.F) {
	for _, text := range []string{
		`{"iss":"trm_x","sub":"trm_x","aud":["tillbook-terminal"],"jti":"12345678","iat":1760000000,"exp":1760000060}`,
		`{"iss":"a","sub":"a","aud":"tillbook-terminal","jti":"12345678","iat":-1e300,"exp":1e300}`,
		`{"iat":1e-300,"exp":"x"}`, `{"exp":9223372036854775807,"iat":9223372036854775806}`, `[]`, `{`, `{"nbf":1e18,"aud":[]}`,
	} {
		f.Add([]byte(text))
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithoutClaimsValidation(), jwt.WithStrictDecoding())
	_, key, _ := ed25519.GenerateKey(nil)
	now := time.Unix(1_760_000_000, 0)
	f.Fuzz(func(t *testing.T, text []byte) {
		signed := "eyJhbGciOiJFZERTQSIsInR5cCI6InRlcm1pbmFsK2p3dCJ9." + encode(text)
		token := signed + "." + encode(ed25519.Sign(key, []byte(signed)))
		claims := &jwt.RegisteredClaims{}
		_, err := parser.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return key.Public(), nil })
		if err != nil || checkClaims(claims) != nil || checkTimes(claims, now) != nil {
			return
		}
		if life := claims.ExpiresAt.Sub(claims.IssuedAt.Time); life <= 0 || life > assertionLife || len(claims.ID) > maxJTI {
			t.Fatalf("%s is good for %s", text, life)
		}
	})
}

// However an activation code is typed it is one code.
func FuzzActivationCode(f *testing.F) {
	f.Add("ABCDE-12345", []byte("key"))
	f.Add("o0il1\x00\xff", make([]byte, 32))
	c := codes{key: secret.Fixed([]byte("k"))}
	f.Fuzz(func(t *testing.T, code string, key []byte) {
		if n := normalized(code); normalized(n) != n {
			t.Fatalf("%q becomes %q and then %q", code, n, normalized(n))
		}
		_ = c.hashes(code)
		public := make([]byte, ed25519.PublicKeySize)
		copy(public, key)
		if checkKey(&terminalv1.ActivateRequest{ActivationCode: code, PublicKey: public, Signature: make([]byte, ed25519.SignatureSize)}) == nil {
			t.Fatalf("nobody signed with %x", public)
		}
	})
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
