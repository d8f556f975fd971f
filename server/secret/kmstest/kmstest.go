// Package kmstest is a key management service for tests: an HTTP server that speaks
// as the transit engine of Vault does, as far as secrets need it. It can be told to
// fail.
package kmstest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Token is the only one that it takes.
const Token = "kmstest-token"

// Service is a running service with one key.
type Service struct {
	server *httptest.Server
	key    tink.AEAD
	down   atomic.Bool
	calls  atomic.Int64
}

// Start runs a service until the test ends, and sets the environment so that clients
// find their way to it. The test must not be parallel.
func Start(t *testing.T) *Service {
	t.Helper()
	key, err := subtle.NewAESGCM([]byte("a key that never leaves the test"))
	if err != nil {
		t.Fatal(err)
	}
	s := &Service{key: key}
	s.server = httptest.NewServer(s)
	t.Cleanup(s.server.Close)
	t.Setenv("VAULT_ADDR", s.server.URL)
	t.Setenv("VAULT_TOKEN", Token)
	return s
}

// URI names the service's key.
func (s *Service) URI() string {
	return "hcvault://" + strings.TrimPrefix(s.server.URL, "http://") + "/transit/keys/tillbook"
}

// Fail lets every call fail from now on, or none.
func (s *Service) Fail(down bool) { s.down.Store(down) }

// Calls is how often it was asked.
func (s *Service) Calls() int64 { return s.calls.Load() }

// ServeHTTP answers PUT /v1/transit/encrypt/tillbook and …/decrypt/tillbook.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.calls.Add(1)
	switch {
	case s.down.Load():
		fail(w, http.StatusServiceUnavailable, "Vault is sealed")
		return
	case r.Header.Get("X-Vault-Token") != Token:
		fail(w, http.StatusForbidden, "permission denied")
		return
	case r.Method != http.MethodPut && r.Method != http.MethodPost:
		fail(w, http.StatusMethodNotAllowed, "unsupported operation")
		return
	}
	var in struct {
		Plaintext  string `json:"plaintext"`
		Ciphertext string `json:"ciphertext"`
		Associated string `json:"associated_data"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		fail(w, http.StatusBadRequest, "failed to parse JSON input")
		return
	}
	associated, _ := base64.StdEncoding.DecodeString(in.Associated)
	switch r.URL.Path {
	case "/v1/transit/encrypt/tillbook":
		plaintext, err := base64.StdEncoding.DecodeString(in.Plaintext)
		if err != nil {
			fail(w, http.StatusBadRequest, "failed to base64-decode plaintext")
			return
		}
		sealed, err := s.key.Encrypt(plaintext, associated)
		answer(w, err, "ciphertext", "vault:v1:"+base64.StdEncoding.EncodeToString(sealed))
	case "/v1/transit/decrypt/tillbook":
		sealed, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(in.Ciphertext, "vault:v1:"))
		if err == nil {
			sealed, err = s.key.Decrypt(sealed, associated)
		}
		answer(w, err, "plaintext", base64.StdEncoding.EncodeToString(sealed))
	default:
		fail(w, http.StatusNotFound, "no handler for route")
	}
}

func answer(w http.ResponseWriter, err error, name, value string) {
	if err != nil {
		fail(w, http.StatusBadRequest, "cipher: message authentication failed")
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]string{name: value}})
}

func fail(w http.ResponseWriter, status int, text string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string][]string{"errors": {text}})
}
