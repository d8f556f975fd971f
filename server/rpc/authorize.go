package rpc

import (
	"context"
	"strings"
	"time"

	"connectrpc.com/connect/v2"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
)

// recheckEvery is how soon a stream notices that its caller was signed out.
const recheckEvery = 10 * time.Second

// Authorize finds out who calls and lets through whom the policy allows. It runs
// before the request is read. Procedures without a policy are refused.
//
// A public procedure doesn't look at credentials: a client that still holds an
// expired token can sign in anew.
//
// On a stream the credentials are looked at again and again. It ends when the
// session does, and with STREAM_MOVED when the token expires, so that the client
// opens it anew with a fresh one.
//
// Every call of an operator is recorded before it is served or denied, so that
// nothing is done without a record. If it can't be recorded it is refused.
//
// Terminals prove who they are with an assertion, which opens nothing but what is
// theirs.
func Authorize(auth Authenticator, terminals TerminalAuthenticator, sandbox bool, record RecordFunc) connect.ServerInterceptor {
	return authorize(auth, terminals, sandbox, record, recheckEvery)
}

func authorize(auth Authenticator, terminals TerminalAuthenticator, sandbox bool, record RecordFunc, recheck time.Duration) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			c := callFrom(ctx)
			want := KindAnonymous
			switch c.policy.Access {
			case Public:
				return next(ctx, spec, stream)
			case Sandbox:
				if !sandbox {
					return errUnknownProcedure
				}
				return next(ctx, spec, stream)
			case User:
				want = KindUser
			case Operator:
				want = KindOperator
			case Terminal:
				return serveTerminal(ctx, terminals, spec, func(ctx context.Context) error { return next(ctx, spec, stream) })
			default:
				if spec.Schema == nil { // nobody registered it
					return errUnknownProcedure
				}
				return errDenied
			}
			token, err := credentials(ctx, bearerScheme, errNoCredentials)
			if err != nil {
				return err
			}
			if c.principal, err = auth.Authenticate(ctx, token); err != nil {
				return err
			}
			denied := c.principal.Kind != want
			if c.principal.Kind == KindOperator {
				if err := recordCall(ctx, record, spec.Procedure, denied); err != nil {
					return err
				}
			}
			if denied {
				return errDenied
			}
			if spec.StreamType == connect.StreamTypeUnary {
				return next(ctx, spec, stream)
			}
			return whileAdmitted(ctx, recheck,
				func(ctx context.Context) error { return readmit(ctx, auth, token, want) },
				func(ctx context.Context) error { return next(ctx, spec, stream) })
		}
	}
}

func readmit(ctx context.Context, auth Authenticator, token string, want PrincipalKind) error {
	p, err := auth.Authenticate(ctx, token)
	if err == nil && p.Kind != want {
		err = errDenied
	}
	return err
}

// whileAdmitted runs serve until it returns or the caller is no longer admitted.
func whileAdmitted(ctx context.Context, every time.Duration, admit, serve func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var timer *time.Timer
	ready := make(chan struct{})
	timer = time.AfterFunc(every, func() {
		<-ready // timer is set
		switch err := admit(ctx); {
		case ctx.Err() != nil:
		case err == nil:
			timer.Reset(every)
		case ReasonOf(err) == errorv1.ErrorReason_ERROR_REASON_TOKEN_EXPIRED:
			cancel(errStreamMoved)
		default:
			cancel(AsError(err))
		}
	})
	close(ready)
	defer timer.Stop()
	err := serve(ctx)
	if ended, ok := context.Cause(ctx).(*Error); ok && err != nil { //nolint:errorlint // only what is set above
		return ended
	}
	return err
}

// serveTerminal serves one call of a terminal.
func serveTerminal(ctx context.Context, terminals TerminalAuthenticator, spec connect.Spec, serve func(context.Context) error) error {
	assertion, err := credentials(ctx, terminalScheme, errNoAssertion)
	if err != nil {
		return err
	}
	c := callFrom(ctx)
	authenticate := func() (err error) {
		c.principal, err = terminals.AuthenticateTerminal(ctx, assertion)
		return err
	}
	if spec.StreamType == connect.StreamTypeUnary {
		err = authenticate()
	} else {
		err = Aside(authenticate)
	}
	if err != nil {
		return err
	}
	return serve(ctx)
}

// The schemes of the Authorization header.
const (
	bearerScheme   = "bearer "
	terminalScheme = "terminal "
)

// credentials takes what stands behind a scheme out of the Authorization header.
// What people and operators hold and what terminals sign never stand for each
// other.
func credentials(ctx context.Context, scheme string, missing *Error) (string, error) {
	info, ok := connect.CallInfoForServerContext(ctx)
	if !ok {
		return "", missing
	}
	header := info.RequestHeader().Get("Authorization")
	if len(header) <= len(scheme) || !strings.EqualFold(header[:len(scheme)], scheme) {
		return "", missing
	}
	token := strings.TrimSpace(header[len(scheme):])
	if token == "" {
		return "", missing
	}
	return token, nil
}

// UnknownProcedure serves what nobody registered, so that even then the error
// looks like all others.
func UnknownProcedure(context.Context, connect.Spec, connect.ServerStream) error {
	return errUnknownProcedure
}

var (
	errNoCredentials = NewError(errorv1.ErrorReason_ERROR_REASON_UNAUTHENTICATED,
		"Send an access token in the header \"Authorization: Bearer …\".")
	errNoAssertion = NewError(errorv1.ErrorReason_ERROR_REASON_UNAUTHENTICATED,
		"Send an assertion of a terminal in the header \"Authorization: Terminal …\".")
	errDenied = NewError(errorv1.ErrorReason_ERROR_REASON_PERMISSION_DENIED,
		"You may not call this procedure.")
	errUnknownProcedure = NewError(errorv1.ErrorReason_ERROR_REASON_UNIMPLEMENTED,
		"This server has no such procedure.")
)
