package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tillbook/tillbook/examples/cluster/stack"
	"github.com/tillbook/tillbook/examples/torture/mix"
	"github.com/tillbook/tillbook/examples/torture/oracle"
	"github.com/tillbook/tillbook/examples/torture/record"
)

const (
	// startTimeout bounds how long the deployment takes to be there.
	startTimeout = 3 * time.Minute
	// scenarioTimeout bounds a scenario, from its people's registration to the verdict.
	scenarioTimeout = 4 * time.Minute
	// before and after are how long the traffic runs before the fault and once all is
	// whole again.
	before, after = 2 * time.Second, 3 * time.Second
	// patience is how much longer what a busy machine may be late with is waited for.
	patience = 10 * time.Second
	// resolveTimeout bounds how long it may then take until the outcome of everything
	// is known, and listenTimeout until the streams have told it.
	resolveTimeout, listenTimeout = 45 * time.Second, 12 * time.Second
)

// diskMB is the size of a database node's disk: more than all scenarios write.
const diskMB = 2048

// rack is the deployment that is tortured.
type rack struct {
	*stack.Stack
	options   *options
	dir       string
	temporary bool
	collector *collector
	skewed    string // the program whose clock is wrong; empty until it is built
}

// newRack starts the deployment with what the scenarios need.
func newRack(ctx context.Context, o *options, list []scenario) (_ *rack, err error) {
	r := &rack{options: o, dir: o.dir}
	if r.dir == "" {
		r.temporary = true
		if r.dir, err = os.MkdirTemp("", "tillbook-torture-"); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(os.MkdirAll(r.dir, 0o755), os.Chmod(r.dir, 0o755)); err != nil { // PostgreSQL doesn't run as root
		return nil, err
	}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	registerToxics()
	if r.collector, err = newCollector(); err != nil {
		return nil, err
	}
	options := stack.Options{
		Binary: o.tillbook, HAProxy: true, Proxied: true, Dir: filepath.Join(r.dir, "stack"),
		Env: func(i int) []string { return append(r.collector.env(), clockVariable+"="+r.clockFile(i)) },
	}
	for i := range list {
		if list[i].disks {
			options.DiskMB = diskMB
		}
		if list[i].clocks && r.skewed == "" {
			if r.skewed, err = buildSkewed(ctx, o.source, r.dir); err != nil {
				return nil, err
			}
		}
	}
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	begun := time.Now()
	if r.Stack, err = stack.Start(starting, options); err != nil {
		if options.DiskMB > 0 && os.Geteuid() != 0 {
			err = fmt.Errorf("%w; for disk-full run this as root, or name the others with SCENARIOS", err)
		}
		return nil, fmt.Errorf("starting the deployment: %w", err)
	}
	fmt.Printf("the deployment is up after %.0f s\n", time.Since(begun).Seconds())
	return r, nil
}

func (r *rack) close() {
	if r.Stack != nil {
		if err := r.Stack.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "torture: ending the deployment:", err)
		}
	}
	if r.collector != nil {
		r.collector.close()
	}
	if r.temporary {
		_ = os.RemoveAll(r.dir)
	}
}

// site is where clients go.
func (r *rack) site() (mix.Site, error) {
	pem, err := os.ReadFile(r.CA())
	if err != nil {
		return mix.Site{}, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return mix.Site{}, fmt.Errorf("%s has no certificate", r.CA())
	}
	return mix.Site{HTTP: r.URL(), GRPC: r.Native(), TLS: &tls.Config{RootCAs: roots}}, nil
}

// run runs a scenario and judges it.
func (r *rack) run(ctx context.Context, s *scenario) row {
	ctx, cancel := context.WithTimeout(ctx, scenarioTimeout)
	defer cancel()
	begun := time.Now()
	out := row{name: s.name}
	out.failure = r.torture(ctx, s, &out)
	out.took = time.Since(begun)
	return out
}

// trial is a scenario that runs.
type trial struct {
	*rack
	mix *mix.Mix
	// over is when the fault ended, since the recorder's beginning.
	over time.Duration
	// within is how soon after that nothing may fail any more; 0 if it doesn't matter.
	within time.Duration
	// checks look at more than the oracle does, once the traffic has ended.
	checks          []func(context.Context, *oracle.Verdict) error
	problems, notes []string
}

// ends says that the fault is over now, or that what is killed is dead now.
func (t *trial) ends() { t.over = t.mix.Record().Now() }

