package doctor

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

func TestAnOpenTransactionIsFound(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Config{URL: storetest.NewDatabase(t), Role: store.NoRole, MaxConns: 1})
	conn, err := pgx.Connect(t.Context(), storetest.URL(s))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "BEGIN; SET LOCAL application_name = 'forgotten'; CREATE TABLE unfinished (a int)"); err != nil {
		t.Fatal(err)
	}
	v := &visit{Options: Options{Store: s, Patience: time.Nanosecond}, check: "transactions"}
	if err := v.transactions(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f, ok := find(v.findings, "transactions", "(forgotten, idle in transaction) is open"); !ok || f.Level != Fail || !strings.Contains(f.Advice, "pg_terminate_backend") {
		t.Errorf("found %+v", v.findings)
	}
}

// The servers of tests are as no other server should be.
func TestAServerThatIsMadeForTestsIsFoundOut(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Config{URL: storetest.NewDatabase(t), Role: store.NoRole, MaxConns: 1})
	findings := Examine(t.Context(), Options{Store: s})
	for text, level := range map[string]Level{
		"fsync is off": Fail, "full_page_writes is off": Fail, "synchronous_commit is off": Fail, "autovacuum is off": Fail, "wal_level is minimal": Warn,
		"data_checksums is off": Warn,
	} {
		if f, ok := find(findings, "settings", text); !ok || f.Level != level || f.Advice == "" {
			t.Errorf("%s: %+v", text, f)
		}
	}
	for check, text := range map[string]string{"vacuum": "The oldest transaction number is", "disk": "% of the disk of"} {
		if f, ok := find(findings, check, text); !ok {
			t.Errorf("%s found %+v", check, f)
		}
	}
	seen := make(map[string]bool)
	for _, f := range findings {
		seen[f.Check] = true
		if strings.Contains(f.Text, "couldn't be checked") {
			t.Errorf("%+v", f)
		}
		if (f.Level == OK) != (f.Advice == "") {
			t.Errorf("a finding that is bad without advice, or good with it: %+v", f)
		}
	}
	if len(seen) != len(checks) {
		t.Errorf("%d checks of %d found something", len(seen), len(checks))
	}
}

func TestWhatCantBeCheckedIsAWarning(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	broken := check{"broken", func(v *visit, ctx context.Context) error { return v.row(ctx, "SELECT * FROM no_such_table") }}
	findings := examine(t.Context(), Options{Store: s}, []check{broken})
	if f, ok := find(findings, "broken", "couldn't be checked"); !ok || f.Level != Warn || len(findings) != 1 {
		t.Errorf("%+v", findings)
	}
}

// What can't be brought about in a test is judged by its figures.
func TestFiguresAreJudged(t *testing.T) {
	t.Parallel()
	long := 20 * time.Minute
	tests := map[string]struct {
		judge func(*visit)
		level Level
		text  string
	}{
		"a standby that lags": {func(v *visit) {
			v.standbys("a", []standby{{"a", "streaming", "sync", 100 * mib}, {"b", "streaming", "sync", 0}})
		}, Warn, "100 MiB behind"},
		"a standby that catches up": {func(v *visit) { v.standbys("a", []standby{{"a", "catchup", "sync", 0}, {"b", "streaming", "sync", 0}}) }, Warn, "catchup"},
		"one standby":               {func(v *visit) { v.standbys("a", []standby{{"a", "streaming", "sync", 0}}) }, Warn, "There is one standby"},
		"one standby where two are waited for": {func(v *visit) {
			v.standbys("2 (a,b)", []standby{{"a", "streaming", "sync", 0}, {"c", "streaming", "async", 0}})
		}, Fail, "commits wait"},
		"one of a quorum of two": {func(v *visit) { v.standbys("ANY 2 (a, b)", []standby{{"a", "streaming", "quorum", 0}}) }, Fail, "commits wait"},
		"one of a list": {func(v *visit) {
			v.standbys("FIRST 1 (a, b)", []standby{{"a", "streaming", "sync", 0}, {"b", "streaming", "potential", 0}})
		}, OK, "1 synchronous"},
		"two standbys": {func(v *visit) {
			v.standbys("a", []standby{{"a", "streaming", "quorum", 0}, {"b", "streaming", "quorum", 0}})
		}, OK, "2 synchronous"},
		"only asynchronous ones": {func(v *visit) {
			v.standbys("x", []standby{{"a", "streaming", "async", 0}, {"b", "streaming", "async", 0}})
		}, Fail, "commits wait"},
		"a slot that keeps a lot": {func(v *visit) { v.slot(slot{"a", true, 2 * warnKept}) }, Warn, "2048 MiB"},
		"a slot that keeps all":   {func(v *visit) { v.slot(slot{"a", true, 2 * failKept}) }, Fail, "20480 MiB"},
		"an open transaction":     {func(v *visit) { v.open(open{1, "u", "psql", "idle in transaction", 2 * time.Minute}) }, Warn, "open for 2m0s"},
		"a very old one":          {func(v *visit) { v.open(open{1, "u", "psql", "active", long}) }, Fail, "open for 20m0s"},
		"old transaction numbers": {func(v *visit) { v.wraparound(600_000_000) }, Warn, "600 million"},
		"very old ones":           {func(v *visit) { v.wraparound(1_500_000_000) }, Fail, "1500 million"},
		"young ones":              {func(v *visit) { v.wraparound(5_000_000) }, OK, "5 million"},
		"bloat":                   {func(v *visit) { v.bloat(table{"accounts", 400_000, 200_000, nil}) }, Warn, "last vacuumed: never"},
		"a full disk":             {func(v *visit) { v.free("/data", 3, mib) }, Fail, "3 %"},
		"a disk that fills":       {func(v *visit) { v.free("/data", 12, mib) }, Warn, "12 %"},
		"a clock of this machine": {func(v *visit) { v.skew("this machine", -40*time.Second, time.Second) }, Fail, "40s apart"},
		"a slow network":          {func(v *visit) { v.skew("this machine", 2*time.Second, 3*time.Second) }, OK, "2s apart"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			v := &visit{Options: Options{Patience: time.Minute}}
			tt.judge(v)
			if f, ok := find(v.findings, "", tt.text); !ok || f.Level != tt.level {
				t.Errorf("found %+v", v.findings)
			}
		})
	}
	v := &visit{}
	v.bloat(table{"accounts", 4_000_000, 200_000, nil})
	if len(v.findings) > 0 {
		t.Errorf("a few dead rows: %+v", v.findings)
	}
}

