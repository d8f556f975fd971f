package main

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/examples/cluster/stack"
	"github.com/tillbook/tillbook/examples/torture/mix"
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
		t.Replica(victim).Kill()
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
		if err := r.Term(ctx); err != nil {
			return err
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
	primary.Kill()
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
				node.Kill()
				killed++
			}
		}
		err = pause(ctx, briefly)
		t.ends()
		return err
	}
}

// onLinks does something to the ways to the database of all replicas but some, for a
// while.
func onLinks(ctx context.Context, t *trial, spare int, d time.Duration, do func(*stack.Link) error) (err error) {
	links := linksOf(t, spare)
	defer func() {
		t.ends()
		for _, l := range links {
			err = errors.Join(err, l.Heal())
		}
	}()
	for _, l := range links {
		if err := do(l); err != nil {
			return err
		}
	}
	return pause(ctx, d)
}

func linksOf(t *trial, spare int) (links []*stack.Link) {
	for i, r := range t.Replicas(stack.Blue) {
		if i != spare {
			links = append(links, r.Links()...)
		}
	}
	return links
}

// noReplica spares none.
const noReplica = -1

// silenceDatabase leaves the connections of two replicas open and silent.
func silenceDatabase(ctx context.Context, t *trial) error {
	return onLinks(ctx, t, victim, 15*time.Second, (*stack.Link).Silence)
}

// loseCommits loses a third of the answers to COMMIT.
func loseCommits(ctx context.Context, t *trial) error {
	return onLinks(ctx, t, noReplica, 20*time.Second, func(l *stack.Link) error {
		return l.Add(losesCommits, "downstream", map[string]any{"percent": 30})
	})
}

// slowDatabase keeps everything that is sent to the database back for so long.
func slowDatabase(by time.Duration) func(context.Context, *trial) error {
	return func(ctx context.Context, t *trial) error {
		return onLinks(ctx, t, noReplica, briefly, func(l *stack.Link) error { return l.Delay(by) })
	}
}

// throttleDatabase lets little through.
func throttleDatabase(ctx context.Context, t *trial) error {
	const kilobytes = 64 // a second, a connection
	return onLinks(ctx, t, noReplica, briefly, func(l *stack.Link) error { return l.Throttle(kilobytes) })
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
	return pause(ctx, down)
}

// carryOn breaks nothing.
func carryOn(d time.Duration) func(context.Context, *trial) error {
	return func(ctx context.Context, t *trial) error {
		defer t.ends()
		return pause(ctx, d)
	}
}

// killBalancer kills the load balancer, again and again.
func killBalancer(ctx context.Context, t *trial) error {
	for range 4 {
		t.HAProxy().Kill()
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
	}
	return nil
}

// fillDisk leaves the primary no room. It goes on for as long as its files have some,
// so the log is made to need a new one.
func fillDisk(ctx context.Context, t *trial) (err error) {
	primary, err := t.Primary(ctx)
	if err != nil {
		return err
	}
	defer func() {
		t.ends()
		err = errors.Join(err, primary.FreeDisk())
	}()
	if err := primary.FillDisk(); err != nil {
		return err
	}
	until := time.Now().Add(20 * time.Second)
	for time.Now().Before(until) {
		if err := needLog(ctx, t.NodeURL(primary)); err != nil {
			break // it is down
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
	return pause(ctx, time.Until(until))
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

// overload has ten times as many callers for a minute, none of which ever pauses.
func overload(ctx context.Context, t *trial) error {
	crowded, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	t.mix.Crowd(crowded, 10*callersOf(mix.Steady()))
	<-crowded.Done()
	t.ends()
	return ctx.Err()
}
