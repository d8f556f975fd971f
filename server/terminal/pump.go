package terminal

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/cause"
)

const (
	// pageSize is how many messages of the backlog are in memory at a time.
	pageSize = 100
	// pageTimeout bounds one read of the backlog.
	pageTimeout = 10 * time.Second
)

// push queues messages, and has them sent. A device that doesn't read fills the
// queue and loses its session, not its messages. What comes together is taken
// together, whatever its number, if nothing waits. What the device has taken
// elsewhere, ahead of this replica's follower, isn't sent again.
func (s *session) push(items ...item) {
	s.mu.Lock()
	items = slices.DeleteFunc(slices.Clone(items), func(it item) bool { return it.sequence > 0 && it.sequence <= s.from })
	half := s.hub.config.Queue / 2
	before, after := len(s.queue), len(s.queue)+len(items)
	switch {
	case s.closed:
		s.mu.Unlock()
		return
	case before > 0 && after > s.hub.config.Queue:
		s.closed = true
		s.mu.Unlock()
		s.end(errNotReading)
		return
	}
	s.queue = append(s.queue, items...)
	if !s.pumping {
		s.pumping, s.idle = true, make(chan struct{})
		go s.pump(s.idle) // ends when there is nothing left to send
	}
	s.mu.Unlock()
	if before <= half && after > half {
		s.note(nil)
	}
}

// pump sends the backlog and then what is in the queue, until there is nothing left.
func (s *session) pump(stopped chan<- struct{}) {
	defer close(stopped)
	for {
		items, goOn := s.next()
		if !goOn {
			return
		}
		for i := range items {
			if err := s.send(&items[i]); err != nil {
				s.end(err)
				s.abandon()
				return
			}
		}
	}
}

// next returns what to send next, or false if that is nothing.
func (s *session) next() ([]item, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.caughtUp && !s.closed {
		from := s.from
		s.mu.Unlock()
		items, last, err := s.hub.backlog(s, from)
		s.mu.Lock()
		switch {
		case s.closed: // what was read is sent in the next session
		case err != nil:
			s.end(errBusy.WithCause(err))
			s.queue, s.closed = nil, true
		default:
			s.from, s.caughtUp = max(s.from, last), last == 0
			if len(items) > 0 {
				return items, true
			}
		}
	}
	if len(s.queue) == 0 {
		s.queue, s.pumping = nil, false
		return nil, false
	}
	first := s.queue[:1:1]
	s.queue = s.queue[1:]
	return first, true
}

// abandon stops what is left to be sent.
func (s *session) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue, s.closed, s.caughtUp, s.pumping = nil, true, true, false
}

// send sends one message. That it was sent is noted first, since its acknowledgement
// may be here before Send returns.
func (s *session) send(it *item) error {
	if it.sequence > 0 {
		s.mu.Lock()
		s.sent = max(s.sent, it.sequence)
		if it.offered != uuid.Nil {
			s.offers = append(s.offers, offer{it.sequence, it.offered})
		}
		s.mu.Unlock()
	}
	_, span := cause.Start(s.ctx, "terminal.push", cause.Parsed(it.trace))
	err := s.stream.Send(it.message)
	span.End()
	if err != nil {
		return err
	}
	if it.offered != uuid.Nil {
		s.hub.marks.dispatched(it.offered)
	}
	return nil
}

// backlog reads a page of what a terminal was told before its session was
// registered, and returns the sequence at which the next page goes on; 0 if this is
// the last.
func (h *hub) backlog(s *session, from uint64) (items []item, last uint64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), pageTimeout)
	defer cancel()
	xid, number := placeOf(from)
	rows, err := h.content.store.Queries().ListTerminalEvents(ctx, store.ListTerminalEventsParams{
		Subject: subjectOf(s.terminal), FromXid: xid, FromNumber: number, Horizon: s.start, MaxRows: pageSize,
	})
	if err != nil {
		return nil, 0, fmt.Errorf("reading a terminal's messages: %w", err)
	}
	var events []event
	for i := range rows {
		sequence := sequenceOf(rows[i].Xid, rows[i].Number)
		if len(rows) == pageSize {
			last = sequence
		}
		if isTold(rows[i].Type) {
			events = append(events, event{sequence, rows[i].Type, rows[i].Payload, rows[i].CreateTime, rows[i].Trace})
		}
	}
	if len(events) == 0 {
		return nil, last, nil
	}
	made, err := h.content.items(ctx, map[uuid.UUID][]event{s.terminal: events})
	return made[s.terminal], last, err
}
