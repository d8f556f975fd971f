package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
)

func TestProbesTellLifeFromReadiness(t *testing.T) {
	broken := errors.New("dial tcp 10.0.0.7:5432: no route to host")
	h := start(t, func(_ *Config, h *harness) {
		h.ping = func(context.Context) error { return broken }
	})
	if code, _ := get(t, h.url("/healthz")); code != http.StatusOK {
		t.Errorf("/healthz without a database: %d", code)
	}
	code, body := get(t, h.url("/readyz"))
	if code != http.StatusServiceUnavailable || strings.Contains(body, "10.0.0.7") {
		t.Errorf("/readyz without a database: %d %q", code, body)
	}
	broken = nil
	eventually(t, "ready", func() bool { code, _ := get(t, h.url("/readyz")); return code == http.StatusOK })
}

func TestAPageIsServedBehindTheCalls(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("<title>Shop</title>"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := start(t, func(c *Config, _ *harness) { c.WebDir = dir })
	if code, body := get(t, h.url("/shop/report")); code != http.StatusOK || body != "<title>Shop</title>" {
		t.Errorf("a path of the page: %d %q", code, body)
	}
	if code, body := get(t, h.url("/healthz")); code != http.StatusOK || strings.Contains(body, "Shop") {
		t.Errorf("/healthz: %d %q", code, body)
	}
	if code, _ := get(t, h.url(getWalletProcedure)); code != http.StatusMethodNotAllowed {
		t.Errorf("a procedure by GET: %d", code)
	}
	call := h.clients(t)["Connect over HTTP/1.1"]
	if f := call(t, getWalletProcedure, userToken, &walletv1.GetWalletRequest{}, &walletv1.GetWalletResponse{}); f != nil {
		t.Errorf("a call: %s", f.message)
	}
}

func TestAFolderWithoutAPageIsRefusedAtOnce(t *testing.T) {
	err := Config{Sandbox: true, WebDir: t.TempDir()}.Check()
	if err == nil || !strings.Contains(err.Error(), "--web-dir") || !strings.Contains(err.Error(), "index.html") {
		t.Errorf("%v", err)
	}
}

func TestAStoppingReplicaIsUnreadyFirst(t *testing.T) {
	noticed := make(chan struct{})
	h := start(t, func(c *Config, h *harness) {
		c.DrainDelay = time.Minute
		h.wallet.watch = watchNothing
		h.tune = func(s *Server) { s.sleep = func(time.Duration) { <-noticed } }
	})
	next := h.watches(t)["native door"](t)
	if token, f := next(); token != "1" {
		t.Fatalf("first message: %q %v", token, f)
	}
	go func() { _ = h.stop() }()
	<-h.server.unready.Done()
	if code, body := get(t, h.url("/readyz")); code != http.StatusServiceUnavailable {
		t.Errorf("/readyz: %d %s", code, body)
	}
	call := grpcClient(t, h.server.GRPCAddr())
	if f := call(t, getWalletProcedure, userToken, &walletv1.GetWalletRequest{}, &walletv1.GetWalletResponse{}); f != nil {
		t.Errorf("a call: %s", f.message)
	}
	if h.server.draining.Err() != nil {
		t.Error("streams were sent away before load balancers could notice")
	}
	close(noticed)
	_, f := next()
	checkFailure(t, f, connect.CodeUnavailable, "STREAM_MOVED")
}

// A client of HTTP/1 that went on would have a call under way when its connection is
// closed, sooner or later.
func TestAStoppingReplicaLetsGoOfConnectionsThatCantBeTold(t *testing.T) {
	noticed := make(chan struct{})
	h := start(t, func(c *Config, h *harness) {
		c.DrainDelay = time.Minute
		h.tune = func(s *Server) { s.sleep = func(time.Duration) { <-noticed } }
	})
	defer close(noticed)
	closes := func() (http1, http2 bool) {
		t.Helper()
		for client, closed := range map[*http.Client]*bool{{Transport: &http.Transport{}}: &http1, h2cClient(t): &http2} {
			res, err := client.Get(h.url("/healthz"))
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			*closed = res.Close
			client.CloseIdleConnections()
		}
		return http1, http2
	}
	if http1, http2 := closes(); http1 || http2 {
		t.Errorf("a replica that serves lets go of its connections: %v, %v", http1, http2)
	}
	go func() { _ = h.stop() }()
	<-h.server.unready.Done()
	if http1, http2 := closes(); !http1 || http2 {
		t.Errorf("lets go of HTTP/1: %v, of HTTP/2: %v", http1, http2)
	}
}

func TestMetricsCountCallsByProcedureAndCode(t *testing.T) {
	h := start(t)
	call := curlClient(h.url(""))
	for range 3 {
		call(t, getWalletProcedure, userToken, &walletv1.GetWalletRequest{}, &walletv1.GetWalletResponse{})
	}
	call(t, getWalletProcedure, "", &walletv1.GetWalletRequest{}, &walletv1.GetWalletResponse{})
	for i := range 5 {
		call(t, fmt.Sprintf("/made.up.v1.Service/%d", i), "", &walletv1.GetWalletRequest{}, &walletv1.GetWalletResponse{})
	}
	_, body := get(t, h.url("/metrics"))
	for _, want := range []string{
		`rpc_server_call_duration_seconds_count{rpc_method="tillbook.wallet.v1.WalletService/GetWallet",rpc_response_status_code="OK",tillbook_money="false"} 3`,
		`rpc_server_call_duration_seconds_count{rpc_method="tillbook.wallet.v1.WalletService/GetWallet",rpc_response_status_code="UNAUTHENTICATED",tillbook_money="false"} 1`,
		`rpc_server_call_duration_seconds_count{rpc_method="other",rpc_response_status_code="UNIMPLEMENTED",tillbook_money="false"} 5`,
		`go_goroutines`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	if strings.Contains(body, "made.up") {
		t.Error("a client can make up labels")
	}
}

func TestProceduresAreNotServedOverGET(t *testing.T) {
	h := start(t)
	code, _ := get(t, h.url(getWalletProcedure+"?connect=v1&encoding=json&message=%7B%7D"))
	if code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", code)
	}
	if code, _ := get(t, h.url("/nothing/here")); code != http.StatusNotFound {
		t.Errorf("an unknown path: %d", code)
	}
}

func TestOnlyAllowedOriginsMayCall(t *testing.T) {
	h := start(t, func(c *Config, _ *harness) { c.AllowedOrigins = []string{"https://shop.example"} })
	preflight := func(origin string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, h.url(transferProcedure), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", origin)
		req.Header.Set("Access-Control-Request-Method", "POST")
		r, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		return r
	}
	r := preflight("https://shop.example")
	if r.StatusCode != http.StatusNoContent || r.Header.Get("Access-Control-Allow-Origin") != "https://shop.example" ||
		!strings.Contains(r.Header.Get("Access-Control-Allow-Headers"), "Authorization") {
		t.Errorf("preflight of a friend: %d %v", r.StatusCode, r.Header)
	}
	if r := preflight("https://evil.example"); r.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("preflight of a stranger: %v", r.Header)
	}
	r = post(t, h.url(getWalletProcedure), strings.NewReader("{}"), "Content-Type", "application/json",
		"Origin", "https://shop.example", "Authorization", "Bearer "+userToken)
	if r.StatusCode != http.StatusOK || r.Header.Get("Access-Control-Allow-Origin") != "https://shop.example" {
		t.Errorf("call: %d %v", r.StatusCode, r.Header)
	}
}

