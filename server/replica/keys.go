package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/audit"
)

// overlap is how long after a key ended something derived from it may still matter:
// codes live for minutes, but the slowest limits remember half a day.
const overlap = 24 * time.Hour

// KeyState is where a key of the configuration stands.
type KeyState struct {
	ID string
	// InUse says that it seals. Retired is when it was retired; zero before.
	InUse   bool
	Retired time.Time
	// Used is since when it is, or last was, in use; zero if it never was.
	Used time.Time
	// Ended is since when another is in use instead; zero if none is.
	Ended time.Time
	// Sealed is how many secrets it seals; -1 if that can't be told for want of keys.
	Sealed int
	// Free is from when on nothing needs it, as far as time goes.
	Free time.Time
	// Replicas is how many live replicas list it, Lacking the names of those that don't.
	Replicas int
	Lacking  []string
}

// Reasons for which a key can't be retired.
var (
	ErrUnknownKey = errors.New("no such key")
	ErrInUse      = errors.New("the key is in use: put another in front of it on every replica first")
	ErrSealed     = errors.New("the key still seals secrets: run `tillbook keys reseal` first")
	ErrLacking    = errors.New("a replica lacks the key in use, so it goes on with an older one")
	ErrOverlap    = errors.New("what was derived from the key may still come in")
	ErrRetired    = errors.New("the key is retired already")
)

// KeyStates lists the keys of a database, the one in use first, with what the keys
// that are given tell about what is sealed. Keys that no replica uses come last.
func KeyStates(ctx context.Context, s *store.Store, keys *secret.Keys) ([]KeyState, error) {
	return keyStates(ctx, s.Queries(), keys)
}

func keyStates(ctx context.Context, q *store.Queries, keys *secret.Keys) ([]KeyState, error) {
	rows, err := q.ListSecretKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	sealed, unknown, err := countSealed(ctx, q, keys)
	if err != nil {
		return nil, err
	}
	replicas, err := q.ListReplicas(ctx, Live.Seconds())
	if err != nil {
		return nil, fmt.Errorf("read the replicas: %w", err)
	}
	listed := make(map[string]int)
	for _, r := range replicas {
		for _, id := range r.Keys {
			listed[id]++
		}
	}
	var states []KeyState
	for _, row := range rows {
		k := KeyState{ID: row.ID, InUse: row.EndTime == nil, Used: row.UseTime, Sealed: sealed[row.ID], Replicas: listed[row.ID]}
		for _, r := range replicas {
			if !slices.Contains(r.Keys, row.ID) {
				k.Lacking = append(k.Lacking, r.Name)
			}
		}
		if unknown > 0 && !keys.Has(row.ID) {
			k.Sealed = -1
		}
		if row.RetireTime != nil {
			k.Retired = *row.RetireTime
		}
		if row.EndTime != nil {
			k.Ended = *row.EndTime
			k.Free = k.Ended.Add(overlap)
		}
		states = append(states, k)
		delete(listed, row.ID)
	}
	for id, n := range listed {
		states = append(states, KeyState{ID: id, Replicas: n})
	}
	return states, nil
}

// countSealed counts secrets by the key that seals them, and those that none of the
// keys opens.
func countSealed(ctx context.Context, q *store.Queries, keys *secret.Keys) (by map[string]int, unknown int, err error) {
	rows, err := q.ListSealedRows(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("read what is sealed: %w", err)
	}
	by = make(map[string]int)
	for _, row := range rows {
		if _, id, err := keys.OpenWith(sealedRow(row), row.SealedKey); err == nil {
			by[id]++
		} else {
			unknown++
		}
	}
	return by, unknown, nil
}

// Reseal seals with the key in use what other keys seal, and returns how much that
// was. It takes the rights of the database's owner. Replicas need not know: what a
// row holds stays the same.
func Reseal(ctx context.Context, s *store.Store, keys *secret.Keys) (n int, err error) {
	err = s.InTx(ctx, func(ctx context.Context, q *store.Queries, _ pgx.Tx) error {
		n = 0
		if err := q.LockKeys(ctx); err != nil {
			return err
		}
		by, err := Follow(ctx, q, keys)
		if err != nil {
			return err
		}
		rows, err := q.ListSealedRows(ctx)
		if err != nil {
			return err
		}
		for _, row := range rows {
			resealed, err := reseal(ctx, q, keys, by, row)
			if err != nil {
				return err
			}
			n += resealed
		}
		if n == 0 {
			return nil
		}
		return q.Record(ctx, audit.New(audit.Actor{Kind: audit.System}, "key.resealed", "key/"+by, map[string]int{"secrets": n}))
	})
	if err != nil {
		return 0, fmt.Errorf("reseal: %w", err)
	}
	return n, nil
}

