package traces

import (
	"compress/gzip"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/proto"
)

const (
	// keptTraces and keptSpans bound what is kept: the oldest trace goes first, and a
	// trace with more spans loses those that come last.
	keptTraces = 2000
	keptSpans  = 2000
	// maxBody bounds one export, before and after it is decompressed.
	maxBody = 16 << 20
)

// Span is one step of a trace.
type Span struct {
	ID, Parent string
	Name       string
	// Service is the replica that it ran on.
	Service    string
	Start, End time.Time
	Failed     bool
	Attributes map[string]string
	// Links are other traces that it belongs to, such as those that share a batch.
	Links []string
}

// Trace is all spans with one id that have arrived.
type Trace struct {
	ID    string
	Spans []Span
}

// Receiver takes traces in and shows them.
type Receiver struct {
	server   *http.Server
	listener net.Listener
	ended    chan struct{}

	mu     sync.Mutex
	traces map[string]*Trace
	order  []string // ids, oldest first
}

// Listen starts a receiver at an address.
func Listen(address string) (*Receiver, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	r := &Receiver{listener: listener, ended: make(chan struct{}), traces: make(map[string]*Trace)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", r.receive)
	// Exporters may send what this doesn't keep.
	mux.HandleFunc("POST /v1/{signal}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /{$}", r.showList)
	mux.HandleFunc("GET /trace/{id}", r.showTrace)
	r.server = &http.Server{Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	go func() { // ends with Close
		defer close(r.ended)
		_ = r.server.Serve(listener)
	}()
	return r, nil
}

// URL is its page, and the endpoint for OTLP.
func (r *Receiver) URL() string { return "http://" + r.listener.Addr().String() }

// Close ends it.
func (r *Receiver) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if r.server.Shutdown(ctx) != nil {
		_ = r.server.Close()
	}
	<-r.ended
	return nil
}

func (r *Receiver) receive(w http.ResponseWriter, req *http.Request) {
	var body io.Reader = http.MaxBytesReader(w, req.Body, maxBody)
	if req.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			http.Error(w, "not gzip", http.StatusBadRequest)
			return
		}
		body = io.LimitReader(unzipped, maxBody+1)
	}
	data, err := io.ReadAll(body)
	if err != nil || len(data) > maxBody {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return
	}
	var export collector.ExportTraceServiceRequest
	if req.Header.Get("Content-Type") != "application/x-protobuf" {
		err = errors.ErrUnsupported
	} else {
		err = proto.Unmarshal(data, &export)
	}
	if err != nil {
		http.Error(w, "not protobuf of OTLP", http.StatusBadRequest)
		return
	}
	r.add(&export)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (r *Receiver) add(export *collector.ExportTraceServiceRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, resource := range export.GetResourceSpans() {
		attributes := texts(resource.GetResource().GetAttributes())
		service := attributes["service.instance.id"]
		if service == "" {
			service = attributes["service.name"]
		}
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				span := Span{
					ID: hex.EncodeToString(s.GetSpanId()), Parent: hex.EncodeToString(s.GetParentSpanId()), Name: s.GetName(), Service: service,
					Start: time.Unix(0, int64(s.GetStartTimeUnixNano())), End: time.Unix(0, int64(s.GetEndTimeUnixNano())),
					Failed: s.GetStatus().GetCode() == 2, Attributes: texts(s.GetAttributes()),
				}
				for _, l := range s.GetLinks() {
					span.Links = append(span.Links, hex.EncodeToString(l.GetTraceId()))
				}
				r.keep(hex.EncodeToString(s.GetTraceId()), span)
			}
		}
	}
}

func (r *Receiver) keep(id string, span Span) {
	t := r.traces[id]
	if t == nil {
		t = &Trace{ID: id}
		r.traces[id] = t
		r.order = append(r.order, id)
	}
	if len(t.Spans) < keptSpans {
		t.Spans = append(t.Spans, span)
	}
	for len(r.order) > keptTraces {
		delete(r.traces, r.order[0])
		r.order = r.order[1:]
	}
}

// Traces returns those that are kept, newest first.
func (r *Receiver) Traces() []Trace {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Trace, 0, len(r.order))
	for i := len(r.order) - 1; i >= 0; i-- {
		t := r.traces[r.order[i]]
		out = append(out, Trace{ID: t.ID, Spans: append([]Span(nil), t.Spans...)})
	}
	return out
}

// texts makes attributes readable.
func texts(attributes []*commonv1.KeyValue) map[string]string {
	out := make(map[string]string, len(attributes))
	for _, a := range attributes {
		out[a.GetKey()] = text(a.GetValue())
	}
	return out
}
