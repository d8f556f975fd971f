package server

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/server/rpc"
)

// observer counts calls and logs those that fail, each once.
type observer struct {
	log      *slog.Logger
	trace    connect.ServerInterceptor // nil if traces are off
	duration metric.Float64Histogram
	// streams counts those that are open, by procedure.
	streams map[string]*streamCount
	// labels are made once, for each procedure and code: making them on every
	// call would cost more than counting it.
	labels map[string]*codeLabels
	other  *codeLabels
}

// streamCount is how many streams of a procedure are open, and whether any ever was.
type streamCount struct {
	open atomic.Int64
	ever atomic.Bool
}

// codeLabels are the labels of one procedure by code; 0 is OK.
type codeLabels [connect.CodeUnauthenticated + 1]metric.MeasurementOption

// durationBounds are the upper bounds of the histogram's buckets, in seconds.
var durationBounds = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

func newObserver(log *slog.Logger, meter metric.Meter) (*observer, error) {
	o := &observer{
		log: log, streams: make(map[string]*streamCount, len(rpc.Policies)),
		labels: make(map[string]*codeLabels, len(rpc.Policies)), other: newCodeLabels("other", false),
	}
	for procedure, policy := range rpc.Policies {
		o.labels[procedure] = newCodeLabels(methodName(procedure), policy.Money)
		o.streams[procedure] = new(streamCount)
	}
	var err error
	o.duration, err = meter.Float64Histogram("rpc.server.call.duration",
		metric.WithUnit("s"),
		metric.WithDescription("How long calls took."),
		metric.WithExplicitBucketBoundaries(durationBounds...))
	if err != nil {
		return nil, err
	}
	_, err = meter.Int64ObservableGauge("rpc.server.streams",
		metric.WithUnit("{stream}"),
		metric.WithDescription("How many streams are open, by method."),
		metric.WithInt64Callback(func(_ context.Context, g metric.Int64Observer) error {
			for procedure, count := range o.streams {
				if count.ever.Load() {
					g.Observe(count.open.Load(), metric.WithAttributes(attribute.String("rpc.method", methodName(procedure))))
				}
			}
			return nil
		}))
	return o, err
}

// methodName is a procedure's name in metrics: without the slash before it.
func methodName(procedure string) string { return strings.TrimPrefix(procedure, "/") }

func newCodeLabels(method string, money bool) *codeLabels {
	var labels codeLabels
	for code := range labels {
		name := "OK"
		if code > 0 {
			name = strings.ToUpper(connect.Code(code).String())
		}
		labels[code] = metric.WithAttributeSet(attribute.NewSet(
			attribute.String("rpc.method", method),
			attribute.Bool("tillbook.money", money),
			attribute.String("rpc.response.status_code", name)))
	}
	return &labels
}

func (o *observer) observe(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		start := time.Now()
		count := o.streams[spec.Procedure]
		streams := spec.StreamType != connect.StreamTypeUnary && count != nil
		if streams {
			count.ever.Store(true)
			count.open.Add(1)
		}
		err := next(ctx, spec, stream)
		if streams {
			count.open.Add(-1)
		}
		o.record(ctx, call{id: rpc.RequestID(ctx), procedure: spec.Procedure, took: time.Since(start), err: err})
		return err
	}
}

// call is what is recorded of one.
type call struct {
	id        string
	procedure string
	took      time.Duration
	err       error
}

func (o *observer) record(ctx context.Context, c call) {
	labels, ok := o.labels[c.procedure]
	if !ok {
		labels = o.other
	}
	var code connect.Code
	if c.err != nil {
		code = min(connect.CodeOf(c.err), connect.CodeUnauthenticated)
		o.logFailure(ctx, c, code)
	}
	o.duration.Record(ctx, c.took.Seconds(), labels[code])
}

func (o *observer) logFailure(ctx context.Context, c call, code connect.Code) {
	failure := rpc.AsError(c.err)
	level := levelOf(code, failure.Reason())
	if _, turned := errors.AsType[*rpc.Shed](failure.Unwrap()); turned {
		level = slog.LevelDebug // a flood must not write a line a call; the gate says that there is one
	}
	if rpc.Policies[c.procedure].Plumbing && level < slog.LevelError {
		return
	}
	if !o.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("procedure", c.procedure),
		slog.String("code", code.String()),
		slog.String("reason", strings.TrimPrefix(failure.Reason().String(), "ERROR_REASON_")),
		slog.Duration("took", c.took),
		slog.String("caller", rpc.PrincipalFrom(ctx).Kind.String()),
	}
	if rpc.RequestID(ctx) == "" {
		attrs = append(attrs, slog.String("request_id", c.id))
	}
	// What a client did wrong is said by the reason; only what went wrong here
	// needs the cause.
	if cause := failure.Unwrap(); cause != nil && level >= slog.LevelWarn {
		attrs = append(attrs, slog.String("cause", scrub(cause.Error())))
		if p, ok := errors.AsType[*rpc.PanicError](cause); ok {
			attrs = append(attrs, slog.String("stack", string(p.Stack)))
		}
	}
	o.log.LogAttrs(ctx, level, "call failed", attrs...)
}

// levelOf says how much a failure matters to those who run the server.
func levelOf(code connect.Code, reason errorv1.ErrorReason) slog.Level {
	switch reason {
	case errorv1.ErrorReason_ERROR_REASON_STREAM_MOVED, errorv1.ErrorReason_ERROR_REASON_CANCELED:
		return slog.LevelDebug
	case errorv1.ErrorReason_ERROR_REASON_OVERLOADED:
		return slog.LevelWarn
	}
	switch code {
	case connect.CodeInternal, connect.CodeDataLoss, connect.CodeUnknown:
		return slog.LevelError
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded:
		return slog.LevelWarn
	default:
		return slog.LevelInfo
	}
}
