package terminal_test

import (
	"math"
	"strconv"
	"testing"

	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
)

// A device may say only what its terminal has: behind a number that comes in a while,
// all would be passed over until then.
func TestADeviceCannotHaveTakenWhatItsTerminalDoesNotHave(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	a, b := w.replica(t), w.replica(t)
	s := w.shop(t, a)
	g, other := s.gadget(t, a), s.gadget(t, a)
	s.command(t, a, g.terminal, update, "1")
	l := g.session(t, a, 0, 0)
	first := l.event().GetSequence()
	l.acknowledge(first)
	l.beat(nil, nil)
	l.cancel()
	s.command(t, a, other.terminal, update, "other")
	foreign := other.session(t, a, 0, 0).event().GetSequence()
	s.command(t, a, g.terminal, update, "2")
	eventually(t, "the acknowledgement is known", func() bool {
		l = g.session(t, b, 0, l.welcome.GetEpoch())
		return l.welcome.GetAcknowledgedSequence() == first
	})
	second := l.event().GetSequence()
	for _, never := range []uint64{foreign, second - 1, second + 1, second + 1000<<16, 1 << 63, math.MaxUint64} {
		err := g.dial(t, b.conn, &terminalv1.SessionRequest_Hello{LastSequence: never, LastEpoch: l.welcome.GetEpoch()}).refused()
		wantReason(t, err, "SEQUENCE_UNKNOWN")
		if got := infoOf(err).GetMetadata()["acknowledged_sequence"]; got != strconv.FormatUint(first, 10) {
			t.Errorf("%d was never sent: go on after %s, want %d", never, got, first)
		}
	}
	l.acknowledge(math.MaxUint64) // nor can it in its session
	wantReason(t, l.refused(), "INVALID_ARGUMENT")
	for _, r := range []*replica{a, b} {
		l = g.session(t, r, first, l.welcome.GetEpoch())
		if e := l.event(); e.GetSequence() != second || e.GetCommand().GetVersion() != "2" {
			t.Errorf("got %v, want the second command", e)
		}
	}
	s.command(t, b, g.terminal, update, "3")
	l = g.session(t, a, second, l.welcome.GetEpoch())
	if e := l.event(); e.GetCommand().GetVersion() != "3" {
		t.Errorf("got %v, want the third command", e)
	}
}

// What the device before has taken isn't for the new one, and the rest is.
func TestANewDeviceGetsWhatTheOneBeforeHasNotTaken(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	a, b := w.replica(t), w.replica(t)
	s := w.shop(t, a)
	g := s.gadget(t, a)
	s.command(t, a, g.terminal, update, "1")
	s.command(t, a, g.terminal, update, "2")
	l := g.session(t, a, 0, 0)
	first := l.event().GetSequence()
	l.acknowledge(first)
	l.beat(nil, nil)
	eventually(t, "the acknowledgement is known", func() (known bool) {
		must(t, w.owner.Pool.QueryRow(t.Context(), "SELECT coalesce(bool_or(acked = $1), false) FROM terminal_presence", int64(first)).Scan(&known))
		return known
	})
	code := s.reissue(t, b, g.terminal)
	wantReason(t, l.end(), "ASSERTION_INVALID")
	next := newGadget(t)
	_, err := next.activate(t, b, code)
	must(t, err)
	s.command(t, a, g.terminal, update, "3")
	l = next.session(t, b, 0, 0)
	if l.welcome.GetAcknowledgedSequence() != first {
		t.Errorf("got %v, want %d to be acknowledged", l.welcome, first)
	}
	for _, want := range []string{"2", "3"} {
		if e := l.event(); e.GetCommand().GetVersion() != want {
			t.Errorf("got %v, want command %s", e, want)
		}
	}
}
