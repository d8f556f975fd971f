package auth_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/server/auth"
	roll "github.com/tillbook/tillbook/server/replica"
	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

func TestARotationPublishesTheNextKeyOnAllReplicasAndRetiringEndsItsTokens(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) { c.MaintainInterval = 10 * time.Millisecond })
	w.clock.Advance(time.Since(w.clock.Now()))
	here, there := w.replica(t), w.replica(t)
	owner := storetest.Open(t, store.Config{URL: w.url, Role: store.NoRole, MaxConns: 2})
	keys, err := secret.Parse(w.secret)
	if err != nil {
		t.Fatal(err)
	}
	ada := w.register(t, here, number(1), "ada")
	challenge, code := w.startRegistration(t, here, number(2), "ben")
	old := keyID(t, ada.session)

	if _, err := auth.Rotate(t.Context(), owner, keys, time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := auth.Rotate(t.Context(), owner, keys, time.Minute); !errors.Is(err, auth.ErrKeyWaits) {
		t.Errorf("rotating again: %v", err)
	}
	for _, r := range []*replica{here, there} {
		eventually(t, "both keys to be published", func() bool { return strings.Count(published(t, r), `"kid"`) == 2 })
	}
	if err := auth.RetireKey(t.Context(), owner, old); !errors.Is(err, auth.ErrKeyNeeded) {
		t.Errorf("retiring the key that signs: %v", err)
	}
	w.clock.Advance(2 * time.Minute)
	wants(t, verify(t, there, challenge, code), "")
	ben := ok[*authv1.Session](t)(refresh(t, there, ada.session.GetRefreshToken()))
	if keyID(t, ben) == old {
		t.Fatal("the old key still signs")
	}
	for _, r := range []*replica{here, there} {
		wants(t, me(t, r, ben), "")
		wants(t, me(t, r, ada.session), "")
	}

	// The command's clock is the machine's.
	if _, err := owner.Pool.Exec(t.Context(), "UPDATE server_keys SET use_time = use_time - interval '10 minutes'"); err != nil {
		t.Fatal(err)
	}
	if err := auth.RetireKey(t.Context(), owner, old); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*replica{here, there} {
		eventually(t, "the old key to go", func() bool { return !strings.Contains(published(t, r), old) })
		wants(t, me(t, r, ada.session), "UNAUTHENTICATED")
		wants(t, me(t, r, ben), "")
	}
	if err := auth.RetireKey(t.Context(), owner, old); !errors.Is(err, auth.ErrKeyUnknown) {
		t.Errorf("retiring it again: %v", err)
	}
	if n := query[int](t, w.owner(t), "SELECT count(*) FROM audit_records WHERE action IN ('key.made', 'key.retired')"); n != 5 {
		t.Errorf("%d records of four keys made and one retired", n)
	}
	states, err := auth.Keys(t.Context(), owner)
	if err != nil || len(states) != 3 || slices.ContainsFunc(states, func(k auth.KeyState) bool { return k.ID == old }) {
		t.Errorf("the list is %+v, %v", states, err)
	}
}

// Somebody who was away while the key that seals was replaced, and retired, would make a
// key that no replica can open: then none of them starts any more.
func TestNoKeyIsSealedWithAnotherThanTheOneInUse(t *testing.T) {
	w := newWorld(t)
	w.replica(t)
	owner := storetest.Open(t, store.Config{URL: w.url, Role: store.NoRole, MaxConns: 2})
	parse := func(text string) *secret.Keys {
		keys, err := secret.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	newer := secret.Generate()
	fresh := parse(newer)
	if err := owner.Queries().UseSecretKey(t.Context(), fresh.InUse()); err != nil {
		t.Fatal(err)
	}
	if _, err := auth.Rotate(t.Context(), owner, parse(w.secret), time.Minute); !errors.Is(err, roll.ErrLacksKey) {
		t.Errorf("without the key in use: %v", err)
	}
	// Who has it, but hasn't heard that it is in use, uses it.
	if _, err := auth.Rotate(t.Context(), owner, parse(w.secret+" "+newer), time.Minute); err != nil {
		t.Fatal(err)
	}
	rows, err := owner.Queries().ListServerKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	opened := 0
	for _, row := range rows {
		if _, err := fresh.Open(secret.Row{Table: "server_keys", Column: "sealed_key", ID: row.ID}, row.SealedKey); err == nil {
			opened++
		}
	}
	if len(rows) != 4 || opened != 2 {
		t.Errorf("the key in use seals %d of %d keys, two of which are new", opened, len(rows))
	}
}
