package tillbook

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tillbook/tillbook/gen/tillbook/audit/v1/auditv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/ledger/v1/ledgerv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/limit/v1/limitv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/sandbox/v1/sandboxv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/seal/v1/sealv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/terminal/v1/terminalv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/user/v1/userv1connect"
)

// call is a procedure as this package treats it.
type call struct {
	spec connect.Spec
	name string // "WalletService/Transfer"
	// money is whether the request, or each of its items, carries an idempotency
	// key.
	money bool
}

func callOf(spec connect.Spec) call {
	name := strings.TrimPrefix(spec.Procedure, "/")
	if slash := strings.LastIndexByte(name, '/'); slash > 0 {
		name = name[strings.LastIndexByte(name[:slash], '.')+1:]
	}
	method, ok := spec.Schema.(protoreflect.MethodDescriptor)
	return call{
		spec:  spec,
		name:  name,
		money: ok && (keyField(method.Input()) != nil || itemsField(method.Input()) != nil),
	}
}

// timeouts returns how long the call may take in all if the caller set no
// deadline, and how long one attempt of it may.
func (c call) timeouts(standard time.Duration) (whole, attempt time.Duration) {
	switch c.spec.Procedure {
	case ledgerv1connect.LedgerServiceVerifyProcedure:
		return 30 * time.Minute, 30 * time.Minute // Reads all the books.
	case ledgerv1connect.LedgerServiceGetTrialBalanceProcedure:
		return time.Minute, time.Minute // Reads all accounts.
	}
	return standard, attemptTimeout
}

// attemptTimeout bounds one attempt of a call that may be retried, so that a
// connection that hangs leaves time for a better one.
const attemptTimeout = 10 * time.Second

// retriable is whether the schema says that repeating the call is harmless.
func (c call) retriable() bool {
	return c.spec.IdempotencyLevel != connect.IdempotencyUnknown
}

// public procedures take no credentials; those of the sandbox don't either.
var public = map[string]bool{
	authv1connect.AuthServiceRegisterProcedure:              true,
	authv1connect.AuthServiceVerifyPhoneProcedure:           true,
	authv1connect.AuthServiceResendCodeProcedure:            true,
	authv1connect.AuthServiceLoginProcedure:                 true,
	authv1connect.AuthServiceVerifyLoginProcedure:           true,
	authv1connect.AuthServiceRefreshProcedure:               true,
	authv1connect.AuthServiceStartPasswordResetProcedure:    true,
	authv1connect.AuthServiceCompletePasswordResetProcedure: true,
	sealv1connect.SealServiceGetCheckpointProcedure:         true,
	sealv1connect.SealServiceGetConsistencyProofProcedure:   true,
	terminalv1connect.TerminalServiceActivateProcedure:      true,
	sandboxv1connect.SandboxServiceListMessagesProcedure:    true,
	sandboxv1connect.SandboxServiceFundProcedure:            true,
}

// intercept is where every call passes: it adds credentials and idempotency
// keys, retries, and gives errors their shape.
func (c *Client) intercept(next connect.ClientFunc) connect.ClientFunc {
	return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
		switch spec.StreamType {
		case connect.StreamTypeUnary:
			return &unaryCall{client: c, call: callOf(spec), ctx: ctx, next: next}, nil
		default:
			return c.openStream(ctx, callOf(spec), next)
		}
	}
}

// unaryCall collects the request and runs all attempts when the response is
// asked for.
type unaryCall struct {
	client *Client
	call   call
	ctx    context.Context
	next   connect.ClientFunc

	request any
	key     string
}

func (u *unaryCall) SendHeaders() error { return nil }
func (u *unaryCall) CloseSend() error   { return nil }
func (u *unaryCall) Close() error       { return nil }

// Send keeps the request, with an idempotency key.
func (u *unaryCall) Send(request any) error {
	u.request = request
	if message, ok := request.(proto.Message); ok && u.call.money {
		u.request, u.key = withKeys(message)
	}
	return nil
}

// Receive sends the request, as often as it may be sent and has to be, and
// reads the response.
func (u *unaryCall) Receive(response any) error {
	whole, each := u.call.timeouts(u.client.timeout)
	ctx := u.ctx
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, whole)
		defer cancel()
	}
	unknown, refreshed := false, false
	for n := 1; ; {
		bearer, err := u.client.bearer(ctx, u.call)
		if err != nil {
			u.settle(err, unknown)
			return err // A refresh has retries of its own.
		}
		if err = u.attempt(ctx, each, bearer, response); err == nil {
			return nil
		}
		unknown = u.settle(err, unknown)
		if err.Reason == ReasonTokenExpired && !refreshed {
			refreshed = true // Refused before anything else was looked at.
			continue
		}
		if n > u.client.retries || ctx.Err() != nil || err.RetryAfter > retryAfterCap ||
			!mayRetry(u.call.spec.IdempotencyLevel, err) {
			return err
		}
		if !pause(ctx, backoff(n, err.RetryAfter, jitter())) {
			err.cause = errors.Join(err.cause, ctx.Err())
			return err
		}
		n++
	}
}

