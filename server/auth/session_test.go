package auth_test

import (
	"testing"
	"time"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/server/auth"
)

func me(t *testing.T, r *replica, s *authv1.Session) error {
	t.Helper()
	_, err := r.GetMe(as(t.Context(), s.GetAccessToken()), &authv1.GetMeRequest{})
	return err
}

func TestWhoSignsOutIsOutEverywhereWithinSeconds(t *testing.T) {
	w := newWorld(t)
	here, there := w.replica(t), w.replica(t)
	ada := w.register(t, here, number(1), "ada")
	wants(t, me(t, there, ada.session), "") // so that it is remembered there

	ok[*authv1.LogoutResponse](t)(here.Logout(as(t.Context(), ada.session.GetAccessToken()), &authv1.LogoutRequest{}))
	wants(t, me(t, here, ada.session), "SESSION_REVOKED")
	eventually(t, "the other replica to hear of it", func() bool { return reason(me(t, there, ada.session)) == "SESSION_REVOKED" })
	_, err := there.Refresh(t.Context(), &authv1.RefreshRequest{RefreshToken: ada.session.GetRefreshToken()})
	wants(t, err, "SESSION_REVOKED")

	late := w.replica(t)
	wants(t, me(t, late, ada.session), "SESSION_REVOKED")

	res := ok[*authv1.LoginResponse](t)(tryLogin(t, here, ada.phone, goodPassword, ada.session.GetDeviceToken()))
	if res.GetSession() == nil {
		t.Error("after signing out the device is no longer known")
	}
}

