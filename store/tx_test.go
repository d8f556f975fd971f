package store_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

// addAsset is something that a transaction does and that can be seen afterwards.
func addAsset(ctx context.Context, tx pgx.Tx, code string) error {
	_, err := tx.Exec(ctx, "INSERT INTO assets (code, exponent) VALUES ($1, 2)", code)
	return err
}

func hasAsset(t *testing.T, s *store.Store, code string) bool {
	t.Helper()
	var exists bool
	err := s.Pool.QueryRow(context.Background(), "SELECT EXISTS (SELECT FROM assets WHERE code = $1)", code).Scan(&exists)
	if err != nil {
		t.Fatal(err)
	}
	return exists
}

func TestATransactionCommitsWhatItDid(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	err := s.InTx(t.Context(), func(ctx context.Context, _ *store.Queries, tx pgx.Tx) error {
		return addAsset(ctx, tx, "XTS")
	})
	if err != nil || !hasAsset(t, s, "XTS") {
		t.Errorf("committed: %v, error: %v", hasAsset(t, s, "XTS"), err)
	}
}

func TestATransactionThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	refusal := errors.New("no")
	err := s.InTx(t.Context(), func(ctx context.Context, _ *store.Queries, tx pgx.Tx) error {
		if err := addAsset(ctx, tx, "XTS"); err != nil {
			return err
		}
		return refusal
	})
	if err != refusal {
		t.Errorf("the error came back as %v", err)
	}
	if hasAsset(t, s, "XTS") {
		t.Error("a failed transaction left its work behind")
	}
}

func TestATransactionThatPanicsLeavesNothing(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = s.InTx(t.Context(), func(ctx context.Context, _ *store.Queries, tx pgx.Tx) error {
			if err := addAsset(ctx, tx, "XTS"); err != nil {
				return err
			}
			panic("a bug")
		})
	}()
	if hasAsset(t, s, "XTS") {
		t.Error("a panicked transaction left its work behind")
	}
	if n := s.Pool.Stat().AcquiredConns(); n != 0 {
		t.Errorf("%d connections were not given back", n)
	}
}

func TestACallerThatGivesUpBeforeTheCommitLeavesNothing(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := s.InTx(ctx, func(ctx context.Context, _ *store.Queries, tx pgx.Tx) error {
		defer cancel()
		return addAsset(ctx, tx, "XTS")
	})
	if !errors.Is(err, context.Canceled) || hasAsset(t, s, "XTS") {
		t.Errorf("committed: %v, error: %v", hasAsset(t, s, "XTS"), err)
	}
}

func TestAStatementThatFailedCantBeCommittedOver(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	err := s.InTx(t.Context(), func(ctx context.Context, _ *store.Queries, tx pgx.Tx) error {
		_ = addAsset(ctx, tx, "not a code")
		return nil
	})
	if err == nil || errors.Is(err, store.ErrOutcomeUnknown) {
		t.Errorf("a transaction that PostgreSQL rolled back ended with %v", err)
	}
}

// Two transactions lock two rows in opposite order; PostgreSQL ends one of them,
// which is then run again.
func TestADeadlockIsTriedAgain(t *testing.T) {
	t.Parallel()
	url := storetest.NewDatabase(t)
	s := storetest.Open(t, store.Config{URL: url + "&deadlock_timeout=10ms"})
	for _, code := range []string{"a", "b"} {
		_, err := s.Pool.Exec(t.Context(), "INSERT INTO accounts (code, asset_id, floor) VALUES ($1, 1, 0)", code)
		if err != nil {
			t.Fatal(err)
		}
	}
	var both sync.WaitGroup
	both.Add(2)
	runs := make(chan struct{}, 100)
	touch := func(first, second string) error {
		met := false
		return s.InTx(t.Context(), func(ctx context.Context, _ *store.Queries, tx pgx.Tx) error {
			runs <- struct{}{}
			const update = "UPDATE accounts SET version = version + 1 WHERE code = $1"
			if _, err := tx.Exec(ctx, update, first); err != nil {
				return err
			}
			if !met {
				met = true
				both.Done()
				both.Wait()
			}
			_, err := tx.Exec(ctx, update, second)
			return err
		})
	}
	failed := make(chan error, 2)
	go func() { failed <- touch("a", "b") }()
	go func() { failed <- touch("b", "a") }()
	for range 2 {
		if err := <-failed; err != nil {
			t.Errorf("a deadlock reached the caller: %v", err)
		}
	}
	if n := len(runs); n < 3 {
		t.Errorf("ran %d times, so nothing was tried again", n)
	}
	var lowest int64
	if err := s.Pool.QueryRow(t.Context(), "SELECT min(version) FROM accounts").Scan(&lowest); err != nil || lowest != 2 {
		t.Errorf("an account was touched %d times, want 2 (%v)", lowest, err)
	}
}

func TestRetriesAreBounded(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	runs := 0
	err := s.InTx(t.Context(), func(ctx context.Context, _ *store.Queries, tx pgx.Tx) error {
		runs++
		_, err := tx.Exec(ctx, "DO $$ BEGIN RAISE serialization_failure; END $$")
		return err
	})
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "40001" || runs != 5 {
		t.Errorf("gave up after %d runs with %v, want 5 and the serialization failure", runs, err)
	}
}

func TestAnErrorThatIsNoConflictIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	runs := 0
	err := s.InTx(t.Context(), func(ctx context.Context, _ *store.Queries, tx pgx.Tx) error {
		runs++
		return addAsset(ctx, tx, "USD")
	})
	if err == nil || runs != 1 {
		t.Errorf("ran %d times and ended with %v", runs, err)
	}
}

