package terminal_test

import (
	"encoding/json"
	"strings"
	"testing"

	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/store/id"
)

const (
	lock   = terminalv1.CommandKind_COMMAND_KIND_LOCK
	unlock = terminalv1.CommandKind_COMMAND_KIND_UNLOCK
	reboot = terminalv1.CommandKind_COMMAND_KIND_REBOOT
	update = terminalv1.CommandKind_COMMAND_KIND_UPDATE
)

func TestASessionTellsWhatHappensInOrder(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	a, b := w.replica(t), w.replica(t)
	s := w.shop(t, a)
	g := s.gadget(t, a)
	s.command(t, a, g.terminal, update, "1.1") // before it was ever there
	l := g.session(t, a, 0, 0)
	if l.welcome.GetEpoch() != 1 || l.welcome.GetConfiguration().GetStoreName() != "Braga" || l.welcome.GetServerTime() == nil {
		t.Errorf("got %v", l.welcome)
	}
	first := l.event()
	if c := first.GetCommand(); c.GetKind() != update || c.GetVersion() != "1.1" || first.GetCreateTime() == nil {
		t.Errorf("got %v", first)
	}
	s.command(t, b, g.terminal, lock, "") // by the other replica
	second, third := l.event(), l.event()
	if !second.GetConfiguration().GetLocked() || second.GetConfiguration().GetRevision() != 2 || third.GetCommand().GetKind() != lock {
		t.Errorf("got %v, %v", second, third)
	}
	if !(first.GetSequence() < second.GetSequence() && second.GetSequence()+1 == third.GetSequence()) {
		t.Errorf("sequences %d, %d, %d", first.GetSequence(), second.GetSequence(), third.GetSequence())
	}
	l.acknowledge(second.GetSequence())
	l.beat(nil, nil)
	l.cancel()

	// The third has the same sequence at the other replica, and comes alone, as far
	// as the acknowledgement got there.
	l = g.session(t, b, second.GetSequence(), l.welcome.GetEpoch())
	if again := l.event(); again.GetSequence() != third.GetSequence() || again.GetCommand().GetKind() != lock {
		t.Errorf("got %v, want the third event", again)
	}
	eventually(t, "the acknowledgement is known", func() bool {
		l = g.session(t, b, 0, l.welcome.GetEpoch())
		return l.welcome.GetAcknowledgedSequence() == second.GetSequence()
	})
	if again := l.event(); again.GetSequence() != third.GetSequence() {
		t.Errorf("got %v, want the third event", again)
	}
}

func TestASessionIsSpokenByItsRules(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	r := w.replica(t)
	g := w.shop(t, r).gadget(t, r)
	l := begin(g.context(t), t, r.conn)
	l.acknowledge(0)
	wantReason(t, l.end(), "INVALID_ARGUMENT")

	l = g.session(t, r, 0, 0)
	l.acknowledge(1) // of what nobody sent
	wantReason(t, l.end(), "INVALID_ARGUMENT")

	l = g.session(t, r, 0, 1)
	l.say(&terminalv1.SessionRequest{Message: &terminalv1.SessionRequest_Hello_{Hello: &terminalv1.SessionRequest_Hello{}}})
	wantReason(t, l.end(), "INVALID_ARGUMENT")

	l = g.session(t, r, 0, 2)
	must(t, l.stream.CloseSend())
	if err := l.end(); reasonOf(err) != "EOF" {
		t.Errorf("a session that its device closes ends with %v", err)
	}
	wantReason(t, g.dial(t, r.conn, &terminalv1.SessionRequest_Hello{LastEpoch: 5000}).refused(), "INVALID_ARGUMENT")
}

func TestANewSessionFencesTheOldOneWhereverItIs(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	a, b := w.replica(t), w.replica(t)
	s := w.shop(t, a)
	g := s.gadget(t, a)
	last := g.session(t, a, 0, 0)
	for i, r := range []*replica{b, a, a, b, b} {
		next := g.session(t, r, 0, last.welcome.GetEpoch())
		wantReason(t, last.end(), "SESSION_FENCED")
		if next.welcome.GetEpoch() != uint64(i+2) {
			t.Errorf("epoch %d, want %d", next.welcome.GetEpoch(), i+2)
		}
		last = next
	}
	last.beat(nil, nil)
	s.command(t, a, g.terminal, reboot, "")
	if e := last.event(); e.GetCommand().GetKind() != reboot {
		t.Errorf("got %v", e)
	}
}

