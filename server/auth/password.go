package auth

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/alexedwards/argon2id"
	"golang.org/x/text/unicode/norm"
)

// hasher is the only place where argon2id runs. It bounds the memory and the
// processors that this takes, and the number of calls that wait for their turn.
type hasher struct {
	params     argon2id.Params
	slots      chan struct{}
	wait       time.Duration
	maxWaiting int64
	// dummy stands in for the hash of somebody who doesn't exist.
	dummy string

	waiting   atomic.Int64
	refused   atomic.Int64
	running   atomic.Int64
	peak      atomic.Int64
	evaluated atomic.Int64
}

func newHasher(c Config) (*hasher, error) {
	h := &hasher{
		params:     c.Argon2,
		slots:      make(chan struct{}, c.PasswordSlots),
		wait:       c.PasswordWait,
		maxWaiting: int64(c.PasswordQueue),
	}
	var err error
	h.dummy, err = h.create("nobody's password")
	return h, err
}

// hash returns the hash of a password. It fails with OVERLOADED.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	return h.create(password)
}

// verify says whether a password is the one behind a hash, and whether the hash
// should be made anew. For an empty hash, which is nobody's, it does the same
// work and says no. It fails with OVERLOADED.
func (h *hasher) verify(ctx context.Context, password, hash string) (match, stale bool, err error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return false, false, err
	}
	defer leave()
	nobody := hash == ""
	if nobody {
		hash = h.dummy
	}
	match, params, err := h.check(password, hash)
	if err != nil {
		return false, false, err
	}
	return match && !nobody, params != h.params, nil
}

// create and check run argon2id, and count it.
func (h *hasher) create(password string) (string, error) {
	h.evaluated.Add(1)
	hash, err := argon2id.CreateHash(normal(password), &h.params)
	if err != nil {
		return "", fmt.Errorf("hash a password: %w", err)
	}
	return hash, nil
}

func (h *hasher) check(password, hash string) (match bool, params argon2id.Params, err error) {
	h.evaluated.Add(1)
	match, p, err := argon2id.CheckHash(normal(password), hash)
	if err != nil {
		return false, params, fmt.Errorf("verify a password: %w", err)
	}
	return match, *p, nil
}

// enter waits for a slot, not too long and not with too many others.
func (h *hasher) enter(ctx context.Context) (leave func(), err error) {
	if h.waiting.Add(1) > h.maxWaiting {
		h.waiting.Add(-1)
		h.refused.Add(1)
		return nil, errOverloaded
	}
	defer h.waiting.Add(-1)
	timer := time.NewTimer(h.wait)
	defer timer.Stop()
	select {
	case h.slots <- struct{}{}:
	case <-timer.C:
		h.refused.Add(1)
		return nil, errOverloaded
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	raise(&h.peak, h.running.Add(1))
	return func() {
		h.running.Add(-1)
		<-h.slots
	}, nil
}

// raise makes a maximum at least n.
func raise(maximum *atomic.Int64, n int64) {
	for {
		old := maximum.Load()
		if n <= old || maximum.CompareAndSwap(old, n) {
			return
		}
	}
}

// normal gives a password one form, whichever way a keyboard composes its
// characters.
func normal(password string) string { return norm.NFC.String(password) }
