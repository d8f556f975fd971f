package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/tillbook/tillbook/store/migrations"
)

const (
	// migrationLock keeps replicas that start together from migrating together.
	// Advisory locks are per database; the number only has to be ours.
	migrationLock = 0x7111B00C

	// A migration waits this long for a table that is in use, since everybody
	// else queues behind it meanwhile; then it lets them pass and tries again.
	migrationLockTimeout = "3s"

	migrationAttempts    = 10
	migrationBackoffUnit = 200 * time.Millisecond
)

// Migrate brings the schema up to what this version needs and returns the
// schema's version before and after. The URL's role must own the database.
//
// Only one caller migrates at a time; the others wait and then find nothing to
// do. A schema newer than this version is left alone: during a rolling upgrade
// old replicas start on what new ones have migrated.
func Migrate(ctx context.Context, url string) (from, to int64, err error) {
	return migrate(ctx, url, migrations.FS)
}

func migrate(ctx context.Context, url string, files fs.FS) (from, to int64, err error) {
	config, err := migrationConfig(url)
	if err != nil {
		return 0, 0, err
	}
	db := stdlib.OpenDB(*config)
	defer func() { err = errors.Join(err, db.Close()) }()

	provider, err := newProvider(db, files)
	if err != nil {
		return 0, 0, fmt.Errorf("read the migrations: %w", err)
	}
	if from, err = databaseVersion(ctx, db); err != nil {
		return 0, 0, fmt.Errorf("read the schema's version: %w", err)
	}
	if from >= newestVersion(provider) {
		return from, from, nil
	}
	if err := upWithRetries(ctx, provider); err != nil {
		return from, 0, fmt.Errorf("migrate: %w", err)
	}
	if to, err = databaseVersion(ctx, db); err != nil {
		return from, 0, fmt.Errorf("read the schema's version: %w", err)
	}
	return from, to, nil
}

func migrationConfig(url string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("read the database URL: %w", err)
	}
	delete(config.RuntimeParams, "pool_max_conns")
	setDefaults(config)
	config.RuntimeParams["application_name"] = "tillbook migrate"
	config.RuntimeParams["lock_timeout"] = migrationLockTimeout
	return config, nil
}

func newProvider(db *sql.DB, files fs.FS) (*goose.Provider, error) {
	locker, err := lock.NewPostgresSessionLocker(
		lock.WithLockID(migrationLock), lock.WithLockTimeout(1, 300))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true))
}

// upWithRetries goes on where it stopped: each migration is a transaction.
func upWithRetries(ctx context.Context, provider *goose.Provider) error {
	for attempt := 1; ; attempt++ {
		_, err := provider.Up(ctx)
		if err == nil || attempt == migrationAttempts || !mayMigrateLater(err) {
			return err
		}
		if err := sleep(ctx, jitter(migrationBackoffUnit<<min(attempt, 4))); err != nil {
			return err
		}
	}
}

// mayMigrateLater is true of a lock that was not to be had, and of what happens
// when another database of the cluster, which shares its roles, grants the same
// role at the same moment: the catalog's own uniqueness or "tuple concurrently
// updated".
func mayMigrateLater(err error) bool {
	var pg *pgconn.PgError
	return isCode(err, codeLockNotAvailable, codeDeadlock, codeInternal) ||
		errors.As(err, &pg) && pg.Code == codeUniqueViolation && pg.SchemaName == "pg_catalog"
}

// databaseVersion is 0 where nothing was migrated yet.
func databaseVersion(ctx context.Context, db *sql.DB) (int64, error) {
	var version int64
	err := db.QueryRowContext(ctx, selectVersion).Scan(&version)
	if isCode(err, codeUndefinedTable) {
		return 0, nil
	}
	return version, err
}

const selectVersion = `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`

func newestVersion(provider *goose.Provider) int64 {
	sources := provider.ListSources()
	return sources[len(sources)-1].Version
}

// SchemaVersion returns the version of the database's schema.
func (s *Store) SchemaVersion(ctx context.Context) (int64, error) {
	var version int64
	err := s.Pool.QueryRow(ctx, selectVersion).Scan(&version)
	if isCode(err, codeUndefinedTable, codeInsufficientRight) {
		return 0, nil
	}
	return version, err
}

// NeededVersion returns the version of the schema that this program was built
// for: that of its newest migration.
func NeededVersion() (int64, error) {
	provider, err := goose.NewProvider(goose.DialectPostgres, new(sql.DB), migrations.FS,
		goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return 0, fmt.Errorf("read the migrations: %w", err)
	}
	return newestVersion(provider), nil
}

func (s *Store) checkSchema(ctx context.Context) error {
	version, err := s.SchemaVersion(ctx)
	if err != nil {
		return err
	}
	needed, err := NeededVersion()
	if err != nil {
		return err
	}
	if version < needed {
		return fmt.Errorf("%w: its schema is at version %d, this program needs %d", ErrSchemaOld, version, needed)
	}
	return nil
}
