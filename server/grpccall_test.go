package server

import (
	"context"
	"net"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"
)

// A client that leaves before it is answered is no fault of the server's.
func TestWhatIsSentToAClientThatHasLeftIsCanceled(t *testing.T) {
	for name, send := range map[string]func(*grpcStream) error{
		"headers":   func(s *grpcStream) error { s.info.ResponseHeader().Set("x", "1"); return s.SendHeaders() },
		"a message": func(s *grpcStream) error { return s.Send(&emptypb.Empty{}) },
		"a message with headers": func(s *grpcStream) error {
			s.info.ResponseHeader().Set("x", "1")
			return s.Send(&emptypb.Empty{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun, sent := make(chan struct{}), make(chan error, 1)
			server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
				close(begun)
				<-stream.Context().Done()
				time.Sleep(10 * time.Millisecond) // what ends it cancels it first
				sent <- send(&grpcStream{grpcCall: newGRPCCall(stream.Context(), connect.Spec{}), stream: stream})
				return nil
			}))
			t.Cleanup(server.Stop)
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go func() { _ = server.Serve(listener) }()
			conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			if _, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/some.Service/Method"); err != nil {
				t.Fatal(err)
			}
			<-begun
			leave()
			if err := <-sent; connect.CodeOf(err) != connect.CodeCanceled {
				t.Errorf("it fails with %v", err)
			}
		})
	}
}
