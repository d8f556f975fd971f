package rpc

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"strings"

	"connectrpc.com/connect/v2"
)

const (
	requestIDHeader    = "X-Request-Id"
	forwardedForHeader = "X-Forwarded-For"
	maxRequestID       = 64
)

// Begin is the first interceptor: it gives the call its id, its policy and the
// address it comes from. What a client says about itself, in X-Request-Id and
// X-Forwarded-For, counts only when the peer is one of the trusted proxies.
func Begin(policies map[string]Policy, trusted []netip.Prefix) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			c := &call{policy: policies[spec.Procedure]}
			if info, ok := connect.CallInfoForServerContext(ctx); ok {
				c.identify(info, trusted)
				info.ResponseHeader().Set(requestIDHeader, c.requestID)
			} else {
				c.requestID = NewRequestID()
			}
			return next(withCall(ctx, c), spec, stream)
		}
	}
}

func (c *call) identify(info *connect.CallInfo, trusted []netip.Prefix) {
	c.clientIP = peerAddr(info.PeerAddr)
	if !contains(trusted, c.clientIP) {
		c.requestID = NewRequestID()
		return
	}
	header := info.RequestHeader()
	c.clientIP = forwardedFor(c.clientIP, header.Values(forwardedForHeader), trusted)
	c.requestID = header.Get(requestIDHeader)
	if !validRequestID(c.requestID) {
		c.requestID = NewRequestID()
	}
}

// forwardedFor walks back over the proxies: the right-most address that isn't a
// trusted one is the client's. Addresses further left are what that client
// claims. Something unreadable ends the walk at the last address known.
func forwardedFor(peer netip.Addr, headers []string, trusted []netip.Prefix) netip.Addr {
	last := peer
	for i := len(headers) - 1; i >= 0; i-- {
		rest := headers[i]
		for rest != "" {
			var hop string
			if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
				rest, hop = rest[:comma], rest[comma+1:]
			} else {
				rest, hop = "", rest
			}
			addr := peerAddr(strings.TrimSpace(hop))
			if !addr.IsValid() {
				return last
			}
			last = addr
			if !contains(trusted, addr) {
				return last
			}
		}
	}
	return last
}

// peerAddr reads an address with or without a port; invalid if it is neither.
func peerAddr(s string) netip.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	if !addr.IsValid() {
		return false
	}
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// NewRequestID returns a new id for a call: unlikely to come twice, no secret.
func NewRequestID() string {
	const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
	var random [16]byte
	binary.LittleEndian.PutUint64(random[:8], rand.Uint64())
	binary.LittleEndian.PutUint64(random[8:], rand.Uint64())
	for i, b := range random {
		random[i] = alphabet[b&31]
	}
	return string(random[:])
}

// validRequestID accepts what can stand in a log line and a header as it is.
func validRequestID(s string) bool {
	if s == "" || len(s) > maxRequestID {
		return false
	}
	for i := range len(s) {
		b := s[i]
		switch {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		case b == '-', b == '_', b == '.', b == ':':
		default:
			return false
		}
	}
	return true
}
