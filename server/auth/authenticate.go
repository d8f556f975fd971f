package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/golang-lru/v2"
	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
)

// tokenHash is how tokens are remembered: nobody who reads the memory or the
// database gets one that works.
type tokenHash = [sha256.Size]byte

// Authenticate finds out who holds an access token or an operator's key.
//
// For a token that was seen before it costs a hash and two look-ups in memory.
// It fails with UNAUTHENTICATED, TOKEN_EXPIRED or SESSION_REVOKED, and with
// another error when it can't tell.
func (s *Service) Authenticate(ctx context.Context, bearer string) (rpc.Principal, error) {
	if strings.HasPrefix(bearer, operatorPrefix) {
		return s.operators.find(ctx, bearer)
	}
	if s.revoked.stale() {
		return rpc.Principal{}, errCannotVouch
	}
	hash := hashToken(bearer)
	known, ok := s.tokens.Get(hash)
	if !ok {
		var err error
		if known, err = s.verify(ctx, bearer); err != nil {
			return rpc.Principal{}, err
		}
		s.tokens.Add(hash, known)
	}
	if !s.clock().Before(known.expireTime) {
		s.tokens.Remove(hash)
		return rpc.Principal{}, errTokenExpired
	}
	if s.revoked.has(known.principal.Session) {
		return rpc.Principal{}, errSessionRevoked
	}
	return known.principal, nil
}

// hashToken keeps a copy of a usual token on the stack.
func hashToken(token string) tokenHash {
	var buffer [640]byte
	return sha256.Sum256(append(buffer[:0], token...))
}

// JWKS serves the public keys of access tokens, for /.well-known/jwks.json.
func (s *Service) JWKS() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", "application/jwk-set+json")
		w.Header().Set("Cache-Control", "public, max-age=300")
		_, _ = w.Write(s.keys.current().jwks)
	})
}

const (
	// operatorPrefix begins the keys that store.CreateOperator makes.
	operatorPrefix = "tbk_"
	// operatorLife is how long a key is believed without asking again, and so how
	// long a revoked one may still work.
	operatorLife = 10 * time.Second
	// operatorLookups bounds how many keys are looked up at the same time:
	// anybody can make some up.
	operatorLookups = 4
	operatorCache   = 1024
)

// operators knows the keys of operators.
type operators struct {
	store   *store.Store
	now     func() time.Time
	lookups chan struct{}
	known   *lru.Cache[tokenHash, knownOperator]
}

type knownOperator struct {
	id         uuid.UUID
	expireTime time.Time
}

func newOperators(s *store.Store, now func() time.Time) (*operators, error) {
	known, err := lru.New[tokenHash, knownOperator](operatorCache)
	if err != nil {
		return nil, fmt.Errorf("make a cache: %w", err)
	}
	return &operators{store: s, now: now, lookups: make(chan struct{}, operatorLookups), known: known}, nil
}

func (o *operators) find(ctx context.Context, key string) (rpc.Principal, error) {
	if len(key) > maxToken {
		return rpc.Principal{}, errUnauthenticated
	}
	hash := tokenHash(store.HashOperatorKey(key))
	now := o.now()
	if known, ok := o.known.Get(hash); ok && now.Before(known.expireTime) {
		return rpc.Principal{Kind: rpc.KindOperator, Operator: known.id}, nil
	}
	select {
	case o.lookups <- struct{}{}:
		defer func() { <-o.lookups }()
	case <-ctx.Done():
		return rpc.Principal{}, ctx.Err()
	}
	row, err := o.store.Queries().FindOperatorByKeyHash(ctx, hash[:])
	if errors.Is(err, pgx.ErrNoRows) {
		o.known.Remove(hash)
		return rpc.Principal{}, errUnauthenticated
	}
	if err != nil {
		return rpc.Principal{}, fmt.Errorf("look an operator's key up: %w", err)
	}
	o.known.Add(hash, knownOperator{row.ID, now.Add(operatorLife)})
	return rpc.Principal{Kind: rpc.KindOperator, Operator: row.ID}, nil
}
