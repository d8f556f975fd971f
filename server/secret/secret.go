package secret

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// keySize is the size of a key in bytes.
const keySize = 32

// Keys seals what is stored and derives what isn't.
type Keys struct {
	first []byte
	aeads []tink.AEAD
}

// Generate returns a fresh key in the form that Parse reads.
func Generate() string {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails; it aborts the process instead
	return base64.StdEncoding.EncodeToString(key)
}

// Parse reads one or more keys.
func Parse(text string) (*Keys, error) {
	words := strings.FieldsFunc(text, func(r rune) bool {
		return r == ',' || r == ' ' || r == '\n' || r == '\r' || r == '\t'
	})
	if len(words) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrMalformed)
	}
	k := &Keys{}
	for i, word := range words {
		key, err := base64.StdEncoding.DecodeString(word)
		if err != nil || len(key) != keySize {
			// The text itself stays out of the error: it may be a key with a typo.
			return nil, fmt.Errorf("%w: number %d is not 32 bytes in base64", ErrMalformed, i+1)
		}
		aead, err := subtle.NewXChaCha20Poly1305(key)
		if err != nil {
			return nil, fmt.Errorf("read key number %d: %w", i+1, err)
		}
		if i == 0 {
			k.first = key
		}
		k.aeads = append(k.aeads, aead)
	}
	return k, nil
}

// ReadFile reads keys from a file.
func ReadFile(path string) (*Keys, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	k, err := Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// ReadOrCreateFile reads keys from a file and, if there is none, makes one with
// a fresh key that only its owner can read. It is for development and single
// machines; of several processes that race, all get the same key.
func ReadOrCreateFile(path string) (*Keys, error) {
	k, err := ReadFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".key-*")
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	defer os.Remove(temp.Name())
	_, err = temp.WriteString(Generate() + "\n")
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	// A link fails if the name exists, so that the first of them stays.
	if err := os.Link(temp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return ReadFile(path)
}

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

// Seal encrypts a secret for one row.
func (k *Keys) Seal(row Row, plaintext []byte) ([]byte, error) {
	sealed, err := k.aeads[0].Encrypt(plaintext, row.associated())
	if err != nil {
		return nil, fmt.Errorf("seal a secret of %s: %w", row.Table, err)
	}
	return sealed, nil
}

// Open decrypts what Seal encrypted for the same row, under any of the keys. It
// fails with ErrCannotOpen.
func (k *Keys) Open(row Row, sealed []byte) ([]byte, error) {
	for _, aead := range k.aeads {
		if plaintext, err := aead.Decrypt(sealed, row.associated()); err == nil {
			return plaintext, nil
		}
	}
	return nil, fmt.Errorf("open a secret of %s: %w", row.Table, ErrCannotOpen)
}

// Derive returns a key of 32 bytes for one purpose, made from the first key. Use
// it where a change of the first key does no harm.
func (k *Keys) Derive(purpose string) []byte { return Derive(k.first, purpose) }

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
	ErrMalformed  = errors.New("the key can't be read (make one with `openssl rand -base64 32`)")
	ErrCannotOpen = errors.New("the configured key doesn't open it")
)
