package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
)

type watchStream = walletv1connect.WalletServiceWatchWalletServerStream

// watchNothing sends one message and waits.
func watchNothing(ctx context.Context, _ *walletv1.WatchWalletRequest, stream watchStream) error {
	if err := stream.Send(&walletv1.WatchWalletResponse{ResumeToken: "1"}); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

// watches opens the wallet's stream in every protocol that has streams.
func (h *harness) watches(t *testing.T) map[string]func(*testing.T) (next func() (string, *failure)) {
	t.Helper()
	h2 := h2cClient(t)
	open := func(c *http.Client, base string, options ...connecthttp.Option) func(*testing.T) func() (string, *failure) {
		client := walletv1connect.NewWalletServiceClient(connect.NewClient(connecthttp.NewTransport(c, base, options...)))
		return func(t *testing.T) func() (string, *failure) {
			t.Helper()
			ctx, info := connect.NewClientContext(t.Context())
			info.RequestHeader().Set("Authorization", "Bearer "+userToken)
			stream, err := client.WatchWallet(ctx, &walletv1.WatchWalletRequest{})
			if err != nil {
				t.Fatal(err)
			}
			return func() (string, *failure) {
				res, err := stream.Receive()
				if err != nil {
					if errors.Is(err, io.EOF) {
						return "", nil
					}
					return "", connectFailure(t, err, info.ResponseHeader().Get("X-Request-Id"))
				}
				return res.GetResumeToken(), nil
			}
		}
	}
	return map[string]func(*testing.T) func() (string, *failure){
		"Connect over HTTP/1.1":      open(&http.Client{}, h.url("")),
		"Connect over HTTP/2":        open(h2, h.url("")),
		"gRPC through the main door": open(h2, h.url(""), connecthttp.WithGRPC()),
		"gRPC-Web":                   open(&http.Client{}, h.url(""), connecthttp.WithGRPCWeb()),
		"native door":                open(h2, "http://"+h.server.GRPCAddr(), connecthttp.WithGRPC()),
	}
}

func TestAStreamEndsWithAnErrorLikeOthers(t *testing.T) {
	h := start(t, func(_ *Config, h *harness) {
		h.wallet.watch = func(_ context.Context, _ *walletv1.WatchWalletRequest, stream watchStream) error {
			if err := stream.Send(&walletv1.WatchWalletResponse{ResumeToken: "1"}); err != nil {
				return err
			}
			return errors.New("broken")
		}
	})
	for name, open := range h.watches(t) {
		t.Run(name, func(t *testing.T) {
			next := open(t)
			if token, f := next(); token != "1" {
				t.Fatalf("first message: %q %v", token, f)
			}
			_, f := next()
			checkFailure(t, f, connect.CodeInternal, "INTERNAL")
		})
	}
}

func TestAStreamOfAnOldConnectionMovesOn(t *testing.T) {
	h := start(t, func(c *Config, h *harness) {
		c.StreamAge = 500 * time.Millisecond
		h.wallet.watch = watchNothing
	})
	for name, open := range h.watches(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next := open(t)
			if token, f := next(); token != "1" {
				t.Fatalf("first message: %q %v", token, f)
			}
			_, f := next()
			checkFailure(t, f, connect.CodeUnavailable, "STREAM_MOVED")
		})
	}
}

