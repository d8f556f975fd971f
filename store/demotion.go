package store

import (
	"context"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// demotionTracer drops all connections when one of them turns out to lead to a
// server that no longer takes writes. Which server is the primary is checked
// only when a connection is made, so the others would go on failing until each
// had been used.
type demotionTracer struct {
	pool atomic.Pointer[pgxpool.Pool]
}

var (
	_ pgx.QueryTracer = (*demotionTracer)(nil)
	_ pgx.BatchTracer = (*demotionTracer)(nil)
)

func (d *demotionTracer) check(err error) {
	if err == nil || !isCode(err, codeReadOnly) {
		return
	}
	if pool := d.pool.Load(); pool != nil {
		pool.Reset()
	}
}

func (d *demotionTracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

func (d *demotionTracer) TraceQueryEnd(_ context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	d.check(data.Err)
}

func (d *demotionTracer) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

func (d *demotionTracer) TraceBatchQuery(_ context.Context, _ *pgx.Conn, data pgx.TraceBatchQueryData) {
	d.check(data.Err)
}

func (d *demotionTracer) TraceBatchEnd(_ context.Context, _ *pgx.Conn, data pgx.TraceBatchEndData) {
	d.check(data.Err)
}
