package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"google.golang.org/protobuf/encoding/protojson"

	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
)

// memory is what the counter shows again after a restart: the checkouts that wait, and
// whose counter it is. What must not get lost is in the SDK's journal.
type memory struct {
	path string
	mu   sync.Mutex
	kept kept
}

type kept struct {
	Open          []string        `json:"open,omitempty"`
	Configuration json.RawMessage `json:"configuration,omitempty"`
}

func openMemory(path string) (*memory, error) {
	m := &memory{path: path}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &m.kept)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return m, nil
}

// open returns the ids of the checkouts that wait.
func (m *memory) open() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.kept.Open)
}

// configuration returns the last one that was kept; nil if none was.
func (m *memory) configuration() *terminalv1.Configuration {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &terminalv1.Configuration{}
	if m.kept.Configuration == nil || (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(m.kept.Configuration, c) != nil {
		return nil
	}
	return c
}

// wait keeps, or no longer keeps, that a checkout waits.
func (m *memory) wait(checkout string, waits bool) error {
	return m.change(func(k *kept) error {
		k.Open = slices.DeleteFunc(k.Open, func(id string) bool { return id == checkout })
		if waits {
			k.Open = append(k.Open, checkout)
		}
		return nil
	})
}

func (m *memory) configure(c *terminalv1.Configuration) error {
	return m.change(func(k *kept) (err error) {
		k.Configuration, err = protojson.Marshal(c)
		return err
	})
}

// change replaces the file, in full or not at all.
func (m *memory) change(f func(*kept) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := f(&m.kept); err != nil {
		return err
	}
	text, err := json.Marshal(m.kept)
	if err != nil {
		return err
	}
	temp := filepath.Join(filepath.Dir(m.path), "."+filepath.Base(m.path)+".new")
	if err := os.WriteFile(temp, text, 0o600); err != nil {
		return err
	}
	return os.Rename(temp, m.path)
}