func TestNoStatementOfATransactionRunsForEver(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	var limit string
	err := s.InTx(t.Context(), func(ctx context.Context, _ *store.Queries, tx pgx.Tx) error {
		return tx.QueryRow(ctx, "SHOW statement_timeout").Scan(&limit)
	})
	if err != nil || limit != "30s" {
		t.Errorf("statement_timeout is %q (%v)", limit, err)
	}
}

// A commit that waits for a standby that doesn't exist. Cancelled, PostgreSQL
// answers COMMIT with success and a warning.
func TestACommitWhoseReplicationWasCutShortIsUnknown(t *testing.T) {
	t.Parallel()
	url, s := withoutStandby(t)
	failed := make(chan error, 1)
	go func() {
		failed <- s.InTx(t.Context(), func(ctx context.Context, _ *store.Queries, tx pgx.Tx) error {
			return addAsset(ctx, tx, "XTS")
		})
	}()
	atWaitingCommit(t, url, "SELECT pg_cancel_backend($1)")
	if err := <-failed; !errors.Is(err, store.ErrOutcomeUnknown) {
		t.Errorf("a commit that may be lost ended with %v", err)
	}
}

func TestACallerThatGivesUpDuringTheCommitStillLearnsItsOutcome(t *testing.T) {
	t.Parallel()
	url, s := withoutStandby(t)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		failed <- s.InTx(ctx, func(ctx context.Context, _ *store.Queries, tx pgx.Tx) error {
			return addAsset(ctx, tx, "XTS")
		})
	}()
	atWaitingCommit(t, url, "SELECT $1 > 0")
	cancel()
	asOwner(t, url, "ALTER SYSTEM RESET synchronous_standby_names")
	asOwner(t, url, "SELECT pg_reload_conf()")
	if err := <-failed; err != nil {
		t.Errorf("a commit that went through ended with %v", err)
	}
}

// withoutStandby returns a database whose commits wait for a standby in vain.
func withoutStandby(t *testing.T) (url string, s *store.Store) {
	t.Helper()
	server := storetest.NewServer(t, map[string]string{"wal_level": "replica"})
	s = storetest.Open(t, store.Config{URL: server.URL()})
	asOwner(t, server.URL(), "ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
	asOwner(t, server.URL(), "SELECT pg_reload_conf()")
	// The checkpointer takes the setting up in its own time; from the first commit
	// that waits on, all do.
	waited := make(chan error, 1)
	go func() {
		for {
			err := s.InTx(t.Context(), func(ctx context.Context, _ *store.Queries, tx pgx.Tx) error {
				_, err := tx.Exec(ctx, "SELECT pg_logical_emit_message(true, 'test', '')")
				return err
			})
			if err != nil {
				waited <- err
				return
			}
		}
	}()
	atWaitingCommit(t, server.URL(), "SELECT pg_cancel_backend($1)")
	<-waited
	return server.URL(), s
}

// atWaitingCommit waits until a COMMIT waits for a standby and does something
// with its process.
func atWaitingCommit(t *testing.T, url, sql string) {
	t.Helper()
	conn := connect(t, url)
	var pid int32
	eventually(t, "a commit waits", func() bool {
		err := conn.QueryRow(t.Context(), `SELECT coalesce(min(pid), 0)
			FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE 'commit%'`).Scan(&pid)
		if err != nil {
			t.Fatal(err)
		}
		return pid != 0
	})
	if _, err := conn.Exec(t.Context(), sql, pid); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for what is sure to come, and gives up only on a test that
// would wait for ever.
func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for start := time.Now(); !happened(); time.Sleep(time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Fatalf("waited a minute in vain: %s", what)
		}
	}
}

func TestWhatTheAnswerToACommitMeans(t *testing.T) {
	t.Parallel()
	const committed, refused, unknown = "committed", "refused", "unknown"
	warning := &pgconn.Notice{Code: "01000", Message: "cut short"}
	tests := map[string]struct {
		err     error
		warning *pgconn.Notice
		want    string
	}{
		"yes":                             {nil, nil, committed},
		"yes, but":                        {nil, warning, unknown},
		"rolled back":                     {pgx.ErrTxCommitRollback, nil, refused},
		"serialization failure":           {&pgconn.PgError{Code: "40001"}, nil, refused},
		"deferred constraint":             {&pgconn.PgError{Code: "23505"}, nil, refused},
		"statement completion unknown":    {&pgconn.PgError{Code: "40003"}, nil, unknown},
		"the server is stopping":          {&pgconn.PgError{Code: "57P01"}, nil, unknown},
		"cancelled":                       {&pgconn.PgError{Code: "57014"}, nil, unknown},
		"the connection broke":            {io.ErrUnexpectedEOF, nil, unknown},
		"no answer in time":               {context.DeadlineExceeded, nil, unknown},
		"a refusal with a stray warning":  {&pgconn.PgError{Code: "40001"}, warning, refused},
		"the connection was closed first": {pgx.ErrTxClosed, nil, refused},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := store.CommitError(test.err, test.warning)
			got := refused
			switch {
			case err == nil:
				got = committed
			case errors.Is(err, store.ErrOutcomeUnknown):
				got = unknown
			}
			if got != test.want {
				t.Errorf("%s, want %s (%v)", got, test.want, err)
			}
		})
	}
}
