package rpc

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// patience is how much work payments may have before them: what is done in that
	// time. Clients wait longer than that, so they are there when it is done, but for
	// those that were let in before it got slow.
	patience = time.Second
	// hurried is how long payments take, on average, when there is nothing to bound:
	// many of them at once are faster together.
	hurried = patience / 2
	// atOnce is how soon what fails has waited for nothing: the caller may not pay, or
	// pays too often, or a queue is full. Clients that insist get far more of these
	// answers than there are payments, which look fast and many among them.
	atOnce = 100 * time.Millisecond
	// leastPayments may be under way however slow they are.
	leastPayments = 64

	beatLength = 100 * time.Millisecond
	beatCount  = 10
)

// pace bounds how many payments are under way by how fast they come along: once they
// are slow, no more than what is done within a patience. A queue that is bounded by
// its length alone is too long for a small machine or a slow database, and then each
// payment waits until nobody wants its answer.
type pace struct {
	mu    sync.Mutex
	beats [beatCount]beat
	now   int64 // the number of the current beat
	// limit is how many may be under way, or 0 for any number; it was said at a beat.
	limit, said atomic.Int64
}

// beat is what ended within a moment.
type beat struct {
	ended, done int64 // done without being cut short
	took        time.Duration
}

// ended notes at a time that a payment ended.
func (p *pace) ended(at, took time.Duration, whole bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := int64(at / beatLength); now > p.now {
		p.sum(now)
	}
	b := &p.beats[p.now%beatCount]
	b.ended++
	b.took += took
	if whole {
		b.done++
	}
}

// sum begins a new beat and draws the sum of those before it.
func (p *pace) sum(now int64) {
	for n := max(p.now+1, now-beatCount+1); n <= now; n++ {
		p.beats[n%beatCount] = beat{}
	}
	p.now = now
	var all beat
	for _, b := range p.beats {
		all.ended, all.done, all.took = all.ended+b.ended, all.done+b.done, all.took+b.took
	}
	limit := int64(0)
	if all.ended > 0 && all.took/time.Duration(all.ended) > hurried {
		limit = max(leastPayments, all.done*int64(patience/(beatCount*beatLength)))
	}
	p.limit.Store(limit)
	p.said.Store(now)
}

// room is how many payments may be under way at a time: at most so many, and so many
// are. Where none has ended for a while, the bound is over only if hardly any is under
// way. Otherwise the database has stopped, and whatever is let in waits behind them.
func (p *pace) room(at time.Duration, most, underWay int) int {
	limit := p.limit.Load()
	if underWay < leastPayments && int64(at/beatLength)-p.said.Load() > beatCount {
		p.limit.CompareAndSwap(limit, 0)
		limit = 0
	}
	if limit == 0 {
		return most
	}
	return min(int(limit), most)
}
