package ledger_test

import (
	"crypto/rand"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
	"github.com/tillbook/tillbook/store/storetest"
)

// primary is a server whose synchronous standby can go missing.
type primary struct {
	t     *testing.T
	admin *pgx.Conn // doesn't wait for standbys
	probe *pgx.Conn // does
}

func newPrimary(t *testing.T, url string) *primary {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	config.RuntimeParams["synchronous_commit"] = "local"
	admin, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	probe, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = admin.Close(ctx), probe.Close(ctx) })
	p := &primary{t: t, admin: admin, probe: probe}
	t.Cleanup(p.findStandby) // or the cleanups behind it would wait
	return p
}

func (p *primary) exec(sql string) {
	p.t.Helper()
	if _, err := p.admin.Exec(ctx, sql); err != nil {
		p.t.Fatalf("%s: %v", sql, err)
	}
}

// loseStandby makes every COMMIT wait for a standby that isn't there.
func (p *primary) loseStandby() {
	p.t.Helper()
	p.exec(`ALTER SYSTEM SET synchronous_standby_names = 'nobody'`)
	p.exec(`SELECT pg_reload_conf()`)
	// Sessions don't wait before a background process has taken notice.
	for done := make(chan error, 1); ; {
		go func() {
			_, err := p.probe.Exec(ctx, `SELECT pg_logical_emit_message(true, 'probe', '')`)
			done <- err
		}()
		if p.missed(done) {
			return
		}
	}
}

// missed tells whether the probe's COMMIT waits for the standby, and ends it.
func (p *primary) missed(done <-chan error) bool {
	p.t.Helper()
	for {
		select {
		case err := <-done:
			if err != nil {
				p.t.Fatal(err)
			}
			return false
		case <-time.After(5 * time.Millisecond):
		}
		if p.cancelWaits("pid = $1", p.probe.PgConn().PID()) > 0 {
			<-done
			return true
		}
	}
}

// findStandby lets all COMMITs through.
func (p *primary) findStandby() {
	p.t.Helper()
	p.exec(`ALTER SYSTEM RESET synchronous_standby_names`)
	p.exec(`SELECT pg_reload_conf()`)
}

// cancelWaits cancels those waits for the standby that meet a condition, which
// makes them COMMITs with a warning, and tells how many there were.
func (p *primary) cancelWaits(condition string, args ...any) (n int) {
	err := p.admin.QueryRow(ctx, `SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity
		WHERE wait_event = 'SyncRep' AND `+condition, args...).Scan(&n)
	if err != nil {
		p.t.Error(err)
	}
	return n
}

// keepCanceling cancels all waits until stop is closed.
func (p *primary) keepCanceling(stop <-chan struct{}) (canceled int) {
	for {
		select {
		case <-stop:
			return canceled
		case <-time.After(5 * time.Millisecond):
			canceled += p.cancelWaits(`true`)
		}
	}
}

func TestCommitsWithoutTheirStandby(t *testing.T) {
	t.Parallel()
	server := storetest.NewServer(t, nil)
	t.Run("are no success", func(t *testing.T) { unreplicatedIsUnknown(t, newDatabase(t, server)) })
	t.Run("stay unseen while it is away", func(t *testing.T) { unreplicatedIsUnseen(t, newDatabase(t, server)) })
	t.Run("wait for it", func(t *testing.T) { commitWaits(t, newDatabase(t, server)) })
	t.Run("lose and double nothing under load", func(t *testing.T) { standbyGoesMissing(t, newDatabase(t, server)) })
}

// newDatabase makes another database on a test's own server.
func newDatabase(t *testing.T, server *storetest.Server) string {
	t.Helper()
	admin, err := pgx.Connect(ctx, server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(ctx)
	name := "db_" + strings.ToLower(rand.Text())
	if _, err := admin.Exec(ctx, `CREATE DATABASE `+name); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	if _, _, err := store.Migrate(ctx, u.String()); err != nil {
		t.Fatal(err)
	}
	return u.String()
}

func unreplicatedIsUnknown(t *testing.T, url string) {
	c := newTownAt(t, url, url, ledger.Config{Patience: 1500 * time.Millisecond})
	deeds := c.ofEachKind()
	replayed := slices.DeleteFunc(c.ofEachKind(), func(d *deed) bool { return d.errands[0].moves != [2]move{} })
	for _, d := range replayed {
		c.prepare(d)
	}
	p := newPrimary(t, url)
	p.loseStandby()
	stop := make(chan struct{})
	var canceling sync.WaitGroup
	canceling.Go(func() {
		if n := p.keepCanceling(stop); n < 2 {
			t.Errorf("only %d commits came back with a warning", n)
		}
	})

	for range 2 {
		c.endedAs(ledger.ErrOutcomeUnknown, deeds, c.together(deeds, func() {}))
	}
	// Nobody can tell by looking at their rows whether these, which moved no money,
	// are replicated.
	c.endedAs(ledger.ErrOutcomeUnknown, replayed, c.together(replayed, func() {}))
	close(stop)
	canceling.Wait()
	p.findStandby()
	c.check()
	if n := len(deeds) + len(replayed); c.resolved != n {
		t.Errorf("%d deeds turned out to have been executed, not %d", c.resolved, n)
	}
}

// A ledger that gives up waiting must leave PostgreSQL waiting: what nobody has
// replicated a failover may lose, and until it is sure nobody may see it.
func unreplicatedIsUnseen(t *testing.T, url string) {
	c := newTownAt(t, url, url, ledger.Config{Patience: 1500 * time.Millisecond})
	p := newPrimary(t, url)
	versions := func() (sum int) {
		if err := p.admin.QueryRow(ctx, `SELECT sum(version) FROM accounts`).Scan(&sum); err != nil {
			t.Fatal(err)
		}
		return sum
	}
	deeds := c.ofEachKind()
	before := versions()
	p.loseStandby()
	c.endedAs(ledger.ErrOutcomeUnknown, deeds, c.together(deeds, func() {}))
	for range 20 { // what is given up is canceled behind the answer
		if after := versions(); after != before {
			t.Fatalf("%d entries are seen that no standby has", after-before)
		}
		time.Sleep(20 * time.Millisecond)
	}
	p.findStandby()
	c.check()
}

func commitWaits(t *testing.T, url string) {
	c := newTownAt(t, url, url, patient)
	p := newPrimary(t, url)
	p.loseStandby()
	d := c.deed(5)
	done := commit(ctx, c.ledger(), d.command)
	waitFor(t, "the commit to wait", func() bool { return p.cancelWaits(`true`) > 0 })
	waitFor(t, "the commit to be tried again", func() bool { return p.cancelWaits(`true`) > 0 })
	p.findStandby()
	a := <-done
	if a.err != nil || a.Replayed {
		t.Fatalf("the payment ended as %v, replayed %t", a.err, a.Replayed)
	}
	c.noteExecuted(d, a.Result)
	c.check()
}

func standbyGoesMissing(t *testing.T, url string) {
	c := newTownAt(t, url, url, ledger.Config{Patience: time.Second})
	p := newPrimary(t, url)
	stop := make(chan struct{})
	var canceling sync.WaitGroup
	c.payFor(3*time.Second,
		p.loseStandby,
		func() { canceling.Go(func() { p.keepCanceling(stop) }) },
		func() { close(stop); canceling.Wait(); p.findStandby() })
	if c.ledger().Stats().Lost == 0 {
		t.Error("no commit was doubtful")
	}
	c.check()
}
