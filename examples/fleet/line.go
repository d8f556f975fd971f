package main

import (
	"context"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// line is a connection that some terminals of one shop share. It leads to whichever
// replica is there, as it would through a load balancer.
type line struct {
	ip      string
	conn    *grpc.ClientConn
	replica atomic.Int32
}

// lineBuffer is what a connection reads and writes at a time, in bytes: messages are
// small.
const lineBuffer = 4 << 10

func newLine(replicas []address, first int, ip string) (*line, error) {
	l := &line{ip: ip}
	addresses := make([]string, len(replicas))
	for i, r := range replicas {
		addresses[i] = r.GRPC
	}
	dial := func(ctx context.Context, _ string) (net.Conn, error) {
		conn, at, err := dialAny(ctx, addresses, first)
		l.replica.Store(int32(at))
		return conn, err
	}
	conn, err := grpc.NewClient("passthrough:///tillbook",
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(dial),
		grpc.WithDisableServiceConfig(), grpc.WithSharedWriteBuffer(true),
		grpc.WithReadBufferSize(lineBuffer), grpc.WithWriteBufferSize(lineBuffer),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithUserAgent("tillbook-fleet"))
	l.conn = conn
	return l, err
}

// dialAny connects to the first replica that answers, beginning with one.
func dialAny(ctx context.Context, addresses []string, first int) (conn net.Conn, at int, err error) {
	for i := range addresses {
		at = (first + i) % len(addresses)
		if conn, err = new(net.Dialer).DialContext(ctx, "tcp", addresses[at]); err == nil {
			return conn, at, nil
		}
	}
	return nil, at, err
}

// outgoing adds the shop's address.
func (l *line) outgoing(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "x-forwarded-for", l.ip)
}

const (
	// callTries is how often a call is made that may succeed later, and callTimeout
	// how long each try may take.
	callTries   = 12
	callTimeout = 10 * time.Second
)

// Invoke makes a call, again and again if it may succeed later. All of a terminal's
// calls can be repeated.
func (l *line) Invoke(ctx context.Context, procedure string, request, answer any, options ...grpc.CallOption) error {
	options = append(options, grpc.WaitForReady(true))
	for try := 1; ; try++ {
		callCtx, cancel := context.WithTimeout(l.outgoing(ctx), callTimeout)
		err := l.conn.Invoke(callCtx, procedure, request, answer, options...)
		cancel()
		if err == nil || !passes(err) || try == callTries {
			return err
		}
		select {
		case <-time.After(jitter(retryPause(try))):
		case <-ctx.Done():
			return err
		}
	}
}

// NewStream opens a stream.
func (l *line) NewStream(ctx context.Context, desc *grpc.StreamDesc, procedure string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	return l.conn.NewStream(l.outgoing(ctx), desc, procedure, options...)
}

// passes tells errors that go away by themselves.
func passes(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Aborted:
		return true
	}
	return false
}

// retryPause doubles with each try, from half a second to four.
func retryPause(try int) time.Duration { return time.Second << min(try, 4) / 4 }

// jitter is a random part of d.
func jitter(d time.Duration) time.Duration { return rand.N(max(d, 1)) }
