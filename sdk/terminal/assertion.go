package terminal

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// assertionLife is how long an assertion is good for. It is used at once.
const assertionLife = time.Minute

// clock is the server's time as far as the device knows it.
type clock struct {
	mu     sync.Mutex
	offset time.Duration
}

// now returns the server's time.
func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

// learn takes down what the server says that time it is.
func (c *clock) learn(server time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset = time.Until(server)
}

// assertions sign each call anew. gRPC asks for one whenever it sends a call, also
// when it does so again by itself.
type assertions struct {
	keys     KeyStore
	clock    *clock
	insecure bool
}

// RequireTransportSecurity says that assertions don't go over plain text, unless that
// was asked for.
func (a *assertions) RequireTransportSecurity() bool { return !a.insecure }

// GetRequestMetadata returns the header with a fresh assertion.
func (a *assertions) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	text, err := a.sign()
	if err != nil {
		return nil, fmt.Errorf("sign an assertion: %w", err)
	}
	return map[string]string{"authorization": "Terminal " + text}, nil
}

var assertionHeader = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"EdDSA","typ":"terminal+jwt"}`))

func (a *assertions) sign() (string, error) {
	terminal, err := a.keys.Terminal()
	if err != nil {
		return "", err
	}
	now := a.clock.now().Unix()
	claims, err := json.Marshal(struct {
		Issuer    string `json:"iss"`
		Subject   string `json:"sub"`
		Audience  string `json:"aud"`
		IssuedAt  int64  `json:"iat"`
		ExpiresAt int64  `json:"exp"`
		ID        string `json:"jti"`
	}{terminal, terminal, "tillbook-terminal", now, now + int64(assertionLife/time.Second), rand.Text()})
	if err != nil {
		return "", err
	}
	signed := assertionHeader + "." + base64.RawURLEncoding.EncodeToString(claims)
	signature, err := a.keys.Sign([]byte(signed))
	if err != nil {
		return "", err
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}
