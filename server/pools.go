package server

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/metric"

	"github.com/tillbook/tillbook/server/terminal"
	"github.com/tillbook/tillbook/store"
)

// pools are a replica's connections to the database, apart from the ledger's own,
// by which money moves. What one of them is flooded with keeps none of the others
// waiting.
type pools struct {
	// calls serves all calls but those below.
	calls *store.Store
	// history serves lists, reports, exports and watches.
	history *store.Store
	// past serves of these what can't change any more.
	past *store.Past
	// jobs is for what happens by itself: settling, expiring, cleaning up.
	jobs *store.Store
	// events is for what a replica must not lose sight of: the events of others,
	// revoked sessions, whose turn it is to seal, and whether the database answers.
	events *store.Store
}

const (
	jobConns   = 4
	eventConns = 5
)

// historyShare is which part of MaxConns history gets beside it.
const historyShare = 4

// planOnce has the statements of jobs and followers planned once a connection. They
// run all the time, look rows up by their keys, and many of them name such keys in
// lists, which would be planned anew each time for how long the list is.
var planOnce = map[string]string{"plan_cache_mode": "force_generic_plan"}

// openPools opens them all.
func (s *Server) openPools(ctx context.Context, cfg store.Config) (*pools, error) {
	calls, err := store.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s.own(func() error { calls.Close(); return nil })
	p := &pools{calls: calls}
	for _, beside := range []struct {
		pool   **store.Store
		conns  int32
		params map[string]string
	}{
		{&p.history, max(2, calls.Pool.Config().MaxConns/historyShare), nil},
		{&p.jobs, jobConns, planOnce},
		{&p.events, eventConns, planOnce},
	} {
		opened, err := calls.Beside(ctx, beside.conns, beside.params)
		if err != nil {
			return nil, err
		}
		s.own(func() error { opened.Close(); return nil })
		*beside.pool = opened
	}
	p.past, err = store.OpenPast(ctx, store.PastConfig{
		Primary: p.history, Events: p.events, StandbyURL: s.cfg.ReadURL, MaxConns: p.history.Pool.Config().MaxConns,
		MaxLag: s.cfg.ReadMaxLag, Logger: s.cfg.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("--read-database-url: %w", err)
	}
	s.own(func() error { p.past.Close(); return nil })
	s.background(p.past.Run)
	return p, nil
}

// watch measures the pools.
func (p *pools) watch(t *telemetry) error {
	for name, s := range map[string]*store.Store{"main": p.calls, "history": p.history, "jobs": p.jobs, "events": p.events} {
		if err := watchPool(t.metrics, s.Pool, name); err != nil {
			return err
		}
	}
	_, err := t.meter.Int64ObservableGauge("db.standby.staleness", metric.WithUnit("ms"),
		metric.WithDescription("How far the standby is behind at the most; absent without one."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			if behind, ok := p.past.Staleness(); ok {
				o.Observe(behind.Milliseconds())
			}
			return nil
		}))
	return err
}

// ownConns are the connections that the ledger's two committers, its parked calls and
// what measures the deployment have of their own, but for the moments after a fault.
const ownConns = 4

// conns is how many connections the replica takes.
func (p *pools) conns() (n int32) {
	for _, s := range []*store.Store{p.calls, p.history, p.jobs, p.events} {
		n += s.Pool.Config().MaxConns
	}
	return n + ownConns
}

// terminals says where terminals' sessions read and write beside calls.
func (p *pools) terminals() terminal.Pools { return terminal.Pools{Events: p.events, Jobs: p.jobs} }
