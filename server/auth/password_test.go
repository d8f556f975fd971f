package auth_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/server/auth"
)

const newPassword = "Another-Horse-8-Battery"

func TestAChangedPasswordEndsAllOtherSessions(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	ada := w.register(t, r, number(1), "ada")
	other := w.login(t, r, ada)
	bob := w.register(t, r, number(2), "bob")
	mine := as(t.Context(), ada.session.GetAccessToken())

	w.clock.Advance(time.Second)
	ok[*authv1.ChangePasswordResponse](t)(r.ChangePassword(mine, &authv1.ChangePasswordRequest{
		CurrentPassword: goodPassword, NewPassword: newPassword,
	}))
	wants(t, me(t, r, ada.session), "")
	wants(t, me(t, r, other), "SESSION_REVOKED")
	wants(t, me(t, r, bob.session), "")
	_, err := tryLogin(t, r, ada.phone, goodPassword, ada.session.GetDeviceToken())
	wants(t, err, "CREDENTIALS_INVALID")
	ok[*authv1.LoginResponse](t)(tryLogin(t, r, ada.phone, newPassword, ada.session.GetDeviceToken()))
	if text := w.phones.next(t, ada.phone); !strings.Contains(text, "was changed") {
		t.Errorf("the owner was told %q", text)
	}
}

func TestAPasswordChangeThatBreaksARuleIsRefused(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	ada := w.register(t, r, number(1), "grace.hopper")
	tests := map[string]struct{ current, next, want string }{
		"a wrong password":  {"Wrong-Horse-7-Battery", newPassword, "CREDENTIALS_INVALID"},
		"a common password": {goodPassword, "iloveyou1", "PASSWORD_TOO_COMMON"},
		"the number":        {goodPassword, ada.phone, "PASSWORD_TOO_COMMON"},
		"the name":          {goodPassword, "grace.hopper", "PASSWORD_TOO_COMMON"},
		"a short password":  {goodPassword, "short", "INVALID_ARGUMENT"},
		"no password":       {"", newPassword, "INVALID_ARGUMENT"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := r.ChangePassword(as(t.Context(), ada.session.GetAccessToken()), &authv1.ChangePasswordRequest{
				CurrentPassword: tt.current, NewPassword: tt.next,
			})
			wants(t, err, tt.want)
		})
	}
	ok[*authv1.LoginResponse](t)(tryLogin(t, r, ada.phone, goodPassword, ""))
}

func TestOfPasswordChangesThatRaceOneWins(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	ada := w.register(t, r, number(1), "ada")
	w.clock.Advance(time.Second)
	count(t, 6, map[string]int{"": 1, "CREDENTIALS_INVALID": 5}, func(i int) error {
		_, err := r.ChangePassword(as(t.Context(), ada.session.GetAccessToken()), &authv1.ChangePasswordRequest{
			CurrentPassword: goodPassword, NewPassword: newPassword + string(rune('a'+i)),
		})
		return err
	})
}

func TestAPasswordThatWasChangedInBetweenIsNotTheCurrentOne(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	ada := w.register(t, r, number(1), "ada")
	owner := w.owner(t)
	r.before("LockUser", func() {
		if _, err := owner.Exec(t.Context(), "UPDATE users SET password_time = password_time + interval '1 second'"); err != nil {
			t.Error(err)
		}
	})
	_, err := r.ChangePassword(as(t.Context(), ada.session.GetAccessToken()), &authv1.ChangePasswordRequest{
		CurrentPassword: goodPassword, NewPassword: newPassword,
	})
	wants(t, err, "CREDENTIALS_INVALID")
}

