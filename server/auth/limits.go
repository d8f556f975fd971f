package auth

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/tillbook/tillbook/server/limit"
	"github.com/tillbook/tillbook/server/phone"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
)

// Limits are the limits on the procedures of this package.
type Limits struct {
	// RegisterIP bounds registrations from one address, tried names included.
	RegisterIP limit.Rule
	// CodeIP bounds the codes that one address has sent, for each purpose.
	CodeIP limit.Rule
	// CodePhoneIP bounds the codes that one address has sent to one number, for
	// each purpose, so that it can't use up CodePhone alone.
	CodePhoneIP limit.Rule
	// CodePhone bounds the codes sent to one number, for each purpose.
	CodePhone limit.Rule
	// CodeBlock bounds the codes sent to ten thousand neighbouring numbers that
	// were not redeemed: fraud rents such blocks and never redeems.
	CodeBlock limit.Rule
	// CodeCountry does the same for a whole dial code.
	CodeCountry limit.Rule
	// CodeDay bounds all codes sent to a dial code, redeemed or not: the most that
	// a day can cost.
	CodeDay limit.Rule
	// NoticePhone bounds the messages to one number that tell of a changed
	// password; more of them are left out.
	NoticePhone limit.Rule
	// LoginIP bounds sign-ins from one address.
	LoginIP limit.Rule
	// LoginDevice bounds failures on a device that was verified before.
	LoginDevice limit.Rule
	// LoginPhoneIP bounds one address's failures with one number on devices that
	// were not.
	LoginPhoneIP limit.Rule
	// LoginPhone bounds everybody's failures with one number on such devices.
	LoginPhone limit.Rule
	// VerifyIP bounds the codes that one address tries.
	VerifyIP limit.Rule
	// RefreshIP bounds the refreshes from one address.
	RefreshIP limit.Rule
	// RefreshSession bounds the refreshes of one session.
	RefreshSession limit.Rule
	// PasswordUser bounds a user's failures to give the password in force.
	PasswordUser limit.Rule
}

// DefaultLimits returns the limits for production.
func DefaultLimits() Limits {
	return Limits{
		RegisterIP:     limit.Rule{Name: "auth.register.ip", Per: time.Minute, Burst: 20},
		CodeIP:         limit.Rule{Name: "auth.code.ip", Per: 2 * time.Minute, Burst: 20},
		CodePhoneIP:    limit.Rule{Name: "auth.code.phone_ip", Per: 30 * time.Minute, Burst: 5},
		CodePhone:      limit.Rule{Name: "auth.code.phone", Per: time.Hour, Burst: 10},
		CodeBlock:      limit.Rule{Name: "auth.code.block", Per: 10 * time.Minute, Burst: 30},
		CodeCountry:    limit.Rule{Name: "auth.code.country", Per: 5 * time.Second, Burst: 500},
		CodeDay:        limit.Rule{Name: "auth.code.day", Per: 2 * time.Second, Burst: 20_000},
		NoticePhone:    limit.Rule{Name: "auth.notice.phone", Per: time.Hour, Burst: 3},
		LoginIP:        limit.Rule{Name: "auth.login.ip", Per: 5 * time.Second, Burst: 60},
		LoginDevice:    limit.Rule{Name: "auth.login.device", Per: time.Minute, Burst: 10},
		LoginPhoneIP:   limit.Rule{Name: "auth.login.phone_ip", Per: 5 * time.Minute, Burst: 10},
		LoginPhone:     limit.Rule{Name: "auth.login.phone", Per: 5 * time.Minute, Burst: 100},
		VerifyIP:       limit.Rule{Name: "auth.verify.ip", Per: 2 * time.Second, Burst: 60},
		RefreshIP:      limit.Rule{Name: "auth.refresh.ip", Per: 200 * time.Millisecond, Burst: 300},
		RefreshSession: limit.Rule{Name: "auth.refresh.session", Per: 5 * time.Second, Burst: 100},
		PasswordUser:   limit.Rule{Name: "auth.password.user", Per: 5 * time.Minute, Burst: 5},
	}
}

// Times returns limits that allow n times as much: for sandboxes and load tests,
// where one address is many people.
func (l Limits) Times(n int) Limits {
	for _, rule := range []*limit.Rule{
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
func (l Limits) codeChecks(p purpose, to phone.E164, ip string) []limit.Check {
	checks := []limit.Check{
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
func (l Limits) pumpingChecks(p purpose, to phone.E164) []limit.Check {
	if p == purposeLogin {
		return nil
	}
	return []limit.Check{
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
	var refused *limit.Refused
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
func (s *Service) giveBack(ctx context.Context, checks ...limit.Check) {
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
