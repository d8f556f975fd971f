package stack

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/tillbook/tillbook/examples/cluster/alerts"
	"github.com/tillbook/tillbook/examples/cluster/traces"
)

const (
	// probeTimeout bounds one look at whether something is up.
	probeTimeout = 2 * time.Second
	// drainDelay is longer than HAProxy takes to see that a replica is leaving.
	drainDelay = 3 * time.Second
	// endPatience is how long a part may take to end in good order: a replica's
	// drain delay and grace, and a little.
	endPatience = 30 * time.Second
)

// probes never keeps a connection, so that a look at a frozen part costs nothing later.
var probes = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// Options say what a stack consists of.
type Options struct {
	// Binary is the tillbook program of all replicas. Required if there are any.
	Binary string
	// Replicas is how many Tillbook servers there are. Default 3; negative for none.
	Replicas int
	// Standbys is how many database nodes follow the primary in step. Default 2;
	// negative for none.
	Standbys int
	// Etcd is how many members etcd has. Default 1.
	Etcd int
	// HAProxy puts a load balancer with TLS in front.
	HAProxy bool
	// Prometheus collects metrics and raises alerts, of which Alertmanager tells a
	// receiver that shows them.
	Prometheus bool
	// Traces receives traces from the replicas and shows them.
	Traces bool
	// Proxied puts links in between that can be made to misbehave: from each replica
	// to each database node, between the nodes, and from these to etcd.
	Proxied bool
	// DiskMB gives each database node a disk of that size, in memory, so that it can be
	// filled up. Only root can have that. Default: no disk of its own.
	DiskMB int64
	// KnownPorts takes the ports that the README names instead of free ones.
	KnownPorts bool
	// Dir keeps all data, configuration and logs. The user postgres must be able to
	// enter it if this process is root. It must be empty or not exist. Default: a
	// temporary one that Close removes.
	Dir string
	// Args and Env add to what replica i is started with, such as "--stream-age=10s".
	// They may be nil.
	Args func(i int) []string
	Env  func(i int) []string
}

func (o *Options) setDefaults() {
	for to, byDefault := range map[*int]int{&o.Replicas: 3, &o.Standbys: 2, &o.Etcd: 1} {
		if *to == 0 {
			*to = byDefault
		}
		*to = max(*to, 0)
	}
}

// Stack is a running deployment. It is safe for concurrent use, but for Start and Close.
type Stack struct {
	options   Options
	dirs      dirs
	temporary bool
	programs  programs
	account   account
	passwords passwords
	authority *x509.CertPool

	ports ports

	etcd         []*Etcd
	nodes        []*Node
	haproxy      *HAProxy
	prometheus   *Process
	alertmanager *Process
	nodeExporter *Process
	alerts       *alerts.Receiver
	monitoring   monitoring
	traces       *traces.Receiver

	mu    sync.Mutex
	sets  map[string]*Set
	links []*Link
}

