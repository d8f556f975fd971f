package vitals

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tillbook/tillbook/store"
)

// Config says what a Monitor works with.
type Config struct {
	// Pool has the settings of the one connection that the monitor opens, beside the
	// pool: a flood of calls doesn't keep it from measuring. Required.
	Pool *pgxpool.Pool
	// Interval is how often it measures. Default 10 s.
	Interval time.Duration
	// Logger gets what an operator should know. Default: nothing is logged.
	Logger *slog.Logger
}

// Vitals is what was measured.
type Vitals struct {
	// Sums is the sum of all balances of each asset, in its smallest unit.
	Sums map[string]float64
	// Terminals counts terminals by state.
	Terminals map[string]int64
	// JobAge is since when the oldest job of each kind is due that isn't done.
	JobAge map[string]time.Duration
	// SealLag is the age of the oldest commit that isn't sealed.
	SealLag time.Duration
	// HorizonLag is the age of the oldest event that nobody can read yet, because an
	// older transaction is still open.
	HorizonLag time.Duration
	// Standbys is how many standbys stream from the database.
	Standbys int64
}

// Monitor measures while it leads. It is safe for concurrent use.
type Monitor struct {
	cfg    Config
	latest atomic.Pointer[Vitals]

	// Run's own: when what reads whole tables is due again, and what it found.
	sumsDue, terminalsDue time.Time
	sums                  map[string]float64
	terminals             map[string]int64
}

// New returns a monitor. It does nothing before it runs.
func New(cfg Config) *Monitor {
	if cfg.Interval <= 0 {
		cfg.Interval = 10 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Monitor{cfg: cfg}
}

// Latest returns what was measured last, or false if this replica doesn't lead.
func (m *Monitor) Latest() (Vitals, bool) {
	v := m.latest.Load()
	if v == nil {
		return Vitals{}, false
	}
	return *v, true
}

// lock is the advisory lock of the replica that leads.
const lock int64 = 0x7111B5EA2

const (
	// rest is how many times as long as it took a whole table isn't read again.
	rest = 50
	// roundTimeout bounds one round of measuring.
	roundTimeout = time.Minute
)

// Run measures whenever it can lead, until ctx ends. Of a series of failures it logs
// the first.
func (m *Monitor) Run(ctx context.Context) {
	pool, err := own(m.cfg.Pool)
	if err != nil {
		m.cfg.Logger.ErrorContext(ctx, "the deployment can't be measured", "error", err)
		return
	}
	defer pool.Close()
	// A server that is the primary no more may still answer. The pool can't drop the
	// connection of the one that leads, since that one never gives it back.
	var leave atomic.Pointer[context.CancelFunc]
	store.Follow(pool)
	store.OnFailover(pool, func() {
		if cancel := leave.Load(); cancel != nil {
			(*cancel)()
		}
	})
	failing := false
	for {
		leading, cancel := context.WithCancel(ctx)
		leave.Store(&cancel)
		err := m.lead(leading, pool)
		cancel()
		m.latest.Store(nil)
		if err != nil && !failing && ctx.Err() == nil {
			m.cfg.Logger.WarnContext(ctx, "the deployment can't be measured", "error", err)
		}
		failing = err != nil
		if !m.pause(ctx) {
			return
		}
	}
}

// own returns a pool of one connection with the settings of another.
func own(pool *pgxpool.Pool) (*pgxpool.Pool, error) {
	config := pool.Config()
	config.MaxConns, config.MinConns = 1, 0
	return pgxpool.NewWithConfig(context.Background(), config)
}

// pause says whether to go on after it.
func (m *Monitor) pause(ctx context.Context) bool {
	timer := time.NewTimer(m.cfg.Interval)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// lead measures as long as this replica leads. It returns nil at once if another one
// does.
func (m *Monitor) lead(ctx context.Context, pool *pgxpool.Pool) error {
	conn, err := acquire(ctx, pool)
	if err != nil || conn == nil {
		return err
	}
	defer func() {
		// Its lock goes with it: a connection that went back would keep it.
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Hijack().Close(bounded)
	}()
	m.sumsDue, m.terminalsDue = time.Time{}, time.Time{}
	for {
		v, err := m.measure(ctx, store.New(conn))
		if err != nil {
			return err
		}
		m.latest.Store(v)
		if !m.pause(ctx) {
			return nil
		}
	}
}

// acquire returns a connection that holds the lock, or nil if another one does.
func acquire(ctx context.Context, pool *pgxpool.Pool) (*pgxpool.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("take a connection: %w", err)
	}
	var mine bool
	if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, lock).Scan(&mine); err != nil || !mine {
		conn.Release()
		return nil, err
	}
	return conn, nil
}

// measure does one round.
func (m *Monitor) measure(ctx context.Context, q *store.Queries) (*Vitals, error) {
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	row, err := q.GetVitals(ctx)
	if err != nil {
		return nil, fmt.Errorf("measure what waits: %w", err)
	}
	since := func(t time.Time) time.Duration { return max(0, row.Now.Sub(t)) }
	err = errors.Join(
		now(&m.sumsDue, func() error { return m.sum(ctx, q) }),
		now(&m.terminalsDue, func() error { return m.count(ctx, q) }))
	return &Vitals{
		Sums: m.sums, Terminals: m.terminals,
		SealLag: since(row.Unsealed), HorizonLag: since(row.Hidden), Standbys: row.Standbys,
		JobAge: map[string]time.Duration{
			"settlement": since(row.Settlement), "hold_expiry": since(row.Hold), "checkout_expiry": since(row.Checkout),
		},
	}, err
}

// now does something if it is due, and says when it is due again.
func now(due *time.Time, do func() error) error {
	began := time.Now()
	if began.Before(*due) {
		return nil
	}
	err := do()
	*due = time.Now().Add(rest * time.Since(began))
	return err
}

func (m *Monitor) sum(ctx context.Context, q *store.Queries) error {
	rows, err := q.SumBalances(ctx)
	if err != nil {
		return fmt.Errorf("sum the balances: %w", err)
	}
	m.sums = make(map[string]float64, len(rows))
	for _, r := range rows {
		m.sums[r.Code] = r.Sum
		if r.Sum != 0 {
			m.cfg.Logger.ErrorContext(ctx, "the books don't balance: run `tillbook verify`", "asset", r.Code, "sum", r.Sum)
		}
	}
	return nil
}

// states are those of the API, by their numbers.
var states = [...]string{1: "not_activated", 2: "available", 3: "needs_attention", 4: "offline", 5: "revoked"}

func (m *Monitor) count(ctx context.Context, q *store.Queries) error {
	rows, err := q.CountTerminals(ctx)
	if err != nil {
		return fmt.Errorf("count terminals: %w", err)
	}
	counts := make(map[string]int64, len(states))
	for _, name := range states[1:] {
		counts[name] = 0
	}
	for _, r := range rows {
		if int(r.State) < len(states) {
			counts[states[r.State]] = r.Count
		}
	}
	m.terminals = counts
	return nil
}
