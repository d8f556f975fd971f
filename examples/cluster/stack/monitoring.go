package stack

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"syscall"

	"github.com/tillbook/tillbook/examples/cluster/prometheus"
)

// monitoring is where Prometheus and its Alertmanager listen.
type monitoring struct {
	prometheus, alertmanager string
}

// PrometheusURL shows metrics and alerts.
func (s *Stack) PrometheusURL() string { return "http://" + s.monitoring.prometheus }

// AlertmanagerURL shows what is to be told to somebody.
func (s *Stack) AlertmanagerURL() string { return "http://" + s.monitoring.alertmanager }

func (s *Stack) newMonitoring() (err error) {
	if s.monitoring.prometheus, err = s.ports.take("prometheus", 0); err != nil {
		return err
	}
	s.monitoring.alertmanager, err = s.ports.take("alertmanager", 0)
	return err
}

func (s *Stack) startMonitoring(ctx context.Context) error {
	dir := s.dirs.file("config", "prometheus")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	names, err := fs.Glob(prometheus.Files, "*.yaml")
	if err != nil {
		return err
	}
	for _, name := range names {
		text, err := fs.ReadFile(prometheus.Files, name)
		if err != nil {
			return err
		}
		if name == "prometheus.yaml" {
			err = fill(dir+"/"+name, string(text), 0o644, s.monitored(dir))
		} else {
			err = os.WriteFile(dir+"/"+name, text, 0o644)
		}
		if err != nil {
			return err
		}
	}
	if err := s.writeTargets(); err != nil {
		return err
	}
	s.alertmanager = &Process{
		name: "alertmanager", program: s.programs.alertmanager, dirs: s.dirs, stopping: syscall.SIGTERM,
		args: []string{
			"--config.file", dir + "/alertmanager.yaml", "--storage.path", s.dirs.file("alertmanager"),
			"--web.listen-address", s.monitoring.alertmanager, "--cluster.listen-address", "",
		},
	}
	s.prometheus = &Process{
		name: "prometheus", program: s.programs.prometheus, dirs: s.dirs, stopping: syscall.SIGTERM,
		args: []string{
			"--config.file", dir + "/prometheus.yaml", "--storage.tsdb.path", s.dirs.file("prometheus"),
			"--web.listen-address", s.monitoring.prometheus, "--log.level", "warn",
		},
	}
	for _, p := range []*Process{s.alertmanager, s.prometheus} {
		if err := p.Start(); err != nil {
			return err
		}
	}
	if err := await(ctx, "Alertmanager", answers(s.AlertmanagerURL()+"/-/ready"), s.alertmanager); err != nil {
		return err
	}
	return await(ctx, "Prometheus", answers(s.PrometheusURL()+"/-/ready"), s.prometheus)
}

// monitored are the values of prometheus.yaml.
func (s *Stack) monitored(dir string) any {
	values := struct {
		Dir, Alertmanager, Targets, HAProxy string
		Patroni, Etcd                       []string
	}{Dir: dir, Alertmanager: s.monitoring.alertmanager, Targets: s.targets()}
	if s.haproxy != nil {
		values.HAProxy = s.haproxy.stats
	}
	for _, n := range s.nodes {
		values.Patroni = append(values.Patroni, n.rest)
	}
	for _, e := range s.etcd {
		values.Etcd = append(values.Etcd, e.client)
	}
	return values
}

func (s *Stack) targets() string { return s.dirs.file("config", "replicas.json") }

// writeTargets says which replicas there are. Prometheus reads it again by itself.
func (s *Stack) writeTargets() error {
	type group struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	groups := []group{}
	for _, color := range []string{Blue, Green} {
		for _, r := range s.Replicas(color) {
			groups = append(groups, group{[]string{r.http}, map[string]string{"replica": r.name}})
		}
	}
	text, err := json.Marshal(groups)
	if err != nil {
		return err
	}
	return os.WriteFile(s.targets(), text, 0o644)
}
