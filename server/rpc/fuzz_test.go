package rpc

import (
	"encoding/base64"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"
)

type fuzzedPage struct {
	After string `json:"a"`
	Count int64  `json:"n,omitempty"`
}

// A page token that is accepted is one that we wrote, for this very list.
func FuzzDecodePageToken(f *testing.F) {
	for _, token := range []string{EncodePageToken("list", fuzzedPage{"txn_1", 7}), EncodePageToken("other", fuzzedPage{}), "", "AAAA", "====", "AAAAAAAAAAB7fQ"} {
		f.Add("list", token, []byte(`{"a":"x"}`))
	}
	f.Add("list", "", []byte(`{"a":"x\u0000"}`))
	f.Fuzz(func(t *testing.T, kind, token string, data []byte) {
		var page fuzzedPage
		if DecodePageToken(kind, token, &page) == nil && EncodePageToken(kind, page) != token {
			var other fuzzedPage // JSON of another spelling is ours too if its sum is right
			if DecodePageToken(kind, EncodePageToken(kind, page), &other) != nil || other != page {
				t.Fatalf("%q reads as %+v", token, page)
			}
		}
		// Behind the checksum, as somebody who knows how it is made.
		if DecodePageToken(kind, sealedToken(kind, data), &page) == nil && (!utf8.ValidString(page.After) || strings.Contains(page.After, "\x00")) {
			t.Fatalf("%q reads as %q, which PostgreSQL can't hold", data, page.After)
		}
	})
}

// sealedToken puts data behind a checksum that is right.
func sealedToken(kind string, data []byte) string {
	sum := pageSum(kind, data)
	return base64.RawURLEncoding.EncodeToString(append(sum[:pageSumBytes:pageSumBytes], data...))
}

// The address of a caller is one that a trusted proxy named, or the peer's own.
func FuzzForwardedFor(f *testing.F) {
	for _, header := range []string{"", "203.0.113.9", "203.0.113.9, 10.0.0.1", ",,,", "[::1]:80, 10.0.0.2", "::ffff:10.0.0.1", "fe80::1%eth0", "unknown, 10.0.0.1"} {
		f.Add(header, "10.0.0.7:1234")
	}
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, header, peer string) {
		addr := peerAddr(peer)
		got := forwardedFor(addr, []string{header}, trusted)
		if got.Zone() != "" || got.Is4In6() {
			t.Fatalf("%q behind %q is %s", header, peer, got)
		}
		if header == "" && got != addr {
			t.Fatalf("%q is %s", peer, got)
		}
	})
}

func FuzzRequestID(f *testing.F) {
	f.Add("0198c2d4-5f0e", "a\nb")
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, id := range []string{a, b} {
			if !validRequestID(id) {
				continue
			}
			for _, r := range id {
				if r <= ' ' || r > '~' || r == '"' || r == '\\' {
					t.Fatalf("%q is taken for an id", id)
				}
			}
		}
	})
}
