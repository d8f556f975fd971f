package terminal

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/lag"
)

const (
	// maxRead is how many events are read at once, unless one transaction has more.
	maxRead = 5000
	// lookEvery bounds how often events are looked for while this replica writes some
	// all the time.
	lookEvery = 20 * time.Millisecond
	// readTimeout bounds one look for events.
	readTimeout = 10 * time.Second
)

// follow hands out what happens until ctx ends. Of a series of failures it logs the
// first.
func (h *hub) follow(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	failing, started := false, false
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.woken:
		case <-timer.C:
		}
		timer.Reset(h.config.Poll)
		pollCtx, cancel := context.WithTimeout(ctx, readTimeout)
		err := h.look(pollCtx, maxRead)
		cancel()
		switch {
		case err == nil && !started:
			close(h.ready)
			started = true
		case err != nil && !failing && ctx.Err() == nil:
			h.log.WarnContext(ctx, "what happens to terminals can't be followed", "error", err)
		case err == nil && failing:
			h.log.InfoContext(ctx, "what happens to terminals is followed again")
		}
		failing = err != nil
		rest(ctx, min(h.config.Poll, lookEvery))
	}
}

// rest waits, unless ctx ends.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// look polls once, and notes that everything was read if it was.
func (h *hub) look(ctx context.Context, limit int32) error {
	now := lag.Now()
	all, err := h.poll(ctx, limit)
	if err == nil && all {
		h.lag.Read(now)
	}
	return err
}

// poll reads what is new and hands it out, or after an error nothing. It says whether
// that was all there is: what goes beyond the limit is left to the next time.
func (h *hub) poll(ctx context.Context, limit int32) (all bool, err error) {
	if h.cursor == 0 { // only this goroutine writes it
		horizon, err := h.content.store.Queries().GetHorizon(ctx)
		if err != nil {
			return false, fmt.Errorf("reading the horizon: %w", err)
		}
		h.mu.Lock()
		h.cursor = horizon
		h.mu.Unlock()
		return true, nil
	}
	rows, err := h.content.store.Queries().FollowTerminals(ctx, store.FollowTerminalsParams{FromXid: h.cursor, MaxRows: limit})
	if err != nil {
		return false, fmt.Errorf("reading events: %w", err)
	}
	if whole, some := wholeTransactions(rows, int(limit)); some {
		return len(whole) == len(rows), h.handOut(ctx, whole, whole[0].Horizon)
	}
	return h.poll(ctx, 4*limit)
}

// wholeTransactions cuts off the last transaction of a read that was full, since more
// of it may follow, and puts the horizon before it. It fails if nothing is left.
func wholeTransactions(rows []store.FollowTerminalsRow, limit int) ([]store.FollowTerminalsRow, bool) {
	if len(rows) < limit {
		return rows, true
	}
	last := rows[len(rows)-1].Xid
	n := len(rows)
	for n > 0 && rows[n-1].Xid == last {
		n--
	}
	if n == 0 {
		return nil, false
	}
	rows[0].Horizon = last
	return rows[:n], true
}

// told is what one session is handed.
type told struct {
	terminal uuid.UUID
	event    event
}

// handOut gives each session that is here what is its own, and moves the cursor, in
// one moment: a session that registers before it is handed everything, and one that
// registers after it reads everything itself.
//
// What is told is read first, without holding up anybody. A session that registers
// meanwhile has nothing of it yet, so it is looked for again.
func (h *hub) handOut(ctx context.Context, rows []store.FollowTerminalsRow, horizon int64) error {
	h.control(rows)
	var all []told
	for i := range rows {
		terminal, ofSession, ok := terminalOf(rows[i].Subject)
		if ok && !ofSession && isTold(rows[i].Type) {
			all = append(all, told{terminal, event{
				sequence: sequenceOf(rows[i].Xid, rows[i].Number), kind: rows[i].Type,
				payload: rows[i].Payload, time: rows[i].CreateTime, trace: rows[i].Trace,
			}})
		}
	}
	ready := make(map[uuid.UUID][]item)
	for {
		missing := h.deliver(all, ready, horizon)
		if missing == nil {
			return nil
		}
		items, err := h.content.items(ctx, missing)
		if err != nil {
			return err
		}
		maps.Copy(ready, items)
	}
}

// deliver hands out what is ready, or returns what isn't.
func (h *hub) deliver(all []told, ready map[uuid.UUID][]item, horizon int64) (missing map[uuid.UUID][]event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range all {
		if _, known := ready[t.terminal]; known || h.sessions[t.terminal] == nil {
			continue
		}
		if missing == nil {
			missing = make(map[uuid.UUID][]event)
		}
		missing[t.terminal] = append(missing[t.terminal], t.event)
	}
	if missing != nil {
		return missing
	}
	for terminal, items := range ready {
		if s := h.sessions[terminal]; s != nil {
			s.push(items...)
		}
	}
	h.cursor = horizon
	return nil
}

// control ends sessions that others have taken over or ended.
func (h *hub) control(rows []store.FollowTerminalsRow) {
	for i := range rows {
		terminal, ofSession, ok := terminalOf(rows[i].Subject)
		if !ok || !ofSession {
			continue
		}
		switch rows[i].Type {
		case typeSessionBegun:
			if b, err := readPayload[begun](rows[i].Payload); err == nil {
				h.begun(terminal, b)
			}
		case typeSessionEnded:
			if e, err := readPayload[ending](rows[i].Payload); err == nil {
				h.over(terminal, e)
			}
		}
	}
}
