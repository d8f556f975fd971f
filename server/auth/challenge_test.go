package auth_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
)

// startRegistration returns a challenge and its code.
func (w *world) startRegistration(t *testing.T, r *replica, phone, username string) (challengeID, code string) {
	t.Helper()
	res := ok[*authv1.RegisterResponse](t)(r.Register(t.Context(), &authv1.RegisterRequest{
		PhoneNumber: phone, Username: username, Password: goodPassword,
	}))
	return res.GetChallenge().GetChallengeId(), w.phones.code(t, phone)
}

func verify(t *testing.T, r *replica, challengeID, code string) error {
	t.Helper()
	_, err := r.VerifyPhone(t.Context(), &authv1.VerifyPhoneRequest{ChallengeId: challengeID, Code: code})
	return err
}

func TestTheFifthTryIsTheLast(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	challenge, code := w.startRegistration(t, r, number(1), "ada")
	for range 4 {
		wants(t, verify(t, r, challenge, otherCode(code)), "CODE_INVALID")
	}
	wants(t, verify(t, r, challenge, code), "")

	challenge, code = w.startRegistration(t, r, number(2), "bob")
	for range 4 {
		wants(t, verify(t, r, challenge, otherCode(code)), "CODE_INVALID")
	}
	wants(t, verify(t, r, challenge, otherCode(code)), "TOO_MANY_ATTEMPTS")
	wants(t, verify(t, r, challenge, code), "TOO_MANY_ATTEMPTS")
}

func TestACodeWorksOnceAndForTenMinutes(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	challenge, code := w.startRegistration(t, r, number(1), "ada")
	wants(t, verify(t, r, challenge, code), "")
	wants(t, verify(t, r, challenge, code), "CODE_EXPIRED")

	challenge, code = w.startRegistration(t, r, number(2), "bob")
	w.clock.Advance(10*time.Minute - time.Second)
	wants(t, verify(t, r, challenge, otherCode(code)), "CODE_INVALID")
	w.clock.Advance(time.Second)
	wants(t, verify(t, r, challenge, code), "CODE_EXPIRED")
	wants(t, verify(t, r, "chl_00000000000000000000000000", code), "CODE_EXPIRED")
	wants(t, verify(t, r, "usr_00000000000000000000000000", code), "INVALID_ARGUMENT")
	wants(t, verify(t, r, challenge, "12345"), "INVALID_ARGUMENT")
}

func TestARightCodeThatIsSentFourTimesAtOnceWorksOnce(t *testing.T) {
	w := newWorld(t)
	replicas := []*replica{w.replica(t), w.replica(t)}
	ada := w.register(t, replicas[0], number(1), "ada")
	for range 5 {
		res := ok[*authv1.LoginResponse](t)(tryLogin(t, replicas[0], ada.phone, goodPassword, ""))
		login, code := res.GetChallenge().GetChallengeId(), w.phones.code(t, ada.phone)
		count(t, 4, map[string]int{"": 1, "CODE_EXPIRED": 3}, func(i int) error {
			_, err := replicas[i%2].VerifyLogin(t.Context(), &authv1.VerifyLoginRequest{ChallengeId: login, Code: code})
			return err
		})
	}
}

func TestACodeCountsForItsPurposeOnly(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	ada := w.register(t, r, number(1), "ada")
	res := ok[*authv1.LoginResponse](t)(r.Login(t.Context(), &authv1.LoginRequest{PhoneNumber: ada.phone, Password: goodPassword}))
	login, code := res.GetChallenge().GetChallengeId(), w.phones.code(t, ada.phone)

	wants(t, verify(t, r, login, code), "CODE_EXPIRED")
	_, err := r.CompletePasswordReset(t.Context(), &authv1.CompletePasswordResetRequest{
		ChallengeId: login, Code: code, NewPassword: "Another-Horse-8-Battery",
	})
	wants(t, err, "CODE_EXPIRED")
	// Neither counted as a try.
	for range 4 {
		_, err := r.VerifyLogin(t.Context(), &authv1.VerifyLoginRequest{ChallengeId: login, Code: otherCode(code)})
		wants(t, err, "CODE_INVALID")
	}
	_, err = r.VerifyLogin(t.Context(), &authv1.VerifyLoginRequest{ChallengeId: login, Code: code})
	wants(t, err, "")
}

