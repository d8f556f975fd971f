package storetest

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tillbook/tillbook/store"
)

// New returns a store on a migrated database of the test's own, which goes when
// the test ends. The store has the serving role.
func New(t testing.TB) *store.Store {
	t.Helper()
	return Open(t, store.Config{URL: NewDatabase(t)})
}

// NewDatabase is New for a test that opens the database itself, or several times
// as replicas do. It returns the URL of a superuser.
func NewDatabase(t testing.TB) string {
	t.Helper()
	return newDatabase(t, (*cluster).clone)
}

// NewEmptyDatabase is NewDatabase without any migration.
func NewEmptyDatabase(t testing.TB) string {
	t.Helper()
	return newDatabase(t, (*cluster).create)
}

func newDatabase(t testing.TB, make func(*cluster, context.Context) (string, error)) string {
	t.Helper()
	c, err := shared()
	if err != nil {
		t.Fatalf("start the test database server: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	name, err := make(c, ctx)
	if err != nil {
		t.Fatalf("make a test database: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
		defer cancel()
		if err := c.drop(ctx, name); err != nil {
			t.Errorf("drop the test database: %v", err)
		}
	})
	return c.databaseURL(name)
}

// Open opens a store and closes it when the test ends. MaxConns is 10 unless
// cfg says otherwise, since many tests share a server.
func Open(t testing.TB, cfg store.Config) *store.Store {
	t.Helper()
	if cfg.MaxConns == 0 {
		cfg.MaxConns = 10
	}
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	s, err := store.Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// URL returns the URL of a superuser on the store's database, for tests that
// tamper with it.
func URL(s *store.Store) string { return s.Pool.Config().ConnString() }

// Dir returns a folder that goes when the test ends and that a PostgreSQL
// started by root, which runs as another user, can reach; it can't reach
// t.TempDir().
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(Parent(), "tillbook-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// What runs on it may be about to end.
		var err error
		for range 50 {
			if err = os.RemoveAll(dir); err == nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Errorf("remove a test's folder: %v", err)
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "data")
}
