package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

const (
	// onlineTimeout bounds how long all terminals may take to come online, and
	// returnTimeout how long to come back.
	onlineTimeout = 10 * time.Minute
	returnTimeout = 5 * time.Minute
	// victim is the replica that is killed: not the one that runs the database.
	victim = 1
)

// fleet is one run.
type fleet struct {
	*options
	out        io.Writer
	deployment *deployment
	clients    crew
	chains     []*chain
	disk       *disk
	idle       usage
	result     result
}

// run does it all and tells about it.
func run(ctx context.Context, out io.Writer, o *options) (*result, error) {
	if o.dir == "" {
		dir, err := os.MkdirTemp("", "fleet")
		if err != nil {
			return nil, err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL doesn't run as root
			return nil, err
		}
		o.dir = filepath.Join(dir, "tillbook")
	}
	f := &fleet{options: o, out: out}
	var err error
	f.deployment, err = deploy(ctx, o, 2)
	defer f.deployment.stop()
	if err != nil {
		return nil, err
	}
	if f.disk, err = watchDisk(o.dir); err != nil {
		return nil, err
	}
	defer f.disk.done()
	f.clients, err = hire(o.clients)
	defer f.clients.dismiss()
	if err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{f.prepare, f.connect, f.rest, f.pay, f.kill, f.settle} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return &f.result, nil
}

func (f *fleet) say(format string, args ...any) { fmt.Fprintf(f.out, format+"\n", args...) }

// prepare makes everybody, activates the terminals and registers the customers.
func (f *fleet) prepare(ctx context.Context) (err error) {
	if f.idle, err = f.deployment.usage(); err != nil {
		return err
	}
	begin := time.Now()
	var addresses []address
	for _, r := range f.deployment.replicas {
		addresses = append(addresses, r.address)
	}
	var shops []shop
	if f.chains, shops, err = found(ctx, addresses, f.terminals); err != nil {
		return fmt.Errorf("making terminals: %w", err)
	}
	f.say("made %d merchants, %d shops and %d terminals in %.1f s", len(f.chains), len(shops), f.terminals, time.Since(begin).Seconds())
	begin = time.Now()
	_, err = f.clients.do(ctx, func(i int) order {
		b := &beginning{
			Replicas: addresses, PerConnection: f.perConnection, Customers: f.customers,
			Handshakes: 16, SpreadMS: int(f.spread.Milliseconds()),
		}
		for j := i; j < len(shops); j += len(f.clients) {
			b.Shops = append(b.Shops, shops[j])
		}
		return order{Begin: b}
	})
	if err != nil {
		return fmt.Errorf("activating terminals: %w", err)
	}
	f.say("activated them, and registered %d customers, in %.1f s", f.customers*len(f.clients), time.Since(begin).Seconds())
	return nil
}

// connect brings all terminals online.
func (f *fleet) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, onlineTimeout)
	defer cancel()
	before, err := f.deployment.usage()
	if err != nil {
		return err
	}
	if _, err := f.clients.do(ctx, func(int) order { return order{Connect: true} }); err != nil {
		return fmt.Errorf("coming online: %w; %v", err, f.clients.state().Errors)
	}
	if err := f.clients.until(ctx, "all are online", func(s state) bool { return s.online() == f.terminals }); err != nil {
		return err
	}
	after, err := f.deployment.usage()
	if err != nil {
		return err
	}
	took := after.at.Sub(before.at).Seconds()
	s := f.clients.state()
	f.result.online = s.online()
	f.say("%d online %v in %.1f s: %.0f handshakes a second; %s", s.online(), s.Online, took, float64(s.Handshakes)/took, after.since(before))
	f.complain(s)
	return nil
}

// rest measures what terminals cost that do nothing but send heartbeats.
func (f *fleet) rest(ctx context.Context) error {
	before, err := f.deployment.usage()
	if err != nil {
		return err
	}
	begin := f.clients.state()
	if err := pause(ctx, f.steady); err != nil {
		return err
	}
	after, err := f.deployment.usage()
	if err != nil {
		return err
	}
	s := f.clients.state()
	beats := s.Heartbeats - begin.Heartbeats
	f.result.memory = float64(after.resident-f.idle.resident) / 1024 / float64(f.terminals)
	f.say("memory: %d MB idle, %d MB now: %.1f KB a terminal", f.idle.resident>>20, after.resident>>20, f.result.memory)
	f.say("heartbeats: %.0f a second; %s; %.0f µs of CPU each", float64(beats)/after.at.Sub(before.at).Seconds(), after.since(before),
		float64((after.cpu()-before.cpu()).Microseconds())/float64(max(beats, 1)))
	return nil
}

