package replica_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/server/replica"
	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

// machine is where a replica runs: it has a file of its own.
type machine struct {
	path string
	keys *secret.Keys
	run  func()
	stop func()
}

type world struct {
	t     *testing.T
	url   string
	owner *store.Store
	app   *store.Store
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, url: storetest.NewDatabase(t)}
	w.owner = storetest.Open(t, store.Config{URL: w.url, Role: store.NoRole, MaxConns: 2})
	w.app = storetest.Open(t, store.Config{URL: w.url})
	return w
}

func (w *world) config(keys *secret.Keys) replica.Config {
	return replica.Config{Store: w.app, Keys: keys, Name: "test", Version: "v1", MaxConns: 21, Interval: 5 * time.Millisecond}
}

// start runs a replica whose file lists these keys.
func (w *world) start(words ...string) *machine {
	w.t.Helper()
	m := w.stand("test", words...)
	m.run()
	return m
}

// stand has a replica join that stands still until it runs.
func (w *world) stand(name string, words ...string) *machine {
	w.t.Helper()
	m := &machine{path: filepath.Join(w.t.TempDir(), "secret")}
	m.write(w.t, words...)
	var err error
	if m.keys, err = secret.Load(w.t.Context(), secret.File(m.path)); err != nil {
		w.t.Fatal(err)
	}
	c := w.config(m.keys)
	c.Name = name
	r, err := replica.Join(w.t.Context(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	m.run = func() {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); r.Run(ctx) }()
		m.stop = func() { cancel(); <-done }
		w.t.Cleanup(m.stop)
	}
	return m
}

