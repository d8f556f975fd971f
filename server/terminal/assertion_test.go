package terminal_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"google.golang.org/grpc/metadata"

	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
)

// tryAssertion opens a session with an authorization header and returns how that
// ends; nil if it is welcome.
func tryAssertion(t testing.TB, r *replica, header string) error {
	t.Helper()
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(t.Context(), "authorization", header))
	defer cancel()
	l := open(ctx, t, r.conn, &terminalv1.SessionRequest_Hello{})
	_, err := l.stream.Recv()
	return err
}

func TestAnAssertionIsGoodForOneCallOnAllReplicas(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	a, b := w.replica(t), w.replica(t)
	g := w.shop(t, a).gadget(t, a)
	header := "Terminal " + g.sign(t, g.claims())
	must(t, tryAssertion(t, a, header))
	wantReason(t, tryAssertion(t, a, header), "ASSERTION_REPLAYED")
	wantReason(t, tryAssertion(t, b, header), "ASSERTION_REPLAYED")

	// Of many at the same time one gets through.
	header = "Terminal " + g.sign(t, g.claims())
	var welcome atomic.Int32
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			err := tryAssertion(t, []*replica{a, b}[i%2], header)
			switch {
			case err == nil:
				welcome.Add(1)
			case reasonOf(err) != "ASSERTION_REPLAYED":
				t.Errorf("try %d: %v", i, err)
			}
		})
	}
	all.Wait()
	if n := welcome.Load(); n != 1 {
		t.Errorf("the assertion was accepted %d times", n)
	}
}

func TestADeviceWhoseClockIsWrongLearnsTheTime(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	r := w.replica(t)
	g := w.shop(t, r).gadget(t, r)
	for _, wrong := range []time.Duration{24 * time.Hour, -24 * time.Hour, 6 * time.Minute} {
		claims := g.claims()
		claims.IssuedAt = jwt.NewNumericDate(claims.IssuedAt.Add(wrong))
		claims.ExpiresAt = jwt.NewNumericDate(claims.ExpiresAt.Add(wrong))
		err := tryAssertion(t, r, "Terminal "+g.sign(t, claims))
		wantReason(t, err, "CLOCK_SKEWED")
		told, parseErr := time.Parse(time.RFC3339Nano, infoOf(err).GetMetadata()["server_time"])
		if parseErr != nil || time.Since(told).Abs() > time.Minute {
			t.Errorf("off by %s: the server's time is said to be %v, %v", wrong, told, parseErr)
		}
	}
	claims := g.claims() // some seconds are nothing
	claims.IssuedAt = jwt.NewNumericDate(claims.IssuedAt.Add(20 * time.Second))
	must(t, tryAssertion(t, r, "Terminal "+g.sign(t, claims)))
}

func TestForgedAssertionsAreRefused(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	r := w.replica(t)
	s := w.shop(t, r)
	g, other := s.gadget(t, r), s.gadget(t, r)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	signed := func(method jwt.SigningMethod, key any, header map[string]any, change func(*jwt.RegisteredClaims)) string {
		claims := g.claims()
		if change != nil {
			change(&claims)
		}
		token := jwt.NewWithClaims(method, claims)
		token.Header["typ"] = "terminal+jwt"
		for k, v := range header {
			token.Header[k] = v
		}
		text, err := token.SignedString(key)
		must(t, err)
		return text
	}
	own := func(change func(*jwt.RegisteredClaims)) string {
		return signed(jwt.SigningMethodEdDSA, g.key, nil, change)
	}
	for name, assertion := range map[string]string{
		"no signature":            signed(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, nil),
		"the key as a secret":     signed(jwt.SigningMethodHS256, []byte(g.key.Public().(ed25519.PublicKey)), nil, nil),
		"another kind of key":     signed(jwt.SigningMethodRS256, key, nil, nil),
		"another terminal's":      signed(jwt.SigningMethodEdDSA, other.key, nil, nil),
		"another type":            signed(jwt.SigningMethodEdDSA, g.key, map[string]any{"typ": "at+jwt"}, nil),
		"a key in its header":     signed(jwt.SigningMethodEdDSA, other.key, map[string]any{"jwk": map[string]any{"kty": "OKP"}}, nil),
		"another audience":        own(func(c *jwt.RegisteredClaims) { c.Audience = jwt.ClaimStrings{"tillbook"} }),
		"two audiences":           own(func(c *jwt.RegisteredClaims) { c.Audience = append(c.Audience, "other") }),
		"another subject":         own(func(c *jwt.RegisteredClaims) { c.Subject = other.terminal }),
		"nobody's":                own(func(c *jwt.RegisteredClaims) { c.Issuer, c.Subject = "trm_0", "trm_0" }),
		"no id":                   own(func(c *jwt.RegisteredClaims) { c.ID = "" }),
		"no expiry":               own(func(c *jwt.RegisteredClaims) { c.ExpiresAt = nil }),
		"no time":                 own(func(c *jwt.RegisteredClaims) { c.IssuedAt = nil }),
		"it lives too long":       own(func(c *jwt.RegisteredClaims) { c.ExpiresAt = jwt.NewNumericDate(c.IssuedAt.Add(6 * time.Minute)) }),
		"it ends before it is":    own(func(c *jwt.RegisteredClaims) { c.ExpiresAt = jwt.NewNumericDate(c.IssuedAt.Add(-time.Second)) }),
		"nothing of an assertion": "x.y.z",
	} {
		if err := tryAssertion(t, r, "Terminal "+assertion); reasonOf(err) != "ASSERTION_INVALID" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, header := range []string{"", "Terminal ", "Bearer " + g.sign(t, g.claims()), "Bearer " + s.owner.token} {
		if err := tryAssertion(t, r, header); reasonOf(err) != "UNAUTHENTICATED" {
			t.Errorf("header %.10q: %v", header, err)
		}
	}
	must(t, tryAssertion(t, r, "terminal "+g.sign(t, g.claims())))
}

func TestUsedAssertionsAreForgottenWhenTheyHaveExpired(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	r := w.replica(t, recheckOften)
	g := w.shop(t, r).gadget(t, r)
	must(t, tryAssertion(t, r, "Terminal "+g.sign(t, g.claims())))
	w.exec(t, "UPDATE terminal_assertions SET expire_time = now() - interval '1 second'")
	must(t, tryAssertion(t, r, "Terminal "+g.sign(t, g.claims())))
	eventually(t, "only the one that can't be used again is kept", func() bool {
		var n int
		must(t, w.owner.Pool.QueryRow(t.Context(), "SELECT count(*) FROM terminal_assertions").Scan(&n))
		return n == 1
	})
}
