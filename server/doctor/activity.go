package doctor

import (
	"context"
	"fmt"
	"time"
)

// open is a transaction that holds back what can be seen as finished.
type open struct {
	PID   int32
	User  string
	App   string
	State string
	Age   time.Duration
}

func (v *visit) transactions(ctx context.Context) error {
	type prepared struct {
		ID, Literal string
		Age         time.Duration
	}
	left, err := list[prepared](ctx, v, `SELECT gid, quote_literal(gid), clock_timestamp() - prepared FROM pg_prepared_xacts ORDER BY prepared`)
	if err != nil {
		return err
	}
	for _, p := range left {
		v.add(Fail, fmt.Sprintf("Find out whose it is, then: ROLLBACK PREPARED %s;", p.Literal),
			"The transaction %q is prepared for %s: it keeps its locks and holds up events, sealing and vacuum.", p.ID, p.Age.Round(time.Second))
	}
	if err := v.sees(ctx); err != nil {
		return err
	}
	held, err := list[open](ctx, v, `
		SELECT pid, coalesce(usename, '-'), coalesce(application_name, '-'), coalesce(state, '-'), clock_timestamp() - xact_start
		  FROM pg_stat_activity
		 WHERE xact_start IS NOT NULL AND (backend_xid IS NOT NULL OR backend_xmin IS NOT NULL)
		   AND pid <> pg_backend_pid() AND backend_type = 'client backend'
		   AND clock_timestamp() - xact_start > $1
		 ORDER BY xact_start`, v.Patience)
	if err != nil {
		return err
	}
	for _, o := range held {
		v.open(o)
	}
	return nil
}

func (v *visit) open(o open) {
	level := Warn
	if o.Age > 10*v.Patience {
		level = Fail
	}
	v.add(level, fmt.Sprintf("If it isn't a backup: SELECT pg_terminate_backend(%d);", o.PID),
		"A transaction of %s (%s, %s) is open for %s: it holds up events, sealing and vacuum.", o.User, o.App, o.State, o.Age.Round(time.Second))
}

const (
	// Autovacuum forces itself at 200 million; PostgreSQL stops at some 2.1 billion.
	warnAge = 500_000_000
	failAge = 1_200_000_000
	// Few dead rows are no bloat, whatever their share.
	deadRows = 100_000
)

// table is how a table fares.
type table struct {
	// Name is as statements write it.
	Name       string
	Live, Dead int64
	Vacuumed   *time.Time
}

func (v *visit) vacuum(ctx context.Context) error {
	var age, multi int64
	err := v.row(ctx, `SELECT max(age(datfrozenxid)), max(mxid_age(datminmxid)) FROM pg_database`, &age, &multi)
	if err != nil {
		return err
	}
	v.wraparound(max(age, multi))
	tables, err := list[table](ctx, v, `
		SELECT relid::regclass::text, n_live_tup, n_dead_tup, greatest(last_vacuum, last_autovacuum) FROM pg_stat_user_tables
		 WHERE n_dead_tup > $1 ORDER BY n_dead_tup DESC LIMIT 20`, int64(deadRows))
	if err != nil {
		return err
	}
	for _, t := range tables {
		v.bloat(t)
	}
	return nil
}

func (v *visit) wraparound(age int64) {
	const advice = "Look for what holds autovacuum up (open or prepared transactions, slots), then run VACUUM (FREEZE) in the oldest database."
	switch {
	case age > failAge:
		v.add(Fail, advice, "The oldest transaction number is %d million old; at some 2,100 million PostgreSQL stops.", age/1_000_000)
	case age > warnAge:
		v.add(Warn, advice, "The oldest transaction number is %d million old; autovacuum should not let it get there.", age/1_000_000)
	default:
		v.ok("The oldest transaction number is %d million old.", age/1_000_000)
	}
}

func (v *visit) bloat(t table) {
	if t.Dead*5 < t.Live {
		return
	}
	when := "never"
	if t.Vacuumed != nil {
		when = t.Vacuumed.UTC().Format(time.DateTime)
	}
	v.add(Warn, "Run VACUUM "+t.Name+", and make autovacuum more eager for it (autovacuum_vacuum_scale_factor).",
		"%s has %d dead rows beside %d live ones; it was last vacuumed: %s.", t.Name, t.Dead, t.Live, when)
}
