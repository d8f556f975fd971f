package auth_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/server/auth"
	"github.com/tillbook/tillbook/server/rate"
)

// realLimits sets the limits of production.
func realLimits(c *auth.Config) { c.Limits = nil }

func loginFrom(t *testing.T, r *replica, ip, phone, password, device string) error {
	t.Helper()
	_, err := r.Login(from(t.Context(), ip), &authv1.LoginRequest{PhoneNumber: phone, Password: password, DeviceToken: device})
	return err
}

func TestWhoGuessesPasswordsIsStoppedAndTheVictimSignsIn(t *testing.T) {
	w := newWorld(t, realLimits)
	replicas := []*replica{w.replica(t), w.replica(t)}
	ada := w.register(t, replicas[0], number(1), "ada")

	for i := range 10 {
		wants(t, loginFrom(t, replicas[i%2], "192.0.2.1", ada.phone, fmt.Sprintf("Guess-%d-Battery", i), ""), "CREDENTIALS_INVALID")
	}
	for i := range 5 {
		err := loginFrom(t, replicas[i%2], "192.0.2.1", ada.phone, goodPassword, "")
		wants(t, err, "RATE_LIMITED")
		if detail[*errdetails.RetryInfo](err).GetRetryDelay().AsDuration() != 5*time.Minute {
			t.Errorf("retry after %v", detail[*errdetails.RetryInfo](err))
		}
	}
	// The victim: elsewhere, and on a known device even from the same address.
	wants(t, loginFrom(t, replicas[1], "198.51.100.7", ada.phone, goodPassword, ""), "")
	wants(t, loginFrom(t, replicas[1], "192.0.2.1", ada.phone, goodPassword, ada.session.GetDeviceToken()), "")

	// A thousand addresses are stopped too, and the victim's device still is not.
	limited := 0
	for i := range 150 {
		ip := fmt.Sprintf("203.0.113.%d", i)
		if reason(loginFrom(t, replicas[i%2], ip, ada.phone, "Wrong-Horse-7-Battery", "")) == "RATE_LIMITED" {
			limited++
		}
	}
	if limited != 150-90 {
		t.Errorf("%d of 150 guesses from everywhere were refused, want 60", limited)
	}
	wants(t, loginFrom(t, replicas[0], "198.51.100.7", ada.phone, goodPassword, ada.session.GetDeviceToken()), "")
	wants(t, loginFrom(t, replicas[0], "198.51.100.7", ada.phone, goodPassword, ""), "RATE_LIMITED")

	// Who proves to own the number is let in again on any device.
	start := ok[*authv1.StartPasswordResetResponse](t)(replicas[0].StartPasswordReset(from(t.Context(), "198.51.100.7"),
		&authv1.StartPasswordResetRequest{PhoneNumber: ada.phone}))
	w.phones.code(t, ada.phone) // the code of the sign-in above
	w.clock.Advance(time.Second)
	ok[*authv1.CompletePasswordResetResponse](t)(replicas[0].CompletePasswordReset(t.Context(), &authv1.CompletePasswordResetRequest{
		ChallengeId: start.GetChallenge().GetChallengeId(), Code: w.phones.code(t, ada.phone), NewPassword: newPassword,
	}))
	wants(t, loginFrom(t, replicas[0], "198.51.100.7", ada.phone, newPassword, ""), "")
}

func TestAnUnknownNumberIsLimitedLikeAKnownOne(t *testing.T) {
	w := newWorld(t, realLimits)
	r := w.replica(t)
	for i := range 12 {
		want := "CREDENTIALS_INVALID"
		if i >= 10 {
			want = "RATE_LIMITED"
		}
		wants(t, loginFrom(t, r, "192.0.2.1", number(9), goodPassword, ""), want)
	}
}

func TestSignInsThatSucceedUseUpNothing(t *testing.T) {
	w := newWorld(t, realLimits)
	r := w.replica(t)
	ada := w.register(t, r, number(1), "ada")
	for range 40 {
		wants(t, loginFrom(t, r, "192.0.2.1", ada.phone, goodPassword, ada.session.GetDeviceToken()), "")
	}
	for range 10 {
		wants(t, loginFrom(t, r, "192.0.2.1", ada.phone, "Wrong-Horse-7-Battery", ada.session.GetDeviceToken()), "CREDENTIALS_INVALID")
	}
	wants(t, loginFrom(t, r, "192.0.2.1", ada.phone, goodPassword, ada.session.GetDeviceToken()), "RATE_LIMITED")
}

