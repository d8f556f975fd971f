package secret

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/tink-crypto/tink-go-hcvault/v2/integration/hcvault"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// associatedKMS binds what a key management service encrypts to what it is.
const associatedKMS = "tillbook/secret"

// kmsTimeout bounds one call of the service, its few retries included.
const kmsTimeout = 10 * time.Second

// KMS is a source whose keys are encrypted by a key of a key management service,
// the key encryption key. Keys that aren't encrypted may stand beside them while
// one moves there.
type KMS struct {
	text Text
	kek  tink.AEAD
	name string

	mu     sync.Mutex
	opened map[string][]byte // by word
}

// NewKMS returns a source of the words of text, of which those that begin with
// "kms:" are opened by kek.
func NewKMS(text Text, kek tink.AEAD, name string) *KMS {
	return &KMS{text: text, kek: kek, name: name, opened: make(map[string][]byte)}
}

func (k *KMS) String() string { return k.text.String() + ", opened by " + k.name }

// Read asks the service for each key that it wasn't asked for before.
func (k *KMS) Read(ctx context.Context) ([][]byte, error) {
	text, err := k.text.Text()
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	var keys [][]byte
	for i, word := range split(text) {
		key, err := k.open(ctx, word)
		if err != nil {
			return nil, fmt.Errorf("%s: key number %d: %w", k.text, i+1, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func (k *KMS) open(ctx context.Context, word string) ([]byte, error) {
	wrapped, ok := strings.CutPrefix(word, Wrapped)
	if !ok {
		keys, err := words(word).Read(ctx)
		if err != nil {
			return nil, err
		}
		return keys[0], nil
	}
	if key, ok := k.opened[word]; ok {
		return key, nil
	}
	ciphertext, err := base64.StdEncoding.DecodeString(wrapped)
	if err != nil {
		return nil, fmt.Errorf("%w: what follows kms: is not base64", ErrMalformed)
	}
	key, err := k.kek.Decrypt(ciphertext, []byte(associatedKMS))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrKMS, k.name, err)
	}
	if len(key) != keySize {
		return nil, fmt.Errorf("%w: %s opened something else than a key", ErrMalformed, k.name)
	}
	k.opened[word] = key
	return key, nil
}

// Wrap has a key encryption key encrypt a key, and returns the word for a file.
func Wrap(kek tink.AEAD, key string) (string, error) {
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil || len(raw) != keySize {
		return "", ErrMalformed
	}
	wrapped, err := kek.Encrypt(raw, []byte(associatedKMS))
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrKMS, err)
	}
	return Wrapped + base64.StdEncoding.EncodeToString(wrapped), nil
}

// OpenKEK returns the key that a URI names: hcvault://HOST:PORT/transit/keys/NAME
// for the transit engine of HashiCorp Vault and OpenBao. Who we are there, and whom
// we trust, is in the variables that their own tools read, such as VAULT_TOKEN and
// VAULT_CACERT. The service is spoken to over TLS, unless VAULT_ADDR says http for
// the same host, which is for an agent on this machine.
func OpenKEK(uri string) (tink.AEAD, error) {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "hcvault" || u.Host == "" {
		return nil, fmt.Errorf("%w: --kms-key must look like hcvault://vault.example.com:8200/transit/keys/tillbook", ErrKMS)
	}
	config := api.DefaultConfig()
	if config.Error != nil {
		return nil, fmt.Errorf("%w: %w", ErrKMS, config.Error)
	}
	if config.Address != "http://"+u.Host {
		config.Address = "https://" + u.Host
	}
	config.Timeout, config.MaxRetries = kmsTimeout, 1
	config.MinRetryWait, config.MaxRetryWait = 100*time.Millisecond, time.Second
	client, err := api.NewClient(config)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKMS, err)
	}
	kek, err := hcvault.NewAEAD(u.EscapedPath(), client.Logical())
	if err != nil {
		return nil, errors.Join(ErrKMS, err)
	}
	return kek, nil
}
