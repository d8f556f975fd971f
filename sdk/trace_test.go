package tillbook_test

import (
	"context"
	"net/http"
	"slices"
	"testing"

	tillbook "github.com/tillbook/tillbook/sdk"
)

type traceKey struct{}

// TestACallCarriesItsTraceAndNothingElse: the context's own, on calls and streams.
func TestACallCarriesItsTraceAndNothingElse(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	var got http.Header
	catch := roundTripper(func(r *http.Request) (*http.Response, error) {
		got = r.Header
		return nil, http.ErrServerClosed
	})
	client, err := tillbook.New("http://tillbook.test", tillbook.WithRetries(0), tillbook.WithOperatorKey("key"),
		tillbook.WithHTTPClient(&http.Client{Transport: catch}),
		tillbook.WithTraceContext(func(ctx context.Context, header http.Header) {
			if value, ok := ctx.Value(traceKey{}).(string); ok {
				header.Set("traceparent", value)
				header.Set("tracestate", "a=b")
				header.Set("baggage", "secret=1")
				header.Set("authorization", "Bearer another")
			}
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	ctx := context.WithValue(t.Context(), traceKey{}, parent)
	for name, call := range map[string]func(context.Context){
		"a call": func(ctx context.Context) { _, _ = client.Ledger.TrialBalance(ctx) },
		"a stream": func(ctx context.Context) {
			_, _ = client.Ledger.Import(ctx, "i", slices.Values([]*tillbook.ImportItem{{}}))
		},
	} {
		call(ctx)
		if got.Get("Traceparent") != parent || got.Get("Tracestate") != "a=b" || got.Get("Baggage") != "" || got.Get("Authorization") == "Bearer another" {
			t.Errorf("%s sends %v", name, got)
		}
		call(t.Context())
		if got.Get("Traceparent") != "" {
			t.Errorf("%s without a trace sends %v", name, got)
		}
	}
}
