package bench

import (
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tillbook/tillbook/store/ledger"
)

// smallHistory is how many entries the small of the two accounts has. The large
// one has as many as the books grew to.
const smallHistory = 10_000

// lookups is how often each thing is looked up, and pageSize how long a page of
// history is.
const (
	lookups  = 1000
	pageSize = 50
)

// measureHistory measures how an account's balance at a random time, and a page
// of its history before that, are found.
func (b *books) measureHistory(ctx context.Context, cfg Config, small ledger.AccountID, results map[string][]sample) error {
	large, err := b.ledger.Account(ctx, outsideCode)
	if err != nil {
		return err
	}
	if err := b.fill(ctx, b.accounts, cfg.Growth-large.Version); err != nil {
		return err
	}
	if err := b.settleDown(ctx); err != nil {
		return err
	}
	r, err := newReader(ctx, b.db)
	if err != nil {
		return err
	}
	defer r.close()
	for size, account := range map[string]ledger.AccountID{"small": small, "large": b.outside} {
		if err := r.measureAccount(ctx, account, size, results); err != nil {
			return err
		}
	}
	return nil
}

// reader reads through a single connection, whose session counts what it touches.
type reader struct {
	db     *database
	pool   *pgxpool.Pool
	ledger *ledger.Ledger
}

func newReader(ctx context.Context, db *database) (*reader, error) {
	config, err := pgxpool.ParseConfig(db.url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = 1
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connecting to read history: %w", err)
	}
	return &reader{db: db, pool: pool, ledger: ledger.New(pool, ledger.Config{ExpireInterval: time.Hour})}, nil
}

func (r *reader) close() {
	r.ledger.Close()
	r.pool.Close()
}

func (r *reader) measureAccount(ctx context.Context, account ledger.AccountID, size string, results map[string][]sample) error {
	first, err := r.ledger.EntriesAfter(ctx, account, 0, 1)
	if err != nil {
		return err
	}
	last, err := r.ledger.Entries(ctx, ledger.EntriesQuery{Account: account, Limit: 1})
	if err != nil {
		return err
	}
	if len(first) == 0 || len(last) == 0 {
		return errors.New("an account to look up has no entries")
	}
	code, begin, end := last[0].Entry.Code, first[0].Transaction.CreateTime, last[0].Transaction.CreateTime
	moment := func() time.Time { return begin.Add(mathrand.N(end.Sub(begin))) }
	balance, err := r.measure(ctx, func() error {
		_, err := r.ledger.AccountAt(ctx, code, moment())
		return err
	})
	if err != nil {
		return err
	}
	page, err := r.measure(ctx, func() error {
		_, err := r.ledger.History(ctx, ledger.HistoryQuery{
			Accounts: []ledger.AccountID{account}, Limit: pageSize,
			Before: &ledger.Position{Time: moment(), Transaction: uuid.Max},
		})
		return err
	})
	balance.Entries, page.Entries = float64(last[0].Entry.Version), float64(last[0].Entry.Version)
	results["balance-"+size], results["page-"+size] = []sample{balance}, []sample{page}
	return err
}

// measure looks something up again and again, one at a time.
func (r *reader) measure(ctx context.Context, lookUp func() error) (sample, error) {
	for range lookups / 10 { // plans and caches are warm then
		if err := lookUp(); err != nil {
			return sample{}, err
		}
	}
	before, err := r.buffers(ctx)
	if err != nil {
		return sample{}, err
	}
	all := make(latencies, 0, lookups)
	start := time.Now()
	for range lookups {
		began := time.Now()
		if err := lookUp(); err != nil {
			return sample{}, err
		}
		all = append(all, time.Since(began))
	}
	s := newSample(all, time.Since(start))
	after, err := r.buffers(ctx)
	s.Buffers = float64(after-before) / lookups
	return s, err
}

// buffers is how many pages of the ledger's tables and their indexes were touched.
// A session reports that at the end of a statement, at most once a second.
func (r *reader) buffers(ctx context.Context) (n int64, err error) {
	time.Sleep(1100 * time.Millisecond)
	if _, err := r.pool.Exec(ctx, `SELECT 1`); err != nil {
		return 0, err
	}
	time.Sleep(100 * time.Millisecond)
	err = r.db.owner.QueryRow(ctx, `
SELECT sum(heap_blks_hit + heap_blks_read + coalesce(idx_blks_hit, 0) + coalesce(idx_blks_read, 0))::bigint
  FROM pg_statio_user_tables WHERE relname IN ('transactions', 'more_entries', 'accounts')`).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("reading PostgreSQL's counters: %w", err)
	}
	return n, nil
}
