package auth

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
	"github.com/tillbook/tillbook/server/phone"
	"github.com/tillbook/tillbook/server/rate"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
)

var (
	_ authv1connect.AuthServiceHandler = (*Service)(nil)
	_ rpc.Authenticator                = (*Service)(nil)
)

// Register starts a registration. What depends on whether the number has an
// account is only what the challenge and the message hold.
func (s *Service) Register(ctx context.Context, req *authv1.RegisterRequest) (*authv1.RegisterResponse, error) {
	number, err := s.registrable(req.GetPhoneNumber())
	if err != nil {
		return nil, err
	}
	if err := checkPassword("password", req.GetPassword()); err != nil {
		return nil, err
	}
	if err := checkOwnPassword("password", req.GetPassword(), number, req.GetUsername()); err != nil {
		return nil, err
	}
	if err := s.limiter.Allow(ctx, s.config.Limits.RegisterIP, clientIP(ctx)); err != nil {
		return nil, err
	}
	found, err := s.store.Queries().FindRegistration(ctx, store.FindRegistrationParams{
		PhoneNumber: string(number), Username: req.GetUsername(),
	})
	if err != nil {
		return nil, fmt.Errorf("find a registration: %w", err)
	}
	if found.UsernameTaken {
		return nil, errUsernameTaken
	}
	// Before the password is hashed: who asks for thousands of codes must not keep
	// the hasher from those who sign in.
	place, err := s.mayMessage(ctx, purposeRegister, number)
	if err != nil {
		return nil, err
	}
	defer place.release()
	hash, err := s.hasher.hash(ctx, req.GetPassword())
	if err != nil {
		s.giveBack(ctx, s.config.Limits.codeChecks(purposeRegister, number, clientIP(ctx))...)
		return nil, err
	}
	a := asked{purpose: purposeRegister, phone: number, deviceName: req.GetDeviceName()}
	if !found.PhoneKnown {
		a.username, a.passwordHash = &req.Username, &hash
	}
	challenge, err := s.challenge(ctx, s.store.Queries(), a, place)
	if err != nil {
		return nil, err
	}
	return &authv1.RegisterResponse{Challenge: challenge}, nil
}

// VerifyPhone completes a registration.
func (s *Service) VerifyPhone(ctx context.Context, req *authv1.VerifyPhoneRequest) (*authv1.VerifyPhoneResponse, error) {
	if err := s.limiter.Allow(ctx, s.config.Limits.VerifyIP, clientIP(ctx)); err != nil {
		return nil, err
	}
	solved, err := s.solve(ctx, purposeRegister, req.GetChallengeId(), req.GetCode())
	if err != nil {
		return nil, err
	}
	user, st, err := s.enter(ctx, solved, s.addUser)
	switch {
	case errors.Is(err, store.ErrUsernameTaken):
		return nil, errUsernameTaken
	case errors.Is(err, store.ErrPhoneTaken):
		// Another registration of this number was faster; sign in instead.
		return nil, errCodeExpired
	case err != nil:
		return nil, err
	}
	s.redeemed(ctx, solved)
	session, err := s.hand(st)
	if err != nil {
		return nil, err
	}
	return &authv1.VerifyPhoneResponse{Session: session, User: userMessage(user)}, nil
}

// ResendCode sends a new code for a challenge. For a decoy it sends none, and
// says the same.
func (s *Service) ResendCode(ctx context.Context, req *authv1.ResendCodeRequest) (*authv1.ResendCodeResponse, error) {
	challengeID, err := id.Parse(id.Challenge, req.GetChallengeId())
	if err != nil {
		return nil, errCodeExpired
	}
	if err := s.limiter.Allow(ctx, s.config.Limits.VerifyIP, clientIP(ctx)); err != nil {
		return nil, err
	}
	row, err := s.store.Queries().GetChallenge(ctx, challengeID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errCodeExpired
	}
	if err != nil {
		return nil, fmt.Errorf("read a challenge: %w", err)
	}
	if !resendable(row, s.now()) {
		return nil, whyNotResent(row, s.now())
	}
	place, err := s.mayMessage(ctx, purpose(row.Purpose), phone.E164(row.PhoneNumber))
	if err != nil {
		return nil, err
	}
	defer place.release()
	challenge, err := s.renew(ctx, row, place)
	if err != nil {
		return nil, err
	}
	return &authv1.ResendCodeResponse{Challenge: challenge}, nil
}