// A revocation whose transaction began before others and commits after them is
// the one that a cursor could skip.
func TestARevocationThatCommitsLateIsNotSkipped(t *testing.T) {
	w := newWorld(t)
	here, there := w.replica(t), w.replica(t)
	ada := w.register(t, here, number(1), "ada")
	bob := w.register(t, here, number(2), "bob")

	slow := w.owner(t)
	tx, err := slow.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = tx.Exec(t.Context(), `INSERT INTO session_revocations (session_id, create_time)
		SELECT id, $1 FROM sessions WHERE user_id = (SELECT id FROM users WHERE username = 'ada')`, w.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	ok[*authv1.LogoutResponse](t)(here.Logout(as(t.Context(), bob.session.GetAccessToken()), &authv1.LogoutRequest{}))
	eventually(t, "the later one to be seen", func() bool { return reason(me(t, there, bob.session)) == "SESSION_REVOKED" })
	wants(t, me(t, there, ada.session), "")
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the late one to be seen", func() bool { return reason(me(t, there, ada.session)) == "SESSION_REVOKED" })
}

func TestARevokedSessionsDeviceMustVerifyACodeAgain(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	ada := w.register(t, r, number(1), "ada")
	other := w.login(t, r, ada)
	mine := as(t.Context(), ada.session.GetAccessToken())

	for range 2 { // doing it again does no harm
		ok[*authv1.RevokeSessionResponse](t)(r.RevokeSession(mine, &authv1.RevokeSessionRequest{SessionId: other.GetSessionId()}))
	}
	wants(t, me(t, r, other), "SESSION_REVOKED")
	wants(t, me(t, r, ada.session), "")
	res := ok[*authv1.LoginResponse](t)(tryLogin(t, r, ada.phone, goodPassword, other.GetDeviceToken()))
	if res.GetChallenge() == nil {
		t.Error("the revoked device is still known")
	}
	res = ok[*authv1.LoginResponse](t)(tryLogin(t, r, ada.phone, goodPassword, ada.session.GetDeviceToken()))
	if res.GetSession() == nil {
		t.Error("the other device is no longer known")
	}
}

func TestAnothersSessionIsNotFound(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	ada, bob := w.register(t, r, number(1), "ada"), w.register(t, r, number(2), "bob")
	for _, id := range []string{bob.session.GetSessionId(), "ses_00000000000000000000000000"} {
		_, err := r.RevokeSession(as(t.Context(), ada.session.GetAccessToken()), &authv1.RevokeSessionRequest{SessionId: id})
		wants(t, err, "NOT_FOUND")
	}
	wants(t, me(t, r, bob.session), "")
	res := ok[*authv1.LoginResponse](t)(tryLogin(t, r, bob.phone, goodPassword, bob.session.GetDeviceToken()))
	if res.GetSession() == nil {
		t.Error("the other's device was forgotten")
	}
}

func TestSessionsAreListedNewestFirstAndPaged(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	ada, bob := w.register(t, r, number(1), "ada"), w.register(t, r, number(2), "bob")
	want := []string{ada.session.GetSessionId()}
	for range 4 {
		w.clock.Advance(time.Minute)
		want = append([]string{w.login(t, r, ada).GetSessionId()}, want...)
	}
	gone := w.login(t, r, ada)
	ok[*authv1.LogoutResponse](t)(r.Logout(as(t.Context(), gone.GetAccessToken()), &authv1.LogoutRequest{}))

	mine := as(t.Context(), ada.session.GetAccessToken())
	var got []string
	req := &authv1.ListSessionsRequest{PageSize: 2}
	for {
		res := ok[*authv1.ListSessionsResponse](t)(r.ListSessions(mine, req))
		for _, s := range res.GetSessions() {
			got = append(got, s.GetSessionId())
			if s.GetCurrent() != (s.GetSessionId() == ada.session.GetSessionId()) {
				t.Errorf("session %s says that current is %v", s.GetSessionId(), s.GetCurrent())
			}
		}
		if res.GetNextPageToken() == "" {
			break
		}
		req.PageToken = res.GetNextPageToken()
	}
	if len(got) != len(want) {
		t.Fatalf("listed %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("listed %v, want %v", got, want)
		}
	}
	first := ok[*authv1.ListSessionsResponse](t)(r.ListSessions(mine, &authv1.ListSessionsRequest{PageSize: 1}))
	for _, token := range []string{"garbage", first.GetNextPageToken()} {
		_, err := r.ListSessions(as(t.Context(), bob.session.GetAccessToken()), &authv1.ListSessionsRequest{PageToken: token})
		wants(t, err, "PAGE_TOKEN_INVALID")
	}
}

func TestTokensEndWithTheirTime(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	ada := w.register(t, r, number(1), "ada")
	w.clock.Advance(15*time.Minute - time.Second)
	wants(t, me(t, r, ada.session), "")
	w.clock.Advance(time.Second)
	wants(t, me(t, r, ada.session), "TOKEN_EXPIRED")
	wants(t, me(t, w.replica(t), ada.session), "TOKEN_EXPIRED") // also where it wasn't remembered

	w.clock.Advance(6*time.Hour - 15*time.Minute - 5*time.Minute)
	res := ok[*authv1.RefreshResponse](t)(r.Refresh(t.Context(), &authv1.RefreshRequest{RefreshToken: ada.session.GetRefreshToken()}))
	if !res.GetSession().GetAccessExpireTime().AsTime().Equal(ada.session.GetSessionExpireTime().AsTime()) {
		t.Errorf("the access token ends at %v, the session at %v",
			res.GetSession().GetAccessExpireTime().AsTime(), ada.session.GetSessionExpireTime().AsTime())
	}
	w.clock.Advance(5 * time.Minute)
	wants(t, me(t, r, res.GetSession()), "TOKEN_EXPIRED")
	_, err := r.Refresh(t.Context(), &authv1.RefreshRequest{RefreshToken: res.GetSession().GetRefreshToken()})
	wants(t, err, "SESSION_REVOKED")
}

func TestAReplicaThatCantFollowRevocationsVouchesForNobody(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) { c.PollMaxAge = 300 * time.Millisecond })
	r := w.replica(t)
	ada := w.register(t, r, number(1), "ada")
	eventually(t, "a poll", func() bool { return reason(me(t, r, ada.session)) == "" })

	owner := w.owner(t)
	if _, err := owner.Exec(t.Context(), "ALTER TABLE session_revocations RENAME TO hidden"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the replica to give up", func() bool { return reason(me(t, r, ada.session)) == "UNAVAILABLE" })
	if _, err := owner.Exec(t.Context(), "ALTER TABLE hidden RENAME TO session_revocations"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the replica to recover", func() bool { return reason(me(t, r, ada.session)) == "" })
}
