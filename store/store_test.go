package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

func TestEveryConnectionHasTheServingRole(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	var role, session string
	err := s.Pool.QueryRow(t.Context(), "SELECT current_user, session_user").Scan(&role, &session)
	if err != nil {
		t.Fatal(err)
	}
	if role != store.AppRole || session == store.AppRole {
		t.Errorf("works as %s under the login %s, want %s under the owner's", role, session, store.AppRole)
	}
}

func TestAnOwnerKeepsItsRole(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Config{URL: storetest.NewDatabase(t), Role: store.NoRole})
	if _, err := s.Pool.Exec(t.Context(), "CREATE TABLE owned (id int)"); err != nil {
		t.Errorf("the owner may not make a table: %v", err)
	}
}

func TestSessionsCarryTimeLimitsUnlessTheURLSaysOtherwise(t *testing.T) {
	t.Parallel()
	url := storetest.NewDatabase(t)
	tests := map[string]struct {
		url, setting, want string
	}{
		"lock":             {url, "lock_timeout", "10s"},
		"idle":             {url, "idle_in_transaction_session_timeout", "1min"},
		"no statement":     {url, "statement_timeout", "0"},
		"name":             {url, "application_name", "tillbook"},
		"lock of the URL":  {url + "&lock_timeout=3s", "lock_timeout", "3s"},
		"name of the URL":  {url + "&application_name=reports", "application_name", "reports"},
		"vanished clients": {url, "tcp_keepalives_idle", "30"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := storetest.Open(t, store.Config{URL: test.url})
			var got string
			if err := s.Pool.QueryRow(t.Context(), "SHOW "+test.setting).Scan(&got); err != nil {
				t.Fatal(err)
			}
			if got != test.want {
				t.Errorf("%s is %s, want %s", test.setting, got, test.want)
			}
		})
	}
}

func TestThePoolIsBounded(t *testing.T) {
	t.Parallel()
	url := storetest.NewDatabase(t)
	tests := map[string]struct {
		config store.Config
		want   int32
	}{
		"by default":    {store.Config{URL: url}, 20},
		"by the URL":    {store.Config{URL: url + "&pool_max_conns=7"}, 7},
		"by the config": {store.Config{URL: url + "&pool_max_conns=7", MaxConns: 3}, 3},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := store.Open(t.Context(), test.config)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Close)
			if got := s.Pool.Config().MaxConns; got != test.want {
				t.Errorf("%d connections at most, want %d", got, test.want)
			}
		})
	}
}

func TestTimesAreReadInUTC(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	var when time.Time
	if err := s.Pool.QueryRow(t.Context(), "SELECT timestamptz '2024-02-03 04:05:06+03'").Scan(&when); err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2024, 2, 3, 1, 5, 6, 0, time.UTC); when != want {
		t.Errorf("read %v, want %v", when, want)
	}
}

func TestADatabaseThatIsNotMigratedIsRefused(t *testing.T) {
	t.Parallel()
	url := storetest.NewEmptyDatabase(t)
	if _, err := store.Open(t.Context(), store.Config{URL: url}); !errors.Is(err, store.ErrSchemaOld) {
		t.Errorf("opened an empty database: %v", err)
	}
	if _, err := store.Open(t.Context(), store.Config{URL: url, Role: store.NoRole}); !errors.Is(err, store.ErrSchemaOld) {
		t.Errorf("opened an empty database as its owner: %v", err)
	}
	if _, _, err := store.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	s := storetest.Open(t, store.Config{URL: url})
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestADatabaseThatLacksTheNewestMigrationIsRefused(t *testing.T) {
	t.Parallel()
	url := storetest.NewDatabase(t)
	newest, err := store.NeededVersion()
	if err != nil {
		t.Fatal(err)
	}
	asOwner(t, url, "DELETE FROM goose_db_version WHERE version_id = $1", newest)
	if _, err := store.Open(t.Context(), store.Config{URL: url}); !errors.Is(err, store.ErrSchemaOld) {
		t.Errorf("opened a database of an older schema: %v", err)
	}
}

func TestAWrongURLIsAnErrorWithoutItsPassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"postgres://tillbook:hunter2@127.0.0.1:notaport/tillbook",
		"postgres://tillbook:hunter2@127.0.0.1:1/tillbook",
	} {
		_, err := store.Open(t.Context(), store.Config{URL: url})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("opening %s: %v", url, err)
		}
	}
}

// A primary that was demoted is noticed at the first refused write, and all
// connections to it are given up, not just the one that noticed.
func TestConnectionsToADemotedPrimaryAreGivenUp(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	ctx := t.Context()
	idle, err := s.Pool.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	before := idle.Conn().PgConn().PID()
	err = s.InTx(ctx, func(ctx context.Context, _ *store.Queries, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET TRANSACTION READ ONLY"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "INSERT INTO assets (code, exponent) VALUES ('XTS', 2)")
		return err
	})
	if !store.IsUnavailable(err) {
		t.Errorf("a refused write is not unavailability: %v", err)
	}
	idle.Release()
	var after uint32
	if err := s.Pool.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&after); err != nil {
		t.Fatal(err)
	}
	if after == before {
		t.Error("a connection from before the refusal is still in use")
	}
}

func TestALostServerIsUnavailableAndCanComeBack(t *testing.T) {
	t.Parallel()
	server := storetest.NewServer(t, nil)
	s := storetest.Open(t, store.Config{URL: server.URL()})
	if _, err := s.SchemaVersion(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	// A session outlives its killed server until it notices.
	for end := time.Now().Add(10 * time.Second); s.Ping(t.Context()) == nil && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	for range 3 {
		if err := s.Ping(t.Context()); !store.IsUnavailable(err) {
			t.Errorf("a killed server is not unavailable: %v", err)
		}
	}
	_, err := store.Open(t.Context(), store.Config{URL: server.URL()})
	if !store.IsUnavailable(err) {
		t.Errorf("opening a server that is not there: %v", err)
	}
	server.Start()
	if _, err := s.SchemaVersion(t.Context()); err != nil {
		t.Errorf("the server is back, but: %v", err)
	}
}

func TestACallersEndIsNotUnavailability(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Ping(ctx); err == nil || store.IsUnavailable(err) {
		t.Errorf("a cancelled call: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Pool.Exec(ctx, "SELECT pg_sleep(60)"); err == nil || store.IsUnavailable(err) {
		t.Errorf("a call past its deadline: %v", err)
	}
	if store.IsUnavailable(nil) || store.IsUnavailable(errors.New("something else")) || store.IsUnavailable(pgx.ErrNoRows) {
		t.Error("an error of no connection is unavailability")
	}
}

// A server that lacks room, memory or a working disk says so by an SQLSTATE, and so does
// one that ended a statement because of others. What is wrong with the statement or with
// the data stays an error of its own.
func TestWhatAServerSaysOfItsOwnStateIsUnavailable(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	for code, want := range map[string]bool{
		"53000": true, "53100": true, "53200": true, "53300": true, "53400": true, "58000": true, "58030": true, "57P01": true, "40001": true, "40P01": true,
		"23505": false, "22001": false, "42P01": false, "54000": false, "57014": false, "XX000": false, "XX001": false,
	} {
		_, err := s.Pool.Exec(t.Context(), "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '"+code+"'; END $$")
		if err == nil || store.IsUnavailable(err) != want {
			t.Errorf("%s: %v", code, err)
		}
	}
}

// asOwner runs a statement with a superuser's rights.
func asOwner(t *testing.T, url, sql string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}
