package terminal

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/server/checkout"
)

// noteEvery bounds how often notes are written while many sales are under way: each
// one is a transaction, however much it says.
const noteEvery = 50 * time.Millisecond

const (
	// retryNotes is how often what couldn't be noted is tried again at the latest.
	retryNotes = time.Second
	// maxKept bounds what is kept of each kind while the database doesn't answer. What
	// is dropped beyond it costs nobody money: a checkout can be paid however far it has
	// come. If it expires, it may be said to have come less far than it did.
	maxKept = 100_000
)

// marks collects which checkouts were sent to their terminals and which of them the
// terminals took, and notes both: what gathers while one note is under way is the
// next.
type marks struct {
	desk *checkout.Desk
	log  *slog.Logger

	mu    sync.Mutex
	sent  []uuid.UUID
	taken []uuid.UUID
	woken chan struct{}
}

func newMarks(d Deps) *marks {
	return &marks{desk: d.Desk, log: d.Logger, woken: make(chan struct{}, 1)}
}

func (m *marks) dispatched(checkout uuid.UUID) { m.add(&m.sent, checkout) }

func (m *marks) acknowledged(checkouts []uuid.UUID) { m.add(&m.taken, checkouts...) }

func (m *marks) add(to *[]uuid.UUID, checkouts ...uuid.UUID) {
	if len(checkouts) == 0 {
		return
	}
	m.mu.Lock()
	*to = append(*to, checkouts...)
	m.mu.Unlock()
	select {
	case m.woken <- struct{}{}:
	default:
	}
}

// run notes until ctx ends, and once more then.
func (m *marks) run(ctx context.Context) {
	repeat(ctx, m.woken, retryNotes, func() {
		m.write(ctx)
		rest(ctx, noteEvery)
	})
}

// repeat does something when it is woken, at the latest every so often, and once more
// after ctx has ended: what came while it was done the time before is done then.
func repeat(ctx context.Context, woken <-chan struct{}, every time.Duration, do func()) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for last := false; !last; {
		select {
		case <-woken:
		case <-ticker.C:
		case <-ctx.Done():
			last = true
		}
		do()
	}
}

// write notes what there is. What can't be noted is kept for the next time, as far as
// there is room.
func (m *marks) write(ctx context.Context) {
	m.mu.Lock()
	sent, taken := m.sent, m.taken
	m.sent, m.taken = nil, nil
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	if len(sent) > 0 {
		if err := m.desk.MarkDispatched(ctx, sent); err != nil {
			dropped := m.keep(&m.sent, sent)
			m.log.WarnContext(ctx, "that checkouts were sent can't be noted; what isn't dropped is tried again", "dropped", dropped, "error", err)
		}
	}
	if len(taken) > 0 {
		if err := m.desk.MarkAcknowledged(ctx, taken); err != nil {
			dropped := m.keep(&m.taken, taken)
			m.log.WarnContext(ctx, "that checkouts were taken can't be noted; what isn't dropped is tried again", "dropped", dropped, "error", err)
		}
	}
}

// keep takes down again what couldn't be noted, and returns for how much of it there is
// no room. The next sale or the next tick has it written.
func (m *marks) keep(in *[]uuid.UUID, checkouts []uuid.UUID) (dropped int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	room := min(len(checkouts), max(0, maxKept-len(*in)))
	*in = append(checkouts[:room:room], *in...)
	return len(checkouts) - room
}
