package doctor

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

// patient is a database on a server of its own.
type patient struct {
	t      *testing.T
	server *storetest.Server
	url    string
	conn   *pgx.Conn
	keys   *secret.Keys
	// store is what the doctor uses.
	store *store.Store
}

func newPatient(t *testing.T, settings map[string]string) *patient {
	t.Helper()
	server := storetest.NewServer(t, settings)
	p := &patient{t: t, server: server, url: server.URL()}
	var err error
	if p.keys, err = secret.Parse(secret.Generate()); err != nil {
		t.Fatal(err)
	}
	p.conn = p.connect()
	p.store = storetest.Open(t, store.Config{URL: p.url, Role: store.NoRole, MaxConns: 1, Inspect: true})
	p.exec(`INSERT INTO secret_keys (id) VALUES ('` + p.keys.InUse() + `')`)
	return p
}

func (p *patient) connect() *pgx.Conn {
	p.t.Helper()
	conn, err := pgx.Connect(p.t.Context(), p.url)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func (p *patient) exec(statements ...string) {
	p.t.Helper()
	for _, s := range statements {
		if _, err := p.conn.Exec(p.t.Context(), s); err != nil {
			p.t.Fatalf("%s: %v", s, err)
		}
	}
}

// examine runs one check, on a session that is as new as the settings are.
func (p *patient) examine(name string, change func(*Options)) []Finding {
	p.t.Helper()
	p.store.Pool.Reset()
	o := Options{Store: p.store, Keys: p.keys}
	if change != nil {
		change(&o)
	}
	for _, c := range checks {
		if c.name == name {
			return examine(p.t.Context(), o, []check{c})
		}
	}
	p.t.Fatalf("there is no check %s", name)
	return nil
}

// find returns the finding of a check that says something.
func find(findings []Finding, check, text string) (Finding, bool) {
	for _, f := range findings {
		if f.Check == check && strings.Contains(f.Text, text) {
			return f, true
		}
	}
	return Finding{}, false
}

// affliction is something that can be wrong, and what the doctor says of it.
type affliction struct {
	name        string
	afflict     []string
	heal        []string
	check, text string
	level       Level
	change      func(*Options)
}

const reload = "SELECT pg_reload_conf()"

// set is a setting of new sessions.
func set(name, value, text string, level Level) affliction {
	return affliction{
		name: name + " " + value, afflict: []string{"ALTER DATABASE tillbook SET " + name + " = " + value},
		heal: []string{"ALTER DATABASE tillbook RESET " + name}, check: "settings", text: text, level: level,
	}
}

var replicaRow = func(name, version, maxConns, clock string, sandbox bool) string {
	box := "false"
	if sandbox {
		box = "true"
	}
	return `INSERT INTO replicas (id, name, version, sandbox, max_conns, keys, clock_time)
		VALUES ('` + uuid.NewString() + `', '` + name + `', '` + version + `', ` + box + `, ` + maxConns + `, '{x}', clock_timestamp() + '` + clock + `')`
}

var noReplicas = []string{"DELETE FROM replicas"}

var afflictions = []affliction{
	set("synchronous_commit", "off", "synchronous_commit is off", Fail),
	set("synchronous_commit", "local", "synchronous_commit is local", Fail),
	{
		name: "no autovacuum", check: "settings", text: "autovacuum is off", level: Fail,
		afflict: []string{"ALTER SYSTEM SET autovacuum = off", reload}, heal: []string{"ALTER SYSTEM RESET autovacuum", reload},
	},
	set("statement_timeout", "5000", "statement_timeout is 5000", Fail),
	set("default_transaction_isolation", "'serializable'", "isolation is serializable", Fail),
	set("timezone", "'Asia/Jakarta'", "timezone is Asia/Jakarta", Warn),
	set("idle_session_timeout", "60000", "idle_session_timeout is 60000", Warn),
	set("log_statement", "'all'", "log_statement is all", Warn),
	set("zero_damaged_pages", "on", "zero_damaged_pages is on", Fail),
	set("ignore_checksum_failure", "on", "ignore_checksum_failure is on", Fail),
	set("default_transaction_read_only", "on", "default_transaction_read_only is on", Fail),
	set("jit", "on", "jit is on", Warn),
	set("log_min_duration_statement", "2000", "log_parameter_max_length is -1", Warn),
	{
		name: "a standby that is asked for and gone", check: "replication", level: Fail, text: "commits wait",
		// Nothing of this may wait for the standby.
		afflict: []string{"SET synchronous_commit = local", "ALTER SYSTEM SET synchronous_standby_names = 'gone'", reload},
		heal:    []string{"ALTER SYSTEM RESET synchronous_standby_names", reload},
	},
	{name: "no standby", check: "replication", text: "There is no synchronous standby", level: Warn},
	{
		name: "a slot that nothing reads", check: "replication", text: "Nothing reads slot lost", level: Warn,
		afflict: []string{"SELECT pg_create_physical_replication_slot('lost', true)"}, heal: []string{"SELECT pg_drop_replication_slot('lost')"},
	},
	{name: "no archive", check: "archive", text: "WAL isn't archived", level: Warn},
	{
		name: "an index that is gone", check: "schema", text: "index log_batches_event is missing", level: Fail,
		afflict: []string{"ALTER TABLE log_batches RENAME CONSTRAINT log_batches_event TO other"},
		heal:    []string{"ALTER TABLE log_batches RENAME CONSTRAINT other TO log_batches_event"},
	},
	{
		name: "an index that is invalid", check: "schema", text: "index log_batches_ids isn't in force", level: Fail,
		afflict: []string{"UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'log_batches_ids'::regclass"},
		heal:    []string{"UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'log_batches_ids'::regclass"},
	},
	{
		name: "a constraint that was loosened", check: "schema", text: "constraint accounts accounts_floor is another", level: Warn,
		afflict: []string{"ALTER TABLE accounts DROP CONSTRAINT accounts_floor, ADD CONSTRAINT accounts_floor CHECK (true)"},
	},
	{
		name: "a schema from elsewhere", check: "schema", text: "this program knows version", level: Warn,
		afflict: []string{"INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)"},
		heal:    []string{"DELETE FROM goose_db_version WHERE version_id = 99999"},
	},
	{
		name: "a right to change the books", check: "rights", text: "may UPDATE rows of transactions", level: Fail,
		afflict: []string{"GRANT UPDATE (kind) ON transactions TO PUBLIC"}, heal: []string{"REVOKE UPDATE (kind) ON transactions FROM PUBLIC"},
	},
	{
		name: "a right to delete records", check: "rights", text: "may DELETE rows of audit_records", level: Fail,
		afflict: []string{"GRANT DELETE ON audit_records TO tillbook_app"}, heal: []string{"REVOKE DELETE ON audit_records FROM tillbook_app"},
	},
	{
		name: "a membership in the owner", check: "rights", text: "has the rights of mighty", level: Fail,
		afflict: []string{"CREATE ROLE mighty SUPERUSER", "GRANT mighty TO tillbook_app"}, heal: []string{"DROP ROLE mighty"},
	},
	{
		name: "too many connections", check: "connections", text: "2 replicas may open 70 connections; the server takes 57", level: Fail,
		afflict: []string{replicaRow("a", "v1", "35", "0", false), replicaRow("b", "v1", "35", "0", false)}, heal: noReplicas,
	},
	{
		name: "no room for an upgrade", check: "connections", text: "too many for one more", level: Warn,
		afflict: []string{replicaRow("a", "v1", "20", "0", false)}, heal: noReplicas,
		change: func(o *Options) { o.Replicas = 2 },
	},
	{
		name: "a clock that is wrong", check: "clock", text: "replica late", level: Fail,
		afflict: []string{replicaRow("late", "v1", "5", "-5 minutes", false)}, heal: noReplicas,
	},
	{
		name: "a clock that drifts", check: "clock", text: "replica early", level: Warn,
		afflict: []string{replicaRow("early", "v1", "5", "3 seconds", false)}, heal: noReplicas,
	},
	{
		name: "three versions", check: "replicas", text: "3 versions run", level: Fail, heal: noReplicas,
		afflict: []string{replicaRow("a", "v1", "5", "0", false), replicaRow("b", "v2", "5", "0", false), replicaRow("c", "v3", "5", "0", false)},
	},
	{
		name: "one replica", check: "replicas", text: "One replica runs", level: Warn,
		afflict: []string{replicaRow("a", "v1", "5", "0", false)}, heal: noReplicas,
	},
	{name: "no replica", check: "replicas", text: "No replica was seen", level: Warn},
	{
		name: "a sandbox on real money", check: "sandbox", text: "1 replicas serve it as a sandbox", level: Fail,
		afflict: []string{replicaRow("a", "v1", "5", "0", true)}, heal: noReplicas,
	},
	{
		name: "messages of a sandbox", check: "sandbox", text: "1 messages of the sandbox", level: Warn,
		afflict: []string{"INSERT INTO sandbox_messages (phone_number, text) VALUES ('+6281234567890', 'hello')"},
		heal:    []string{"DELETE FROM sandbox_messages"},
	},
	{
		name: "an operator of the demo", check: "sandbox", text: "1 operators of the demo", level: Fail,
		afflict: []string{
			"INSERT INTO operators (id, name) VALUES ('11111111-1111-1111-1111-111111111111', 'demo-1')",
			"INSERT INTO operator_keys (id, operator_id, key_hash) VALUES ('11111111-1111-1111-1111-111111111111', '11111111-1111-1111-1111-111111111111', sha256('x'))",
		},
		heal: []string{"UPDATE operator_keys SET revoke_time = now()"},
	},
	{
		name: "an old secret key in use", check: "keys", text: "is in use for 400 days", level: Warn,
		afflict: []string{"UPDATE secret_keys SET use_time = now() - interval '400 days'"}, heal: []string{"UPDATE secret_keys SET use_time = now()"},
	},
	{
		name: "a key that lies around", check: "keys", text: "The old secret key beef00beef00 was replaced 9 days ago", level: Warn,
		afflict: []string{"INSERT INTO secret_keys (id, use_time, end_time) VALUES ('beef00beef00', now() - interval '90 days', now() - interval '9 days')"},
		heal:    []string{"DELETE FROM secret_keys WHERE id = 'beef00beef00'"},
	},
	{
		name: "a retired key that is still listed", check: "keys", text: "is retired, but 1 replicas list it", level: Warn,
		afflict: []string{"INSERT INTO secret_keys (id, end_time, retire_time) VALUES ('x', now(), now())", replicaRow("a", "v1", "5", "0", false)},
		heal:    []string{"DELETE FROM secret_keys WHERE id = 'x'", "DELETE FROM replicas"},
	},
	{
		name: "another key than that in use", check: "keys", text: "isn't among those given", level: Warn,
		afflict: []string{"INSERT INTO server_keys (id, kind, sealed_key, create_time, use_time) VALUES ('" + uuid.NewString() + "', 'mac', 'x', now(), now())"},
		heal:    []string{"DELETE FROM server_keys"},
		change:  func(o *Options) { o.Keys, _ = secret.Parse(secret.Generate()) },
	},
	{name: "no keys", check: "keys", text: "wasn't checked", level: Warn, change: func(o *Options) { o.Keys = nil }},
	{
		name: "a token key that nobody replaced", check: "keys", text: "is in use for 40 days", level: Warn,
		afflict: []string{"INSERT INTO server_keys (id, kind, sealed_key, create_time, use_time) VALUES ('" + uuid.NewString() + "', 'mac', 'x', now(), now() - interval '40 days')"},
		heal:    []string{"DELETE FROM server_keys"},
	},
	{
		name: "a commit that nobody seals", check: "log", text: "A commit isn't sealed for 2h", level: Fail,
		afflict: []string{"INSERT INTO events (type, subject, payload, create_time) VALUES ('ledger.committed', 's', '{}', now() - interval '2 hours')"},
		heal:    []string{"DELETE FROM events"},
	},
	{
		name: "a table full of dead rows", check: "vacuum", text: "rubbish has 120000 dead rows", level: Warn,
		afflict: []string{
			"CREATE TABLE rubbish (a int) WITH (autovacuum_enabled = off)", "INSERT INTO rubbish SELECT generate_series(1, 120000)",
			"DELETE FROM rubbish", "SELECT pg_stat_force_next_flush()",
		},
		heal: []string{"DROP TABLE rubbish"},
	},
	{
		name: "a prepared transaction", check: "transactions", text: `The transaction "left" is prepared`, level: Fail,
		afflict: []string{"BEGIN", "CREATE TABLE left_over (a int)", "PREPARE TRANSACTION 'left'"}, heal: []string{"ROLLBACK PREPARED 'left'"},
	},
}

func TestEachAfflictionIsFoundAndGoesWithItsCause(t *testing.T) {
	t.Parallel()
	p := newPatient(t, map[string]string{"max_prepared_transactions": "5", "max_connections": "60"})
	for _, a := range afflictions {
		t.Run(a.name, func(t *testing.T) {
			p.t = t
			p.exec(a.afflict...)
			p.settle(a)
			f, found := find(p.examine(a.check, a.change), a.check, a.text)
			if !found || f.Level != a.level || f.Advice == "" {
				t.Errorf("found %+v; all of it: %+v", f, p.examine(a.check, a.change))
			}
			p.exec(a.heal...)
			if len(a.heal) == 0 {
				return
			}
			p.settle(a)
			if f, found := find(p.examine(a.check, a.change), a.check, a.text); found && f.Level != OK {
				t.Errorf("after it was healed: %+v", f)
			}
		})
	}
}

// settle waits until the server has taken note of settings that were changed.
func (p *patient) settle(a affliction) {
	p.t.Helper()
	if len(a.heal) == 0 || a.heal[len(a.heal)-1] != reload {
		return
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		var pending int
		err := p.connect().QueryRow(p.t.Context(), `
			SELECT count(*) FROM pg_file_settings f JOIN pg_settings s ON lower(s.name) = lower(f.name)
			 WHERE f.sourcefile LIKE '%postgresql.auto.conf' AND NOT f.applied AND f.error IS NULL`).Scan(&pending)
		if err != nil {
			p.t.Fatal(err)
		}
		if pending == 0 {
			return
		}
	}
}
