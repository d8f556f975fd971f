package secret

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// keySize is the size of a key in bytes.
const keySize = 32

// sandboxText is a key that everybody knows, as all is that it protects.
const sandboxText = "c2FuZGJveCBzYW5kYm94IHNhbmRib3ggc2FuZGJveCE="

// Keys seals what is stored and derives what isn't. It is safe for concurrent use.
type Keys struct {
	source Source

	// changing lets one caller at a time change what is held.
	changing sync.Mutex
	held     atomic.Pointer[held]
}

// held is what is held at one time. It never changes.
type held struct {
	// keys are ordered as they are tried: the one in use first.
	keys []key
	// listed are the ids in the order of the source.
	listed []string
	// derived remembers the keys of a purpose.
	derived *sync.Map
}

type key struct {
	id    string
	bytes []byte
	aead  tink.AEAD
}

// Generate returns a fresh key in the form that Parse reads.
func Generate() string {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails; it aborts the process instead
	return base64.StdEncoding.EncodeToString(key)
}

// Sandbox returns the key that everybody knows.
func Sandbox() *Keys {
	keys, err := Parse(sandboxText)
	if err != nil {
		panic(err) // The text above is wrong.
	}
	return keys
}

// SandboxID is the id of the key that everybody knows.
var SandboxID = Sandbox().InUse()

// Parse reads one or more keys.
func Parse(text string) (*Keys, error) { return Load(context.Background(), words(text)) }

// Load reads the keys of a source. The first is in use.
func Load(ctx context.Context, source Source) (*Keys, error) {
	read, err := read(ctx, source)
	if err != nil {
		return nil, err
	}
	k := &Keys{source: source}
	k.hold(read, ids(read))
	return k, nil
}

