package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store/cause"
)

// committer runs batches, one at a time.
type committer struct {
	l     *Ledger
	calls []*call     // of the batch being gathered; reused
	taken []AccountID // what the batch has of the ledger's traffic; reused
}

func newCommitter(l *Ledger) *committer {
	return &committer{l: l, calls: make([]*call, 0, l.cfg.MaxBatch)}
}

// run executes batches until the queue is closed and nothing waits any more.
func (c *committer) run() {
	var first *call
	for {
		open := c.gather(first)
		first = nil
		switch {
		case len(c.calls) > 0:
			c.execute()
		case open:
			select {
			case first = <-c.l.queue:
			case <-c.l.traffic.freed:
			}
		case c.l.traffic.deferred.Load() > 0:
			<-c.l.traffic.freed
		default:
			return
		}
	}
}

// relieve executes batches beside run whenever more waits than one batch takes.
func (c *committer) relieve() {
	for {
		select {
		case <-c.l.crowded:
		case <-c.l.closing:
			return
		}
		for c.l.waiting.Load() >= int64(c.l.cfg.MaxBatch) {
			if c.gather(nil); len(c.calls) == 0 {
				break
			}
			c.execute()
		}
	}
}

func (c *committer) execute() {
	c.l.relief()
	c.l.stats.batch(len(c.calls))
	c.settle(c.calls)
	c.l.traffic.leave(c)
}

// relief calls for a further committer if enough waits for one.
func (l *Ledger) relief() {
	if l.waiting.Load() >= int64(l.cfg.MaxBatch) {
		select {
		case l.crowded <- struct{}{}:
		default:
		}
	}
}

// gather takes what waits, without waiting for more. It reports whether the queue
// is open, as far as it knows.
func (c *committer) gather(first *call) (open bool) {
	t := c.l.traffic
	t.mu.Lock()
	defer t.mu.Unlock()
	c.calls = c.calls[:0]
	size := t.board(c, c.l.cfg.MaxBatch)
	for next := first; ; {
		if next != nil {
			size += c.take(next)
		}
		if size >= c.l.cfg.MaxBatch {
			return true
		}
		select {
		case next, open = <-c.l.queue:
			if !open {
				return false
			}
		default:
			return true
		}
	}
}

// take adds a call, and those behind it, to the batch and returns how many
// commands that are.
func (c *committer) take(first *call) (size int) {
	c.l.waiting.Add(-int64(first.commands()))
	if c.l.traffic.admit(c, first) {
		size = c.board(first)
	}
	for i := range first.behind {
		if next := &first.behind[i]; c.l.traffic.admit(c, next) {
			size += c.board(next)
		}
	}
	return size
}

// board adds a call to the batch, unless its caller gave up.
func (c *committer) board(next *call) int {
	if !next.start() {
		return 0
	}
	next.deadline = time.Now().Add(c.l.cfg.Patience)
	c.calls = append(c.calls, next)
	for a := range next.accounts {
		if c.l.traffic.taken[a] != c {
			c.l.traffic.taken[a] = c
			c.taken = append(c.taken, a)
		}
	}
	return len(next.items)
}

// settle brings every call to its outcome or parks it. It attempts the batch
// until it succeeds or the calls' deadline passes, and in halves if PostgreSQL
// refuses it twice. An attempt that took too long may have waited for several
// locks in turn, each for less than it takes to say so. Between two attempts, calls
// whose callers have left are given up.
func (c *committer) settle(calls []*call) {
	var refused int
	var how locking
	for attempt := 0; ; attempt++ {
		stuck, err := c.attempt(calls, how)
		if err == nil {
			c.l.park(stuck)
			return
		}
		c.l.stats.retried(sqlState(err))
		how.passBy = how.passBy || lockedElsewhere(err) || errors.Is(err, context.DeadlineExceeded)
		if wantsSplit(err) {
			refused++
		}
		calls = dropLeft(calls)
		switch {
		case len(calls) == 0:
			return
		case refused >= 2 && len(calls) > 1:
			half := len(calls) / 2
			c.settle(calls[:half])
			c.settle(calls[half:])
			return
		case refused >= 2, time.Now().After(calls[0].deadline):
			c.l.giveUp(calls, err)
			return
		}
		time.Sleep(backoff(attempt))
	}
}

