package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// books are the users and accounts that the transfers go between.
type books struct {
	db       *database
	store    *store.Store
	ledger   *ledger.Ledger
	asset    ledger.AssetID
	outside  ledger.AccountID
	users    []uuid.UUID
	accounts []ledger.AccountID
	limited  []ledger.AccountID // those that transfers with limits go between
}

// endowment is what each account begins with, in cents: more than a benchmark
// can move.
const endowment = 1_000_000_00

// openBooks opens and funds the accounts of a migrated database, and ends all
// limits, so that plain transfers are plain.
func openBooks(ctx context.Context, db *database, cfg Config) (*books, error) {
	st, err := store.Open(ctx, store.Config{URL: db.url})
	if err != nil {
		return nil, err
	}
	b := &books{db: db, store: st, ledger: ledger.New(st.Pool, ledger.Config{})}
	if err := b.prepare(ctx, cfg); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *books) prepare(ctx context.Context, cfg Config) error {
	if err := b.endLimits(ctx); err != nil {
		return err
	}
	if err := b.populate(ctx, cfg.Accounts); err != nil {
		return err
	}
	var err error
	if b.outside, err = b.ledger.OpenAccount(ctx, ledger.AccountSpec{Code: outsideCode, Asset: b.asset, Unbounded: true}); err != nil {
		return err
	}
	if err := b.fund(ctx, cfg, b.accounts); err != nil {
		return err
	}
	if cfg.wants("limits") {
		if err := b.openLimited(ctx, cfg); err != nil {
			return err
		}
	}
	return b.settleDown(ctx)
}