// Login checks the password and then either starts a session, on a device that
// was verified before, or a challenge.
func (s *Service) Login(ctx context.Context, req *authv1.LoginRequest) (*authv1.LoginResponse, error) {
	number, err := phone.Parse(req.GetPhoneNumber())
	if err != nil {
		return nil, errCredentialsInvalid
	}
	if err := s.limiter.Allow(ctx, s.config.Limits.LoginIP, clientIP(ctx)); err != nil {
		return nil, err
	}
	who, err := s.findLogin(ctx, number, req.GetDeviceToken())
	if err != nil {
		return nil, err
	}
	failures := s.loginFailures(ctx, number, who)
	if err := s.limiter.AllowAll(ctx, failures...); err != nil {
		return nil, err
	}
	match, stale, err := s.hasher.verify(ctx, req.GetPassword(), who.hash)
	if err != nil {
		s.giveBack(ctx, failures...)
		return nil, err
	}
	if !match {
		s.addRefusal(ctx, eventSignInRefused, who.user)
		return nil, errCredentialsInvalid
	}
	s.giveBack(ctx, failures...)
	if stale {
		s.rehash(ctx, who, req.GetPassword())
	}
	if who.device != nil {
		session, err := s.loginKnown(ctx, who, req.GetDeviceName())
		if !errors.Is(err, errDeviceGone) {
			return &authv1.LoginResponse{Result: &authv1.LoginResponse_Session{Session: session}}, err
		}
	}
	challenge, err := s.loginNew(ctx, who, req.GetDeviceName())
	if err != nil {
		return nil, err
	}
	return &authv1.LoginResponse{Result: &authv1.LoginResponse_Challenge{Challenge: challenge}}, nil
}

// VerifyLogin completes a sign-in on a new device.
func (s *Service) VerifyLogin(ctx context.Context, req *authv1.VerifyLoginRequest) (*authv1.VerifyLoginResponse, error) {
	if err := s.limiter.Allow(ctx, s.config.Limits.VerifyIP, clientIP(ctx)); err != nil {
		return nil, err
	}
	solved, err := s.solve(ctx, purposeLogin, req.GetChallengeId(), req.GetCode())
	if err != nil {
		return nil, err
	}
	user, st, err := s.enter(ctx, solved, shareUser)
	if err != nil {
		return nil, err
	}
	session, err := s.hand(st)
	if err != nil {
		return nil, err
	}
	return &authv1.VerifyLoginResponse{Session: session, User: userMessage(user)}, nil
}

