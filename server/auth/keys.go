package auth

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/server/replica"
	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/audit"
	"github.com/tillbook/tillbook/store/id"
)

// The kinds of keys that replicas share.
const (
	kindSign = "sign"
	kindMAC  = "mac"
)

// signKey signs access tokens.
type signKey struct {
	id      string
	useTime time.Time
	private ed25519.PrivateKey
}

// macKey makes keyed hashes.
type macKey struct {
	useTime time.Time
	// code hashes one-time codes.
	code []byte
	// refresh derives a refresh token's successor.
	refresh []byte
}

// keySet is all keys at one time. It never changes.
type keySet struct {
	signs  []signKey
	macs   []macKey
	public map[string]ed25519.PublicKey
	jwks   []byte
}

// signFor returns the key for new signatures.
func (k *keySet) signFor(now time.Time) signKey {
	newest := k.signs[0]
	for _, key := range k.signs[1:] {
		if !key.useTime.After(now) {
			newest = key
		}
	}
	return newest
}

// macFor returns the key for new hashes.
func (k *keySet) macFor(now time.Time) macKey {
	newest := k.macs[0]
	for _, key := range k.macs[1:] {
		if !key.useTime.After(now) {
			newest = key
		}
	}
	return newest
}

// keyring loads the keys from the database, opens them, and sees to it that
// there are always some.
type keyring struct {
	store  *store.Store
	secret *secret.Keys
	now    func() time.Time
	policy keyPolicy

	set atomic.Pointer[keySet]
	// removed is called when a key is gone whose signatures were believed.
	removed func()

	// reloading lets one caller at a time look for a key that isn't known yet, and
	// not too often: anybody can name a key that doesn't exist.
	reloading  sync.Mutex
	reloadTime time.Time
}

// keyPolicy says when keys come and go.
type keyPolicy struct {
	// life is how long a key is used for new work.
	life time.Duration
	// lead is how long before that it is published.
	lead time.Duration
	// keep is how long after its successor took over a key is still needed.
	keep time.Duration
}

const reloadInterval = 5 * time.Second

func (k *keyring) current() *keySet { return k.set.Load() }

// maintain makes keys that are due, deletes those that are no longer needed, and
// takes note of what other replicas did.
func (k *keyring) maintain(ctx context.Context) error {
	rows, err := k.store.Queries().ListServerKeys(ctx)
	if err != nil {
		return fmt.Errorf("read the server's keys: %w", err)
	}
	if plan := planKeys(rows, k.now(), k.policy); !plan.empty() {
		if rows, err = k.apply(ctx); err != nil {
			return err
		}
	}
	set, err := k.open(rows)
	if err != nil {
		return err
	}
	before := k.set.Swap(set)
	if before == nil || k.removed == nil {
		return nil
	}
	for key := range before.public {
		if set.public[key] == nil {
			k.removed()
			break
		}
	}
	return nil
}