// wrong notes something because of which the scenario fails.
func (t *trial) wrong(format string, args ...any) {
	t.problems = append(t.problems, fmt.Sprintf(format, args...))
}

// note notes a figure.
func (t *trial) note(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

// check has something looked at once the traffic has ended.
func (t *trial) check(f func(context.Context, *oracle.Verdict) error) { t.checks = append(t.checks, f) }

// torture runs a scenario and fills in the row.
func (r *rack) torture(ctx context.Context, s *scenario, out *row) error {
	if err := r.whole(ctx); err != nil {
		return fmt.Errorf("before the fault: %w", err)
	}
	site, err := r.site()
	if err != nil {
		return err
	}
	m, err := mix.New(ctx, site, record.New(), s.traffic())
	if err != nil {
		return err
	}
	defer m.End()
	idle, err := r.servedByEach(ctx)
	if err != nil {
		return err
	}
	if err := m.Start(ctx); err != nil {
		return err
	}
	t := &trial{rack: r, mix: m}
	if err := t.flows(ctx, before); err != nil {
		return err
	}
	if err := r.busy(ctx, idle); err != nil {
		return err
	}
	t.ends()
	if err := s.fault(ctx, t); err != nil {
		return errors.Join(fmt.Errorf("the fault: %w", err), r.heal())
	}
	if err := r.whole(ctx); err != nil {
		return fmt.Errorf("after the fault: %w", err)
	}
	back, err := t.terminalsBack(ctx)
	if err != nil {
		return err
	}
	if err := t.flows(ctx, after); err != nil {
		return err
	}
	v, err := t.judge(ctx)
	if err != nil {
		return err
	}
	if r.options.history != "" {
		err = t.keepHistory(s.name)
	}
	out.verdict, out.recovered = v, max(0, v.LastError-t.over, back-t.over)
	for _, check := range t.checks {
		err = errors.Join(err, check(ctx, v))
	}
	if t.within > 0 && out.recovered > t.within {
		t.wrong("recovery: it took %.1f s", out.recovered.Seconds())
	}
	v.Problems, out.notes = append(v.Problems, t.problems...), t.notes
	return err
}

// terminalsBack waits until all terminals are online, and says when they were.
func (t *trial) terminalsBack(ctx context.Context) (time.Duration, error) {
	for !t.mix.Shop.Online() {
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return 0, fmt.Errorf("the terminals aren't back: %w", err)
		}
	}
	if t.mix.Shop.Since() < t.over {
		return t.over, nil
	}
	return t.mix.Shop.Since(), nil
}

// judge ends the traffic and has the oracle look at everything.
func (t *trial) judge(ctx context.Context) (*oracle.Verdict, error) {
	resolving, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	_ = t.mix.Stop(resolving) // what isn't resolved is told by the verdict
	listening, stop := context.WithTimeout(ctx, listenTimeout)
	defer stop()
	e, err := oracle.Gather(listening, t.mix)
	if err != nil {
		return nil, fmt.Errorf("reading the books: %w", err)
	}
	e.Books = t.Verify(ctx, t.options.tillbook)
	return oracle.Judge(e), nil
}

// keepHistory writes down what was recorded.
func (t *trial) keepHistory(name string) error {
	if err := os.MkdirAll(t.options.history, 0o755); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(t.options.history, name+".jsonl"))
	if err != nil {
		return err
	}
	return errors.Join(t.mix.Record().Write(file), file.Close())
}

// whole waits until every part of the deployment is there and in good health.
func (r *rack) whole(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	for _, n := range r.Nodes() {
		if err := n.Start(); err != nil {
			return err
		}
	}
	if _, err := r.AwaitPrimary(ctx, nil); err != nil {
		return err
	}
	if err := r.AwaitSynchronous(ctx, 2); err != nil {
		return err
	}
	for _, replica := range r.Replicas(stack.Blue) {
		if err := replica.Start(); err != nil {
			return err
		}
		if err := replica.Ready(ctx); err != nil {
			return err
		}
	}
	if err := r.HAProxy().Start(); err != nil {
		return err
	}
	return r.HAProxy().Ready(ctx)
}

// heal undoes what a fault that failed may have left.
func (r *rack) heal() error {
	var err error
	for _, l := range r.Links() {
		err = errors.Join(err, l.Heal())
	}
	for _, n := range r.Nodes() {
		n.Thaw()
		err = errors.Join(err, n.Rejoin(), n.FreeDisk())
	}
	for _, replica := range r.Replicas(stack.Blue) {
		replica.Thaw()
	}
	r.collector.hang(false)
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
