package ledger

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/trace"

	"github.com/tillbook/tillbook/store"
)

// Config tunes a Ledger. The zero value works.
type Config struct {
	// Committers is how many batches may run at once. Default 2. One alone makes
	// the largest batches, so others join in only while more waits than one takes.
	Committers int
	// MaxBatch is the most commands in a batch. Default 512, at most 4096.
	MaxBatch int
	// QueueSize is how many commands may wait; further ones fail with
	// ErrOverloaded, but for an eighth more of those that finish something: what
	// captures or gives back a hold, settles or gives back a payment. Default 8192.
	QueueSize int
	// Patience is how long a batch is retried while the database fails, before
	// its callers are told. Default 8 s.
	Patience time.Duration
	// CacheSize is how many accounts' numbers are remembered. Default 200,000,
	// about 40 MB.
	CacheSize int
	// PollInterval is how often other replicas' commits are looked for while
	// anybody watches. Default 50 ms.
	PollInterval time.Duration
	// ExpireInterval is how often holds are looked for whose time is over.
	// Default 500 ms.
	ExpireInterval time.Duration
	// Events reads what other replicas committed, and Jobs what is to be expired, so
	// that neither waits for connections behind calls. Default: the ledger's pool.
	Events, Jobs *pgxpool.Pool
	// TracerProvider makes a span for each batch, linked to the calls in it.
	// Default: nothing is traced.
	TracerProvider trace.TracerProvider
	// Logger gets what an operator should know. Default: nothing is logged.
	Logger *slog.Logger
}

func (c *Config) setDefaults() {
	setDefault(&c.Committers, 2)
	setDefault(&c.MaxBatch, 512)
	c.MaxBatch = min(c.MaxBatch, 4096)
	setDefault(&c.QueueSize, 8192)
	setDefault(&c.Patience, 8*time.Second)
	setDefault(&c.CacheSize, 200_000)
	setDefault(&c.PollInterval, 50*time.Millisecond)
	setDefault(&c.ExpireInterval, 500*time.Millisecond)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// reserve is how many commands beyond QueueSize may wait of those that finish what
// was begun.
func (c *Config) reserve() int { return c.QueueSize/8 + 1 }

// attemptTimeout bounds one attempt at something. It leaves time for another one
// on a new connection when the first fell silent.
func (c *Config) attemptTimeout() time.Duration { return c.Patience / 2 }

// lockTimeout bounds a batch's wait for accounts that another session has
// locked. Batches hold locks for milliseconds; what takes longer is parked.
func (c *Config) lockTimeout() time.Duration { return min(time.Second, c.Patience/4) }

// silenceTimeout is how long PostgreSQL lets a batch's session keep its locks
// without hearing from it.
func (c *Config) silenceTimeout() time.Duration { return min(5*time.Second, c.attemptTimeout()) }

func setDefault[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Ledger reads and changes the books of one database. It is safe for
// concurrent use. Any number of Ledgers, in any number of processes, may work
// on one database.
type Ledger struct {
	pool    reader        // reads, where the context says
	writers *pgxpool.Pool // the committers' own connections
	cfg     Config
	replica atomic.Pointer[uuid.UUID] // tells this ledger's commits from others' in the events
	assets  assets
	refs    *lru.Cache[string, accountRef]
	holders *lru.Cache[uuid.UUID, AccountID]
	rules   atomic.Pointer[rules] // as the last batch that needed them read them
	feed    *feed
	stats   stats
	tracer  trace.Tracer // nil if nothing is traced

	waiting atomic.Int64  // commands in queue
	traffic *traffic      // what the batches under way have, and what waits for that
	crowded chan struct{} // told when more waits than a batch takes
	closing chan struct{} // closed with queue

	mu     sync.RWMutex // guards closed against sends to queue
	closed bool
	queue  chan *call // each with those behind it
	parked chan *call

	committers sync.WaitGroup // those that serve the queue
	others     sync.WaitGroup // the one that serves parked, and the feed
	stop       context.CancelFunc
}

// connsPerCommitter allows for connections that broke. A silent one takes pgx up
// to 15 s to bury, and the committer must not wait for that.
const connsPerCommitter = 8

// New returns a ledger on the database of pool. It opens connections of its own
// with pool's settings, one a committer, so that reads can't starve payments.
// Close ends it.
func New(pool *pgxpool.Pool, cfg Config) *Ledger {
	cfg.setDefaults()
	ctx, stop := context.WithCancel(context.Background())
	l := &Ledger{
		pool:    reader{pool},
		cfg:     cfg,
		assets:  assets{pool: pool},
		refs:    newCache[string, accountRef](cfg.CacheSize),
		holders: newCache[uuid.UUID, AccountID](rememberedHolds),
		queue:   make(chan *call, cfg.QueueSize+cfg.reserve()),
		parked:  make(chan *call, cfg.QueueSize+cfg.reserve()),
		traffic: newTraffic(),
		crowded: make(chan struct{}, 1),
		closing: make(chan struct{}),
		stop:    stop,
	}
	if cfg.TracerProvider != nil {
		l.tracer = cfg.TracerProvider.Tracer("github.com/tillbook/tillbook/store/ledger")
	}
	if l.cfg.Events == nil {
		l.cfg.Events = pool
	}
	if l.cfg.Jobs == nil {
		l.cfg.Jobs = pool
	}
	l.rename()
	l.writers = newWriters(pool, cfg)
	// What was made on a primary that is gone may not be there, and its number or version
	// another's.
	store.OnFailover(pool, func() { l.refs.Purge(); l.holders.Purge(); l.assets.forget(); l.rules.Store(nil) })
	l.feed = newFeed(l)
	l.others.Go(func() { l.feed.run(ctx) })
	l.others.Go(func() {
		if err := l.warm(ctx); err != nil && ctx.Err() == nil {
			cfg.Logger.WarnContext(ctx, "the ledger begins with a cold cache", "error", err)
		}
	})
	l.others.Go(func() { l.expire(ctx) })
	l.others.Go(func() { newCommitter(l).attend() })
	l.committers.Go(func() { newCommitter(l).run() })
	for range cfg.Committers - 1 {
		l.committers.Go(func() { newCommitter(l).relieve() })
	}
	return l
}

func newCache[K comparable, V any](size int) *lru.Cache[K, V] {
	c, err := lru.New[K, V](size)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return c
}

// newWriters returns a pool for the committers: the same server and role as
// pool, but with amounts sent in binary, bounded waits for locks, and notices
// kept, since one of them says that a commit may not be replicated.
func newWriters(pool *pgxpool.Pool, cfg Config) *pgxpool.Pool {
	config := pool.Config()
	config.MaxConns = int32(cfg.Committers+1) * connsPerCommitter // one more serves parked calls
	config.MinConns = 0
	store.PingWithin(config, cfg.lockTimeout()) // leaves time for further connections if one is dead
	params := config.ConnConfig.RuntimeParams
	params["lock_timeout"] = milliseconds(cfg.lockTimeout())
	params["statement_timeout"] = "0" // must never hit a COMMIT
	params["idle_in_transaction_session_timeout"] = milliseconds(cfg.silenceTimeout())
	// That one doesn't strike between the statements of a round trip. Keepalives
	// end a session whose COMMIT will never come.
	params["tcp_keepalives_idle"], params["tcp_keepalives_interval"], params["tcp_keepalives_count"] = "2", "1", "3"
	// Whatever the planner thinks of the tables' sizes: a batch looks its rows
	// up by index, and its statements are planned once.
	for _, off := range []string{"enable_hashjoin", "enable_mergejoin", "enable_seqscan"} {
		params[off] = "off"
	}
	params["plan_cache_mode"] = "force_generic_plan"
	config.ConnConfig.OnNotice = noteWarning
	after := config.AfterConnect
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		registerAmount(conn)
		registerColumns(conn)
		if after != nil {
			return after(ctx, conn)
		}
		return nil
	}
	writers, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		panic(err) // only for a config that pool itself would have refused
	}
	store.Follow(writers)
	return writers
}

