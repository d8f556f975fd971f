package server

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
)

// failure is an error as a client of any protocol sees it.
type failure struct {
	code     connect.Code
	message  string
	info     *errdetails.ErrorInfo
	fields   *errdetails.BadRequest
	retry    *errdetails.RetryInfo
	outcome  errorv1.Outcome
	header   string // X-Request-Id
	httpCode int    // JSON only
}

func (f *failure) reason() string {
	if f == nil || f.info == nil {
		return ""
	}
	return f.info.GetReason()
}

func (f *failure) add(t *testing.T, detail *anypb.Any) {
	t.Helper()
	msg, err := detail.UnmarshalNew()
	if err != nil {
		t.Fatalf("detail %s: %v", detail.GetTypeUrl(), err)
	}
	switch m := msg.(type) {
	case *errdetails.ErrorInfo:
		f.info = m
	case *errdetails.BadRequest:
		f.fields = m
	case *errdetails.RetryInfo:
		f.retry = m
	case *errorv1.OutcomeInfo:
		f.outcome = m.GetOutcome()
	}
}

// client calls a unary procedure in one protocol; nil means success.
type client func(t *testing.T, procedure, token string, req, res proto.Message) *failure

// clients are all ways into the server.
func (h *harness) clients(t *testing.T) map[string]client {
	t.Helper()
	h1 := &http.Client{}
	h2 := h2cClient(t)
	return map[string]client{
		"Connect over HTTP/1.1":       connectClient(h1, h.url("")),
		"Connect over HTTP/2":         connectClient(h2, h.url("")),
		"Connect with JSON":           connectClient(h1, h.url(""), connecthttp.WithSendCodec(connect.CodecNameJSON)),
		"Connect with gzip":           connectClient(h2, h.url(""), connecthttp.WithSendGzip()),
		"gRPC through the main door":  connectClient(h2, h.url(""), connecthttp.WithGRPC()),
		"gRPC-Web":                    connectClient(h1, h.url(""), connecthttp.WithGRPCWeb()),
		"Connect's gRPC, native door": connectClient(h2, "http://"+h.server.GRPCAddr(), connecthttp.WithGRPC()),
		"grpc-go, native door":        grpcClient(t, h.server.GRPCAddr()),
		"grpc-go, main door":          grpcClient(t, h.server.Addr()),
		"curl":                        curlClient(h.url("")),
	}
}

func h2cClient(t *testing.T) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func connectClient(c *http.Client, base string, options ...connecthttp.Option) client {
	conn := connect.NewClient(connecthttp.NewTransport(c, base, options...))
	return func(t *testing.T, procedure, token string, req, res proto.Message) *failure {
		t.Helper()
		ctx, info := connect.NewClientContext(t.Context())
		if token != "" {
			info.RequestHeader().Set("Authorization", "Bearer "+token)
		}
		err := conn.CallUnary(ctx, connect.Spec{Procedure: procedure}, req, res)
		if err == nil {
			return nil
		}
		return connectFailure(t, err, info.ResponseHeader().Get("X-Request-Id"))
	}
}

func connectFailure(t *testing.T, err error, id string) *failure {
	t.Helper()
	e, ok := errors.AsType[*connect.Error](err)
	if !ok {
		t.Fatalf("not a Connect error: %v", err)
	}
	f := &failure{code: e.Code(), message: e.Message(), header: id}
	for _, d := range e.Details() {
		f.add(t, connectproto.ErrorDetailToAny(d))
	}
	return f
}

func grpcConn(t testing.TB, addr string, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))
	conn, err := grpc.NewClient("passthrough:///"+addr, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func grpcClient(t *testing.T, addr string) client {
	t.Helper()
	conn := grpcConn(t, addr)
	return func(t *testing.T, procedure, token string, req, res proto.Message) *failure {
		t.Helper()
		ctx := t.Context()
		if token != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
		}
		var header metadata.MD
		err := conn.Invoke(ctx, procedure, req, res, grpc.Header(&header))
		if err == nil {
			return nil
		}
		s := status.Convert(err)
		f := &failure{code: connect.Code(s.Code()), message: s.Message()}
		if v := header.Get("x-request-id"); len(v) > 0 {
			f.header = v[0]
		}
		for _, d := range s.Proto().GetDetails() {
			f.add(t, d)
		}
		return f
	}
}

// curlClient posts JSON as a person at a terminal does.
func curlClient(base string) client {
	return func(t *testing.T, procedure, token string, req, res proto.Message) *failure {
		t.Helper()
		body, err := protojson.Marshal(req)
		if err != nil {
			t.Fatal(err)
		}
		r := post(t, base+procedure, bytes.NewReader(body), "Content-Type", "application/json", "Authorization", "Bearer "+token)
		data, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		if r.StatusCode == http.StatusOK {
			if err := protojson.Unmarshal(data, res); err != nil {
				t.Fatal(err)
			}
			return nil
		}
		return jsonFailure(t, r, data)
	}
}

func jsonFailure(t *testing.T, r *http.Response, data []byte) *failure {
	t.Helper()
	var wire struct {
		Code    connect.Code `json:"code"`
		Message string       `json:"message"`
		Details []struct {
			Type  string `json:"type"`
			Value string `json:"value"`
		} `json:"details"`
	}
	if err := json.Unmarshal(data, &wire); err != nil {
		t.Fatalf("answer %d %q: %v", r.StatusCode, data, err)
	}
	f := &failure{code: wire.Code, message: wire.Message, header: r.Header.Get("X-Request-Id"), httpCode: r.StatusCode}
	for _, d := range wire.Details {
		value, err := base64.RawStdEncoding.DecodeString(d.Value)
		if err != nil {
			t.Fatal(err)
		}
		f.add(t, &anypb.Any{TypeUrl: "type.googleapis.com/" + d.Type, Value: value})
	}
	return f
}

// post sends a request with headers given as pairs.
func post(t *testing.T, url string, body io.Reader, headers ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Body.Close() })
	return r
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(data)
}

// readFailure reads an error that came as JSON.
func readFailure(t *testing.T, r *http.Response) *failure {
	t.Helper()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return jsonFailure(t, r, data)
}
