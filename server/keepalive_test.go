package server

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// oneConn is a listener of one connection within the process, so that its time can be
// the test's.
type oneConn struct {
	conn  chan net.Conn
	ended chan struct{}
	close func()
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conn:
		return conn, nil
	case <-l.ended:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error   { l.close(); return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// openDoor serves one connection of the native door, whose only procedure waits for
// the end of its stream, and returns the client's end.
func openDoor(t *testing.T, procedure string) net.Conn {
	t.Helper()
	cfg := Config{}
	cfg.setDefaults()
	calls := connect.NewServer()
	calls.Register(connect.Method{
		Spec: connect.Spec{Procedure: procedure, StreamType: connect.StreamTypeBidi},
		Handler: func(ctx context.Context, _ connect.Spec, _ connect.ServerStream) error {
			<-ctx.Done()
			return ctx.Err()
		},
	})
	door := newGRPCDoor(&cfg, calls, nil, newArrivals())
	near, far := net.Pipe()
	l := &oneConn{conn: make(chan net.Conn, 1), ended: make(chan struct{})}
	l.close = sync.OnceFunc(func() { close(l.ended) })
	l.conn <- far
	served := make(chan error, 1)
	go func() { served <- door.Serve(l) }()
	t.Cleanup(func() {
		_ = near.Close()
		door.Stop()
		<-served
	})
	return near
}

// knocker is a client of the native door that speaks HTTP/2 by hand, since grpc-go's
// hides what it is told of its connection.
type knocker struct {
	writing sync.Mutex
	out     *http2.Framer

	mu   sync.Mutex
	seen sight
}

// sight is what a knocker was told.
type sight struct {
	pongs int
	// away says that no more streams are taken, and why.
	away   bool
	why    http2.ErrCode
	closed bool
}

// knock connects and opens a stream.
func knock(t *testing.T) *knocker {
	t.Helper()
	const procedure = "/tillbook.test.v1.TestService/Wait"
	conn := openDoor(t, procedure)
	k := &knocker{out: http2.NewFramer(conn, nil)}
	go k.read(http2.NewFramer(nil, conn))
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	var headers bytes.Buffer
	encoder := hpack.NewEncoder(&headers)
	for _, field := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", procedure}, {":authority", "door"},
		{"content-type", "application/grpc"}, {"te", "trailers"},
	} {
		if err := encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
			t.Fatal(err)
		}
	}
	k.write(func(f *http2.Framer) error { return f.WriteSettings() })
	k.write(func(f *http2.Framer) error {
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headers.Bytes(), EndHeaders: true})
	})
	return k
}

// write writes a frame. That the connection is closed shows in what is read.
func (k *knocker) write(frame func(*http2.Framer) error) {
	k.writing.Lock()
	defer k.writing.Unlock()
	_ = frame(k.out)
}

func (k *knocker) ping() {
	k.write(func(f *http2.Framer) error { return f.WritePing(false, [8]byte{}) })
}

// read notes what comes, and answers pings, until the connection is closed.
func (k *knocker) read(in *http2.Framer) {
	for {
		frame, err := in.ReadFrame()
		k.mu.Lock()
		switch f := frame.(type) {
		case *http2.PingFrame:
			if f.IsAck() {
				k.seen.pongs++
				break
			}
			data := f.Data
			go k.write(func(f *http2.Framer) error { return f.WritePing(true, data) })
		case *http2.GoAwayFrame:
			k.seen.away, k.seen.why = true, f.ErrCode
		}
		k.seen.closed = err != nil
		k.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// after lets time pass, and returns what was seen by then.
func (k *knocker) after(d time.Duration) sight {
	time.Sleep(d)
	synctest.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.seen
}

// Terminals behind mobile networks ping every half minute. Nobody needs to do so more
// often than every ten seconds.
func TestTheNativeDoorLetsTerminalsPingAndNobodyFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := knock(t)
		for n := 1; n <= 20; n++ {
			k.ping()
			if seen := k.after(20 * time.Second); seen.pongs != n || seen.away {
				t.Fatalf("after %d pings: %+v", n, seen)
			}
		}
		for range 5 {
			k.ping()
			k.after(time.Second)
		}
		if seen := k.after(time.Second); seen.why != http2.ErrCodeEnhanceYourCalm || !seen.closed {
			t.Errorf("after five pings in five seconds: %+v", seen)
		}
	})
}

// An old connection is given up, so that its client comes back to whichever replica has
// room; what is open on it has some time to end.
func TestTheNativeDoorGivesUpOldConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := knock(t)
		if seen := k.after(26 * time.Minute); seen.away || seen.closed {
			t.Fatalf("before its time: %+v", seen)
		}
		if seen := k.after(8 * time.Minute); !seen.away || seen.why != http2.ErrCodeNo || seen.closed { // 30 minutes and a tenth
			t.Errorf("after its time: %+v", seen)
		}
		if seen := k.after(40 * time.Minute); !seen.closed { // 36 minutes of grace
			t.Errorf("after its grace: %+v", seen)
		}
	})
}

// A client that vanished without a word is noticed because it doesn't answer.
func TestTheNativeDoorNoticesWhoIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := knock(t)
		k.after(0)
		k.writing.Lock()
		k.out = http2.NewFramer(io.Discard, nil)
		k.writing.Unlock()
		if seen := k.after(pingInterval); seen.closed {
			t.Fatalf("before it could answer: %+v", seen)
		}
		if seen := k.after(pingInterval + pingTimeout); !seen.closed {
			t.Errorf("nobody noticed: %+v", seen)
		}
	})
}
