package auth_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/server/secret"
)

// serverKey takes the signing key out of the database, as an attacker who also
// has the configuration could; with it, tokens can be made that lack one thing
// only.
func (w *world) serverKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	var id uuid.UUID
	var sealed []byte
	err := w.owner(t).QueryRow(t.Context(), "SELECT id, sealed_key FROM server_keys WHERE kind = 'sign'").Scan(&id, &sealed)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := secret.Parse(w.secret)
	if err != nil {
		t.Fatal(err)
	}
	seed, err := keys.Open(secret.Row{Table: "server_keys", Column: "sealed_key", ID: id}, sealed)
	if err != nil {
		t.Fatal(err)
	}
	return ed25519.NewKeyFromSeed(seed)
}

// parts decodes a token.
func parts(t *testing.T, token string) (header, claims map[string]any) {
	t.Helper()
	for i, into := range []*map[string]any{&header, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, into); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

func signed(t *testing.T, method jwt.SigningMethod, header, claims map[string]any, key any) string {
	t.Helper()
	token := &jwt.Token{Header: header, Claims: jwt.MapClaims(claims), Method: method}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestForgedTokensAreRefused(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	ada := w.register(t, r, number(1), "ada")
	bob := w.register(t, r, number(2), "bob")
	key := w.serverKey(t)
	good := ada.session.GetAccessToken()
	now := w.clock.Now()

	forge := func(change func(header, claims map[string]any)) string {
		header, claims := parts(t, good)
		change(header, claims)
		return signed(t, jwt.SigningMethodEdDSA, header, claims, key)
	}
	tests := map[string]struct{ token, want string }{
		"as it was": {forge(func(_, _ map[string]any) {}), ""},
		"alg none": {func() string {
			header, claims := parts(t, good)
			header["alg"] = "none"
			return signed(t, jwt.SigningMethodNone, header, claims, jwt.UnsafeAllowNoneSignatureType)
		}(), "UNAUTHENTICATED"},
		"no signature": {good[:strings.LastIndex(good, ".")+1], "UNAUTHENTICATED"},
		"HMAC with the public key": {func() string {
			header, claims := parts(t, good)
			header["alg"] = "HS256"
			return signed(t, jwt.SigningMethodHS256, header, claims, []byte(key.Public().(ed25519.PublicKey)))
		}(), "UNAUTHENTICATED"},
		"a stranger's key": {func() string {
			header, claims := parts(t, good)
			_, stranger, err := ed25519.GenerateKey(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			return signed(t, jwt.SigningMethodEdDSA, header, claims, stranger)
		}(), "UNAUTHENTICATED"},
		"a stranger's key, sent along": {func() string {
			header, claims := parts(t, good)
			public, stranger, err := ed25519.GenerateKey(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			header["jwk"] = map[string]string{"kty": "OKP", "crv": "Ed25519", "x": base64.RawURLEncoding.EncodeToString(public)}
			return signed(t, jwt.SigningMethodEdDSA, header, claims, stranger)
		}(), "UNAUTHENTICATED"},
		"another's claims": {func() string {
			a, b := strings.Split(good, "."), strings.Split(bob.session.GetAccessToken(), ".")
			return a[0] + "." + b[1] + "." + a[2]
		}(), "UNAUTHENTICATED"},
		"another type":         {forge(func(h, _ map[string]any) { h["typ"] = "JWT" }), "UNAUTHENTICATED"},
		"no type":              {forge(func(h, _ map[string]any) { delete(h, "typ") }), "UNAUTHENTICATED"},
		"no key id":            {forge(func(h, _ map[string]any) { delete(h, "kid") }), "UNAUTHENTICATED"},
		"a made-up key id":     {forge(func(h, _ map[string]any) { h["kid"] = "key_00000000000000000000000000" }), "UNAUTHENTICATED"},
		"a key id like a path": {forge(func(h, _ map[string]any) { h["kid"] = "../../dev/null" }), "UNAUTHENTICATED"},
		"critical extensions":  {forge(func(h, _ map[string]any) { h["crit"] = []string{"x"} }), "UNAUTHENTICATED"},
		"another audience":     {forge(func(_, c map[string]any) { c["aud"] = []string{"elsewhere"} }), "UNAUTHENTICATED"},
		"no audience":          {forge(func(_, c map[string]any) { delete(c, "aud") }), "UNAUTHENTICATED"},
		"another issuer":       {forge(func(_, c map[string]any) { c["iss"] = "elsewhere" }), "UNAUTHENTICATED"},
		"no end":               {forge(func(_, c map[string]any) { delete(c, "exp") }), "UNAUTHENTICATED"},
		"not yet valid":        {forge(func(_, c map[string]any) { c["nbf"] = now.Add(time.Minute).Unix() }), "UNAUTHENTICATED"},
		"expired":              {forge(func(_, c map[string]any) { c["exp"] = now.Add(-time.Second).Unix() }), "TOKEN_EXPIRED"},
		"expired and for others": {forge(func(_, c map[string]any) {
			c["exp"], c["aud"] = now.Add(-time.Second).Unix(), []string{"elsewhere"}
		}), "UNAUTHENTICATED"},
		"no subject":                {forge(func(_, c map[string]any) { delete(c, "sub") }), "UNAUTHENTICATED"},
		"a session's id as subject": {forge(func(_, c map[string]any) { c["sub"] = c["sid"] }), "UNAUTHENTICATED"},
		"no session":                {forge(func(_, c map[string]any) { delete(c, "sid") }), "UNAUTHENTICATED"},
		"a refresh token":           {ada.session.GetRefreshToken(), "UNAUTHENTICATED"},
		"endless":                   {good + strings.Repeat("A", 10_000), "UNAUTHENTICATED"},
		"nonsense":                  {"nonsense", "UNAUTHENTICATED"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := r.GetMe(as(t.Context(), tt.token), &authv1.GetMeRequest{})
			wants(t, err, tt.want)
		})
	}
	_, err := r.GetMe(t.Context(), &authv1.GetMeRequest{})
	wants(t, err, "UNAUTHENTICATED")
}

func TestAVerifiedTokenIsCheckedOnce(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	ada := w.register(t, r, number(1), "ada")
	wants(t, me(t, r, ada.session), "")
	before, statements := r.service.Stats().SignaturesChecked, r.statements.Load()
	for range 100 {
		if _, err := r.service.Authenticate(t.Context(), ada.session.GetAccessToken()); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.service.Stats().SignaturesChecked - before; n != 0 {
		t.Errorf("%d signatures were checked for a token that is known", n)
	}
	if n := r.statements.Load() - statements; n != 0 {
		t.Errorf("%d statements were sent for a token that is known", n)
	}
}

func TestTheKeySetIsPublished(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	ada := w.register(t, r, number(1), "ada")
	rec := httptest.NewRecorder()
	r.service.JWKS().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/.well-known/jwks.json", nil))
	var set struct {
		Keys []struct{ Kty, Crv, X, Use, Alg, Kid, D string }
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != 1 {
		t.Fatalf("%d keys are published", len(set.Keys))
	}
	k := set.Keys[0]
	if k.Kty != "OKP" || k.Crv != "Ed25519" || k.Use != "sig" || k.Alg != "EdDSA" || k.D != "" {
		t.Errorf("the key is %+v", k)
	}
	public, err := base64.RawURLEncoding.DecodeString(k.X)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Parse(ada.session.GetAccessToken(), func(token *jwt.Token) (any, error) {
		if token.Header["kid"] != k.Kid {
			t.Errorf("the token names the key %v, published is %v", token.Header["kid"], k.Kid)
		}
		return ed25519.PublicKey(public), nil
	}, jwt.WithTimeFunc(w.clock.Now))
	if err != nil || !token.Valid {
		t.Errorf("others can't check the token: %v", err)
	}

	rec = httptest.NewRecorder()
	r.service.JWKS().ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/.well-known/jwks.json", nil))
	if rec.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST is answered with %d", rec.Code)
	}
}

// BenchmarkAuthenticate is what every call of a signed-in user costs before
// anything else.
func BenchmarkAuthenticate(b *testing.B) {
	w := newWorld(b)
	r := w.replica(b)
	ada := w.register(b, r, number(1), "ada")
	token := ada.session.GetAccessToken()
	ctx := b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := r.service.Authenticate(ctx, token); err != nil {
				b.Error(err)
			}
		}
	})
}