// settle fills in what became of the money. It returns whether that is open
// after this attempt, given that it was or wasn't before. A refusal says what
// became of its own attempt; only a decision under the idempotency key speaks
// for the earlier ones too.
func (u *unaryCall) settle(err *Error, unknown bool) bool {
	if !u.call.money {
		return false
	}
	err.IdempotencyKey = u.key
	switch {
	case decisions[err.Reason], err.Outcome == OutcomeExecuted:
		unknown = false
	case err.Outcome == OutcomeUnknown:
		unknown = true
	case err.Outcome == OutcomeUnspecified && err.sent:
		unknown = unknown || !refusedOutside(err)
	}
	switch {
	case unknown:
		err.Outcome = OutcomeUnknown
	case err.Outcome == OutcomeUnspecified:
		err.Outcome = OutcomeNotExecuted
	}
	return unknown
}

// decisions are the refusals that come from a look at the idempotency key and then
// at the money: none of them is given for a request that was executed before.
var decisions = map[Reason]bool{
	ReasonInsufficientFunds:      true,
	ReasonLimitExceeded:          true,
	ReasonRecipientLimitExceeded: true,
	ReasonHoldExpired:            true,
	ReasonHoldClosed:             true,
	ReasonHoldExceeded:           true,
	ReasonRefundExceeded:         true,
	ReasonPaymentRequestExpired:  true,
	ReasonPaymentRequestClosed:   true,
}

// operated are the services whose calls an operator's key is for.
var operated = []string{
	auditv1connect.AuditServiceName, ledgerv1connect.LedgerServiceName, limitv1connect.LimitServiceName, userv1connect.UserServiceName,
}

// operatedAlone are procedures of other services whose calls it is for.
var operatedAlone = []string{
	merchantv1connect.MerchantServiceSetFeePlanProcedure, merchantv1connect.MerchantServiceListFeePlansProcedure,
	merchantv1connect.MerchantServiceAssignFeePlanProcedure,
}

// refusedOutside reports whether an answer without an outcome comes from
// something that let the request go no further.
func refusedOutside(err *Error) bool {
	switch err.Code {
	case connect.CodeUnauthenticated, connect.CodePermissionDenied, connect.CodeUnimplemented:
		return true
	}
	return false
}

// attempt sends the request once.
func (u *unaryCall) attempt(ctx context.Context, timeout time.Duration, bearer string, response any) *Error {
	attemptCtx, cancel := u.attemptContext(ctx, timeout)
	defer cancel() // Instead of Close, which would send a request that was never begun.
	f := &flight{}
	failure := u.exchange(f.follow(attemptCtx), bearer, response)
	if failure == nil {
		return nil
	}
	err := u.client.describe(ctx, u.call, failure, f)
	u.client.sessions.heed(bearer, err)
	return err
}

// attemptContext bounds an attempt. The only attempt has all the time there is.
func (u *unaryCall) attemptContext(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if u.call.retriable() {
		return context.WithTimeout(ctx, timeout)
	}
	return context.WithCancel(ctx)
}

// exchange drives one stream of the transport.
func (u *unaryCall) exchange(ctx context.Context, bearer string, response any) error {
	u.client.setHeaders(ctx, bearer)
	stream, err := u.next(ctx, u.call.spec)
	if err != nil {
		return err
	}
	if err := stream.Send(u.request); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return stream.Receive(response)
}

// setHeaders puts the credentials on the call that ctx carries.
func (c *Client) setHeaders(ctx context.Context, bearer string) {
	info, ok := connect.CallInfoForClientContext(ctx)
	if !ok {
		return // Unreachable: connect.Client sees to it.
	}
	info.RequestHeader().Set("User-Agent", c.userAgent)
	info.RequestHeader().Delete("Authorization")
	if c.inject != nil {
		header := make(http.Header, 2)
		c.inject(ctx, header)
		for _, name := range []string{"Traceparent", "Tracestate"} {
			if value := header.Get(name); value != "" {
				info.RequestHeader().Set(name, value)
			}
		}
	}
	if bearer != "" {
		info.RequestHeader().Set("Authorization", "Bearer "+bearer)
	}
}

// bearer returns the token that the call needs; none if it is public.
func (c *Client) bearer(ctx context.Context, call call) (string, *Error) {
	procedure := call.spec.Procedure
	if public[procedure] {
		return "", nil
	}
	service, _, _ := strings.Cut(strings.TrimPrefix(procedure, "/"), "/")
	if c.operatorKey != "" && (slices.Contains(operated, service) || slices.Contains(operatedAlone, procedure)) {
		return c.operatorKey, nil
	}
	token, err := c.sessions.token(ctx)
	if err != nil {
		err.Procedure, err.sent = call.name, false
	}
	return token, err
}

// describe makes an Error of what an attempt failed with. ctx is the caller's,
// which tells the caller's own impatience from the attempt's.
func (c *Client) describe(ctx context.Context, call call, failure error, f *flight) *Error {
	var e *Error
	remote, ok := errors.AsType[*connect.Error](failure)
	switch {
	case ok && remote.IsRemote():
		e = remoteError(remote)
	case ctx.Err() != nil:
		e = contextError(ctx, failure)
	case !f.begun.Load():
		e = &Error{Code: connect.CodeInvalidArgument, Reason: ReasonInvalidArgument, Message: failure.Error(), cause: failure}
	default:
		e = localError(failure)
	}
	e.Procedure, e.sent = call.name, f.maybeSent()
	return e
}
