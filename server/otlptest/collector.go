// Package otlptest receives traces by OTLP over HTTP, as whoever runs Tillbook would,
// and lets tests look at their shape.
package otlptest

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Collector receives spans by OTLP over HTTP.
type Collector struct {
	mu    sync.Mutex
	spans []Span
	raw   strings.Builder
}

// Span is one with the replica that sent it.
type Span struct {
	*tracev1.Span
	Replica string
}

// Start starts a collector and has every server that the test makes from now on send to it.
func Start(t *testing.T) *Collector {
	t.Helper()
	c := &Collector{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := c.take(r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	}))
	t.Cleanup(server.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	// A test that waits for something asks often; no span of it may be dropped.
	t.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", "100000")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50") // ms
	return c
}

func (c *Collector) take(r *http.Request) error {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return err
		}
		body = z
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	var req collectorv1.ExportTraceServiceRequest
	if err := proto.Unmarshal(data, &req); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw.Write(data)
	for _, resource := range req.GetResourceSpans() {
		replica := text(resource.GetResource().GetAttributes(), "service.instance.id")
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.spans = append(c.spans, Span{s, replica})
			}
		}
	}
	return nil
}

// Raw is everything that came.
func (c *Collector) Raw() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.raw.String()
}

// Find returns the spans for which ok holds.
func (c *Collector) Find(ok func(Span) bool) []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []Span
	for _, s := range c.spans {
		if ok(s) {
			found = append(found, s)
		}
	}
	return found
}

// One returns the only span of a name in a trace.
func (c *Collector) One(t *testing.T, name, trace string) Span {
	t.Helper()
	found := c.Find(func(s Span) bool { return s.GetName() == name && s.Trace() == trace })
	if len(found) != 1 {
		t.Fatalf("%d spans of %s in trace %s", len(found), name, trace)
	}
	return found[0]
}

// Statements returns what SQL ran below a span, in the order in which it began.
func (c *Collector) Statements(below Span) []string {
	inside := map[string]bool{string(below.GetSpanId()): true}
	var sql []string
	all := c.Find(func(s Span) bool { return s.Trace() == below.Trace() })
	slices.SortStableFunc(all, func(a, b Span) int { return int(a.GetStartTimeUnixNano()) - int(b.GetStartTimeUnixNano()) })
	for range all { // children may begin in the nanosecond of their parents
		for _, s := range all {
			inside[string(s.GetSpanId())] = inside[string(s.GetSpanId())] || inside[string(s.GetParentSpanId())]
		}
	}
	for _, s := range all {
		if query := s.Text("db.query.text"); query != "" && inside[string(s.GetSpanId())] {
			sql = append(sql, query)
		}
	}
	return sql
}

// Trace is the id of the trace, in hexadecimal.
func (s Span) Trace() string { return hex.EncodeToString(s.GetTraceId()) }

// IsIn says whether a span is a child of another.
func (s Span) IsIn(parent Span) bool {
	return s.Trace() == parent.Trace() && string(s.GetParentSpanId()) == string(parent.GetSpanId())
}

// LinksTo says whether a span is linked to another.
func (s Span) LinksTo(other Span) bool {
	return slices.ContainsFunc(s.GetLinks(), func(l *tracev1.Span_Link) bool {
		return string(l.GetTraceId()) == string(other.GetTraceId()) && string(l.GetSpanId()) == string(other.GetSpanId())
	})
}

// Text is an attribute that is a text; empty if there is none.
func (s Span) Text(key string) string { return text(s.GetAttributes(), key) }

func text(attributes []*commonv1.KeyValue, key string) string {
	for _, a := range attributes {
		if a.GetKey() == key {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}
