package mix

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
)

// gateway is a terminal's way to the server that now and then loses the terminal but
// not the server: the terminal comes back with another session, and the one before
// stays open with nobody at its end. The server must end that one, wherever it is.
type gateway struct {
	grpc.ClientConnInterface
	ending context.Context

	mu     sync.Mutex
	line   *line // the newest session's
	ghosts sync.WaitGroup
	left   int // ghosts that weren't ended yet
}

// line is one session's stream.
type line struct {
	grpc.ClientStream
	hangUp   context.CancelFunc
	messages chan received
	lost     chan struct{} // closed when the terminal is
}

type received struct {
	message *terminalv1.SessionResponse
	err     error
}

// NewStream opens a session's stream, which outlasts the terminal's interest in it if
// it is lost.
func (g *gateway) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	held, hangUp := context.WithCancel(g.ending)
	if outgoing, ok := metadata.FromOutgoingContext(ctx); ok {
		held = metadata.NewOutgoingContext(held, outgoing)
	}
	opening := context.AfterFunc(ctx, hangUp)
	stream, err := g.ClientConnInterface.NewStream(held, desc, method, options...)
	if !opening() || err != nil {
		hangUp()
		return nil, errors.Join(err, ctx.Err())
	}
	l := &line{ClientStream: stream, hangUp: hangUp, messages: make(chan received), lost: make(chan struct{})}
	context.AfterFunc(ctx, func() {
		select {
		case <-l.lost:
		default:
			hangUp()
		}
	})
	g.ghosts.Go(l.read)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.line = l
	return l, nil
}

// read takes what comes until the stream ends. Nobody hears what comes after the
// terminal was lost.
func (l *line) read() {
	defer l.hangUp()
	for {
		var r received
		r.message = new(terminalv1.SessionResponse)
		r.err = l.ClientStream.RecvMsg(r.message)
		select {
		case l.messages <- r:
		case <-l.lost:
		case <-l.Context().Done():
		}
		if r.err != nil {
			return
		}
	}
}

// RecvMsg gives the terminal what came.
func (l *line) RecvMsg(into any) error {
	select {
	case <-l.lost:
		return errLost
	case r := <-l.messages:
		if r.err == nil {
			proto.Merge(into.(proto.Message), r.message)
		}
		return r.err
	case <-l.Context().Done():
		return status.FromContextError(l.Context().Err()).Err()
	}
}

// SendMsg sends what the terminal says, as long as it is there.
func (l *line) SendMsg(m any) error {
	select {
	case <-l.lost:
		return errLost
	default:
		return l.ClientStream.SendMsg(m)
	}
}

var errLost = status.Error(codes.Unavailable, "the gateway has lost the terminal")

// lose loses the terminal of the newest session.
func (g *gateway) lose() {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.line
	if l == nil || l.Context().Err() != nil {
		return
	}
	g.line = nil
	close(l.lost)
	g.left++
	context.AfterFunc(l.Context(), func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.left--
	})
}

// haunt loses the terminal again and again.
func (g *gateway) haunt(stopping context.Context) {
	for sleep(stopping, loseEvery/2+rand.N(loseEvery)) {
		g.lose()
	}
}

// loseEvery is how often a terminal is lost, on average.
const loseEvery = 5 * time.Second

// Ghosts is how many sessions a newer one has replaced and nobody has ended.
func (s *Shop) Ghosts() (n int) {
	for _, d := range s.Devices {
		if d.gateway != nil {
			d.gateway.mu.Lock()
			n += d.gateway.left
			d.gateway.mu.Unlock()
		}
	}
	return n
}
