package auth_test

import (
	"context"
	"strings"
	"testing"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/store/id"
)

// recorded returns what was recorded of users since the last look, oldest first,
// as "action" or "action reason".
func (w *world) recorded(t testing.TB, seen *string) string {
	t.Helper()
	conn := w.owner(t)
	const since = `FROM audit_records WHERE actor_kind = 'user' AND id::text > $1`
	list := query[string](t, conn, `SELECT coalesce(string_agg(action || coalesce(' ' || (details->>'reason'), ''), ', ' ORDER BY id), '') `+since, *seen)
	*seen = query[string](t, conn, `SELECT coalesce(max(id::text), $1) `+since, *seen)
	return list
}

// TestEverySecurityEventLeavesItsRecord goes through the life of an account.
func TestEverySecurityEventLeavesItsRecord(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	var seen string
	wantRecords := func(what, want string) {
		t.Helper()
		if got := w.recorded(t, &seen); got != want {
			t.Errorf("%s: recorded %q, want %q", what, got, want)
		}
	}
	ada := w.register(t, r, number(1), "ada")
	wantRecords("a registration", "user.registered, device.added, session.started")

	_, err := r.Login(t.Context(), &authv1.LoginRequest{PhoneNumber: ada.phone, Password: "Wrong-Horse-7-Battery"})
	wants(t, err, "CREDENTIALS_INVALID")
	wantRecords("a wrong password", "session.refused")

	login := ok[*authv1.LoginResponse](t)(r.Login(t.Context(), &authv1.LoginRequest{PhoneNumber: ada.phone, Password: goodPassword}))
	code := w.phones.code(t, ada.phone)
	verify := &authv1.VerifyLoginRequest{ChallengeId: login.GetChallenge().GetChallengeId(), Code: otherCode(code)}
	_, err = r.VerifyLogin(t.Context(), verify)
	wants(t, err, "CODE_INVALID")
	wantRecords("a wrong code", "code.refused")

	verify.Code = code
	second := ok[*authv1.VerifyLoginResponse](t)(r.VerifyLogin(t.Context(), verify)).GetSession()
	wantRecords("a sign-in on a new device", "device.added, session.started")

	known := ok[*authv1.LoginResponse](t)(r.Login(t.Context(), &authv1.LoginRequest{
		PhoneNumber: ada.phone, Password: goodPassword, DeviceToken: second.GetDeviceToken(),
	})).GetSession()
	wantRecords("a sign-in on a known device", "session.started")

	ok[*authv1.LogoutResponse](t)(r.Logout(as(t.Context(), known.GetAccessToken()), &authv1.LogoutRequest{}))
	wantRecords("a sign-out", "session.ended logout")

	ok[*authv1.RevokeSessionResponse](t)(r.RevokeSession(as(t.Context(), ada.session.GetAccessToken()),
		&authv1.RevokeSessionRequest{SessionId: second.GetSessionId()}))
	wantRecords("a revocation", "device.removed revoked, session.ended revoked")

	third := w.login(t, r, ada)
	w.recorded(t, &seen)
	next := ok[*authv1.Session](t)(refresh(t, r, third.GetRefreshToken()))
	ok[*authv1.Session](t)(refresh(t, r, next.GetRefreshToken()))
	wantRecords("a refresh", "")
	_, err = refresh(t, r, third.GetRefreshToken())
	wants(t, err, "SESSION_REVOKED")
	wantRecords("a copied refresh token", "session.ended refresh_token_reused, device.removed refresh_token_reused")

	w.login(t, r, ada)
	w.recorded(t, &seen)
	const newPassword = "Other-Horse-8-Battery"
	ok[*authv1.ChangePasswordResponse](t)(r.ChangePassword(as(t.Context(), ada.session.GetAccessToken()),
		&authv1.ChangePasswordRequest{CurrentPassword: goodPassword, NewPassword: newPassword}))
	wantRecords("a new password", "session.ended password_changed, user.password_changed")
	w.phones.next(t, ada.phone) // the notice of it

	reset := ok[*authv1.StartPasswordResetResponse](t)(r.StartPasswordReset(t.Context(),
		&authv1.StartPasswordResetRequest{PhoneNumber: ada.phone}))
	w.recorded(t, &seen)
	ok[*authv1.CompletePasswordResetResponse](t)(r.CompletePasswordReset(t.Context(), &authv1.CompletePasswordResetRequest{
		ChallengeId: reset.GetChallenge().GetChallengeId(), Code: w.phones.code(t, ada.phone), NewPassword: goodPassword,
	}))
	wantRecords("a reset", "device.removed password_reset, session.ended password_reset, user.password_reset")
}

func TestARecordSaysWhoAndFromWhere(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	ada := w.register(t, r, number(1), "ada")
	try := func(ctx context.Context, phone string) {
		t.Helper()
		_, err := r.Login(ctx, &authv1.LoginRequest{PhoneNumber: phone, Password: "Wrong-Horse-7-Battery"})
		wants(t, err, "CREDENTIALS_INVALID")
	}
	try(from(t.Context(), "203.0.113.7"), ada.phone)
	try(from(t.Context(), "203.0.113.8"), number(2)) // nobody's
	conn := w.owner(t)
	const find = `SELECT coalesce(actor_id::text, 'nobody') || ' ' || subject || ' ' || (request_id <> '') FROM audit_records
		WHERE action = 'session.refused' AND client_ip = $1`
	user, err := id.Parse(id.User, ada.user.GetUserId())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := query[string](t, conn, find, "203.0.113.7"), user.String()+" user/"+ada.user.GetUserId()+" true"; got != want {
		t.Errorf("of a user: %q, want %q", got, want)
	}
	if got := query[string](t, conn, find, "203.0.113.8"); got != "nobody  true" {
		t.Errorf("of nobody: %q", got)
	}
	if text := query[string](t, conn, "SELECT string_agg(r::text, ' ') FROM audit_records AS r"); strings.Contains(text, number(2)) {
		t.Error("the number that nobody has was recorded")
	}
}

// A password that is guessed again and again leaves no more records than the limit
// lets through.
func TestRefusalsPastTheLimitLeaveNoRecords(t *testing.T) {
	w := newWorld(t)
	w.config.Limits = nil // the real ones
	r := w.replica(t)
	ada := w.register(t, r, number(1), "ada")
	guesses := 0
	for reason(func() error {
		_, err := r.Login(t.Context(), &authv1.LoginRequest{PhoneNumber: ada.phone, Password: "Wrong-Horse-7-Battery"})
		return err
	}()) == "CREDENTIALS_INVALID" {
		if guesses++; guesses > 1000 {
			t.Fatal("there is no limit")
		}
	}
	for range 20 {
		_, err := r.Login(t.Context(), &authv1.LoginRequest{PhoneNumber: ada.phone, Password: "Wrong-Horse-7-Battery"})
		wants(t, err, "RATE_LIMITED")
	}
	if n := query[int](t, w.owner(t), "SELECT count(*) FROM audit_records WHERE action = 'session.refused'"); n != guesses {
		t.Errorf("%d records of %d guesses", n, guesses)
	}
}

func TestTheServersKeysLeaveTheirRecords(t *testing.T) {
	w := newWorld(t)
	w.replica(t)
	conn := w.owner(t)
	keys := query[int](t, conn, "SELECT count(*) FROM server_keys")
	made := query[int](t, conn, "SELECT count(*) FROM audit_records WHERE actor_kind = 'system' AND action = 'key.made'")
	if keys == 0 || made != keys {
		t.Errorf("%d records of %d keys", made, keys)
	}
}
