package hostile

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// onBothDoors runs an attack on a server of its own, at one door after the other.
func onBothDoors(t *testing.T, name string, attack func(t *testing.T, ctx context.Context, address string) string) {
	t.Helper()
	r := sandbox(t)
	for _, door := range doors {
		t.Run(door, func(t *testing.T) {
			r := r.alone(t)
			r.withstands(t, name+", "+door+" door", func(ctx context.Context) string { return attack(t, ctx, r.door(door)) })
		})
	}
}

// alone is another server where an attack's figures count, so that the memory is that
// of one door alone, and else this one.
func (r *replica) alone(t *testing.T) *replica {
	t.Helper()
	if *full {
		return sandbox(t)
	}
	return r
}

// Streams are opened with a call that asks the database and reset at once, as fast
// as the wire takes it (CVE-2023-44487). A connection that is closed is made anew.
func TestRapidResetsHoldUpNobodyElse(t *testing.T) {
	onBothDoors(t, "rapid reset", func(t *testing.T, ctx context.Context, address string) string {
		const connections = 8
		each := size(1_000, 50_000)
		var resets atomic.Int64
		var ends tally
		var attackers sync.WaitGroup
		for range connections {
			attackers.Go(func() {
				for sent := 0; sent < each && ctx.Err() == nil; {
					sent += resetOnOneConnection(t, address, each-sent, &ends)
				}
				resets.Add(int64(each))
			})
		}
		start := time.Now()
		attackers.Wait()
		return fmt.Sprintf("%d streams opened and reset at once over %d connections at a time, %.0f a second: %s",
			resets.Load(), connections, float64(resets.Load())/time.Since(start).Seconds(), &ends)
	})
}

func resetOnOneConnection(t *testing.T, address string, most int, ends *tally) (sent int) {
	c := dialH2(t, address, false)
	defer c.conn.Close()
	for sent < most {
		id, err := c.call(somethingPublic)
		if err == nil {
			err = c.framer.WriteRSTStream(id, http2.ErrCodeCancel)
		}
		sent++
		if err != nil {
			break
		}
	}
	// What was written before the server closed may still be on its way.
	_ = c.framer.WritePing(false, [8]byte{1})
	select {
	case <-c.ended:
	case <-time.After(100 * time.Millisecond):
	}
	ends.add(c.end())
	return sent
}

// Headers are begun and go on without end (CVE-2023-45288).
func TestEndlessContinuationsAreCutOff(t *testing.T) {
	onBothDoors(t, "CONTINUATION flood", func(t *testing.T, ctx context.Context, address string) string {
		connections, most := size(4, 200), 64<<20
		var sent atomic.Int64
		var ends tally
		var attackers sync.WaitGroup
		for range connections {
			attackers.Go(func() {
				c := dialH2(t, address, false)
				err := c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.request(somethingPublic)})
				n := 0
				for ; err == nil && n < most && ctx.Err() == nil; n += 16 << 10 {
					c.header.Reset()
					// '|' doesn't get shorter by Huffman's code, so that a frame is full.
					_ = c.hpack.WriteField(hpack.HeaderField{Name: "x-more", Value: strings.Repeat("|", 16<<10-32), Sensitive: true})
					err = c.framer.WriteContinuation(1, false, c.header.Bytes())
				}
				if err == nil && n >= most {
					t.Errorf("the server read %d bytes of headers and wants more", n)
				}
				ends.add(c.waitEnd(t, patience))
				sent.Add(int64(n))
				_ = c.conn.Close()
			})
		}
		attackers.Wait()
		return fmt.Sprintf("%d connections, closed after %d KiB of headers each: %s", connections, sent.Load()>>10/int64(connections), &ends)
	})
}

// A large header is sent once and then named again and again, one byte each, so
// that few bytes on the wire become many in memory.
func TestHeadersThatGrowWhenTheyAreReadAreRefused(t *testing.T) {
	onBothDoors(t, "HPACK bomb", func(t *testing.T, ctx context.Context, address string) string {
		connections, streams := size(4, 50), size(25, 500)
		var opened, refused atomic.Int64
		var ends tally
		var attackers sync.WaitGroup
		for range connections {
			attackers.Go(func() {
				c := dialH2(t, address, false)
				value := strings.Repeat("z", 3000)
				for range streams {
					more := make([]string, 0, 8000)
					for range 4000 { // 12 MB when read
						more = append(more, "x-bomb", value)
					}
					if _, err := c.open(somethingPublic, more...); err != nil || ctx.Err() != nil {
						break
					}
					opened.Add(1)
				}
				_ = c.framer.WritePing(false, [8]byte{1})
				select {
				case <-c.ended:
				case <-time.After(500 * time.Millisecond):
				}
				refused.Add(c.answered.Load())
				ends.add(c.end())
				_ = c.conn.Close()
			})
		}
		attackers.Wait()
		return fmt.Sprintf("%d requests whose 10 KB become 12 MB, %d refused one by one; connections: %s", opened.Load(), refused.Load(), &ends)
	})
}

// A request with thousands of small headers.
func TestTooManyHeadersAreRefused(t *testing.T) {
	onBothDoors(t, "header flood", func(t *testing.T, ctx context.Context, address string) string {
		connections, streams := size(4, 50), size(20, 200)
		var opened, refused atomic.Int64
		var attackers sync.WaitGroup
		for range connections {
			attackers.Go(func() {
				c := dialH2(t, address, false)
				for range streams {
					more := make([]string, 0, 2000)
					for i := range 1000 {
						more = append(more, fmt.Sprintf("x-%d", i), "y")
					}
					id := c.next
					c.next += 2
					block := c.request(somethingPublic, more...)
					first := block[:min(len(block), 16<<10)]
					if c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: first, EndHeaders: len(first) == len(block), EndStream: true}) != nil || ctx.Err() != nil {
						break
					}
					if rest := block[len(first):]; len(rest) > 0 && c.framer.WriteContinuation(id, true, rest) != nil {
						break
					}
					opened.Add(1)
				}
				for deadline := time.Now().Add(5 * time.Second); c.answered.Load() < int64(streams) && c.end() == "open" && time.Now().Before(deadline); {
					time.Sleep(10 * time.Millisecond)
				}
				refused.Add(c.answered.Load())
				_ = c.conn.Close()
			})
		}
		attackers.Wait()
		return fmt.Sprintf("%d requests with 1,000 headers each, %d answered", opened.Load(), refused.Load())
	})
}
