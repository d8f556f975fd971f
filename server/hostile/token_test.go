package hostile

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/jackc/pgx/v5"

	"github.com/google/uuid"
	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
	"github.com/tillbook/tillbook/server/secret"
)

// forger has a good token, the keys that are published, and keys of its own.
type forger struct {
	t              *testing.T
	good           string
	header, claims map[string]any
	public         ed25519.PublicKey
	own            ed25519.PrivateKey
	// stolen is the server's own key, to make tokens that lack one thing only.
	stolen ed25519.PrivateKey
	// keys is a server with the forger's key, which no server may ask for.
	keys  string
	asked atomic.Int64
}

func newForger(t *testing.T, c *cluster, good string) *forger {
	t.Helper()
	f := &forger{t: t, good: good, public: publishedKey(t, c.replicas[0]), stolen: stolenKey(t, c)}
	_, f.own, _ = ed25519.GenerateKey(nil)
	for i, into := range []*map[string]any{&f.header, &f.claims} {
		raw, err := base64.RawURLEncoding.DecodeString(strings.Split(good, ".")[i])
		must(t, err)
		must(t, json.Unmarshal(raw, into))
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		f.asked.Add(1)
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{f.jwk()}})
	}))
	t.Cleanup(server.Close)
	f.keys = server.URL
	return f
}

// publishedKey is what everybody knows.
func publishedKey(t *testing.T, r *replica) ed25519.PublicKey {
	t.Helper()
	res, err := plainClient.Get("http://" + r.http + "/.well-known/jwks.json")
	must(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	must(t, err)
	var set struct{ Keys []struct{ X string } }
	must(t, json.Unmarshal(text, &set))
	key, err := base64.RawURLEncoding.DecodeString(set.Keys[0].X)
	must(t, err)
	return key
}

// stolenKey opens the server's key with its secret.
func stolenKey(t *testing.T, c *cluster) ed25519.PrivateKey {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.url)
	must(t, err)
	defer conn.Close(t.Context())
	var id uuid.UUID
	var sealed []byte
	must(t, conn.QueryRow(t.Context(), "SELECT id, sealed_key FROM server_keys WHERE kind = 'sign'").Scan(&id, &sealed))
	keys, err := secret.Load(t.Context(), secret.File(c.secret))
	must(t, err)
	seed, err := keys.Open(secret.Row{Table: "server_keys", Column: "sealed_key", ID: id}, sealed)
	must(t, err)
	return ed25519.NewKeyFromSeed(seed)
}

func (f *forger) jwk() map[string]any {
	return map[string]any{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": f.header["kid"],
		"x": base64.RawURLEncoding.EncodeToString(f.own.Public().(ed25519.PublicKey))}
}

// sign makes a token with some entries of its header and claims changed; nil takes
// one out.
func (f *forger) sign(method jwt.SigningMethod, key any, header, claims map[string]any) string {
	f.t.Helper()
	change := func(of, by map[string]any) map[string]any {
		out := map[string]any{}
		for k, v := range of {
			out[k] = v
		}
		for k, v := range by {
			if out[k] = v; v == nil {
				delete(out, k)
			}
		}
		return out
	}
	token := &jwt.Token{Method: method, Header: change(f.header, header), Claims: jwt.MapClaims(change(f.claims, claims))}
	if _, ok := header["alg"]; !ok {
		token.Header["alg"] = method.Alg()
	}
	text, err := token.SignedString(key)
	must(f.t, err)
	return text
}

type change = map[string]any

