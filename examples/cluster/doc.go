// Cluster runs a whole deployment of Tillbook on this machine, until Ctrl-C: three
// replicas behind HAProxy with TLS, PostgreSQL as a primary with two synchronous
// standbys under Patroni, etcd, Prometheus and Alertmanager, and receivers that show
// traces and alerts. It prints where everything is and a command for each fault to try.
//
//	make cluster
//	bin/cluster -dir /var/tmp/cluster -disk 512
//
// The README beside this file says more; package stack does the work.
package main
