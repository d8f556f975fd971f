package server

import (
	"context"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // clients may compress
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/tap"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/server/rpc"
)

const (
	// grpcPingEvery is how often clients may ping at the most. Terminals behind
	// mobile networks ping every 20 to 30 s.
	grpcPingEvery = 10 * time.Second
	// grpcWorkers are goroutines that serve one call after the other. Their stacks
	// have grown already, which saves a tenth of what a call costs. Calls beyond
	// them get goroutines of their own.
	grpcWorkers = 512
	// grpcReadBuffer is what every connection keeps; write buffers are shared by
	// those that have something to write.
	grpcReadBuffer  = 16 << 10
	grpcWriteBuffer = 16 << 10
	// grpcHardLimit is what grpc-go reads of a message that is too large, so that
	// the refusal can be ours.
	grpcHardLimit = 4
)

// newGRPCDoor returns the server behind Config.GRPCListen: grpc-go, which hands
// every call to the same connect.Server as the other door.
func newGRPCDoor(cfg *Config, calls *connect.Server, seen *observer, arriving *arrivals) *grpc.Server {
	d := &grpcDoor{calls: calls, arriving: arriving}
	panicked := recovery.WithRecoveryHandlerContext(func(ctx context.Context, value any) error {
		// rpc.Recover catches what handlers throw; this is for what is around it.
		id, thrown := rpc.NewRequestID(), rpc.AsError(&rpc.PanicError{Value: value})
		err := rpc.Refuse(id, methodOf(ctx), thrown.WithOutcome(errorv1.Outcome_OUTCOME_UNKNOWN))
		seen.record(ctx, call{id: id, procedure: methodOf(ctx), err: err})
		return statusError(err)
	})
	server := grpc.NewServer(
		grpc.ForceServerCodecV2(grpcCodec{limit: cfg.MaxMessageBytes}),
		grpc.MaxRecvMsgSize(grpcHardLimit*cfg.MaxMessageBytes),
		grpc.MaxConcurrentStreams(uint32(cfg.MaxStreams)),
		grpc.MaxHeaderListSize(maxHeader),
		grpc.ConnectionTimeout(readHeaderTimeout),
		grpc.NumStreamWorkers(grpcWorkers),
		grpc.ReadBufferSize(grpcReadBuffer),
		grpc.WriteBufferSize(grpcWriteBuffer),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime:             grpcPingEvery,
			PermitWithoutStream: true,
		}),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge: cfg.StreamAge,
			// Streams end by themselves at about that age too.
			MaxConnectionAgeGrace: cfg.StreamAge + cfg.StreamAge/5,
			MaxConnectionIdle:     cfg.StreamAge,
			Time:                  pingInterval,
			Timeout:               pingTimeout,
		}),
		grpc.InTapHandle(d.tap()),
		grpc.UnaryInterceptor(recovery.UnaryServerInterceptor(panicked)),
		grpc.StreamInterceptor(recovery.StreamServerInterceptor(panicked)),
		grpc.UnknownServiceHandler(d.serveUnknown),
	)
	for _, service := range d.services() {
		server.RegisterService(service, nil)
	}
	return server
}

// grpcDoor turns grpc-go's calls into Connect's.
type grpcDoor struct {
	calls    *connect.Server
	arriving *arrivals
}

// tap lets the requests of calls that have one be cut off.
func (d *grpcDoor) tap() tap.ServerInHandle {
	single := make(map[string]bool)
	for spec := range d.calls.Specs() {
		single[spec.Procedure] = spec.StreamType&connect.StreamTypeClient == 0
	}
	return func(ctx context.Context, info *tap.Info) (context.Context, error) {
		if single[info.FullMethodName] {
			return cuttable(ctx), nil
		}
		return ctx, nil
	}
}

// services describes all procedures to grpc-go.
func (d *grpcDoor) services() []*grpc.ServiceDesc {
	byName := make(map[string]*grpc.ServiceDesc)
	var all []*grpc.ServiceDesc
	for spec := range d.calls.Specs() {
		service, method := splitProcedure(spec.Procedure)
		desc := byName[service]
		if desc == nil {
			desc = &grpc.ServiceDesc{ServiceName: service, HandlerType: (*any)(nil)}
			byName[service] = desc
			all = append(all, desc)
		}
		if spec.StreamType == connect.StreamTypeUnary {
			desc.Methods = append(desc.Methods, grpc.MethodDesc{MethodName: method, Handler: d.unary(spec)})
			continue
		}
		desc.Streams = append(desc.Streams, grpc.StreamDesc{
			StreamName:    method,
			ClientStreams: spec.StreamType&connect.StreamTypeClient != 0,
			ServerStreams: spec.StreamType&connect.StreamTypeServer != 0,
			Handler:       d.stream(spec),
		})
	}
	return all
}

func (d *grpcDoor) unary(spec connect.Spec) grpc.MethodHandler {
	serve := func(ctx context.Context, decode any) (any, error) {
		s := &grpcUnary{grpcCall: newGRPCCall(ctx, spec), decode: d.arriving.arrive(ctx, decode.(func(any) error))}
		err := d.calls.Call(ctx, spec.Procedure, &s.info, s)
		s.finish(ctx)
		if err != nil {
			return nil, statusError(err)
		}
		return s.answer, nil
	}
	info := &grpc.UnaryServerInfo{FullMethod: spec.Procedure}
	return func(_ any, ctx context.Context, decode func(any) error, around grpc.UnaryServerInterceptor) (any, error) {
		return around(ctx, decode, info, serve)
	}
}

func (d *grpcDoor) stream(spec connect.Spec) grpc.StreamHandler {
	return func(_ any, stream grpc.ServerStream) error {
		return d.serve(spec, stream)
	}
}

func (d *grpcDoor) serveUnknown(_ any, stream grpc.ServerStream) error {
	return d.serve(connect.Spec{Procedure: methodOf(stream.Context()), StreamType: connect.StreamTypeBidi}, stream)
}

func (d *grpcDoor) serve(spec connect.Spec, stream grpc.ServerStream) error {
	ctx := stream.Context()
	s := &grpcStream{grpcCall: newGRPCCall(ctx, spec), stream: stream, read: d.arriving.arrive(ctx, stream.RecvMsg)}
	err := d.calls.Call(rpc.WithAbandon(ctx), spec.Procedure, &s.info, s)
	s.finish(ctx)
	if err != nil {
		return statusError(err)
	}
	return nil
}

func methodOf(ctx context.Context) string {
	method, _ := grpc.Method(ctx)
	return method
}

// splitProcedure takes "/package.Service/Method" apart.
func splitProcedure(procedure string) (service, method string) {
	procedure = strings.TrimPrefix(procedure, "/")
	if i := strings.LastIndexByte(procedure, '/'); i >= 0 {
		return procedure[:i], procedure[i+1:]
	}
	return procedure, ""
}
