package server

import (
	"bytes"
	"net/http"
	"testing"

	"google.golang.org/protobuf/proto"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
)

// Counting the parts of a message finds no fewer than decoding makes.
func FuzzParts(f *testing.F) {
	for _, m := range []proto.Message{
		&merchantv1.CreateCheckoutRequest{Items: []*checkoutv1.CheckoutItem{{Name: "x"}, {}}}, importMessage(1, 3, 4), &ledgerv1.PostTransactionsRequest{},
	} {
		data, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add(bytes.Repeat([]byte{0x32, 0}, 3000))
	f.Add([]byte{0x0b, 0x0c, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, m := range []proto.Message{&merchantv1.CreateCheckoutRequest{}, &ledgerv1.ImportTransactionsRequest{}, &ledgerv1.PostTransactionsRequest{}} {
			const many = 1 << 30
			counted := many - countParts(m.ProtoReflect().Descriptor(), data, many)
			if proto.Unmarshal(data, m) != nil {
				continue
			}
			made := 0
			switch m := m.(type) {
			case *merchantv1.CreateCheckoutRequest:
				made = len(m.GetItems())
			case *ledgerv1.ImportTransactionsRequest:
				made = len(m.GetItems())
			case *ledgerv1.PostTransactionsRequest:
				made = len(m.GetItems())
			}
			if counted < made {
				t.Fatalf("%x has %d parts, %d were counted", data, made, counted)
			}
		}
	})
}

// Headers that a client makes up are refused or read.
func FuzzHeaders(f *testing.F) {
	for _, v := range []string{"", "gzip", "br", "1", "9999999999", "99999999H", "1S", "H", "-1m", "\x00"} {
		f.Add(v, v, v, v)
	}
	f.Fuzz(func(t *testing.T, encoding, ms, timeout, version string) {
		r := &http.Request{Header: http.Header{"Content-Encoding": {encoding}, "Connect-Timeout-Ms": {ms}, "Grpc-Timeout": {timeout}, "Connect-Protocol-Version": {version}}}
		if unreadable(r) == nil && (version != "1" || len(ms) > 10 || len(timeout) > 9) {
			t.Fatalf("%v is let through", r.Header)
		}
	})
}

// A configuration is refused with a sentence or taken.
func FuzzConfig(f *testing.F) {
	for _, v := range []string{"", "127.0.0.1:0", ":8080", "0.0.0.0:1", "[::1]:1", "localhost:x", "::", "http://127.0.0.1:1/x", "https://u:p@h/", "ftp://x", "http://[::1%25x]/", "\x00"} {
		f.Add(v, v, v, true)
		f.Add("127.0.0.1:0", "", v, false)
	}
	f.Fuzz(func(t *testing.T, listen, grpc, webhook string, sandbox bool) {
		c := Config{Listen: listen, GRPCListen: grpc, SMSWebhookURL: webhook, Sandbox: sandbox}
		if err := c.Check(); err == nil && sandbox && (listen != "" && !isLoopback(listen) || grpc != "" && !isLoopback(grpc)) {
			t.Fatalf("a sandbox listens on %q and %q", listen, grpc)
		}
	})
}
