package terminal

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
)

const (
	assertionType     = "terminal+jwt"
	assertionAudience = "tillbook-terminal"
	// assertionLife is how long an assertion may be good for.
	assertionLife = 5 * time.Minute
	// clockLeeway is how wrong a device's clock may be.
	clockLeeway = 30 * time.Second
	// maxAssertion bounds what is parsed, in bytes, and maxJTI what is hashed.
	maxAssertion = 2 << 10
	minJTI       = 8
	maxJTI       = 128
)

var (
	errAssertion = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_ASSERTION_INVALID,
		"The assertion isn't one of an activated terminal.")
	errReplayed = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_ASSERTION_REPLAYED,
		"The assertion was used before; sign a new one for each call.")
)

// AuthenticateTerminal finds out which terminal made an assertion and sees to it
// that it isn't used again.
func (s *Service) AuthenticateTerminal(ctx context.Context, assertion string) (rpc.Principal, error) {
	claims, terminal, err := s.readAssertion(ctx, assertion)
	if err != nil {
		return rpc.Principal{}, err
	}
	if err := checkClaims(claims); err != nil {
		return rpc.Principal{}, err
	}
	if err := checkTimes(claims, s.now()); err != nil {
		return rpc.Principal{}, err
	}
	sum := sha256.Sum256(append(terminal[:], claims.ID...))
	used, err := s.store.Queries().UseAssertion(ctx, store.UseAssertionParams{
		ID: uuid.UUID(sum[:16]), ExpireTime: claims.ExpiresAt.Add(2 * clockLeeway),
	})
	if err != nil {
		return rpc.Principal{}, fmt.Errorf("using an assertion: %w", err)
	}
	if used == 0 {
		return rpc.Principal{}, errReplayed
	}
	return rpc.Principal{Kind: rpc.KindTerminal, Terminal: terminal}, nil
}

// readAssertion checks the signature, and returns what was signed and by whom.
func (s *Service) readAssertion(ctx context.Context, assertion string) (*jwt.RegisteredClaims, uuid.UUID, error) {
	if len(assertion) > maxAssertion {
		return nil, uuid.Nil, errAssertion
	}
	var terminal uuid.UUID
	var known store.FindTerminalKeyRow
	var failed error // what isn't the assertion's fault
	claims := &jwt.RegisteredClaims{}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}), jwt.WithoutClaimsValidation(), jwt.WithStrictDecoding())
	_, err := parser.ParseWithClaims(assertion, claims, func(token *jwt.Token) (any, error) {
		if token.Header["typ"] != assertionType {
			return nil, errors.New("another type")
		}
		var err error
		if terminal, err = id.Parse(id.Terminal, claims.Issuer); err != nil {
			return nil, err
		}
		known, err = s.store.Queries().FindTerminalKey(ctx, terminal)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			failed = fmt.Errorf("reading a terminal's key: %w", err)
		}
		if known.PublicKey == nil {
			return nil, errors.New("no such key")
		}
		return ed25519.PublicKey(known.PublicKey), err
	})
	switch {
	case failed != nil:
		return nil, uuid.Nil, failed
	case err != nil:
		return nil, uuid.Nil, errAssertion.WithCause(err)
	case known.Revoked:
		return nil, uuid.Nil, errRevoked
	}
	return claims, terminal, nil
}

// checkClaims looks at what was signed, but for the clock.
func checkClaims(c *jwt.RegisteredClaims) error {
	wrong := ""
	switch {
	case c.Subject != c.Issuer:
		wrong = "its sub isn't its iss"
	case len(c.Audience) != 1 || c.Audience[0] != assertionAudience:
		wrong = "its aud must be " + assertionAudience
	case len(c.ID) < minJTI || len(c.ID) > maxJTI:
		wrong = "its jti must have 8 to 128 characters"
	case c.IssuedAt == nil || c.ExpiresAt == nil:
		wrong = "it needs an iat and an exp"
	case !c.ExpiresAt.After(c.IssuedAt.Time) || c.ExpiresAt.Sub(c.IssuedAt.Time) > assertionLife:
		wrong = "its exp must be at most five minutes after its iat"
	case c.NotBefore != nil && c.NotBefore.After(c.IssuedAt.Time):
		wrong = "its nbf is after its iat"
	default:
		return nil
	}
	return rpc.NewError(errorv1.ErrorReason_ERROR_REASON_ASSERTION_INVALID, "The assertion can't be used: %s.", wrong)
}

// checkTimes tells a device whose clock is wrong what time it is: it signed this
// itself, so nothing else is wrong with it.
func checkTimes(c *jwt.RegisteredClaims, now time.Time) error {
	if now.Add(clockLeeway).Before(c.IssuedAt.Time) || now.Add(-clockLeeway).After(c.ExpiresAt.Time) {
		return rpc.NewError(errorv1.ErrorReason_ERROR_REASON_CLOCK_SKEWED,
			"The device's clock is wrong, or the assertion is old: the server's time is %s.", now.UTC().Format(time.RFC3339)).
			WithMetadata("server_time", now.UTC().Format(time.RFC3339Nano))
	}
	return nil
}
