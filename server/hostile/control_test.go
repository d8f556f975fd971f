package hostile

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
)

// Frames that the server must answer, from a client that never reads an answer: what
// waits to be sent is bounded (CVE-2019-9512, CVE-2019-9515).
func TestControlFramesThatNobodyReadsTheAnswersOfAreCutOff(t *testing.T) {
	frames := map[string]func(c *h2) error{
		"PING": func(c *h2) error { return c.framer.WritePing(false, [8]byte{}) },
		"SETTINGS": func(c *h2) error {
			return c.framer.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 15})
		},
		// A reset of a stream that was never opened is answered too.
		"empty DATA": func(c *h2) error { return c.framer.WriteData(1, false, nil) },
	}
	onBothDoors(t, "control frames", func(t *testing.T, ctx context.Context, address string) string {
		connections, most := size(2, 50), size(20_000, 500_000)
		var ends tally
		var sent atomic.Int64
		var attackers sync.WaitGroup
		for name, write := range frames {
			for range connections {
				attackers.Go(func() {
					c := dialH2(t, address, true)
					defer c.conn.Close()
					if _, err := c.open(somethingPublic); err != nil {
						t.Error(err)
					}
					n := 0
					// A server that neither reads on nor hangs up is as good.
					for ; n < most && ctx.Err() == nil; n++ {
						_ = c.conn.SetWriteDeadline(time.Now().Add(2 * time.Second))
						if write(c) != nil {
							break
						}
					}
					sent.Add(int64(n))
					ends.add(fmt.Sprintf("%s until %s", name, map[bool]string{true: "the last", false: "it was cut off"}[n == most]))
				})
			}
		}
		attackers.Wait()
		return fmt.Sprintf("%d frames over %d connections: %s", sent.Load(), len(frames)*connections, &ends)
	})
}

// Clients that ask for much and let the server send a byte, or nothing.
func TestTinyWindowsHoldUpNobodyElse(t *testing.T) {
	r := sandbox(t)
	for _, door := range doors {
		r := r.alone(t)
		token := r.customer(t, "mallory").token()
		r.withstands(t, "tiny windows, "+door+" door", func(context.Context) string {
			connections, streams := size(8, 40), size(200, 500)
			var opened atomic.Int64
			var attackers sync.WaitGroup
			for range connections {
				attackers.Go(func() {
					c := dialH2(t, r.door(door), false, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
					for range streams {
						if _, err := c.call(walletv1connect.WalletServiceWatchWalletProcedure, "authorization", "Bearer "+token); err != nil {
							return
						}
						opened.Add(1)
					}
				})
			}
			attackers.Wait()
			if opened.Load() == 0 {
				t.Error("no watch was opened")
			}
			settle(t, r)
			return fmt.Sprintf("%d watches over %d connections, of whose answers a client takes one byte", opened.Load(), connections)
		})
	}
}

// Streams whose requests never end, as many as the server allows, of somebody who
// isn't signed in: fifty connections of a thousand each, at each door.
func TestHalfOpenStreamsAreBounded(t *testing.T) {
	r := sandbox(t)
	for _, door := range doors {
		r := r.alone(t)
		r.withstands(t, "half-open streams, "+door+" door", func(ctx context.Context) string {
			connections, streams := size(5, 50), 1000
			var opened, ended atomic.Int64
			var all []*h2
			var mu sync.Mutex
			var attackers sync.WaitGroup
			for range connections {
				attackers.Go(func() {
					c := dialH2(t, r.door(door), false)
					mu.Lock()
					all = append(all, c)
					mu.Unlock()
					for range streams {
						if _, err := c.open(somethingPublic); err != nil {
							return
						}
						opened.Add(1)
					}
				})
			}
			attackers.Wait()
			if opened.Load() == 0 {
				t.Error("no stream was opened")
			}
			settle(t, r)
			for _, c := range all {
				ended.Add(c.answered.Load())
			}
			perStream := 0
			if n := int(opened.Load()); n > 0 {
				perStream = r.memory(t, "VmRSS") << 10 / n
			}
			for _, c := range all {
				_ = c.conn.Close()
			}
			return fmt.Sprintf("%d streams over %d connections, of which the server ended %d meanwhile; %d KiB of the process each", opened.Load(), connections, ended.Load(), perStream)
		})
	}
}

// settle lets an attack sink in: for some seconds, as long as it takes that an
// honest customer is served beside it at all.
func settle(t *testing.T, r *replica) {
	t.Helper()
	time.Sleep(size(500*time.Millisecond, 8*time.Second))
}
