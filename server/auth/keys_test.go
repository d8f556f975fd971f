package auth_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/server/auth"
	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

func keyID(t *testing.T, s *authv1.Session) string {
	t.Helper()
	header, _ := parts(t, s.GetAccessToken())
	return header["kid"].(string)
}

func published(t *testing.T, r *replica) string {
	t.Helper()
	rec := httptest.NewRecorder()
	r.service.JWKS().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/.well-known/jwks.json", nil))
	if !json.Valid(rec.Body.Bytes()) {
		t.Fatalf("the key set is %q", rec.Body.String())
	}
	return rec.Body.String()
}

func TestReplicasThatStartTogetherMakeOneKeyOfEachKind(t *testing.T) {
	w := newWorld(t)
	replicas := make([]*replica, 6)
	var wg sync.WaitGroup
	for i := range replicas {
		wg.Go(func() { replicas[i] = w.replica(t) })
	}
	wg.Wait()
	if n := query[int](t, w.owner(t), "SELECT count(*) FROM server_keys"); n != 2 {
		t.Fatalf("%d keys exist, want one to sign and one to hash", n)
	}
	ada := w.register(t, replicas[0], number(1), "ada")
	for _, r := range replicas {
		wants(t, me(t, r, ada.session), "")
	}
}

func TestAKeyIsPublishedBeforeItSignsAndKeptUntilItsTokensHaveExpired(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) { c.MaintainInterval = 20 * time.Millisecond })
	here, there := w.replica(t), w.replica(t)
	ada := w.register(t, here, number(1), "ada")
	old := keyID(t, ada.session)
	deviceLogin := func(r *replica) *authv1.Session {
		t.Helper()
		return ok[*authv1.LoginResponse](t)(tryLogin(t, r, ada.phone, goodPassword, ada.session.GetDeviceToken())).GetSession()
	}

	w.clock.Advance(30*24*time.Hour - time.Hour) // an hour before the change
	for _, r := range []*replica{here, there} {
		eventually(t, "the next key to be published", func() bool { return strings.Count(published(t, r), `"kid"`) == 2 })
	}
	last := deviceLogin(here)
	if keyID(t, last) != old {
		t.Error("the next key signs too early")
	}
	w.clock.Advance(time.Hour)
	first := deviceLogin(there)
	if keyID(t, first) == old {
		t.Error("the old key still signs")
	}
	w.clock.Advance(time.Second)
	first = deviceLogin(there)
	wants(t, me(t, here, first), "")
	w.clock.Advance(14 * time.Minute)
	last = first
	wants(t, me(t, here, last), "")
	if !strings.Contains(published(t, here), old) {
		t.Error("the old key went before its tokens")
	}
	w.clock.Advance(time.Hour)
	eventually(t, "the old key to go", func() bool { return !strings.Contains(published(t, here), old) })
	eventually(t, "the keys that hash to change too", func() bool {
		return query[int](t, w.owner(t), "SELECT count(*) FROM server_keys") == 2
	})
}

// A replica may get a token that was signed with a key made after it last looked.
func TestAKeyThatIsNotKnownYetIsLookedUp(t *testing.T) {
	w := newWorld(t)
	there := w.replica(t)
	owner := w.owner(t)
	if _, err := owner.Exec(t.Context(), "DELETE FROM server_keys WHERE kind = 'sign'"); err != nil {
		t.Fatal(err)
	}
	here := w.replica(t) // makes another
	ada := w.register(t, here, number(1), "ada")
	wants(t, me(t, there, ada.session), "")
}

func TestACodeOutlivesTheChangeOfTheKeyThatHashedIt(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) { c.MaintainInterval = 20 * time.Millisecond })
	r := w.replica(t)
	w.clock.Advance(30*24*time.Hour - time.Minute)
	eventually(t, "the next keys", func() bool { return strings.Count(published(t, r), `"kid"`) == 2 })
	w.clock.Advance(time.Hour - 2*time.Second) // the lead began a minute ago
	challenge, code := w.startRegistration(t, r, number(1), "ada")
	w.clock.Advance(5 * time.Minute)
	wants(t, verify(t, r, challenge, code), "")
}

func TestKeysOpenWithTheConfiguredSecretOnly(t *testing.T) {
	w := newWorld(t)
	w.replica(t)
	s := storetest.Open(t, store.Config{URL: w.url})
	deps := w.deps(t, s)
	other, err := secret.Parse(secret.Generate())
	if err != nil {
		t.Fatal(err)
	}
	deps.Secret = other
	if _, err := auth.New(deps); err == nil || !strings.Contains(err.Error(), "the configured key doesn't open it") {
		t.Errorf("with another secret: %v", err)
	}
}

func TestTamperedKeysAreNotUsed(t *testing.T) {
	tests := map[string]string{
		"ciphertexts swapped": `UPDATE server_keys a SET sealed_key = b.sealed_key FROM server_keys b WHERE a.id <> b.id`,
		"another public key":  `UPDATE server_keys SET public_key = decode(repeat('ab', 32), 'hex') WHERE kind = 'sign'`,
		"a sealed key cut":    `UPDATE server_keys SET sealed_key = substr(sealed_key, 1, 40)`,
	}
	for name, tamper := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.replica(t)
			if _, err := w.owner(t).Exec(t.Context(), tamper); err != nil {
				t.Fatal(err)
			}
			if _, err := auth.New(w.deps(t, storetest.Open(t, store.Config{URL: w.url}))); err == nil {
				t.Error("the service started")
			}
		})
	}
}

// TestADumpOfTheDatabaseHoldsNoSecret looks for everything secret that the
// service handed out in everything that the database holds.
func TestADumpOfTheDatabaseHoldsNoSecret(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	ada := w.register(t, r, number(1), "ada")
	next := ok[*authv1.Session](t)(refresh(t, r, ada.session.GetRefreshToken()))
	var codes []string
	for i := range 3 {
		_, code := w.startRegistration(t, r, number(2+i), fmt.Sprint("bob", i))
		codes = append(codes, code)
	}
	seed := w.serverKey(t).Seed()

	dump := w.dump(t)
	for what, text := range map[string]string{
		"password": goodPassword, "access token": next.GetAccessToken(),
		"refresh token": next.GetRefreshToken()[4:], "old refresh token": ada.session.GetRefreshToken()[4:],
		"device token": ada.session.GetDeviceToken()[4:],
	} {
		if bytes.Contains(dump, []byte(text)) {
			t.Errorf("the database holds a %s", what)
		}
	}
	// Six digits are in there now and then, by chance. All codes aren't.
	if !slices.ContainsFunc(codes, func(code string) bool { return !bytes.Contains(dump, []byte(code)) }) {
		t.Error("the database holds the codes")
	}
	if bytes.Contains(dump, seed) || bytes.Contains(dump, hexOf(seed)) {
		t.Error("the database holds an open signing key")
	}
	if !bytes.Contains(dump, []byte(number(1))) {
		t.Error("the dump holds nothing at all")
	}
}
