package stack

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/tillbook/tillbook/examples/cluster/patroni"
)

// Node is a machine with PostgreSQL and the Patroni that looks after it.
type Node struct {
	*Process // Patroni

	// postgres and rest are where they listen; seen are the addresses that the other
	// nodes use, which Isolate cuts.
	postgres, rest         string
	postgresSeen, restSeen string
	data, config           string
	// disk is where the node's own disk is mounted; empty if it has none.
	disk        string
	etcd, peers []*Link
}

// passwords of the database's roles.
type passwords struct{ Superuser, Replicator, Rewinder, Owner, Server string }

func newPasswords() passwords {
	return passwords{rand.Text(), rand.Text(), rand.Text(), rand.Text(), rand.Text()}
}

// startNodes starts the database and waits until all standbys are synchronous.
func (s *Stack) startNodes(ctx context.Context) error {
	for i := range s.options.Standbys + 1 {
		n, err := s.newNode(i)
		if err != nil {
			return err
		}
		s.nodes = append(s.nodes, n)
	}
	// The first begins alone, so that it is always the same one that begins.
	first := s.nodes[0]
	if err := first.Start(); err != nil {
		return err
	}
	if err := await(ctx, "the primary", answers("http://"+first.rest+"/primary"), first.Process); err != nil {
		return err
	}
	for _, n := range s.nodes[1:] {
		if err := n.Start(); err != nil {
			return err
		}
	}
	return s.AwaitSynchronous(ctx, s.options.Standbys)
}

func (s *Stack) newNode(i int) (*Node, error) {
	n := &Node{data: s.dirs.file("postgres", fmt.Sprintf("db-%d", i))}
	n.Process = &Process{name: fmt.Sprintf("db-%d", i), program: s.programs.patroni, dirs: s.dirs, account: s.account, stopping: syscall.SIGTERM}
	var err error
	if n.postgres, err = s.ports.take("postgres", i); err != nil {
		return nil, err
	}
	if n.rest, err = s.ports.take("patroni", i); err != nil {
		return nil, err
	}
	n.postgresSeen, n.restSeen = n.postgres, n.rest
	var etcd []string
	for _, e := range s.etcd {
		etcd = append(etcd, e.client)
	}
	if s.options.Proxied {
		if etcd, err = s.proxyNode(n, i); err != nil {
			return nil, err
		}
	}
	home := s.dirs.file("postgres")
	if err := errors.Join(os.MkdirAll(home, 0o700), s.account.own(home)); err != nil {
		return nil, err
	}
	if s.options.DiskMB > 0 {
		if err := s.mountDisk(n); err != nil {
			return nil, err
		}
	}
	return n, s.configure(n, etcd)
}

// proxyNode puts links between a node, the other nodes and etcd, and returns etcd's
// addresses for it.
func (s *Stack) proxyNode(n *Node, i int) (etcd []string, err error) {
	for kind, seen := range map[string]*string{"postgres-seen": &n.postgresSeen, "patroni-seen": &n.restSeen} {
		to := *seen
		if *seen, err = s.ports.take(kind, i); err != nil {
			return nil, err
		}
		link, err := s.link("peers>"+n.name+"-"+strings.TrimSuffix(kind, "-seen"), *seen, to)
		if err != nil {
			return nil, err
		}
		n.peers = append(n.peers, link)
	}
	for j, e := range s.etcd {
		listen, err := s.ports.take("etcd-seen", i*len(s.etcd)+j)
		if err != nil {
			return nil, err
		}
		link, err := s.link(n.name+">"+e.name, listen, e.client)
		if err != nil {
			return nil, err
		}
		n.etcd, etcd = append(n.etcd, link), append(etcd, listen)
	}
	return etcd, nil
}

