package hostile

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
)

// slow is a way of taking one's time.
type slow struct {
	door string
	// begin is sent at once, and goes on with a byte of more each second.
	begin []byte
	more  string
	// reads is set where it is the answer that is taken a byte at a time.
	reads bool
	// within is when the server has had enough.
	within time.Duration
}

// slowness are all ways. A request over HTTP/2 whose headers never end is one
// connection of somebody who answers pings or doesn't: it ends by those.
func slowness(t *testing.T) map[string]slow {
	t.Helper()
	const login = authv1connect.AuthServiceLoginProcedure
	post := "POST " + login + " HTTP/1.1\r\nHost: tillbook.test\r\n"
	body := post + "Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"
	get := "GET /metrics HTTP/1.1\r\nHost: tillbook.test\r\n\r\n"
	greeting := func(headers bool) []byte {
		var b bytes.Buffer
		b.WriteString(http2.ClientPreface)
		c := &h2{framer: http2.NewFramer(&b, nil), next: 1}
		must(t, c.framer.WriteSettings())
		if headers {
			c.begin()
			_, err := c.open(login)
			must(t, err)
			// A frame of 16 KiB, of which a byte comes now and then.
			b.Write([]byte{0, 64, 0, 0, 0, 0, 0, 0, 1})
		} else {
			b.Write([]byte{0, 64, 0, 1, 4, 0, 0, 0, 1}) // the beginning of HEADERS
		}
		return b.Bytes()
	}
	return map[string]slow{
		"the first line": {"main", []byte("P"), "OST ", false, 5 * time.Second},
		"headers":        {"main", []byte(post), "X-A: b\r\n", false, 5 * time.Second},
		"a body":         {"main", []byte(body), "   ", false, 20 * time.Second},
		// What has arrived is read on long after the server has hung up, so its end is not seen.
		"an answer":                        {"main", []byte(strings.Repeat(get, 20)), "", true, time.Hour},
		"the preface":                      {"native", []byte(http2.ClientPreface[:10]), "x", false, 5 * time.Second},
		"a body over HTTP/2":               {"main", greeting(true), "\x00", false, 20 * time.Second},
		"a body over HTTP/2, native door":  {"native", greeting(true), "\x00", false, 30 * time.Second},
		"headers over HTTP/2":              {"main", greeting(false), "\x00", false, 80 * time.Second},
		"headers over HTTP/2, native door": {"native", greeting(false), "\x00", false, 80 * time.Second},
	}
}

// Clients that send, or read, a byte a second.
func TestAByteASecondHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	r := sandbox(t)
	ways := slowness(t)
	each, watched := size(20, 200), size(7*time.Second, 90*time.Second)
	r.withstands(t, "a byte a second", func(ctx context.Context) string {
		ctx, cancel := context.WithTimeout(ctx, watched)
		defer cancel()
		var ends tally
		var open atomic.Int64
		var clients sync.WaitGroup
		for _, name := range sortedKeys(ways) {
			way := ways[name]
			for range each {
				conn, err := net.Dial("tcp", r.door(way.door))
				must(t, err)
				clients.Go(func() {
					defer conn.Close()
					took, ended := way.drip(ctx, conn)
					switch {
					case ended:
						ends.add(name)
					case way.within < watched-time.Second:
						t.Errorf("%s: the server still waits after %s", name, took)
					default:
						open.Add(1)
					}
				})
			}
		}
		clients.Wait()
		return fmt.Sprintf("%d connections, %d ways, watched for %s; ended by the server: %s; still open: %d", each*len(ways), len(ways), watched, &ends, open.Load())
	})
}

// drip goes on until the server ends the call or the context ends.
func (s slow) drip(ctx context.Context, conn net.Conn) (took time.Duration, ended bool) {
	start := time.Now()
	if s.reads {
		// Little room, or the kernel would take all of it.
		_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	}
	_, _ = conn.Write(s.begin)
	gone := make(chan struct{})
	if !s.reads {
		go func() { // ends with the connection
			defer close(gone)
			s.listen(conn)
		}()
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var one [1]byte
	for i := 0; ; i++ {
		select {
		case <-gone:
			return time.Since(start), true
		case <-ctx.Done():
			return time.Since(start), false
		case <-tick.C:
		}
		var err error
		if s.reads {
			_ = conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
			_, err = conn.Read(one[:])
		} else {
			one[0] = s.more[i%len(s.more)]
			_, err = conn.Write(one[:])
		}
		if timeout, ok := err.(net.Error); err != nil && (!ok || !timeout.Timeout()) {
			return time.Since(start), true
		}
	}
}

// listen returns when the server has hung up or answered.
func (s slow) listen(conn net.Conn) {
	if !bytes.HasPrefix(s.begin, []byte("PRI * HTTP/2.0\r\n\r\nSM")) {
		_, _ = io.ReadFull(conn, make([]byte, 1))
		return
	}
	framer := http2.NewFramer(io.Discard, conn)
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return
		}
		switch frame.(type) {
		case *http2.GoAwayFrame, *http2.RSTStreamFrame, *http2.HeadersFrame:
			return
		}
	}
}
