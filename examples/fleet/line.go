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
	"google.golang.org/protobuf/proto"
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

// context adds the shop's address.
func (l *line) context(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "x-forwarded-for", l.ip)
}

// invoke makes a call, again and again if it may succeed later. Each try is
// authorized anew.
func (l *line) invoke(ctx context.Context, procedure string, authorize func(context.Context) context.Context, request, answer proto.Message) error {
	for try := range 12 {
		callCtx, cancel := context.WithTimeout(l.context(ctx), 10*time.Second)
		if authorize != nil {
			callCtx = authorize(callCtx)
		}
		err := l.conn.Invoke(callCtx, procedure, request, answer, grpc.WaitForReady(true))
		cancel()
		if err == nil || !passes(err) || try == 11 {
			return err
		}
		select {
		case <-time.After(jitter(time.Second << min(try, 3) / 4)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// passes tells errors that go away by themselves.
func passes(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Aborted:
		return true
	}
	return false
}

// jitter is a random part of d.
func jitter(d time.Duration) time.Duration { return rand.N(max(d, 1)) }