// configure writes the files that a node is run with.
func (s *Stack) configure(n *Node, etcd []string) error {
	script := s.dirs.file("postgres", "post_bootstrap.sh")
	config := s.dirs.file("postgres", n.name+".yaml")
	n.config = config
	values := struct {
		passwords
		Name, REST, RESTSeen, Postgres, PostgresSeen, Etcd string
		Bin, Data, Passfile, Sockets, PostBootstrap        string
		Standbys                                           int
		Strict, Proxied                                    bool
	}{
		passwords: s.passwords, Name: n.name, REST: n.rest, RESTSeen: n.restSeen, Postgres: n.postgres, PostgresSeen: n.postgresSeen,
		Etcd: strings.Join(etcd, ","), Bin: s.programs.postgres, Data: n.data, Passfile: s.dirs.file("postgres", n.name+".pgpass"),
		Sockets: s.dirs.file("postgres"), PostBootstrap: script, Standbys: max(1, s.options.Standbys), Strict: s.options.Standbys > 0, Proxied: s.options.Proxied,
	}
	if err := fill(config, patroni.Config, 0o600, values); err != nil {
		return err
	}
	if err := fill(script, patroni.PostBootstrap, 0o700, values); err != nil {
		return err
	}
	n.args = []string{config}
	n.env = []string{"PATH=" + s.programs.postgres + ":" + os.Getenv("PATH")}
	return errors.Join(s.account.own(config), s.account.own(script))
}

// postmaster is the id of the node's PostgreSQL; 0 if there is none.
func (n *Node) postmaster() int {
	text, err := os.ReadFile(n.data + "/postmaster.pid")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil || syscall.Kill(pid, 0) != nil {
		return 0
	}
	// A killed one leaves the file behind, and its id may be another's by now.
	if dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); err != nil || dir != n.data {
		return 0
	}
	return pid
}

// Family are the ids of PostgreSQL's main process and of all its others.
func (n *Node) Family() []int {
	pid := n.postmaster()
	if pid == 0 {
		return nil
	}
	return append([]int{pid}, children(pid)...)
}

func (n *Node) signalPostgres(sig syscall.Signal) {
	for _, pid := range n.Family() {
		_ = syscall.Kill(pid, sig)
	}
}

// Kill ends the whole node as a power cut does.
func (n *Node) Kill() {
	n.Process.Freeze() // or Patroni would start PostgreSQL again
	n.KillPostgres()
	n.Process.Kill()
	n.KillPostgres()
}

// KillPostgres kills PostgreSQL alone; Patroni sees it, and hands over or starts it
// again.
func (n *Node) KillPostgres() {
	family := n.Family()
	for _, pid := range family {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	for _, pid := range family {
		awaitGone(pid)
	}
}

// Freeze stops the whole node where it stands: its peers and clients see connections
// that stay open and silent, as when its network is cut.
func (n *Node) Freeze() {
	n.Process.Freeze()
	n.signalPostgres(syscall.SIGSTOP)
}

// Thaw lets a frozen node go on.
func (n *Node) Thaw() {
	n.signalPostgres(syscall.SIGCONT)
	n.Process.Thaw()
}

// Isolate cuts the node off from etcd and from the nodes that follow it, but not from
// its clients. It needs Options.Proxied.
func (n *Node) Isolate() {
	for _, l := range append(n.etcd, n.peers...) {
		l.Down()
	}
}

// Rejoin undoes Isolate.
func (n *Node) Rejoin() error {
	var err error
	for _, l := range append(n.etcd, n.peers...) {
		err = errors.Join(err, l.Up())
	}
	return err
}

// state is what Patroni says of its node.
type state struct {
	Role  string `json:"role"` // "master" or "primary"; "replica"
	State string `json:"state"`
}

func (n *Node) is(ctx context.Context, role string) error {
	return answers("http://" + n.rest + "/" + role)(ctx)
}

// Address is where PostgreSQL listens, "127.0.0.1:PORT".
func (n *Node) Address() string { return n.postgres }

// Config is the file that Patroni and patronictl are run with.
func (n *Node) Config() string { return n.config }

// Data is the folder of its files.
func (n *Node) Data() string { return n.data }

// REST is the URL of Patroni's own API, such as REST()+"/primary".
func (n *Node) REST() string { return "http://" + n.rest }

// State asks Patroni what the node is: its role, "primary" or "replica", and its state,
// such as "running".
func (n *Node) State(ctx context.Context) (role, running string, err error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, n.REST()+"/patroni", http.NoBody)
	if err != nil {
		return "", "", err
	}
	response, err := probes.Do(request)
	if err != nil {
		return "", "", err
	}
	defer response.Body.Close()
	var st state
	if err := json.NewDecoder(response.Body).Decode(&st); err != nil {
		return "", "", err
	}
	if st.Role == "master" {
		st.Role = "primary"
	}
	return st.Role, st.State, nil
}
