package server

import (
	"context"
	"fmt"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/tillbook/tillbook/server/auth"
	"github.com/tillbook/tillbook/store/ledger"
	"github.com/tillbook/tillbook/store/seal"
)

// instrument is a number of some package's statistics as a metric. It is read
// when somebody asks for metrics, so those who count pay nothing for it.
type instrument[S any] struct {
	name, unit, description string
	kind                    instrumentKind
	value                   func(S) int64
}

type instrumentKind uint8

const (
	counter instrumentKind = iota // only grows
	gauge
)

var ledgerInstruments = []instrument[ledger.Stats]{
	{"ledger.queue_depth", "{command}", "Commands that wait.", gauge, func(s ledger.Stats) int64 { return int64(s.QueueDepth) }},
	{"ledger.batches", "{batch}", "Batches gathered.", counter, func(s ledger.Stats) int64 { return s.Batches }},
	{"ledger.batched_commands", "{command}", "Commands in those batches.", counter, func(s ledger.Stats) int64 { return s.Calls }},
	{"ledger.commits", "{commit}", "Batches that committed something.", counter, func(s ledger.Stats) int64 { return s.Commits }},
	{"ledger.transactions", "{transaction}", "Transactions made.", counter, func(s ledger.Stats) int64 { return s.Transactions }},
	{"ledger.replays", "{command}", "Commands answered with an earlier result.", counter, func(s ledger.Stats) int64 { return s.Replayed }},
	{"ledger.refusals", "{command}", "Commands refused, for want of funds or otherwise.", counter, func(s ledger.Stats) int64 { return s.Refused }},
	{"ledger.overloads", "{command}", "Commands turned away from a full queue.", counter, func(s ledger.Stats) int64 { return s.Overloaded }},
	{"ledger.lost_commits", "{commit}", "Commits whose answer was lost.", counter, func(s ledger.Stats) int64 { return s.Lost }},
	{"ledger.unknown_outcomes", "{command}", "Commands whose outcome could not be told.", counter, func(s ledger.Stats) int64 { return s.Unknown }},
}

var authInstruments = []instrument[auth.Stats]{
	{"auth.passwords_hashed", "{hash}", "How often argon2id ran.", counter, func(s auth.Stats) int64 { return s.PasswordsHashed }},
	{"auth.passwords_waiting", "{call}", "Calls that wait for argon2id.", gauge, func(s auth.Stats) int64 { return s.PasswordsWaiting }},
	{"auth.codes_compared", "{code}", "Codes compared with the right one.", counter, func(s auth.Stats) int64 { return s.CodesCompared }},
	{"auth.codes_refused", "{code}", "Codes not sent because too many had been sent to a block of numbers or a country.", counter, func(s auth.Stats) int64 { return s.CodesRefused }},
	{"auth.signatures_checked", "{token}", "Access tokens that were not known already.", counter, func(s auth.Stats) int64 { return s.SignaturesChecked }},
	{"auth.messages_sent", "{message}", "SMS messages that the gateway took.", counter, func(s auth.Stats) int64 { return s.MessagesSent }},
	{"auth.messages_failed", "{message}", "SMS messages that the gateway refused.", counter, func(s auth.Stats) int64 { return s.MessagesFailed }},
	{"auth.messages_waiting", "{message}", "SMS messages that wait to be sent.", gauge, func(s auth.Stats) int64 { return s.MessagesWaiting }},
}

var sealInstruments = []instrument[seal.Stats]{
	{"log.size", "{leaf}", "Leaves in the log that seals the books.", gauge, func(s seal.Stats) int64 { return s.Size }},
	{"log.lag", "ms", "Age of the oldest commit that is not sealed.", gauge, func(s seal.Stats) int64 { return s.Lag.Milliseconds() }},
	{"log.sealed", "{leaf}", "Leaves that this replica sealed.", counter, func(s seal.Stats) int64 { return s.Sealed }},
	{"log.failures", "{round}", "Rounds of sealing that failed.", counter, func(s seal.Stats) int64 { return s.Failed }},
}

// watch makes metrics of statistics.
func watch[S any](meter metric.Meter, instruments []instrument[S], stats func() S) error {
	made := make([]metric.Int64Observable, len(instruments))
	all := make([]metric.Observable, len(instruments))
	for i, in := range instruments {
		var err error
		switch in.kind {
		case counter:
			made[i], err = meter.Int64ObservableCounter(in.name, metric.WithUnit(in.unit), metric.WithDescription(in.description))
		case gauge:
			made[i], err = meter.Int64ObservableGauge(in.name, metric.WithUnit(in.unit), metric.WithDescription(in.description))
		}
		if err != nil {
			return fmt.Errorf("metric %s: %w", in.name, err)
		}
		all[i] = made[i]
	}
	_, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := stats()
		for i, in := range instruments {
			o.ObserveInt64(made[i], in.value(s))
		}
		return nil
	}, all...)
	return err
}

// watchRetries counts the ledger's failed attempts by what PostgreSQL said.
func watchRetries(meter metric.Meter, stats func() ledger.Stats) error {
	_, err := meter.Int64ObservableCounter("ledger.retries",
		metric.WithUnit("{attempt}"), metric.WithDescription("Failed attempts to commit, by SQLSTATE."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			for state, n := range stats().Retries {
				o.Observe(n, metric.WithAttributes(attribute.String("sqlstate", state)))
			}
			return nil
		}))
	return err
}

// watchPool measures the pool of connections to the database.
func watchPool(meters metric.MeterProvider, pool *pgxpool.Pool) error {
	return otelpgx.RecordStats(pool, otelpgx.WithStatsMeterProvider(meters),
		otelpgx.WithStatsAttributes(attribute.String("db.client.connection.pool.name", "main")))
}