// Refresh exchanges a refresh token for a new pair of tokens.
func (s *Service) Refresh(ctx context.Context, req *authv1.RefreshRequest) (*authv1.RefreshResponse, error) {
	if err := s.limiter.Allow(ctx, s.config.Limits.RefreshIP, clientIP(ctx)); err != nil {
		return nil, err
	}
	token, ok := parseOpaque(refreshPrefix, req.GetRefreshToken())
	if !ok {
		return nil, errRefreshTokenInvalid
	}
	found, err := s.store.Queries().FindRefreshToken(ctx, token.hash())
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errRefreshTokenInvalid
	}
	if err != nil {
		return nil, fmt.Errorf("find a refresh token: %w", err)
	}
	if err := s.limiter.Allow(ctx, s.config.Limits.RefreshSession, found.SessionID.String()); err != nil {
		return nil, err
	}
	var out refreshed
	err = s.store.InTx(ctx, func(ctx context.Context, q *store.Queries, _ pgx.Tx) error {
		out, err = s.refresh(ctx, q, token, found)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.revoked.add(out.ended...)
	switch out.verdict {
	case rotate, repeat:
		session, err := s.tokensOf(out.session, out.next)
		return &authv1.RefreshResponse{Session: session}, err
	case reused:
		s.log.WarnContext(ctx, "a refresh token came back; its session was ended",
			"session", id.Format(id.Session, out.session.ID))
		return nil, errSessionRevoked
	default:
		return nil, errSessionRevoked
	}
}

// Logout ends the calling session. The device stays known.
func (s *Service) Logout(ctx context.Context, _ *authv1.LogoutRequest) (*authv1.LogoutResponse, error) {
	caller := rpc.PrincipalFrom(ctx)
	err := s.end(ctx, func(ctx context.Context, q *store.Queries) ([]uuid.UUID, error) {
		return s.endSession(ctx, q, caller.User, caller.Session, endLogout)
	})
	if err != nil {
		return nil, err
	}
	return &authv1.LogoutResponse{}, nil
}

// ListSessions lists the caller's live sessions.
func (s *Service) ListSessions(ctx context.Context, req *authv1.ListSessionsRequest) (*authv1.ListSessionsResponse, error) {
	caller := rpc.PrincipalFrom(ctx)
	kind := rpc.PageKind("ListSessions", caller.User.String())
	before := uuid.Max
	if token := req.GetPageToken(); token != "" {
		if err := rpc.DecodePageToken(kind, token, &before); err != nil {
			return nil, err
		}
	}
	size := rpc.PageSize(req.GetPageSize())
	rows, err := s.store.Queries().ListSessions(ctx, store.ListSessionsParams{
		UserID: caller.User, BeforeID: before, Now: s.now(), MaxRows: int32(size + 1),
	})
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	res := &authv1.ListSessionsResponse{}
	if len(rows) > size {
		rows = rows[:size]
		res.NextPageToken = rpc.EncodePageToken(kind, rows[size-1].ID)
	}
	for _, row := range rows {
		res.Sessions = append(res.Sessions, summary(row, caller.Session))
	}
	return res, nil
}

// RevokeSession ends one of the caller's sessions and forgets its device. Doing
// so again, or after the session expired, does no harm.
func (s *Service) RevokeSession(ctx context.Context, req *authv1.RevokeSessionRequest) (*authv1.RevokeSessionResponse, error) {
	caller := rpc.PrincipalFrom(ctx)
	sessionID, err := id.Parse(id.Session, req.GetSessionId())
	if err != nil {
		return nil, errNoSession
	}
	err = s.end(ctx, func(ctx context.Context, q *store.Queries) ([]uuid.UUID, error) {
		return s.revokeSession(ctx, q, caller.User, sessionID)
	})
	if err != nil {
		return nil, err
	}
	return &authv1.RevokeSessionResponse{}, nil
}

// ChangePassword replaces the password and ends all other sessions.
func (s *Service) ChangePassword(ctx context.Context, req *authv1.ChangePasswordRequest) (*authv1.ChangePasswordResponse, error) {
	caller := rpc.PrincipalFrom(ctx)
	if err := checkPassword("new_password", req.GetNewPassword()); err != nil {
		return nil, err
	}
	failures := rate.Check{Rule: s.config.Limits.PasswordUser, Subject: caller.User.String()}
	if err := s.limiter.Allow(ctx, failures.Rule, failures.Subject); err != nil {
		return nil, err
	}
	user, err := s.store.Queries().GetUser(ctx, caller.User)
	if err != nil {
		return nil, fmt.Errorf("read a user: %w", err)
	}
	match, _, err := s.hasher.verify(ctx, req.GetCurrentPassword(), user.PasswordHash)
	if err != nil {
		s.giveBack(ctx, failures)
		return nil, err
	}
	if !match {
		return nil, errPasswordWrong
	}
	s.giveBack(ctx, failures)
	if err := checkOwnPassword("new_password", req.GetNewPassword(), phone.E164(user.PhoneNumber), user.Username); err != nil {
		return nil, err
	}
	err = s.setPassword(ctx, user, req.GetNewPassword(), passwordChange{kept: caller.Session})
	if err != nil {
		return nil, err
	}
	return &authv1.ChangePasswordResponse{}, nil
}

// StartPasswordReset sends a code if the number has an account, and does all but
// that if it has none.
func (s *Service) StartPasswordReset(ctx context.Context, req *authv1.StartPasswordResetRequest) (*authv1.StartPasswordResetResponse, error) {
	number, err := phone.Parse(req.GetPhoneNumber())
	if err != nil {
		return nil, err
	}
	place, err := s.mayMessage(ctx, purposePasswordReset, number)
	if err != nil {
		return nil, err
	}
	defer place.release()
	who, err := s.findLogin(ctx, number, "")
	if err != nil {
		return nil, err
	}
	a := asked{purpose: purposePasswordReset, phone: number, user: who.user}
	challenge, err := s.challenge(ctx, s.store.Queries(), a, place)
	if err != nil {
		return nil, err
	}
	return &authv1.StartPasswordResetResponse{Challenge: challenge}, nil
}

// CompletePasswordReset sets a new password, ends all sessions and forgets all
// devices.
func (s *Service) CompletePasswordReset(ctx context.Context, req *authv1.CompletePasswordResetRequest) (*authv1.CompletePasswordResetResponse, error) {
	if err := checkPassword("new_password", req.GetNewPassword()); err != nil {
		return nil, err
	}
	if err := s.limiter.Allow(ctx, s.config.Limits.VerifyIP, clientIP(ctx)); err != nil {
		return nil, err
	}
	solved, err := s.solve(ctx, purposePasswordReset, req.GetChallengeId(), req.GetCode())
	if err != nil {
		return nil, err
	}
	user, err := s.store.Queries().GetUser(ctx, *solved.UserID)
	if err != nil {
		return nil, fmt.Errorf("read a user: %w", err)
	}
	number := phone.E164(user.PhoneNumber)
	if err := checkOwnPassword("new_password", req.GetNewPassword(), number, user.Username); err != nil {
		return nil, err
	}
	err = s.setPassword(ctx, user, req.GetNewPassword(), passwordChange{reset: &solved})
	if err != nil {
		return nil, err
	}
	s.redeemed(ctx, solved)
	s.unlock(ctx, number)
	return &authv1.CompletePasswordResetResponse{}, nil
}

// GetMe returns the caller.
func (s *Service) GetMe(ctx context.Context, _ *authv1.GetMeRequest) (*authv1.GetMeResponse, error) {
	user, err := s.store.Queries().GetUser(ctx, rpc.PrincipalFrom(ctx).User)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errNoUser
	}
	if err != nil {
		return nil, fmt.Errorf("read a user: %w", err)
	}
	return &authv1.GetMeResponse{User: userMessage(user)}, nil
}
