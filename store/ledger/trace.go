package ledger

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/tillbook/tillbook/store/cause"
)

// setTrace has the rows of a batch name its trace; see package cause.
const setTrace = `SELECT set_config('` + cause.Setting + `', $1, true)`

// startCommit starts the span of commands as their caller sees them: the wait for a
// batch, and the batches that they rode in. A call that isn't traced has none.
func (l *Ledger) startCommit(ctx context.Context, commands int) (context.Context, trace.Span) {
	if l.tracer == nil || !trace.SpanFromContext(ctx).IsRecording() {
		return ctx, nil
	}
	return l.tracer.Start(ctx, "ledger.commit", trace.WithAttributes(attribute.Int("ledger.commands", commands)))
}

// endCommit ends that span, with links to the batches that are in other traces.
func endCommit(span trace.Span, calls ...*call) {
	if span == nil {
		return
	}
	var rode []trace.SpanContext
	for _, c := range calls {
		for _, batch := range c.rode {
			rode = cause.Add(rode, batch)
		}
	}
	for _, batch := range rode {
		if batch.TraceID() != span.SpanContext().TraceID() {
			span.AddLink(trace.Link{SpanContext: batch})
		}
	}
	span.End()
}

// trace starts the span of a batch in the trace of its first call that is traced,
// with links to the others. A batch without any has none.
func (c *committer) trace(ctx context.Context, calls []*call) (context.Context, func(error)) {
	if c.l.tracer == nil {
		return ctx, func(error) {}
	}
	var causes []trace.SpanContext
	for _, call := range calls {
		causes = cause.Add(causes, cause.Of(call.ctx))
	}
	ctx, span := cause.Start(cause.WithTracer(ctx, c.l.tracer), "ledger.batch", causes,
		trace.WithAttributes(attribute.Int("ledger.batch.size", len(calls))))
	if sc := span.SpanContext(); sc.IsSampled() {
		for _, call := range calls {
			if cause.Of(call.ctx).IsValid() {
				call.rode = cause.Add(call.rode, sc)
			}
		}
	}
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, "")
			span.SetAttributes(attribute.String("error.type", sqlState(err)))
		}
		span.End()
	}
}
