package rpc

import (
	"context"
	"net/netip"

	"github.com/google/uuid"
)

// PrincipalKind says what kind of caller a Principal is.
type PrincipalKind uint8

const (
	// KindAnonymous is a caller without credentials.
	KindAnonymous PrincipalKind = iota
	// KindUser is a person with a wallet, signed in on one session.
	KindUser
	// KindOperator is somebody who runs Tillbook, known by a key.
	KindOperator
	// KindTerminal is a point-of-sale device, known by a key of its own.
	KindTerminal
)

// String returns "anonymous", "user", "operator" or "terminal".
func (k PrincipalKind) String() string {
	switch k {
	case KindUser:
		return "user"
	case KindOperator:
		return "operator"
	case KindTerminal:
		return "terminal"
	default:
		return "anonymous"
	}
}

// Principal is who makes a call. The zero value is an anonymous caller.
type Principal struct {
	// Kind says which of the ids below are set.
	Kind PrincipalKind
	// User is the id of the user.
	User uuid.UUID
	// Session is the id of the user's session.
	Session uuid.UUID
	// Operator is the id of the operator.
	Operator uuid.UUID
	// Terminal is the id of the terminal.
	Terminal uuid.UUID
}

// Authenticator finds out who holds a bearer token. It runs before the request
// is decompressed and decoded, so a stranger costs no more than this.
//
// It fails with UNAUTHENTICATED, TOKEN_EXPIRED or SESSION_REVOKED for a token
// that doesn't count, and with another error when it can't tell.
type Authenticator interface {
	Authenticate(ctx context.Context, bearer string) (Principal, error)
}

// TerminalAuthenticator finds out which terminal made an assertion, each of which
// is good for one call. Like an Authenticator it runs before the request is read. A
// stream outlasts its assertion: who serves it ends it when the terminal is revoked.
//
// It fails with ASSERTION_INVALID, ASSERTION_REPLAYED, CLOCK_SKEWED or
// TERMINAL_REVOKED, and with another error when it can't tell.
type TerminalAuthenticator interface {
	AuthenticateTerminal(ctx context.Context, assertion string) (Principal, error)
}

// call is what the server knows about one call. The interceptors fill it in as
// they go, and all of it travels under one context key, since every key costs
// every look-up. Only the goroutine that serves the call writes to it.
type call struct {
	requestID string
	clientIP  netip.Addr
	policy    Policy
	principal Principal
	// attempted is set when the request has reached its handler: before that it
	// is certain that no money moved.
	attempted bool
	// executed is set when the money has moved: after that no failure can undo
	// it.
	executed bool
}

type callKey struct{}

func callFrom(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

func withCall(ctx context.Context, c *call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

type abandonKey struct{}

// WithAbandon returns a context of a stream whose handler may return while another
// goroutine of its is sending: the transport then ends that Send with an error.
func WithAbandon(ctx context.Context) context.Context {
	return context.WithValue(ctx, abandonKey{}, true)
}

// MayAbandon says whether a handler may return while another goroutine of its is
// sending. Where it may not, it has to wait for the client to read or to leave.
func MayAbandon(ctx context.Context) bool {
	may, _ := ctx.Value(abandonKey{}).(bool)
	return may
}

// PrincipalFrom returns who makes the call; anonymous if nobody said.
func PrincipalFrom(ctx context.Context) Principal {
	if c := callFrom(ctx); c != nil {
		return c.principal
	}
	return Principal{}
}

// WithPrincipal returns a context whose caller is p, for tests of handlers. In
// the server, the interceptors see to it.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	c := call{}
	if old := callFrom(ctx); old != nil {
		c = *old
	}
	c.principal = p
	return withCall(ctx, &c)
}

// ClientIP returns the address that the call comes from: that of the peer, or,
// when the peer is a configured proxy, the right-most address in its
// X-Forwarded-For that is none. It is invalid when the transport has no peer.
func ClientIP(ctx context.Context) netip.Addr {
	if c := callFrom(ctx); c != nil {
		return c.clientIP
	}
	return netip.Addr{}
}

// IsFrom says whether a call comes from one of the networks.
func IsFrom(ctx context.Context, networks []netip.Prefix) bool {
	return len(networks) > 0 && contains(networks, ClientIP(ctx))
}

// WithClientIP returns a context whose call comes from addr, for tests of
// handlers. In the server, the interceptors see to it.
func WithClientIP(ctx context.Context, addr netip.Addr) context.Context {
	c := call{}
	if old := callFrom(ctx); old != nil {
		c = *old
	}
	c.clientIP = addr
	return withCall(ctx, &c)
}

// RequestID returns the id under which the log knows this call; empty outside
// of one.
func RequestID(ctx context.Context) string {
	if c := callFrom(ctx); c != nil {
		return c.requestID
	}
	return ""
}

// MarkExecuted notes that the call's money has moved. A handler says so right
// after its commit, so that a failure on the way to the answer is reported as
// EXECUTED and not as if nothing had happened.
func MarkExecuted(ctx context.Context) {
	if c := callFrom(ctx); c != nil {
		c.executed = true
	}
}

// Origin returns where a call comes from and the id under which the log knows it,
// for the record of what was done.
func Origin(ctx context.Context) (clientIP, requestID string) {
	if ip := ClientIP(ctx); ip.IsValid() {
		clientIP = ip.String()
	}
	return clientIP, RequestID(ctx)
}
