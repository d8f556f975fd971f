package ledger_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store/ledger"
	"github.com/tillbook/tillbook/store/storetest"
)

// These servers are the tests' own and write through to the disk.

func TestARestartOfPostgreSQLUnderLoadLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	server := storetest.NewServer(t, nil)
	c := newTownAt(t, server.URL(), server.URL(), ledger.Config{Patience: 6 * time.Second})
	back := func() {
		server.Start()
		c.wire.follow(server.Port())
		c.url = server.URL()
	}
	c.payFor(4*time.Second,
		func() { server.Stop(); back() },
		func() { server.Kill(); back() })
	if c.ledger().Stats().Retries == nil {
		t.Error("nobody noticed the restarts")
	}
	c.check()
}

// A crash that keeps PostgreSQL down for longer than callers wait.
func TestACrashOfPostgreSQLWithLostAnswersLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	server := storetest.NewServer(t, nil)
	c := newTownAt(t, server.URL(), server.URL(), ledger.Config{Patience: 500 * time.Millisecond})
	c.payFor(3*time.Second, func() {
		crashed := c.wire.once(fromPostgres, "COMMIT", fate{kind: cut, unplug: true})
		<-crashed
		server.Kill()
		time.Sleep(time.Second)
		server.Start()
		c.wire.follow(server.Port())
		c.url = server.URL()
		c.wire.plug()
	})
	if c.ledger().Stats().Lost == 0 {
		t.Error("no commit was lost")
	}
	c.check()
}

func TestSessionsThatAnAdministratorEndsLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	c := newTown(t, patient)
	admin := c.superuser()
	var rounds []func()
	for range 40 {
		rounds = append(rounds, func() { c.endSessions(admin, []string{"pg_terminate_backend", "pg_cancel_backend"}[rand.N(2)]) })
	}
	c.payFor(2*time.Second, rounds...)
	if c.ledger().Stats().Retries == nil {
		t.Error("no session was ended")
	}
	c.check()
}

// endSessions ends or cancels what the ledger's sessions do.
func (c *town) endSessions(admin *pgx.Conn, how string) {
	_, err := admin.Exec(ctx, `SELECT `+how+`(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`)
	if err != nil {
		c.t.Error(err)
	}
}
