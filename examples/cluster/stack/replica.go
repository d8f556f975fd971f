package stack

import (
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"syscall"
)

// Replica is a running or killed Tillbook server.
type Replica struct {
	*Process
	set          string
	http, native string
	links        []*Link
}

// HTTP is its own URL, past the load balancer.
func (r *Replica) HTTP() string { return "http://" + r.http }

// Native is the address of its own gRPC door, past the load balancer.
func (r *Replica) Native() string { return r.native }

// Links are its ways to the database nodes, in their order.
func (r *Replica) Links() []*Link { return r.links }

// Ready waits until it serves. It fails if the replica ends.
func (r *Replica) Ready(ctx context.Context) error {
	return await(ctx, r.name+" to be ready", answers(r.HTTP()+"/readyz"), r.Process)
}

// StartBinary runs another program in its place, from now on.
func (r *Replica) StartBinary(program string) error {
	r.program = program
	return r.Start()
}

// Set is replicas that get calls together: Blue or Green.
type Set struct {
	name     string
	replicas []*Replica
}

// newSet prepares replicas.
func (s *Stack) newSet(name, program string, n int) (*Set, error) {
	set := &Set{name: name}
	for i := range n {
		r, err := s.newReplica(set.name, program, i)
		if err != nil {
			return nil, err
		}
		set.replicas = append(set.replicas, r)
	}
	return set, nil
}

func (s *Stack) newReplica(set, program string, i int) (*Replica, error) {
	r := &Replica{set: set, Process: &Process{
		name: fmt.Sprintf("%s-%d", set, i), program: program, dirs: s.dirs, stopping: syscall.SIGTERM,
	}}
	index := i
	if set == Green {
		index += greenFrom
	}
	var err error
	if r.http, err = s.ports.take("replica", index); err != nil {
		return nil, err
	}
	if r.native, err = s.ports.take("replica-native", index); err != nil {
		return nil, err
	}
	var hosts []string
	for _, n := range s.nodes {
		host := n.postgres
		if s.options.Proxied {
			if host, err = s.anyPort(); err != nil {
				return nil, err
			}
			link, err := s.link(r.name+">"+n.name, host, n.postgres)
			if err != nil {
				return nil, err
			}
			r.links = append(r.links, link)
		}
		hosts = append(hosts, host)
	}
	r.args = []string{
		"serve", "--sandbox", "--no-migrate", "--listen", r.http, "--grpc-listen", r.native,
		"--database-url", s.databaseURL("tillbook_server", s.passwords.Server, hosts), "--secret-file", s.dirs.file("secret"),
		"--trusted-proxies", "127.0.0.1/32", "--drain-delay", drainDelay.String(), "--log-format", "json",
	}
	// Variables, because a version that came before them must start, too.
	r.env = []string{
		"OTEL_RESOURCE_ATTRIBUTES=service.instance.id=" + r.name, "TILLBOOK_TRUSTED_TRACERS=127.0.0.1/32",
	}
	if len(hosts) > 1 {
		r.env = append(r.env, "TILLBOOK_READ_DATABASE_URL="+s.standbyURL(hosts[(i+1)%len(hosts)]))
	}
	if s.traces != nil {
		r.env = append(r.env, "OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_EXPORTER_OTLP_ENDPOINT="+s.traces.URL())
	}
	if s.options.Args != nil {
		r.args = append(r.args, s.options.Args(i)...)
	}
	if s.options.Env != nil {
		r.env = append(r.env, s.options.Env(i)...)
	}
	return r, nil
}

// databaseURL names all nodes; connections go to the one that takes writes.
func (s *Stack) databaseURL(role, password string, hosts []string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(role, password), Host: strings.Join(hosts, ","), Path: "/tillbook",
		RawQuery: url.Values{"target_session_attrs": {"read-write"}, "connect_timeout": {"2"}, "sslmode": {"disable"}}.Encode(),
	}
	return u.String()
}

// nodeAddresses are where the nodes listen.
func (s *Stack) nodeAddresses() []string {
	var out []string
	for _, n := range s.nodes {
		out = append(out, n.postgres)
	}
	return out
}

// Migrate brings the schema to what the program wants. Later versions only add, so
// that what runs goes on.
func (s *Stack) Migrate(ctx context.Context, program string) error {
	return s.run(ctx, program, "migrate", "--database-url", s.OwnerURL())
}

// Verify has a program prove that the books are right.
func (s *Stack) Verify(ctx context.Context, program string) error {
	return s.run(ctx, program, "verify", "--database-url", s.OwnerURL())
}

// OperatorKey has a program make a key for an operator.
func (s *Stack) OperatorKey(ctx context.Context, program string) (string, error) {
	out, err := exec.CommandContext(ctx, program, "operator", "create", "--name", "cluster", "--database-url", s.OwnerURL()).Output()
	if err != nil {
		return "", fmt.Errorf("make an operator's key: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

func (s *Stack) run(ctx context.Context, program string, args ...string) error {
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", program, args[0], err, out)
	}
	return nil
}

// start starts the replicas and waits until they serve.
func (set *Set) start(ctx context.Context) error {
	for _, r := range set.replicas {
		if err := r.Start(); err != nil {
			return err
		}
	}
	for _, r := range set.replicas {
		if err := r.Ready(ctx); err != nil {
			return err
		}
	}
	return nil
}
