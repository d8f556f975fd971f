package terminal

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/gen/tillbook/terminal/v1/terminalv1connect"
	"github.com/tillbook/tillbook/server/rpc"
)

// partingTimeout is how long a session that is moved may take to send what it has.
const partingTimeout = 2 * time.Second

type sessionStream = terminalv1connect.TerminalServiceSessionServerStream

// session is one connection of a terminal.
type session struct {
	hub      *hub
	now      func() time.Time
	terminal uuid.UUID
	epoch    int64
	stream   sessionStream
	ctx      context.Context // of the stream; for spans
	cancel   context.CancelCauseFunc
	// start is the first transaction that the follower hands over.
	start int64

	mu sync.Mutex
	// from is after which message the backlog goes on, until it is caught up.
	from     uint64
	caughtUp bool
	queue    []item
	// pumping says that the pump runs; idle is closed when it stops.
	pumping, closed bool
	idle            chan struct{}
	// offers are the checkouts that were sent and not yet acknowledged.
	offers      []offer
	sent, acked uint64
	known       int64
	heard       time.Time
}

type offer struct {
	sequence uint64
	checkout uuid.UUID
}

// serveSession is the handler of one session. It waits for its end; reading and
// sending are done beside it, so that neither keeps it from ending.
func (s *Service) serveSession(ctx context.Context, terminal uuid.UUID, stream sessionStream) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ses := &session{
		hub: s.hub, now: s.now, terminal: terminal, stream: stream, ctx: ctx, cancel: cancel,
		pumping: true, idle: make(chan struct{}), // what comes before the Welcome has to wait
	}
	defer s.hub.unregister(ses)
	if err := rpc.Aside(func() error { return s.welcome(ctx, ses) }); err != nil {
		return ended(err)
	}
	go ses.read() // ends with the stream, which ends when this returns
	go ses.pump(ses.idle)
	<-ctx.Done()
	return ses.leave(ctx)
}

// welcome lets a session in.
func (s *Service) welcome(ctx context.Context, ses *session) error {
	first, err := ses.stream.Receive()
	if err != nil {
		return err
	}
	hello := first.GetHello()
	if hello == nil {
		return errNoHello
	}
	b, err := s.begin(ctx, ses.terminal, hello)
	if err != nil {
		return err
	}
	ses.epoch, ses.from, ses.sent, ses.acked, ses.known, ses.heard = b.epoch, b.from, b.from, b.acked, b.known, s.now()
	if err := s.hub.register(ctx, ses); err != nil {
		return err
	}
	configuration, now, err := s.hub.content.configuration(ctx, ses.terminal)
	if err != nil {
		return err
	}
	if err := now.refuse(ses.epoch); err != nil {
		return err
	}
	err = ses.stream.Send(&terminalv1.SessionResponse{Message: &terminalv1.SessionResponse_Welcome_{Welcome: &terminalv1.SessionResponse_Welcome{
		Epoch: uint64(ses.epoch), Configuration: configuration, ServerTime: timestamppb.New(s.now()), AcknowledgedSequence: b.acked,
	}}})
	if err == nil {
		ses.note(hello.GetHealth())
	}
	return err
}

// ended is how a stream ends that its client closed: in order, if it did so.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// errLeft ends the session of a device that closed its side.
var errLeft = errors.New("the device closed the session")

// end ends the session; the first reason counts.
func (s *session) end(why error) { s.cancel(why) }

// leave sends a device that is moved away a notice, and stops what is under way.
func (s *session) leave(ctx context.Context) error {
	why := context.Cause(ctx)
	moved := rpc.ReasonOf(why) == errorv1.ErrorReason_ERROR_REASON_STREAM_MOVED
	var last []item
	if moved {
		last = append(last, item{message: &terminalv1.SessionResponse{Message: &terminalv1.SessionResponse_Drain_{
			Drain: &terminalv1.SessionResponse_Drain{ReconnectAfterMs: uint32(s.hub.returnAfter().Milliseconds())},
		}}})
	}
	stopped := s.close(last)
	var patience <-chan time.Time
	if moved {
		timer := time.NewTimer(partingTimeout)
		defer timer.Stop()
		patience = timer.C
	}
	switch {
	case !rpc.MayAbandon(ctx):
		<-stopped
	case moved:
		select {
		case <-stopped:
		case <-patience:
		}
	}
	s.noteEnd(errors.Is(why, errNotReading))
	if errors.Is(why, errLeft) {
		return nil
	}
	return why
}

// close lets nothing more into the queue. With a last message, what is in the queue
// is still sent, unless part of the backlog would be missing before it; without one
// nothing is. What it returns is closed when nothing is being sent any more.
func (s *session) close(last []item) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.caughtUp || last == nil {
		s.queue = nil
	}
	s.closed = true
	s.queue = append(s.queue, last...)
	if len(last) > 0 && !s.pumping {
		s.pumping, s.idle = true, make(chan struct{})
		go s.pump(s.idle)
	}
	return s.idle
}

// read takes what the device says until it says no more.
func (s *session) read() {
	for {
		m, err := s.stream.Receive()
		if errors.Is(err, io.EOF) {
			err = errLeft
		}
		if err == nil {
			err = s.take(m)
		}
		if err != nil {
			s.end(err)
			return
		}
	}
}

// take takes one message. Any message after the Hello proves that the device knows
// the session's epoch.
func (s *session) take(m *terminalv1.SessionRequest) error {
	s.confirm()
	switch {
	case m.GetHello() != nil:
		return errNoHello
	case m.GetAcknowledgement() != nil:
		acknowledged, err := s.acknowledge(m.GetAcknowledgement().GetSequence())
		if err != nil {
			return err
		}
		s.hub.marks.acknowledged(acknowledged)
		s.note(nil)
	default:
		s.note(m.GetHeartbeat().GetHealth())
		s.push(item{message: &terminalv1.SessionResponse{Message: &terminalv1.SessionResponse_Heartbeat_{
			Heartbeat: &terminalv1.SessionResponse_Heartbeat{ServerTime: timestamppb.New(s.now())},
		}}})
	}
	return nil
}

func (s *session) confirm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known, s.heard = s.epoch, s.now()
}

var errAcknowledgement = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT,
	"The acknowledged message wasn't sent.").WithField("acknowledgement.sequence", "must be that of a message that came before")

// acknowledge moves what is acknowledged, and returns the checkouts among it.
func (s *session) acknowledge(sequence uint64) ([]uuid.UUID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sequence > s.sent {
		return nil, errAcknowledgement
	}
	s.acked = max(s.acked, sequence)
	var shown []uuid.UUID
	for len(s.offers) > 0 && s.offers[0].sequence <= sequence {
		shown = append(shown, s.offers[0].checkout)
		s.offers = s.offers[1:]
	}
	if len(s.offers) == 0 {
		s.offers = nil
	}
	return shown, nil
}

// note tells the presence how the terminal is.
func (s *session) note(health *terminalv1.Health) {
	s.mu.Lock()
	n := seen{
		epoch: s.epoch, confirmed: s.known, acked: s.acked, connected: true,
		slow: len(s.queue) > s.hub.config.Queue/2, health: health, at: s.heard,
	}
	s.mu.Unlock()
	s.hub.presence.note(s.terminal, n)
}

// noteEnd tells the presence that the terminal isn't connected any more.
func (s *session) noteEnd(slow bool) {
	s.mu.Lock()
	n := seen{epoch: s.epoch, confirmed: s.known, acked: s.acked, slow: slow, at: s.heard}
	s.mu.Unlock()
	s.hub.presence.note(s.terminal, n)
}
