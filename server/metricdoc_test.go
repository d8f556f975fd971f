package server

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

// runtimeMetrics are those of the Go runtime and the process, which their own
// libraries document.
var runtimeMetrics = regexp.MustCompile(`^(go|process)_|^target_info$`)

// served returns what /metrics has: the labels of each metric, in order.
func served(t *testing.T, url string) map[string]string {
	t.Helper()
	res, err := http.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for name, family := range families {
		if !runtimeMetrics.MatchString(name) {
			all[name] = labelsOf(family)
		}
	}
	return all
}

func labelsOf(family *dto.MetricFamily) string {
	labels := make(map[string]bool)
	for _, m := range family.GetMetric() {
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(labels)), ", ")
}

// documented returns what METRICS.md has of the same.
func documented(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile("METRICS.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| `([a-z_]+)` \\| ([a-z_, `]*) \\| .+ \\|$")
	all := make(map[string]string)
	for _, m := range row.FindAllStringSubmatch(string(page), -1) {
		all[m[2]] = strings.ReplaceAll(m[3], "`", "")
	}
	return all
}

// TestEveryMetricIsDocumentedAndServed, with its labels, after some of everything.
func TestEveryMetricIsDocumentedAndServed(t *testing.T) {
	db := storetest.New(t)
	r := startReplica(t, storetest.URL(db))
	s := newStory(t, &http.Client{}, "http://"+r.Addr())
	ann, bob := s.register("+6281234567804", "ann"), s.register("+6281234567805", "bob")
	s.fund(ann, "10")
	watch, err := s.wallet.WatchWallet(s.as(bob.token), &walletv1.WatchWalletRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Receive(); err != nil {
		t.Fatal(err)
	}
	// The committer's connection breaks, and so does the next attempt: unless it wasn't used
	// for a second, after which it is looked at first.
	owner := storetest.Open(t, store.Config{URL: storetest.URL(db), Role: store.NoRole})
	payments := 0
	eventually(t, "an attempt to commit fails", func() bool {
		payments++
		for _, key := range []string{"a", "b"} {
			if _, err := s.pay(ann, bob, "0.01", fmt.Sprint(key, payments)); err != nil {
				t.Fatal(err)
			}
			if _, err := owner.Pool.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query IN ('COMMIT', 'ROLLBACK')`); err != nil {
				t.Fatal(err)
			}
		}
		_, failed := served(t, "http://"+r.Addr())["ledger_retries_total"]
		return failed
	})
	want, got := documented(t), map[string]string(nil)
	if len(want) < 40 {
		t.Fatalf("only %d metrics could be read from METRICS.md", len(want))
	}
	eventually(t, "a replica measures the deployment", func() bool {
		got = served(t, "http://"+r.Addr())
		_, measured := got["ledger_imbalance"]
		return measured
	})
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if labels, ok := want[name]; !ok {
			t.Errorf("%s is not documented; its labels are %s", name, got[name])
		} else if labels != got[name] {
			t.Errorf("%s has the labels %q; documented are %q", name, got[name], labels)
		}
		delete(want, name)
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		t.Errorf("%s is documented but not served", name)
	}
}
