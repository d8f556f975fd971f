package cause

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Setting is the name of the PostgreSQL setting from which new rows take their
// trace. It is set for one transaction at a time.
const Setting = "tillbook.trace"

// maxLinks is how many links a span carries; the rest is left out.
const maxLinks = 128

// Of returns the context of the span in ctx if it is sampled; else one that isn't
// valid.
func Of(ctx context.Context) trace.SpanContext {
	if sc := trace.SpanContextFromContext(ctx); sc.IsSampled() {
		return sc
	}
	return trace.SpanContext{}
}

const field = "traceparent"

// Text is how a sampled span's context stands in a row: as in W3C's traceparent,
// which has no quotes in it. It is empty for one that isn't sampled.
func Text(sc trace.SpanContext) string {
	if !sc.IsSampled() || !sc.IsValid() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(context.Background(), sc), carrier)
	return carrier[field]
}

// Parse reads what Text wrote; the result is not valid for anything else.
func Parse(text string) trace.SpanContext {
	if text == "" {
		return trace.SpanContext{}
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{field: text})
	return Of(ctx)
}

// Add adds a cause to a list, unless it is none, is there, or there are enough.
func Add(list []trace.SpanContext, sc trace.SpanContext) []trace.SpanContext {
	if !sc.IsSampled() || len(list) > maxLinks {
		return list
	}
	for i := range list {
		if list[i].SpanID() == sc.SpanID() && list[i].TraceID() == sc.TraceID() {
			return list
		}
	}
	return append(list, sc)
}

// Parsed is the list of causes that texts of rows name.
func Parsed(texts ...string) (list []trace.SpanContext) {
	for _, text := range texts {
		list = Add(list, Parse(text))
	}
	return list
}

type tracerKey struct{}

// WithTracer returns a context for work that no call waits for, whose spans the
// tracer makes. The tracer may be nil: then it makes none.
func WithTracer(ctx context.Context, tracer trace.Tracer) context.Context {
	if tracer == nil {
		return ctx
	}
	return context.WithValue(ctx, tracerKey{}, tracer)
}

// scope names who made a span.
const scope = "github.com/tillbook/tillbook"

func tracerOf(ctx context.Context) trace.Tracer {
	if tracer, ok := ctx.Value(tracerKey{}).(trace.Tracer); ok {
		return tracer
	}
	return trace.SpanFromContext(ctx).TracerProvider().Tracer(scope)
}

// Start starts a span of something that was caused by the sampled spans in the list:
// a child of the first, linked to the others and, if there is one, to the span in
// ctx, such as that of a stream. Without causes there is no span, and the one that is
// returned does nothing. The tracer is that of WithTracer or of the span in ctx.
func Start(ctx context.Context, name string, causes []trace.SpanContext, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	if len(causes) == 0 {
		return ctx, nothing
	}
	links := make([]trace.Link, 0, len(causes))
	for _, sc := range causes[1:] {
		links = append(links, trace.Link{SpanContext: sc})
	}
	if own := trace.SpanContextFromContext(ctx); own.IsValid() {
		links = append(links, trace.Link{SpanContext: own})
	}
	options = append(options, trace.WithLinks(links...))
	return tracerOf(ctx).Start(trace.ContextWithSpanContext(ctx, causes[0]), name, options...)
}

// nothing is a span that does nothing.
var nothing = trace.SpanFromContext(context.Background())
