package tillbook

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// newHTTPClient returns the client that is used unless the caller brings one.
//
// http:// speaks HTTP/1.1 with connections that are kept: it is understood by
// every server and proxy, and a call on a kept connection costs less CPU than
// an HTTP/2 stream. A Watch holds a connection of its own then. https://
// negotiates HTTP/2, where a Watch is one stream among the calls.
func newHTTPClient() *http.Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}
	return &http.Client{
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         dialer.DialContext,
			ForceAttemptHTTP2:   true,
			TLSHandshakeTimeout: 5 * time.Second,
			MaxIdleConns:        512,
			MaxIdleConnsPerHost: 512,
			// Shorter than servers and load balancers usually wait, so that a call
			// seldom meets a connection that the other side is closing.
			IdleConnTimeout: 45 * time.Second,
			// Finds dead HTTP/2 connections, which would take Watch with them.
			HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
		},
		// No procedure redirects. Following one would hand credentials to whoever
		// is named there.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// flight follows one request on its way out, because what may be done after a
// failure hangs on whether the server can have seen the request.
type flight struct {
	begun   atomic.Bool // the request was handed to the HTTP client
	waiting atomic.Bool // the HTTP client looked for a connection
	got     atomic.Bool // the HTTP client had a connection
	dial    atomic.Bool // the HTTP client failed to make a connection
}

// maybeSent reports whether the server can have seen the request. In doubt it
// can: an HTTP client that doesn't trace its connections proves nothing.
func (f *flight) maybeSent() bool {
	neverConnected := f.waiting.Load() && !f.got.Load()
	return f.begun.Load() && !f.dial.Load() && !neverConnected
}

// follow returns a context whose request reports to the flight.
func (f *flight) follow(ctx context.Context) context.Context {
	ctx = context.WithValue(ctx, flightKey{}, f)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { f.waiting.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { f.got.Store(true) },
	})
}

type flightKey struct{}

// doer hands requests to an HTTP client and tells their flights.
type doer struct{ client *http.Client }

// Do sends the request.
func (d doer) Do(request *http.Request) (*http.Response, error) {
	f, _ := request.Context().Value(flightKey{}).(*flight)
	if f == nil {
		return d.client.Do(request)
	}
	f.begun.Store(true)
	response, err := d.client.Do(request)
	if err != nil && isDialError(err) {
		f.dial.Store(true)
	}
	return response, err
}

// isDialError reports whether err says that no connection came about.
func isDialError(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && (op.Op == "dial" || op.Op == "proxyconnect")
}
