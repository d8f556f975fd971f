package hostile

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
)

// addressOf is one of many addresses, each its own network.
func addressOf(i int) string { return fmt.Sprintf("2001:db8:%x:%x::1", i>>8, i&0xff) }

// parallel runs f for each number below n, so many at a time.
func parallel(n, at int, f func(i int)) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range at {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	workers.Wait()
}

// Ten thousand guesses of one code, from as many addresses, on three replicas at
// once: five are compared with it, whatever the replicas know of each other.
func TestOfTenThousandGuessesOfACodeFiveAreEvaluated(t *testing.T) {
	if !*full { // whose figures are of this attack alone
		t.Parallel()
	}
	c := newCluster(t)
	const phone = "+628110000001"
	begun := &authv1.RegisterResponse{}
	if got := call(t.Context(), t, c.client, c.replicas[0], caller{address: addressOf(1)}, authv1connect.AuthServiceRegisterProcedure,
		&authv1.RegisterRequest{PhoneNumber: phone, Username: "victim", Password: password}, begun); got != "" {
		t.Fatal(got)
	}
	right := c.sms.code(t, phone)
	guesses := size(300, 10_000)
	var ends tally
	c.withstands(t, "code guessing", func() string {
		before := c.metric(t, "auth_codes_compared_total")
		start := time.Now()
		parallel(guesses, 96, func(i int) {
			guess := fmt.Sprintf("%06d", i)
			if guess == right {
				guess = "999999"
			}
			got := call(t.Context(), t, c.client, c.replicas[i%3], caller{address: addressOf(i)}, authv1connect.AuthServiceVerifyPhoneProcedure,
				&authv1.VerifyPhoneRequest{ChallengeId: begun.GetChallenge().GetChallengeId(), Code: guess}, &authv1.VerifyPhoneResponse{})
			ends.add(got)
			if got == "" {
				t.Errorf("guess %s was right", guess)
			}
		})
		took := time.Since(start)
		compared := c.metric(t, "auth_codes_compared_total") - before
		if compared < 1 || compared > 5 {
			t.Errorf("%v guesses were evaluated", compared)
		}
		return fmt.Sprintf("%d guesses over 3 replicas in %s, %.0f evaluated: %s", guesses, took.Round(time.Millisecond), compared, &ends)
	})
	// By now the right one is of no use either.
	if got := call(t.Context(), t, c.client, c.replicas[1], caller{address: addressOf(70_000)}, authv1connect.AuthServiceVerifyPhoneProcedure,
		&authv1.VerifyPhoneRequest{ChallengeId: begun.GetChallenge().GetChallengeId(), Code: right}, &authv1.VerifyPhoneResponse{}); got != "TOO_MANY_ATTEMPTS" {
		t.Errorf("the right code is answered with %q", got)
	}
}

// Ten thousand codes for numbers along one prefix, from as many addresses. What they
// cost is bounded by the block of numbers and, where a block has a bound of its own,
// by the country; the metric rises on which the alert CodesRefused is raised.
func TestCodesAlongOnePrefixCostLittleAndAreTold(t *testing.T) {
	if !*full { // whose figures are of this attack alone
		t.Parallel()
	}
	c := newCluster(t)
	asked := size(200, 10_000)
	var ends tally
	c.withstands(t, "SMS pumping", func() string {
		before := c.sms.total()
		start := time.Now()
		parallel(asked, 96, func(i int) {
			got := call(t.Context(), t, c.client, c.replicas[i%3], caller{address: addressOf(i)}, authv1connect.AuthServiceRegisterProcedure,
				&authv1.RegisterRequest{PhoneNumber: fmt.Sprintf("+62812345%04d", i), Username: fmt.Sprintf("pump.%d", i), Password: password}, &authv1.RegisterResponse{})
			if got == "" {
				got = "sent"
			}
			ends.add(got)
		})
		took := time.Since(start)
		eventually(t, "all messages have left", func() bool { return c.metric(t, "auth_messages_waiting") == 0 })
		// Thirty at once, and one more in ten minutes.
		most := 31 + int(took/(10*time.Minute))
		sent := c.sms.total() - before
		if sent == 0 || sent > most {
			t.Errorf("%d messages were sent, at most %d may be", sent, most)
		}
		// Some may meet a server that is too busy to hash their password.
		refused, limited := c.metric(t, "auth_codes_refused_total"), ends.count("RATE_LIMITED")
		if int(refused) != limited || limited < asked-most-ends.count("OVERLOADED") {
			t.Errorf("the metric says that %.0f codes were refused, the clients say %d", refused, limited)
		}
		return fmt.Sprintf("%d codes asked for along one prefix over 3 replicas in %s, %d messages sent, auth.codes_refused rose by %.0f: %s",
			asked, took.Round(time.Millisecond), sent, refused, &ends)
	})
	// Who has a number elsewhere still gets a code.
	c.register(t, 7)
}
