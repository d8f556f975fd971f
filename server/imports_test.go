package server

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	"github.com/tillbook/tillbook/gen/tillbook/ledger/v1/ledgerv1connect"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
)

type importer func(*testing.T, ...*ledgerv1.ImportTransactionsRequest) (*ledgerv1.ImportTransactionsResponse, *failure)

// importers send an import in every protocol that has streams of requests.
func (h *harness) importers(t *testing.T) map[string]importer {
	t.Helper()
	h2 := h2cClient(t)
	return map[string]importer{
		"Connect over HTTP/1.1":       connectImporter(&http.Client{}, h.url("")),
		"Connect over HTTP/2":         connectImporter(h2, h.url("")),
		"Connect with JSON":           connectImporter(h2, h.url(""), connecthttp.WithSendCodec(connect.CodecNameJSON)),
		"Connect with gzip":           connectImporter(h2, h.url(""), connecthttp.WithSendGzip()),
		"gRPC through the main door":  connectImporter(h2, h.url(""), connecthttp.WithGRPC()),
		"Connect's gRPC, native door": connectImporter(h2, "http://"+h.server.GRPCAddr(), connecthttp.WithGRPC()),
		"grpc-go, native door":        grpcImporter(grpcConn(t, h.server.GRPCAddr())),
		"grpc-go, main door":          grpcImporter(grpcConn(t, h.server.Addr())),
	}
}

func connectImporter(c *http.Client, base string, options ...connecthttp.Option) importer {
	client := ledgerv1connect.NewLedgerServiceClient(connect.NewClient(connecthttp.NewTransport(c, base, options...)))
	return func(t *testing.T, messages ...*ledgerv1.ImportTransactionsRequest) (*ledgerv1.ImportTransactionsResponse, *failure) {
		t.Helper()
		ctx, info := connect.NewClientContext(t.Context())
		info.RequestHeader().Set("Authorization", "Bearer "+operatorToken)
		stream, err := client.ImportTransactions(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			if err := stream.Send(m); err != nil {
				break // The answer says why.
			}
		}
		res, err := stream.CloseAndReceive()
		if err != nil {
			return nil, connectFailure(t, err, info.ResponseHeader().Get("X-Request-Id"))
		}
		return res, nil
	}
}

func grpcImporter(conn *grpc.ClientConn) importer {
	return func(t *testing.T, messages ...*ledgerv1.ImportTransactionsRequest) (*ledgerv1.ImportTransactionsResponse, *failure) {
		t.Helper()
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+operatorToken)
		stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, ledgerv1connect.LedgerServiceImportTransactionsProcedure)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			if err := stream.SendMsg(m); err != nil && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
		}
		if err := stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
		res := &ledgerv1.ImportTransactionsResponse{}
		err = stream.RecvMsg(res)
		if err == nil {
			return res, nil
		}
		s := status.Convert(err)
		f := &failure{code: connect.Code(s.Code()), message: s.Message()}
		if header, err := stream.Header(); err == nil {
			f.header = strings.Join(header.Get("x-request-id"), "")
		}
		for _, d := range s.Proto().GetDetails() {
			f.add(t, d)
		}
		return nil, f
	}
}

// importMessage has n items whose notes are so long.
func importMessage(first int64, n, note int) *ledgerv1.ImportTransactionsRequest {
	m := &ledgerv1.ImportTransactionsRequest{ImportId: "i", FirstSequence: first}
	for range n {
		m.Items = append(m.GetItems(), &ledgerv1.ImportItem{
			Time: timestamppb.New(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)), Note: strings.Repeat("x", note),
			Postings: []*ledgerv1.Posting{
				{Account: "external/a/USD", Amount: &moneyv1.Money{Asset: "USD", Amount: "-1"}},
				{Account: "system/b/USD", Amount: &moneyv1.Money{Asset: "USD", Amount: "1"}},
			},
		})
	}
	return m
}

func TestAnImportPassesThroughBothDoorsInEveryProtocol(t *testing.T) {
	h := start(t, func(c *Config, _ *harness) { c.MaxMessageBytes = 256 << 10 })
	for name, send := range h.importers(t) {
		t.Run(name, func(t *testing.T) {
			res, f := send(t, importMessage(1, 100, 10), importMessage(101, 300, 140), importMessage(401, 1, 0))
			if f != nil || res.GetImported() != 401 || res.GetNextSequence() != 402 {
				t.Fatalf("got %v, %+v", res, f)
			}
			res, f = send(t)
			if f != nil || res.GetNextSequence() != 1 {
				t.Errorf("without a message: got %v, %+v", res, f)
			}

			// What the handler refuses, while more is on its way.
			_, f = send(t, importMessage(1, 10, 0), importMessage(1000, 1, 0), importMessage(1001, 300, 140), importMessage(1301, 300, 140))
			checkFailure(t, f, connect.CodeFailedPrecondition, "IMPORT_SEQUENCE_INVALID")
			if got := f.info.GetMetadata()["next_sequence"]; got != "11" || f.outcome != errorv1.Outcome_OUTCOME_NOT_EXECUTED {
				t.Errorf("the error says next_sequence %q and outcome %v", got, f.outcome)
			}
			// What breaks a rule, and what is too large to be read.
			_, f = send(t, importMessage(1, 10, 0), importMessage(11, 1, 141))
			checkFailure(t, f, connect.CodeInvalidArgument, "INVALID_ARGUMENT")
			if field := f.fields.GetFieldViolations()[0].GetField(); field != "items[0].note" {
				t.Errorf("the error names field %q", field)
			}
			_, f = send(t, importMessage(1, 10, 0), importMessage(11, 2000, 140))
			checkFailure(t, f, connect.CodeResourceExhausted, "MESSAGE_TOO_LARGE")
		})
	}
}
