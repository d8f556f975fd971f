package vitals_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/server/vitals"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

// monitor is one that runs until the test, or stop, ends it.
type monitor struct {
	*vitals.Monitor
	stop func()
}

func start(t *testing.T, s *store.Store) *monitor {
	t.Helper()
	m := vitals.New(vitals.Config{Pool: s.Pool, Interval: 20 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { m.Run(ctx); close(done) }()
	stop := func() { cancel(); <-done }
	t.Cleanup(stop)
	return &monitor{m, stop}
}

func (m *monitor) leads() bool { _, ok := m.Latest(); return ok }

// until waits for what a monitor measures.
func (m *monitor) until(t *testing.T, what string, ok func(vitals.Vitals) bool) {
	t.Helper()
	eventually(t, what, func() bool {
		v, leads := m.Latest()
		return leads && ok(v)
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

func TestOneReplicaMeasuresAndAnotherTakesOver(t *testing.T) {
	db := storetest.New(t)
	first := start(t, storetest.Open(t, store.Config{URL: storetest.URL(db)}))
	first.until(t, "it leads", func(v vitals.Vitals) bool { return true })
	second := start(t, storetest.Open(t, store.Config{URL: storetest.URL(db)}))
	first.until(t, "it measures", func(v vitals.Vitals) bool { return v.Terminals["offline"] == 0 && len(v.Terminals) == 5 })
	owner := storetest.Open(t, store.Config{URL: storetest.URL(db), Role: store.NoRole})
	// One that may not lead asks again and again; one that leads asks once.
	tries := make(map[time.Time]bool)
	eventually(t, "the second one tries again", func() bool {
		rows, err := owner.Pool.Query(t.Context(), `SELECT query_start FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%pg_try_advisory_lock%'`)
		if err != nil {
			t.Fatal(err)
		}
		var at time.Time
		if _, err := pgx.ForEachRow(rows, []any{&at}, func() error { tries[at] = true; return nil }); err != nil {
			t.Fatal(err)
		}
		return len(tries) > 1
	})
	if second.leads() {
		t.Error("both lead")
	}
	first.stop()
	if first.leads() {
		t.Error("one that stopped still tells what it measured")
	}
	second.until(t, "the other one takes over", func(v vitals.Vitals) bool { return true })
}

// An old primary that still answers would go on telling what was.
func TestAMonitorLeavesAServerThatIsThePrimaryNoMore(t *testing.T) {
	db := storetest.New(t)
	first := start(t, db)
	first.until(t, "it leads", func(vitals.Vitals) bool { return true })
	second := start(t, db)
	owner := storetest.Open(t, store.Config{URL: storetest.URL(db), Role: store.NoRole, MaxConns: 1})
	pids := func(of string) (pids []int32) {
		t.Helper()
		err := owner.Pool.QueryRow(t.Context(), `SELECT coalesce(array_agg(pid), '{}') FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND `+of).Scan(&pids)
		if err != nil {
			t.Fatal(err)
		}
		return pids
	}
	const leads, asks = `pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')`, `query LIKE '%pg_try_advisory_lock%'`
	var before []int32
	eventually(t, "the other asks", func() bool {
		before = append(pids(leads), pids(asks+" AND NOT "+leads)...)
		return len(before) == 2
	})
	// Some connection finds that its server takes no writes.
	if _, err := db.Pool.Exec(t.Context(), "BEGIN READ ONLY; INSERT INTO rate_limits DEFAULT VALUES"); err == nil {
		t.Fatal("a transaction that only reads wrote")
	}
	for i, who := range []string{"the one that leads", "the one that asks"} {
		eventually(t, who+" to leave", func() bool { return len(pids(fmt.Sprintf("pid = %d", before[i]))) == 0 })
	}
	eventually(t, "one to lead again", func() bool { return first.leads() || second.leads() })
}

func TestWhatIsOverdueAndWhatDoesNotBalanceShows(t *testing.T) {
	// Its own server: who holds a table or a transaction holds up the events of every
	// database beside it.
	db := storetest.Open(t, store.Config{URL: storetest.NewServer(t, nil).URL()})
	m := start(t, db)
	m.until(t, "sound books", func(v vitals.Vitals) bool {
		sum, counted := v.Sums["USD"]
		return counted && sum == 0 && v.SealLag == 0 && v.JobAge["hold_expiry"] == 0
	})
	owner := storetest.Open(t, store.Config{URL: storetest.URL(db), Role: store.NoRole})
	for _, sql := range []string{
		`INSERT INTO accounts (code, asset_id, balance, version) VALUES ('user/thief/main/USD', 7, 100, 1)`,
		`INSERT INTO holds (id, account_id, amount, captured, excess_bps, state, operations, reference, create_time, expire_time)
		 SELECT gen_random_uuid(), id, 1, 0, 0, 1, 1, '', now() - interval '2 hours', now() - interval '1 hour' FROM accounts LIMIT 1`,
		`INSERT INTO events (type, subject, payload, create_time) VALUES ('ledger.committed', '', '{}', now() - interval '1 hour')`,
		`INSERT INTO fee_plans (name) VALUES ('standard')`,
		`INSERT INTO merchants (id, owner_id, name, country, city, category_code, time_zone, settlement_interval, settlement_minute,
		                        settlement_weekday, key_hash, fingerprint, create_time, settle_time)
		 VALUES (gen_random_uuid(), gen_random_uuid(), '', 'ID', '', '', 'UTC', 2, 0, 0, gen_random_uuid(), '', now(), now() - interval '1 hour')`,
	} {
		if _, err := owner.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	m.until(t, "all of it", func(v vitals.Vitals) bool {
		return v.Sums["USD"] == 100 && v.Sums["IDR"] == 0 && v.SealLag >= time.Hour &&
			v.JobAge["hold_expiry"] >= time.Hour && v.JobAge["settlement"] >= time.Hour && v.JobAge["checkout_expiry"] == 0
	})

	// A transaction that stays open hides what was told after it began.
	tx, err := owner.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), `SELECT pg_current_xact_id()`); err != nil {
		t.Fatal(err)
	}
	err = owner.InTx(t.Context(), func(ctx context.Context, _ *store.Queries, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO events (type, subject, payload) VALUES ('x', '', '{}')`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	m.until(t, "hidden events", func(v vitals.Vitals) bool { return v.HorizonLag > 0 })
}
