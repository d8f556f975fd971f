package hostile

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/tillbook/tillbook/gen/tillbook/seal/v1/sealv1connect"
)

// h2 is a connection on which frames are sent that no client would send.
type h2 struct {
	conn   net.Conn
	framer *http2.Framer
	header bytes.Buffer
	hpack  *hpack.Encoder
	next   uint32 // the id of the next stream

	// ended is closed when the server has closed the connection; why says it then.
	ended chan struct{}
	mu    sync.Mutex
	why   string
	// answered counts the streams that the server has ended.
	answered atomic.Int64
}

// dialH2 opens a connection and greets. What comes back is read and, but for its
// end, ignored, unless deaf is set: then nothing is read.
func dialH2(t *testing.T, address string, deaf bool, settings ...http2.Setting) *h2 {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, 10*time.Second)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	c := &h2{conn: conn, framer: http2.NewFramer(conn, conn), next: 1, ended: make(chan struct{})}
	c.begin()
	_, err = io.WriteString(conn, http2.ClientPreface)
	must(t, err)
	must(t, c.framer.WriteSettings(settings...))
	if !deaf {
		go c.read() // ends with the connection
	}
	return c
}

// begin makes the table of headers.
func (c *h2) begin() { c.hpack = hpack.NewEncoder(&c.header) }

func (c *h2) read() {
	defer close(c.ended)
	c.framer.SetMaxReadFrameSize(1 << 20)
	seen := make(map[uint32]bool) // a stream may be reset after it was ended
	end := func(stream uint32) {
		if !seen[stream] {
			seen[stream] = true
			c.answered.Add(1)
		}
	}
	for {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			c.note("closed")
			return
		}
		switch f := frame.(type) {
		case *http2.GoAwayFrame:
			c.note(strings.TrimSpace(f.ErrCode.String() + " " + string(f.DebugData())))
		case *http2.RSTStreamFrame:
			end(f.StreamID)
		case *http2.HeadersFrame:
			if f.StreamEnded() {
				end(f.StreamID)
			}
		case *http2.DataFrame:
			if f.StreamEnded() {
				end(f.StreamID)
			}
		}
	}
}

// note keeps the first thing that the server said.
func (c *h2) note(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why == "" {
		c.why = why
	}
}

// end is why the connection ended; "open" if it didn't.
func (c *h2) end() string {
	select {
	case <-c.ended:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.why
	default:
		return "open"
	}
}

// waitEnd waits until the server closes the connection.
func (c *h2) waitEnd(t *testing.T, within time.Duration) string {
	t.Helper()
	select {
	case <-c.ended:
		return c.end()
	case <-time.After(within):
		t.Errorf("the server keeps the connection after %s", within)
		return "open"
	}
}

// request writes the headers of a call over gRPC.
func (c *h2) request(procedure string, more ...string) []byte {
	c.header.Reset()
	pairs := append([]string{":method", "POST", ":scheme", "http", ":path", procedure, ":authority", "tillbook.test",
		"content-type", "application/grpc", "te", "trailers"}, more...)
	for i := 0; i < len(pairs); i += 2 {
		_ = c.hpack.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return c.header.Bytes()
}

// open begins a call and returns the id of its stream.
func (c *h2) open(procedure string, more ...string) (uint32, error) {
	id := c.next
	c.next += 2
	return id, c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.request(procedure, more...), EndHeaders: true})
}

// emptyMessage is a gRPC message without content.
var emptyMessage = make([]byte, 5)

// call begins a call and sends all of its request.
func (c *h2) call(procedure string, more ...string) (uint32, error) {
	id, err := c.open(procedure, more...)
	if err != nil {
		return id, err
	}
	return id, c.framer.WriteData(id, true, emptyMessage)
}

// somethingPublic is a procedure that anybody may call and that asks the database.
const somethingPublic = sealv1connect.SealServiceGetCheckpointProcedure

// tally counts what became of connections.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func (l *tally) add(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counts == nil {
		l.counts = make(map[string]int)
	}
	l.counts[what]++
}

func (l *tally) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts[what]
}

func (l *tally) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var parts []string
	for what, n := range l.counts {
		parts = append(parts, fmt.Sprintf("%d× %s", n, what))
	}
	return strings.Join(parts, ", ")
}