// Ten thousand numbers of one block, from as many addresses: how many messages
// does it cost?
func TestPumpingMessagesIsBoundedByTheBlock(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) {
		limits := auth.DefaultLimits()
		limits.RegisterIP = rate.Rule{Name: "wide", Per: time.Millisecond, Burst: 1_000_000}
		c.Limits = &limits
	})
	r := w.replica(t)
	sent, hashed := 0, r.service.Stats().PasswordsHashed
	for i := range 300 {
		_, err := r.Register(from(t.Context(), fmt.Sprintf("2001:db8:%x::1", i)), &authv1.RegisterRequest{
			PhoneNumber: number(i), Username: fmt.Sprintf("user%d", i), Password: goodPassword,
		})
		if err == nil {
			sent++
			continue
		}
		wants(t, err, "RATE_LIMITED")
	}
	if sent != 30 {
		t.Errorf("%d codes were sent to one block, want 30", sent)
	}
	if n := r.service.Stats().CodesRefused; n != 270 {
		t.Errorf("%d codes count as refused, want 270", n)
	}
	if n := r.service.Stats().PasswordsHashed - hashed; n != 30 {
		t.Errorf("%d passwords were hashed, want only those of the 30 registrations", n)
	}
	if n := strings.Count(w.log.String(), "codes are refused"); n != 1 {
		t.Errorf("operators were told %d times, want once", n)
	}
	_, err := r.Register(t.Context(), &authv1.RegisterRequest{
		PhoneNumber: "+628212345678", Username: "elsewhere", Password: goodPassword,
	})
	wants(t, err, "") // another block is not affected
}

func TestCodesThatAreRedeemedAreNoPumping(t *testing.T) {
	w := newWorld(t, realLimits)
	r := w.replica(t)
	for i := range 60 {
		ctx := from(t.Context(), fmt.Sprintf("2001:db8:%x::1", i))
		res := ok[*authv1.RegisterResponse](t)(r.Register(ctx, &authv1.RegisterRequest{
			PhoneNumber: number(i), Username: fmt.Sprintf("user%d", i), Password: goodPassword,
		}))
		ok[*authv1.VerifyPhoneResponse](t)(r.VerifyPhone(ctx, &authv1.VerifyPhoneRequest{
			ChallengeId: res.GetChallenge().GetChallengeId(), Code: w.phones.code(t, number(i)),
		}))
	}
}

func TestOneNumberGetsFewCodesWhoeverAsks(t *testing.T) {
	w := newWorld(t, realLimits)
	r := w.replica(t)
	start := func(ip string) error {
		_, err := r.StartPasswordReset(from(t.Context(), ip), &authv1.StartPasswordResetRequest{PhoneNumber: number(1)})
		return err
	}
	for range 5 {
		wants(t, start("192.0.2.1"), "")
	}
	wants(t, start("192.0.2.1"), "RATE_LIMITED")
	for i := range 5 {
		wants(t, start(fmt.Sprintf("198.51.100.%d", i)), "")
	}
	wants(t, start("203.0.113.1"), "RATE_LIMITED")
	// Other purposes have their own.
	_, err := r.Register(t.Context(), &authv1.RegisterRequest{PhoneNumber: number(1), Username: "ada", Password: goodPassword})
	wants(t, err, "")
}

