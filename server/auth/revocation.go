package auth

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/store"
)

// revocations knows which sessions were ended while an access token of theirs
// may still be valid. It follows the table of revocations, which all replicas
// write.
//
// It forgets a session once all its tokens have expired, so it holds no more
// than were ended in that time; to end one takes a sign-in, and those are bounded.
type revocations struct {
	store *store.Store
	now   func() time.Time
	// keep is how long a revocation matters.
	keep time.Duration
	// maxAge is how old the last successful poll may be.
	maxAge time.Duration

	mu    sync.RWMutex
	ended map[uuid.UUID]time.Time

	// cursor is used by the one goroutine that polls.
	cursor int64
	// polled is the time of the last successful poll, by the process's own
	// monotonic clock.
	polled atomic.Int64
}

// processStart is the zero of a clock that no one sets.
var processStart = time.Now()

func newRevocations(s *store.Store, now func() time.Time, c Config) *revocations {
	return &revocations{
		store:  s,
		now:    now,
		keep:   2 * c.AccessLife,
		maxAge: c.PollMaxAge,
		ended:  make(map[uuid.UUID]time.Time),
	}
}

// has says whether a session was ended.
func (r *revocations) has(session uuid.UUID) bool {
	r.mu.RLock()
	_, ok := r.ended[session]
	r.mu.RUnlock()
	return ok
}

// add notes sessions that this replica ended, so that it knows at once.
func (r *revocations) add(sessions ...uuid.UUID) {
	if len(sessions) == 0 {
		return
	}
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, session := range sessions {
		r.ended[session] = now
	}
}

// stale says that revocations by other replicas may be unknown here for longer
// than is bearable.
func (r *revocations) stale() bool {
	return time.Since(processStart)-time.Duration(r.polled.Load()) > r.maxAge
}

// poll reads what was revoked since the last time.
//
// It reads from the horizon that the poll before it saw: everything below was
// visible then. What lies above is read again, which does no harm, so a
// transaction that takes long to commit is neither skipped nor hides others.
func (r *revocations) poll(ctx context.Context) error {
	began := time.Since(processStart)
	rows, err := r.store.Queries().ListRevocations(ctx, r.cursor)
	if err != nil {
		return fmt.Errorf("read the revocations: %w", err)
	}
	horizon := r.cursor
	r.mu.Lock()
	for _, row := range rows {
		horizon = row.Horizon
		if row.SessionID != nil && row.CreateTime != nil {
			r.ended[*row.SessionID] = *row.CreateTime
		}
	}
	r.mu.Unlock()
	if horizon < r.cursor {
		// A server that was promoted or restored counts from further back.
		horizon = 0
	}
	r.cursor = horizon
	if horizon > 0 {
		r.polled.Store(int64(began))
	}
	return nil
}

// forget drops sessions whose access tokens have all expired.
func (r *revocations) forget() {
	before := r.now().Add(-r.keep)
	r.mu.Lock()
	defer r.mu.Unlock()
	for session, ended := range r.ended {
		if ended.Before(before) {
			delete(r.ended, session)
		}
	}
}
