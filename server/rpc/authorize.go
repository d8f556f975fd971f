package rpc

import (
	"context"
	"strings"

	"connectrpc.com/connect/v2"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
)

// Authorize finds out who calls and lets through whom the policy allows. It runs
// before the request is read. Procedures without a policy are refused.
//
// A public procedure doesn't look at credentials: a client that still holds an
// expired token can sign in anew.
func Authorize(auth Authenticator, sandbox bool) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			c := callFrom(ctx)
			if spec.Schema == nil {
				// Nobody registered it: the fallback answers, and has nothing to guard.
				return next(ctx, spec, stream)
			}
			switch c.policy.Access {
			case Public:
			case Sandbox:
				if !sandbox {
					return errUnknownProcedure
				}
			case User:
				if err := c.authenticate(ctx, auth, KindUser); err != nil {
					return err
				}
			case Operator:
				if err := c.authenticate(ctx, auth, KindOperator); err != nil {
					return err
				}
			default:
				return errDenied
			}
			return next(ctx, spec, stream)
		}
	}
}

func (c *call) authenticate(ctx context.Context, auth Authenticator, want PrincipalKind) error {
	info, ok := connect.CallInfoForServerContext(ctx)
	if !ok {
		return errNoCredentials
	}
	token, ok := bearer(info.RequestHeader().Get("Authorization"))
	if !ok {
		return errNoCredentials
	}
	p, err := auth.Authenticate(ctx, token)
	if err != nil {
		return err
	}
	if p.Kind != want {
		return errDenied
	}
	c.principal = p
	return nil
}

// bearer takes the token out of an Authorization header.
func bearer(header string) (string, bool) {
	const scheme = "bearer "
	if len(header) <= len(scheme) || !strings.EqualFold(header[:len(scheme)], scheme) {
		return "", false
	}
	token := strings.TrimSpace(header[len(scheme):])
	return token, token != ""
}

// UnknownProcedure serves what nobody registered, so that even then the error
// looks like all others.
func UnknownProcedure(context.Context, connect.Spec, connect.ServerStream) error {
	return errUnknownProcedure
}

var (
	errNoCredentials = NewError(errorv1.ErrorReason_ERROR_REASON_UNAUTHENTICATED,
		"Send an access token in the header \"Authorization: Bearer …\".")
	errDenied = NewError(errorv1.ErrorReason_ERROR_REASON_PERMISSION_DENIED,
		"You may not call this procedure.")
	errUnknownProcedure = NewError(errorv1.ErrorReason_ERROR_REASON_UNIMPLEMENTED,
		"This server has no such procedure.")
)
