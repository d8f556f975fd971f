package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"connectrpc.com/connect/v2"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	"github.com/tillbook/tillbook/server/rpc"
)

// slowCall is a call whose request doesn't end.
type slowCall struct {
	body     *io.PipeWriter
	answered chan *http.Response
}

// beginSlow begins a call and waits until the server waits for the rest of it.
func (h *harness) beginSlow(t *testing.T, client *http.Client, door, procedure, begin string) *slowCall {
	t.Helper()
	before, cutBefore := h.server.arriving.count()
	body, write := io.Pipe()
	address, contentType := h.server.Addr(), "application/json"
	switch {
	case door == "native":
		address, contentType = h.server.GRPCAddr(), "application/grpc"
	case procedure == walletv1connect.WalletServiceWatchWalletProcedure:
		contentType = "application/connect+json"
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+procedure, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Te", "trailers")
	req.Header.Set("Authorization", "Bearer "+userToken)
	s := &slowCall{write, make(chan *http.Response, 1)}
	go func() { // ends with the test at the latest
		defer close(s.answered)
		if res, err := client.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, res.Body) // for the trailers
			_ = res.Body.Close()
			s.answered <- res
		}
	}()
	t.Cleanup(func() { _ = write.Close() })
	if _, err := io.WriteString(write, begin); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the request arrives", func() bool {
		now, cut := h.server.arriving.count()
		return now+cut > before+cutBefore
	})
	return s
}

// status is how the call was answered: the status of gRPC or of HTTP.
func (s *slowCall) status(t *testing.T) string {
	t.Helper()
	select {
	case res := <-s.answered:
		if res == nil {
			return "no answer"
		}
		for _, status := range []string{res.Header.Get("Grpc-Status"), res.Trailer.Get("Grpc-Status")} {
			if status != "" {
				return "gRPC " + status
			}
		}
		return res.Status
	case <-time.After(20 * time.Second):
		t.Fatal("the call isn't answered")
		return ""
	}
}

// More slow requests of each priority than there are places keep nobody out.
func TestRequestsThatDontArriveHoldNoPlaces(t *testing.T) {
	h := start(t, func(c *Config, _ *harness) {
		c.Room = rpc.Room{Payments: 4, Calls: 4, LeastCalls: 4, SignIns: 4, Watches: 4}
	})
	h.wallet.watch = func(_ context.Context, _ *walletv1.WatchWalletRequest, s walletv1connect.WalletServiceWatchWalletServerStream) error {
		return s.Send(&walletv1.WatchWalletResponse{})
	}
	h2 := h2cClient(t)
	procedures := []string{transferProcedure, getWalletProcedure, authv1connect.AuthServiceLoginProcedure, walletv1connect.WalletServiceWatchWalletProcedure}
	for _, door := range []string{"main", "native"} {
		for _, procedure := range procedures {
			for range 12 {
				h.beginSlow(t, h2, door, procedure, "")
			}
		}
	}
	for name, call := range h.clients(t) {
		if f := call(t, transferProcedure, userToken, transferRequest(), &walletv1.TransferResponse{}); f != nil {
			t.Errorf("%s: a payment: %s", name, f.reason())
		}
		if f := call(t, getWalletProcedure, userToken, &walletv1.GetWalletRequest{}, &walletv1.GetWalletResponse{}); f != nil {
			t.Errorf("%s: a call: %s", name, f.reason())
		}
		if f := call(t, authv1connect.AuthServiceLoginProcedure, "", &authv1.LoginRequest{}, &authv1.LoginResponse{}); f.reason() == "OVERLOADED" {
			t.Errorf("%s: a stranger: %s", name, f.reason())
		}
	}
}

// When too many requests are on their way, the oldest is cut off, and told so.
func TestTheSlowestRequestMakesRoom(t *testing.T) {
	for _, door := range []string{"main", "native"} {
		t.Run(door, func(t *testing.T) {
			h := start(t, func(_ *Config, h *harness) { h.tune = func(s *Server) { s.arriving.most = 3 } })
			h2 := h2cClient(t)
			var slow []*slowCall
			for range 5 {
				slow = append(slow, h.beginSlow(t, h2, door, transferProcedure, ""))
			}
			want := map[string]string{"main": "429 Too Many Requests", "native": "gRPC 4"}[door]
			for i := range 2 {
				if got := slow[i].status(t); got != want {
					t.Errorf("call %d is answered with %s", i, got)
				}
			}
			if now, cut := h.server.arriving.count(); now != 3 || cut != 2 {
				t.Errorf("%d are arriving, %d were cut off", now, cut)
			}
			for name, call := range h.clients(t) {
				if f := call(t, transferProcedure, userToken, transferRequest(), &walletv1.TransferResponse{}); f != nil {
					t.Errorf("%s: %s", name, f.reason())
				}
			}
			for _, line := range h.log.failures(t) {
				if line["reason"] != "OVERLOADED" {
					t.Errorf("the log says %v", line)
				}
			}
		})
	}
}

