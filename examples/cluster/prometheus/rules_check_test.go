package prometheus_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// promtool runs Prometheus's own tool.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("promtool isn't installed: run `make install-prometheus`, or install the package prometheus")
	}
	if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// rule is one of rules.yaml.
type rule struct {
	Record, Alert, Expr string
	Labels, Annotations map[string]string
}

func rules(t *testing.T) (all []rule) {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []rule }
	}
	text, err := os.ReadFile("rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) < 30 {
		t.Fatalf("only %d rules were read", len(all))
	}
	return all
}

func TestAlertsRingWhenTheyShould(t *testing.T) {
	promtool(t, "check", "rules", "rules.yaml")
	tests, err := filepath.Glob("*_test.yaml")
	if err != nil || len(tests) == 0 {
		t.Fatalf("found no tests of rules: %v", err)
	}
	promtool(t, append([]string{"test", "rules"}, tests...)...)

	var texts strings.Builder
	for _, name := range tests {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts.Write(text)
	}
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		if !strings.Contains(texts.String(), "alertname: "+r.Alert+"\n        exp_alerts:\n") {
			t.Errorf("no test has %s ring", r.Alert)
		}
		if !strings.Contains(texts.String(), "alertname: "+r.Alert+", exp_alerts: []}") {
			t.Errorf("no test has %s be silent", r.Alert)
		}
	}
}

func TestEveryAlertSaysWhatToDo(t *testing.T) {
	runbook, err := os.ReadFile("../RUNBOOK.md")
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		named = append(named, r.Alert)
		if s := r.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s has the severity %q", r.Alert, s)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s has no text", r.Alert)
		}
		if _, anchor, _ := strings.Cut(r.Annotations["runbook_url"], "/examples/cluster/RUNBOOK.md#"); anchor != strings.ToLower(r.Alert) {
			t.Errorf("%s leads to %q in the runbook", r.Alert, anchor)
		}
		if !strings.Contains(string(runbook), "\n### "+r.Alert+"\n") {
			t.Errorf("the runbook has nothing on %s", r.Alert)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^### (\w+)$`).FindAllStringSubmatch(string(runbook), -1) {
		if !slices.Contains(named, m[1]) {
			t.Errorf("the runbook has a section on %s, which is no alert", m[1])
		}
	}
}

// Of what is misspelt there somebody would be told too much, or too little.
func TestWhatKeepsAlertsSilentAreAlerts(t *testing.T) {
	config, err := os.ReadFile("../alertmanager/alertmanager.yaml")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, m := range regexp.MustCompile(`alertname =~? "([^"]+)"`).FindAllStringSubmatch(string(config), -1) {
		for name := range strings.SplitSeq(m[1], "|") {
			found++
			whole := regexp.MustCompile("^(?:" + name + ")$")
			if !slices.ContainsFunc(rules(t), func(r rule) bool { return r.Alert != "" && whole.MatchString(r.Alert) }) {
				t.Errorf("there is no alert %s", name)
			}
		}
	}
	if found < 15 {
		t.Errorf("only %d names were found", found)
	}
}

// panel is one of a dashboard.
type panel struct {
	ID      int
	Type    string
	Title   string
	GridPos struct{ X, Y, W, H int }
	Targets []struct{ Expr, RefID string }
}

// dashboards reads those for Grafana, by file name.
func dashboards(t *testing.T) map[string][]panel {
	t.Helper()
	names, err := filepath.Glob("../grafana/*.json")
	if err != nil || len(names) != 4 {
		t.Fatalf("found %d dashboards: %v", len(names), err)
	}
	all, uids := make(map[string][]panel), make(map[string]bool)
	for _, name := range names {
		var d struct {
			UID, Title string
			Panels     []panel
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d.UID == "" || d.Title == "" || uids[d.UID] {
			t.Errorf("%s has the uid %q and the title %q", name, d.UID, d.Title)
		}
		uids[d.UID] = true
		all[name] = d.Panels
	}
	return all
}

func TestDashboardsShowWhatThereIs(t *testing.T) {
	known := metrics(t)
	// promtool parses what the panels ask as if it were recorded.
	var asked strings.Builder
	asked.WriteString("groups:\n  - name: panels\n    rules:\n")
	for name, panels := range dashboards(t) {
		ids := make(map[int]bool)
		for i, p := range panels {
			if ids[p.ID] || p.ID == 0 || p.Title == "" || p.Type == "" || len(p.Targets) == 0 {
				t.Errorf("%s: panel %d (%q) has no id of its own, title, type or query", name, p.ID, p.Title)
			}
			ids[p.ID] = true
			for _, q := range panels[:i] {
				if overlap(p, q) {
					t.Errorf("%s: %q lies on %q", name, p.Title, q.Title)
				}
			}
			for _, target := range p.Targets {
				expr := strings.ReplaceAll(target.Expr, "$__rate_interval", "1m")
				fmt.Fprintf(&asked, "      - {record: x, expr: %q, labels: {panel: %q}}\n", expr, fmt.Sprint(name, p.ID, target.RefID))
				known.check(t, fmt.Sprintf("%s, panel %q", name, p.Title), expr)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "panels.yaml")
	if err := os.WriteFile(file, []byte(asked.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
}

func overlap(p, q panel) bool {
	a, b := p.GridPos, q.GridPos
	return a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H
}

func TestRulesAskForWhatThereIs(t *testing.T) {
	known := metrics(t)
	for _, r := range rules(t) {
		known.check(t, r.Alert+r.Record, r.Expr)
	}
}