// backoff grows from a millisecond to a quarter of a second, with full jitter.
func backoff(attempt int) time.Duration {
	return rand.N(min(time.Millisecond<<min(attempt, 8), 250*time.Millisecond)) + 1
}

// attempt runs calls as one database transaction and finishes them, or returns
// an error and finishes none. It returns the calls that need an account which it
// hasn't locked: because it passes by what others have locked, or because that
// turned out only then. It marks the calls that may have been executed without our
// hearing of it.
func (c *committer) attempt(calls []*call, how locking) (stuck []*call, err error) {
	// Detached from the callers: a cancelled call must not cut a COMMIT short.
	ctx, cancel := context.WithTimeout(context.Background(), c.l.cfg.attemptTimeout())
	defer cancel()
	ctx, end := c.trace(ctx, calls)
	defer func() { end(err) }()

	conn, err := c.l.writers.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotConnected, err)
	}
	defer conn.Release() // closes the connection if a transaction is still open

	b, err := c.l.lock(ctx, conn.Conn(), calls, how)
	if err != nil {
		return nil, err
	}
	if how.passBy {
		calls, stuck = b.divide(calls)
	}
	calls, again := b.decideAll(calls)
	if err := c.write(ctx, conn.Conn(), b, slices.ContainsFunc(calls, (*call).replays)); err != nil {
		return nil, err
	}
	c.announce(ctx, calls, b)
	return append(stuck, again...), nil
}

// replays tells whether any of the call's keys was executed before.
func (c *call) replays() bool {
	for i := range c.items {
		if c.items[i].verdict.replayed {
			return true
		}
	}
	return false
}

// write commits what the batch made, if anything, and marks its calls if the
// answer doesn't come.
//
// A batch that found a key executed commits in any case. The commit that
// executed it may still be waiting to be replicated, and one that comes later
// succeeds only after it.
func (c *committer) write(ctx context.Context, conn *pgx.Conn, b *batch, replays bool) error {
	switch {
	case !b.empty():
	case replays:
		return confirm(ctx, conn)
	default:
		_, err := conn.Exec(ctx, rollback)
		return err
	}
	err := c.l.write(ctx, conn, b)
	if err == nil || definitelyNotCommitted(err) {
		return err
	}
	c.l.stats.lost.Add(1)
	c.l.feed.lost()
	b.markLost()
	return err
}

// announce tells callers and watchers what was committed.
func (c *committer) announce(ctx context.Context, calls []*call, b *batch) {
	c.l.stats.committed(len(b.made))
	c.l.feed.committed(b, cause.Of(ctx))
	for _, call := range calls {
		c.tell(call, b)
	}
}

func (c *committer) tell(call *call, b *batch) {
	for i := range call.items {
		it := &call.items[i]
		v := &it.verdict
		switch {
		case call.err != nil:
		case v.err != nil: // of the only command
			call.err = v.err
		case v.replayed:
			it.existing, it.own = v.replay, v.replay.is(it.attempted)
			if !it.own {
				c.l.stats.replayed.Add(1)
			}
		default:
			if v.made >= 0 {
				it.made = b.made[v.made].Transaction
			}
			if v.operation >= 0 {
				it.hold = &b.operations[v.operation].hold
			}
		}
	}
	if call.err != nil {
		c.l.stats.refused.Add(1)
	}
	call.finish()
}

// giveUp tells callers that their commands could not be settled.
func (l *Ledger) giveUp(calls []*call, err error) {
	l.cfg.Logger.ErrorContext(calls[0].ctx, "the ledger gave up on commands", "commands", len(calls), "sqlstate", sqlState(err), "error", err)
	for _, call := range calls {
		if call.maybeExecuted() {
			l.stats.unknown.Add(1)
			call.fail(fmt.Errorf("%w: %w", ErrOutcomeUnknown, err))
			continue
		}
		call.fail(fmt.Errorf("%w: %w", whyNot(len(calls), err), err))
	}
}

// whyNot names the reason for which commands were not executed. What PostgreSQL
// refuses from a single command is the command's fault, and won't go away.
func whyNot(calls int, err error) error {
	switch {
	case calls > 1 || !wantsSplit(err):
		return ErrUnavailable
	case strings.HasPrefix(sqlState(err), "22"): // data exception
		return ErrInvalidText
	default:
		return errRefused
	}
}
