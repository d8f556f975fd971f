package stack

import (
	"context"
	"encoding/json"
	"os"
	"syscall"

	"github.com/tillbook/tillbook/examples/cluster/alertmanager"
	"github.com/tillbook/tillbook/examples/cluster/alerts"
	"github.com/tillbook/tillbook/examples/cluster/prometheus"
)

// monitoring is where Prometheus listens, and what it needs.
type monitoring struct {
	prometheus, alertmanager, nodeExporter string
}

// PrometheusURL shows metrics and alerts.
func (s *Stack) PrometheusURL() string { return "http://" + s.monitoring.prometheus }

// AlertmanagerURL shows what is to be told to somebody.
func (s *Stack) AlertmanagerURL() string { return "http://" + s.monitoring.alertmanager }

// AlertsURL shows what Alertmanager told somebody, by e-mail and by webhook.
func (s *Stack) AlertsURL() string { return s.alerts.URL() }

func (s *Stack) newMonitoring() (err error) {
	m := &s.monitoring
	var page, mail string
	for kind, to := range map[string]*string{
		"prometheus": &m.prometheus, "alertmanager": &m.alertmanager, "node-exporter": &m.nodeExporter, "alerts": &page, "mail": &mail,
	} {
		if *to, err = s.ports.take(kind, 0); err != nil {
			return err
		}
	}
	s.alerts, err = alerts.Listen(page, mail, nil)
	return err
}

// writeMonitoring writes the configuration files into a folder.
func (s *Stack) writeMonitoring(dir string) (alertmanagerConfig string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := fill(dir+"/prometheus.yaml", prometheus.Config, 0o644, s.monitored(dir)); err != nil {
		return "", err
	}
	if err := os.WriteFile(dir+"/rules.yaml", prometheus.Rules, 0o644); err != nil {
		return "", err
	}
	if err := s.writeTargets(); err != nil {
		return "", err
	}
	return alertmanager.Write(dir, alertmanager.Config{
		SMTP: s.alerts.SMTP(), From: "alerts@tillbook.example", To: "oncall@tillbook.example", Webhook: s.alerts.WebhookURL(),
	})
}

func (s *Stack) startMonitoring(ctx context.Context) error {
	dir := s.dirs.file("config", "prometheus")
	alertmanagerConfig, err := s.writeMonitoring(dir)
	if err != nil {
		return err
	}
	s.nodeExporter = &Process{
		name: "node-exporter", program: s.programs.nodeExporter, dirs: s.dirs, stopping: syscall.SIGTERM,
		args: []string{"--web.listen-address", s.monitoring.nodeExporter, "--collector.disable-defaults", "--collector.filesystem"},
	}
	s.alertmanager = &Process{
		name: "alertmanager", program: s.programs.alertmanager, dirs: s.dirs, stopping: syscall.SIGTERM,
		args: []string{
			"--config.file", alertmanagerConfig, "--storage.path", s.dirs.file("alertmanager"),
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
	for _, p := range []*Process{s.nodeExporter, s.alertmanager, s.prometheus} {
		if err := p.Start(); err != nil {
			return err
		}
	}
	if err := await(ctx, "the node exporter", answers("http://"+s.monitoring.nodeExporter+"/metrics"), s.nodeExporter); err != nil {
		return err
	}
	if err := await(ctx, "Alertmanager", answers(s.AlertmanagerURL()+"/-/ready"), s.alertmanager); err != nil {
		return err
	}
	return await(ctx, "Prometheus", answers(s.PrometheusURL()+"/-/ready"), s.prometheus)
}

// monitored are the values of prometheus.yaml.
func (s *Stack) monitored(dir string) any {
	values := struct {
		Dir, Alertmanager, NodeExporter, Targets, HAProxy string
		Patroni, Etcd                                     []string
	}{Dir: dir, Alertmanager: s.monitoring.alertmanager, NodeExporter: s.monitoring.nodeExporter, Targets: s.targets()}
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
