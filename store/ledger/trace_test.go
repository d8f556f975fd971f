package ledger_test

import (
	"context"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/tillbook/tillbook/store/cause"
	"github.com/tillbook/tillbook/store/ledger"
)

// traced is a ledger whose spans a test sees.
func traced(t *testing.T, sampler sdktrace.Sampler) (*books, trace.Tracer, *tracetest.SpanRecorder) {
	t.Helper()
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans), sdktrace.WithSampler(sampler))
	return newBooks(t, 1, ledger.Config{Committers: 1, TracerProvider: provider}), provider.Tracer("test"), spans
}

// named are the ended spans of a name.
func named(spans *tracetest.SpanRecorder, name string) (found []sdktrace.ReadOnlySpan) {
	for _, s := range spans.Ended() {
		if s.Name() == name {
			found = append(found, s)
		}
	}
	return found
}

// together commits commands in one batch, each for its own caller.
func (b *books) together(callers ...context.Context) {
	b.t.Helper()
	from, to := b.account("user/1/main", jpy, 100), b.account("user/2/main", jpy, 0)
	g, first := busy(b.t.(*testing.T), b, b.ledgers[0])
	var waiting []<-chan answer
	for i, caller := range callers {
		waiting = append(waiting, commit(caller, b.ledgers[0], transfer(string(rune('a'+i)), from, to, 1)))
		waitFor(b.t, "the command to wait", func() bool { return b.ledgers[0].Stats().QueueDepth == i+1 })
	}
	close(g.open)
	for _, done := range append(waiting, first) {
		if a := <-done; a.err != nil {
			b.t.Error(a.err)
		}
	}
}

// traces are what the events of batches say, the first of busy's.
func (b *books) traces() (list []string) {
	b.t.Helper()
	rows, err := b.stores[0].Pool.Query(ctx, `SELECT coalesce(trace, '') FROM events WHERE type = 'ledger.committed' ORDER BY id DESC LIMIT 2`)
	if err != nil {
		b.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			b.t.Fatal(err)
		}
		list = append(list, text)
	}
	return list
}

func TestABatchIsInTheTraceOfItsFirstCallAndLinkedWithTheOthers(t *testing.T) {
	b, tracer, spans := traced(t, sdktrace.AlwaysSample())
	one, spanOne := tracer.Start(ctx, "one")
	two, spanTwo := tracer.Start(ctx, "two")
	b.together(ctx, one, two, ctx) // two that aren't traced are among them

	batches, commits := named(spans, "ledger.batch"), named(spans, "ledger.commit")
	if len(batches) != 1 || len(commits) != 2 {
		t.Fatalf("%d batches and %d commits; those of untraced calls have no spans", len(batches), len(commits))
	}
	first, second := commits[0], commits[1]
	if first.Parent().SpanID() != spanOne.SpanContext().SpanID() {
		first, second = second, first
	}
	batch := batches[0]
	if second.Parent().SpanID() != spanTwo.SpanContext().SpanID() || batch.Parent().SpanID() != first.SpanContext().SpanID() {
		t.Errorf("the batch isn't in the first call's commit: %v", batch.Parent())
	}
	if links := batch.Links(); len(links) != 1 || links[0].SpanContext.SpanID() != second.SpanContext().SpanID() {
		t.Errorf("the batch's links: %v", links)
	}
	if links := second.Links(); len(links) != 1 || links[0].SpanContext.SpanID() != batch.SpanContext().SpanID() {
		t.Errorf("the second call's links: %v", links)
	}
	if len(first.Links()) != 0 {
		t.Errorf("the first call is linked to what is in its own trace: %v", first.Links())
	}
	if got := b.traces(); got[0] != cause.Text(batch.SpanContext()) || got[1] != "" {
		t.Errorf("the events say %q", got)
	}
}

// TestACallThatIsSampledHasItsBatchSampled, even if it is one of many that aren't.
func TestACallThatIsSampledHasItsBatchSampled(t *testing.T) {
	b, tracer, spans := traced(t, sdktrace.ParentBased(sdktrace.NeverSample()))
	parent := trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled, Remote: true,
	}))
	sampled, _ := tracer.Start(parent, "sampled")
	not, _ := tracer.Start(ctx, "not sampled")
	b.together(not, not, sampled)
	if batches := named(spans, "ledger.batch"); len(batches) != 1 || batches[0].SpanContext().TraceID() != (trace.TraceID{1}) {
		t.Errorf("the batches: %v", batches)
	}
}

// TestWhatNobodySamplesIsNotTraced, and its rows say nothing.
func TestWhatNobodySamplesIsNotTraced(t *testing.T) {
	b, tracer, spans := traced(t, sdktrace.NeverSample())
	not, _ := tracer.Start(ctx, "not sampled")
	b.together(not, ctx)
	if n := len(spans.Started()); n != 0 {
		t.Errorf("%d spans", n)
	}
	if got := b.traces(); got[0] != "" {
		t.Errorf("the events say %q", got)
	}
}
