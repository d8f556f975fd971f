package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
)

const (
	// algorithm is the only one that is accepted.
	algorithm = "EdDSA"
	// tokenType tells access tokens from any other that a key may ever sign
	// (RFC 9068).
	tokenType = "at+jwt"
	// maxToken is the longest token that is looked at; ours have some 400 bytes.
	maxToken = 2048
	// clockSkew is how far apart the clocks of two replicas may be.
	clockSkew = 30 * time.Second
)

// claims are what an access token says.
type claims struct {
	jwt.RegisteredClaims
	Session string `json:"sid"`
}

// accessToken is a signed token and its end.
type accessToken struct {
	text       string
	expireTime time.Time
}

// mint signs an access token for a session. It never outlives the session.
func (s *Service) mint(session store.Session) (accessToken, error) {
	now := s.now()
	expire := now.Add(s.config.AccessLife)
	if session.ExpireTime.Before(expire) {
		expire = session.ExpireTime
	}
	// Tokens count in seconds.
	expire = expire.Truncate(time.Second)
	key := s.keys.current().signFor(now)
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    s.config.Issuer,
			Audience:  jwt.ClaimStrings{s.config.Audience},
			Subject:   id.Format(id.User, session.UserID),
			ID:        uuid.NewString(),
			IssuedAt:  jwt.NewNumericDate(now),
			NotBefore: jwt.NewNumericDate(now.Add(-clockSkew)),
			ExpiresAt: jwt.NewNumericDate(expire),
		},
		Session: id.Format(id.Session, session.ID),
	})
	token.Header["typ"] = tokenType
	token.Header["kid"] = key.id
	text, err := token.SignedString(key.private)
	if err != nil {
		return accessToken{}, fmt.Errorf("sign an access token: %w", err)
	}
	return accessToken{text, expire}, nil
}

// verified is what a good access token says.
type verified struct {
	principal  rpc.Principal
	expireTime time.Time
}

// verify checks a token's signature and all that it says. It doesn't know of
// revocations. It fails with UNAUTHENTICATED or TOKEN_EXPIRED, and with another
// error if it can't tell.
func (s *Service) verify(ctx context.Context, text string) (verified, error) {
	if len(text) > maxToken {
		return verified{}, errUnauthenticated
	}
	s.stats.signaturesChecked.Add(1)
	var c claims
	var unavailable error
	_, err := s.parser.ParseWithClaims(text, &c, func(t *jwt.Token) (any, error) {
		keyID, ok := t.Header["kid"].(string)
		_, critical := t.Header["crit"]
		if !ok || critical || t.Header["typ"] != tokenType {
			return nil, errUnknownKey
		}
		key, err := s.keys.publicKey(ctx, keyID)
		if err != nil && !errors.Is(err, errUnknownKey) {
			unavailable = err
		}
		return key, err
	})
	switch {
	case unavailable != nil:
		return verified{}, fmt.Errorf("check an access token: %w", unavailable)
	case onlyExpired(err):
		return verified{}, errTokenExpired
	case err != nil:
		return verified{}, errUnauthenticated.WithCause(err)
	}
	user, userErr := id.Parse(id.User, c.Subject)
	session, sessionErr := id.Parse(id.Session, c.Session)
	if err := errors.Join(userErr, sessionErr); err != nil {
		return verified{}, errUnauthenticated.WithCause(err)
	}
	return verified{
		principal:  rpc.Principal{Kind: rpc.KindUser, User: user, Session: session},
		expireTime: c.ExpiresAt.Time,
	}, nil
}

// onlyExpired says whether a token is good but for its age. The signature has
// been checked by then: a forged token isn't told that it is old.
func onlyExpired(err error) bool {
	if !errors.Is(err, jwt.ErrTokenExpired) {
		return false
	}
	for _, other := range []error{
		jwt.ErrTokenMalformed, jwt.ErrTokenUnverifiable, jwt.ErrTokenSignatureInvalid,
		jwt.ErrTokenInvalidAudience, jwt.ErrTokenInvalidIssuer, jwt.ErrTokenNotValidYet,
		jwt.ErrTokenUsedBeforeIssued, jwt.ErrTokenRequiredClaimMissing,
	} {
		if errors.Is(err, other) {
			return false
		}
	}
	return true
}

func newParser(c Config, now func() time.Time) *jwt.Parser {
	return jwt.NewParser(
		jwt.WithValidMethods([]string{algorithm}),
		jwt.WithIssuer(c.Issuer),
		jwt.WithAudience(c.Audience),
		jwt.WithExpirationRequired(),
		jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(now),
	)
}
