package server

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/server/web"
)

const (
	readHeaderTimeout = 5 * time.Second
	// bodyTimeout is how long a request may take to arrive in full.
	bodyTimeout  = 20 * time.Second
	idleTimeout  = 2 * time.Minute
	maxHeader    = 32 << 10
	pingInterval = time.Minute
	pingTimeout  = 20 * time.Second
	stuckTimeout = 30 * time.Second
	// compressFrom is the size from which compressing an answer is worth it.
	compressFrom = 2 << 10
	// writeSlack is what an answer may take after its call's last moment.
	writeSlack = 15 * time.Second
)

// httpDoor serves Connect, gRPC and gRPC-Web, and what else speaks HTTP.
type httpDoor struct {
	cfg    *Config
	seen   *observer
	errors *connecthttp.ErrorWriter
	mux    *http.ServeMux
	// arriving bounds the requests that haven't arrived yet.
	arriving *arrivals
	// site is nil if no page is served.
	site *web.Site
}

// newHTTPDoor returns the server behind Config.Listen. The routes are those that
// aren't procedures; the site, which may be nil, is behind them all. When unready ends
// clients are to go elsewhere.
func newHTTPDoor(unready context.Context, cfg *Config, calls *connect.Server, seen *observer, site *web.Site, arriving *arrivals, routes map[string]http.Handler) *http.Server {
	d := &httpDoor{cfg: cfg, seen: seen, errors: connecthttp.NewErrorWriter(), mux: http.NewServeMux(), arriving: arriving, site: site}
	kinds := make(map[string]connect.StreamType)
	for spec := range calls.Specs() {
		kinds[spec.Procedure] = spec.StreamType
	}
	connecthttp.Mount(&procedureMux{door: d, kinds: kinds}, calls,
		connecthttp.WithReadMaxBytes(cfg.MaxMessageBytes),
		countingCodecs(),
		connecthttp.WithCompressMinBytes(compressFrom))
	for pattern, handler := range routes {
		d.mux.Handle(pattern, handler)
	}
	d.mux.HandleFunc("/", d.serveUnknown)

	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           parting(unready, allowOrigins(cfg.AllowedOrigins, d.mux)),
		Protocols:         protocols,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       bodyTimeout,
		WriteTimeout:      cfg.MaxCallTimeout + writeSlack,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: cfg.MaxStreams,
			SendPingTimeout:      pingInterval,
			PingTimeout:          pingTimeout,
			WriteByteTimeout:     stuckTimeout,
		},
		ErrorLog: slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelWarn),
	}
}

// parting has clients of HTTP/1 connect anew once a replica is unready. Else their
// connections would be closed when the door is, and a call that was sent at that moment
// would be lost. HTTP/2 tells its clients beforehand.
func parting(unready context.Context, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 1 && unready.Err() != nil {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// procedureMux wraps each procedure that Mount registers in what its kind of
// stream needs.
type procedureMux struct {
	door  *httpDoor
	kinds map[string]connect.StreamType
}

// Handle is called by Mount, with a procedure or with a service and a slash.
func (m *procedureMux) Handle(pattern string, handler http.Handler) {
	kind, known := m.kinds[pattern]
	if !known {
		// Connect's own answer to unknown methods depends on the version of HTTP.
		m.door.mux.HandleFunc(pattern, m.door.serveUnknown)
		return
	}
	allowed := m.door.allowance(kind, rpc.Policies[pattern].Timeout)
	m.door.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			// Connect would serve reads over GET, with the request in the URL, where
			// proxies log it. Requests name phone numbers.
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "Procedures are called with POST.", http.StatusMethodNotAllowed)
			return
		}
		if err := unreadable(r); err != nil {
			m.door.refuse(w, r, err)
			return
		}
		if allowed > 0 {
			// The server's own timeouts are meant for short calls.
			control := http.NewResponseController(w)
			_ = control.SetWriteDeadline(time.Now().Add(allowed))
			if kind&connect.StreamTypeClient != 0 {
				// One that falls silent ends with its age as well.
				_ = control.SetReadDeadline(time.Now().Add(allowed))
			}
		}
		m.door.bound(w, r, kind, handler)
	})
}

// bound serves a call whose request can't be larger, or take more from others while it
// arrives, than the server allows.
func (d *httpDoor) bound(w http.ResponseWriter, r *http.Request, kind connect.StreamType, handler http.Handler) {
	w = linger(w, r, kind)
	if kind&connect.StreamTypeClient == 0 {
		if r.ContentLength > int64(d.cfg.MaxMessageBytes)+prefixBytes {
			d.refuse(w, r, errTooLarge)
			return
		}
		body := d.arriving.body(w, r)
		defer body.arrival.end()
		r.Body = body
	}
	if isEnveloped(r.Header.Get("Content-Type")) {
		r.Body = &enveloped{ReadCloser: r.Body, most: int64(d.cfg.MaxMessageBytes)}
	}
	handler.ServeHTTP(w, r)
}

// allowance is how long the answer of a procedure may take to be written in
// full, if that is longer than the server allows; else 0.
func (d *httpDoor) allowance(kind connect.StreamType, timeout time.Duration) time.Duration {
	switch {
	case kind != connect.StreamTypeUnary:
		return d.cfg.StreamAge + d.cfg.StreamAge/5 + writeSlack
	case timeout > d.cfg.MaxCallTimeout:
		return timeout + writeSlack
	default:
		return 0
	}
}

// serveUnknown answers what no route knows: clients of some procedure in their
// own protocol, browsers with the page if there is one, others with a plain 404.
func (d *httpDoor) serveUnknown(w http.ResponseWriter, r *http.Request) {
	if d.site != nil && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		d.site.ServeHTTP(w, r)
		return
	}
	if r.Method != http.MethodPost || !d.errors.IsSupported(r) {
		http.NotFound(w, r)
		return
	}
	d.refuse(w, r, errNoProcedure)
}

// refuse answers a call that Connect would refuse before any interceptor sees
// it, so that even this error carries its reason.
func (d *httpDoor) refuse(w http.ResponseWriter, r *http.Request, reason *rpc.Error) {
	id := rpc.NewRequestID()
	err := rpc.Refuse(id, r.URL.Path, reason)
	d.seen.record(r.Context(), call{id: id, procedure: r.URL.Path, err: err})
	w.Header().Set("X-Request-Id", id)
	_ = d.errors.Write(w, r, err)
}
