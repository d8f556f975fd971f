package server

import (
	"connectrpc.com/connect/v2"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// frame is what the native door reads a message into: the message, or why it
// could not be read.
type frame struct {
	message any
	err     error
}

// grpcCodec is grpc-go's own codec for protocol buffers, but for frames, with
// which reading never fails.
type grpcCodec struct {
	limit int
}

var protoCodec = encoding.GetCodecV2(proto.Name)

// Name says that messages are protocol buffers.
func (grpcCodec) Name() string { return proto.Name }

// Marshal writes a message.
func (grpcCodec) Marshal(v any) (mem.BufferSlice, error) { return protoCodec.Marshal(v) }

// Unmarshal reads a frame.
func (c grpcCodec) Unmarshal(data mem.BufferSlice, v any) error {
	f, ok := v.(*frame)
	if !ok {
		return protoCodec.Unmarshal(data, v)
	}
	if size := data.Len(); size > c.limit {
		f.err = connect.Errorf(connect.CodeResourceExhausted, "message of %d bytes is larger than %d", size, c.limit)
		return nil
	}
	// grpc-go's own codec reads it in one piece too.
	whole := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer whole.Free()
	err := checkBinary(whole.ReadOnlyData(), f.message)
	if err == nil {
		err = protoCodec.Unmarshal(mem.BufferSlice{whole}, f.message)
	}
	if err != nil {
		f.err = connect.NewError(connect.CodeInvalidArgument, err.Error())
	}
	return nil
}
