package tillbook

import (
	"context"
	"errors"
	"io"

	"connectrpc.com/connect/v2"
)

// openStream opens a stream with credentials. It isn't retried here: only
// whoever reads it knows where to go on.
func (c *Client) openStream(ctx context.Context, call call, next connect.ClientFunc) (connect.ClientStream, error) {
	bearer, err := c.bearer(ctx, call)
	if err != nil {
		return nil, err
	}
	f := &flight{}
	followed := f.follow(ctx)
	c.setHeaders(followed, bearer)
	stream, failure := next(followed, call.spec)
	if failure != nil {
		return nil, c.describe(ctx, call, failure, f)
	}
	return &clientStream{ClientStream: stream, client: c, call: call, ctx: ctx, flight: f, bearer: bearer}, nil
}

// clientStream gives a stream's errors their shape.
type clientStream struct {
	connect.ClientStream
	client *Client
	call   call
	ctx    context.Context
	flight *flight
	bearer string
}

// Send sends a message.
func (s *clientStream) Send(message any) error {
	return s.shape(s.ClientStream.Send(message))
}

// Receive reads a message.
func (s *clientStream) Receive(message any) error {
	return s.shape(s.ClientStream.Receive(message))
}

func (s *clientStream) shape(failure error) error {
	if failure == nil {
		return nil
	}
	remote, ok := errors.AsType[*connect.Error](failure)
	if errors.Is(failure, io.EOF) && !(ok && remote.IsRemote()) {
		return io.EOF
	}
	err := s.client.describe(s.ctx, s.call, failure, s.flight)
	s.client.sessions.heed(s.bearer, err)
	return err
}
