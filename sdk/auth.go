package tillbook

import (
	"context"
	"iter"

	"google.golang.org/protobuf/proto"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
)

// Auth registers people and signs them in and out. Whoever signs in last is the
// one that the client acts for.
//
// A call that sends a code or tries a password or a code is sent once: it is
// repeated only if it surely never left, since a second one could cost an SMS
// or one of the few tries.
type Auth struct {
	client *Client
	rpc    authv1connect.AuthServiceClient
}

// Register begins a registration and has a code sent by SMS. Nothing exists
// until VerifyPhone.
func (a *Auth) Register(ctx context.Context, request *RegisterRequest) (*Challenge, error) {
	response, err := a.rpc.Register(ctx, request)
	if err != nil {
		return nil, err
	}
	return response.GetChallenge(), nil
}

// VerifyPhone completes a registration with the code from the SMS and signs in.
func (a *Auth) VerifyPhone(ctx context.Context, challenge *Challenge, code string) (*User, error) {
	response, err := a.rpc.VerifyPhone(ctx, &authv1.VerifyPhoneRequest{
		ChallengeId: challenge.GetChallengeId(),
		Code:        code,
	})
	if err != nil {
		return nil, err
	}
	a.client.sessions.signIn(response.GetSession())
	return response.GetUser(), nil
}

// ResendCode has another code sent for a challenge and makes the first invalid.
func (a *Auth) ResendCode(ctx context.Context, challenge *Challenge) (*Challenge, error) {
	response, err := a.rpc.ResendCode(ctx, &authv1.ResendCodeRequest{ChallengeId: challenge.GetChallengeId()})
	if err != nil {
		return nil, err
	}
	return response.GetChallenge(), nil
}

// Login signs in. On a device that was verified before, whose token the client
// still has, it is done when Login returns, and the challenge is nil. Else a
// code was sent by SMS: answer the challenge with VerifyLogin.
func (a *Auth) Login(ctx context.Context, request *LoginRequest) (*Challenge, error) {
	if request.GetDeviceToken() == "" {
		request = proto.CloneOf(request)
		request.DeviceToken = a.client.Session().GetDeviceToken()
	}
	response, err := a.rpc.Login(ctx, request)
	if err != nil {
		return nil, err
	}
	if challenge := response.GetChallenge(); challenge != nil {
		return challenge, nil
	}
	a.client.sessions.signIn(response.GetSession())
	return nil, nil
}

// VerifyLogin completes a sign-in with the code from the SMS.
func (a *Auth) VerifyLogin(ctx context.Context, challenge *Challenge, code string) (*User, error) {
	response, err := a.rpc.VerifyLogin(ctx, &authv1.VerifyLoginRequest{
		ChallengeId: challenge.GetChallengeId(),
		Code:        code,
	})
	if err != nil {
		return nil, err
	}
	a.client.sessions.signIn(response.GetSession())
	return response.GetUser(), nil
}

// Logout ends the session. The device's token is kept, so that the next Login
// needs no code. A session that has ended already is no error.
func (a *Auth) Logout(ctx context.Context) error {
	_, err := a.rpc.Logout(ctx, &authv1.LogoutRequest{})
	if err != nil && !isFinal(asError(err)) {
		return err
	}
	a.client.sessions.signOut()
	return nil
}

// Sessions lists the user's live sessions, newest first.
func (a *Auth) Sessions(ctx context.Context) iter.Seq2[*SessionSummary, error] {
	return pages(ctx, "", func(ctx context.Context, token string) ([]*SessionSummary, string, error) {
		response, err := a.rpc.ListSessions(ctx, &authv1.ListSessionsRequest{PageToken: token})
		return response.GetSessions(), response.GetNextPageToken(), err
	})
}

// RevokeSession ends one of the user's sessions, such as a lost phone's.
func (a *Auth) RevokeSession(ctx context.Context, sessionID string) error {
	_, err := a.rpc.RevokeSession(ctx, &authv1.RevokeSessionRequest{SessionId: sessionID})
	return err
}

// ChangePassword replaces the password and ends all the user's other sessions.
func (a *Auth) ChangePassword(ctx context.Context, request *ChangePasswordRequest) error {
	_, err := a.rpc.ChangePassword(ctx, request)
	return err
}

// StartPasswordReset has a code sent to the number, if it has an account.
func (a *Auth) StartPasswordReset(ctx context.Context, phoneNumber string) (*Challenge, error) {
	response, err := a.rpc.StartPasswordReset(ctx, &authv1.StartPasswordResetRequest{PhoneNumber: phoneNumber})
	if err != nil {
		return nil, err
	}
	return response.GetChallenge(), nil
}

// CompletePasswordReset sets a new password with the code and ends all the
// user's sessions. Login afterwards.
func (a *Auth) CompletePasswordReset(ctx context.Context, request *CompletePasswordResetRequest) error {
	_, err := a.rpc.CompletePasswordReset(ctx, request)
	return err
}

// Me returns the user who is signed in.
func (a *Auth) Me(ctx context.Context) (*User, error) {
	response, err := a.rpc.GetMe(ctx, &authv1.GetMeRequest{})
	if err != nil {
		return nil, err
	}
	return response.GetUser(), nil
}
