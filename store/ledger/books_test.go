package ledger_test

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
	"github.com/tillbook/tillbook/store/storetest"
)

// Seeded assets that the tests use.
const (
	jpy ledger.AssetID = 10 // exponent 0
	usd ledger.AssetID = 7  // exponent 2
	eth ledger.AssetID = 12 // exponent 18
)

// ctx bounds nothing: what hangs ends with the test binary's deadline, which
// shows where.
var ctx = context.Background()

// books are one database with several ledgers on it, each with a pool of its
// own, as replicas have them.
type books struct {
	t       testing.TB
	url     string // of a superuser
	stores  []*store.Store
	ledgers []*ledger.Ledger
	keys    atomic.Int64
	broken  bool // on purpose: don't verify at the end
}

// newBooks opens ledgers that are closed and whose books are verified when the
// test ends.
func newBooks(t testing.TB, replicas int, cfg ledger.Config) *books {
	t.Helper()
	b := &books{t: t, url: storetest.NewDatabase(t)}
	t.Cleanup(b.verify)
	for range replicas {
		b.join(cfg, store.Config{})
	}
	return b
}

// join adds a replica.
func (b *books) join(cfg ledger.Config, storeConfig store.Config) *ledger.Ledger {
	b.t.Helper()
	storeConfig.URL = cmp.Or(storeConfig.URL, b.url)
	s := storetest.Open(b.t, storeConfig)
	l := ledger.New(s.Pool, cfg)
	b.t.Cleanup(l.Close)
	b.stores, b.ledgers = append(b.stores, s), append(b.ledgers, l)
	return l
}

// urlWith is the URL with a setting for its sessions.
func (b *books) urlWith(setting, value string) string {
	b.t.Helper()
	u, err := url.Parse(b.url)
	if err != nil {
		b.t.Fatal(err)
	}
	q := u.Query()
	q.Set(setting, value)
	u.RawQuery = q.Encode()
	return u.String()
}

// verify reads the books with a connection of its own, after the ledgers are
// closed.
func (b *books) verify() {
	b.t.Helper()
	if b.broken {
		return
	}
	s := storetest.Open(b.t, store.Config{URL: b.url})
	report, err := ledger.Verify(ctx, s.Pool, ledger.VerifyOptions{ChunkSize: 100})
	if err != nil {
		b.t.Errorf("verifying the books: %v", err)
	}
	for _, p := range report.Problems {
		b.t.Errorf("the books are wrong: %s: %s %s", p.Rule, p.Subject, p.Detail)
	}
	var announced, wrong int64
	if err := s.Pool.QueryRow(ctx, announcements).Scan(&announced, &wrong); err != nil {
		b.t.Errorf("verifying the events: %v", err)
	}
	if announced != report.Transactions || wrong > 0 {
		b.t.Errorf("the events announce %d of %d transactions; %d announce others than there are", announced, report.Transactions, wrong)
	}
}

// announcements counts the transactions that the events announce, and the events
// between whose first and last one lie not as many as they say.
const announcements = `
SELECT coalesce(sum((e.payload ->> 'count')::bigint), 0)::bigint, count(*) FILTER (WHERE (e.payload ->> 'count')::bigint <> t.n)
  FROM events e
 CROSS JOIN LATERAL (
       SELECT count(*) AS n FROM transactions
        WHERE id BETWEEN (e.payload ->> 'first')::uuid AND (e.payload ->> 'last')::uuid
 ) t
 WHERE e.type = 'ledger.committed'`

// superuser connects as one who may do everything.
func (b *books) superuser() *pgx.Conn {
	b.t.Helper()
	conn, err := pgx.Connect(ctx, b.url)
	if err != nil {
		b.t.Fatalf("connecting as superuser: %v", err)
	}
	b.t.Cleanup(func() { _ = conn.Close(ctx) })
	return conn
}

