package terminal

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// KeyStore keeps a device's key and which terminal it is for. FileKeys and MemoryKeys
// are two; one for a secure element is another.
type KeyStore interface {
	// Public returns the device's Ed25519 public key, which is made when it is first
	// asked for and then stays.
	Public() (ed25519.PublicKey, error)
	// Sign signs a message with the private key.
	Sign(message []byte) ([]byte, error)
	// Terminal returns the id of the terminal, or "" before it is activated.
	Terminal() (string, error)
	// Bind keeps the id of the terminal for good.
	Bind(terminal string) error
}

// identity is what a key store keeps.
type identity struct {
	Seed     []byte `json:"seed"`
	Terminal string `json:"terminal,omitempty"`
}

func newIdentity() (identity, error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return identity{}, fmt.Errorf("make a key: %w", err)
	}
	return identity{Seed: key.Seed()}, nil
}

// keys is a key store over whatever loads and saves an identity.
type keys struct {
	load func() (identity, error) // an empty one if there is none
	save func(identity) error

	mu     sync.Mutex
	cached *identity
}

// get returns the identity, and makes it when there is none.
func (k *keys) get() (identity, error) {
	if k.cached != nil {
		return *k.cached, nil
	}
	i, err := k.load()
	if err == nil && i.Seed == nil {
		if i, err = newIdentity(); err == nil {
			err = k.save(i)
		}
	}
	if err != nil {
		return identity{}, err
	}
	k.cached = &i
	return i, nil
}

// Public returns the public key.
func (k *keys) Public() (ed25519.PublicKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	i, err := k.get()
	if err != nil {
		return nil, err
	}
	return ed25519.NewKeyFromSeed(i.Seed).Public().(ed25519.PublicKey), nil
}

// Sign signs a message.
func (k *keys) Sign(message []byte) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	i, err := k.get()
	if err != nil {
		return nil, err
	}
	return ed25519.Sign(ed25519.NewKeyFromSeed(i.Seed), message), nil
}

// Terminal returns the terminal's id.
func (k *keys) Terminal() (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	i, err := k.get()
	return i.Terminal, err
}

// Bind keeps the terminal's id.
func (k *keys) Bind(terminal string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	i, err := k.get()
	if err != nil {
		return err
	}
	i.Terminal = terminal
	if err := k.save(i); err != nil {
		return err
	}
	k.cached = &i
	return nil
}

// MemoryKeys keeps a key as long as the process lives: for simulations.
func MemoryKeys() KeyStore {
	return &keys{load: func() (identity, error) { return identity{}, nil }, save: func(identity) error { return nil }}
}

// FileKeys keeps a key in a file that only its owner can read. The file is replaced as
// a whole, so that it is never half written.
func FileKeys(path string) KeyStore {
	return &keys{
		load: func() (i identity, err error) {
			text, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				return i, nil
			}
			if err != nil {
				return i, fmt.Errorf("read the key: %w", err)
			}
			if err := json.Unmarshal(text, &i); err != nil || len(i.Seed) != ed25519.SeedSize {
				return identity{}, fmt.Errorf("read the key: %s is damaged", path)
			}
			return i, nil
		},
		save: func(i identity) error {
			text, err := json.Marshal(i)
			if err == nil {
				err = replaceFile(path, text)
			}
			if err != nil {
				return fmt.Errorf("keep the key: %w", err)
			}
			return nil
		},
	}
}

// replaceFile writes a file in full or not at all, and is done only once it would
// outlast a loss of power.
func replaceFile(path string, content []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // its mode is 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(content)
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
