package main

import (
	"cmp"
	"context"
	"errors"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/examples/cluster/stack"
	"github.com/tillbook/tillbook/examples/torture/oracle"
	"github.com/tillbook/tillbook/examples/torture/record"
)

const (
	// victim is the replica that bears it when one does.
	victim = 1
	// down is how long something that was killed stays away.
	down = 5 * time.Second
	// briefly is how long most faults last.
	briefly = 12 * time.Second
)

// crowd is how many callers pay without a pause where something is to break while
// much is under way.
const crowd = 6

// busily has a fault happen while much is under way.
func busily(fault func(context.Context, *trial) error) func(context.Context, *trial) error {
	return func(ctx context.Context, t *trial) error {
		crowded, cancel := context.WithCancel(ctx)
		defer cancel()
		t.mix.Crowd(crowded, crowd)
		return fault(ctx, t)
	}
}

// killReplica kills one as a power cut does.
func killReplica(ctx context.Context, t *trial) error {
	for range 2 {
		t.kill(t.Replica(victim))
		t.ends()
		if err := pause(ctx, down); err != nil {
			return err
		}
		if err := t.whole(ctx); err != nil {
			return err
		}
	}
	return nil
}

// rollReplicas replaces all, one after the other.
func rollReplicas(ctx context.Context, t *trial) error {
	for _, r := range t.Replicas(stack.Blue) {
		t.replaced(r, r.PID())
		if err := r.Term(ctx); err != nil {
			return err
		}
		if code := r.ExitCode(); code != 0 {
			t.wrong("fault: %s ended with %d instead of in good order", r.Name(), code)
		}
		if err := t.whole(ctx); err != nil {
			return err
		}
		// The load balancer must have seen it before the next one goes.
		if err := pause(ctx, 2*time.Second); err != nil {
			return err
		}
	}
	t.ends()
	return nil
}

// stopReplica leaves one standing for 30 s: its connections stay open.
func stopReplica(ctx context.Context, t *trial) error {
	t.Replica(victim).Freeze()
	err := pause(ctx, 30*time.Second)
	if _, _, answered := ask(ctx, t.Replica(victim), "/healthz"); answered == nil {
		t.wrong("fault: %s answers though it stands still", t.Replica(victim).Name())
	}
	t.Replica(victim).Thaw()
	t.ends()
	return err
}

// skewClock sets one replica's clock wrong, by five minutes either way.
func skewClock(ctx context.Context, t *trial) error {
	for _, by := range []time.Duration{5 * time.Minute, -5 * time.Minute} {
		if err := t.skew(ctx, victim, by); err != nil {
			return err
		}
		off, err := clockOff(ctx, t.Replica(victim))
		if err != nil {
			return err
		}
		if (off - by).Abs() > 2*time.Second {
			t.wrong("fault: the clock is off by %s, not by %s", off, by)
		}
		if err := pause(ctx, briefly); err != nil {
			return err
		}
	}
	defer t.ends()
	return t.skew(ctx, victim, 0)
}

// killPrimary kills the node that takes writes; a standby is promoted.
func killPrimary(ctx context.Context, t *trial) error {
	primary, err := t.Primary(ctx)
	if err != nil {
		return err
	}
	t.kill(primary)
	t.ends()
	_, err = t.AwaitPrimary(ctx, primary)
	return errors.Join(err, primary.Start())
}

// loseStandbys kills that many of the standbys for a while.
func loseStandbys(n int) func(context.Context, *trial) error {
	return func(ctx context.Context, t *trial) error {
		primary, err := t.Primary(ctx)
		if err != nil {
			return err
		}
		killed := 0
		for _, node := range t.Nodes() {
			if node != primary && killed < n {
				t.kill(node)
				killed++
			}
		}
		dead := t.mix.Record().Now()
		err = pause(ctx, briefly)
		left, asked := t.standbys(ctx)
		if want := len(t.Nodes()) - 1 - n; left != want {
			t.wrong("fault: %d standbys are left, not %d", left, want)
		}
		t.ends()
		if n == len(t.Nodes())-1 {
			t.promised(dead, t.over)
		}
		return errors.Join(err, asked)
	}
}

// promised has nothing be acknowledged that one disk alone has: what was asked for a
// second after the last standby died, and so isn't an answer that was on its way.
func (t *trial) promised(dead, over time.Duration) {
	t.check(func(context.Context, *oracle.Verdict) error {
		for _, o := range t.mix.Record().Operations() {
			if (o.Kind == record.Transfer || o.Kind == record.Payment) && o.Answer.Outcome == record.Done && o.Call > dead+time.Second && o.Return < over {
				t.wrong("promise: %s %d was acknowledged with no standby left, at %.3f s", o.Kind, o.ID, o.Return.Seconds())
			}
		}
		return nil
	})
}

