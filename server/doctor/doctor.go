package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/store"
)

// Level says how bad a finding is.
type Level int

// The levels.
const (
	OK Level = iota
	Warn
	Fail
)

// String is what the level is called.
func (l Level) String() string { return [...]string{"OK", "WARN", "FAIL"}[l] }

// MarshalText writes the level into JSON.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Finding is one thing that was found.
type Finding struct {
	Level Level `json:"level"`
	// Check is what found it, such as "settings".
	Check string `json:"check"`
	// Text says what is the case.
	Text string `json:"text"`
	// Advice says what to do; empty if all is well.
	Advice string `json:"advice,omitempty"`
}

// Options say what to look at.
type Options struct {
	// Store has the rights of the database's owner. Required.
	Store *store.Store
	// Keys are the configured ones. Without them, what they seal isn't checked.
	Keys *secret.Keys
	// Sandbox says that this is one: then it isn't looked for its leftovers.
	Sandbox bool
	// Replicas and MaxConns are how many replicas there will be, and how many
	// connections each may open. Default: as the replicas that run say.
	Replicas, MaxConns int
	// Patience is how long a transaction may be open. Ten times as long is a failure.
	// Default 1 minute.
	Patience time.Duration
}

// visit is one examination.
type visit struct {
	Options
	findings []Finding
	check    string
}

func (v *visit) ok(format string, args ...any) { v.add(OK, "", format, args...) }

// add notes a finding.
func (v *visit) add(level Level, advice, format string, args ...any) {
	v.findings = append(v.findings, Finding{Level: level, Check: v.check, Text: fmt.Sprintf(format, args...), Advice: advice})
}

// check is what is looked at, in this order.
type check struct {
	name string
	run  func(*visit, context.Context) error
}

var checks = []check{
	{"clock", (*visit).clocks},
	{"settings", (*visit).settings},
	{"replication", (*visit).replication},
	{"archive", (*visit).archive},
	{"connections", (*visit).connections},
	{"replicas", (*visit).replicas},
	{"schema", (*visit).schema},
	{"rights", (*visit).rights},
	{"keys", (*visit).keys},
	{"log", (*visit).log},
	{"sandbox", (*visit).sandbox},
	{"transactions", (*visit).transactions},
	{"vacuum", (*visit).vacuum},
	{"disk", (*visit).disk},
}

// checkTimeout bounds one check.
const checkTimeout = 30 * time.Second

// Examine runs all checks. What a check can't find out is a warning of its own.
func Examine(ctx context.Context, o Options) []Finding { return examine(ctx, o, checks) }

func examine(ctx context.Context, o Options, checks []check) []Finding {
	if o.Patience <= 0 {
		o.Patience = time.Minute
	}
	v := &visit{Options: o}
	for _, c := range checks {
		v.check = c.name
		before := len(v.findings)
		if err := v.run(ctx, c); err != nil {
			v.add(Warn, "Give --database-url a role that may see it, such as a member of pg_monitor that owns the database.",
				"It couldn't be checked: %s", strings.Join(strings.Fields(err.Error()), " "))
		} else if len(v.findings) == before {
			v.ok("Nothing to complain about.")
		}
	}
	return v.findings
}

func (v *visit) run(ctx context.Context, c check) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return c.run(v, ctx)
}

// Worst is the worst level among the findings.
func Worst(findings []Finding) (worst Level) {
	for _, f := range findings {
		worst = max(worst, f.Level)
	}
	return worst
}

var errHidden = errors.New("this role may not see what other roles do")

// sees fails with errHidden if PostgreSQL would hide other roles' sessions from this
// one: it leaves them out or blank, and what is hidden must not look as if it were fine,
// or missing.
func (v *visit) sees(ctx context.Context) error {
	var all bool
	err := v.row(ctx, `SELECT pg_has_role('pg_read_all_stats', 'USAGE')`, &all)
	if err == nil && !all {
		err = errHidden
	}
	return err
}

// row reads one row.
func (v *visit) row(ctx context.Context, query string, into ...any) error {
	return v.Store.Pool.QueryRow(ctx, query).Scan(into...)
}

// list reads rows into structs by position.
func list[T any](ctx context.Context, v *visit, query string, args ...any) ([]T, error) {
	rows, err := v.Store.Pool.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[T])
}
