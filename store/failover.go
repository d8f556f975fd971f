package store

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/multitracer"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// failover drops the connections of all pools on a database when one connection
// turns out to lead where no primary is any more: to a server that takes no writes,
// that ended the session or that doesn't answer. Which server is the primary is
// checked only when a connection is made, so the others would go on failing, or
// hanging, until each had been used.
//
// Connections carry the number of the generation in which they were made. What
// becomes of an older one says nothing about those that were made since.
type failover struct {
	generation atomic.Int64

	mu    sync.Mutex
	pools []*pgxpool.Pool
	told  []func()
}

var (
	_ pgx.QueryTracer = (*failover)(nil)
	_ pgx.BatchTracer = (*failover)(nil)
)

// generationKey is a key of a connection's custom data.
const generationKey = "tillbook.generation"

// made notes when a connection was made.
func (f *failover) made(conn *pgconn.PgConn) { conn.CustomData()[generationKey] = f.generation.Load() }

// add has a pool's connections dropped too.
func (f *failover) add(pool *pgxpool.Pool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pools = append(f.pools, pool)
}

// failover is how the tracer of a pool's connections is found again.
func (f *failover) failover() *failover { return f }

// both is a failover beside another tracer.
type both struct {
	*multitracer.Tracer
	own *failover
}

func (b both) failover() *failover { return b.own }

func failoverOf(config *pgxpool.Config) *failover {
	if t, ok := config.ConnConfig.Tracer.(interface{ failover() *failover }); ok {
		return t.failover()
	}
	return nil
}

// Follow has the connections of a pool that was made from another pool's
// configuration dropped together with that one's, when the primary moves. It does
// nothing for a pool that Open has nothing to do with.
func Follow(pool *pgxpool.Pool) {
	if f := failoverOf(pool.Config()); f != nil {
		f.add(pool)
	}
}

// OnFailover has f called when connections of a pool, or of one that follows it, are
// dropped. What is remembered of the database may be lost with the old primary, so
// who remembers something forgets it. f must not wait for anything.
func OnFailover(pool *pgxpool.Pool, f func()) {
	if own := failoverOf(pool.Config()); own != nil {
		own.mu.Lock()
		defer own.mu.Unlock()
		own.told = append(own.told, f)
	}
}

// pingAfter is how long a connection may have been idle to be believed in.
const pingAfter = time.Second

// PingWithin has a pool ask connections that were idle whether they still lead
// somewhere, and wait for the answer for so long. If none comes, nor will it on the
// others, so they are dropped too.
func PingWithin(config *pgxpool.Config, timeout time.Duration) {
	f := failoverOf(config)
	config.ShouldPing = func(ctx context.Context, p pgxpool.ShouldPingParams) bool {
		if p.IdleDuration <= pingAfter {
			return false
		}
		conn := p.Conn.PgConn()
		pingCtx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		if conn.Ping(pingCtx) == nil {
			return false
		}
		if f != nil && ctx.Err() == nil {
			f.lost(conn)
		}
		return true // which fails at once, and the next one is tried
	}
}

// drop gives up every connection of the generation. Those in use are closed when
// they come back.
func (f *failover) drop(generation int64) {
	if !f.generation.CompareAndSwap(generation, generation+1) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, pool := range f.pools {
		pool.Reset()
	}
	for _, tell := range f.told {
		tell()
	}
}

// lost gives up the generation of a connection that leads nowhere.
func (f *failover) lost(conn *pgconn.PgConn) {
	if generation, ok := conn.CustomData()[generationKey].(int64); ok {
		f.drop(generation)
	}
}

// check looks at how a statement failed.
func (f *failover) check(ctx context.Context, conn *pgx.Conn, err error) {
	if err != nil && leadsNowhere(ctx, conn.PgConn(), err) {
		f.lost(conn.PgConn())
	}
}

// leadsNowhere tells whether an error says that the connection's server is the
// primary no more. A caller who gives up breaks the connection too, which says
// nothing.
func leadsNowhere(ctx context.Context, conn *pgconn.PgConn, err error) bool {
	return isCode(err, codeReadOnly, codeAdminShutdown, codeCrashShutdown) || conn.IsClosed() && ctx.Err() == nil
}

// TraceQueryStart does nothing.
func (f *failover) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// TraceQueryEnd looks at how a statement ended.
func (f *failover) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	f.check(ctx, conn, data.Err)
}

// TraceBatchStart does nothing.
func (f *failover) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

// TraceBatchQuery looks at how a statement of a batch ended.
func (f *failover) TraceBatchQuery(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchQueryData) {
	f.check(ctx, conn, data.Err)
}

// TraceBatchEnd looks at how a batch ended.
func (f *failover) TraceBatchEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchEndData) {
	f.check(ctx, conn, data.Err)
}