func TestANewCodeReplacesTheOldOneAndKeepsTheTries(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	challenge, old := w.startRegistration(t, r, number(1), "ada")
	wants(t, verify(t, r, challenge, otherCode(old)), "CODE_INVALID")

	w.clock.Advance(59 * time.Second)
	_, err := r.ResendCode(t.Context(), &authv1.ResendCodeRequest{ChallengeId: challenge})
	wants(t, err, "RATE_LIMITED")
	if got := detail[*errdetails.RetryInfo](err).GetRetryDelay().AsDuration(); got != time.Second {
		t.Errorf("retry after %v, want 1s", got)
	}
	w.clock.Advance(time.Second)
	res := ok[*authv1.ResendCodeResponse](t)(r.ResendCode(t.Context(), &authv1.ResendCodeRequest{ChallengeId: challenge}))
	if got := res.GetChallenge().GetExpireTime().AsTime().Sub(w.clock.Now()); got != 10*time.Minute {
		t.Errorf("the new code expires after %v", got)
	}
	for w.phones.code(t, number(1)) == old { // once in a million times
		w.clock.Advance(time.Minute)
		ok[*authv1.ResendCodeResponse](t)(r.ResendCode(t.Context(), &authv1.ResendCodeRequest{ChallengeId: challenge}))
	}
	wants(t, verify(t, r, challenge, old), "CODE_INVALID")
	wants(t, verify(t, r, challenge, old), "CODE_INVALID")
	wants(t, verify(t, r, challenge, old), "CODE_INVALID")
	wants(t, verify(t, r, challenge, old), "TOO_MANY_ATTEMPTS")
	w.clock.Advance(time.Minute)
	_, err = r.ResendCode(t.Context(), &authv1.ResendCodeRequest{ChallengeId: challenge})
	wants(t, err, "TOO_MANY_ATTEMPTS")
}

func TestAChallengeSendsFiveCodesAtTheMost(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	challenge, _ := w.startRegistration(t, r, number(1), "ada")
	var code string
	for range 4 {
		w.clock.Advance(time.Minute)
		ok[*authv1.ResendCodeResponse](t)(r.ResendCode(t.Context(), &authv1.ResendCodeRequest{ChallengeId: challenge}))
		code = w.phones.code(t, number(1))
	}
	w.clock.Advance(time.Minute)
	_, err := r.ResendCode(t.Context(), &authv1.ResendCodeRequest{ChallengeId: challenge})
	wants(t, err, "RATE_LIMITED")
	wants(t, verify(t, r, challenge, code), "")
	_, err = r.ResendCode(t.Context(), &authv1.ResendCodeRequest{ChallengeId: challenge})
	wants(t, err, "CODE_EXPIRED")
	_, err = r.ResendCode(t.Context(), &authv1.ResendCodeRequest{ChallengeId: "chl_00000000000000000000000000"})
	wants(t, err, "CODE_EXPIRED")
}

func TestResendsThatRaceSendOneCode(t *testing.T) {
	w := newWorld(t)
	replicas := []*replica{w.replica(t), w.replica(t)}
	challenge, _ := w.startRegistration(t, replicas[0], number(1), "ada")
	w.clock.Advance(time.Minute)
	count(t, 20, map[string]int{"": 1, "RATE_LIMITED": 19}, func(i int) error {
		_, err := replicas[i%2].ResendCode(t.Context(), &authv1.ResendCodeRequest{ChallengeId: challenge})
		return err
	})
	wants(t, verify(t, replicas[0], challenge, w.phones.code(t, number(1))), "")
	replicas[0].settled(t)
	replicas[1].settled(t)
	if n := w.phones.count(number(1)); n != 0 {
		t.Errorf("%d codes too many were sent", n)
	}
}

// Whoever guesses asks all replicas at once. Five guesses are looked at.
func TestOfManyParallelGuessesFiveAreEvaluated(t *testing.T) {
	w := newWorld(t)
	replicas := []*replica{w.replica(t), w.replica(t), w.replica(t)}
	challenge, code := w.startRegistration(t, replicas[0], number(1), "ada")

	const guesses = 10_000
	var next, invalid, tooMany, other atomic.Int64
	var wg sync.WaitGroup
	for worker := range 96 {
		wg.Go(func() {
			for next.Add(1) <= guesses {
				switch reason(verify(t, replicas[worker%3], challenge, otherCode(code))) {
				case "CODE_INVALID":
					invalid.Add(1)
				case "TOO_MANY_ATTEMPTS":
					tooMany.Add(1)
				default:
					other.Add(1)
				}
			}
		})
	}
	wg.Wait()
	var compared int64
	for _, r := range replicas {
		compared += r.service.Stats().CodesCompared
	}
	if compared != 5 || invalid.Load() != 4 || tooMany.Load() != guesses-4 || other.Load() != 0 {
		t.Fatalf("%d codes compared, %d invalid, %d too many, %d others; want 5, 4, %d, 0",
			compared, invalid.Load(), tooMany.Load(), other.Load(), guesses-4)
	}
	if tries := query[int](t, w.owner(t), "SELECT tries FROM challenges"); tries != 5 {
		t.Errorf("the challenge counts %d tries", tries)
	}
	wants(t, verify(t, replicas[1], challenge, code), "TOO_MANY_ATTEMPTS")
}
