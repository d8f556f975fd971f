package hostile

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"regexp"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
)

const saleProcedure = merchantv1connect.MerchantServiceCreateCheckoutProcedure

// reasonIn finds the public reason in the JSON of an error, also in the last frame
// of a stream.
var reasonIn = regexp.MustCompile(`"reason":\s*"([A-Z_]+)"`)

// webStatus finds the status in the last frame of gRPC-Web.
var webStatus = regexp.MustCompile(`(?i)grpc-status: ?([0-9]+)`)

// h2c is a client that speaks HTTP/2 in plain text.
func h2c(t testing.TB) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// caller is who calls as far as headers say.
type caller struct {
	credentials string  // of the Authorization header
	address     string  // as a trusted proxy would pass it on
	device      *device // signs the credentials of each call anew; nil if there is none
}

// authorization is the header for one call.
func (c caller) authorization(t testing.TB) string {
	t.Helper()
	if c.device != nil {
		return c.device.assertion(t)
	}
	return c.credentials
}

// call makes a unary call in JSON. It returns the public reason of a refusal, ""
// after a success, and fails the test if there is neither.
func call(ctx context.Context, t testing.TB, client *http.Client, r *replica, who caller, procedure string, req, res proto.Message) string {
	t.Helper()
	body, err := protojson.Marshal(req)
	must(t, err)
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+r.http+procedure, bytes.NewReader(body))
	must(t, err)
	post.Header.Set("Content-Type", "application/json")
	if authorization := who.authorization(t); authorization != "" {
		post.Header.Set("Authorization", authorization)
	}
	if who.address != "" {
		post.Header.Set("X-Forwarded-For", who.address)
	}
	answer, err := client.Do(post)
	if err != nil {
		t.Errorf("%s: %v", procedure, err)
		return "no answer"
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Errorf("%s: %v", procedure, err)
		return "no answer"
	}
	if answer.StatusCode == http.StatusOK {
		if err := protojson.Unmarshal(text, res); err != nil {
			t.Errorf("%s answered %q: %v", procedure, text, err)
		}
		return ""
	}
	if reason := reasonIn.FindSubmatch(text); reason != nil {
		return string(reason[1])
	}
	t.Errorf("%s was refused without a reason: %d %q", procedure, answer.StatusCode, text)
	return "no reason"
}
