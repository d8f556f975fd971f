package auth_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/server/auth"
)

func refresh(t *testing.T, r *replica, token string) (*authv1.Session, error) {
	t.Helper()
	res, err := r.Refresh(t.Context(), &authv1.RefreshRequest{RefreshToken: token})
	return res.GetSession(), err
}

func TestARefreshTokenWorksOnce(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	ada := w.register(t, r, number(1), "ada")
	session := ada.session
	for range 5 {
		w.clock.Advance(time.Minute)
		next := ok[*authv1.Session](t)(refresh(t, r, session.GetRefreshToken()))
		if next.GetRefreshToken() == session.GetRefreshToken() || next.GetAccessToken() == session.GetAccessToken() {
			t.Fatal("a token came again")
		}
		if next.GetSessionId() != session.GetSessionId() || !next.GetSessionExpireTime().AsTime().Equal(session.GetSessionExpireTime().AsTime()) {
			t.Fatal("the session changed")
		}
		if next.GetDeviceToken() != "" {
			t.Error("a refresh returns a device token")
		}
		wants(t, me(t, r, next), "")
		session = next
	}
	_, err := refresh(t, r, ada.session.GetRefreshToken())
	wants(t, err, "SESSION_REVOKED")
	wants(t, me(t, r, session), "SESSION_REVOKED")
	_, err = refresh(t, r, session.GetRefreshToken())
	wants(t, err, "SESSION_REVOKED")
	if why := query[string](t, w.owner(t), "SELECT revoke_reason FROM sessions"); why != "refresh_token_reused" {
		t.Errorf("the session was ended for %q", why)
	}
	res := ok[*authv1.LoginResponse](t)(tryLogin(t, r, ada.phone, goodPassword, ada.session.GetDeviceToken()))
	if res.GetChallenge() == nil {
		t.Error("the device that lost a token needs no code")
	}
}

// The client that got no answer, and the app that refreshes twice at once.
func TestFiftyParallelRefreshesGetOneSuccessor(t *testing.T) {
	w := newWorld(t)
	replicas := []*replica{w.replica(t), w.replica(t), w.replica(t)}
	ada := w.register(t, replicas[0], number(1), "ada")

	sessions := make([]*authv1.Session, 50)
	var wg sync.WaitGroup
	for i := range sessions {
		wg.Go(func() {
			var err error
			if sessions[i], err = refresh(t, replicas[i%3], ada.session.GetRefreshToken()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for i, s := range sessions {
		if s.GetRefreshToken() != sessions[0].GetRefreshToken() {
			t.Fatal("there are two successors")
		}
		wants(t, me(t, replicas[(i+1)%3], s), "")
	}
	if n := query[int](t, w.owner(t), "SELECT count(*) FROM refresh_tokens"); n != 2 {
		t.Errorf("%d refresh tokens exist, want 2", n)
	}
	w.clock.Advance(time.Minute)
	ok[*authv1.Session](t)(refresh(t, replicas[1], sessions[0].GetRefreshToken()))
}

func TestThePredecessorHasAFewSecondsAndTheGrandparentNone(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	ada := w.register(t, r, number(1), "ada")
	first := ada.session.GetRefreshToken()
	second := ok[*authv1.Session](t)(refresh(t, r, first)).GetRefreshToken()
	w.clock.Advance(10 * time.Second)
	if again := ok[*authv1.Session](t)(refresh(t, r, first)); again.GetRefreshToken() != second {
		t.Fatal("within the grace the predecessor leads elsewhere")
	}
	third := ok[*authv1.Session](t)(refresh(t, r, second))
	_, err := refresh(t, r, first) // a moment later, but a generation too old
	wants(t, err, "SESSION_REVOKED")
	wants(t, me(t, r, third), "SESSION_REVOKED")

	bob := w.register(t, r, number(2), "bob")
	next := ok[*authv1.Session](t)(refresh(t, r, bob.session.GetRefreshToken()))
	w.clock.Advance(10*time.Second + time.Millisecond)
	_, err = refresh(t, r, bob.session.GetRefreshToken())
	wants(t, err, "SESSION_REVOKED")
	_, err = refresh(t, r, next.GetRefreshToken())
	wants(t, err, "SESSION_REVOKED")
}

func TestWhatIsNoRefreshTokenIsInvalid(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	ada := w.register(t, r, number(1), "ada")
	good := ada.session.GetRefreshToken()
	tests := map[string]string{
		"garbage":            "garbage",
		"made up":            "tbr_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"a device token":     ada.session.GetDeviceToken(),
		"an access token":    ada.session.GetAccessToken()[:100],
		"cut short":          good[:len(good)-1],
		"padded":             good + "=",
		"with another start": "tbd_" + good[4:],
	}
	for name, token := range tests {
		if _, err := refresh(t, r, token); reason(err) != "REFRESH_TOKEN_INVALID" {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := refresh(t, r, "")
	wants(t, err, "INVALID_ARGUMENT")
	ok[*authv1.Session](t)(refresh(t, r, good))
}

// The successor of a token is derived with a key; the key changes between two
// calls that race.
func TestRacingRefreshesGetOneSuccessorAcrossAChangeOfKeys(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) {
		c.MaintainInterval = 20 * time.Millisecond
		c.SessionLife = 40 * 24 * time.Hour
	})
	r := w.replica(t)
	ada := w.register(t, r, number(1), "ada")
	w.clock.Advance(30*24*time.Hour - 30*time.Minute)
	eventually(t, "the next keys", func() bool { return strings.Count(published(t, r), `"kid"`) == 2 })
	var use time.Time
	err := w.owner(t).QueryRow(t.Context(), "SELECT max(use_time) FROM server_keys WHERE kind = 'mac'").Scan(&use)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(use.Sub(w.clock.Now()) - time.Second)
	first := ok[*authv1.Session](t)(refresh(t, r, ada.session.GetRefreshToken()))
	w.clock.Advance(2 * time.Second)
	again := ok[*authv1.Session](t)(refresh(t, r, ada.session.GetRefreshToken()))
	if first.GetRefreshToken() != again.GetRefreshToken() {
		t.Error("there are two successors")
	}
}
