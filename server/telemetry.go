package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const scope = "github.com/tillbook/tillbook/server"

// telemetry is where spans and measurements go. Metrics are always kept, for
// /metrics; traces only if the standard variables of OpenTelemetry name somebody
// to send them to.
type telemetry struct {
	log      *slog.Logger
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
			attribute.String("service.version", version),
			attribute.String("service.instance.id", uuid.NewString())),
		resource.WithFromEnv()) // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	t := &telemetry{log: log, registry: prometheus.NewRegistry()}
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
	otel.SetErrorHandler(exportErrors(log))
	t.traces = sdktrace.NewTracerProvider(sdktrace.WithResource(about), sdktrace.WithBatcher(exporter))
	return t, nil
}

// exportErrors tells the log what the exporters, which nobody waits for, fail with.
func exportErrors(log *slog.Logger) otel.ErrorHandler {
	return otel.ErrorHandlerFunc(func(err error) { log.Warn("traces could not be exported", "error", err) })
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
func (t *telemetry) observer(cfg *Config) (*observer, error) {
	o, err := newObserver(cfg.Logger, t.meter)
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	if o.trace, err = t.interceptor(cfg.TrustedTracers); err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	return o, nil
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

// tracer makes the spans of work that no call waits for; nil if traces are off.
func (t *telemetry) tracer() trace.Tracer {
	if t.traces == nil {
		return nil
	}
	return t.traces.Tracer(scope)
}

// close sends what is still to be sent. Traces that can't be are no reason to fail:
// whoever receives them must never keep a server from stopping in order.
func (t *telemetry) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	if t.traces != nil {
		if err := t.traces.Shutdown(ctx); err != nil {
			t.log.Warn("the last traces could not be exported", "error", err)
		}
	}
	return t.metrics.Shutdown(ctx)
}

// flushTimeout is how long a stopping server waits for whoever receives traces.
const flushTimeout = 2 * time.Second
