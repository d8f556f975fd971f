package auth_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/server/auth"
)

func TestAPersonRegistersAndIsSignedIn(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	res := ok[*authv1.RegisterResponse](t)(r.Register(t.Context(), &authv1.RegisterRequest{
		PhoneNumber: "+62 812-3456-789", Username: "Ada.L", Password: goodPassword, DeviceName: "Ada's phone",
	}))
	challenge := res.GetChallenge()
	if got := challenge.GetExpireTime().AsTime().Sub(w.clock.Now()); got != 10*time.Minute {
		t.Errorf("the code expires after %v", got)
	}
	if got := challenge.GetResendTime().AsTime().Sub(w.clock.Now()); got != time.Minute {
		t.Errorf("the code may be sent again after %v", got)
	}
	if n := query[int](t, w.owner(t), "SELECT count(*) FROM users"); n != 0 {
		t.Errorf("%d users exist before the number is verified", n)
	}

	verified := ok[*authv1.VerifyPhoneResponse](t)(r.VerifyPhone(t.Context(), &authv1.VerifyPhoneRequest{
		ChallengeId: challenge.GetChallengeId(), Code: w.phones.code(t, "+628123456789"),
	}))
	user, session := verified.GetUser(), verified.GetSession()
	if user.GetPhoneNumber() != "+628123456789" || user.GetUsername() != "Ada.L" || !user.GetCreateTime().AsTime().Equal(w.clock.Now()) {
		t.Errorf("the user is %v", user)
	}
	if got := session.GetAccessExpireTime().AsTime().Sub(w.clock.Now()); got != 15*time.Minute {
		t.Errorf("the access token expires after %v", got)
	}
	if got := session.GetSessionExpireTime().AsTime().Sub(w.clock.Now()); got != 6*time.Hour {
		t.Errorf("the session expires after %v", got)
	}
	me := ok[*authv1.GetMeResponse](t)(r.GetMe(as(t.Context(), session.GetAccessToken()), &authv1.GetMeRequest{}))
	if me.GetUser().GetUserId() != user.GetUserId() {
		t.Errorf("GetMe = %v", me)
	}

	events := query[string](t, w.owner(t), "SELECT string_agg(action || ' ' || subject, ', ' ORDER BY id) FROM audit_records WHERE actor_kind = 'user'")
	if want := "user.registered user/" + user.GetUserId() + ", device.added user/" + user.GetUserId() + ", session.started user/" + user.GetUserId(); events != want {
		t.Errorf("the events are %q, want %q", events, want)
	}
}

func TestARegistrationThatBreaksARuleIsRefused(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) { c.Countries = []string{"ID"} })
	r := w.replica(t)
	w.register(t, r, number(1), "Taken.Name")
	good := func() *authv1.RegisterRequest {
		return &authv1.RegisterRequest{PhoneNumber: number(2), Username: "ada", Password: goodPassword}
	}
	tests := map[string]struct {
		change func(*authv1.RegisterRequest)
		want   string
	}{
		"no number":                  {func(r *authv1.RegisterRequest) { r.PhoneNumber = "" }, "INVALID_ARGUMENT"},
		"no country code":            {func(r *authv1.RegisterRequest) { r.PhoneNumber = "0812 3456 789" }, "PHONE_NUMBER_INVALID"},
		"a fixed line":               {func(r *authv1.RegisterRequest) { r.PhoneNumber = "+62 21 6539 0605" }, "PHONE_NUMBER_INVALID"},
		"a country not served":       {func(r *authv1.RegisterRequest) { r.PhoneNumber = "+1 415 555 2671" }, "PHONE_NUMBER_INVALID"},
		"a short name":               {func(r *authv1.RegisterRequest) { r.Username = "ab" }, "INVALID_ARGUMENT"},
		"a name with a space":        {func(r *authv1.RegisterRequest) { r.Username = "ada l" }, "INVALID_ARGUMENT"},
		"a name that is taken":       {func(r *authv1.RegisterRequest) { r.Username = "Taken.Name" }, "USERNAME_TAKEN"},
		"a name taken in capitals":   {func(r *authv1.RegisterRequest) { r.Username = "tAKEN.nAME" }, "USERNAME_TAKEN"},
		"a device name on two lines": {func(r *authv1.RegisterRequest) { r.DeviceName = "two\nlines" }, "INVALID_ARGUMENT"},
		"a device name with a zero":  {func(r *authv1.RegisterRequest) { r.DeviceName = "a\x00b" }, "INVALID_ARGUMENT"},
		"a short password":           {func(r *authv1.RegisterRequest) { r.Password = "7 chars" }, "INVALID_ARGUMENT"},
		"a long password":            {func(r *authv1.RegisterRequest) { r.Password = strings.Repeat("long", 17) }, "INVALID_ARGUMENT"},
		"short once composed":        {func(r *authv1.RegisterRequest) { r.Password = "e\u0301a\u0301o\u0301u\u0301i" }, "INVALID_ARGUMENT"},
		"a common password":          {func(r *authv1.RegisterRequest) { r.Password = "Password123!" }, "PASSWORD_TOO_COMMON"},
		"the number as password":     {func(r *authv1.RegisterRequest) { r.Password = number(2) }, "PASSWORD_TOO_COMMON"},
		"its national form":          {func(r *authv1.RegisterRequest) { r.Password = "0" + number(2)[3:] }, "PASSWORD_TOO_COMMON"},
		"the name as password":       {func(r *authv1.RegisterRequest) { r.Username, r.Password = "grace.hopper", "Grace.Hopper" }, "PASSWORD_TOO_COMMON"},
		"the name with some digits":  {func(r *authv1.RegisterRequest) { r.Username, r.Password = "gracehopper", "GraceHopper1906" }, "PASSWORD_TOO_COMMON"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			req := good()
			tt.change(req)
			_, err := r.Register(t.Context(), req)
			wants(t, err, tt.want)
		})
	}
	r.settled(t)
	if n := w.phones.count(number(2)); n != 0 {
		t.Errorf("%d messages were sent for refused registrations", n)
	}
}

