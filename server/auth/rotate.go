package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/audit"
	"github.com/tillbook/tillbook/store/id"
)

// KeyState is where one of the keys that replicas share stands: one that signs
// access tokens, or one that hashes codes.
type KeyState struct {
	ID   string
	Kind string
	// UseTime is from when it is used for new work, until the next one's.
	UseTime time.Time
	// Waits says that its time is yet to come, Ended that another took over.
	Waits, Ended bool
}

// Reasons for which a key isn't changed.
var (
	ErrKeyWaits   = errors.New("the next key is published already and takes over by itself")
	ErrKeyNeeded  = errors.New("the key is in use: `tillbook keys rotate` makes the next one")
	ErrKeyUnknown = errors.New("no such key")
)

// Keys lists the keys that replicas share, of each kind in the order of their use.
func Keys(ctx context.Context, s *store.Store) ([]KeyState, error) {
	rows, err := s.Queries().ListServerKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the server's keys: %w", err)
	}
	return keyStates(rows, time.Now()), nil
}

func keyStates(rows []store.ServerKey, now time.Time) []KeyState {
	states := make([]KeyState, len(rows))
	for i, row := range rows {
		states[i] = KeyState{
			ID: id.Format(id.Key, row.ID), Kind: row.Kind, UseTime: row.UseTime, Waits: row.UseTime.After(now),
			Ended: i+1 < len(rows) && rows[i+1].Kind == row.Kind && !rows[i+1].UseTime.After(now),
		}
	}
	return states
}

// Rotate makes the next key that signs access tokens and the next that hashes codes
// before they are due. Replicas publish and accept them within a minute; they are
// used from lead on, and the ones before are accepted until what they signed has
// expired. It fails with ErrKeyWaits if there are such keys already.
func Rotate(ctx context.Context, s *store.Store, keys *secret.Keys, lead time.Duration) (use time.Time, err error) {
	ring := &keyring{store: s, secret: keys, now: func() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }}
	use = ring.now().Add(lead)
	err = s.InTx(ctx, func(ctx context.Context, q *store.Queries, _ pgx.Tx) error {
		if err := q.LockServerKeys(ctx); err != nil {
			return err
		}
		rows, err := q.ListServerKeys(ctx)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if row.UseTime.After(ring.now()) {
				return ErrKeyWaits
			}
		}
		for _, kind := range []string{kindSign, kindMAC} {
			if err := ring.add(ctx, q, dueKey{kind, use}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return use, fmt.Errorf("rotate the server's keys: %w", err)
	}
	return use, nil
}

// RetireKey takes away a key that another took over from, before what it signed has
// expired: replicas refuse that within a minute, and those who hold such tokens
// refresh them. It takes the rights of the database's owner.
func RetireKey(ctx context.Context, s *store.Store, keyID string) error {
	key, err := id.Parse(id.Key, keyID)
	if err != nil {
		return fmt.Errorf("%w: %s", ErrKeyUnknown, keyID)
	}
	return s.InTx(ctx, func(ctx context.Context, q *store.Queries, _ pgx.Tx) error {
		if err := q.LockServerKeys(ctx); err != nil {
			return err
		}
		rows, err := q.ListServerKeys(ctx)
		if err != nil {
			return fmt.Errorf("read the server's keys: %w", err)
		}
		for _, state := range keyStates(rows, time.Now()) {
			switch {
			case state.ID != keyID:
			case !state.Ended:
				return ErrKeyNeeded
			default:
				return retire(ctx, q, key, state.Kind)
			}
		}
		return fmt.Errorf("%w: %s", ErrKeyUnknown, keyID)
	})
}

func retire(ctx context.Context, q *store.Queries, key uuid.UUID, kind string) error {
	if err := q.DeleteServerKey(ctx, key); err != nil {
		return fmt.Errorf("retire a key: %w", err)
	}
	return q.Record(ctx, audit.New(audit.Actor{Kind: audit.System}, eventKeyRetired, "key/"+id.Format(id.Key, key),
		map[string]string{"kind": kind}))
}
