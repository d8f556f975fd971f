package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// call is a command on its way through the committer.
type call struct {
	command  Command
	ctx      context.Context
	state    atomic.Int32
	done     chan outcome // buffered: finishing never waits for the caller
	deadline time.Time    // when the committer gives up
	lacks    AccountID    // the account that it is parked for

	// maybeExecuted is true while the command may have been executed: a COMMIT
	// that included it was lost, or its key was found but the batch failed.
	maybeExecuted bool
	// attempted is the id that the lost commit would have given.
	attempted uuid.UUID
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
		c.finish(outcome{err: c.ctx.Err()})
	}
	return false
}

func (c *call) finish(o outcome) { c.done <- o }

// outcome is what the committer tells the caller.
type outcome struct {
	made     Transaction
	existing uuid.UUID // executed before: the transaction to load
	own      bool      // existing was made by a lost commit of this very call
	err      error
}

// Commit executes a command, at most once for its key, and returns its
// transaction or the one that an earlier command with the key made.
//
// If ctx ends before the command's batch begins, nothing is executed and ctx's
// error is returned. Once it has begun, Commit waits for the outcome whatever
// ctx says; that takes milliseconds, or a few times Config.Patience when the
// database is in trouble.
func (l *Ledger) Commit(ctx context.Context, command Command) (Result, error) {
	c := &call{command: command, ctx: ctx, done: make(chan outcome, 1)}
	if err := l.enqueue(c); err != nil {
		return Result{}, err
	}
	var o outcome
	select {
	case o = <-c.done:
	case <-ctx.Done():
		if c.state.CompareAndSwap(waiting, abandoned) {
			return Result{}, ctx.Err()
		}
		o = <-c.done
	}
	if o.err != nil {
		return Result{}, o.err
	}
	if o.existing == uuid.Nil {
		return Result{Transaction: o.made}, nil
	}
	t, err := l.show(ctx, o.existing)
	if err != nil {
		// It was executed, but can't be shown now. A retry will show it.
		return Result{}, fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
	return Result{Transaction: t, Replayed: !o.own}, nil
}

// show reads the transaction that a command has made, with the patience of the
// committer: it is asked for after a fault, when connections of the pool are
// dead or silent.
func (l *Ledger) show(ctx context.Context, transaction uuid.UUID) (Transaction, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.cfg.Patience)
	defer cancel()
	for attempt := 0; ; attempt++ {
		t, err := l.showOnce(ctx, transaction)
		if err == nil || errors.Is(err, ErrTransactionNotFound) || ctx.Err() != nil {
			return t, err
		}
		time.Sleep(backoff(attempt))
	}
}

func (l *Ledger) showOnce(ctx context.Context, transaction uuid.UUID) (Transaction, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.attemptTimeout())
	defer cancel()
	return l.Transaction(ctx, transaction)
}

func (l *Ledger) enqueue(c *call) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return ErrClosed
	}
	select {
	case l.queue <- c:
		return nil
	default:
		l.stats.overloaded.Add(1)
		return ErrOverloaded
	}
}
