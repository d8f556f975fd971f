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

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// books are the users and accounts that the transfers go between.
type books struct {
	db       *database
	store    *store.Store
	ledger   *ledger.Ledger
	users    []uuid.UUID
	accounts []ledger.AccountID
}

// endowment is what each account begins with, in cents: more than a benchmark
// can move.
const endowment = 1_000_000_00

func openBooks(ctx context.Context, db *database, cfg Config) (*books, error) {
	st, err := store.Open(ctx, store.Config{URL: db.url})
	if err != nil {
		return nil, err
	}
	b := &books{db: db, store: st, ledger: ledger.New(st.Pool, ledger.Config{})}
	if err := b.populate(ctx, cfg.Accounts); err != nil {
		b.close()
		return nil, err
	}
	if err := b.fund(ctx, cfg); err != nil {
		b.close()
		return nil, err
	}
	for _, statement := range []string{"VACUUM ANALYZE", "CHECKPOINT"} {
		if _, err := db.owner.Exec(ctx, statement); err != nil {
			b.close()
			return nil, fmt.Errorf("%s: %w", statement, err)
		}
	}
	return b, nil
}

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
	b.users = make([]uuid.UUID, n)
	phones, names, codes := make([]string, n), make([]string, n), make([]string, n)
	for i := range n {
		b.users[i] = id.New()
		phones[i] = phoneNumber(i)
		names[i] = fmt.Sprintf("bench%d", i)
		codes[i] = "user/" + id.Format(id.User, b.users[i]) + "/main/USD"
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
	rows, err := b.db.owner.Query(ctx, `
WITH opened AS (
    INSERT INTO accounts (code, asset_id, floor)
    SELECT a.code, $2, 0 FROM unnest($1::text[]) WITH ORDINALITY AS a (code, n) ORDER BY a.n
    RETURNING id, code
)
SELECT o.id FROM opened o JOIN unnest($1::text[]) WITH ORDINALITY AS a (code, n) USING (code) ORDER BY a.n`, codes, asset.ID)
	if err != nil {
		return fmt.Errorf("opening accounts: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var account ledger.AccountID
		if err := rows.Scan(&account); err != nil {
			return err
		}
		b.accounts = append(b.accounts, account)
	}
	return rows.Err()
}

// phoneNumber is that of the i-th user.
func phoneNumber(i int) string { return fmt.Sprintf("+62812%08d", 10_000_000+i) }

// fund gives every account its endowment from outside.
func (b *books) fund(ctx context.Context, cfg Config) error {
	asset, err := b.ledger.Asset(ctx, "USD")
	if err != nil {
		return err
	}
	outside, err := b.ledger.OpenAccount(ctx, ledger.AccountSpec{Code: "external/bench/USD", Asset: asset.ID, Unbounded: true})
	if err != nil {
		return err
	}
	var work sync.WaitGroup
	failures := make(chan error, cfg.Callers)
	for caller := range cfg.Callers {
		work.Go(func() {
			for i := caller; i < len(b.accounts); i += cfg.Callers {
				if err := b.transfer(ctx, outside, b.accounts[i], endowment, ledger.KindFunding); err != nil {
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
	key := rand.Text()
	r, err := b.ledger.Commit(ctx, ledger.Command{
		Key:         ledger.NewKey("bench", key),
		Fingerprint: ledger.Fingerprint(key),
		Kind:        kind,
		Accounts:    []ledger.AccountID{from, to},
		Decide:      ledger.Transfer(from, to, ledger.NewAmount(cents), ""),
	})
	if err == nil && r.Replayed {
		return errors.New("a fresh key was replayed")
	}
	return err
}

// measure makes transfers from random accounts, to random ones or all to one.
func (b *books) measure(ctx context.Context, cfg Config, callers int, hot bool) (sample, error) {
	before, err := b.db.read(ctx)
	if err != nil {
		return sample{}, err
	}
	cpu := cpuSplit{PostgreSQL: treeTime(b.db.pid), Server: selfTime()}
	all, took, err := callInParallel(callers, cfg.Duration, func() error {
		from, to := b.pick(hot)
		return b.transfer(ctx, from, to, 1+mathrand.Int64N(100), ledger.KindTransfer)
	})
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

func (b *books) pick(hot bool) (from, to ledger.AccountID) {
	n := len(b.accounts)
	f, t := mathrand.IntN(n-1)+1, 0
	if !hot {
		t = mathrand.IntN(n)
		if t == f {
			t = 0
		}
	}
	return b.accounts[f], b.accounts[t]
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