func reseal(ctx context.Context, q *store.Queries, keys *secret.Keys, by string, row store.ListSealedRowsRow) (int, error) {
	plaintext, before, err := keys.OpenWith(sealedRow(row), row.SealedKey)
	if err != nil || before == by {
		return 0, err
	}
	fresh, err := keys.Seal(by, sealedRow(row), plaintext)
	if err != nil {
		return 0, err
	}
	var n int64
	switch row.TableName {
	case "server_keys":
		n, err = q.ResealServerKey(ctx, store.ResealServerKeyParams{ID: row.ID, Old: row.SealedKey, SealedKey: fresh})
	case "log_keys":
		n, err = q.ResealLogKey(ctx, store.ResealLogKeyParams{ID: row.ID, Old: row.SealedKey, SealedKey: fresh})
	}
	return int(n), err
}

// Retire says that a key is needed no more: replicas drop it within moments, and it
// never comes back into use. With force it does so although something derived from it
// may still come in, as for a key that was stolen, or a live replica goes on deriving
// from it what others don't recognise. It takes the rights of the database's owner.
func Retire(ctx context.Context, s *store.Store, keys *secret.Keys, id string, force bool) error {
	return s.InTx(ctx, func(ctx context.Context, q *store.Queries, _ pgx.Tx) error {
		// What is being sealed with the key is waited for, and counts.
		for _, lock := range []func(context.Context) error{q.LockServerKeys, q.LockLog, q.LockKeys} {
			if err := lock(ctx); err != nil {
				return fmt.Errorf("retire a key: %w", err)
			}
		}
		states, err := keyStates(ctx, q, keys)
		if err != nil {
			return err
		}
		if err := retirable(states, id, force); err != nil {
			return err
		}
		if _, err := q.RetireSecretKey(ctx, id); err != nil {
			return fmt.Errorf("retire a key: %w", err)
		}
		return q.Record(ctx, audit.New(audit.Actor{Kind: audit.System}, "key.retired", "key/"+id,
			map[string]any{"kind": "secret", "forced": force}))
	})
}

// retirable says why a key may not be retired.
func retirable(states []KeyState, id string, force bool) error {
	var found *KeyState
	var inUse KeyState
	for i := range states {
		if states[i].InUse {
			inUse = states[i]
		}
		if states[i].ID == id && !states[i].Used.IsZero() {
			found = &states[i]
		}
	}
	switch {
	case found == nil:
		return fmt.Errorf("%w: %s", ErrUnknownKey, id)
	case !found.Retired.IsZero():
		return ErrRetired
	case found.InUse:
		return ErrInUse
	case found.Sealed < 0:
		return fmt.Errorf("%w, or one that isn't given to this command does", ErrSealed)
	case found.Sealed > 0:
		return ErrSealed
	case !force && len(inUse.Lacking) > 0:
		return fmt.Errorf("%w: put the key %s in front of the configuration of %s, or stop it, and wait a moment, or use --force",
			ErrLacking, inUse.ID, strings.Join(inUse.Lacking, ", "))
	case !force && time.Now().Before(found.Free):
		return fmt.Errorf("%w until %s: wait, or use --force", ErrOverlap, found.Free.Local().Format(time.DateTime))
	}
	return nil
}

// Follow takes the key that is in use, and says which it is, so that nothing is sealed
// with one that may be retired. Whoever seals calls it in the same transaction, behind
// the lock of what it makes: Retire takes those, too. It fails with ErrLacksKey.
func Follow(ctx context.Context, q *store.Queries, keys *secret.Keys) (id string, err error) {
	known, err := q.ListSecretKeys(ctx)
	switch {
	case err != nil:
		return "", fmt.Errorf("read the keys: %w", err)
	case len(known) == 0:
		return keys.InUse(), nil
	case !keys.Use(known[0].ID):
		return "", fmt.Errorf("%w: it has the id %s", ErrLacksKey, known[0].ID)
	}
	return known[0].ID, nil
}