func TestANumberThatHasAnAccountCantBeTakenOver(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	owner := w.register(t, r, number(1), "owner")
	res := ok[*authv1.RegisterResponse](t)(r.Register(t.Context(), &authv1.RegisterRequest{
		PhoneNumber: owner.phone, Username: "thief", Password: goodPassword,
	}))
	if text := w.phones.next(t, owner.phone); !strings.Contains(text, "has an account already") || codePattern.MatchString(text) {
		t.Errorf("the owner was told %q", text)
	}
	for i := range 7 {
		_, err := r.VerifyPhone(t.Context(), &authv1.VerifyPhoneRequest{
			ChallengeId: res.GetChallenge().GetChallengeId(), Code: "123456",
		})
		if want := "CODE_INVALID"; i < 4 {
			wants(t, err, want)
		} else {
			wants(t, err, "TOO_MANY_ATTEMPTS")
		}
	}
	me := ok[*authv1.GetMeResponse](t)(r.GetMe(as(t.Context(), owner.session.GetAccessToken()), &authv1.GetMeRequest{}))
	if me.GetUser().GetUsername() != "owner" {
		t.Errorf("the account is %v now", me)
	}
}

func TestOfRegistrationsThatRaceForANumberOneWins(t *testing.T) {
	w := newWorld(t)
	replicas := []*replica{w.replica(t), w.replica(t)}
	requests := make([]*authv1.VerifyPhoneRequest, 8)
	for i := range requests {
		r := replicas[i%2]
		res := ok[*authv1.RegisterResponse](t)(r.Register(t.Context(), &authv1.RegisterRequest{
			PhoneNumber: number(1), Username: "name" + string(rune('a'+i)), Password: goodPassword,
		}))
		requests[i] = &authv1.VerifyPhoneRequest{ChallengeId: res.GetChallenge().GetChallengeId(), Code: w.phones.code(t, number(1))}
	}
	count(t, len(requests), map[string]int{"": 1, "CODE_EXPIRED": 7}, func(i int) error {
		_, err := replicas[i%2].VerifyPhone(t.Context(), requests[i])
		return err
	})
}

func TestOfRegistrationsThatRaceForANameOneWins(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	requests := make([]*authv1.VerifyPhoneRequest, 6)
	for i := range requests {
		res := ok[*authv1.RegisterResponse](t)(r.Register(t.Context(), &authv1.RegisterRequest{
			PhoneNumber: number(i), Username: []string{"wanted", "WANTED"}[i%2], Password: goodPassword,
		}))
		requests[i] = &authv1.VerifyPhoneRequest{ChallengeId: res.GetChallenge().GetChallengeId(), Code: w.phones.code(t, number(i))}
	}
	count(t, len(requests), map[string]int{"": 1, "USERNAME_TAKEN": 5}, func(i int) error {
		_, err := r.VerifyPhone(t.Context(), requests[i])
		return err
	})
}

// count makes n calls at the same time and compares how often each reason came.
func count(t *testing.T, n int, want map[string]int, call func(i int) error) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	got := make(map[string]int)
	for i := range n {
		wg.Go(func() {
			why := reason(call(i))
			mu.Lock()
			defer mu.Unlock()
			got[why]++
		})
	}
	wg.Wait()
	for why := range want {
		if got[why] != want[why] {
			t.Fatalf("the calls ended %v, want %v", got, want)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("the calls ended %v, want %v", got, want)
	}
}
