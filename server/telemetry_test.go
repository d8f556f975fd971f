package server

import (
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/store/storetest"
)

// collector receives spans by OTLP over HTTP.
type collector struct {
	mu    sync.Mutex
	spans []*tracev1.Span
	raw   strings.Builder
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
		for _, scope := range resource.GetScopeSpans() {
			c.spans = append(c.spans, scope.GetSpans()...)
		}
	}
	return nil
}

// find returns the spans for which ok holds.
func (c *collector) find(ok func(*tracev1.Span) bool) []*tracev1.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []*tracev1.Span
	for _, s := range c.spans {
		if ok(s) {
			found = append(found, s)
		}
	}
	return found
}

func named(name string) func(*tracev1.Span) bool {
	return func(s *tracev1.Span) bool { return s.GetName() == name }
}

func TestAPaymentIsTracedFromItsCallToItsBatch(t *testing.T) {
	c := startCollector(t)
	r := startReplica(t, storetest.URL(storetest.New(t)))
	s := newStory(t, &http.Client{}, "http://"+r.Addr())
	ann, bob := s.register("+6281234567804", "ann"), s.register("+6281234567805", "bob")
	s.fund(ann, "10")
	if _, err := s.pay(ann, bob, "1", "traced"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.wallet.GetWallet(s.as(ann.token), &walletv1.GetWalletRequest{}); err != nil {
		t.Fatal(err)
	}
	if err := r.stop(); err != nil { // sends what is left
		t.Fatal(err)
	}

	call := c.one(t, "tillbook.wallet.v1.WalletService/GetWallet")
	if len(call.GetParentSpanId()) != 0 || call.GetKind() != tracev1.Span_SPAN_KIND_SERVER {
		t.Errorf("the span of a call: %v", call)
	}
	statements := c.find(func(s *tracev1.Span) bool {
		return string(s.GetTraceId()) == string(call.GetTraceId()) && spanText(s, "db.query.text") != ""
	})
	if len(statements) == 0 {
		t.Error("no statement is in the trace of GetWallet")
	}

	pay := c.one(t, "tillbook.wallet.v1.WalletService/Transfer")
	batches := c.find(func(s *tracev1.Span) bool {
		for _, link := range s.GetLinks() {
			if string(link.GetTraceId()) == string(pay.GetTraceId()) {
				return s.GetName() == "ledger.batch"
			}
		}
		return false
	})
	if len(batches) != 1 {
		t.Fatalf("%d batches are linked to the payment", len(batches))
	}
	inBatch := c.find(func(s *tracev1.Span) bool {
		return string(s.GetTraceId()) == string(batches[0].GetTraceId()) && spanText(s, "db.query.text") != ""
	})
	if len(inBatch) == 0 {
		t.Error("the batch has no statements")
	}
	for _, secret := range []string{"81234567804", "correct horse", ann.token} {
		if strings.Contains(c.raw.String(), secret) {
			t.Errorf("a span has %q", secret)
		}
	}
}

// one returns the only span of a name.
func (c *collector) one(t *testing.T, name string) *tracev1.Span {
	t.Helper()
	found := c.find(named(name))
	if len(found) != 1 {
		t.Fatalf("%d spans of %s", len(found), name)
	}
	return found[0]
}

func spanText(s *tracev1.Span, key string) string {
	for _, a := range s.GetAttributes() {
		if a.GetKey() == key {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

// TestTracesAreOffUnlessTheyHaveSomewhereToGo: off means that nothing of it is
// in the way of a call.
func TestTracesAreOffUnlessTheyHaveSomewhereToGo(t *testing.T) {
	tests := map[string]struct {
		env  map[string]string
		want bool
	}{
		"by default":            {nil, false},
		"with an endpoint":      {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, true},
		"with one for traces":   {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1"}, true},
		"with an exporter":      {map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, true},
		"told not to":           {map[string]string{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, false},
		"with the SDK disabled": {map[string]string{"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for key, value := range tt.env {
				t.Setenv(key, value)
			}
			tel, err := newTelemetry(t.Context(), "test", slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = tel.close() })
			interceptor, err := tel.interceptor()
			if err != nil {
				t.Fatal(err)
			}
			if on := interceptor != nil; on != tt.want || (tel.queryTracer() != nil) != tt.want {
				t.Errorf("on: %v, want %v", on, tt.want)
			}
		})
	}
}

func TestAFailedCallNamesItsTraceInTheLog(t *testing.T) {
	startCollector(t)
	h := start(t)
	call := curlClient(h.url(""))
	f := call(t, getWalletProcedure, "", &walletv1.GetWalletRequest{}, &walletv1.GetWalletResponse{})
	if f == nil {
		t.Fatal("no error")
	}
	lines := h.log.failures(t)
	if len(lines) != 1 || lines[0]["trace_id"] == nil {
		t.Errorf("log: %v", lines)
	}
}
