package server

import (
	"context"
	"log/slog"
	"net/http"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/grpc/metadata"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
)

// The benchmarks measure what a call costs before and after its handler, client
// included: transfers that move nothing, 256 at once.

func BenchmarkNativeDoor(b *testing.B) {
	h := startQuiet(b)
	conn := grpcConn(b, h.server.GRPCAddr())
	ctx := metadata.AppendToOutgoingContext(b.Context(), "authorization", "Bearer "+userToken)
	benchmark(b, func(req *walletv1.TransferRequest) error {
		return conn.Invoke(ctx, transferProcedure, req, &walletv1.TransferResponse{})
	})
}

func BenchmarkMainDoor(b *testing.B) {
	h := startQuiet(b)
	for name, options := range map[string][]connecthttp.Option{"Connect": nil, "gRPC": {connecthttp.WithGRPC()}} {
		b.Run(name, func(b *testing.B) {
			protocols := new(http.Protocols)
			protocols.SetUnencryptedHTTP2(true)
			transport := &http.Transport{Protocols: protocols}
			defer transport.CloseIdleConnections()
			client := walletv1connect.NewWalletServiceClient(connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: transport}, h.url(""), options...)))
			benchmark(b, func(req *walletv1.TransferRequest) error {
				ctx, info := connect.NewClientContext(context.Background())
				info.RequestHeader().Set("Authorization", "Bearer "+userToken)
				_, err := client.Transfer(ctx, req)
				return err
			})
		})
	}
}

func startQuiet(b *testing.B) *harness {
	b.Helper()
	return start(b, func(c *Config, _ *harness) { c.Logger = slog.New(slog.DiscardHandler) })
}

func benchmark(b *testing.B, call func(*walletv1.TransferRequest) error) {
	b.Helper()
	b.ReportAllocs()
	b.SetParallelism(128)
	before := cpuTime(b)
	defer func() {
		b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
	}()
	b.RunParallel(func(pb *testing.PB) {
		req := transferRequest()
		for pb.Next() {
			if err := call(req); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// cpuTime is what the process has used, which other processes don't change.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
