package store_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/migrations"
	"github.com/tillbook/tillbook/store/storetest"
)

func TestMigrateSaysFromWhereToWhere(t *testing.T) {
	t.Parallel()
	url := storetest.NewEmptyDatabase(t)
	newest, err := store.NeededVersion()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range [][2]int64{{0, newest}, {newest, newest}} {
		from, to, err := store.Migrate(t.Context(), url)
		if err != nil || from != want[0] || to != want[1] {
			t.Errorf("migrated from %d to %d (%v), want %v", from, to, err, want)
		}
	}
}

func TestReplicasThatStartTogetherMigrateOnce(t *testing.T) {
	t.Parallel()
	url := storetest.NewDatabase(t)
	files, next := newer(t, "SELECT pg_sleep(0.2); CREATE TABLE next (id int);")
	var replicas sync.WaitGroup
	for range 4 {
		replicas.Go(func() {
			if _, to, err := store.MigrateFiles(t.Context(), url, files); err != nil || to != next {
				t.Errorf("migrated to %d: %v", to, err)
			}
		})
	}
	replicas.Wait()
	var applied int64
	err := connect(t, url).QueryRow(t.Context(), "SELECT count(*) FROM goose_db_version WHERE version_id = $1", next).Scan(&applied)
	if err != nil || applied != 1 {
		t.Errorf("applied %d times (%v)", applied, err)
	}
}

// Roles belong to the cluster, so migrations of two databases meet there.
func TestDatabasesOfOneServerMigrateTogether(t *testing.T) {
	t.Parallel()
	server := storetest.NewServer(t, map[string]string{"fsync": "off"})
	asOwner(t, server.URL(), "REVOKE tillbook_app FROM tillbook")
	var databases sync.WaitGroup
	for i := range 4 {
		name := fmt.Sprintf("db%d", i)
		asOwner(t, server.URL(), "CREATE DATABASE "+name)
		config, err := pgx.ParseConfig(server.URL())
		if err != nil {
			t.Fatal(err)
		}
		url := fmt.Sprintf("postgres://%s:%s@%s:%d/%s", config.User, config.Password, config.Host, config.Port, name)
		databases.Go(func() {
			if _, _, err := store.Migrate(t.Context(), url); err != nil {
				t.Error(err)
			}
		})
	}
	databases.Wait()
}

// newer is this version's migrations and one more, as the next release has them.
func newer(t *testing.T, sql string) (fs.FS, int64) {
	t.Helper()
	files := fstest.MapFS{}
	entries, err := fs.ReadDir(migrations.FS, ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		text, err := fs.ReadFile(migrations.FS, entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		files[entry.Name()] = &fstest.MapFile{Data: text}
	}
	newest, err := store.NeededVersion()
	if err != nil {
		t.Fatal(err)
	}
	files[fmt.Sprintf("%05d_next.sql", newest+1)] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + sql + "\n")}
	return files, newest + 1
}

func TestASchemaNewerThanThisVersionIsAccepted(t *testing.T) {
	t.Parallel()
	url := storetest.NewDatabase(t)
	files, next := newer(t, "CREATE TABLE next (id int);")
	if _, to, err := store.MigrateFiles(t.Context(), url, files); err != nil || to != next {
		t.Fatalf("migrated to %d: %v", to, err)
	}
	if from, to, err := store.Migrate(t.Context(), url); err != nil || from != next || to != next {
		t.Errorf("an old replica migrated from %d to %d: %v", from, to, err)
	}
	storetest.Open(t, store.Config{URL: url})
}

func TestAMigrationThatFailsChangesNothingAndCanBeRepeated(t *testing.T) {
	t.Parallel()
	url := storetest.NewDatabase(t)
	broken, next := newer(t, "CREATE TABLE next (id int); SELECT 1/0;")
	if _, _, err := store.MigrateFiles(t.Context(), url, broken); err == nil {
		t.Fatal("a broken migration succeeded")
	}
	mended, _ := newer(t, "CREATE TABLE next (id int);")
	if from, to, err := store.MigrateFiles(t.Context(), url, mended); err != nil || from != next-1 || to != next {
		t.Errorf("migrated from %d to %d: %v", from, to, err)
	}
}

// A migration must not make everybody queue behind it: it gives up its place and
// tries again, and gets through when the table is free.
func TestAMigrationWaitsForABusyTableWithoutFailing(t *testing.T) {
	t.Parallel()
	url := storetest.NewDatabase(t)
	blocker := connect(t, url)
	tx, err := blocker.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "LOCK TABLE assets IN ACCESS SHARE MODE"); err != nil {
		t.Fatal(err)
	}
	files, next := newer(t, "SET LOCAL lock_timeout = '50ms'; ALTER TABLE assets ADD COLUMN extra int;")
	failed := make(chan error, 1)
	go func() {
		_, to, err := store.MigrateFiles(t.Context(), url, files)
		if err == nil && to != next {
			err = fmt.Errorf("migrated to %d", to)
		}
		failed <- err
	}()
	waitForRollbacks(t, url)
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err != nil {
		t.Error(err)
	}
}

// waitForRollbacks waits until a transaction of the database has failed.
func waitForRollbacks(t *testing.T, url string) {
	t.Helper()
	conn := connect(t, url)
	eventually(t, "a transaction fails", func() (rolledBack bool) {
		err := conn.QueryRow(t.Context(),
			"SELECT xact_rollback > 0 FROM pg_stat_database WHERE datname = current_database()").Scan(&rolledBack)
		if err != nil {
			t.Fatal(err)
		}
		return rolledBack
	})
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(context.Background()); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return conn
}
