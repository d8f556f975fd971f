package ledger

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"
)

// call is one or several commands on their way through the committer. Several are
// executed together or not at all.
type call struct {
	items    []item
	one      [1]item // where items are if there is one
	behind   []call  // further calls that come to the committer with this one
	ctx      context.Context
	state    atomic.Int32
	done     chan struct{}       // buffered: finishing never waits for the caller
	deadline time.Time           // when the committer gives up
	lacks    AccountID           // the account that it is parked for
	err      error               // why nothing was executed
	rode     []trace.SpanContext // the batches' spans, if the call is traced
}

// item is one command of a call.
type item struct {
	command Command
	extra   []AccountID // accounts that turned out to be needed as well
	verdict verdict
	// maybeExecuted is true while the command may have been executed: a COMMIT
	// that included it was lost, or its key was found but the batch failed.
	maybeExecuted bool
	// attempted is what the lost commit would have made.
	attempted executedKey

	made     Transaction
	hold     *Hold
	existing executedKey // executed before: what is to be loaded
	own      bool        // existing was made by a lost commit of this very call
}

func newCall(ctx context.Context, command Command) *call {
	c := &call{ctx: ctx, done: make(chan struct{}, 1)}
	c.one[0].command = command
	c.items = c.one[:]
	return c
}

// newTrain returns calls of a command each that come to the committer together,
// in their order, behind the first.
func newTrain(ctx context.Context, commands []Command) []call {
	train, done := make([]call, len(commands)), make(chan struct{}, len(commands))
	for i := range train {
		c := &train[i]
		c.ctx, c.done = ctx, done
		c.one[0].command = commands[i]
		c.items = c.one[:]
	}
	train[0].behind = train[1:]
	return train
}

func newGroup(ctx context.Context, commands []Command) *call {
	c := &call{ctx: ctx, done: make(chan struct{}, 1), items: make([]item, len(commands))}
	for i := range commands {
		c.items[i].command = commands[i]
	}
	return c
}

// A call is waiting until exactly one of its caller and a committer moves it on.
const (
	waiting int32 = iota
	started
	abandoned
)

// start claims the call for a batch. It fails if the caller gave up; the caller
// then isn't listening any more or is told so.
func (c *call) start() bool {
	if c.ctx.Err() == nil {
		return c.state.CompareAndSwap(waiting, started)
	}
	if c.state.CompareAndSwap(waiting, abandoned) {
		c.fail(c.ctx.Err())
	}
	return false
}

func (c *call) finish() { c.done <- struct{}{} }

func (c *call) fail(err error) {
	c.err = err
	c.finish()
}

// commands is how many come with the call.
func (c *call) commands() int { return len(c.items) + len(c.behind) }

// maybeExecuted tells whether any of the call's commands may have been executed.
func (c *call) maybeExecuted() bool {
	for i := range c.items {
		if c.items[i].maybeExecuted {
			return true
		}
	}
	return false
}

// Commit executes a command, at most once for its key, and returns its
// transaction or the one that an earlier command with the key made.
//
// If ctx ends before the command's batch begins, nothing is executed and ctx's
// error is returned. Once it has begun, Commit waits for the outcome whatever ctx
// says; that takes milliseconds. When the database is in trouble, what surely wasn't
// executed is given up between two attempts once ctx has ended, and what may have been
// after a few times Config.Patience.
func (l *Ledger) Commit(ctx context.Context, command Command) (Result, error) {
	ctx, span := l.startCommit(ctx, 1)
	c := newCall(ctx, command)
	defer func() { endCommit(span, c) }()
	if err := l.enqueue(c); err != nil {
		return Result{}, err
	}
	if err := c.wait(); err != nil {
		return Result{}, err
	}
	return l.result(ctx, &c.items[0])
}

// wait waits until the call is finished, or gives it up before it has begun.
func (c *call) wait() error {
	select {
	case <-c.done:
	case <-c.ctx.Done():
		if c.state.CompareAndSwap(waiting, abandoned) {
			return c.ctx.Err()
		}
		<-c.done
	}
	return c.err
}

// result is what became of a command that didn't fail.
func (l *Ledger) result(ctx context.Context, it *item) (Result, error) {
	if it.existing == (executedKey{}) {
		r := Result{Transaction: it.made}
		if it.hold != nil {
			r.Hold = *it.hold
		}
		return r, nil
	}
	r, err := l.show(ctx, it.existing)
	if err != nil {
		// It was executed, but can't be shown now. A retry will show it.
		return Result{}, fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
	r.Replayed = !it.own
	return r, nil
}

// show reads what a command has made.
func (l *Ledger) show(ctx context.Context, done executedKey) (r Result, err error) {
	err = l.patiently(context.WithoutCancel(ctx), func(ctx context.Context) (err error) {
		r, err = l.showOnce(ctx, done)
		return err
	})
	return r, err
}

func (l *Ledger) showOnce(ctx context.Context, done executedKey) (r Result, err error) {
	if done.transaction != uuid.Nil {
		if r.Transaction, err = l.Transaction(ctx, done.transaction); err != nil {
			return Result{}, err
		}
		if r.Transaction.Kind != KindCapture {
			return r, nil
		}
	}
	r.Hold, err = l.holdAfter(ctx, done)
	return r, err
}

// waitTrain waits until every call of a train is finished, and gives up those
// that haven't begun when their context ends.
func waitTrain(train []call) {
	first := &train[0]
	ended := first.ctx.Done()
	for left := len(train); left > 0; {
		select {
		case <-first.done:
			left--
		case <-ended:
			ended = nil
			for i := range train {
				if c := &train[i]; c.state.CompareAndSwap(waiting, abandoned) {
					c.err = c.ctx.Err()
					left--
				}
			}
		}
	}
}

// finishes tells whether the call's commands only finish what was begun: then there
// is a little more room for them.
func (c *call) finishes() bool {
	for i := range c.items {
		k := &c.items[i].command
		if k.Hold == uuid.Nil && k.Original == uuid.Nil && k.Kind != KindSettlement {
			return false
		}
	}
	for i := range c.behind {
		if !c.behind[i].finishes() {
			return false
		}
	}
	return true
}

// enqueue fails with ErrOverloaded if more commands would wait than may, unless
// none do.
func (l *Ledger) enqueue(c *call) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return ErrClosed
	}
	l.nameMeters(c)
	for i := range c.behind {
		l.nameMeters(&c.behind[i])
	}
	n, room := int64(c.commands()), l.cfg.QueueSize
	if c.finishes() {
		room += l.cfg.reserve()
	}
	if waiting := l.waiting.Add(n) + l.traffic.deferred.Load(); waiting <= int64(room) || waiting == n {
		select {
		case l.queue <- c:
			l.relief()
			return nil
		default:
		}
	}
	l.waiting.Add(-n)
	l.stats.overloaded.Add(1)
	return ErrOverloaded
}