func (f *forger) tokens() map[string]string {
	f.t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	must(f.t, err)
	der, err := x509.MarshalPKIXPublicKey(f.public)
	must(f.t, err)
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	edDSA, hs256 := jwt.SigningMethodEdDSA, jwt.SigningMethodHS256
	now := time.Now()
	stolen := func(header, claims change) string { return f.sign(edDSA, f.stolen, header, claims) }
	own := func(header change) string { return f.sign(edDSA, f.own, header, nil) }
	tokens := map[string]string{
		"none":                        f.sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, nil),
		"None":                        f.sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, change{"alg": "None"}, nil),
		"no signature":                f.good[:strings.LastIndex(f.good, ".")+1],
		"another signature":           f.good[:len(f.good)-4] + "AAAA",
		"HS256, published key":        f.sign(hs256, []byte(f.public), nil, nil),
		"HS256, published key as PEM": f.sign(hs256, asPEM, nil, nil),
		"HS256, published key as DER": f.sign(hs256, der, nil, nil),
		"HS512, published key":        f.sign(jwt.SigningMethodHS512, []byte(f.public), nil, nil),
		"HS256, no key":               f.sign(hs256, []byte{}, nil, nil),
		"HS256 that says EdDSA":       f.sign(hs256, []byte(f.public), change{"alg": "EdDSA"}, nil),
		"RS256":                       f.sign(jwt.SigningMethodRS256, rsaKey, nil, nil),
		"PS256":                       f.sign(jwt.SigningMethodPS256, rsaKey, nil, nil),
		"RS256 that says EdDSA":       f.sign(jwt.SigningMethodRS256, rsaKey, change{"alg": "EdDSA"}, nil),
		"a key of its own":            own(nil),
		"jwk":                         own(change{"jwk": f.jwk()}),
		"jku":                         own(change{"jku": f.keys}),
		"x5u":                         own(change{"x5u": f.keys}),
		"x5c":                         own(change{"x5c": []string{base64.StdEncoding.EncodeToString(der)}}),
		"kid as a path":               own(change{"kid": "../../../../dev/null"}),
		"kid as a URL":                own(change{"kid": f.keys}),
		"kid as SQL":                  own(change{"kid": "x' UNION SELECT 'y"}),
		"kid with a NUL":              own(change{"kid": "key_\x00"}),
		"kid that is a list":          own(change{"kid": []string{"a"}}),
		"no kid":                      stolen(change{"kid": nil}, nil),
		"crit":                        stolen(change{"crit": []string{"exp"}}, nil),
		"another type":                stolen(change{"typ": "JWT"}, nil),
		"a terminal's type":           stolen(change{"typ": "terminal+jwt"}, nil),
		"another audience":            stolen(nil, change{"aud": []string{"tillbook-terminal"}}),
		"no audience":                 stolen(nil, change{"aud": nil}),
		"another issuer":              stolen(nil, change{"iss": "elsewhere"}),
		"expired":                     stolen(nil, change{"exp": now.Add(-time.Minute).Unix()}),
		"not yet valid":               stolen(nil, change{"nbf": now.Add(time.Hour).Unix()}),
		"made tomorrow":               stolen(nil, change{"iat": now.Add(24 * time.Hour).Unix(), "nbf": now.Add(24 * time.Hour).Unix()}),
		"no end":                      stolen(nil, change{"exp": nil}),
		"no subject":                  stolen(nil, change{"sub": nil}),
		"a session's id as subject":   stolen(nil, change{"sub": f.claims["sid"]}),
		"no session":                  stolen(nil, change{"sid": nil}),
		"endless":                     f.good + strings.Repeat("A", 20_000),
	}
	return tokens
}

func TestForgedTokensOpenNothing(t *testing.T) {
	if !*full { // whose figures are of this attack alone
		t.Parallel()
	}
	c := newCluster(t)
	ada := c.register(t, 1)
	f := newForger(t, c, ada.GetAccessToken())
	tokens := f.tokens()

	// A token of another deployment, and one of somebody who signed out, on a replica
	// that hasn't seen either.
	tokens["another deployment's"] = newCluster(t).register(t, 1).GetAccessToken()
	tokens["a refresh token"], tokens["a device token"] = ada.GetRefreshToken(), ada.GetDeviceToken()
	ben := c.register(t, 2)
	whoAmI := func(r *replica, token string) string {
		return call(t.Context(), t, c.client, r, caller{credentials: "Bearer " + token}, authv1connect.AuthServiceGetMeProcedure, &authv1.GetMeRequest{}, &authv1.GetMeResponse{})
	}
	for _, r := range c.replicas {
		if got := whoAmI(r, ben.GetAccessToken()); got != "" {
			t.Fatalf("before the sign-out: %s", got)
		}
	}
	if got := call(t.Context(), t, c.client, c.replicas[0], caller{credentials: "Bearer " + ben.GetAccessToken()},
		authv1connect.AuthServiceLogoutProcedure, &authv1.LogoutRequest{}, &authv1.LogoutResponse{}); got != "" {
		t.Fatal(got)
	}
	for _, r := range c.replicas { // at once here, within a second elsewhere
		eventually(t, "the session is revoked everywhere", func() bool { return whoAmI(r, ben.GetAccessToken()) == "SESSION_REVOKED" })
	}

	c.withstands(t, "token forgery", func() string {
		tried := 0
		for name, token := range tokens {
			for i, r := range c.replicas {
				if i > 0 && name == "endless" {
					continue
				}
				tried++
				want := "UNAUTHENTICATED"
				if name == "expired" {
					want = "TOKEN_EXPIRED"
				}
				if got := whoAmI(r, token); got != want {
					t.Errorf("%s at replica %d: %q, want %s", name, i, got, want)
				}
			}
		}
		return fmt.Sprintf("%d kinds of forged tokens, %d tries over 3 replicas, 0 accepted; 0 keys fetched from where a token says; signed out everywhere", len(tokens), tried)
	})
	// The control: the forger's tools make a token that is accepted if nothing is
	// wrong with it.
	if got := whoAmI(c.replicas[0], f.sign(jwt.SigningMethodEdDSA, f.stolen, nil, nil)); got != "" {
		t.Errorf("a token without a fault: %s", got)
	}
	if n := f.asked.Load(); n != 0 {
		t.Errorf("the forger's server was asked %d times for its key", n)
	}
}