func TestAResetPasswordEndsEverything(t *testing.T) {
	w := newWorld(t)
	here, there := w.replica(t), w.replica(t)
	ada := w.register(t, here, number(1), "ada")
	other := w.login(t, here, ada)
	wants(t, me(t, there, other), "")
	login := ok[*authv1.LoginResponse](t)(tryLogin(t, here, ada.phone, goodPassword, ""))
	loginCode := w.phones.code(t, ada.phone)

	start := ok[*authv1.StartPasswordResetResponse](t)(here.StartPasswordReset(t.Context(), &authv1.StartPasswordResetRequest{PhoneNumber: ada.phone}))
	id, code := start.GetChallenge().GetChallengeId(), w.phones.code(t, ada.phone)
	complete := func(r *replica, code, password string) error {
		_, err := r.CompletePasswordReset(t.Context(), &authv1.CompletePasswordResetRequest{
			ChallengeId: id, Code: code, NewPassword: password,
		})
		return err
	}
	w.clock.Advance(time.Second)
	wants(t, complete(there, otherCode(code), newPassword), "CODE_INVALID")
	wants(t, complete(there, code, "iloveyou1"), "PASSWORD_TOO_COMMON") // not even a try
	wants(t, complete(there, code, ada.phone), "PASSWORD_TOO_COMMON")
	wants(t, complete(there, code, newPassword), "")
	wants(t, complete(there, code, newPassword), "CODE_EXPIRED")

	for _, s := range []*authv1.Session{ada.session, other} {
		wants(t, me(t, there, s), "SESSION_REVOKED")
		eventually(t, "the other replica", func() bool { return reason(me(t, here, s)) == "SESSION_REVOKED" })
		_, err := refresh(t, here, s.GetRefreshToken())
		wants(t, err, "SESSION_REVOKED")
	}
	_, err := tryLogin(t, here, ada.phone, goodPassword, "")
	wants(t, err, "CREDENTIALS_INVALID")
	_, err = here.VerifyLogin(t.Context(), &authv1.VerifyLoginRequest{ChallengeId: login.GetChallenge().GetChallengeId(), Code: loginCode})
	wants(t, err, "CODE_EXPIRED")
	res := ok[*authv1.LoginResponse](t)(tryLogin(t, here, ada.phone, newPassword, ada.session.GetDeviceToken()))
	if res.GetChallenge() == nil {
		t.Error("a device is still known after the reset")
	}
	if text := w.phones.next(t, ada.phone); !strings.Contains(text, "was changed") {
		t.Errorf("the owner was told %q", text)
	}
}

// TestPasswordsAreHashedAsTheyShouldBe is the one test with the real parameters.
func TestPasswordsAreHashedAsTheyShouldBe(t *testing.T) {
	w := newWorld(t)
	old := w.replica(t)
	ada := w.register(t, old, number(1), "ada")
	owner := w.owner(t)
	weak := query[string](t, owner, "SELECT password_hash FROM users")

	w.config.Argon2 = argon2id.Params{}
	r := w.replica(t)
	ok[*authv1.LoginResponse](t)(tryLogin(t, r, ada.phone, goodPassword, ada.session.GetDeviceToken()))
	hash := query[string](t, owner, "SELECT password_hash FROM users")
	if hash == weak {
		t.Fatal("the hash was not made anew at sign-in")
	}
	params, salt, key, err := argon2id.DecodeHash(hash)
	if err != nil {
		t.Fatal(err)
	}
	if params.Memory != 46*1024 || params.Iterations != 1 || params.Parallelism != 1 || len(salt) != 16 || len(key) != 32 {
		t.Errorf("the parameters are %+v", params)
	}
	ok[*authv1.LoginResponse](t)(tryLogin(t, r, ada.phone, goodPassword, ada.session.GetDeviceToken()))
	if again := query[string](t, owner, "SELECT password_hash FROM users"); again != hash {
		t.Error("a good hash was made anew")
	}
}

func TestTwoHundredSignInsTakeTheMemoryOfTwo(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) {
		c.PasswordSlots = 2
		c.Argon2.Memory = 1024
	})
	r := w.replica(t)
	ada := w.register(t, r, number(1), "ada")
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			if _, err := tryLogin(t, r, ada.phone, goodPassword, ada.session.GetDeviceToken()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if peak := r.service.Stats().PasswordsPeak; peak > 2 {
		t.Errorf("%d passwords were hashed at the same time", peak)
	}
}

func TestSignInsBeyondTheQueueAreTurnedAway(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) {
		c.PasswordSlots, c.PasswordQueue = 1, 3
		c.Argon2.Memory = 16 * 1024
	})
	r := w.replica(t)
	ada := w.register(t, r, number(1), "ada")
	var mu sync.Mutex
	var wg sync.WaitGroup
	got := make(map[string]int)
	for range 40 {
		wg.Go(func() {
			_, err := tryLogin(t, r, ada.phone, goodPassword, ada.session.GetDeviceToken())
			mu.Lock()
			defer mu.Unlock()
			got[reason(err)]++
		})
	}
	wg.Wait()
	if got[""] == 0 || got["OVERLOADED"] == 0 || got[""]+got["OVERLOADED"] != 40 {
		t.Errorf("the calls ended %v", got)
	}
	if n := r.service.Stats().PasswordsRefused; n != int64(got["OVERLOADED"]) {
		t.Errorf("%d are said to have been turned away", n)
	}
}
