package hostile

import (
	"net/http"
	"regexp"
	"testing"

	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
)

const saleProcedure = merchantv1connect.MerchantServiceCreateCheckoutProcedure

// reasonIn finds the public reason in the JSON of an error, also in the last frame
// of a stream.
var reasonIn = regexp.MustCompile(`"reason":\s*"([A-Z_]+)"`)

// webStatus finds the status in the last frame of gRPC-Web.
var webStatus = regexp.MustCompile(`(?i)grpc-status: ?([0-9]+)`)

// h2c is a client that speaks HTTP/2 in plain text.
func h2c(t *testing.T) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}
