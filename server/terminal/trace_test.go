package terminal_test

import (
	"strings"
	"testing"

	"github.com/tillbook/tillbook/server/otlptest"
)

// TestAPushToATerminalIsInTheTraceOfWhatCausedIt, on another replica.
func TestAPushToATerminalIsInTheTraceOfWhatCausedIt(t *testing.T) {
	c := otlptest.Start(t)
	w := newTown(t)
	here, there := w.replica(t), w.replica(t)
	s := w.shop(t, here)
	g := s.gadget(t, here)
	l := g.session(t, there, 0, 0)
	s.command(t, here, g.terminal, reboot, "")
	if e := l.event(); e.GetCommand().GetKind() != reboot {
		t.Fatalf("got %v", e)
	}
	there.stop()
	here.stop()

	calls := c.Find(func(s otlptest.Span) bool { return strings.HasSuffix(s.GetName(), "/SendCommand") })
	if len(calls) != 1 {
		t.Fatalf("%d calls", len(calls))
	}
	push := c.One(t, "terminal.push", calls[0].Trace())
	if !push.IsIn(calls[0]) || push.Replica == calls[0].Replica {
		t.Errorf("the push isn't in the call, or not of the other replica: %v", push)
	}
	sessions := c.Find(func(s otlptest.Span) bool { return strings.HasSuffix(s.GetName(), "/Session") })
	if len(sessions) != 1 || !push.LinksTo(sessions[0]) {
		t.Errorf("the push isn't linked to its session: %v", push.GetLinks())
	}
}
