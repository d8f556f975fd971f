package ledger_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store/ledger"
	"github.com/tillbook/tillbook/store/storetest"
)

func TestRestartsOfPostgreSQLUnderLoadLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	server := storetest.NewServer(t, nil) // which is durable
	c := newTownAt(t, server.URL(), server.URL(), ledger.Config{Patience: time.Second})
	back := func() {
		server.Start()
		c.wire.follow(server.Port())
		c.url = server.URL()
	}
	c.payFor(4*time.Second,
		func() { server.Stop(); back() },
		func() { server.Kill(); back() },
		func() { // down for longer than callers wait, with commits in doubt
			<-c.wire.once(fromPostgres, "COMMIT", fate{kind: cut, unplug: true})
			server.Kill()
			time.Sleep(1500 * time.Millisecond)
			back()
			c.wire.plug()
		})
	if s := c.ledger().Stats(); s.Lost == 0 || s.Unknown == 0 {
		t.Errorf("%d commits were lost and %d payments unknown, there should be some", s.Lost, s.Unknown)
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