// cutOffPrimary parts the network. On one side are the primary and a replica, which
// has clients; on the other is the rest, which elects another primary.
func cutOffPrimary(ctx context.Context, t *trial) (err error) {
	old, err := t.Primary(ctx)
	if err != nil {
		return err
	}
	defer func() {
		t.ends()
		err = errors.Join(err, old.Rejoin())
		for _, l := range linksOf(t, noReplica) {
			err = errors.Join(err, l.Heal())
		}
	}()
	nodes := t.Nodes()
	before, err := served(ctx, t.Replica(victim))
	if err != nil {
		return err
	}
	old.Isolate()
	for i, r := range t.Replicas(stack.Blue) {
		for j, l := range r.Links() {
			if (i == victim) != (nodes[j] == old) {
				l.Down()
			}
		}
	}
	if _, err := t.AwaitPrimary(ctx, old); err != nil {
		return err
	}
	after, err := served(ctx, t.Replica(victim))
	if err == nil && after <= before {
		t.wrong("fault: nobody called the replica beside the old primary")
	}
	return errors.Join(err, pause(ctx, down))
}

// rushHour breaks nothing. So many payments a second must have gone to one merchant.
func rushHour(d time.Duration, least float64) func(context.Context, *trial) error {
	return func(ctx context.Context, t *trial) error {
		begin := t.mix.Record().Now()
		defer t.ends()
		t.check(func(context.Context, *oracle.Verdict) error {
			n := 0
			for _, o := range t.mix.Record().Operations() {
				if o.Kind == record.Payment && o.Answer.Outcome == record.Done && o.Return >= begin && o.Return < t.over {
					n++
				}
			}
			rate := float64(n) / d.Seconds()
			t.note("the merchant got %.0f payments a second", rate)
			if rate < least {
				t.wrong("fault: the merchant got %.0f payments a second, which isn't %.0f", rate, least)
			}
			return nil
		})
		return pause(ctx, d)
	}
}

// killBalancer kills the load balancer, again and again.
func killBalancer(ctx context.Context, t *trial) error {
	for range 4 {
		t.kill(t.HAProxy())
		killed := t.mix.Record().Now()
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
		t.ends()
		if err := t.whole(ctx); err != nil {
			return err
		}
		if err := pause(ctx, 3*time.Second); err != nil {
			return err
		}
		if t.mix.Shop.Since() < killed {
			t.wrong("fault: no terminal has come back since the load balancer was killed at %.1f s", killed.Seconds())
		}
	}
	return nil
}

// missesRoom finds what PostgreSQL, rather than Patroni, says of a full disk.
var missesRoom = regexp.MustCompile(`(LOG|ERROR|FATAL|PANIC):  .*No space left on device`)

// fillDisk leaves the primary no room. It goes on for as long as its files have some,
// so the log is made to need a new one. Who comes then is told that it passes.
func fillDisk(ctx context.Context, t *trial) (err error) {
	primary, err := t.Primary(ctx)
	if err != nil {
		return err
	}
	defer func() {
		t.ends()
		err = errors.Join(err, primary.FreeDisk())
	}()
	said := saying(primary.Process)
	if err := primary.FillDisk(); err != nil {
		return err
	}
	told := make(map[string]int)
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); {
		_ = needLog(ctx, t.NodeURL(primary)) // if it isn't down
		told[cmp.Or(t.mix.Knock(ctx).Reason, "done")]++
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
	text, err := said()
	if !missesRoom.MatchString(text) {
		t.wrong("fault: PostgreSQL doesn't miss room on its disk")
	}
	now, unknown := t.Primary(ctx)
	switch {
	case unknown != nil:
		t.note("with its disk full for 20 s, there is no primary")
	case now != primary:
		t.note("with its disk full, %s gave way to %s", primary.Name(), now.Name())
	default:
		t.note("with its disk full, %s stays the primary", primary.Name())
	}
	t.note("registrations meanwhile, by how they ended: %v", told)
	return err
}

// needLog has a server take the next file for its log.
func needLog(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, `SELECT pg_switch_wal() FROM pg_logical_emit_message(false, 'torture', 'more')`)
	return err
}

// hangCollector has the receiver of traces take them and not answer.
func hangCollector(ctx context.Context, t *trial) error {
	t.collector.hang(true)
	err := pause(ctx, 20*time.Second)
	if t.collector.waiting() == 0 {
		err = errors.Join(err, errors.New("no replica sends traces"))
	}
	t.collector.hang(false)
	t.ends()
	return err
}
