package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// grpcCall is one call of the native door as Connect sees it.
type grpcCall struct {
	info    connect.CallInfo
	flushed bool
}

func newGRPCCall(ctx context.Context, spec connect.Spec) grpcCall {
	c := grpcCall{info: connect.CallInfo{
		Spec:             spec,
		Protocol:         connect.ProtocolNameGRPC,
		Codec:            connect.CodecNameProto,
		RequestEncoding:  connect.CompressionNameIdentity,
		ResponseEncoding: connect.CompressionNameIdentity,
	}}
	if p, ok := peer.FromContext(ctx); ok {
		c.info.PeerAddr = addressOf(p.Addr)
	}
	md, _ := metadata.FromIncomingContext(ctx)
	header := c.info.RequestHeader()
	for key, values := range md {
		if strings.HasPrefix(key, ":") {
			continue
		}
		if strings.HasSuffix(key, binarySuffix) {
			for i, v := range values {
				values[i] = connect.EncodeBinaryHeader([]byte(v))
			}
		}
		header.SetValues(key, values)
	}
	return c
}

// addressOf writes an address; that of TCP on a short way, since every call has
// one.
func addressOf(addr net.Addr) string {
	if tcp, ok := addr.(*net.TCPAddr); ok {
		ap := tcp.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()).String()
	}
	return addr.String()
}

// flush hands the response headers to grpc-go, which sends them with the first
// message.
func (c *grpcCall) flush(set func(metadata.MD) error) error {
	if c.flushed {
		return nil
	}
	c.flushed = true
	if md := toMetadata(c.info.ResponseHeader()); md != nil {
		return set(md)
	}
	return nil
}

// finish hands over what must go out with the status.
func (c *grpcCall) finish(ctx context.Context) {
	_ = c.flush(func(md metadata.MD) error { return grpc.SetHeader(ctx, md) })
	if md := toMetadata(c.info.ResponseTrailer()); md != nil {
		_ = grpc.SetTrailer(ctx, md)
	}
}

const binarySuffix = "-bin"

func toMetadata(header *connect.Header) metadata.MD {
	if header.Len() == 0 {
		return nil
	}
	md := make(metadata.MD, header.Len())
	for key, values := range header.All() {
		key = strings.ToLower(key)
		if strings.HasSuffix(key, binarySuffix) {
			decoded := make([]string, 0, len(values))
			for _, v := range values {
				if raw, err := connect.DecodeBinaryHeader(v); err == nil {
					decoded = append(decoded, string(raw))
				}
			}
			values = decoded
		}
		md[key] = values
	}
	return md
}

// grpcUnary is the stream of a call with one request and one answer.
type grpcUnary struct {
	grpcCall
	decode   func(any) error
	received bool
	answer   any
}

// Receive reads the request.
func (s *grpcUnary) Receive(msg any) error {
	if s.received {
		return io.EOF
	}
	s.received = true
	return receive(s.decode, msg)
}

// SendHeaders does nothing: the headers go out with the answer.
func (s *grpcUnary) SendHeaders() error { return nil }

// Send keeps the answer, which grpc-go sends when the handler has returned.
func (s *grpcUnary) Send(msg any) error {
	s.answer = msg
	return nil
}

// grpcStream is the stream of a call with several messages on one side or both.
type grpcStream struct {
	grpcCall
	stream grpc.ServerStream
	read   func(any) error
	ended  bool
}

// Receive reads the next message.
func (s *grpcStream) Receive(msg any) error {
	if s.info.Spec.StreamType&connect.StreamTypeClient == 0 {
		if s.ended {
			return io.EOF
		}
		s.ended = true
	}
	return receive(s.read, msg)
}

// SendHeaders sends the headers without waiting for the first message.
func (s *grpcStream) SendHeaders() error {
	return s.sent(s.flush(s.stream.SendHeader))
}

// Send sends the next message.
func (s *grpcStream) Send(msg any) error {
	if err := s.flush(s.stream.SetHeader); err != nil {
		return s.sent(err)
	}
	return s.sent(s.stream.SendMsg(msg))
}

// sent turns what came of sending into Connect's. Where the client has left before the
// headers went out, grpc-go says that they were sent twice.
func (s *grpcStream) sent(err error) error {
	if gone := s.stream.Context().Err(); err != nil && gone != nil {
		err = status.FromContextError(gone).Err()
	}
	return connectError(err)
}

// receive reads one message by way of a frame, because grpc-go answers an error
// of its codec itself, before anybody could give it a reason.
func receive(read func(any) error, msg any) error {
	f := &frame{message: msg}
	if err := read(f); err != nil {
		return connectError(err)
	}
	return f.err
}

// connectError turns grpc-go's errors into Connect's.
func connectError(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	s, _ := status.FromError(err)
	return connect.NewError(connect.Code(s.Code()), s.Message()).WithCause(err)
}

// statusError turns Connect's errors into grpc-go's, with their details.
func statusError(err error) error {
	e, ok := errors.AsType[*connect.Error](err)
	if !ok {
		e = connect.NewError(connect.CodeUnknown, "")
	}
	s := &spb.Status{Code: int32(e.Code()), Message: e.Message()}
	for _, detail := range e.Details() {
		s.Details = append(s.Details, connectproto.ErrorDetailToAny(detail))
	}
	return status.FromProto(s).Err()
}
