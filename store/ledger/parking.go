package ledger

import (
	"errors"
	"slices"
	"time"
)

var errAccountLocked = errors.New("an account is locked by another session")

// park sets calls aside whose accounts another session has locked, so that
// their neighbours need not wait for them.
func (l *Ledger) park(calls []*call) {
	for i, c := range calls {
		select {
		case l.parked <- c:
		default:
			l.giveUp(calls[i:], errAccountLocked)
			return
		}
	}
}

// attend tries parked calls again until they succeed or their deadline passes. It
// ends when parked is closed and empty.
//
// First it passes by what is still locked. But an account that many want is never
// found free, since somebody is always next in line. So it then stands in line
// itself, for one account at a time.
func (c *committer) attend() {
	var calls []*call
	for attempt := 0; ; attempt++ {
		calls = c.collect(calls)
		if len(calls) == 0 {
			return
		}
		before := len(calls)
		var err error
		calls, err = c.attendAll(calls, locking{passBy: true})
		if len(calls) > 0 && errors.Is(err, errAccountLocked) {
			calls, err = c.attendAll(calls, locking{passBy: true, first: calls[0].lacks})
		}
		if len(calls) < before {
			attempt = 0
		}
		calls = c.l.dropLate(dropLeft(calls), err)
		if len(calls) > 0 {
			time.Sleep(backoff(attempt))
		}
	}
}

// attendAll tries calls once. It returns those to be tried again and why; if it
// stood in line for the first of them, that one now comes last.
func (c *committer) attendAll(calls []*call, how locking) (rest []*call, err error) {
	rest, err = c.attempt(calls, how)
	switch {
	case err == nil:
		err = errAccountLocked
	case wantsSplit(err):
		rest, err = c.attendEach(calls)
	default:
		c.l.stats.retried(sqlState(err))
		rest = slices.Clone(calls)
	}
	if lockedElsewhere(err) {
		err = errAccountLocked
	}
	if how.first != 0 && len(rest) > 0 && rest[0] == calls[0] {
		rest = append(rest[1:], rest[0])
	}
	return rest, err
}

// attendEach tries calls one at a time, so that only the one at fault fails, and
// that one twice: a key that another session used meanwhile is then found. It
// returns those to be tried again and why.
func (c *committer) attendEach(calls []*call) (rest []*call, err error) {
	for i := range calls {
		one := calls[i : i+1]
		stuck, err := c.attempt(one, locking{passBy: true})
		if err != nil && wantsSplit(err) {
			stuck, err = c.attempt(one, locking{passBy: true})
		}
		switch {
		case err == nil:
			rest = append(rest, stuck...)
		case wantsSplit(err):
			c.l.giveUp(one, err)
		default:
			return append(rest, calls[i:]...), err
		}
	}
	return rest, errAccountLocked
}

// collect adds newly parked calls to those still waiting. If there are none it
// waits for one; it returns none only when there will be no more.
func (c *committer) collect(calls []*call) []*call {
	calls = append(make([]*call, 0, len(calls)+1), calls...)
	if len(calls) == 0 {
		first, ok := <-c.l.parked
		if !ok {
			return nil
		}
		calls = append(calls, first)
	}
	for len(calls) < c.l.cfg.MaxBatch {
		select {
		case next, ok := <-c.l.parked:
			if !ok {
				return calls
			}
			calls = append(calls, next)
		default:
			return calls
		}
	}
	return calls
}

// dropLeft gives up on calls whose callers have left and that surely weren't executed,
// and returns the others. None of them may be in a transaction that is open.
func dropLeft(calls []*call) []*call {
	return slices.DeleteFunc(calls, func(c *call) bool {
		if c.ctx.Err() == nil || c.maybeExecuted() {
			return false
		}
		c.fail(c.ctx.Err())
		return true
	})
}

// dropLate gives up on calls whose deadline has passed and returns the others.
func (l *Ledger) dropLate(calls []*call, err error) []*call {
	now := time.Now()
	var late, rest []*call
	for _, c := range calls {
		if now.After(c.deadline) {
			late = append(late, c)
		} else {
			rest = append(rest, c)
		}
	}
	if len(late) > 0 {
		l.giveUp(late, err)
	}
	return rest
}
