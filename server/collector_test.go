package server

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

// collector receives spans by OTLP over HTTP.
type collector struct {
	mu    sync.Mutex
	spans []span
	raw   strings.Builder
}

// span is one with the replica that sent it.
type span struct {
	*tracev1.Span
	replica string
}

func startCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := c.take(r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	}))
	t.Cleanup(server.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	return c
}

func (c *collector) take(r *http.Request) error {
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
				c.spans = append(c.spans, span{s, replica})
			}
		}
	}
	return nil
}

// find returns the spans for which ok holds.
func (c *collector) find(ok func(span) bool) []span {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []span
	for _, s := range c.spans {
		if ok(s) {
			found = append(found, s)
		}
	}
	return found
}

// one returns the only span of a name in a trace.
func (c *collector) one(t *testing.T, name, trace string) span {
	t.Helper()
	found := c.find(func(s span) bool { return s.GetName() == name && s.trace() == trace })
	if len(found) != 1 {
		t.Fatalf("%d spans of %s in trace %s", len(found), name, trace)
	}
	return found[0]
}

// statements returns what SQL ran below a span, in the order in which it began.
func (c *collector) statements(below span) []string {
	inside := map[string]bool{string(below.GetSpanId()): true}
	var sql []string
	all := c.find(func(s span) bool { return s.trace() == below.trace() })
	slices.SortStableFunc(all, func(a, b span) int { return int(a.GetStartTimeUnixNano()) - int(b.GetStartTimeUnixNano()) })
	for range all { // children may begin in the nanosecond of their parents
		for _, s := range all {
			inside[string(s.GetSpanId())] = inside[string(s.GetSpanId())] || inside[string(s.GetParentSpanId())]
		}
	}
	for _, s := range all {
		if query := text(s.GetAttributes(), "db.query.text"); query != "" && inside[string(s.GetSpanId())] {
			sql = append(sql, query)
		}
	}
	return sql
}

func (s span) trace() string { return hex.EncodeToString(s.GetTraceId()) }

// isIn says whether a span is a child of another.
func (s span) isIn(parent span) bool {
	return s.trace() == parent.trace() && string(s.GetParentSpanId()) == string(parent.GetSpanId())
}

// linksTo says whether a span is linked to another.
func (s span) linksTo(other span) bool {
	return slices.ContainsFunc(s.GetLinks(), func(l *tracev1.Span_Link) bool {
		return string(l.GetTraceId()) == string(other.GetTraceId()) && string(l.GetSpanId()) == string(other.GetSpanId())
	})
}

func text(attributes []*commonv1.KeyValue, key string) string {
	for _, a := range attributes {
		if a.GetKey() == key {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}