// apply plans again behind a lock that all replicas take, and carries the plan
// out.
func (k *keyring) apply(ctx context.Context) (rows []store.ServerKey, err error) {
	err = k.store.InTx(ctx, func(ctx context.Context, q *store.Queries, _ pgx.Tx) error {
		if err := q.LockServerKeys(ctx); err != nil {
			return err
		}
		if rows, err = q.ListServerKeys(ctx); err != nil {
			return err
		}
		plan := planKeys(rows, k.now(), k.policy)
		for _, due := range plan.due {
			if err := k.add(ctx, q, due); err != nil {
				return err
			}
		}
		for _, old := range plan.old {
			if err := q.DeleteServerKey(ctx, old); err != nil {
				return err
			}
		}
		rows, err = q.ListServerKeys(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("renew the server's keys: %w", err)
	}
	return rows, nil
}

// add makes a key and records it.
func (k *keyring) add(ctx context.Context, q *store.Queries, due dueKey) error {
	by, err := replica.Follow(ctx, q, k.secret)
	if err != nil {
		return err
	}
	key, err := k.generate(due, by)
	if err != nil {
		return err
	}
	if err := q.InsertServerKey(ctx, key); err != nil {
		return err
	}
	return q.Record(ctx, audit.New(audit.Actor{Kind: audit.System}, eventKeyMade, "key/"+id.Format(id.Key, key.ID),
		map[string]string{"kind": due.kind}))
}

// dueKey is a key to make.
type dueKey struct {
	kind    string
	useTime time.Time
}

// keyPlan is what is to be done about the keys.
type keyPlan struct {
	due []dueKey
	old []uuid.UUID
}

func (p keyPlan) empty() bool { return len(p.due) == 0 && len(p.old) == 0 }

// planKeys decides which keys are due and which are no longer needed. Rows of a
// kind are ordered by the time from which they are used.
func planKeys(rows []store.ServerKey, now time.Time, policy keyPolicy) (plan keyPlan) {
	for _, kind := range []string{kindSign, kindMAC} {
		var last *store.ServerKey
		for i := range rows {
			if rows[i].Kind != kind {
				continue
			}
			if last != nil && !rows[i].UseTime.Add(policy.keep).After(now) {
				plan.old = append(plan.old, last.ID)
			}
			last = &rows[i]
		}
		if last == nil {
			plan.due = append(plan.due, dueKey{kind, now})
			continue
		}
		end := last.UseTime.Add(policy.life)
		if lead := now.Add(policy.lead); !end.After(lead) {
			plan.due = append(plan.due, dueKey{kind, later(end, lead)})
		}
	}
	return plan
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// generate makes a key and seals it with another.
func (k *keyring) generate(due dueKey, by string) (store.InsertServerKeyParams, error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return store.InsertServerKeyParams{}, fmt.Errorf("make a key: %w", err)
	}
	row := store.InsertServerKeyParams{
		ID: id.New(), Kind: due.kind, CreateTime: k.now(), UseTime: due.useTime,
	}
	if due.kind == kindSign {
		row.PublicKey = public
	}
	// The seed of an Ed25519 key is 32 random bytes, which is what a MAC needs too.
	row.SealedKey, err = k.secret.Seal(by, keyRow(row.ID), private.Seed())
	return row, err
}

func keyRow(key uuid.UUID) secret.Row {
	return secret.Row{Table: "server_keys", Column: "sealed_key", ID: key}
}

// open turns rows into keys.
func (k *keyring) open(rows []store.ServerKey) (*keySet, error) {
	set := &keySet{public: make(map[string]ed25519.PublicKey)}
	for _, row := range rows {
		seed, err := k.secret.Open(keyRow(row.ID), row.SealedKey)
		if err != nil {
			return nil, fmt.Errorf("the server's keys: %w", err)
		}
		switch row.Kind {
		case kindSign:
			private, err := signingKey(seed, row.PublicKey)
			if err != nil {
				return nil, err
			}
			key := signKey{id: id.Format(id.Key, row.ID), useTime: row.UseTime, private: private}
			set.signs = append(set.signs, key)
			set.public[key.id] = row.PublicKey
		case kindMAC:
			set.macs = append(set.macs, macKey{
				useTime: row.UseTime,
				code:    secret.Derive(seed, "auth/code"),
				refresh: secret.Derive(seed, "auth/refresh"),
			})
		}
	}
	if len(set.signs) == 0 || len(set.macs) == 0 {
		return nil, errNoKeys
	}
	set.jwks = writeJWKS(set.signs)
	return set, nil
}

// signingKey checks that the public key, which isn't sealed, was not replaced.
func signingKey(seed, public []byte) (ed25519.PrivateKey, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, errKeyMismatch
	}
	private := ed25519.NewKeyFromSeed(seed)
	if !private.Public().(ed25519.PublicKey).Equal(ed25519.PublicKey(public)) {
		return nil, errKeyMismatch
	}
	return private, nil
}

// publicKey returns a key that checks signatures. Another replica may have made
// it a moment ago.
func (k *keyring) publicKey(ctx context.Context, keyID string) (ed25519.PublicKey, error) {
	if key, ok := k.current().public[keyID]; ok {
		return key, nil
	}
	if _, err := id.Parse(id.Key, keyID); err != nil {
		return nil, errUnknownKey
	}
	k.reloading.Lock()
	defer k.reloading.Unlock()
	if key, ok := k.current().public[keyID]; ok {
		return key, nil
	}
	if now := k.now(); now.Sub(k.reloadTime) >= reloadInterval || now.Before(k.reloadTime) {
		k.reloadTime = now
		if err := k.maintain(ctx); err != nil {
			return nil, err
		}
	}
	if key, ok := k.current().public[keyID]; ok {
		return key, nil
	}
	return nil, errUnknownKey
}

// jwk is a public key as RFC 8037 writes it.
type jwk struct {
	Type      string `json:"kty"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
	ID        string `json:"kid"`
}

func writeJWKS(keys []signKey) []byte {
	set := struct {
		Keys []jwk `json:"keys"`
	}{}
	for _, key := range keys {
		public := key.private.Public().(ed25519.PublicKey)
		set.Keys = append(set.Keys, jwk{
			Type: "OKP", Curve: "Ed25519", Use: "sig", Algorithm: algorithm, ID: key.id,
			X: base64.RawURLEncoding.EncodeToString(public),
		})
	}
	data, err := json.Marshal(set)
	if err != nil {
		// Strings can't fail.
		panic("auth: " + err.Error())
	}
	return data
}

var (
	errNoKeys      = errors.New("the database has no server keys")
	errKeyMismatch = errors.New("a server key was tampered with: its public half doesn't belong to it")
	errUnknownKey  = errors.New("no such signing key")
)
