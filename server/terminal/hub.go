package terminal

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/store/lag"
)

// hub knows the sessions of this replica, and hands them what happens.
type hub struct {
	content  *content
	presence *presence
	marks    *marks
	log      *slog.Logger
	config   Config
	draining context.Context
	lag      lag.Meter

	woken chan struct{}
	// ready is closed once the follower knows where it begins.
	ready chan struct{}

	mu       sync.Mutex
	sessions map[uuid.UUID]*session
	// cursor is the first transaction that was not handed out yet.
	cursor int64
	// leaving is how many sessions there were when the replica began to stop.
	leaving int
}

func newHub(d Deps, c *content) *hub {
	return &hub{
		content: c, presence: newPresence(d), marks: newMarks(d), log: d.Logger, config: d.Config, draining: d.Draining,
		woken: make(chan struct{}, 1), ready: make(chan struct{}),
		sessions: make(map[uuid.UUID]*session),
	}
}

// wake makes the follower look at once: this replica just wrote something.
func (h *hub) wake() {
	select {
	case h.woken <- struct{}{}:
	default:
	}
}

// register lets a session in, and fixes where it begins: before that it reads
// itself, from there on it is handed what happens. It fails with SESSION_FENCED if a
// newer one is here.
func (h *hub) register(ctx context.Context, s *session) error {
	select {
	case <-h.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	h.mu.Lock()
	older := h.sessions[s.terminal]
	if older != nil && older.epoch > s.epoch {
		h.mu.Unlock()
		return errFenced
	}
	h.sessions[s.terminal] = s
	s.start = h.cursor
	h.mu.Unlock()
	if older != nil {
		older.end(errFenced)
	}
	return nil
}

// unregister forgets a session, unless a newer one took its place.
func (h *hub) unregister(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sessions[s.terminal] == s {
		delete(h.sessions, s.terminal)
	}
}

// here returns the session of a terminal on this replica, or nil.
func (h *hub) here(terminal uuid.UUID) *session {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sessions[terminal]
}

// Stats say how a replica's part of the fleet is.
type Stats struct {
	// Sessions is how many terminals are connected here.
	Sessions int64
	// EventLag is how far they are behind what happens.
	EventLag time.Duration
}

// Stats returns how things are now.
func (s *Service) Stats() Stats {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return Stats{Sessions: int64(len(s.hub.sessions)), EventLag: s.hub.lag.Lag()}
}

// everybody returns all sessions.
func (h *hub) everybody() []*session {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]*session, 0, len(h.sessions))
	for _, s := range h.sessions {
		all = append(all, s)
	}
	return all
}

// begun ends the session of a terminal that is older than another one somewhere.
func (h *hub) begun(terminal uuid.UUID, b begun) {
	if s := h.here(terminal); s != nil && s.epoch < b.Epoch {
		s.end(errFenced)
	}
}

// over ends the sessions of a terminal up to an epoch.
func (h *hub) over(terminal uuid.UUID, e ending) {
	if s := h.here(terminal); s != nil && s.epoch <= e.Epoch {
		s.end(endingError(e.Why))
	}
}

// returnAfter is how long a terminal whose session is moved waits before it comes
// back. When the replica stops, that is spread so that the others aren't overrun.
func (h *hub) returnAfter() time.Duration {
	spread := time.Second
	if h.draining.Err() != nil {
		h.mu.Lock()
		h.leaving = max(h.leaving, len(h.sessions))
		spread = max(spread, time.Duration(h.leaving)*time.Second/time.Duration(h.config.ReturnRate))
		h.mu.Unlock()
	}
	return rand.N(spread)
}
