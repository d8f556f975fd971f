package prometheus_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// known are the names of metrics that exist: those that server/METRICS.md documents,
// which a test of the server compares with what it serves; what rules.yaml records; and
// those of other programs, which are few.
type known map[string]bool

// others are what Prometheus, Patroni 3.0, etcd 3.4, the node exporter 1.5 and the
// runtime of Go serve, as far as we ask for it.
var others = []string{
	"up", "process_resident_memory_bytes", "process_cpu_seconds_total",
	"patroni_primary", "patroni_replica", "patroni_sync_standby", "patroni_is_paused", "patroni_postgres_timeline",
	"patroni_xlog_location", "patroni_xlog_replayed_location",
	"etcd_server_has_leader", "node_filesystem_avail_bytes", "node_filesystem_size_bytes",
}

func metrics(t *testing.T) known {
	t.Helper()
	page, err := os.ReadFile("../../../server/METRICS.md")
	if err != nil {
		t.Fatal(err)
	}
	k := make(known)
	for _, m := range regexp.MustCompile("(?m)^\\| `[a-z_.]+` \\| `([a-z_]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		k[m[1]] = true
		if strings.HasSuffix(m[1], "_duration_seconds") { // a histogram
			k[m[1]+"_count"], k[m[1]+"_sum"], k[m[1]+"_bucket"] = true, true, true
		}
	}
	if len(k) < 40 {
		t.Fatalf("only %d metrics are documented", len(k))
	}
	for _, r := range rules(t) {
		k[r.Record] = true
	}
	for _, name := range others {
		k[name] = true
	}
	return k
}

var (
	// notNames are the parts of a query in which words aren't metrics: selectors,
	// strings, ranges, and lists of labels.
	notNames = regexp.MustCompile(`\{[^}]*\}|"[^"]*"|\[[^\]]*\]|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)`)
	words    = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*\s*\(?`)
	keywords = map[string]bool{"and": true, "or": true, "unless": true, "bool": true, "offset": true, "by": true, "on": true, "group_right": true, "group_left": true}
)

// asked are the metrics that a query names.
func asked(expr string) (names []string) {
	for _, word := range words.FindAllString(notNames.ReplaceAllString(expr, " "), -1) {
		if name := strings.TrimSpace(word); !strings.HasSuffix(name, "(") && !keywords[name] {
			names = append(names, name)
		}
	}
	return names
}

func (k known) check(t *testing.T, what, expr string) {
	t.Helper()
	names := asked(expr)
	if len(names) == 0 {
		t.Errorf("%s asks for no metric: %s", what, expr)
	}
	for _, name := range names {
		if !k[name] {
			t.Errorf("%s asks for %s, which nobody serves", what, name)
		}
	}
}

func TestNamesOfMetricsAreFoundInQueries(t *testing.T) {
	const expr = `sum by (le) (rate(a_bucket{job="x_y", le=~"b|c"}[5m])) / on (scope) group_right max by (scope) (tillbook:d:e_5m and on (instance) f == 1)`
	if got := strings.Join(asked(expr), " "); got != "a_bucket tillbook:d:e_5m f" {
		t.Errorf("found %s", got)
	}
}
