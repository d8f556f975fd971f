package auth

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/tillbook/tillbook/server/phone"
	"github.com/tillbook/tillbook/server/rate"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
)

// Limits are the limits on the procedures of this package.
type Limits struct {
	// RegisterIP bounds registrations from one address, tried names included.
	RegisterIP rate.Rule
	// CodeIP bounds the codes that one address has sent, for each purpose.
	CodeIP rate.Rule
	// CodePhoneIP bounds the codes that one address has sent to one number, for
	// each purpose, so that it can't use up CodePhone alone.
	CodePhoneIP rate.Rule
	// CodePhone bounds the codes sent to one number, for each purpose.
	CodePhone rate.Rule
	// CodeBlock bounds the codes sent to ten thousand neighbouring numbers that
	// were not redeemed: fraud rents such blocks and never redeems.
	CodeBlock rate.Rule
	// CodeCountry does the same for a whole dial code.
	CodeCountry rate.Rule
	// CodeDay bounds all codes sent to a dial code, redeemed or not: the most that
	// a day can cost.
	CodeDay rate.Rule
	// NoticePhone bounds the messages to one number that tell of a changed
	// password; more of them are left out.
	NoticePhone rate.Rule
	// LoginIP bounds sign-ins from one address.
	LoginIP rate.Rule
	// LoginDevice bounds failures on a device that was verified before.
	LoginDevice rate.Rule
	// LoginPhoneIP bounds one address's failures with one number on devices that
	// were not.
	LoginPhoneIP rate.Rule
	// LoginPhone bounds everybody's failures with one number on such devices.
	LoginPhone rate.Rule
	// VerifyIP bounds the codes that one address tries.
	VerifyIP rate.Rule
	// RefreshIP bounds the refreshes from one address.
	RefreshIP rate.Rule
	// RefreshSession bounds the refreshes of one session.
	RefreshSession rate.Rule
	// PasswordUser bounds a user's failures to give the password in force.
	PasswordUser rate.Rule
}

// DefaultLimits returns the limits for production.
func DefaultLimits() Limits {
	return Limits{
		RegisterIP:     rate.Rule{Name: "auth.register.ip", Per: time.Minute, Burst: 20},
		CodeIP:         rate.Rule{Name: "auth.code.ip", Per: 2 * time.Minute, Burst: 20},
		CodePhoneIP:    rate.Rule{Name: "auth.code.phone_ip", Per: 30 * time.Minute, Burst: 5},
		CodePhone:      rate.Rule{Name: "auth.code.phone", Per: time.Hour, Burst: 10},
		CodeBlock:      rate.Rule{Name: "auth.code.block", Per: 10 * time.Minute, Burst: 30},
		CodeCountry:    rate.Rule{Name: "auth.code.country", Per: 5 * time.Second, Burst: 500},
		CodeDay:        rate.Rule{Name: "auth.code.day", Per: 2 * time.Second, Burst: 20_000},
		NoticePhone:    rate.Rule{Name: "auth.notice.phone", Per: time.Hour, Burst: 3},
		LoginIP:        rate.Rule{Name: "auth.login.ip", Per: 5 * time.Second, Burst: 60},
		LoginDevice:    rate.Rule{Name: "auth.login.device", Per: time.Minute, Burst: 10},
		LoginPhoneIP:   rate.Rule{Name: "auth.login.phone_ip", Per: 5 * time.Minute, Burst: 10},
		LoginPhone:     rate.Rule{Name: "auth.login.phone", Per: 5 * time.Minute, Burst: 100},
		VerifyIP:       rate.Rule{Name: "auth.verify.ip", Per: 2 * time.Second, Burst: 60},
		RefreshIP:      rate.Rule{Name: "auth.refresh.ip", Per: 200 * time.Millisecond, Burst: 300},
		RefreshSession: rate.Rule{Name: "auth.refresh.session", Per: 5 * time.Second, Burst: 100},
		PasswordUser:   rate.Rule{Name: "auth.password.user", Per: 5 * time.Minute, Burst: 5},
	}
}

