package ledger_test

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog"
)

// A wire is a toxiproxy between a ledger and PostgreSQL. Its toxic follows the
// protocol, so a test can break a connection at exactly the message it means.
type wire struct {
	t     testing.TB
	name  string
	proxy *toxiproxy.Proxy
	age   atomic.Int64 // grows with each silenceAll

	// keepalive is after how long a silent connection is closed, as TCP would
	// do. 0 is never. Set it first.
	keepalive time.Duration

	mu     sync.Mutex
	rule   func(event) fate
	limit  func() int    // how many bytes a new link carries before it breaks
	down   bool          // new links break at once
	mute   bool          // new links are silent from the start
	cutAll chan struct{} // closed to break the links of now
}

// event is a message that is about to pass.
type event struct {
	upstream bool   // from the ledger to PostgreSQL
	text     string // the statement to execute, or the tag of the executed one
}

// A fate is what becomes of a message and all those behind it on its way.
type fate struct {
	kind    kindOfFate
	release <-chan struct{} // hold: when it goes on
	inject  []byte          // pass: goes behind it
	unplug  bool            // no new connection gets through until plug
}

type kindOfFate int

const (
	pass    kindOfFate = iota
	cut                // drop it and close the connection
	silence            // drop it and leave the connection open
	hold               // keep it until release, even if the sender is gone
)

var wires sync.Map // by name, since toxiproxy makes the toxics itself

func init() { toxics.Register("postgres", new(postgresToxic)) }

// newWire starts a wire to the server of a URL and returns it and the URL of
// the same database through it.
func newWire(t testing.TB, to string) (*wire, string) {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{t: t, name: t.Name(), cutAll: make(chan struct{})}
	wires.Store(w.name, w)
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	w.proxy = toxiproxy.NewProxy(server, w.name, "127.0.0.1:0", u.Host)
	for _, direction := range []string{"upstream", "downstream"} {
		_, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(
			`{"type": "postgres", "stream": %q, "attributes": {"wire": %q, "upstream": %t}}`,
			direction, w.name, direction == "upstream")))
		if err != nil {
			t.Fatalf("adding a toxic: %v", err)
		}
	}
	if err := w.proxy.Start(); err != nil {
		t.Fatalf("starting toxiproxy: %v", err)
	}
	t.Cleanup(func() {
		w.proxy.Stop()
		wires.Delete(w.name)
	})
	u.Host = w.proxy.Listen
	return w, u.String()
}

// obey asks rule about every message that passes from now on. No rule lets all
// pass.
func (w *wire) obey(rule func(event) fate) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rule = rule
}

// once obeys a rule until it has spoken once.
func (w *wire) once(upstream bool, text string, f fate) (struck <-chan struct{}) {
	done := make(chan struct{})
	w.obey(func(e event) fate {
		if e.upstream != upstream || !strings.HasPrefix(strings.TrimSpace(e.text), text) {
			return fate{}
		}
		select {
		case <-done:
			return fate{}
		default:
			close(done)
			return f
		}
	})
	return done
}

// fray makes each direction of a new connection break after as many bytes as
// limit says. nil mends it.
func (w *wire) fray(limit func() int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.limit = limit
}

// silenceAll swallows what the connections of now carry, in both directions,
// and leaves them open. Later ones work.
func (w *wire) silenceAll() { w.age.Add(1) }

// silenceEverything also silences the connections to come, until plug.
func (w *wire) silenceEverything() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mute = true
	w.age.Add(1)
}

// unplug closes all connections and lets none through until plug.
func (w *wire) unplug() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = true
	close(w.cutAll)
	w.cutAll = make(chan struct{})
}

// plug lets new connections through again.
func (w *wire) plug() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down, w.mute = false, false
}

// follow goes on to a server that came back on another port.
func (w *wire) follow(port int) {
	w.t.Helper()
	upstream := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	if w.proxy.Upstream == upstream {
		return
	}
	w.proxy.Stop()
	w.proxy.Upstream = upstream
	if err := w.proxy.Start(); err != nil {
		w.t.Fatalf("starting toxiproxy again: %v", err)
	}
}

func (w *wire) judge(e event) fate {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rule == nil {
		return fate{}
	}
	f := w.rule(e)
	w.down = w.down || f.unplug
	return f
}

func (w *wire) newLink(upstream bool) *link {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := &link{wire: w, upstream: upstream, age: w.age.Load(), left: -1, statements: map[string]string{}}
	l.cut = w.cutAll
	switch {
	case w.mute:
		l.age = -1
	case w.down:
		l.left = 0
	case w.limit != nil:
		l.left = w.limit()
	}
	return l
}

// postgresToxic applies a wire's rules to one direction of its connections.
type postgresToxic struct {
	Wire     string `json:"wire"`
	Upstream bool   `json:"upstream"`
}

// Pipe implements toxics.Toxic. The toxics of a wire are never changed while
// there are links, so it is not interrupted.
func (p *postgresToxic) Pipe(stub *toxics.ToxicStub) {
	found, ok := wires.Load(p.Wire)
	if !ok {
		stub.Close()
		return
	}
	l := found.(*wire).newLink(p.Upstream)
	for {
		var data []byte
		f := fate{kind: cut}
		select {
		case chunk, ok := <-stub.Input:
			if !ok {
				l.close(stub)
				return
			}
			data, f = l.carry(chunk.Data)
		case <-l.cut:
		}
		if len(data) > 0 {
			stub.Output <- &stream.StreamChunk{Data: data, Timestamp: time.Now()}
		}
		if f.kind != pass {
			l.end(stub, f)
			return
		}
	}
}