func TestOneAddressIsLimitedInAllItDoes(t *testing.T) {
	w := newWorld(t, realLimits)
	r := w.replica(t)
	calls := map[string]func(i int, ip string) error{
		"Register": func(i int, ip string) error {
			_, err := r.Register(from(t.Context(), ip), &authv1.RegisterRequest{
				PhoneNumber: fmt.Sprintf("+6281%d2345678", i%10), Username: fmt.Sprintf("user%d", i), Password: goodPassword,
			})
			return err
		},
		"Login": func(i int, ip string) error {
			return loginFrom(t, r, ip, number(i), goodPassword, "")
		},
		"VerifyPhone": func(_ int, ip string) error {
			_, err := r.VerifyPhone(from(t.Context(), ip), &authv1.VerifyPhoneRequest{
				ChallengeId: "chl_00000000000000000000000000", Code: "123456",
			})
			return err
		},
		"VerifyLogin": func(_ int, ip string) error {
			_, err := r.VerifyLogin(from(t.Context(), ip), &authv1.VerifyLoginRequest{
				ChallengeId: "chl_00000000000000000000000000", Code: "123456",
			})
			return err
		},
		"Refresh": func(_ int, ip string) error {
			_, err := r.Refresh(from(t.Context(), ip), &authv1.RefreshRequest{RefreshToken: "tbr_garbage"})
			return err
		},
		"ResendCode": func(_ int, ip string) error {
			_, err := r.ResendCode(from(t.Context(), ip), &authv1.ResendCodeRequest{ChallengeId: "chl_00000000000000000000000000"})
			return err
		},
		"CompletePasswordReset": func(_ int, ip string) error {
			_, err := r.CompletePasswordReset(from(t.Context(), ip), &authv1.CompletePasswordResetRequest{
				ChallengeId: "chl_00000000000000000000000000", Code: "123456", NewPassword: newPassword,
			})
			return err
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			w.clock.Advance(48 * time.Hour)
			limited := false
			for i := range 400 {
				// Neighbours in one network of IPv6 are one caller.
				if limited = reason(call(i, fmt.Sprintf("2001:db8::%x", i+1))) == "RATE_LIMITED"; limited {
					break
				}
			}
			if !limited {
				t.Fatal("400 calls were let through")
			}
			if reason(call(0, "2001:db8:1::1")) == "RATE_LIMITED" {
				t.Error("another network is limited too")
			}
		})
	}
}

func TestGuessingThePasswordInForceIsLimited(t *testing.T) {
	w := newWorld(t, realLimits)
	r := w.replica(t)
	ada := w.register(t, r, number(1), "ada")
	for i := range 7 {
		_, err := r.ChangePassword(as(t.Context(), ada.session.GetAccessToken()), &authv1.ChangePasswordRequest{
			CurrentPassword: "Wrong-Horse-7-Battery", NewPassword: newPassword,
		})
		want := "CREDENTIALS_INVALID"
		if i >= 5 {
			want = "RATE_LIMITED"
		}
		wants(t, err, want)
	}
}

func TestAChangedPasswordIsToldAFewTimesAnHour(t *testing.T) {
	w := newWorld(t, realLimits)
	r := w.replica(t)
	ada := w.register(t, r, number(1), "ada")
	passwords := []string{goodPassword, newPassword}
	for i := range 6 {
		w.clock.Advance(time.Second)
		ok[*authv1.ChangePasswordResponse](t)(r.ChangePassword(as(t.Context(), ada.session.GetAccessToken()), &authv1.ChangePasswordRequest{
			CurrentPassword: passwords[i%2], NewPassword: passwords[(i+1)%2],
		}))
	}
	r.settled(t)
	if n := w.phones.count(ada.phone); n != 3 {
		t.Errorf("%d notices were sent, want 3", n)
	}
}

// Resending doesn't turn an honest registration into pumping.
func TestResentCodesThatAreRedeemedAreNoPumping(t *testing.T) {
	w := newWorld(t, realLimits)
	r := w.replica(t)
	for i := range 20 {
		ctx := from(t.Context(), fmt.Sprintf("2001:db8:%x::1", i))
		res := ok[*authv1.RegisterResponse](t)(r.Register(ctx, &authv1.RegisterRequest{
			PhoneNumber: number(i), Username: fmt.Sprintf("user%d", i), Password: goodPassword,
		}))
		w.phones.code(t, number(i))
		w.clock.Advance(time.Minute)
		ok[*authv1.ResendCodeResponse](t)(r.ResendCode(ctx, &authv1.ResendCodeRequest{ChallengeId: res.GetChallenge().GetChallengeId()}))
		ok[*authv1.VerifyPhoneResponse](t)(r.VerifyPhone(ctx, &authv1.VerifyPhoneRequest{
			ChallengeId: res.GetChallenge().GetChallengeId(), Code: w.phones.code(t, number(i)),
		}))
	}
}