func TestAFencedSessionWhoseEventWasMissedIsFoundAllTheSame(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	r := w.replica(t, recheckOften)
	g := w.shop(t, r).gadget(t, r)
	l := g.session(t, r, 0, 0)
	w.exec(t, "UPDATE terminals SET epoch = epoch + 1")
	wantReason(t, l.end(), "SESSION_FENCED")
}

func TestADeviceThatLostItsWelcomeIsNoClone(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	a, b := w.replica(t), w.replica(t)
	s := w.shop(t, a)
	g := s.gadget(t, a)
	l := g.session(t, a, 0, 0)
	l.beat(nil, nil)
	for i := range 6 { // it never learns of any of these
		g.session(t, []*replica{a, b}[i%2], 0, l.welcome.GetEpoch()).cancel()
	}
	if got := g.session(t, b, 0, l.welcome.GetEpoch()); got.welcome.GetEpoch() != 8 {
		t.Errorf("got %v", got.welcome)
	}
}

// Two devices have a key and take the terminal from each other.
func TestTwoDevicesWithOneKeyAreFoundAndLocked(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	a, b := w.replica(t), w.replica(t)
	s := w.shop(t, a)
	g := s.gadget(t, a)
	first := g.session(t, a, 0, 0)
	first.beat(nil, nil)
	clone := *g // it was copied with all that it knew
	epochs := map[*gadget]uint64{g: first.welcome.GetEpoch(), &clone: first.welcome.GetEpoch()}
	rivals, at := []*gadget{&clone, g}, []*replica{b, a}
	var live *line
	found := false
	for i := 0; i < 50 && !found; i++ {
		who := rivals[i%2]
		l := who.dial(t, at[i%2].conn, &terminalv1.SessionRequest_Hello{LastEpoch: epochs[who]})
		m, err := l.stream.Recv()
		if err != nil {
			wantReason(t, err, "TERMINAL_KEY_SHARED")
			found = true
			break
		}
		epochs[who] = m.GetWelcome().GetEpoch()
		l.beat(nil, nil)
		live = l
	}
	if !found {
		t.Fatal("nobody noticed")
	}
	wantReason(t, live.end(), "TERMINAL_KEY_SHARED")
	for _, who := range rivals {
		wantReason(t, who.dial(t, b.conn, &terminalv1.SessionRequest_Hello{LastEpoch: epochs[who]}).end(), "TERMINAL_KEY_SHARED")
	}
	if got := s.terminal(t, b, g.terminal); got.GetAttention() != terminalv1.TerminalAttention_TERMINAL_ATTENTION_KEY_SHARED {
		t.Errorf("got %v", got)
	}
	s.wantAlert(t, g.terminal)
	if got := w.trail(t, g.terminal); !strings.HasSuffix(got, "system - key_shared") {
		t.Errorf("the audit trail says\n%s", got)
	}

	s.command(t, a, g.terminal, unlock, "")
	if l := g.session(t, b, 0, 1); l.event().GetConfiguration().GetLocked() {
		t.Error("unlocked, but told that it is locked")
	}
}

// wantAlert looks for the one alert of the merchant's.
func (s *shop) wantAlert(t *testing.T, terminal string) {
	t.Helper()
	var n int
	var payload []byte
	must(t, s.town.owner.Pool.QueryRow(t.Context(), `SELECT count(*) OVER (), payload FROM events
		WHERE type = 'terminal.alert' AND subject = 'merchant/' || $1`, s.merchant).Scan(&n, &payload))
	var alert struct{ Terminal, Message string }
	must(t, json.Unmarshal(payload, &alert))
	wanted, err := id.Parse(id.Terminal, terminal)
	must(t, err)
	if n != 1 || alert.Terminal != wanted.String() || alert.Message == "" {
		t.Errorf("%d alerts, %+v", n, alert)
	}
}

func TestRevokingEndsASessionOnAnotherReplicaAtOnce(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	a, b := w.replica(t), w.replica(t)
	s := w.shop(t, a)
	g := s.gadget(t, a)
	l := g.session(t, b, 0, 0)
	first := s.revoke(t, a, g.terminal)
	wantReason(t, l.end(), "TERMINAL_REVOKED")
	wantReason(t, g.dial(t, b.conn, &terminalv1.SessionRequest_Hello{}).refused(), "TERMINAL_REVOKED")
	wantReason(t, g.dial(t, a.conn, &terminalv1.SessionRequest_Hello{}).refused(), "TERMINAL_REVOKED")
	if again := s.revoke(t, b, g.terminal); again.GetRevokeTime().AsTime() != first.GetRevokeTime().AsTime() ||
		again.GetState() != terminalv1.TerminalState_TERMINAL_STATE_REVOKED {
		t.Errorf("got %v after %v", again, first)
	}
}