// The owner of a database need not see what other roles do.
func TestWhatIsHiddenFromARoleIsAWarning(t *testing.T) {
	t.Parallel()
	p := newPatient(t, nil)
	p.server.Standby()
	p.conn = p.connect() // it was down meanwhile
	if findings := p.examine("replication", nil); Worst(findings) != Warn {
		t.Errorf("before commits wait: %+v", findings)
	} else if _, ok := find(findings, "replication", "is streaming, async, 0 MiB behind"); !ok {
		t.Errorf("no standby is found: %+v", findings)
	}
	p.exec("CREATE ROLE blind LOGIN PASSWORD 'blind'", "GRANT USAGE ON SCHEMA public TO blind", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO blind",
		"SET synchronous_commit = local", "ALTER SYSTEM SET synchronous_standby_names = 'gone'", reload, "BEGIN", "CREATE TABLE unfinished (a int)")
	blind, err := url.Parse(p.url)
	if err != nil {
		t.Fatal(err)
	}
	blind.User = url.UserPassword("blind", "blind")
	p.store = storetest.Open(t, store.Config{URL: blind.String(), Role: store.NoRole, MaxConns: 1})
	for _, name := range []string{"replication", "transactions"} {
		findings := p.examine(name, func(o *Options) { o.Patience = time.Nanosecond })
		if f, ok := find(findings, name, "couldn't be checked: this role may not see"); !ok || Worst(findings) != Warn || !strings.Contains(f.Advice, "pg_monitor") {
			t.Errorf("%+v", findings)
		}
	}
}

func TestAnArchiveThatFailsIsFound(t *testing.T) {
	t.Parallel()
	server := storetest.NewServer(t, map[string]string{"archive_mode": "on", "archive_command": "false"})
	s := storetest.Open(t, store.Config{URL: server.URL(), Role: store.NoRole, MaxConns: 1})
	if _, err := s.Pool.Exec(t.Context(), "SELECT pg_switch_wal()"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		v := &visit{Options: Options{Store: s}, check: "archive"}
		if err := v.archive(t.Context()); err != nil {
			t.Fatal(err)
		}
		if f, ok := find(v.findings, "archive", "The archive doesn't take WAL"); ok && f.Level == Fail {
			return
		}
	}
	t.Error("never found")
}

// The advice is to be pasted, whatever somebody called things.
func TestAdviceNamesThingsSoThatPostgreSQLReadsThem(t *testing.T) {
	t.Parallel()
	p := newPatient(t, map[string]string{"max_prepared_transactions": "1"})
	p.exec(`CREATE SCHEMA "Her"`, `CREATE TABLE "Her"."Odd table" (a int) WITH (autovacuum_enabled = off)`,
		`INSERT INTO "Her"."Odd table" SELECT generate_series(1, 120000)`, `DELETE FROM "Her"."Odd table"`, "SELECT pg_stat_force_next_flush()",
		"BEGIN", "CREATE TABLE left_over (a int)", `PREPARE TRANSACTION 'it''s; \left'`)
	f, _ := find(p.examine("transactions", nil), "transactions", "is prepared for")
	_, statement, told := strings.Cut(f.Advice, "then: ")
	if !told {
		t.Fatalf("%+v", f)
	}
	p.exec(statement)
	f, _ = find(p.examine("vacuum", nil), "vacuum", "120000 dead rows")
	statement, _, told = strings.Cut(strings.TrimPrefix(f.Advice, "Run "), ", and")
	if !told {
		t.Fatalf("%+v", f)
	}
	p.exec(statement)
}