func (m *machine) write(t *testing.T, words ...string) {
	t.Helper()
	if err := os.WriteFile(m.path, []byte(strings.Join(words, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
}

// join is a start that may fail.
func (w *world) join(words ...string) error {
	keys := w.parse(words...)
	_, err := replica.Join(w.t.Context(), w.config(keys))
	return err
}

func (w *world) parse(words ...string) *secret.Keys {
	w.t.Helper()
	keys, err := secret.Parse(strings.Join(words, " "))
	if err != nil {
		w.t.Fatal(err)
	}
	return keys
}

func (w *world) state(keys *secret.Keys, id string) replica.KeyState {
	w.t.Helper()
	states, err := replica.KeyStates(w.t.Context(), w.owner, keys)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range states {
		if s.ID == id {
			return s
		}
	}
	return replica.KeyState{}
}

// sealed leaves a sealed secret, as the auth service does.
func (w *world) sealed(keys *secret.Keys) {
	w.t.Helper()
	row := secret.Row{Table: "server_keys", Column: "sealed_key", ID: uuid.New()}
	text, err := keys.Seal(keys.InUse(), row, []byte("thirty-two bytes of a MAC's seed"))
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = w.owner.Pool.Exec(w.t.Context(), `INSERT INTO server_keys (id, kind, sealed_key, create_time, use_time)
		VALUES ($1, 'mac', $2, now(), now())`, row.ID, text)
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.owner.Pool.Exec(w.t.Context(), sql, args...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) records(action string) (n int) {
	w.t.Helper()
	err := w.owner.Pool.QueryRow(w.t.Context(), "SELECT count(*) FROM audit_records WHERE action = $1", action).Scan(&n)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

func idOf(w *world, word string) string { return w.parse(word).InUse() }

func TestANewKeyIsUsedOnceAllReplicasHaveItInFront(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	older, newer := secret.Generate(), secret.Generate()
	a, b := w.start(older), w.start(older)
	a.write(t, newer, older)
	// A beat of each later, nothing may have changed.
	eventually(t, "the other replica to know", func() bool { return w.state(a.keys, idOf(w, newer)).Replicas == 1 })
	if a.keys.InUse() != idOf(w, older) || b.keys.InUse() != idOf(w, older) {
		t.Fatal("a key is in use that a replica doesn't have")
	}
	b.write(t, newer, older)
	eventually(t, "both to use the new key", func() bool {
		return a.keys.InUse() == idOf(w, newer) && b.keys.InUse() == idOf(w, newer)
	})
	if n := w.records("key.used"); n != 2 {
		t.Errorf("%d records of keys that came into use", n)
	}

	// One that lacks it doesn't start, nor does one that was never heard of.
	for _, words := range [][]string{{older}, {secret.Generate()}} {
		if err := w.join(words...); !errors.Is(err, replica.ErrLacksKey) || !strings.Contains(err.Error(), idOf(w, newer)) {
			t.Errorf("a replica without the key in use: %v", err)
		}
	}
	// Both are held, so the way back is the same.
	a.write(t, older, newer)
	b.write(t, older, newer)
	eventually(t, "the old key to come back", func() bool {
		return a.keys.InUse() == idOf(w, older) && b.keys.InUse() == idOf(w, older)
	})
}

func TestTheLastReplicaDoesntStartAgainWithoutTheKeyInUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	older := secret.Generate()
	a := w.start(older)
	a.stop()
	if err := w.join(secret.Generate()); !errors.Is(err, replica.ErrLacksKey) {
		t.Errorf("without the key: %v", err)
	}
	if err := w.join(secret.Generate(), older); err != nil {
		t.Errorf("with both: %v", err)
	}
}

func TestAReplicaThatEndedHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	older, newer := secret.Generate(), secret.Generate()
	a, b := w.start(older), w.start(older)
	b.stop()
	a.write(t, newer, older)
	eventually(t, "the new key to be used", func() bool { return a.keys.InUse() == idOf(w, newer) })
}

func TestAKeyIsRetiredOnlyWhenNothingNeedsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	older, newer := secret.Generate(), secret.Generate()
	a := w.start(older)
	w.sealed(a.keys)
	old := idOf(w, older)
	all := w.parse(newer, older)
	retire := func(force bool) error { return replica.Retire(t.Context(), w.owner, all, old, force) }
	wants := func(got, want error) {
		t.Helper()
		if !errors.Is(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	wants(retire(true), replica.ErrInUse)
	a.write(t, newer, older)
	eventually(t, "the new key to be used", func() bool { return a.keys.InUse() == idOf(w, newer) })
	wants(retire(true), replica.ErrSealed)
	if s := w.state(w.parse(newer), old); s.Sealed != -1 {
		t.Errorf("without the old key, it is said to seal %d", s.Sealed)
	}
	if n, err := replica.Reseal(t.Context(), w.owner, all); n != 1 || err != nil {
		t.Fatalf("resealed %d, %v", n, err)
	}
	if n, err := replica.Reseal(t.Context(), w.owner, all); n != 0 || err != nil {
		t.Errorf("resealed again: %d, %v", n, err)
	}
	wants(retire(false), replica.ErrOverlap)
	if free := w.state(all, old).Free; free.Before(time.Now().Add(23 * time.Hour)) {
		t.Errorf("it can be retired from %v", free)
	}
	if _, err := w.owner.Pool.Exec(t.Context(), `UPDATE secret_keys SET end_time = end_time - interval '25 hours' WHERE id = $1`, old); err != nil {
		t.Fatal(err)
	}
	wants(retire(false), nil)
	wants(retire(false), replica.ErrRetired)
	wants(replica.Retire(t.Context(), w.owner, all, "0123456789ab", false), replica.ErrUnknownKey)
	eventually(t, "the replica to drop it", func() bool { return !a.keys.Has(old) })
	if got := []int{w.records("key.resealed"), w.records("key.retired")}; got[0] != 1 || got[1] != 1 {
		t.Errorf("records of resealing and retiring: %v", got)
	}
	// It never comes back.
	a.write(t, older, newer)
	eventually(t, "the list to be told", func() bool { return w.state(all, old).Replicas == 1 })
	if a.keys.InUse() == old {
		t.Error("a retired key is in use")
	}
}

// A replica that stood still meanwhile goes on sealing with the old key.
func TestAKeyIsNotRetiredWhileAReplicaLacksTheOneInUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	older, newer := secret.Generate(), secret.Generate()
	old, fresh := idOf(w, older), idOf(w, newer)
	a, late := w.start(older), w.stand("late", older)
	w.exec(`UPDATE replicas SET seen_time = seen_time - interval '1 minute' WHERE name = 'late'`)
	a.write(t, newer, older)
	eventually(t, "the new key to be used", func() bool { return a.keys.InUse() == fresh })
	late.run()
	eventually(t, "the other to be back", func() bool { return w.state(a.keys, old).Replicas == 2 })
	w.exec(`UPDATE secret_keys SET end_time = end_time - interval '25 hours' WHERE id = $1`, old)
	retire := func(id string, force bool) error { return replica.Retire(t.Context(), w.owner, a.keys, id, force) }
	err := retire(old, false)
	if !errors.Is(err, replica.ErrLacking) || !strings.Contains(err.Error(), "late") || !strings.Contains(err.Error(), fresh) || strings.Contains(err.Error(), "test") {
		t.Errorf("while a replica seals with it: %v", err)
	}
	if late.keys.InUse() != old {
		t.Errorf("it seals with %s", late.keys.InUse())
	}

	late.write(t, newer, older)
	eventually(t, "it to follow", func() bool { return late.keys.InUse() == fresh })
	if err := retire(old, false); err != nil {
		t.Errorf("once no replica lacks it: %v", err)
	}

	// A key that was stolen goes all the same.
	stolen := secret.Generate()
	w.exec(`INSERT INTO secret_keys (id, end_time) VALUES ($1, now() - interval '25 hours')`, idOf(w, stolen))
	late.write(t, older)
	eventually(t, "it to lack the key again", func() bool { return w.state(a.keys, fresh).Replicas == 1 })
	if err := retire(idOf(w, stolen), false); !errors.Is(err, replica.ErrLacking) {
		t.Errorf("unforced: %v", err)
	}
	if err := retire(idOf(w, stolen), true); err != nil {
		t.Errorf("forced: %v", err)
	}
}

// A replica may be sealing with the old key at the moment at which it is retired.
func TestAKeyIsNotRetiredWhileSomethingIsSealedWithIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	older, newer := secret.Generate(), secret.Generate()
	a := w.start(older)
	a.write(t, newer, older)
	eventually(t, "the new key to be used", func() bool { return a.keys.InUse() == idOf(w, newer) })
	retired := make(chan error, 1)
	err := w.owner.InTx(t.Context(), func(ctx context.Context, q *store.Queries, _ pgx.Tx) error {
		if err := q.LockServerKeys(ctx); err != nil {
			return err
		}
		late := secret.Row{Table: "server_keys", Column: "sealed_key", ID: uuid.New()}
		text, err := w.parse(older).Seal(idOf(w, older), late, []byte("thirty-two bytes of a MAC's seed"))
		if err != nil {
			return err
		}
		key := store.InsertServerKeyParams{ID: late.ID, Kind: "mac", SealedKey: text, CreateTime: time.Now(), UseTime: time.Now()}
		if err := q.InsertServerKey(ctx, key); err != nil {
			return err
		}
		go func() { retired <- replica.Retire(t.Context(), w.owner, w.parse(newer, older), idOf(w, older), true) }()
		eventually(t, "the other to wait or be done", func() bool {
			var waiting bool
			err := w.app.Pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))").Scan(&waiting)
			return err == nil && waiting || len(retired) > 0
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-retired; !errors.Is(err, replica.ErrSealed) {
		t.Errorf("it was retired although it seals a secret: %v", err)
	}
}

func TestTheSandboxsKeyIsRefusedOutside(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sandbox := secret.Sandbox()
	if _, err := replica.Join(t.Context(), w.config(sandbox)); !errors.Is(err, replica.ErrSandboxKey) {
		t.Errorf("the sandbox's key: %v", err)
	}
	w.sealed(sandbox)
	if err := w.join(secret.Generate()); !errors.Is(err, replica.ErrSandbox) {
		t.Errorf("a database of the sandbox: %v", err)
	}
	c := w.config(sandbox)
	c.Sandbox = true
	if _, err := replica.Join(t.Context(), c); err != nil {
		t.Errorf("the sandbox itself: %v", err)
	}
}

func TestADumpOfTheDatabaseOpensNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.start(secret.Generate())
	w.sealed(a.keys)
	conn, err := pgx.Connect(t.Context(), w.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var dump string
	err = conn.QueryRow(t.Context(), `SELECT string_agg(t::text, ' ') FROM (
		SELECT s::text FROM server_keys s UNION ALL SELECT k::text FROM secret_keys k UNION ALL SELECT r::text FROM replicas r) t`).Scan(&dump)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(a.path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(dump, string(text)) || strings.Contains(dump, "thirty-two bytes") || !strings.Contains(dump, a.keys.InUse()) {
		t.Error("the dump holds a key, or not even its id")
	}
	// What the dump does hold, the id, is no key.
	if _, err := secret.Parse(a.keys.InUse()); err == nil {
		t.Error("an id is a key")
	}
}
