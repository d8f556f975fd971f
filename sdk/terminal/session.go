package terminal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
)

const (
	// welcomeTimeout is how long a device waits to be let in.
	welcomeTimeout = 20 * time.Second
	// missedHeartbeats is how many answers may be missing before a session is given
	// up.
	missedHeartbeats = 3
	// defaultHeartbeat is how often heartbeats are sent if the server doesn't say.
	defaultHeartbeat = 30 * time.Second
)

var (
	errNoWelcome = errors.New("the server didn't welcome the terminal in time")
	errNoAnswer  = errors.New("the server doesn't answer heartbeats")
)

// session is one connection, as the device sees it.
type session struct {
	terminal *Terminal
	stream   grpc.BidiStreamingClient[terminalv1.SessionRequest, terminalv1.SessionResponse]
	cancel   context.CancelCauseFunc

	// welcome says that it was let in, drained that it was sent away, to come back
	// after a while, and broken why the journal can't be written.
	welcome     bool
	drained     bool
	returnAfter time.Duration
	broken      error

	sending sync.Mutex
	// unanswered counts heartbeats; handling says that a handler runs, which keeps
	// answers from being read.
	unanswered atomic.Int32
	handling   atomic.Bool
}

var sessionDesc = &grpc.StreamDesc{StreamName: "Session", ServerStreams: true, ClientStreams: true}

// run serves one session to its end, and says why it ended.
func (s *session) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.cancel = cancel
	if s.terminal.own != nil {
		s.terminal.own.ResetConnectBackoff() // Run has its own
	}
	impatient := time.AfterFunc(welcomeTimeout, func() { cancel(errNoWelcome) })
	defer impatient.Stop()
	welcome, err := s.open(ctx)
	if err != nil {
		return s.reason(ctx, err)
	}
	impatient.Stop()
	if err := s.begin(welcome); err != nil {
		return err
	}
	every := time.Duration(welcome.GetConfiguration().GetHeartbeatIntervalSeconds()) * time.Second
	if every <= 0 {
		every = defaultHeartbeat
	}
	var beating sync.WaitGroup
	beating.Go(func() { s.beat(ctx, every) })
	err = s.read(ctx)
	cancel(nil)
	beating.Wait()
	return s.reason(ctx, err)
}

// reason prefers why the device gave up to what gRPC says of that.
func (s *session) reason(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return explain(err)
}

// open says hello and waits for the welcome.
func (s *session) open(ctx context.Context) (*terminalv1.SessionResponse_Welcome, error) {
	t := s.terminal
	stream, err := t.conn.NewStream(ctx, sessionDesc, methodSession, t.creds, grpc.WaitForReady(true))
	if err != nil {
		return nil, err
	}
	s.stream = &grpc.GenericClientStream[terminalv1.SessionRequest, terminalv1.SessionResponse]{ClientStream: stream}
	now := t.journal.now()
	// Why a Send fails is what Recv says.
	_ = s.stream.Send(&terminalv1.SessionRequest{Message: &terminalv1.SessionRequest_Hello_{Hello: &terminalv1.SessionRequest_Hello{
		LastSequence: now.last, LastEpoch: now.epoch, Health: t.health(),
	}}})
	m, err := s.stream.Recv()
	if err != nil {
		return nil, err
	}
	if m.GetWelcome() == nil {
		return nil, fmt.Errorf("the server began with %T instead of a welcome", m.GetMessage())
	}
	return m.GetWelcome(), nil
}

// begin keeps the epoch before anything else is said: that proves to the server that
// the device has it.
func (s *session) begin(welcome *terminalv1.SessionResponse_Welcome) error {
	t := s.terminal
	t.clock.learn(welcome.GetServerTime().AsTime())
	if err := t.journal.note(record{kind: kindEpoch, number: welcome.GetEpoch()}); err != nil {
		s.broken = err
		return err
	}
	s.welcome = true
	if h := t.cfg.Handlers.Configuration; h != nil {
		h(welcome.GetConfiguration())
	}
	if h := t.cfg.Handlers.Online; h != nil {
		h(true, nil)
	}
	return nil
}

// read takes what comes until nothing does any more.
func (s *session) read(ctx context.Context) error {
	for {
		m, err := s.stream.Recv()
		if err != nil {
			return err
		}
		switch {
		case m.GetEvent() != nil:
			s.handling.Store(true)
			err := s.terminal.take(ctx, m.GetEvent())
			s.unanswered.Store(0)
			s.handling.Store(false)
			if err != nil {
				s.broken = err
				return err
			}
			s.say(&terminalv1.SessionRequest{Message: &terminalv1.SessionRequest_Acknowledgement_{
				Acknowledgement: &terminalv1.SessionRequest_Acknowledgement{Sequence: m.GetEvent().GetSequence()},
			}})
		case m.GetHeartbeat() != nil:
			s.unanswered.Store(0)
			s.terminal.clock.learn(m.GetHeartbeat().GetServerTime().AsTime())
		case m.GetDrain() != nil:
			s.drained = true
			s.returnAfter = time.Duration(m.GetDrain().GetReconnectAfterMs()) * time.Millisecond
		}
	}
}

// beat sends heartbeats, the first one at once, until ctx ends or too many have no
// answer.
func (s *session) beat(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if s.unanswered.Add(1) > missedHeartbeats && !s.handling.Load() {
			s.cancel(errNoAnswer)
			return
		}
		s.say(&terminalv1.SessionRequest{Message: &terminalv1.SessionRequest_Heartbeat_{
			Heartbeat: &terminalv1.SessionRequest_Heartbeat{Health: s.terminal.health()},
		}})
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// say sends. That the session is over is found out by whoever reads.
func (s *session) say(m *terminalv1.SessionRequest) {
	s.sending.Lock()
	defer s.sending.Unlock()
	_ = s.stream.Send(m)
}

func (t *Terminal) health() *terminalv1.Health {
	if t.cfg.Health == nil {
		return &terminalv1.Health{BatteryPercent: 100, Charging: true}
	}
	return t.cfg.Health()
}
