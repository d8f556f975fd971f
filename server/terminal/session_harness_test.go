package terminal_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"

	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/gen/tillbook/terminal/v1/terminalv1connect"
)

// line is a session as a device has it.
type line struct {
	t       testing.TB
	stream  grpc.BidiStreamingClient[terminalv1.SessionRequest, terminalv1.SessionResponse]
	cancel  context.CancelFunc
	welcome *terminalv1.SessionResponse_Welcome
}

var sessionDesc = &grpc.StreamDesc{StreamName: "Session", ServerStreams: true, ClientStreams: true}

// dial opens a stream and says hello.
func (g *gadget) dial(t testing.TB, conn grpc.ClientConnInterface, hello *terminalv1.SessionRequest_Hello) *line {
	t.Helper()
	return open(g.context(t), t, conn, hello)
}

func open(ctx context.Context, t testing.TB, conn grpc.ClientConnInterface, hello *terminalv1.SessionRequest_Hello) *line {
	t.Helper()
	l := begin(ctx, t, conn)
	l.say(&terminalv1.SessionRequest{Message: &terminalv1.SessionRequest_Hello_{Hello: hello}})
	return l
}

// begin opens a stream and says nothing.
func begin(ctx context.Context, t testing.TB, conn grpc.ClientConnInterface) *line {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	t.Cleanup(cancel)
	stream, err := conn.NewStream(ctx, sessionDesc, terminalv1connect.TerminalServiceSessionProcedure)
	must(t, err)
	return &line{t: t, cancel: cancel, stream: &grpc.GenericClientStream[terminalv1.SessionRequest, terminalv1.SessionResponse]{ClientStream: stream}}
}

// session opens a session that must be welcome.
func (g *gadget) session(t testing.TB, r *replica, sequence, epoch uint64) *line {
	t.Helper()
	l := g.dial(t, r.conn, &terminalv1.SessionRequest_Hello{LastSequence: sequence, LastEpoch: epoch})
	m, err := l.read()
	must(t, err)
	if l.welcome = m.GetWelcome(); l.welcome == nil {
		t.Fatalf("got %v, want a welcome", m)
	}
	return l
}

// read waits for the next message or the end, but not forever.
func (l *line) read() (*terminalv1.SessionResponse, error) {
	defer time.AfterFunc(patience, l.cancel).Stop()
	return l.stream.Recv()
}

// say sends, and leaves it to the next read to find out that the stream is over.
func (l *line) say(m *terminalv1.SessionRequest) { _ = l.stream.Send(m) }

func (l *line) acknowledge(sequence uint64) {
	l.say(&terminalv1.SessionRequest{Message: &terminalv1.SessionRequest_Acknowledgement_{
		Acknowledgement: &terminalv1.SessionRequest_Acknowledgement{Sequence: sequence},
	}})
}

func (l *line) sayBeat(health *terminalv1.Health) {
	l.say(&terminalv1.SessionRequest{Message: &terminalv1.SessionRequest_Heartbeat_{
		Heartbeat: &terminalv1.SessionRequest_Heartbeat{Health: health},
	}})
}

// beat sends a heartbeat and waits for the answer; events before it are given to f.
func (l *line) beat(health *terminalv1.Health, f func(*terminalv1.SessionResponse_Event)) {
	l.t.Helper()
	l.sayBeat(health)
	for {
		m, err := l.read()
		must(l.t, err)
		if m.GetHeartbeat() != nil {
			return
		}
		if e := m.GetEvent(); e != nil && f != nil {
			f(e)
		}
	}
}

// event waits for the next event.
func (l *line) event() *terminalv1.SessionResponse_Event {
	l.t.Helper()
	for {
		m, err := l.read()
		must(l.t, err)
		if e := m.GetEvent(); e != nil {
			return e
		}
	}
}

// refused returns why the session ends by what was said last. A session that goes on
// answers instead, and fails the test.
func (l *line) refused() error {
	l.t.Helper()
	l.sayBeat(nil)
	m, err := l.read()
	if err == nil {
		l.t.Fatalf("got %v, want a refusal", m)
	}
	return err
}

// end waits for the end and returns its reason.
func (l *line) end() error {
	for {
		if _, err := l.read(); err != nil {
			return err
		}
	}
}
