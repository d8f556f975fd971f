package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/tillbook/tillbook/server/replica"
)

// tolerated is how far clocks may be apart: access tokens are accepted up to 30 s
// before their time.
const (
	warnSkew = time.Second
	failSkew = 30 * time.Second
)

func (v *visit) clocks(ctx context.Context) error {
	before := time.Now()
	var there time.Time
	if err := v.row(ctx, `SELECT clock_timestamp()`, &there); err != nil {
		return err
	}
	trip := time.Since(before)
	v.skew("this machine", before.Add(trip/2).Sub(there), trip)
	replicas, err := v.Store.Queries().ListReplicas(ctx, replica.Live.Seconds())
	if err != nil {
		return err
	}
	for _, r := range replicas {
		v.skew("replica "+r.Name, r.ClockTime.Sub(r.SeenTime), 0)
	}
	return nil
}

// skew judges how far a clock is ahead of the database's, give or take.
func (v *visit) skew(whose string, ahead, giveOrTake time.Duration) {
	off := max(ahead.Abs()-giveOrTake/2, 0)
	text := fmt.Sprintf("The clock of %s and the database's are %s apart.", whose, ahead.Abs().Round(time.Millisecond))
	const advice = "Run chrony or another NTP client on both machines."
	switch {
	case off > failSkew:
		v.add(Fail, advice, "%s Tokens are refused.", text)
	case off > warnSkew:
		v.add(Warn, advice, "%s", text)
	default:
		v.ok("%s", text)
	}
}

// setting is what a setting of the server should be.
type setting struct {
	name   string
	good   func(value string) bool
	level  Level
	advice string
}

func is(values ...string) func(string) bool {
	return func(value string) bool {
		for _, v := range values {
			if value == v {
				return true
			}
		}
		return false
	}
}

var wanted = []setting{
	{"fsync", is("on"), Fail, "Set fsync = on: without it a crash of the machine destroys the database."},
	{"full_page_writes", is("on"), Fail, "Set full_page_writes = on: without it a crash may leave torn pages."},
	{"synchronous_commit", is("on", "remote_apply"), Fail, "Set synchronous_commit = on: otherwise payments are acknowledged that a crash or a failover loses."},
	{"autovacuum", is("on"), Fail, "Set autovacuum = on: without it tables bloat and transaction numbers run out."},
	{"statement_timeout", is("0"), Fail, "Set statement_timeout = 0 for Tillbook's roles: it may hit a COMMIT that waits for a standby, whose outcome is then unknown."},
	{"zero_damaged_pages", is("off"), Fail, "Set zero_damaged_pages = off: it throws data away."},
	{"ignore_checksum_failure", is("off"), Fail, "Set ignore_checksum_failure = off."},
	{"default_transaction_isolation", is("read committed"), Fail, "Set default_transaction_isolation = 'read committed', which the ledger is made for."},
	{"default_transaction_read_only", is("off"), Fail, "Set default_transaction_read_only = off: nothing can be paid."},
	{"data_checksums", is("on"), Warn, "Stop the server and run pg_checksums --enable: without checksums a failing disk goes unnoticed."},
	{"wal_level", is("replica", "logical"), Warn, "Set wal_level = replica and restart: otherwise there can be neither standbys nor backups to a point in time."},
	{"timezone", is("UTC", "Etc/UTC", "GMT"), Warn, "Set timezone = 'UTC', so that what people read in the database means the same everywhere."},
	{"idle_session_timeout", is("0"), Warn, "Set idle_session_timeout = 0 for Tillbook's roles: it ends connections that wait in a pool."},
	{"log_statement", is("none", "ddl"), Warn, "Set log_statement = none: statements carry personal data into the log."},
	{"jit", is("off"), Warn, "Set jit = off: Tillbook's statements are short, and compiling them takes longer than running them."},
}

func (v *visit) settings(ctx context.Context) error {
	type pair struct{ Name, Value string }
	names := []string{slowStatements, theirParameters}
	for _, s := range wanted {
		names = append(names, s.name)
	}
	have, err := list[pair](ctx, v, `SELECT name, setting FROM pg_settings WHERE lower(name) = ANY ($1)`, names)
	if err != nil {
		return err
	}
	values := make(map[string]string)
	for _, p := range have {
		values[lower(p.Name)] = p.Value
	}
	for _, s := range wanted {
		value, known := values[s.name]
		switch {
		case !known:
		case s.good(value):
			v.ok("%s is %s.", s.name, value)
		default:
			v.add(s.level, s.advice, "%s is %s.", s.name, value)
		}
	}
	v.parameters(values)
	return nil
}

const (
	slowStatements  = "log_min_duration_statement"
	theirParameters = "log_parameter_max_length"
)

// parameters judges what is logged of slow statements.
func (v *visit) parameters(values map[string]string) {
	if slow, length := values[slowStatements], values[theirParameters]; slow != "-1" && length != "0" {
		v.add(Warn, "Set "+theirParameters+" = 0: the parameters of statements carry personal data into the log.",
			"Slow statements are logged with their parameters: %s is %s, and %s is %s.", slowStatements, slow, theirParameters, length)
	}
}

func lower(name string) string {
	if name == "TimeZone" {
		return "timezone"
	}
	return name
}