// settleDown leaves nothing to do for PostgreSQL that a measurement would see.
func (b *books) settleDown(ctx context.Context) error {
	for _, statement := range []string{"VACUUM ANALYZE", "CHECKPOINT"} {
		if _, err := b.db.owner.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// outsideCode is the account that all money comes from.
const outsideCode = "external/bench/USD"

func (b *books) close() {
	b.ledger.Close()
	b.store.Close()
}

// populate writes users and their empty accounts as their services would.
func (b *books) populate(ctx context.Context, n int) error {
	asset, err := b.ledger.Asset(ctx, "USD")
	if err != nil {
		return err
	}
	b.asset = asset.ID
	b.users = make([]uuid.UUID, n)
	phones, names, codes := make([]string, n), make([]string, n), make([]string, n)
	for i := range n {
		b.users[i] = id.New()
		phones[i] = phoneNumber(i)
		names[i] = fmt.Sprintf("bench%d", i)
		codes[i] = mainCode(b.users[i])
	}
	hash, err := hashPassword()
	if err != nil {
		return fmt.Errorf("hashing a password: %w", err)
	}
	_, err = b.db.owner.Exec(ctx, `
INSERT INTO users (id, phone_number, username, password_hash, password_time, create_time)
SELECT u.id, u.phone, u.name, $4, now(), now()
  FROM unnest($1::uuid[], $2::text[], $3::text[]) AS u (id, phone, name)`, b.users, phones, names, hash)
	if err != nil {
		return fmt.Errorf("adding users: %w", err)
	}
	b.accounts, err = b.open(ctx, codes)
	return err
}

// open adds accounts, in this order.
func (b *books) open(ctx context.Context, codes []string) ([]ledger.AccountID, error) {
	rows, err := b.db.owner.Query(ctx, `
WITH opened AS (
    INSERT INTO accounts (code, asset_id, floor)
    SELECT a.code, $2, 0 FROM unnest($1::text[]) WITH ORDINALITY AS a (code, n) ORDER BY a.n
    RETURNING id, code
)
SELECT o.id FROM opened o JOIN unnest($1::text[]) WITH ORDINALITY AS a (code, n) USING (code) ORDER BY a.n`, codes, b.asset)
	if err != nil {
		return nil, fmt.Errorf("opening accounts: %w", err)
	}
	accounts, err := pgx.CollectRows(rows, pgx.RowTo[ledger.AccountID])
	if err != nil {
		return nil, fmt.Errorf("opening accounts: %w", err)
	}
	return accounts, nil
}

func mainCode(user uuid.UUID) string { return "user/" + id.Format(id.User, user) + "/main/USD" }

// phoneNumber is that of the i-th user.
func phoneNumber(i int) string { return fmt.Sprintf("+62812%08d", 10_000_000+i) }

// fund gives each account its endowment from outside.
func (b *books) fund(ctx context.Context, cfg Config, accounts []ledger.AccountID) error {
	return forEach(cfg.Callers, len(accounts), func(i int) error {
		return b.transfer(ctx, b.outside, accounts[i], endowment, ledger.KindFunding)
	})
}

// forEach calls f for every number below n, so many at once.
func forEach(callers, n int, f func(i int) error) error {
	var work sync.WaitGroup
	failures := make(chan error, callers)
	for caller := range callers {
		work.Go(func() {
			for i := caller; i < n; i += callers {
				if err := f(i); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	work.Wait()
	close(failures)
	return <-failures
}

func (b *books) transfer(ctx context.Context, from, to ledger.AccountID, cents int64, kind ledger.Kind) error {
	_, err := b.commit(ctx, transferCommand(from, to, cents, kind))
	return err
}

// freshIdentity is that of a request that nobody made before.
func freshIdentity() ledger.Identity {
	key := rand.Text()
	return ledger.Identity{Key: ledger.NewKey("bench", key), Fingerprint: ledger.Fingerprint(key)}
}

func transferCommand(from, to ledger.AccountID, cents int64, kind ledger.Kind) ledger.Command {
	who := freshIdentity()
	return ledger.Command{
		Key:         who.Key,
		Fingerprint: who.Fingerprint,
		Kind:        kind,
		Accounts:    []ledger.AccountID{from, to},
		Decide:      ledger.Transfer(from, to, ledger.NewAmount(cents), ""),
	}
}

func (b *books) commit(ctx context.Context, c ledger.Command) (ledger.Result, error) {
	return fresh(b.ledger.Commit(ctx, c))
}

// fresh refuses a result that is an earlier command's.
func fresh(r ledger.Result, err error) (ledger.Result, error) {
	if err == nil && r.Replayed {
		return r, errors.New("a fresh key was replayed")
	}
	return r, err
}

// transfers makes transfers from random accounts, to random ones or all to one.
func (b *books) transfers(ctx context.Context, cfg Config, callers int, hot bool) (sample, error) {
	return b.measure(ctx, cfg, callers, func() error {
		from, to := pick(b.accounts, hot)
		return b.transfer(ctx, from, to, someCents(), ledger.KindTransfer)
	})
}

// measure has so many callers do something for a while.
func (b *books) measure(ctx context.Context, cfg Config, callers int, do func() error) (sample, error) {
	before, err := b.db.read(ctx)
	if err != nil {
		return sample{}, err
	}
	cpu := cpuSplit{PostgreSQL: treeTime(b.db.pid), Server: selfTime()}
	all, took, err := callInParallel(callers, cfg.Duration, do)
	if err != nil {
		return sample{}, err
	}
	s := newSample(all, took)
	s.CPU = cpuSplit{PostgreSQL: treeTime(b.db.pid), Server: selfTime()}.sub(cpu).per(float64(len(all)))
	after, err := b.db.read(ctx)
	if err != nil {
		return sample{}, err
	}
	s.Rows, s.PerCommit = after.cost(before, float64(len(all)))
	return s, nil
}

func someCents() int64 { return 1 + mathrand.Int64N(100) }

func pick(accounts []ledger.AccountID, hot bool) (from, to ledger.AccountID) {
	n := len(accounts)
	f, t := mathrand.IntN(n-1)+1, 0
	if !hot {
		t = mathrand.IntN(n)
		if t == f {
			t = 0
		}
	}
	return accounts[f], accounts[t]
}

// callInParallel calls f from so many goroutines for a while and returns how
// long each call took. It ends early when a call fails.
func callInParallel(callers int, duration time.Duration, f func() error) (latencies, time.Duration, error) {
	var (
		work     sync.WaitGroup
		mu       sync.Mutex
		all      latencies
		failures error
	)
	begin := time.Now()
	end := begin.Add(duration)
	for range callers {
		work.Go(func() {
			var mine latencies
			var failed error
			for failed == nil {
				start := time.Now()
				if !start.Before(end) {
					break
				}
				failed = f()
				mine = append(mine, time.Since(start))
			}
			mu.Lock()
			defer mu.Unlock()
			all, failures = append(all, mine...), errors.Join(failures, failed)
		})
	}
	work.Wait()
	return all, time.Since(begin), failures
}
