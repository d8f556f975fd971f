package server

import (
	"context"
	"fmt"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// instrument is a number of some package's statistics as a metric; METRICS.md lists
// them all. It is read when somebody asks for metrics, so those who count pay nothing
// for it.
type instrument[S any] struct {
	name, unit, description string
	kind                    instrumentKind
	value                   func(S) float64
}

type instrumentKind uint8

const (
	counter instrumentKind = iota // only grows
	gauge
)

// family is an instrument with a number for each value of an attribute, of which
// there must be few.
type family[S any] struct {
	name, unit, description string
	kind                    instrumentKind
	attribute               string
	values                  func(S) map[string]float64
}

// watch makes metrics of statistics.
func watch[S any](meter metric.Meter, instruments []instrument[S], stats func() S) error {
	return watchIf(meter, instruments, nil, func() (S, bool) { return stats(), true })
}

// watchIf makes metrics of statistics that there may be or not; where there are none
// the metrics aren't there either.
func watchIf[S any](meter metric.Meter, instruments []instrument[S], families []family[S], stats func() (S, bool)) error {
	made := make([]metric.Float64Observable, 0, len(instruments)+len(families))
	var all []metric.Observable
	add := func(kind instrumentKind, name, unit, description string) error {
		o, err := observable(meter, kind, name, unit, description)
		if err != nil {
			return fmt.Errorf("metric %s: %w", name, err)
		}
		made, all = append(made, o), append(all, o)
		return nil
	}
	for _, in := range instruments {
		if err := add(in.kind, in.name, in.unit, in.description); err != nil {
			return err
		}
	}
	for _, in := range families {
		if err := add(in.kind, in.name, in.unit, in.description); err != nil {
			return err
		}
	}
	_, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s, ok := stats()
		if !ok {
			return nil
		}
		for i, in := range instruments {
			o.ObserveFloat64(made[i], in.value(s))
		}
		for i, in := range families {
			for value, n := range in.values(s) {
				o.ObserveFloat64(made[len(instruments)+i], n, metric.WithAttributes(attribute.String(in.attribute, value)))
			}
		}
		return nil
	}, all...)
	return err
}

func observable(meter metric.Meter, kind instrumentKind, name, unit, description string) (metric.Float64Observable, error) {
	if kind == counter {
		return meter.Float64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
	}
	return meter.Float64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(description))
}

// watchPool measures a pool of connections to the database.
func watchPool(meters metric.MeterProvider, pool *pgxpool.Pool, name string) error {
	return otelpgx.RecordStats(pool, otelpgx.WithStatsMeterProvider(meters),
		otelpgx.WithStatsAttributes(attribute.String("db.client.connection.pool.name", name)))
}
