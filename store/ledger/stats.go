package ledger

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// Stats are counts since the ledger was made, but for QueueDepth, QueueLimit and
// EventLag.
type Stats struct {
	QueueDepth   int              // commands that wait
	QueueLimit   int              // how many may
	EventLag     time.Duration    // how far watches are behind other replicas' commits; 0 without watches
	Batches      int64            // batches gathered
	Calls        int64            // commands in them
	Commits      int64            // batches that committed something
	Transactions int64            // transactions made
	Replayed     int64            // commands answered with an earlier result
	Refused      int64            // commands refused, by funds or otherwise
	Overloaded   int64            // commands turned away from a full queue
	Lost         int64            // commits whose answer was lost
	Unknown      int64            // commands that ended as ErrOutcomeUnknown
	Retries      map[string]int64 // failed attempts by SQLSTATE, or "connection"
}

type stats struct {
	batches, calls, commits, transactions        atomic.Int64
	replayed, refused, overloaded, lost, unknown atomic.Int64

	mu      sync.Mutex
	retries map[string]int64
}

func (s *stats) batch(calls int) {
	s.batches.Add(1)
	s.calls.Add(int64(calls))
}

func (s *stats) committed(transactions int) {
	if transactions > 0 {
		s.commits.Add(1)
		s.transactions.Add(int64(transactions))
	}
}

func (s *stats) retried(state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retries == nil {
		s.retries = make(map[string]int64)
	}
	s.retries[state]++
}

// Stats returns what the ledger has counted.
func (l *Ledger) Stats() Stats {
	s := &l.stats
	s.mu.Lock()
	retries := maps.Clone(s.retries)
	s.mu.Unlock()
	return Stats{
		QueueDepth: int(l.waiting.Load() + l.traffic.deferred.Load()), QueueLimit: l.cfg.QueueSize, EventLag: l.feed.lag.Lag(),
		Batches: s.batches.Load(), Calls: s.calls.Load(),
		Commits: s.commits.Load(), Transactions: s.transactions.Load(),
		Replayed: s.replayed.Load(), Refused: s.refused.Load(), Overloaded: s.overloaded.Load(),
		Lost: s.lost.Load(), Unknown: s.unknown.Load(), Retries: retries,
	}
}
