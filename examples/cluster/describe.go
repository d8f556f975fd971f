package main

import (
	"fmt"
	"io"

	"github.com/tillbook/tillbook/examples/cluster/stack"
)

// describe says where everything is, and what to try. Faults are asked for at an address.
func describe(out io.Writer, s *stack.Stack, key, faults string) {
	row := func(name, value string) { fmt.Fprintf(out, "  %-14s %s\n", name, value) }
	section := func(name string) { fmt.Fprintf(out, "\n%s\n", name) }

	section("Up. Ctrl-C stops everything.")
	row("API", s.URL()+"   Connect, gRPC-Web, gRPC, over TLS")
	row("Native gRPC", s.Native()+"   where terminals come in")
	row("Authority", s.CA())
	for _, r := range s.Replicas(stack.Blue) {
		row(r.Name(), r.HTTP()+"   native "+r.Native())
	}
	for _, n := range s.Nodes() {
		row(n.Name(), fmt.Sprintf("%s   Patroni %s", n.Address(), n.REST()))
	}
	row("HAProxy", s.StatsURL())
	row("Prometheus", s.PrometheusURL()+"/alerts")
	row("Alertmanager", s.AlertmanagerURL())
	row("Alerts", s.AlertsURL()+"   what it told people")
	row("Traces", s.TracesURL())
	row("Files, logs", s.Dir())

	section("Use it")
	fmt.Fprintf(out, "  curl --cacert %s %s/tillbook.auth.v1.AuthService/Register -H 'Content-Type: application/json' -d '{}'\n", s.CA(), s.URL())
	fmt.Fprintf(out, "  bin/grpcurl -cacert %s -H 'authorization: Bearer %s' %s tillbook.ledger.v1.LedgerService/GetTrialBalance\n", s.CA(), key, s.Native())
	fmt.Fprintf(out, "  bin/tillbook verify --database-url '%s'\n", s.OwnerURL())
	fmt.Fprintf(out, "  bin/tillbook doctor --sandbox --database-url '%s' --secret-file %s\n", s.OwnerURL(), s.Secret())
	fmt.Fprintf(out, "  psql '%s'\n", s.SuperuserURL())
	fmt.Fprintf(out, "  patronictl -c %s list\n", s.Nodes()[0].Config())

	section("Break it: each has an undo beside it")
	post := func(path string) string { return "curl -X POST http://" + faults + path }
	fault := func(what, do, undo string) { fmt.Fprintf(out, "  # %s\n  %s\n  %s\n", what, do, undo) }
	fault("A replica dies, or leaves in good order (term), or hangs (freeze; undo: thaw).",
		fmt.Sprintf("kill -9 $(cat %s/pid/blue-0.pid)", s.Dir()), post("/blue-0/start"))
	fault("The primary's machine dies: 20 s of lease, then a standby takes over.", post("/primary/kill"), post("/victim/start"))
	fault("PostgreSQL alone dies: a standby takes over in seconds.", post("/primary/kill-postgres"), "# nothing to undo")
	fault("The primary is moved on purpose.", "patronictl -c "+s.Nodes()[0].Config()+" switchover --force", "# the same again")
	fault("A standby is gone, or silent (freeze; undo: thaw).", post("/db-2/kill"), post("/db-2/start"))
	fault("The primary is cut off from etcd and its standbys, but not from its clients.", post("/primary/isolate"), post("/victim/rejoin"))
	fault("The network to the databases is slow; or down, throttle, silence, deafen (answers to commits get lost); a single way is named blue-0%3Edb-0.",
		post("/link/all/slow"), post("/link/all/heal"))
	fault("The primary's disk fills up (with -disk 512).", post("/primary/fill-disk"), post("/victim/free-disk"))
	fault("A member of etcd dies; with two gone there is no failover.", post("/etcd-0/kill"), post("/etcd-0/start"))
	fault("The load balancer dies.", post("/haproxy/kill"), post("/haproxy/start"))
}
