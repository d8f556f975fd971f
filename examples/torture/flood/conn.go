package flood

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// perConn bounds the calls that are under way on a connection; HAProxy allows 1,000.
	perConn = 900
	// unsent bounds what waits to be sent on a connection.
	unsent = 256 << 10
	// streamWindow and connWindow are how much a server may send before it is read.
	streamWindow, connWindow = 1 << 20, 1 << 30
	// maxError is how much of an answer that isn't the one asked for is read.
	maxError = 8 << 10
)

// conn is an HTTP/2 connection. One goroutine writes what is ready and one reads.
type conn struct {
	flood *Flood
	tls   *tls.Conn

	mu      sync.Mutex
	ready   *sync.Cond // something to send, or the end
	out     bytes.Buffer
	framer  *http2.Framer // writes into out
	header  bytes.Buffer
	hpack   *hpack.Encoder
	next    uint32
	window  int64 // how much the server wants to be sent now
	streams map[uint32]*call
	unread  uint32 // what was read since the server was told so
	body    []byte
	ended   error
}

// call is one that is under way.
type call struct {
	kind   Kind
	number uint32
	begun  time.Time
	status int
	answer []byte // of one that isn't what was asked for
}

func dial(ctx context.Context, f *Flood) (*conn, error) {
	site, err := url.Parse(f.site)
	if err != nil {
		return nil, err
	}
	config := f.tls.Clone()
	config.NextProtos = []string{"h2"}
	raw, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", site.Host)
	if err != nil {
		return nil, err
	}
	c := &conn{flood: f, tls: raw.(*tls.Conn), next: 1, window: 65535, streams: make(map[uint32]*call)}
	c.ready = sync.NewCond(&c.mu)
	c.hpack = hpack.NewEncoder(&c.header)
	c.out.WriteString(http2.ClientPreface)
	c.framer = http2.NewFramer(&c.out, nil)
	_ = c.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: streamWindow}, http2.Setting{ID: http2.SettingEnablePush, Val: 0})
	_ = c.framer.WriteWindowUpdate(0, connWindow)
	f.running.Go(c.write)
	f.running.Go(c.read)
	return c, nil
}

// begin sends a call, unless there is no room for it.
func (c *conn) begin(r *request, number uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil || len(c.streams) >= perConn || c.out.Len() > unsent || c.window < int64(len(r.body)) {
		return false
	}
	c.header.Reset()
	for _, h := range [...]hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "tillbook.test"}, {Name: ":path", Value: r.path},
		{Name: "content-type", Value: r.content}, {Name: "connect-protocol-version", Value: "1"},
		{Name: "connect-timeout-ms", Value: strconv.FormatInt(c.flood.timeout.Milliseconds(), 10)}, {Name: "authorization", Value: "Bearer " + r.token},
	} {
		_ = c.hpack.WriteField(h)
	}
	id := c.next
	c.next += 2
	c.body = r.number(c.body, number)
	_ = c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.header.Bytes(), EndHeaders: true})
	_ = c.framer.WriteData(id, true, c.body)
	c.window -= int64(len(c.body))
	c.streams[id] = &call{kind: r.kind, number: number, begun: time.Now()}
	c.ready.Signal()
	return true
}

// write sends what is ready until the connection ends.
func (c *conn) write() {
	for chunk := []byte(nil); ; {
		c.mu.Lock()
		for c.out.Len() == 0 && c.ended == nil {
			c.ready.Wait()
		}
		if c.ended != nil {
			c.mu.Unlock()
			return
		}
		chunk = append(chunk[:0], c.out.Bytes()...)
		c.out.Reset()
		c.mu.Unlock()
		if _, err := c.tls.Write(chunk); err != nil {
			c.end(err)
			return
		}
	}
}

// end gives the connection and everything on it up.
func (c *conn) end(why error) {
	_ = c.tls.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return
	}
	c.ended = why
	fate := Silent
	if !errors.Is(why, errClosed) {
		fate = Wrong
		c.flood.broke(why)
	}
	for id, s := range c.streams {
		delete(c.streams, id)
		c.flood.settle(s, fate, Maybe, "its connection ended")
	}
	c.ready.Signal()
}

var errClosed = errors.New("closed")

// sweep gives up what was never answered.
func (c *conn) sweep(before time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, s := range c.streams {
		if s.begun.Before(before) {
			c.drop(id)
			c.flood.settle(s, Silent, Maybe, "")
		}
	}
}

// drop ends a stream from this side. It wants the lock.
func (c *conn) drop(id uint32) {
	delete(c.streams, id)
	_ = c.framer.WriteRSTStream(id, http2.ErrCodeCancel)
	c.ready.Signal()
}

// read takes what comes until the connection ends.
func (c *conn) read() {
	in := http2.NewFramer(io.Discard, bufio.NewReaderSize(c.tls, 64<<10))
	in.SetReuseFrames()
	in.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		frame, err := in.ReadFrame()
		if err == nil {
			err = c.took(frame)
		}
		if err != nil {
			c.end(err)
			return
		}
	}
}

func (c *conn) took(frame http2.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			_ = c.framer.WriteSettingsAck()
			c.ready.Signal()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			_ = c.framer.WritePing(true, f.Data)
			c.ready.Signal()
		}
	case *http2.WindowUpdateFrame:
		if f.StreamID == 0 {
			c.window += int64(f.Increment)
		}
	case *http2.GoAwayFrame:
		return fmt.Errorf("the balancer sends GOAWAY: %s", f.ErrCode)
	case *http2.RSTStreamFrame:
		if s := c.streams[f.StreamID]; s != nil {
			delete(c.streams, f.StreamID)
			c.flood.settle(s, Wrong, Maybe, "RST_STREAM "+f.ErrCode.String())
		}
	case *http2.MetaHeadersFrame:
		if s := c.streams[f.StreamID]; s != nil {
			if status := f.PseudoValue("status"); status != "" { // trailers have none
				s.status, _ = strconv.Atoi(status)
			}
			c.heard(f.StreamID, s, nil, f.StreamEnded())
		}
	case *http2.DataFrame:
		if c.unread += f.Length; c.unread > connWindow/2 {
			_ = c.framer.WriteWindowUpdate(0, c.unread)
			c.unread = 0
			c.ready.Signal()
		}
		if s := c.streams[f.StreamID]; s != nil {
			c.heard(f.StreamID, s, f.Data(), f.StreamEnded())
		}
	}
	return nil
}

// heard takes a part of an answer.
func (c *conn) heard(id uint32, s *call, data []byte, last bool) {
	streams := s.kind == Watch
	if s.status != 200 || streams {
		s.answer = append(s.answer, data[:min(len(data), maxError-len(s.answer))]...)
	}
	// The first byte of a stream's message tells one that was asked for from the end.
	if streams && s.status == 200 && len(s.answer) > 0 && s.answer[0] == 0 {
		c.drop(id)
		c.flood.settle(s, Done, Maybe, "")
		return
	}
	if !last {
		return
	}
	delete(c.streams, id)
	switch {
	case s.status == 200 && !streams:
		c.flood.settle(s, Done, Paid, "")
		return
	case s.status == 200 && len(s.answer) > 5:
		s.answer = unwrap(s.answer[5:])
	}
	fate, settled := judge(s.kind, s.status, s.answer)
	c.flood.settle(s, fate, settled, fmt.Sprintf("%d %.300s", s.status, s.answer))
}