// account opens an account with floor 0 that holds balance, which comes from
// outside.
func (b *books) account(code string, asset ledger.AssetID, balance int64) ledger.AccountID {
	b.t.Helper()
	account := b.open(ledger.AccountSpec{Code: code, Asset: asset})
	if balance > 0 {
		b.pay(b.outside(asset), account, balance)
	}
	return account
}

// outside opens the account that stands for the world outside.
func (b *books) outside(asset ledger.AssetID) ledger.AccountID {
	b.t.Helper()
	return b.open(ledger.AccountSpec{Code: fmt.Sprintf("external/test/%d", asset), Asset: asset, Unbounded: true})
}

func (b *books) open(spec ledger.AccountSpec) ledger.AccountID {
	b.t.Helper()
	account, err := b.ledgers[0].OpenAccount(ctx, spec)
	if err != nil {
		b.t.Fatalf("opening %s: %v", spec.Code, err)
	}
	return account
}

// pay transfers on the first ledger under a key of its own.
func (b *books) pay(from, to ledger.AccountID, amount int64) ledger.Transaction {
	b.t.Helper()
	result, err := b.ledgers[0].Commit(ctx, transfer(fmt.Sprintf("pay %d", b.keys.Add(1)), from, to, amount))
	if err != nil {
		b.t.Fatalf("paying %d: %v", amount, err)
	}
	return result.Transaction
}

// balance reads an account on the last ledger.
func (b *books) balance(code string) int64 {
	b.t.Helper()
	return integer(b.t, b.read(code).Balance)
}

func (b *books) read(code string) ledger.Account {
	b.t.Helper()
	a, err := b.ledgers[len(b.ledgers)-1].Account(ctx, code)
	if err != nil {
		b.t.Fatalf("reading %s: %v", code, err)
	}
	return a
}

// count runs a query whose result is one number.
func (b *books) count(query string, args ...any) (n int64) {
	b.t.Helper()
	if err := b.stores[0].Pool.QueryRow(ctx, query, args...).Scan(&n); err != nil {
		b.t.Fatalf("%s: %v", query, err)
	}
	return n
}

func integer(t testing.TB, a ledger.Amount) int64 {
	t.Helper()
	var n int64
	if _, err := fmt.Sscan(a.String(), &n); err != nil {
		t.Fatalf("%s is no small amount: %v", a, err)
	}
	return n
}

// transfer is a command whose fingerprint covers all of it.
func transfer(key string, from, to ledger.AccountID, amount int64) ledger.Command {
	return ledger.Command{
		Key:         ledger.NewKey("test", key),
		Fingerprint: ledger.Fingerprint("transfer", fmt.Sprint(from, to, amount)),
		Kind:        ledger.KindTransfer,
		Accounts:    []ledger.AccountID{from, to},
		Decide:      ledger.Transfer(from, to, ledger.NewAmount(amount), "for "+key),
	}
}

// answer is what Commit returned.
type answer struct {
	ledger.Result
	err error
}

// commit runs Commit on its own goroutine.
func commit(ctx context.Context, l *ledger.Ledger, c ledger.Command) <-chan answer {
	done := make(chan answer, 1)
	go func() {
		result, err := l.Commit(ctx, c)
		done <- answer{result, err}
	}()
	return done
}

// gate makes a command's decision wait, so that a test knows when its batch has
// begun and decides when it goes on.
type gate struct {
	entered chan struct{} // receives when the decision is reached
	open    chan struct{} // close it to let the decision go on
}

func gated(c *ledger.Command) *gate {
	g := &gate{entered: make(chan struct{}, 100), open: make(chan struct{})}
	decide := c.Decide
	c.Decide = func(v ledger.View) (ledger.Draft, error) {
		g.entered <- struct{}{}
		<-g.open
		return decide(v)
	}
	return g
}

// waitFor waits for something that is bound to happen.
func waitFor(t testing.TB, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute for %s", what)
		}
	}
}
