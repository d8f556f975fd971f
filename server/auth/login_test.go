package auth_test

import (
	"testing"
	"time"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
)

// tryLogin signs in with what a device remembers.
func tryLogin(t *testing.T, r *replica, phone, password, deviceToken string) (*authv1.LoginResponse, error) {
	t.Helper()
	return r.Login(t.Context(), &authv1.LoginRequest{
		PhoneNumber: phone, Password: password, DeviceToken: deviceToken, DeviceName: "phone",
	})
}

func TestANewDeviceNeedsACodeAndAKnownOneDoesNot(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	ada := w.register(t, r, number(1), "ada")

	res := ok[*authv1.LoginResponse](t)(tryLogin(t, r, ada.phone, goodPassword, ""))
	if res.GetSession() != nil || res.GetChallenge() == nil {
		t.Fatalf("a new device got %v", res)
	}
	verified := ok[*authv1.VerifyLoginResponse](t)(r.VerifyLogin(t.Context(), &authv1.VerifyLoginRequest{
		ChallengeId: res.GetChallenge().GetChallengeId(), Code: w.phones.code(t, ada.phone),
	}))
	if verified.GetUser().GetUserId() != ada.user.GetUserId() {
		t.Fatalf("signed in as %v", verified.GetUser())
	}

	for _, token := range []string{ada.session.GetDeviceToken(), verified.GetSession().GetDeviceToken()} {
		res := ok[*authv1.LoginResponse](t)(tryLogin(t, r, ada.phone, goodPassword, token))
		if res.GetSession() == nil {
			t.Fatal("a known device was asked for a code")
		}
		if got := res.GetSession().GetDeviceToken(); got != token {
			t.Error("the device token changed")
		}
		ok[*authv1.GetMeResponse](t)(r.GetMe(as(t.Context(), res.GetSession().GetAccessToken()), &authv1.GetMeRequest{}))
	}
	_, err := tryLogin(t, r, ada.phone, "Wrong-Horse-7-Battery", ada.session.GetDeviceToken())
	wants(t, err, "CREDENTIALS_INVALID")
}

func TestADeviceTokenCountsForItsOwnUserAndTimeOnly(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	ada, bob := w.register(t, r, number(1), "ada"), w.register(t, r, number(2), "bob")
	tests := map[string]string{
		"another's":  bob.session.GetDeviceToken(),
		"a refresh":  ada.session.GetRefreshToken(),
		"garbage":    "tbd_garbage",
		"no token":   "",
		"all zeroes": "tbd_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	}
	for name, token := range tests {
		res := ok[*authv1.LoginResponse](t)(tryLogin(t, r, ada.phone, goodPassword, token))
		if res.GetChallenge() == nil {
			t.Errorf("with %s the device was taken for a known one", name)
		}
	}
	w.clock.Advance(90 * 24 * time.Hour)
	res := ok[*authv1.LoginResponse](t)(tryLogin(t, r, ada.phone, goodPassword, ada.session.GetDeviceToken()))
	if res.GetChallenge() == nil {
		t.Error("a device is known after 90 days without a sign-in")
	}
}

func TestWhoCantSignInIsToldTheSame(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	ada := w.register(t, r, number(1), "ada")
	tests := map[string]*authv1.LoginRequest{
		"a wrong password":      {PhoneNumber: ada.phone, Password: "Wrong-Horse-7-Battery"},
		"an unknown number":     {PhoneNumber: number(2), Password: goodPassword},
		"no number":             {PhoneNumber: "hello", Password: goodPassword},
		"a password in capital": {PhoneNumber: ada.phone, Password: "CORRECT-HORSE-7-BATTERY"},
	}
	var first string
	for name, req := range tests {
		_, err := r.Login(t.Context(), req)
		wants(t, err, "CREDENTIALS_INVALID")
		if first == "" {
			first = err.Error()
		}
		if err.Error() != first {
			t.Errorf("%s: %q, but before %q", name, err.Error(), first)
		}
	}
}

func TestAPasswordIsTheSameHoweverItsCharactersAreComposed(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	composed, decomposed := "Caf\u00e9-au-lait-\u00fcber", "Cafe\u0301-au-lait-u\u0308ber"
	res := ok[*authv1.RegisterResponse](t)(r.Register(t.Context(), &authv1.RegisterRequest{
		PhoneNumber: number(1), Username: "ada", Password: composed,
	}))
	wants(t, verify(t, r, res.GetChallenge().GetChallengeId(), w.phones.code(t, number(1))), "")
	ok[*authv1.LoginResponse](t)(tryLogin(t, r, number(1), decomposed, ""))
}

func TestACodeForSigningInDiesWithThePassword(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	ada := w.register(t, r, number(1), "ada")
	res := ok[*authv1.LoginResponse](t)(tryLogin(t, r, ada.phone, goodPassword, ""))
	code := w.phones.code(t, ada.phone)
	w.clock.Advance(time.Second)
	ok[*authv1.ChangePasswordResponse](t)(r.ChangePassword(as(t.Context(), ada.session.GetAccessToken()), &authv1.ChangePasswordRequest{
		CurrentPassword: goodPassword, NewPassword: "Another-Horse-8-Battery",
	}))
	_, err := r.VerifyLogin(t.Context(), &authv1.VerifyLoginRequest{ChallengeId: res.GetChallenge().GetChallengeId(), Code: code})
	wants(t, err, "CODE_EXPIRED")
}

func TestAPasswordThatChangesDuringTheSignInIsTheOldOne(t *testing.T) {
	for _, known := range []bool{true, false} {
		w := newWorld(t)
		r := w.replica(t)
		ada := w.register(t, r, number(1), "ada")
		owner := w.owner(t)
		r.before("ShareUser", func() {
			if _, err := owner.Exec(t.Context(), "UPDATE users SET password_time = password_time + interval '1 second'"); err != nil {
				t.Error(err)
			}
		})
		device := ""
		if known {
			device = ada.session.GetDeviceToken()
		}
		_, err := tryLogin(t, r, ada.phone, goodPassword, device)
		wants(t, err, "CREDENTIALS_INVALID")
	}
}

func TestADeviceThatIsRevokedDuringTheSignInNeedsACode(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	ada := w.register(t, r, number(1), "ada")
	owner := w.owner(t)
	r.before("TouchDevice", func() {
		if _, err := owner.Exec(t.Context(), "DELETE FROM devices"); err != nil {
			t.Error(err)
		}
	})
	res := ok[*authv1.LoginResponse](t)(tryLogin(t, r, ada.phone, goodPassword, ada.session.GetDeviceToken()))
	if res.GetChallenge() == nil {
		t.Error("no code was asked for")
	}
}

func TestAUserHasFiftySessionsAndTwentyDevicesAtTheMost(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	ada := w.register(t, r, number(1), "ada")
	for range 55 {
		w.clock.Advance(time.Second)
		w.login(t, r, ada)
	}
	owner := w.owner(t)
	if n := query[int](t, owner, "SELECT count(*) FROM sessions WHERE revoke_time IS NULL"); n != 50 {
		t.Errorf("%d sessions are live", n)
	}
	if n := query[int](t, owner, "SELECT count(*) FROM devices"); n != 20 {
		t.Errorf("%d devices are remembered", n)
	}
	_, err := r.GetMe(as(t.Context(), ada.session.GetAccessToken()), &authv1.GetMeRequest{})
	wants(t, err, "SESSION_REVOKED")
}