// Times returns limits that allow n times as much: for sandboxes and load tests,
// where one address is many people.
func (l Limits) Times(n int) Limits {
	for _, rule := range []*rate.Rule{
		&l.RegisterIP, &l.CodeIP, &l.CodePhoneIP, &l.CodePhone, &l.CodeBlock, &l.CodeCountry,
		&l.CodeDay, &l.NoticePhone,
		&l.LoginIP, &l.LoginDevice, &l.LoginPhoneIP, &l.LoginPhone, &l.VerifyIP,
		&l.RefreshIP, &l.RefreshSession, &l.PasswordUser,
	} {
		*rule = rule.Times(n)
	}
	return l
}

// codeChecks are the limits on sending a code.
func (l Limits) codeChecks(p purpose, to phone.E164, ip string) []rate.Check {
	checks := []rate.Check{
		{Rule: l.CodeIP, Subject: join(string(p), ip)},
		{Rule: l.CodePhoneIP, Subject: join(string(p), string(to), ip)},
		{Rule: l.CodePhone, Subject: join(string(p), string(to))},
		{Rule: l.CodeDay, Subject: to.DialCode()},
	}
	return append(checks, l.pumpingChecks(p, to)...)
}

// pumpingChecks are the limits on codes that nobody redeems. Codes for signing in
// are left out: they go only to accounts that exist, after the right password,
// and who pumps messages to a block of numbers must not lock its other owners out.
func (l Limits) pumpingChecks(p purpose, to phone.E164) []rate.Check {
	if p == purposeLogin {
		return nil
	}
	return []rate.Check{
		{Rule: l.CodeBlock, Subject: to.Block()},
		{Rule: l.CodeCountry, Subject: to.DialCode()},
	}
}

// redeemed gives back what was taken for the codes of a challenge that was
// solved.
func (s *Service) redeemed(ctx context.Context, solved store.Challenge) {
	checks := s.config.Limits.pumpingChecks(purpose(solved.Purpose), phone.E164(solved.PhoneNumber))
	for range solved.Sends {
		s.giveBack(ctx, checks...)
	}
}

// alarm tells operators, once a minute at the most, that codes are asked for in
// numbers that look like fraud. The log gets the country and no number.
func (s *Service) alarm(ctx context.Context, err error, to phone.E164) {
	var refused *rate.Refused
	if !errors.As(err, &refused) {
		return
	}
	limits := s.config.Limits
	switch refused.Rule.Name {
	case limits.CodeBlock.Name, limits.CodeCountry.Name, limits.CodeDay.Name:
	default:
		return
	}
	s.stats.codesRefused.Add(1)
	now, last := s.now().UnixNano(), s.alarmed.Load()
	if now-last >= int64(alarmInterval) && s.alarmed.CompareAndSwap(last, now) {
		s.log.WarnContext(ctx, "codes are refused: too many were asked for and not used",
			"limit", refused.Rule.Name, "dial_code", to.DialCode())
	}
}

const alarmInterval = time.Minute

// giveBack returns tokens after a success. A failure to do so makes limits a
// little stricter than they should be, which is no reason to fail the call.
func (s *Service) giveBack(ctx context.Context, checks ...rate.Check) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sideTimeout)
	defer cancel()
	if err := s.limiter.Return(ctx, checks...); err != nil {
		s.log.WarnContext(ctx, "a limit was not given back", "error", err)
	}
}

// sideTimeout bounds what happens beside a call that has succeeded already.
const sideTimeout = 5 * time.Second

// clientIP returns the subject of limits by address. Whoever has one IPv6
// address has 2⁶⁴ of them, so those count as one.
func clientIP(ctx context.Context) string {
	addr := rpc.ClientIP(ctx).Unmap()
	switch {
	case !addr.IsValid():
		return "unknown"
	case addr.Is4():
		return addr.String()
	default:
		prefix := netip.PrefixFrom(addr.WithZone(""), 64).Masked()
		return prefix.String()
	}
}

// join makes one subject of several parts; none of them contains a NUL.
func join(first string, more ...string) string {
	for _, m := range more {
		first += "\x00" + m
	}
	return first
}