// Start starts all parts and waits until they serve. The context bounds that; a minute
// is enough where nothing else runs. If it fails, nothing is left behind but the logs
// of a folder that the caller named.
func Start(ctx context.Context, o Options) (_ *Stack, err error) {
	o.setDefaults()
	s := &Stack{options: o, passwords: newPasswords(), sets: make(map[string]*Set), ports: ports{known: o.KnownPorts}}
	if o.Replicas > 0 {
		if s.options.Binary, err = filepath.Abs(o.Binary); err != nil {
			return nil, err
		}
		if _, err := os.Stat(s.options.Binary); err != nil {
			return nil, fmt.Errorf("the server's program: %w", err)
		}
	}
	if s.programs, err = find(o); err != nil {
		return nil, err
	}
	if s.account, err = databaseAccount(); err != nil {
		return nil, err
	}
	if err := s.makeDir(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	return s, s.start(ctx)
}

func (s *Stack) makeDir() (err error) {
	dir := s.options.Dir
	if dir == "" {
		s.temporary = true
		if dir, err = os.MkdirTemp("", "tillbook-cluster-"); err != nil {
			return err
		}
	} else if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s isn't empty: name another folder", dir)
	}
	if s.dirs.root, err = filepath.Abs(dir); err != nil {
		return err
	}
	if err := s.dirs.make(); err != nil {
		return err
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return os.WriteFile(s.dirs.file("secret"), []byte(base64.StdEncoding.EncodeToString(key)+"\n"), 0o600)
}

// start starts the parts in the order in which they need each other.
func (s *Stack) start(ctx context.Context) (err error) {
	if s.options.Traces {
		address, err := s.ports.take("traces", 0)
		if err != nil {
			return err
		}
		if s.traces, err = traces.Listen(address); err != nil {
			return err
		}
	}
	if s.options.HAProxy {
		// Before anything that takes long, so that taken ports are seen at once.
		if s.haproxy, err = s.newHAProxy(); err != nil {
			return err
		}
	}
	if s.options.Prometheus {
		if err := s.newMonitoring(); err != nil {
			return err
		}
	}
	if err := s.startEtcd(ctx); err != nil {
		return err
	}
	if err := s.startNodes(ctx); err != nil {
		return err
	}
	if s.options.Replicas > 0 {
		if err := s.startReplicas(ctx); err != nil {
			return err
		}
	}
	if s.options.HAProxy {
		if err := s.startHAProxy(ctx); err != nil {
			return err
		}
	}
	if s.options.Prometheus {
		return s.startMonitoring(ctx)
	}
	return nil
}

func (s *Stack) startReplicas(ctx context.Context) error {
	if err := s.Migrate(ctx, s.options.Binary); err != nil {
		return err
	}
	set, err := s.newSet(Blue, s.options.Binary, s.options.Replicas)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.sets[Blue] = set
	s.mu.Unlock()
	return set.start(ctx)
}

// link opens a link that Close closes.
func (s *Stack) link(name, listen, to string) (*Link, error) {
	l, err := newLink(name, listen, to)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.links = append(s.links, l)
	return l, nil
}

// anyPort is for what nobody needs to know the port of.
func (s *Stack) anyPort() (string, error) {
	free := ports{taken: s.ports.taken}
	address, err := free.take("", 0)
	s.ports.taken = free.taken
	return address, err
}

// Close ends all parts, those that serve first, and removes the folder if Start made
// it. A second Close does nothing.
func (s *Stack) Close() error {
	front := []*Process{s.prometheus, s.alertmanager, s.nodeExporter}
	for _, set := range s.sets {
		for _, r := range set.replicas {
			front = append(front, r.Process)
		}
	}
	if s.haproxy != nil {
		front = append(front, s.haproxy.Process)
	}
	endAll(front)
	if s.temporary {
		for _, n := range s.nodes {
			n.Kill() // nobody will read its data
		}
	} else {
		s.endNodes()
	}
	var err error
	for _, n := range s.nodes {
		err = errors.Join(err, n.unmountDisk())
	}
	var back []*Process
	for _, e := range s.etcd {
		back = append(back, e.Process)
	}
	endAll(back)
	for _, l := range s.links {
		l.Down()
	}
	s.links = nil
	if s.traces != nil {
		err = errors.Join(err, s.traces.Close())
	}
	if s.alerts != nil {
		err = errors.Join(err, s.alerts.Close())
		s.alerts = nil
	}
	if s.temporary {
		err = errors.Join(err, os.RemoveAll(s.dirs.root))
	}
	return err
}

// endNodes ends standbys before the primary, which otherwise hands over to one of them.
func (s *Stack) endNodes() {
	for _, n := range s.nodes {
		n.Thaw()
	}
	primary, _ := s.Primary(context.Background())
	var standbys []*Process
	for _, n := range s.nodes {
		if n != primary {
			standbys = append(standbys, n.Process)
		}
	}
	endAll(standbys)
	if primary != nil {
		primary.end(endPatience)
	}
	for _, n := range s.nodes {
		n.Kill() // what Patroni left
	}
}

// endAll ends processes at the same time. A nil one is none.
func endAll(all []*Process) {
	var ending sync.WaitGroup
	for _, p := range slices.DeleteFunc(all, func(p *Process) bool { return p == nil }) {
		ending.Go(func() { p.end(endPatience) })
	}
	ending.Wait()
}
