package store_test

import (
	"context"
	"errors"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

// asked counts the questions of readsStandby that a tracer sees.
type asked struct{ n atomic.Int64 }

func (a *asked) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if data.SQL == selectStandby {
		a.n.Add(1)
	}
	return ctx
}

func (*asked) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

const selectStandby = `SELECT pg_is_in_recovery()`

// readsStandby tells whether what is older than a time is read on the standby.
func readsStandby(t *testing.T, p *store.Past, s *store.Store, olderThan time.Time) bool {
	t.Helper()
	ctx := p.Reading(t.Context(), olderThan)
	var standby bool
	if err := store.PoolFor(ctx, s.Pool).QueryRow(ctx, selectStandby).Scan(&standby); err != nil {
		t.Fatal(err)
	}
	return standby
}

func TestAStandbyIsReadWhileItIsKnownToHaveEverything(t *testing.T) {
	t.Parallel()
	primary := storetest.NewServer(t, nil)
	standby := primary.Standby()
	// The books go by the primary's clock, and this machine's is ahead of it.
	const ahead = 5 * time.Minute
	primary.Exec("CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT pg_catalog.clock_timestamp() - interval '5 minutes' $$")
	behind, err := url.Parse(primary.URL())
	if err != nil {
		t.Fatal(err)
	}
	settings := behind.Query()
	settings.Set("search_path", "public,pg_catalog")
	behind.RawQuery = settings.Encode()
	var traced asked
	s := storetest.Open(t, store.Config{URL: behind.String(), Tracer: &traced})
	history, err := s.Beside(t.Context(), 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer history.Close()
	p, err := store.OpenPast(t.Context(), store.PastConfig{Primary: history, Events: s, StandbyURL: standby.URL(), MaxLag: 1500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if readsStandby(t, p, s, time.Now().Add(-time.Hour)) {
		t.Error("the standby is read before it is known what it has")
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); p.Run(ctx) }()
	defer func() { stop(); <-ended }()
	old := func() bool { return readsStandby(t, p, s, time.Now().Add(-time.Hour)) }

	eventually(t, "the standby is read", old)
	before := traced.n.Load()
	if old() && traced.n.Load() == before {
		t.Error("what is read on the standby isn't traced")
	}
	if readsStandby(t, p, s, time.Now().Add(-ahead)) {
		t.Error("the standby is read for what may have changed just now")
	}
	standby.Exec(`SELECT pg_wal_replay_pause()`)
	primary.Exec(`INSERT INTO assets (code, exponent) VALUES ('XTS', 2)`)
	eventually(t, "a standby that falls behind is not read", func() bool { return !old() })
	standby.Exec(`SELECT pg_wal_replay_resume()`)
	eventually(t, "one that caught up is read", old)
	standby.Promote()
	eventually(t, "one that became a primary is not read", func() bool { _, ok := p.Staleness(); return !old() || !ok })
}

func TestOneStandbyIsRead(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	url := "postgres://tillbook@127.0.0.1:1,127.0.0.1:2/tillbook"
	if _, err := store.OpenPast(t.Context(), store.PastConfig{Primary: s, Events: s, StandbyURL: url}); err == nil {
		t.Error("two standbys were accepted")
	}
	p, err := store.OpenPast(t.Context(), store.PastConfig{Primary: s})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if readsStandby(t, p, s, time.Now().Add(-time.Hour)) {
		t.Error("there is no standby, and it is read")
	}
}

// A statement on its own is a transaction too.
func TestASingleStatementWhoseReplicationWasCutShortIsUnknown(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	ctx := t.Context()
	// What PostgreSQL warns of, anything else can warn of as well.
	_, err := storetest.Open(t, store.Config{URL: storetest.URL(s), Role: store.NoRole}).Pool.Exec(ctx, `
CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'not replicated'; RETURN NEW; END $$;
CREATE TRIGGER warn BEFORE INSERT ON rate_limits FOR EACH ROW EXECUTE FUNCTION warn()`)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	_, err = s.Queries().TakeToken(ctx, store.TakeTokenParams{Key: make([]byte, 16), Now: now, StepUs: 1, Latest: now.Add(time.Hour)})
	if !errors.Is(err, store.ErrOutcomeUnknown) {
		t.Errorf("a row: %v", err)
	}
	_, err = s.Queries().SpendTokens(ctx, store.SpendTokensParams{Keys: [][]byte{make([]byte, 16)}, CostsUs: []int64{1}, Now: now})
	if !errors.Is(err, store.ErrOutcomeUnknown) {
		t.Errorf("rows: %v", err)
	}
	if err := s.Queries().ReturnToken(ctx, store.ReturnTokenParams{Key: make([]byte, 16), StepUs: 1}); err != nil {
		t.Errorf("a warning of before counts: %v", err)
	}
	if n := s.Pool.Stat().AcquiredConns(); n != 0 {
		t.Errorf("%d connections were not given back", n)
	}
}