// pay measures how long messages take while customers pay.
func (f *fleet) pay(ctx context.Context) error {
	if _, err := f.clients.do(ctx, func(i int) order { return order{Pay: share(f.payments, len(f.clients), i)} }); err != nil {
		return err
	}
	// The first payments fill caches.
	if err := pause(ctx, f.steady/5); err != nil {
		return err
	}
	if _, err := f.measured(ctx); err != nil {
		return err
	}
	before, err := f.deployment.usage()
	if err != nil {
		return err
	}
	begin := f.clients.state()
	if err := pause(ctx, f.steady); err != nil {
		return err
	}
	s := f.clients.state()
	after, err := f.deployment.usage()
	if err != nil {
		return err
	}
	f.say("payments: %.0f a second, %d not begun because too many were under way; %s",
		float64(s.Paid-begin.Paid)/after.at.Sub(before.at).Seconds(), s.Late-begin.Late, after.since(before))
	ctx, cancel := context.WithTimeout(ctx, returnTimeout)
	defer cancel()
	for f.result.push == 0 { // where the disk stands still nothing is told for a while
		if f.result.push, err = f.measured(ctx); err != nil {
			return err
		}
		if err := pause(ctx, f.steady/30); err != nil {
			return err
		}
	}
	return nil
}

// measured tells how long pushes took since it was asked last, and returns the 99th
// percentile of payments.
func (f *fleet) measured(ctx context.Context) (time.Duration, error) {
	answers, err := f.clients.do(ctx, func(int) order { return order{} })
	if err != nil {
		return 0, err
	}
	return f.pushes(answers), nil
}

func (f *fleet) pushes(answers []answer) time.Duration {
	var offered, paid []int64
	for _, a := range answers {
		offered, paid = append(offered, a.OfferedUS...), append(paid, a.PaidUS...)
	}
	f.say("push latency: payments p50 %v, p99 %v (%d); offers p50 %v, p99 %v (%d)",
		percentile(paid, 50), percentile(paid, 99), len(paid), percentile(offered, 50), percentile(offered, 99), len(offered))
	f.say("%s", f.disk.measured())
	return percentile(paid, 99)
}

// kill kills a replica while customers pay, and waits until its terminals are back at
// the other.
func (f *fleet) kill(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, returnTimeout)
	defer cancel()
	gone := f.clients.state().Online[victim]
	begin := time.Now()
	f.deployment.replicas[victim].kill()
	enough := (f.terminals*99 + 99) / 100
	err := f.clients.until(ctx, "99 % are back", func(s state) bool { return s.Online[1-victim] >= enough })
	if err != nil {
		return err
	}
	f.result.recovered = time.Since(begin)
	if err := f.clients.until(ctx, "all are back", func(s state) bool { return s.Online[1-victim] == f.terminals }); err != nil {
		return err
	}
	s := f.clients.state()
	f.say("killed a replica with %d terminals: 99 %% online after %.1f s, all after %.1f s", gone, f.result.recovered.Seconds(), time.Since(begin).Seconds())
	f.complain(s)
	return pause(ctx, f.steady/5)
}

// settle ends the payments and counts.
func (f *fleet) settle(ctx context.Context) error {
	answers, err := f.clients.do(ctx, func(int) order { return order{Rest: true} })
	if err != nil {
		return err
	}
	f.pushes(answers)
	s := f.clients.state()
	f.say("%d checkouts, %d paid", s.Created, s.Paid)
	f.complain(s)
	if err := f.audit(ctx, answers); err != nil {
		return err
	}
	return f.deployment.verify(ctx)
}

// audit compares what was told with where the money is.
func (f *fleet) audit(ctx context.Context, answers []answer) error {
	var sum answer
	sold := make(map[string]int64)
	for _, a := range answers {
		f.result.lost += a.Lost
		f.result.doubled += a.Doubled
		sum.Unknown += a.Unknown
		sum.Funded, sum.Spent, sum.Balance = sum.Funded+a.Funded, sum.Spent+a.Spent, sum.Balance+a.Balance
		for merchant, n := range a.Sold {
			sold[merchant] += n
		}
	}
	f.result.missing = sum.Funded - sum.Spent - sum.Balance
	for _, c := range f.chains {
		has, err := c.funds(ctx)
		if err != nil {
			return fmt.Errorf("reading what a merchant has: %w", err)
		}
		if has != sold[c.merchant] {
			f.result.merchants++
			f.say("merchant %s has %d cents and sold for %d", c.merchant, has, sold[c.merchant])
		}
	}
	f.result.unknown = sum.Unknown
	f.say("customers: %d cents to begin with, %d paid, %d left, %d amiss; payments of unknown outcome: %d; merchants with a wrong balance: %d",
		sum.Funded, sum.Spent, sum.Balance, f.result.missing, sum.Unknown, f.result.merchants)
	return nil
}

// complain tells which errors there were so far.
func (f *fleet) complain(s state) {
	for text, n := range s.Errors {
		f.say("  %d × %s", n, text)
	}
}

// share is what one of several gets of a number.
func share(number, of, i int) int { return max(1, (number+of-1-i)/of) }

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
