package terminal_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/server"
)

// A device that never reads fills the transport's windows and then its queue. Its
// session ends, its messages stay, and the other terminals don't notice.
func TestASlowDeviceLosesItsSessionAndNotItsMessages(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	r := w.replica(t, func(c *server.Config) { c.Terminal.Queue = 16 })
	s := w.shop(t, r)
	slow, quick := s.gadget(t, r), s.gadget(t, r)
	l, other := slow.session(t, r, 0, 0), quick.session(t, r, 0, 0)

	wide := strings.Repeat("w", 40)
	sent := 0
	subject := "terminal/" + slow.terminal
	ended := func() bool {
		// Many at once, as a shop's till would never send them.
		w.exec(t, `INSERT INTO events (type, subject, payload)
			SELECT 'terminal.command', $1, jsonb_build_object('kind', 4, 'version', $2::text || n) FROM generate_series($3::int, $3::int + 199) AS n`, subject, wide, sent)
		sent += 200
		s.command(t, r, quick.terminal, reboot, "")
		if e := other.event(); e.GetCommand().GetKind() != reboot {
			t.Errorf("the other terminal got %v", e)
		}
		state := s.terminal(t, r, slow.terminal)
		return state.GetState() == terminalv1.TerminalState_TERMINAL_STATE_OFFLINE && state.GetLastSeenTime() != nil
	}
	eventually(t, "the session of a device that doesn't read ends", ended)

	// Now it reads what is under way, and then why that was all.
	got := 0
	last := uint64(0)
	for {
		m, err := l.stream.Recv()
		if err != nil {
			wantReason(t, err, "NOT_READING")
			break
		}
		if e := m.GetEvent(); e.GetCommand().GetVersion() != fmt.Sprint(wide, got) {
			t.Fatalf("message %d is %v", got, e)
		} else {
			last = e.GetSequence()
		}
		got++
	}
	if got == 0 || got >= sent {
		t.Errorf("%d of %d messages were under way", got, sent)
	}
	l = slow.session(t, r, last, l.welcome.GetEpoch())
	for ; got < sent; got++ {
		e := l.event()
		if e.GetCommand().GetVersion() != fmt.Sprint(wide, got) {
			t.Fatalf("message %d is %v", got, e)
		}
		l.acknowledge(e.GetSequence())
	}
}

func TestAStoppingReplicaSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	a, b := w.replica(t, func(c *server.Config) { c.Terminal.ReturnRate = 1 }), w.replica(t)
	s := w.shop(t, b)
	var lines []*line
	for range 10 {
		lines = append(lines, s.gadget(t, b).session(t, a, 0, 0))
	}
	http := s.gadget(t, b).dial(t, dial(t, a.Addr()), &terminalv1.SessionRequest_Hello{}) // at the other door
	if m, err := http.stream.Recv(); err != nil || m.GetWelcome() == nil {
		t.Fatalf("got %v, %v", m, err)
	}
	lines = append(lines, http)
	stopped := make(chan struct{})
	go func() { defer close(stopped); a.stop() }()
	longest := time.Duration(0)
	for _, l := range lines {
		m, err := l.stream.Recv()
		must(t, err)
		drain := m.GetDrain()
		if drain == nil {
			t.Fatalf("got %v, want a drain notice", m)
		}
		longest = max(longest, time.Duration(drain.GetReconnectAfterMs())*time.Millisecond)
		wantReason(t, l.end(), "STREAM_MOVED")
	}
	<-stopped
	// Eleven terminals at one a second: all within a second has a chance of 1 in 10^11.
	if longest <= time.Second || longest > 11*time.Second {
		t.Errorf("the last one comes back after %s", longest)
	}
}

func TestASessionOfAnOldStreamMovesOn(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	// The door cuts a connection a tenth of that after its last stream should have ended.
	r := w.replica(t, func(c *server.Config) { c.StreamAge = 3 * time.Second })
	g := w.shop(t, r).gadget(t, r)
	l := g.session(t, r, 0, 0)
	m, err := l.stream.Recv()
	must(t, err)
	if m.GetDrain() == nil {
		t.Errorf("got %v, want a drain notice", m)
	}
	wantReason(t, l.end(), "STREAM_MOVED")
}

// The backlog is read in pages, and what happens meanwhile comes after it.
func TestALongBacklogComesInOrderBeforeWhatIsNew(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	r := w.replica(t)
	s := w.shop(t, r)
	g := s.gadget(t, r)
	const backlog = 450
	w.exec(t, `INSERT INTO events (type, subject, payload)
		SELECT CASE WHEN n % 3 = 0 THEN 'checkout.dispatched' ELSE 'terminal.command' END, $1,
		       jsonb_build_object('kind', 4, 'version', n::text) FROM generate_series(1, $2::int) AS n`, "terminal/"+g.terminal, backlog)
	s.command(t, r, g.terminal, update, fmt.Sprint(backlog+1))
	for _, door := range []*grpc.ClientConn{r.conn, dial(t, r.Addr())} {
		l := g.dial(t, door, &terminalv1.SessionRequest_Hello{})
		last := uint64(0)
		for n := 1; n <= backlog+1; n++ {
			if n%3 == 0 && n <= backlog {
				continue // not for devices
			}
			e := l.event()
			if e.GetCommand().GetVersion() != fmt.Sprint(n) || e.GetSequence() <= last {
				t.Fatalf("message %d is %v, after %d", n, e, last)
			}
			last = e.GetSequence()
		}
		l.cancel()
	}
}
