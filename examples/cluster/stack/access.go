package stack

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Dir is the folder of everything.
func (s *Stack) Dir() string { return s.dirs.root }

// CA is the file of the authority that signed the load balancer's certificate.
func (s *Stack) CA() string { return s.dirs.file("config", "ca.pem") }

// Secret is the file with the replicas' secret key.
func (s *Stack) Secret() string { return s.dirs.file("secret") }

// URL is where clients call through HAProxy: "https://127.0.0.1:PORT".
func (s *Stack) URL() string { return "https://" + s.haproxy.api }

// Native is the address of the native gRPC door through HAProxy, over TLS.
func (s *Stack) Native() string { return s.haproxy.native }

// HAProxy is the load balancer; nil if there is none.
func (s *Stack) HAProxy() *HAProxy { return s.haproxy }

// StatsURL shows what HAProxy does.
func (s *Stack) StatsURL() string { return "http://" + s.haproxy.stats + "/" }

// TracesURL shows traces and takes them in by OTLP over HTTP; empty without a receiver.
func (s *Stack) TracesURL() string {
	if s.traces == nil {
		return ""
	}
	return s.traces.URL()
}

// Replica is replica i of the blue set.
func (s *Stack) Replica(i int) *Replica { return s.Replicas(Blue)[i] }

// Replicas are those of a set, Blue or Green.
func (s *Stack) Replicas(color string) []*Replica {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sets[color] == nil {
		return nil
	}
	return slices.Clone(s.sets[color].replicas)
}

// Nodes are the database's, in a fixed order.
func (s *Stack) Nodes() []*Node { return slices.Clone(s.nodes) }

// Node is the one with a name such as "db-1"; nil if there is none.
func (s *Stack) Node(name string) *Node {
	for _, n := range s.nodes {
		if n.name == name {
			return n
		}
	}
	return nil
}

// EtcdMembers are those of etcd.
func (s *Stack) EtcdMembers() []*Etcd { return slices.Clone(s.etcd) }

// Links are all that there are, with Options.Proxied.
func (s *Stack) Links() []*Link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.links)
}

// Primary is the node that takes writes now, as Patroni says. During a failover there
// may be none, which is an error.
func (s *Stack) Primary(ctx context.Context) (*Node, error) {
	for _, n := range s.nodes {
		if n.Running() && n.is(ctx, "primary") == nil {
			return n, nil
		}
	}
	return nil, errors.New("no node is the primary at present")
}

// AwaitPrimary waits for a primary other than the given one, which may be nil.
func (s *Stack) AwaitPrimary(ctx context.Context, other *Node) (primary *Node, err error) {
	err = await(ctx, "a primary", func(ctx context.Context) error {
		n, err := s.Primary(ctx)
		if err == nil && n == other {
			err = fmt.Errorf("%s still is it", n.name)
		}
		primary = n
		return err
	})
	return primary, err
}

// AwaitSynchronous waits until so many nodes are synchronous standbys of the primary,
// in its own eyes and in Patroni's, which learns of it a moment later: only then may
// they take over.
func (s *Stack) AwaitSynchronous(ctx context.Context, want int) error {
	return await(ctx, "synchronous standbys", func(ctx context.Context) error {
		have, err := ask(ctx, s.SuperuserURL(), "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'sync'")
		if err != nil {
			return err
		}
		known := 0
		for _, n := range s.nodes {
			if n.Running() && n.is(ctx, "synchronous") == nil {
				known++
			}
		}
		if min(have, known) < want {
			return fmt.Errorf("%d of %d follow in step, and Patroni knows of %d", have, want, known)
		}
		return nil
	})
}

// OwnerURL is the database's, for its owner, at whichever node takes writes and past
// all links.
func (s *Stack) OwnerURL() string {
	return s.databaseURL("tillbook", s.passwords.Owner, s.nodeAddresses())
}

// SuperuserURL is OwnerURL for who may do everything.
func (s *Stack) SuperuserURL() string {
	return s.databaseURL("postgres", s.passwords.Superuser, s.nodeAddresses())
}

// NodeURL is a node's database for who may do everything, whatever the node is now.
func (s *Stack) NodeURL(n *Node) string {
	return fmt.Sprintf("postgres://postgres:%s@%s/tillbook?sslmode=disable&connect_timeout=2", s.passwords.Superuser, n.postgres)
}

// StandbyURL is a node's database for a replica that reads what may be old, while the
// node is a standby. It is past all links.
func (s *Stack) StandbyURL(n *Node) string { return s.standbyURL(n.postgres) }

// standbyURL names one node: a replica must not read from several.
func (s *Stack) standbyURL(host string) string {
	return fmt.Sprintf("postgres://tillbook_server:%s@%s/tillbook?sslmode=disable&connect_timeout=2", s.passwords.Server, host)
}
