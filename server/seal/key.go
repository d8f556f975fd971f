package seal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/note"

	"github.com/tillbook/tillbook/server/replica"
	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/audit"
	"github.com/tillbook/tillbook/store/id"
)

// Keys are the keys of a log that sign its checkpoints: one, or two while one
// follows another. It is safe for concurrent use.
type Keys struct {
	store  *store.Store
	secret *secret.Keys
	log    *slog.Logger
	live   atomic.Pointer[[]liveKey]
}

type liveKey struct {
	verifier string
	signer   note.Signer
}

// followInterval is how often replicas look for keys of the log that came or went.
const followInterval = 10 * time.Second

// youth is how long it takes at the most until all replicas sign with a new key.
const youth = 4 * followInterval

// Reasons for which the log's keys aren't changed.
var (
	ErrKeyUnknown = errors.New("the log has no such key")
	ErrKeyNeeded  = errors.New("the log has no other key that signs: `tillbook keys rotate --kind log` makes one")
	ErrKeyWaits   = errors.New("the log has two keys that sign already: retire the older one first")
	ErrKeyYoung   = errors.New("not all replicas may sign with the log's other key yet: wait a minute")
)

// OpenKeys returns the log's keys, the same on all replicas, and makes one for a log
// of this name if there is none yet. A log keeps its name for good: what was signed
// under it would not verify under another.
func OpenKeys(ctx context.Context, s *store.Store, keys *secret.Keys, name string, log *slog.Logger) (*Keys, error) {
	k := &Keys{store: s, secret: keys, log: log}
	err := k.load(ctx)
	if errors.Is(err, ErrKeyUnknown) {
		if err = makeKey(ctx, s, keys, name); err == nil {
			err = k.load(ctx)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open the log's key: %w", err)
	}
	return k, nil
}

func (k *Keys) load(ctx context.Context) error {
	rows, err := k.store.Queries().ListLogKeys(ctx)
	if err != nil {
		return err
	}
	var live []liveKey
	for _, row := range rows {
		if row.RetireTime != nil {
			continue
		}
		text, err := k.secret.Open(secret.Row{Table: "log_keys", Column: "sealed_key", ID: row.ID}, row.SealedKey)
		if err != nil {
			return err
		}
		signer, err := note.NewSigner(string(text))
		if err != nil {
			return err
		}
		live = append(live, liveKey{row.Verifier, signer})
	}
	if len(live) == 0 {
		return ErrKeyUnknown
	}
	k.live.Store(&live)
	return nil
}

// Run takes note of keys that come and go until ctx ends.
func (k *Keys) Run(ctx context.Context) {
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(followInterval/2 + mathrand.N(followInterval)):
		}
		err := k.load(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			k.log.WarnContext(ctx, "the log's keys can't be followed", "error", err)
		}
		failing = err != nil
	}
}

// Signers are those of all keys that sign.
func (k *Keys) Signers() (all []note.Signer) {
	for _, key := range *k.live.Load() {
		all = append(all, key.signer)
	}
	return all
}

// Verifier is the public key, as NAME+HASH+KEY, of the oldest key that signs: the one
// that is known longest.
func (k *Keys) Verifier() string { return (*k.live.Load())[0].verifier }

// Verifiers are the public keys of all keys that sign, oldest first.
func (k *Keys) Verifiers() (all []string) {
	for _, key := range *k.live.Load() {
		all = append(all, key.verifier)
	}
	return all
}

// makeKey makes the first key of a log.
func makeKey(ctx context.Context, s *store.Store, keys *secret.Keys, name string) error {
	return s.InTx(ctx, func(ctx context.Context, q *store.Queries, _ pgx.Tx) error {
		if err := q.LockLog(ctx); err != nil {
			return err
		}
		rows, err := q.ListLogKeys(ctx)
		if err != nil || len(rows) > 0 {
			return err // another replica was faster, or something is wrong
		}
		return insertKey(ctx, q, keys, name)
	})
}

func insertKey(ctx context.Context, q *store.Queries, keys *secret.Keys, name string) error {
	by, err := replica.Follow(ctx, q, keys)
	if err != nil {
		return err
	}
	private, public, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return err
	}
	row := store.InsertLogKeyParams{ID: id.New(), Verifier: public}
	row.SealedKey, err = keys.Seal(by, secret.Row{Table: "log_keys", Column: "sealed_key", ID: row.ID}, []byte(private))
	if err != nil {
		return err
	}
	if err := q.InsertLogKey(ctx, row); err != nil {
		return err
	}
	return q.Record(ctx, audit.New(audit.Actor{Kind: audit.System}, "key.made", "key/"+id.Format(id.Key, row.ID),
		map[string]string{"kind": "log", "verifier": public}))
}

// Rotate gives the log another key beside the one that it has. From moments later
// on, checkpoints bear the signatures of both, so that who knows either can verify
// them. It fails with ErrKeyWaits if there are two already.
func Rotate(ctx context.Context, s *store.Store, keys *secret.Keys) error {
	err := s.InTx(ctx, func(ctx context.Context, q *store.Queries, _ pgx.Tx) error {
		if err := q.LockLog(ctx); err != nil {
			return err
		}
		rows, err := q.ListLogKeys(ctx)
		if err != nil {
			return err
		}
		var live []store.LogKey
		for _, row := range rows {
			if row.RetireTime == nil {
				live = append(live, row)
			}
		}
		switch len(live) {
		case 0:
			return ErrKeyUnknown
		case 1:
			name, _, _ := strings.Cut(live[0].Verifier, "+")
			return insertKey(ctx, q, keys, name)
		default:
			return ErrKeyWaits
		}
	})
	if err != nil {
		return fmt.Errorf("rotate the log's key: %w", err)
	}
	return nil
}

// RetireKey lets a key of the log sign no more. What it signed stays signed. There
// must be another. It takes the rights of the database's owner.
func RetireKey(ctx context.Context, s *store.Store, keyID string) error {
	key, err := id.Parse(id.Key, keyID)
	if err != nil {
		return fmt.Errorf("%w: %s", ErrKeyUnknown, keyID)
	}
	return s.InTx(ctx, func(ctx context.Context, q *store.Queries, _ pgx.Tx) error {
		if err := q.LockLog(ctx); err != nil {
			return err
		}
		rows, err := q.ListLogKeys(ctx)
		if err != nil {
			return err
		}
		found, others, known := false, false, false
		for _, row := range rows {
			if row.RetireTime == nil {
				found = found || row.ID == key
				others = others || row.ID != key
				known = known || row.ID != key && time.Since(row.CreateTime) > youth
			}
		}
		switch {
		case !found:
			return fmt.Errorf("%w: %s", ErrKeyUnknown, keyID)
		case !others:
			return ErrKeyNeeded
		case !known:
			return ErrKeyYoung
		}
		if err := q.RetireLogKey(ctx, key); err != nil {
			return err
		}
		return q.Record(ctx, audit.New(audit.Actor{Kind: audit.System}, "key.retired", "key/"+keyID, map[string]string{"kind": "log"}))
	})
}