func TestAStoppingServerMovesItsStreamsAndFinishesItsCalls(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	h := start(t, func(_ *Config, h *harness) {
		h.wallet.watch = watchNothing
		h.wallet.getWallet = func(context.Context) error {
			close(entered)
			<-leave
			return nil
		}
	})
	nexts := make(map[string]func() (string, *failure))
	for name, open := range h.watches(t) {
		nexts[name] = open(t)
		if token, f := nexts[name](); token != "1" {
			t.Fatalf("%s: first message: %q %v", name, token, f)
		}
	}
	answered := make(chan *failure, 1)
	call := grpcClient(t, h.server.GRPCAddr())
	go func() {
		answered <- call(t, getWalletProcedure, userToken, &walletv1.GetWalletRequest{}, &walletv1.GetWalletResponse{})
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- h.stop() }()
	for name, next := range nexts {
		_, f := next()
		if f == nil {
			t.Errorf("%s: ended without a word", name)
			continue
		}
		checkFailure(t, f, connect.CodeUnavailable, "STREAM_MOVED")
	}
	select {
	case err := <-stopped:
		t.Fatalf("stopped before its call ended: %v", err)
	default:
	}
	close(leave)
	if f := <-answered; f != nil {
		t.Errorf("the call under way: %s", f.message)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if !isClosed(h.server.Addr()) || !isClosed(h.server.GRPCAddr()) {
		t.Error("a door is still open")
	}
}

func TestAStoppingServerDoesNotWaitForever(t *testing.T) {
	for _, door := range []string{"main", "native"} {
		t.Run(door, func(t *testing.T) {
			entered, leave := make(chan struct{}), make(chan struct{})
			h := start(t, func(c *Config, h *harness) {
				c.Grace = 50 * time.Millisecond
				h.wallet.getWallet = func(context.Context) error {
					close(entered)
					<-leave
					return nil
				}
			})
			addr := h.server.Addr()
			if door == "native" {
				addr = h.server.GRPCAddr()
			}
			call := grpcClient(t, addr)
			answered := make(chan *failure, 1)
			go func() {
				answered <- call(t, getWalletProcedure, userToken, &walletv1.GetWalletRequest{}, &walletv1.GetWalletResponse{})
			}()
			<-entered
			if err := h.stop(); err != nil {
				t.Error(err)
			}
			if f := <-answered; f == nil || f.code != connect.CodeUnavailable {
				t.Errorf("the call that was cut off: %+v", f)
			}
			close(leave)
			if !strings.Contains(h.log.String(), "calls were cut off") {
				t.Error("the log doesn't say that calls were cut off")
			}
		})
	}
}

func TestHealthIsServedAtBothDoors(t *testing.T) {
	broken := make(chan struct{})
	h := start(t, func(_ *Config, h *harness) {
		h.ping = func(context.Context) error {
			select {
			case <-broken:
				return errors.New("no route to host")
			default:
				return nil
			}
		}
	})
	for _, addr := range []string{h.server.Addr(), h.server.GRPCAddr()} {
		client := healthv1.NewHealthClient(grpcConn(t, addr))
		for _, service := range []string{"", "tillbook.wallet.v1.WalletService"} {
			res, err := client.Check(t.Context(), &healthv1.HealthCheckRequest{Service: service})
			if err != nil || res.GetStatus() != healthv1.HealthCheckResponse_SERVING {
				t.Errorf("%q: %v %v", service, res, err)
			}
		}
		if _, err := client.Check(t.Context(), &healthv1.HealthCheckRequest{Service: "tillbook.bank.v1.BankService"}); err == nil {
			t.Error("an unknown service is healthy")
		}
		list, err := client.List(t.Context(), &healthv1.HealthListRequest{})
		if err != nil || list.GetStatuses()["tillbook.ledger.v1.LedgerService"].GetStatus() != healthv1.HealthCheckResponse_SERVING {
			t.Errorf("list: %v %v", list, err)
		}
	}
	watch, err := healthv1.NewHealthClient(grpcConn(t, h.server.GRPCAddr())).Watch(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if res, err := watch.Recv(); err != nil || res.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Fatalf("watch: %v %v", res, err)
	}
	close(broken)
	eventually(t, "a replica whose database is away isn't healthy", func() bool {
		res, err := healthv1.NewHealthClient(grpcConn(t, h.server.Addr())).Check(t.Context(), &healthv1.HealthCheckRequest{})
		return err == nil && res.GetStatus() == healthv1.HealthCheckResponse_NOT_SERVING
	})
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	for {
		res, err := watch.Recv()
		if err != nil {
			t.Fatalf("the watch ended before it said NOT_SERVING: %v", err)
		}
		if res.GetStatus() == healthv1.HealthCheckResponse_NOT_SERVING {
			break
		}
	}
}

func TestReflectionIsServedAtBothDoors(t *testing.T) {
	h := start(t)
	for _, addr := range []string{h.server.Addr(), h.server.GRPCAddr()} {
		stream, err := reflectionv1.NewServerReflectionClient(grpcConn(t, addr)).ServerReflectionInfo(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		err = stream.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
		if err != nil {
			t.Fatal(err)
		}
		res, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, s := range res.GetListServicesResponse().GetService() {
			names = append(names, s.GetName())
		}
		for _, want := range []string{"tillbook.wallet.v1.WalletService", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"} {
			if !strings.Contains(strings.Join(names, " "), want) {
				t.Errorf("%s is missing in %v", want, names)
			}
		}
	}
}

// Anybody may open streams of reflection.
func TestStreamsOfStrangersTakeNoPlaceOfAWatch(t *testing.T) {
	h := start(t, func(c *Config, h *harness) {
		c.Room.Watches, c.Room.Probes = 1, 2
		h.wallet.watch = watchNothing
	})
	client := reflectionv1.NewServerReflectionClient(grpcConn(t, h.server.GRPCAddr()))
	for n := range 3 {
		stream, err := client.ServerReflectionInfo(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); (err == nil) != (n < 2) {
			t.Errorf("stream %d: %v", n, err)
		}
	}
	if token, f := h.watches(t)["native door"](t)(); token != "1" {
		t.Errorf("a watch beside them: %q %+v", token, f)
	}
}

func TestTheNativeDoorCarriesHeadersBothWays(t *testing.T) {
	h := start(t, func(c *Config, h *harness) {
		h.wallet.getWallet = func(ctx context.Context) error {
			info, _ := connect.CallInfoForServerContext(ctx)
			data, err := connect.DecodeBinaryHeader(info.RequestHeader().Get("X-Data-Bin"))
			if err != nil {
				return err
			}
			info.ResponseHeader().Set("X-Echo", info.RequestHeader().Get("X-Say"))
			info.ResponseHeader().Set("X-Echo-Bin", connect.EncodeBinaryHeader(append(data, 0)))
			info.ResponseTrailer().Set("X-Last", info.PeerAddr)
			return nil
		}
	})
	conn := grpcConn(t, h.server.GRPCAddr())
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "bearer "+userToken, "x-say", "hello", "x-data-bin", "\xff\x01")
	var header, trailer metadata.MD
	err := conn.Invoke(ctx, getWalletProcedure, &walletv1.GetWalletRequest{}, &walletv1.GetWalletResponse{}, grpc.Header(&header), grpc.Trailer(&trailer))
	if err != nil {
		t.Fatal(err)
	}
	if got := header.Get("x-echo"); len(got) != 1 || got[0] != "hello" {
		t.Errorf("x-echo %q", got)
	}
	if got := header.Get("x-echo-bin"); len(got) != 1 || got[0] != "\xff\x01\x00" {
		t.Errorf("x-echo-bin %q", got)
	}
	if got := trailer.Get("x-last"); len(got) != 1 || !strings.HasPrefix(got[0], "127.0.0.1:") {
		t.Errorf("x-last %q", got)
	}
}
