package server

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"github.com/tillbook/tillbook/gen/tillbook/ledger/v1/ledgerv1connect"
)

// A client of HTTP/1 that sends all of its request first is still there to be told what
// is wrong with it: the connection isn't closed under it, and takes the next call.
func TestARequestThatIsRefusedEarlyKeepsItsConnection(t *testing.T) {
	h := start(t)
	const large = 2 << 20
	spaces := strings.Repeat(" ", large)
	message := append(binary.BigEndian.AppendUint32([]byte{0}, large), spaces...)
	tests := map[string]struct {
		procedure, contentType, token string
		body                          io.Reader
		says                          string
	}{
		"length in the headers": {transferProcedure, "application/json", userToken, strings.NewReader(spaces), "MESSAGE_TOO_LARGE"},
		"in chunks":             {transferProcedure, "application/json", userToken, io.MultiReader(strings.NewReader(spaces)), "MESSAGE_TOO_LARGE"},
		"length in the prefix": {ledgerv1connect.LedgerServiceImportTransactionsProcedure, "application/connect+json", operatorToken,
			io.MultiReader(bytes.NewReader(message)), "MESSAGE_TOO_LARGE"},
		"not theirs": {transferProcedure, "application/json", operatorToken, io.MultiReader(strings.NewReader(spaces)), "PERMISSION_DENIED"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			var reused bool
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { reused = c.Reused }})
			call := func(body io.Reader) string {
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url(test.procedure), body)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Content-Type", test.contentType)
				req.Header.Set("Authorization", "Bearer "+test.token)
				res, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				text, err := io.ReadAll(res.Body)
				if err != nil {
					t.Fatal(err)
				}
				return string(text)
			}
			if text := call(test.body); !strings.Contains(text, test.says) {
				t.Errorf("it is answered with %s", text)
			}
			if call(strings.NewReader("{}")); !reused {
				t.Error("the connection was closed")
			}
		})
	}
}

// What comes of a request when its time is over isn't read as another request: a proxy
// would pass the answer on to whomever it serves next.
func TestWhatComesTooLateIsNoOtherRequest(t *testing.T) {
	h := start(t, func(_ *Config, h *harness) {
		h.tune = func(s *Server) { s.http.ReadTimeout = 100 * time.Millisecond }
	})
	const rest = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, token := range map[string]string{"of a call that waits for it": userToken, "of a call that was refused": "nobody's"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", h.server.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{",
				transferProcedure, token, 1+len(rest))
			if err != nil {
				t.Fatal(err)
			}
			answers := bufio.NewReader(conn)
			first, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(first.Body)
			if err != nil || !first.Close {
				t.Errorf("the client isn't told that the connection ends: %s, %v", text, err)
			}
			_, _ = io.WriteString(conn, rest) // the connection may be closed
			if second, err := http.ReadResponse(answers, nil); err == nil {
				t.Errorf("the rest of the request is answered with %s", second.Status)
			}
		})
	}
}
