package auth_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/server/auth"
)

// work is what a call costs: if it is the same for known and unknown numbers, so
// is its time.
type work struct {
	statements, passwords, codes, challenges int64
}

func (w *world) workOf(t *testing.T, r *replica, call func()) work {
	t.Helper()
	r.settled(t)
	owner := w.owner(t)
	measure := func() work {
		stats := r.service.Stats()
		return work{r.statements.Load(), stats.PasswordsHashed, stats.CodesCompared,
			query[int64](t, owner, "SELECT count(*) FROM challenges")}
	}
	before := measure()
	call()
	after := measure()
	return work{after.statements - before.statements, after.passwords - before.passwords,
		after.codes - before.codes, after.challenges - before.challenges}
}

// shape writes which fields a message has, how long its texts are and how far
// its times are from now: all that tells one answer from another.
func shape(w *world, m proto.Message) string {
	var out string
	var walk func(prefix string, m protoreflect.Message)
	walk = func(prefix string, m protoreflect.Message) {
		if m.Descriptor().FullName() == "google.protobuf.Timestamp" {
			seconds := m.Get(m.Descriptor().Fields().ByName("seconds")).Int()
			out += fmt.Sprintf("%s: now%+ds\n", prefix, seconds-w.clock.Now().Unix())
			return
		}
		fields := m.Descriptor().Fields()
		for i := range fields.Len() {
			f := fields.Get(i)
			switch {
			case !m.Has(f):
			case f.Message() != nil:
				walk(prefix+"."+string(f.Name()), m.Get(f).Message())
			default:
				out += fmt.Sprintf("%s.%s: %d bytes\n", prefix, f.Name(), len(m.Get(f).String()))
			}
		}
	}
	walk("", m.ProtoReflect())
	return out
}

// TestKnownAndUnknownNumbersAreTreatedAlike compares what callers get and what
// it costs, rather than the time, which on a busy machine says little.
func TestKnownAndUnknownNumbersAreTreatedAlike(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	known := w.register(t, r, number(1), "ada")
	ctx := t.Context()

	register := func(phone string) func() (proto.Message, error) {
		return func() (proto.Message, error) {
			return r.Register(ctx, &authv1.RegisterRequest{PhoneNumber: phone, Username: "somebody", Password: goodPassword})
		}
	}
	login := func(phone, device string) func() (proto.Message, error) {
		return func() (proto.Message, error) {
			return r.Login(ctx, &authv1.LoginRequest{PhoneNumber: phone, Password: "Wrong-Horse-7-Battery", DeviceToken: device})
		}
	}
	reset := func(phone string) func() (proto.Message, error) {
		return func() (proto.Message, error) {
			return r.StartPasswordReset(ctx, &authv1.StartPasswordResetRequest{PhoneNumber: phone})
		}
	}
	registration := func(phone string) string {
		return ok[*authv1.RegisterResponse](t)(r.Register(ctx, &authv1.RegisterRequest{
			PhoneNumber: phone, Username: "somebody", Password: goodPassword,
		})).GetChallenge().GetChallengeId()
	}
	resetting := func(phone string) string {
		return ok[*authv1.StartPasswordResetResponse](t)(r.StartPasswordReset(ctx, &authv1.StartPasswordResetRequest{
			PhoneNumber: phone,
		})).GetChallenge().GetChallengeId()
	}
	resend := func(id string) func() (proto.Message, error) {
		return func() (proto.Message, error) {
			return r.ResendCode(ctx, &authv1.ResendCodeRequest{ChallengeId: id})
		}
	}
	guess := func(id string) func() (proto.Message, error) {
		return func() (proto.Message, error) {
			return r.VerifyPhone(ctx, &authv1.VerifyPhoneRequest{ChallengeId: id, Code: "000000"})
		}
	}
	guessReset := func(id string) func() (proto.Message, error) {
		return func() (proto.Message, error) {
			return r.CompletePasswordReset(ctx, &authv1.CompletePasswordResetRequest{
				ChallengeId: id, Code: "000000", NewPassword: "Another-Horse-8-Battery",
			})
		}
	}
	idKnown, idUnknown := registration(known.phone), registration(number(2))
	resetKnown, resetUnknown := resetting(known.phone), resetting(number(2))
	w.clock.Advance(time.Minute)

	tests := []struct {
		name           string
		known, unknown func() (proto.Message, error)
	}{
		{"Register", register(known.phone), register(number(2))},
		{"Login", login(known.phone, ""), login(number(2), "")},
		{"Login with a device", login(known.phone, "tbd_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
			login(number(2), "tbd_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")},
		{"StartPasswordReset", reset(known.phone), reset(number(2))},
		{"ResendCode of a registration", resend(idKnown), resend(idUnknown)},
		{"ResendCode of a reset", resend(resetKnown), resend(resetUnknown)},
		{"VerifyPhone", guess(idKnown), guess(idUnknown)},
		{"CompletePasswordReset", guessReset(resetKnown), guessReset(resetUnknown)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var answers [2]string
			var costs [2]work
			for i, call := range []func() (proto.Message, error){tt.known, tt.unknown} {
				costs[i] = w.workOf(t, r, func() {
					res, err := call()
					if err != nil {
						answers[i] = err.Error()
						return
					}
					answers[i] = shape(w, res)
				})
			}
			if answers[0] != answers[1] {
				t.Errorf("known: %s\nunknown: %s", answers[0], answers[1])
			}
			if costs[0] != costs[1] {
				t.Errorf("the work for a known number is %+v, for an unknown one %+v", costs[0], costs[1])
			}
			if costs[0].statements == 0 {
				t.Error("no work was counted")
			}
		})
	}
}

func TestNobodyIsTextedForAResetWithoutAnAccount(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	id := ok[*authv1.StartPasswordResetResponse](t)(r.StartPasswordReset(t.Context(), &authv1.StartPasswordResetRequest{
		PhoneNumber: number(1),
	})).GetChallenge().GetChallengeId()
	w.clock.Advance(time.Minute)
	ok[*authv1.ResendCodeResponse](t)(r.ResendCode(t.Context(), &authv1.ResendCodeRequest{ChallengeId: id}))
	r.settled(t)
	if n := w.phones.count(number(1)); n != 0 {
		t.Errorf("%d messages were sent", n)
	}
	for i := range 6 {
		_, err := r.CompletePasswordReset(t.Context(), &authv1.CompletePasswordResetRequest{
			ChallengeId: id, Code: "123456", NewPassword: "Another-Horse-8-Battery",
		})
		if want := "CODE_INVALID"; i < 4 {
			wants(t, err, want)
		} else {
			wants(t, err, "TOO_MANY_ATTEMPTS")
		}
	}
}

// A number that can't be reached must not hold up its call, nor be told by it.
func TestASlowGatewayHoldsUpNoCall(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) { c.DrainTimeout = 50 * time.Millisecond })
	r := w.replicaWith(t, gatewayFunc(func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}))
	for i := range 20 {
		ok[*authv1.RegisterResponse](t)(r.Register(t.Context(), &authv1.RegisterRequest{
			PhoneNumber: number(i), Username: fmt.Sprintf("user%d", i), Password: goodPassword,
		}))
	}
}
