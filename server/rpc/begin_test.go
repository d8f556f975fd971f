package rpc

import (
	"context"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"connectrpc.com/connect/v2"
)

const errConnReset = syscall.ECONNRESET

// begun runs a call through Begin and returns its context.
func begun(t *testing.T, peer string, header map[string][]string, trusted ...string) context.Context {
	t.Helper()
	var prefixes []netip.Prefix
	for _, p := range trusted {
		prefixes = append(prefixes, netip.MustParsePrefix(p))
	}
	var seen context.Context
	calls := connect.NewServer(Begin(Policies, prefixes))
	calls.SetUnknownHandler(func(ctx context.Context, _ connect.Spec, _ connect.ServerStream) error {
		seen = ctx
		return nil
	})
	info := &connect.CallInfo{PeerAddr: peer}
	for key, values := range header {
		info.RequestHeader().SetValues(key, values)
	}
	if err := calls.Call(t.Context(), "/x/y", info, nil); err != nil {
		t.Fatal(err)
	}
	if got := info.ResponseHeader().Get("X-Request-Id"); got == "" || got != RequestID(seen) {
		t.Errorf("request id %q in the answer, %q in the context", got, RequestID(seen))
	}
	return seen
}

func TestForwardedForIsBelievedOnlyFromProxies(t *testing.T) {
	tests := map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"nobody forwards":                   {"203.0.113.9:5000", nil, "203.0.113.9"},
		"a stranger claims to forward":      {"203.0.113.9:5000", []string{"10.0.0.1"}, "203.0.113.9"},
		"a proxy forwards":                  {"10.1.2.3:5000", []string{"203.0.113.9"}, "203.0.113.9"},
		"a client adds an address":          {"10.1.2.3:5000", []string{"198.51.100.1, 203.0.113.9"}, "203.0.113.9"},
		"a client adds a header":            {"10.1.2.3:5000", []string{"198.51.100.1", "203.0.113.9"}, "203.0.113.9"},
		"two proxies forward":               {"10.1.2.3:5000", []string{"203.0.113.9, 10.9.9.9"}, "203.0.113.9"},
		"a client poses as a proxy":         {"10.1.2.3:5000", []string{"203.0.113.9, 10.9.9.9, 198.51.100.7"}, "198.51.100.7"},
		"only proxies are known":            {"10.1.2.3:5000", []string{"10.8.8.8, 10.9.9.9"}, "10.8.8.8"},
		"the proxy forwards nothing":        {"10.1.2.3:5000", nil, "10.1.2.3"},
		"what it forwards can't be read":    {"10.1.2.3:5000", []string{"203.0.113.9, unknown"}, "10.1.2.3"},
		"with ports":                        {"10.1.2.3:5000", []string{"203.0.113.9:4711"}, "203.0.113.9"},
		"IPv6":                              {"[fd00::1]:5000", []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		"IPv4 in IPv6":                      {"[::ffff:10.1.2.3]:5000", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		"an IPv4 proxy seen as an IPv6 one": {"[::ffff:203.0.113.9]:5000", nil, "203.0.113.9"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ctx := begun(t, tt.peer, map[string][]string{"X-Forwarded-For": tt.forwarded}, "10.0.0.0/8", "fd00::/8")
			if got := ClientIP(ctx); got != netip.MustParseAddr(tt.want) {
				t.Errorf("client %s, want %s", got, tt.want)
			}
		})
	}
	if got := ClientIP(begun(t, "@", nil)); got.IsValid() {
		t.Errorf("a peer without an address is %s", got)
	}
}

func TestARequestIDIsTakenOnlyFromProxies(t *testing.T) {
	header := func(id string) map[string][]string { return map[string][]string{"X-Request-Id": {id}} }
	if got := RequestID(begun(t, "10.1.2.3:5000", header("abc-123"), "10.0.0.0/8")); got != "abc-123" {
		t.Errorf("from a proxy: %q", got)
	}
	if got := RequestID(begun(t, "203.0.113.9:5000", header("abc-123"), "10.0.0.0/8")); got == "abc-123" {
		t.Error("a stranger chose its id")
	}
	for _, bad := range []string{"", "a b", "x\ny", "\"", "ä", strings.Repeat("x", 65)} {
		if got := RequestID(begun(t, "10.1.2.3:5000", header(bad), "10.0.0.0/8")); got == bad {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestRequestIDsDiffer(t *testing.T) {
	seen := make(map[string]bool)
	for range 10_000 {
		id := NewRequestID()
		if seen[id] || !validRequestID(id) {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
	}
}
