package terminal

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/proto"

	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
)

// Run keeps a session open until ctx ends, and then returns its error. It returns
// early only when a person is needed: the terminal isn't activated, was revoked, was
// given another device, or its journal can't be written.
func (t *Terminal) Run(ctx context.Context) error {
	if !t.running.TryLock() {
		return errRunning
	}
	defer t.running.Unlock()
	if err := t.activated(); err != nil {
		return err
	}
	if err := t.finish(ctx); err != nil {
		return err
	}
	if err := t.claim(); err != nil {
		return err
	}
	wait := t.cfg.MinBackoff
	for {
		s := &session{terminal: t}
		err := s.run(ctx)
		t.ended(ctx, s, err)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case hopeless(err) || s.broken != nil:
			return err
		}
		t.cfg.Logger.Info("the session ended", "error", err)
		pause := rand.N(wait)
		wait = min(2*wait, t.cfg.MaxBackoff)
		if s.welcome {
			wait = t.cfg.MinBackoff
		}
		if now, skewed := serverTime(err); skewed && !t.right(now) {
			t.clock.learn(now)
			pause = 0
		}
		if acknowledged, unknown := unknownSequence(err); unknown && acknowledged < t.journal.now().last {
			if err := t.journal.note(record{kind: kindBack, number: acknowledged}); err != nil {
				return err
			}
			pause = 0
		}
		if s.drained {
			pause = s.returnAfter
		}
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
	}
}

// ended tells that a session ended, or never began.
func (t *Terminal) ended(ctx context.Context, s *session, why error) {
	switch h := t.cfg.Handlers; {
	case s.welcome && h.Online != nil:
		h.Online(false, why)
	case !s.welcome && h.Failed != nil && ctx.Err() == nil:
		h.Failed(why)
	}
}

// right says whether the device knows the server's time already.
func (t *Terminal) right(server time.Time) bool {
	return t.clock.now().Sub(server).Abs() < 5*time.Second
}

// sleep waits, and says whether it came to the end of it.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// finish tells the event again in whose handler the process died.
func (t *Terminal) finish(ctx context.Context) error {
	now := t.journal.now()
	if now.open == nil {
		return nil
	}
	e := &terminalv1.SessionResponse_Event{}
	if err := proto.Unmarshal(now.open, e); err != nil {
		return fmt.Errorf("read an event in the journal: %w", err)
	}
	t.tell(ctx, e, true)
	return t.journal.note(record{kind: kindEnd, number: now.last})
}

// claim has the journal begin anew if the device has become another terminal since.
func (t *Terminal) claim() error {
	id, err := t.cfg.Keys.Terminal()
	if err != nil || id == t.journal.now().terminal {
		return err
	}
	return t.journal.note(record{kind: kindTerminal, data: []byte(id)})
}

// take tells an event that wasn't told before: noted first, told, and noted again.
func (t *Terminal) take(ctx context.Context, e *terminalv1.SessionResponse_Event) error {
	now := t.journal.now()
	if e.GetSequence() <= now.last {
		return nil
	}
	data, err := proto.Marshal(e)
	if err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	if err := t.journal.note(record{kind: kindBegin, number: e.GetSequence(), data: data}); err != nil {
		return err
	}
	t.tell(ctx, e, e.GetSequence() <= now.doubt)
	return t.journal.note(record{kind: kindEnd, number: e.GetSequence()})
}

func (t *Terminal) tell(ctx context.Context, e *terminalv1.SessionResponse_Event, maybe bool) {
	if t.cfg.Handlers.Event == nil {
		return
	}
	t.cfg.Handlers.Event(ctx, Event{
		Sequence: e.GetSequence(), Time: e.GetCreateTime().AsTime(), Maybe: maybe,
		Offered: e.GetCheckoutOffered(), Updated: e.GetCheckoutUpdated(), Paid: e.GetCheckoutPaid(),
		Refunded: e.GetCheckoutRefunded(), Configuration: e.GetConfiguration(), Command: e.GetCommand(),
	})
}
