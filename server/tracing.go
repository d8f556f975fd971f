package server

import (
	"context"
	"net/netip"

	"connectrpc.com/connect/v2"
	"connectrpc.com/otelconnect"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/tillbook/tillbook/server/rpc"
)

// interceptor makes a span for each call; nil if traces are off.
//
// The trace of a client in one of the trusted networks is continued, and sampled if
// the client says so. The network is that of the client itself, whichever proxies
// are between. Everybody else's trace is linked: a stranger must neither decide what
// is sampled nor choose the id under which it is found. Baggage is never read.
func (t *telemetry) interceptor(trusted []netip.Prefix) (connect.ServerInterceptor, error) {
	if t.traces == nil {
		return nil, nil
	}
	stranger, err := otelconnect.NewServerInterceptor(t.spanOptions(strangersTrace{})...)
	if err != nil {
		return nil, err
	}
	friend, err := otelconnect.NewServerInterceptor(append(t.spanOptions(propagation.TraceContext{}), otelconnect.WithTrustRemote())...)
	if err != nil {
		return nil, err
	}
	return func(next connect.ServerFunc) connect.ServerFunc {
		next = nameRequest(next)
		linked, continued := stranger(next), friend(next)
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			if rpc.IsFrom(ctx, trusted) {
				return continued(ctx, spec, stream)
			}
			return linked(ctx, spec, stream)
		}
	}, nil
}

func (t *telemetry) spanOptions(p propagation.TextMapPropagator) []otelconnect.Option {
	return []otelconnect.Option{
		otelconnect.WithTracerProvider(t.traces),
		otelconnect.WithPropagator(p),
		otelconnect.WithFilter(func(_ context.Context, spec connect.Spec) bool {
			return !rpc.Policies[spec.Procedure].Plumbing
		}),
		otelconnect.WithoutMetrics(),
	}
}

// nameRequest puts the id under which the log knows a call in its span.
func nameRequest(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		if span := trace.SpanFromContext(ctx); span.IsRecording() {
			span.SetAttributes(attribute.String("tillbook.request_id", rpc.RequestID(ctx)))
		}
		return next(ctx, spec, stream)
	}
}

// strangersTrace reads traceparent without tracestate, which is long and may say
// anything.
type strangersTrace struct{ propagation.TraceContext }

// Extract returns a context with the stranger's span, if there is one.
func (p strangersTrace) Extract(ctx context.Context, carrier propagation.TextMapCarrier) context.Context {
	ctx = p.TraceContext.Extract(ctx, carrier)
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, sc.WithTraceState(trace.TraceState{}))
	}
	return ctx
}
