// Package lag tells how far those are behind who should look for news all the time.
package lag

import (
	"sync/atomic"
	"time"
)

// Meter is the lag of one reader. Its zero value belongs to one that rests. It is
// safe for concurrent use.
type Meter struct{ seen atomic.Int64 } // until when all was read, since start; 0 while at rest

// start is the zero of a clock that nobody sets.
var start = time.Now().Add(-time.Second)

// Now is the moment to hand to Read later.
func Now() time.Duration { return time.Since(start) }

// Read notes that everything was read that there was at a moment.
func (m *Meter) Read(until time.Duration) { m.seen.Store(int64(until)) }

// Rest notes that the reader has nothing to read for.
func (m *Meter) Rest() { m.seen.Store(0) }

// Lag returns since when there may be news that weren't read; 0 for one at rest.
func (m *Meter) Lag() time.Duration {
	seen := m.seen.Load()
	if seen == 0 {
		return 0
	}
	return Now() - time.Duration(seen)
}