// Large requests are fewer, so that what they hold in memory is bounded.
func TestTheSlowestLargeRequestMakesRoom(t *testing.T) {
	h := start(t, func(_ *Config, h *harness) { h.tune = func(s *Server) { s.arriving.mostLarge = 1 } })
	h2 := h2cClient(t)
	small := h.beginSlow(t, h2, "main", transferProcedure, "{")
	one := h.beginSlow(t, h2, "main", transferProcedure, strings.Repeat(" ", 2*largeFrom))
	eventually(t, "it is large", func() bool {
		h.server.arriving.mu.Lock()
		defer h.server.arriving.mu.Unlock()
		return h.server.arriving.large.Len() == 1
	})
	h.beginSlow(t, h2, "main", transferProcedure, strings.Repeat(" ", 2*largeFrom))
	if got := one.status(t); got != "429 Too Many Requests" {
		t.Errorf("the first large one is answered with %s", got)
	}
	if _, cut := h.server.arriving.count(); cut != 1 {
		t.Errorf("%d were cut off", cut)
	}
	_ = small.body.Close()
	if got := small.status(t); got != "400 Bad Request" {
		t.Errorf("the small one is answered with %s", got)
	}
}

// The native door waits no longer for a request than the other.
func TestTheNativeDoorWaitsSoLongForARequest(t *testing.T) {
	h := start(t, func(_ *Config, h *harness) { h.tune = func(s *Server) { s.arriving.longest = 50 * time.Millisecond } })
	for _, procedure := range []string{transferProcedure, walletv1connect.WalletServiceWatchWalletProcedure} {
		if got := h.beginSlow(t, h2cClient(t), "native", procedure, "").status(t); got != "gRPC 4" {
			t.Errorf("%s is answered with %s", procedure, got)
		}
	}
}

// endless is a body that never ends.
type endless struct{ read atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	clear(p)
	e.read.Add(int64(len(p)))
	return len(p), nil
}

// What a message says of its length is enough to refuse it.
func TestAMessageThatSaysItIsTooLargeIsntRead(t *testing.T) {
	h := start(t)
	huge := string(binary.BigEndian.AppendUint32([]byte{0}, 1<<30))
	for _, contentType := range []string{"application/grpc", "application/grpc-web+proto", "application/connect+proto", "Application/GRPC"} {
		procedure := transferProcedure
		if contentType == "application/connect+proto" {
			procedure = walletv1connect.WalletServiceWatchWalletProcedure
		}
		var rest endless
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url(procedure), io.MultiReader(strings.NewReader(huge), &rest))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", contentType)
		req.Header.Set("Authorization", "Bearer "+userToken)
		res, err := h2cClient(t).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		said := string(text) + "grpc-status: " + res.Trailer.Get("Grpc-Status") + res.Header.Get("Grpc-Status")
		if !strings.Contains(said, "grpc-status: 8") && !strings.Contains(said, "MESSAGE_TOO_LARGE") {
			t.Errorf("%s is answered with %q", contentType, said)
		}
		if read := rest.read.Load(); read > 64<<20 { // what is on the way before the answer is far less
			t.Errorf("of %s, %d bytes were sent", contentType, read)
		}
	}
}

// Nor is a call whose headers say it.
func TestACallThatSaysItIsTooLargeIsntRead(t *testing.T) {
	h := start(t)
	body, write := io.Pipe()
	defer write.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url(transferProcedure), body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 1 << 30
	req.Header.Set("Content-Type", "application/json")
	res, err := h2cClient(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	checkFailure(t, readFailure(t, res), connect.CodeResourceExhausted, "MESSAGE_TOO_LARGE")
}

// Whatever a body is read by, it comes out as it went in, up to a message that is too
// large.
func FuzzEnveloped(f *testing.F) {
	message := func(n int) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(n)), make([]byte, n)...)
	}
	f.Add(append(message(3), message(0)...), uint8(1))
	f.Add(append(message(8), message(200)...), uint8(4))
	f.Add([]byte{0, 0xff, 0xff, 0xff, 0xff, 1}, uint8(7))
	f.Add([]byte{0, 0, 0}, uint8(2))
	f.Fuzz(func(t *testing.T, data []byte, piece uint8) {
		const most = 100
		end, tooLarge := len(data), false
		for at := 0; at+prefixBytes <= len(data); {
			n := int64(binary.BigEndian.Uint32(data[at+1:]))
			at += prefixBytes
			if n > most {
				end, tooLarge = at, true
				break
			}
			at += int(min(n, int64(len(data))))
		}
		r := &enveloped{ReadCloser: io.NopCloser(iotest.HalfReader(bytes.NewReader(data))), most: most}
		got, err := io.ReadAll(readBy{r, int(piece)%16 + 1})
		if !bytes.Equal(got, data[:end]) || (err != nil) != tooLarge {
			t.Fatalf("%x came out as %x, %v", data, got, err)
		}
	})
}

// readBy reads so many bytes at a time.
type readBy struct {
	io.Reader
	n int
}

func (r readBy) Read(p []byte) (int, error) { return r.Reader.Read(p[:min(len(p), r.n)]) }
