package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/otelconnect"
	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/tillbook/tillbook/server/rpc"
)

const scope = "github.com/tillbook/tillbook/server"

// telemetry is where spans and measurements go. Metrics are always kept, for
// /metrics; traces only if the standard variables of OpenTelemetry name somebody
// to send them to.
type telemetry struct {
	traces   *sdktrace.TracerProvider // nil if nobody wants traces
	metrics  *sdkmetric.MeterProvider
	meter    metric.Meter
	registry *prometheus.Registry
}

func newTelemetry(ctx context.Context, version string, log *slog.Logger) (*telemetry, error) {
	about, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(
			attribute.String("service.name", "tillbook"),
			attribute.String("service.version", version)),
		resource.WithFromEnv()) // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	t := &telemetry{registry: prometheus.NewRegistry()}
	t.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	reader, err := otelprometheus.New(otelprometheus.WithRegisterer(t.registry), otelprometheus.WithoutScopeInfo())
	if err != nil {
		return nil, fmt.Errorf("telemetry: metrics: %w", err)
	}
	t.metrics = sdkmetric.NewMeterProvider(sdkmetric.WithResource(about), sdkmetric.WithReader(reader))
	t.meter = t.metrics.Meter(scope)
	if !tracesWanted() {
		return t, nil
	}
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("telemetry: traces: %w", err), t.close())
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.Warn("traces could not be exported", "error", err)
	}))
	t.traces = sdktrace.NewTracerProvider(sdktrace.WithResource(about), sdktrace.WithBatcher(exporter))
	return t, nil
}

// tracesWanted says whether the environment names an exporter for traces.
func tracesWanted() bool {
	if os.Getenv("OTEL_SDK_DISABLED") == "true" {
		return false
	}
	switch os.Getenv("OTEL_TRACES_EXPORTER") {
	case "none":
		return false
	case "":
		return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
	default:
		return true
	}
}

// observer returns what watches calls.
func (t *telemetry) observer(log *slog.Logger) (*observer, error) {
	o, err := newObserver(log, t.meter)
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	if o.trace, err = t.interceptor(); err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	return o, nil
}

// interceptor makes a span for each call; nil if traces are off. A client's
// trace is linked, not continued: a stranger must not decide what is sampled.
func (t *telemetry) interceptor() (connect.ServerInterceptor, error) {
	if t.traces == nil {
		return nil, nil
	}
	return otelconnect.NewServerInterceptor(
		otelconnect.WithTracerProvider(t.traces),
		otelconnect.WithPropagator(propagation.TraceContext{}),
		otelconnect.WithFilter(func(_ context.Context, spec connect.Spec) bool {
			return !rpc.Policies[spec.Procedure].Plumbing
		}),
		otelconnect.WithoutMetrics())
}

// queryTracer makes a span for each statement, without its parameters; nil if
// traces are off.
func (t *telemetry) queryTracer() pgx.QueryTracer {
	if t.traces == nil {
		return nil
	}
	return otelpgx.NewTracer(
		otelpgx.WithTracerProvider(t.traces),
		otelpgx.WithMeterProvider(metricnoop.NewMeterProvider()),
		otelpgx.WithDisableConnectionDetailsInAttributes())
}

// close sends what is still to be sent.
func (t *telemetry) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	var err error
	if t.traces != nil {
		err = t.traces.Shutdown(ctx)
	}
	return errors.Join(err, t.metrics.Shutdown(ctx))
}

const flushTimeout = 5 * time.Second
