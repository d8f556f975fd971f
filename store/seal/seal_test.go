package seal_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/note"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/audit"
	"github.com/tillbook/tillbook/store/ledger"
	"github.com/tillbook/tillbook/store/seal"
	"github.com/tillbook/tillbook/store/storetest"
)

const usd ledger.AssetID = 7

// town is a database with a ledger, some accounts and the log's key.
type town struct {
	t                 *testing.T
	url               string
	store             *store.Store
	books             *ledger.Ledger
	signer            note.Signer
	key               string
	outside, ann, bob ledger.AccountID
	paid              int
}

func newTown(t *testing.T) *town {
	t.Helper()
	w := &town{t: t, url: storetest.NewDatabase(t)}
	w.store = storetest.Open(t, store.Config{URL: w.url})
	w.books = ledger.New(w.store.Pool, ledger.Config{})
	t.Cleanup(w.books.Close)
	private, public, err := note.GenerateKey(rand.Reader, "test.example/books")
	if err != nil {
		t.Fatal(err)
	}
	if w.signer, err = note.NewSigner(private); err != nil {
		t.Fatal(err)
	}
	w.key = public
	w.outside = w.open("external/test/USD", true)
	w.ann, w.bob = w.open("user/usr_1/main/USD", false), w.open("user/usr_2/main/USD", false)
	w.pay(w.outside, w.ann, 1_000_000, "")
	return w
}

func (w *town) open(code string, unbounded bool) ledger.AccountID {
	w.t.Helper()
	a, err := w.books.OpenAccount(w.t.Context(), ledger.AccountSpec{Code: code, Asset: usd, Unbounded: unbounded})
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *town) pay(from, to ledger.AccountID, amount int64, text string) ledger.Transaction {
	w.t.Helper()
	w.paid++
	r, err := w.books.Commit(w.t.Context(), transfer(fmt.Sprint("pay ", w.paid), from, to, amount, text))
	if err != nil {
		w.t.Fatal(err)
	}
	return r.Transaction
}

func transfer(key string, from, to ledger.AccountID, amount int64, text string) ledger.Command {
	return ledger.Command{
		Key: ledger.NewKey("test", key), Fingerprint: ledger.Fingerprint(key), Kind: ledger.KindTransfer,
		Accounts: []ledger.AccountID{from, to}, Decide: ledger.Transfer(from, to, ledger.NewAmount(amount), text),
	}
}

func (w *town) sealer() *seal.Sealer {
	return seal.New(w.store.Pool, seal.Config{Signer: w.signer, MaxBatches: 7})
}