// TestASlowBodyEndsButASlowStreamDoesNot has short timeouts: a request that
// trickles is cut off, a stream that is silent for longer lives.
func TestASlowBodyEndsButASlowStreamDoesNot(t *testing.T) {
	const short = 200 * time.Millisecond
	h := start(t, func(_ *Config, h *harness) {
		h.tune = func(s *Server) { s.http.ReadTimeout, s.http.WriteTimeout = short, 2*short }
		h.wallet.watch = func(ctx context.Context, _ *walletv1.WatchWalletRequest, stream watchStream) error {
			for _, token := range []string{"1", "2"} {
				if err := stream.Send(&walletv1.WatchWalletResponse{ResumeToken: token}); err != nil {
					return err
				}
				select {
				case <-time.After(3 * short):
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		}
	})
	for name, open := range h.watches(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next := open(t)
			for _, want := range []string{"1", "2", ""} {
				if token, f := next(); token != want || f != nil {
					t.Fatalf("got %q %+v, want %q", token, f, want)
				}
			}
		})
	}
	t.Run("a slow body", func(t *testing.T) {
		t.Parallel()
		trickle(t, h)
	})
}

// trickle begins a request and never ends it.
func trickle(t *testing.T, h *harness) {
	t.Helper()
	conn, err := net.Dial("tcp", h.server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{", transferProcedure, userToken)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	checkFailure(t, jsonFailure(t, r, data), connect.CodeDeadlineExceeded, "DEADLINE_EXCEEDED")
}

// TestASlowBodyEndsOverHTTP2 is the same where one connection carries many.
func TestASlowBodyEndsOverHTTP2(t *testing.T) {
	h := start(t, func(_ *Config, h *harness) {
		h.tune = func(s *Server) { s.http.ReadTimeout = 100 * time.Millisecond }
	})
	body, feed := io.Pipe()
	defer func() { _ = feed.Close() }()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url(transferProcedure), body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+userToken)
	r, err := h2cClient(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	checkFailure(t, readFailure(t, r), connect.CodeDeadlineExceeded, "DEADLINE_EXCEEDED")
}

func TestACallWithoutADeadlineGetsOne(t *testing.T) {
	deadlines := make(chan time.Duration, 1)
	h := start(t, func(c *Config, h *harness) {
		h.wallet.getWallet = func(ctx context.Context) error {
			deadline, _ := ctx.Deadline()
			deadlines <- time.Until(deadline)
			return nil
		}
	})
	for _, tt := range []struct {
		header      string
		least, most time.Duration
	}{
		{"", 10 * time.Second, 30 * time.Second},
		{"3600000", 40 * time.Second, 60 * time.Second},
		{"5000", 0, 5 * time.Second},
	} {
		headers := []string{"Content-Type", "application/json", "Authorization", "Bearer " + userToken}
		if tt.header != "" {
			headers = append(headers, "Connect-Timeout-Ms", tt.header)
		}
		post(t, h.url(getWalletProcedure), strings.NewReader("{}"), headers...)
		if d := <-deadlines; d < tt.least || d > tt.most {
			t.Errorf("timeout %q: deadline in %s", tt.header, d)
		}
	}
}
