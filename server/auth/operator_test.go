package auth_test

import (
	"testing"
	"time"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

func TestAnOperatorIsKnownByItsKeyUntilItIsRevoked(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	owner := storetest.Open(t, store.Config{URL: w.url, Role: store.NoRole})
	operator, key, err := owner.CreateOperator(t.Context(), "ops")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		p, err := r.service.Authenticate(t.Context(), key)
		if err != nil || p.Kind != rpc.KindOperator || p.Operator != operator.ID {
			t.Fatalf("Authenticate = %+v, %v", p, err)
		}
	}
	before := r.statements.Load()
	if _, err := r.service.Authenticate(t.Context(), key); err != nil || r.statements.Load() != before {
		t.Errorf("a key that is known was looked up again: %v", err)
	}
	for _, wrong := range []string{"tbk_", key + "a", key[:len(key)-1], "tbk_00000000000000000000000000000000"} {
		_, err := r.service.Authenticate(t.Context(), wrong)
		if got := rpc.ReasonOf(err).String(); got != "ERROR_REASON_UNAUTHENTICATED" {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	_, err = r.GetMe(as(t.Context(), key), &authv1.GetMeRequest{})
	wants(t, err, "PERMISSION_DENIED")

	if err := owner.RevokeOperator(t.Context(), "ops"); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(10 * time.Second)
	_, err = r.service.Authenticate(t.Context(), key)
	if got := rpc.ReasonOf(err).String(); got != "ERROR_REASON_UNAUTHENTICATED" {
		t.Errorf("ten seconds after it was revoked the key leads to %v", err)
	}
}