// seal seals all there is.
func (w *town) seal() {
	w.t.Helper()
	s := w.sealer()
	for begin := time.Now(); ; {
		if _, err := s.Round(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		if w.number(`SELECT (SELECT count(*) FROM transactions) + (SELECT count(*) FROM audit_records) - (SELECT size FROM log_head)`) == 0 {
			return
		}
		if time.Since(begin) > time.Minute {
			w.t.Fatal("a minute of sealing was not enough")
		}
	}
}

func (w *town) number(query string) (n int64) {
	w.t.Helper()
	if err := w.store.Pool.QueryRow(w.t.Context(), query).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *town) check(o seal.CheckOptions) []string {
	w.t.Helper()
	if o.VerifierKey == "" {
		o.VerifierKey = w.key
	}
	s := storetest.Open(w.t, store.Config{URL: w.url})
	report, err := ledger.Verify(w.t.Context(), s.Pool, ledger.VerifyOptions{Beside: []ledger.Check{seal.Check(o)}})
	if err != nil {
		w.t.Fatal(err)
	}
	var said []string
	for _, p := range report.Problems {
		said = append(said, p.Rule+": "+p.Subject+" "+p.Detail)
	}
	return said
}

func (w *town) green() {
	w.t.Helper()
	if said := w.check(seal.CheckOptions{}); said != nil {
		w.t.Fatalf("the books are wrong:\n%s", strings.Join(said, "\n"))
	}
}

// asOwner does what a superuser can do, constraints and triggers or not.
func (w *town) asOwner(statement string, args ...any) {
	w.t.Helper()
	conn, err := pgx.Connect(w.t.Context(), w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(w.t.Context(), statement, args...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) record(action string) audit.Record {
	w.t.Helper()
	r := audit.New(audit.Actor{Kind: audit.Operator, ID: uuid.New()}, action, "user/usr_1", map[string]any{"reason": "a test", "n": 1.50})
	if err := audit.Insert(w.t.Context(), w.store.Pool, r.From("192.0.2.1", "req-1")); err != nil {
		w.t.Fatal(err)
	}
	return r
}

func TestEverythingThatCommitsIsSealedOnceAndVerifies(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	for i := range 40 {
		w.pay(w.ann, w.bob, int64(i+1), []string{"", "lunch"}[i%2])
	}
	w.record("limit.set")
	w.green() // nothing is sealed yet
	w.seal()
	w.green()
	w.pay(w.bob, w.ann, 1, "")
	w.green() // not all is sealed
}

func TestTheTailIsSealedFromTheRowsWhereACommitLeftNoHashes(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	for i := range 10 {
		w.pay(w.ann, w.bob, int64(i+1), "old")
	}
	w.record("tier.set")
	w.asOwner(`UPDATE events SET leaves = NULL`)
	w.seal()
	w.green()
}

// many pays many times at once.
func (w *town) many(n int) {
	w.t.Helper()
	var work sync.WaitGroup
	for i := range n {
		work.Go(func() {
			_, err := w.books.Commit(context.Background(), transfer(fmt.Sprint("many ", w.paid, i), w.ann, w.bob, 1, ""))
			if err != nil {
				w.t.Error(err)
			}
		})
	}
	work.Wait()
	w.paid += n
}

func TestALogThatWasCutShortIsFoundByACheckpointKeptOutside(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.many(20)
	w.seal()
	log := seal.NewLog(w.store.Pool)
	old, _, err := log.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.many(20)
	w.seal()
	kept, _, err := log.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []string{old, kept} {
		if said := w.check(seal.CheckOptions{Checkpoint: c}); said != nil {
			t.Errorf("a checkpoint of this log: %s", said)
		}
	}
	// Who can sign could rewrite the log, but not what others have kept.
	w.asOwner(`TRUNCATE log_batches, log_tiles`)
	w.asOwner(`UPDATE log_head SET size = 0, cursor = 0, root = sha256(''), checkpoint = ''`)
	w.asOwner(`UPDATE transactions SET note = 'never happened like this', salt = gen_random_uuid() WHERE kind = 1`)
	w.asOwner(`UPDATE events SET leaves = NULL`)
	w.seal()
	w.green()
	if said := w.check(seal.CheckOptions{Checkpoint: kept}); !says(said, "log_checkpoint", "doesn't begin") {
		t.Errorf("said: %s", said)
	}
}

func TestReplicasThatSealAtOnceLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	ctx, stop := context.WithCancel(t.Context())
	var sealers sync.WaitGroup
	for range 3 {
		s := storetest.Open(t, store.Config{URL: w.url})
		one := seal.New(s.Pool, seal.Config{Signer: w.signer, Interval: time.Millisecond, MaxBatches: 3})
		sealers.Go(func() { one.Run(ctx) })
	}
	for range 10 {
		w.many(60)
		w.record("while sealing")
	}
	// A sealer that is killed in the middle leaves nothing half done.
	w.asOwner(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%log_head%' AND datname = current_database() AND pid <> pg_backend_pid()`)
	w.many(60)
	w.seal()
	stop()
	sealers.Wait()
	w.green()
}

func TestACommitThatComesLateIsNotSkipped(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.seal()
	// It has its transaction number before the others, and commits after them.
	late, err := w.store.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer late.Rollback(context.Background()) //nolint:errcheck // committed below
	r := audit.New(audit.Actor{Kind: audit.System}, "late", "", nil)
	if err := audit.Insert(t.Context(), late, r); err != nil {
		t.Fatal(err)
	}
	w.many(5)
	s := w.sealer()
	for range 3 {
		if _, err := s.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	before := w.number(`SELECT size FROM log_head`)
	if before != 1 {
		t.Errorf("%d leaves are sealed while an older transaction is open, want 1", before)
	}
	if s.Stats().Lag <= 0 {
		t.Error("the lag isn't noticed")
	}
	if err := late.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.seal()
	w.green()
}

func TestAnErasedTextLeavesReceiptAndLogStanding(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	paid := w.pay(w.ann, w.bob, 5, "something personal")
	w.seal()
	log := seal.NewLog(w.store.Pool)
	before, err := log.Receipt(t.Context(), paid.ID)
	if err != nil {
		t.Fatal(err)
	}
	commitment, err := before.Opening.Commit()
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.store.Pool.Exec(t.Context(), `SELECT erase_transaction_texts(ARRAY[$1::uuid], ARRAY[$2::bytea])`, paid.ID, commitment)
	if err != nil {
		t.Fatal(err)
	}
	after, err := log.Receipt(t.Context(), paid.ID)
	if err != nil {
		t.Fatal(err)
	}
	if string(after.Leaf) != string(before.Leaf) || after.Opening != nil {
		t.Errorf("the receipt changed: %q, %v", after.Leaf, after.Opening)
	}
	w.green()
}

func TestSealingAroundACommitThatComesLateDoesntSkipIt(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.seal()
	w.pay(w.ann, w.bob, 1, "") // can be sealed
	late, err := w.store.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer late.Rollback(context.Background()) //nolint:errcheck // committed below
	if _, err := late.Exec(t.Context(), `SELECT pg_current_xact_id()`); err != nil {
		t.Fatal(err)
	}
	w.pay(w.ann, w.bob, 2, "") // can't be sealed while late is open
	// The horizon is that of the whole server, where other tests commit too.
	s := w.sealer()
	for begin := time.Now(); w.number(`SELECT size FROM log_head`) != 2; {
		if _, err := s.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		if time.Since(begin) > time.Minute {
			t.Fatal("what came before wasn't sealed within a minute")
		}
	}
	if err := audit.Insert(t.Context(), late, audit.New(audit.Actor{Kind: audit.System}, "late", "", nil)); err != nil {
		t.Fatal(err)
	}
	if err := late.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.seal()
	w.green()
}
