package secret

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Source is where keys come from. It may be read again at any time.
type Source interface {
	// Read returns the keys, of 32 bytes each, in their order.
	Read(ctx context.Context) ([][]byte, error)
	// String names the source, without anything secret.
	String() string
}

// Wrapped begins a key that a key management service encrypted.
const Wrapped = "kms:"

// split takes a text apart into words.
func split(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool {
		return r == ',' || r == ' ' || r == '\n' || r == '\r' || r == '\t'
	})
}

// words is a source that is its own text.
type words string

func (w words) String() string { return "the key" }

// Read reads each word as a key.
func (w words) Read(context.Context) ([][]byte, error) {
	var keys [][]byte
	for i, word := range split(string(w)) {
		if strings.HasPrefix(word, Wrapped) {
			return nil, ErrNoKMS
		}
		key, err := base64.StdEncoding.DecodeString(word)
		if err != nil || len(key) != keySize {
			// The text itself stays out of the error: it may be a key with a typo.
			return nil, fmt.Errorf("%w: number %d is not 32 bytes in base64", ErrMalformed, i+1)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrMalformed)
	}
	return keys, nil
}

// Text is what a source is before its words are understood: what is to be opened
// by a key management service comes from one, too.
type Text interface {
	Source
	Text() (string, error)
}

// File is a source that is a file.
type File string

func (f File) String() string { return "the file " + string(f) }

// Text reads the file.
func (f File) Text() (string, error) {
	text, err := os.ReadFile(string(f))
	if err != nil {
		return "", fmt.Errorf("read the key: %w", err)
	}
	return string(text), nil
}

// Read reads the file anew.
func (f File) Read(ctx context.Context) ([][]byte, error) { return readText(ctx, f) }

// Variable is a source that is an environment variable. It changes only with the
// process.
type Variable string

func (v Variable) String() string { return "the environment variable " + string(v) }

// Text reads the variable.
func (v Variable) Text() (string, error) {
	text, ok := os.LookupEnv(string(v))
	if !ok {
		return "", fmt.Errorf("%w: there is no environment variable %s", ErrMalformed, string(v))
	}
	return text, nil
}

// Read reads the variable.
func (v Variable) Read(ctx context.Context) ([][]byte, error) { return readText(ctx, v) }

func readText(ctx context.Context, from Text) ([][]byte, error) {
	text, err := from.Text()
	if err != nil {
		return nil, err
	}
	keys, err := words(text).Read(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	return keys, nil
}

// Create makes the file with a fresh key that only its owner can read, unless it
// is there. It is for development and single machines; of several processes that
// race, all find the same key.
func (f File) Create() error {
	if _, err := os.Stat(string(f)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return f.create(Generate())
}

func (f File) create(word string) error {
	temp, err := f.beside(word + "\n")
	if err != nil {
		return err
	}
	defer os.Remove(temp)
	// A link fails if the name exists, so that the first of them stays.
	if err := os.Link(temp, string(f)); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make a key: %w", err)
	}
	return f.syncFolder()
}

// Prepend puts a key in front of those in the file, and makes the file, readable by
// its owner only, if there is none. Who reads it meanwhile gets the old content or the
// new one; its owner and mode stay as far as this process
// may keep them.
func (f File) Prepend(word string) error {
	info, err := os.Stat(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return f.create(word)
	}
	if err != nil {
		return fmt.Errorf("read the key: %w", err)
	}
	text, err := f.Text()
	if err != nil {
		return err
	}
	temp, err := f.beside(word + "\n" + text)
	if err != nil {
		return err
	}
	defer os.Remove(temp)
	if err := errors.Join(os.Chmod(temp, info.Mode().Perm()), keepOwner(temp, info), os.Rename(temp, string(f))); err != nil {
		return fmt.Errorf("write the key: %w", err)
	}
	return f.syncFolder()
}

// syncFolder has the file's new name outlive a loss of power: what a lost key seals
// can't be opened again.
func (f File) syncFolder() error {
	folder, err := os.Open(filepath.Dir(string(f)))
	if err != nil {
		return fmt.Errorf("write the key: %w", err)
	}
	if err := errors.Join(folder.Sync(), folder.Close()); err != nil {
		return fmt.Errorf("write the key: %w", err)
	}
	return nil
}

// beside writes a file of its own next to f.
func (f File) beside(text string) (name string, err error) {
	temp, err := os.CreateTemp(filepath.Dir(string(f)), ".key-*")
	if err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	_, err = temp.WriteString(text)
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		os.Remove(temp.Name())
		return "", fmt.Errorf("make a key: %w", err)
	}
	return temp.Name(), nil
}

// keepOwner gives a file to the owner of another.
func keepOwner(name string, like fs.FileInfo) error {
	uid, gid, ok := owner(like)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return os.Chown(name, uid, gid)
}