// Writers is the committers' own pool, to be measured and for nothing else.
func (l *Ledger) Writers() *pgxpool.Pool { return l.writers }

// reader reads where the context says; see store.Store.Reading.
type reader struct{ *pgxpool.Pool }

func (r reader) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return store.PoolFor(ctx, r.Pool).Query(ctx, sql, args...)
}

func (r reader) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return store.PoolFor(ctx, r.Pool).QueryRow(ctx, sql, args...)
}

// rename gives the ledger a new name among the replicas.
func (l *Ledger) rename() {
	name := uuid.New()
	l.replica.Store(&name)
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(max(1, d.Milliseconds()), 10) }

// commitWarning is the key under which a connection remembers that its last
// COMMIT came back with a warning.
const commitWarning = "tillbook.commit_warning"

// noteWarning remembers warning 01000: PostgreSQL committed, but gave up
// waiting for a standby, so a failover may lose it.
func noteWarning(conn *pgconn.PgConn, notice *pgconn.Notice) {
	if notice.Code == "01000" {
		conn.CustomData()[commitWarning] = true
	}
}

// Close executes what is queued, refuses what comes later with ErrClosed, ends
// all watches and closes the ledger's own connections.
func (l *Ledger) Close() {
	l.mu.Lock()
	already := l.closed
	l.closed = true
	if !already {
		close(l.queue)
		close(l.closing)
	}
	l.mu.Unlock()
	l.committers.Wait()
	if !already {
		close(l.parked)
		l.stop()
	}
	l.others.Wait()
	l.writers.Close()
}
