package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

func TestWhoRemembersIsToldWhenThePrimaryTakesNoWrites(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	beside, err := s.Beside(t.Context(), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(beside.Close)
	told := 0
	store.OnFailover(beside.Pool, func() { told++ })
	if _, err := s.Pool.Exec(t.Context(), "SELECT 1"); err != nil || told != 0 {
		t.Fatalf("told %d times before anything happened: %v", told, err)
	}
	if _, err := s.Pool.Exec(t.Context(), "BEGIN READ ONLY; INSERT INTO rate_limits DEFAULT VALUES"); err == nil || told != 1 {
		t.Errorf("told %d times: %v", told, err)
	}
}

// What a connection's end says of its server goes for the others, too; its caller's
// patience says nothing of it.
func TestTheOtherConnectionsGoWithOneThatIsLost(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		lose  func(*testing.T, *store.Store, *pgxpool.Conn)
		given bool
	}{
		"its server ends it": {func(t *testing.T, s *store.Store, c *pgxpool.Conn) {
			owner := storetest.Open(t, store.Config{URL: storetest.URL(s), Role: store.NoRole})
			if _, err := owner.Pool.Exec(t.Context(), "SELECT pg_terminate_backend($1)", c.Conn().PgConn().PID()); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the session's end", func() bool {
				_, err := c.Exec(t.Context(), "SELECT 1")
				return err != nil
			})
		}, true},
		"the network ends it": {func(t *testing.T, _ *store.Store, c *pgxpool.Conn) {
			_ = c.Conn().PgConn().Conn().Close()
			if _, err := c.Exec(t.Context(), "SELECT 1"); err == nil {
				t.Error("the session wasn't ended")
			}
		}, true},
		"its caller gives up": {func(t *testing.T, _ *store.Store, c *pgxpool.Conn) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			if _, err := c.Exec(ctx, "SELECT pg_sleep(60)"); err == nil {
				t.Error("the statement wasn't given up")
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := storetest.New(t)
			other, err := s.Pool.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			one, err := s.Pool.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			before := other.Conn().PgConn().PID()
			tt.lose(t, s, one)
			one.Release()
			other.Release()
			var after uint32
			if err := s.Pool.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&after); err != nil {
				t.Fatal(err)
			}
			if (after != before) != tt.given {
				t.Errorf("the other connection was of process %d, and is of %d", before, after)
			}
		})
	}
}
