package traces

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Whatever a sender takes for traces is kept or refused, and can be shown.
func FuzzExport(f *testing.F) {
	id := make([]byte, 16)
	export, err := proto.Marshal(&collector.ExportTraceServiceRequest{ResourceSpans: []*tracev1.ResourceSpans{{ScopeSpans: []*tracev1.ScopeSpans{{Spans: []*tracev1.Span{
		{TraceId: id, SpanId: id[:8], Name: "a", StartTimeUnixNano: 2, EndTimeUnixNano: 1},
		{TraceId: id, SpanId: id[:8], ParentSpanId: id[:8], Name: "its own parent", EndTimeUnixNano: 1 << 63, Links: []*tracev1.Span_Link{{}}},
	}}}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(export, false)
	f.Add(export, true)
	f.Add([]byte{0x0a, 0xff}, false)
	f.Fuzz(func(t *testing.T, body []byte, zipped bool) {
		r := &Receiver{traces: make(map[string]*Trace)}
		request := httptest.NewRequest(http.MethodPost, "/v1/traces", bytes.NewReader(body))
		request.Header.Set("Content-Type", "application/x-protobuf")
		if zipped {
			request.Header.Set("Content-Encoding", "gzip")
		}
		w := httptest.NewRecorder()
		r.receive(w, request)
		if w.Code != http.StatusOK && len(r.traces) > 0 {
			t.Fatalf("%x is answered with %d and kept", body, w.Code)
		}
		for _, show := range []http.HandlerFunc{r.showList, r.showTrace} {
			for trace := range r.traces {
				look := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
				look.SetPathValue("id", trace)
				page := httptest.NewRecorder()
				if show(page, look); page.Code != http.StatusOK {
					t.Fatalf("the page of %q is answered with %d", trace, page.Code)
				}
			}
		}
	})
}
