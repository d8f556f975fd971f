package storetest

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store"
)

func databaseExists(t *testing.T, c *cluster, name string) bool {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var exists bool
	err := c.admin.QueryRow(context.Background(), "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists)
	if err != nil {
		t.Fatal(err)
	}
	return exists
}

func TestEveryTestHasADatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	one, other := New(t), New(t)
	_, err := one.Pool.Exec(t.Context(), "INSERT INTO assets (code, exponent) VALUES ('XTS', 2)")
	if err != nil {
		t.Fatal(err)
	}
	var seen bool
	err = other.Pool.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM assets WHERE code = 'XTS')").Scan(&seen)
	if err != nil || seen {
		t.Errorf("one test sees what another did: %v (%v)", seen, err)
	}
}

func TestADatabaseGoesWithItsTestEvenIfASessionIsLeft(t *testing.T) {
	t.Parallel()
	c, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	var name string
	var left *pgx.Conn
	t.Run("inner", func(t *testing.T) {
		s := New(t)
		name = s.Pool.Config().ConnConfig.Database
		if !databaseExists(t, c, name) {
			t.Fatal("there is no database")
		}
		if left, err = pgx.Connect(t.Context(), URL(s)); err != nil {
			t.Fatal(err)
		}
	})
	defer left.Close(context.Background())
	if databaseExists(t, c, name) {
		t.Error("the database is still there")
	}
}

func TestTheURLIsASuperusers(t *testing.T) {
	t.Parallel()
	s := New(t)
	conn, err := pgx.Connect(t.Context(), URL(s))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "SET session_replication_role = replica"); err != nil {
		t.Errorf("may not tamper: %v", err)
	}
}

// Test processes of one run meet at a server that none of them has prepared.
func TestProcessesThatShareAServerMakeOneTemplate(t *testing.T) {
	t.Parallel()
	server, err := StartShared(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	var processes sync.WaitGroup
	for range 4 {
		processes.Go(func() {
			c, err := connect(t.Context(), server.URL())
			if err != nil {
				t.Error(err)
				return
			}
			defer c.admin.Close(context.Background())
			name, err := c.clone(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			s, err := store.Open(t.Context(), store.Config{URL: c.databaseURL(name)})
			if err != nil {
				t.Error(err)
				return
			}
			s.Close()
		})
	}
	processes.Wait()
	conn, err := pgx.Connect(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), "SELECT datname FROM pg_database WHERE datname LIKE 'tillbook\\_%'")
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(names) != 1 || strings.HasSuffix(names[0], "unfinished") {
		t.Errorf("the templates are %v (%v)", names, err)
	}
}

func TestATemplateLeftUnfinishedIsMadeAnew(t *testing.T) {
	t.Parallel()
	server, err := StartShared(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	hash, err := migrationsHash()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "CREATE DATABASE tillbook_template_"+hash+"_unfinished"); err != nil {
		t.Fatal(err)
	}
	c, err := connect(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer c.admin.Close(context.Background())
	if _, err := c.clone(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAServerOfItsOwnGoesOnAfterACrashWhereItWas(t *testing.T) {
	t.Parallel()
	server := NewServer(t, map[string]string{"max_connections": "33"})
	url := server.URL()
	s := Open(t, store.Config{URL: url})
	_, err := s.Pool.Exec(t.Context(), "INSERT INTO assets (code, exponent) VALUES ('XTS', 2)")
	if err != nil {
		t.Fatal(err)
	}
	server.Kill()
	server.Start()
	if server.URL() != url {
		t.Errorf("it moved from %s to %s", url, server.URL())
	}
	again := Open(t, store.Config{URL: server.URL()})
	var kept bool
	var connections string
	err = again.Pool.QueryRow(t.Context(),
		"SELECT EXISTS (SELECT FROM assets WHERE code = 'XTS'), current_setting('max_connections')").Scan(&kept, &connections)
	if err != nil || !kept || connections != "33" {
		t.Errorf("kept: %v, max_connections: %s (%v)", kept, connections, err)
	}
}

func TestTheFolderForServersGoes(t *testing.T) {
	t.Parallel()
	var dir string
	t.Run("inner", func(t *testing.T) {
		dir = NewServer(t, nil).options.Dir
	})
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
}
