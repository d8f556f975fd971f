package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tillbook/tillbook/examples/cluster/stack"
)

// onLinks does something to the ways to the database of all replicas but some, for a
// while. Each way to the primary must be felt to be so: it is told how long it took to get
// some bytes through, and whether that was possible at all.
func onLinks(ctx context.Context, t *trial, spare int, d time.Duration, do func(*stack.Link) error, felt feeling) (err error) {
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
	over := time.Now().Add(d)
	if felt.how != nil {
		if err := felt.check(ctx, t, links); err != nil {
			return err
		}
	}
	return pause(ctx, time.Until(over))
}

// feeling is how a link that misbehaves is told from one that doesn't, by getting so many
// bytes through within some time.
type feeling struct {
	bytes  int
	within time.Duration
	how    func(time.Duration, error) bool
}

func (f *feeling) check(ctx context.Context, t *trial, links []*stack.Link) error {
	primary, err := t.Primary(ctx)
	if err != nil {
		return err
	}
	felt := 0
	for _, l := range links {
		if !strings.HasSuffix(l.Name(), ">"+primary.Name()) {
			continue
		}
		felt++
		if took, err := t.through(ctx, primary, l, f); !f.how(took, err) {
			t.wrong("fault: %s brought %d bytes in %s, %v", l.Name(), f.bytes, took, err)
		}
	}
	if felt == 0 {
		t.wrong("fault: no replica's way to the primary is among %d", len(links))
	}
	return nil
}

// slower is felt if it takes at least so long.
func slower(than time.Duration, bytes int) feeling {
	return feeling{bytes, 10 * time.Second, func(took time.Duration, err error) bool { return err == nil && took >= than }}
}

// silent is felt if nothing comes, not even an error.
var silent = feeling{1, 2 * time.Second, func(_ time.Duration, err error) bool { return pgconn.Timeout(err) }}

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
	return onLinks(ctx, t, victim, 15*time.Second, (*stack.Link).Silence, silent)
}

// loseCommits loses a third of the answers to COMMIT.
func loseCommits(ctx context.Context, t *trial) error {
	before := commitsLost.Load()
	err := onLinks(ctx, t, noReplica, 20*time.Second, func(l *stack.Link) error {
		return l.Add(losesCommits, "downstream", map[string]any{"percent": 30})
	}, feeling{})
	lost := commitsLost.Load() - before
	if lost == 0 {
		t.wrong("fault: no answer to a COMMIT was lost")
	}
	t.note("%d answers to COMMIT were lost", lost)
	return err
}

// slowDatabase keeps everything that is sent to the database back for so long.
func slowDatabase(by time.Duration) func(context.Context, *trial) error {
	return func(ctx context.Context, t *trial) error {
		return onLinks(ctx, t, noReplica, briefly, func(l *stack.Link) error { return l.Delay(by) }, slower(by, 1))
	}
}

// throttleDatabase lets little through.
func throttleDatabase(ctx context.Context, t *trial) error {
	const kilobytes = 64 // a second, a connection
	return onLinks(ctx, t, noReplica, briefly, func(l *stack.Link) error { return l.Throttle(kilobytes) }, slower(time.Second, 2*kilobytes<<10))
}