func read(ctx context.Context, source Source) ([]key, error) {
	raw, err := source.Read(ctx)
	if err != nil {
		return nil, err
	}
	if len(raw) == 0 {
		return nil, fmt.Errorf("%s: %w: it is empty", source, ErrMalformed)
	}
	var keys []key
	for i, b := range raw {
		aead, err := subtle.NewXChaCha20Poly1305(b)
		if err != nil {
			return nil, fmt.Errorf("%s: read key number %d: %w", source, i+1, err)
		}
		k := key{id: hex.EncodeToString(Derive(b, "key id")[:6]), bytes: b, aead: aead}
		if !slices.ContainsFunc(keys, func(other key) bool { return other.id == k.id }) {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

func ids(keys []key) (list []string) {
	for _, k := range keys {
		list = append(list, k.id)
	}
	return list
}

func (k *Keys) hold(keys []key, listed []string) {
	k.held.Store(&held{keys: keys, listed: listed, derived: new(sync.Map)})
}

// Reload reads the source again and says whether it lists other keys than before.
// Keys that it lists no more stay, and which one is in use doesn't change. If it
// fails, nothing changes.
func (k *Keys) Reload(ctx context.Context) (changed bool, err error) {
	k.changing.Lock()
	defer k.changing.Unlock()
	fresh, err := read(ctx, k.source)
	if err != nil {
		return false, err
	}
	now := k.held.Load()
	listed := ids(fresh)
	if slices.Equal(listed, now.listed) {
		return false, nil
	}
	keys := slices.Clone(now.keys)
	for _, f := range fresh {
		if !now.has(f.id) {
			keys = append(keys, f)
		}
	}
	k.hold(keys, listed)
	return true, nil
}

// Use makes the key of this id the one that seals. It says whether it is held.
func (k *Keys) Use(id string) bool {
	k.changing.Lock()
	defer k.changing.Unlock()
	now := k.held.Load()
	i := now.index(id)
	if i > 0 {
		keys := slices.Insert(slices.Delete(slices.Clone(now.keys), i, i+1), 0, now.keys[i])
		k.hold(keys, now.listed)
	}
	return i >= 0
}

// Drop forgets a key that is retired, unless it is the one in use. It says whether
// it was held.
func (k *Keys) Drop(id string) bool {
	k.changing.Lock()
	defer k.changing.Unlock()
	now := k.held.Load()
	i := now.index(id)
	if i <= 0 {
		return false
	}
	k.hold(slices.Delete(slices.Clone(now.keys), i, i+1), now.listed)
	return true
}

// InUse is the id of the key that seals. Ids say nothing about keys.
func (k *Keys) InUse() string { return k.held.Load().keys[0].id }

// Listed are the ids of the keys that the source lists, in its order.
func (k *Keys) Listed() []string { return slices.Clone(k.held.Load().listed) }

// Has says whether a key is held.
func (k *Keys) Has(id string) bool { return k.held.Load().has(id) }

func (h *held) has(id string) bool { return h.index(id) >= 0 }

func (h *held) index(id string) int {
	return slices.IndexFunc(h.keys, func(k key) bool { return k.id == id })
}

// Source says where the keys come from.
func (k *Keys) Source() string { return k.source.String() }

// Row names the place that a sealed secret belongs to.
type Row struct {
	Table  string
	Column string
	ID     uuid.UUID
}

// associated writes a row in a way that no other row is written.
func (r Row) associated() []byte {
	return fmt.Appendf(nil, "tillbook/%s/%s/%s", r.Table, r.Column, r.ID)
}

// Seal encrypts a secret for one row with the key of an id: which one is in use may
// change between a look and a seal. It fails with ErrNotHeld.
func (k *Keys) Seal(by string, row Row, plaintext []byte) ([]byte, error) {
	now := k.held.Load()
	i := now.index(by)
	if i < 0 {
		return nil, fmt.Errorf("seal a secret of %s: %w: %s", row.Table, ErrNotHeld, by)
	}
	sealed, err := now.keys[i].aead.Encrypt(plaintext, row.associated())
	if err != nil {
		return nil, fmt.Errorf("seal a secret of %s: %w", row.Table, err)
	}
	return sealed, nil
}

// Open decrypts what Seal encrypted for the same row, under any of the keys. It
// fails with ErrCannotOpen.
func (k *Keys) Open(row Row, sealed []byte) ([]byte, error) {
	plaintext, _, err := k.OpenWith(row, sealed)
	return plaintext, err
}

// OpenWith is Open and says which key it was.
func (k *Keys) OpenWith(row Row, sealed []byte) (plaintext []byte, id string, err error) {
	for _, key := range k.held.Load().keys {
		if plaintext, err := key.aead.Decrypt(sealed, row.associated()); err == nil {
			return plaintext, key.id, nil
		}
	}
	return nil, "", fmt.Errorf("open a secret of %s: %w", row.Table, ErrCannotOpen)
}

// Derived gives the keys of one purpose at the time of the call: first the one
// that new things are made with, then those that older things were made with.
type Derived func() [][]byte

// Newest is the key that new things are made with.
func (d Derived) Newest() []byte { return d()[0] }

// Fixed is a key that never changes, for tests.
func Fixed(key []byte) Derived {
	all := [][]byte{bytes.Clone(key)}
	return func() [][]byte { return all }
}

// Derive returns the keys of 32 bytes for one purpose, one made from each key
// that is held.
func (k *Keys) Derive(purpose string) Derived {
	return func() [][]byte {
		now := k.held.Load()
		if known, ok := now.derived.Load(purpose); ok {
			return known.([][]byte)
		}
		var all [][]byte
		for _, key := range now.keys {
			all = append(all, Derive(key.bytes, purpose))
		}
		now.derived.Store(purpose, all)
		return all
	}
}

// Derive returns a key of 32 bytes for one purpose, made from a key.
func Derive(key []byte, purpose string) []byte {
	derived, err := hkdf.Key(sha256.New, key, nil, "tillbook/"+purpose, keySize)
	if err != nil {
		// Only a length beyond HKDF's limit fails.
		panic("secret: " + err.Error())
	}
	return derived
}

// String keeps keys out of logs.
func (k *Keys) String() string { return "secret keys" }

// GoString keeps keys out of logs.
func (k *Keys) GoString() string { return k.String() }

// Reasons for which a secret can't be used.
var (
	ErrMalformed  = errors.New("the key can't be read (`tillbook keys new` makes one)")
	ErrCannotOpen = errors.New("the configured key doesn't open it")
	ErrNotHeld    = errors.New("there is no such key")
	ErrNoKMS      = errors.New("it holds a key that a key management service encrypted: name the service's key with --kms-key")
	ErrKMS        = errors.New("the key management service can't be used")
)
