package hostile

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/gen/tillbook/terminal/v1/terminalv1connect"
)

// device is a terminal's, with a key of its own.
type device struct {
	terminal string
	key      ed25519.PrivateKey
}

// activateRequest proves that the device has its key.
func activateRequest(key ed25519.PrivateKey, code string) *terminalv1.ActivateRequest {
	public := key.Public().(ed25519.PublicKey)
	return &terminalv1.ActivateRequest{
		ActivationCode: code, PublicKey: public,
		Signature: ed25519.Sign(key, fmt.Appendf(nil, "tillbook-terminal-activation\n%s\n%s", code, public)),
	}
}

// assertion signs a fresh one.
func (d *device) assertion(t testing.TB) string {
	t.Helper()
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.RegisteredClaims{
		Issuer: d.terminal, Subject: d.terminal, Audience: jwt.ClaimStrings{"tillbook-terminal"}, ID: uuid.NewString(),
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(time.Minute)),
	})
	token.Header["typ"] = "terminal+jwt"
	text, err := token.SignedString(d.key)
	must(t, err)
	return "Terminal " + text
}

// device makes a merchant of somebody's, with a store, a terminal and its device.
func (c *cluster) device(t testing.TB, owner caller) *device {
	t.Helper()
	ctx, r := t.Context(), c.replicas[0]
	ok := func(got string) {
		t.Helper()
		if got != "" {
			t.Fatal(got)
		}
	}
	merchant, store, made := &merchantv1.CreateMerchantResponse{}, &merchantv1.CreateStoreResponse{}, &terminalv1.CreateTerminalResponse{}
	ok(call(ctx, t, c.client, r, owner, merchantv1connect.MerchantServiceCreateMerchantProcedure, &merchantv1.CreateMerchantRequest{
		IdempotencyKey: "m", Name: "Kopi", Country: "ID", City: "Bandung", TimeZone: "Asia/Jakarta"}, merchant))
	id := merchant.GetMerchant().GetMerchantId()
	ok(call(ctx, t, c.client, r, owner, merchantv1connect.MerchantServiceCreateStoreProcedure, &merchantv1.CreateStoreRequest{
		IdempotencyKey: "s", MerchantId: id, Name: "Braga", City: "Bandung"}, store))
	ok(call(ctx, t, c.client, r, owner, terminalv1connect.TerminalServiceCreateTerminalProcedure, &terminalv1.CreateTerminalRequest{
		IdempotencyKey: "t", MerchantId: id, StoreId: store.GetStore().GetStoreId(), Name: "Counter"}, made))
	_, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	ok(call(ctx, t, c.client, r, caller{}, terminalv1connect.TerminalServiceActivateProcedure, activateRequest(key, made.GetActivationCode()), &terminalv1.ActivateResponse{}))
	return &device{made.GetTerminal().GetTerminalId(), key}
}

// Whoever copied an assertion off the wire uses it at the other replicas while the
// device uses it at its own: one of them all is served.
func TestAnAssertionIsGoodOnceOnAllReplicas(t *testing.T) {
	if !*full { // whose figures are of this attack alone
		t.Parallel()
	}
	c := newCluster(t)
	d := c.device(t, caller{credentials: "Bearer " + c.register(t, 1).GetAccessToken()})
	use := func(ctx context.Context, r *replica, assertion string) string {
		return call(ctx, t, c.client, r, caller{credentials: assertion}, terminalv1connect.TerminalServiceGetCheckoutProcedure,
			&terminalv1.GetCheckoutRequest{CheckoutId: "chk_00000000000000000000000000"}, &terminalv1.GetCheckoutResponse{})
	}
	rounds, at := size(5, 100), 24
	var ends tally
	c.withstands(t, "replayed assertions", func() string {
		for range rounds {
			stolen := d.assertion(t)
			var served atomic.Int64
			parallel(at, at, func(i int) {
				got := use(t.Context(), c.replicas[i%3], stolen)
				ends.add(got)
				if got == "NOT_FOUND" { // it was let in, and there is no such checkout
					served.Add(1)
				} else if got != "ASSERTION_REPLAYED" {
					t.Errorf("a replay is answered with %q", got)
				}
			})
			if n := served.Load(); n != 1 {
				t.Errorf("an assertion was good %d times", n)
			}
			for _, r := range c.replicas {
				if got := use(t.Context(), r, stolen); got != "ASSERTION_REPLAYED" {
					t.Errorf("later, it is answered with %q", got)
				}
			}
		}
		return fmt.Sprintf("%d assertions, each used %d times at once and 3 times later over 3 replicas: %s", rounds, at, &ends)
	})
}
