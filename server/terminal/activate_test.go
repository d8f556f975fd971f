package terminal_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/gen/tillbook/terminal/v1/terminalv1connect"
)

func TestACodeActivatesOneDevice(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	a, b := w.replica(t), w.replica(t)
	s := w.shop(t, a)
	made := s.create(t, a)
	if made.GetTerminal().GetState() != terminalv1.TerminalState_TERMINAL_STATE_NOT_ACTIVATED || len(made.GetActivationCode()) != 10 {
		t.Fatalf("got %v", made)
	}
	wantTenMinutes(t, made.GetActivationExpireTime())
	g, thief := newGadget(t), newGadget(t)
	typed := strings.ToLower(made.GetActivationCode()[:5] + " - " + made.GetActivationCode()[5:])
	res, err := g.activate(t, a, typed)
	must(t, err)
	if res.GetConfiguration().GetMerchantName() != "Kopi Senja" || res.GetConfiguration().GetHeartbeatIntervalSeconds() != 30 ||
		!strings.Contains(res.GetConfiguration().GetStoreQrText(), s.store) || res.GetTerminal().GetDevice().GetModel() != "P2" || res.GetServerTime() == nil {
		t.Errorf("got %v", res)
	}
	again, err := g.activate(t, b, made.GetActivationCode())
	must(t, err)
	if again.GetTerminal().GetActivateTime().AsTime() != res.GetTerminal().GetActivateTime().AsTime() {
		t.Errorf("activated twice: %v, %v", res, again)
	}
	_, err = thief.activate(t, b, made.GetActivationCode())
	wantReason(t, err, "ACTIVATION_CODE_INVALID")
	if got := s.terminal(t, b, g.terminal); got.GetState() != terminalv1.TerminalState_TERMINAL_STATE_OFFLINE {
		t.Errorf("got %v, want it offline", got)
	}
}

// wantTenMinutes checks until when a code that was just made can be used.
func wantTenMinutes(t testing.TB, expire *timestamppb.Timestamp) {
	t.Helper()
	if left := time.Until(expire.AsTime()); left < 9*time.Minute || left > 10*time.Minute {
		t.Errorf("a code is good for %s, want 10 minutes", left)
	}
}

func TestOfDevicesThatRaceForACodeOneWins(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	a, b := w.replica(t), w.replica(t)
	s := w.shop(t, a)
	code := s.create(t, a).GetActivationCode()
	won := make([]*gadget, 20)
	var all sync.WaitGroup
	for i := range won {
		all.Go(func() {
			g := newGadget(t)
			_, err := g.activate(t, []*replica{a, b}[i%2], code)
			if err == nil {
				won[i] = g
			} else if reasonOf(err) != "ACTIVATION_CODE_INVALID" {
				t.Errorf("device %d: %v", i, err)
			}
		})
	}
	all.Wait()
	winners := 0
	for _, g := range won {
		if g != nil {
			winners++
			g.session(t, b, 0, 0)
		}
	}
	if winners != 1 {
		t.Errorf("%d devices were activated", winners)
	}
}

func TestCodesThatDontCountAreRefused(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	r := w.replica(t)
	s := w.shop(t, r)
	made := s.create(t, r)
	g := newGadget(t)
	_, err := g.activate(t, r, "0000000000")
	wantReason(t, err, "ACTIVATION_CODE_INVALID")

	forged := g.request(made.GetActivationCode())
	forged.Signature = newGadget(t).request(made.GetActivationCode()).GetSignature()
	wantReason(t, r.conn.Invoke(t.Context(), terminalv1connect.TerminalServiceActivateProcedure, forged, &terminalv1.ActivateResponse{}), "PUBLIC_KEY_INVALID")

	// Of the neutral element as key, anybody can make the signature.
	weak := g.request(made.GetActivationCode())
	weak.PublicKey, weak.Signature = make([]byte, 32), make([]byte, 64)
	weak.PublicKey[0], weak.Signature[0] = 1, 1
	wantReason(t, r.conn.Invoke(t.Context(), terminalv1connect.TerminalServiceActivateProcedure, weak, &terminalv1.ActivateResponse{}), "PUBLIC_KEY_INVALID")

	w.exec(t, "UPDATE terminals SET activation_expire_time = now() - interval '1 second'")
	_, err = g.activate(t, r, made.GetActivationCode())
	wantReason(t, err, "ACTIVATION_CODE_INVALID")

	renewed := s.reissue(t, r, made.GetTerminal().GetTerminalId())
	_, err = g.activate(t, r, made.GetActivationCode())
	wantReason(t, err, "ACTIVATION_CODE_INVALID")
	_, err = g.activate(t, r, renewed)
	must(t, err)
	s.revoke(t, r, g.terminal)
	_, err = g.activate(t, r, renewed)
	wantReason(t, err, "ACTIVATION_CODE_INVALID")
}

func TestGuessingCodesIsSlow(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	a, b := w.replica(t), w.replica(t)
	g := newGadget(t)
	limited := 0
	for i := range 60 {
		_, err := g.activate(t, []*replica{a, b}[i%2], "0000000000")
		if reasonOf(err) == "RATE_LIMITED" {
			limited++
		}
	}
	if limited < 20 {
		t.Errorf("only %d of 60 tries were refused", limited)
	}
}

func TestAStolenCodeOfAnUsedTerminalDiesWithTheNextOne(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	a, b := w.replica(t), w.replica(t)
	s := w.shop(t, a)
	g := s.gadget(t, a)
	old := g.session(t, b, 0, 0)
	code := s.reissue(t, a, g.terminal)
	wantReason(t, old.end(), "ASSERTION_INVALID")
	wantReason(t, g.dial(t, a.conn, &terminalv1.SessionRequest_Hello{}).refused(), "ASSERTION_INVALID")
	next := newGadget(t)
	_, err := next.activate(t, b, code)
	must(t, err)
	next.session(t, a, 0, 0)
}

func TestARetryOfCreateTerminalGivesAFreshCodeUntilADeviceHasIt(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	r := w.replica(t)
	s := w.shop(t, r)
	req := &terminalv1.CreateTerminalRequest{IdempotencyKey: uuid.NewString(), MerchantId: s.merchant, StoreId: s.store, Name: "Bar"}
	create := func() (*terminalv1.CreateTerminalResponse, error) {
		res := &terminalv1.CreateTerminalResponse{}
		return res, r.conn.Invoke(s.owner.context(t.Context()), terminalv1connect.TerminalServiceCreateTerminalProcedure, req, res)
	}
	first, err := create()
	must(t, err)
	second, err := create()
	must(t, err)
	if first.GetTerminal().GetTerminalId() != second.GetTerminal().GetTerminalId() || first.GetActivationCode() == second.GetActivationCode() {
		t.Fatalf("got %v, %v", first, second)
	}
	g := newGadget(t)
	_, err = g.activate(t, r, first.GetActivationCode())
	wantReason(t, err, "ACTIVATION_CODE_INVALID")
	_, err = g.activate(t, r, second.GetActivationCode())
	must(t, err)
	third, err := create()
	must(t, err)
	if third.GetActivationCode() != "" {
		t.Error("a device that is active was given up by a retry")
	}
	req.Name = "Door"
	_, err = create()
	wantReason(t, err, "IDEMPOTENCY_KEY_REUSED")
}
