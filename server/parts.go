package server

import (
	"bytes"
	"context"
	"errors"
	"io"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
)

// A message may hold others, which take fifty times as much room in memory as on
// the wire: two bytes are enough for an empty one. So they are counted before a
// request is decoded.
const (
	// countFrom is the size in bytes from which on it is worth counting.
	countFrom = 2 << 10
	// maxParts is how many messages a request may hold. The rules beside the fields
	// allow a few hundred at the most.
	maxParts = 1000
	// partBytes is how many bytes a part of an operator's bulk request has at the
	// least, since those hold as many as fit into the largest message.
	partBytes = 6
)

var errParts = errors.New("the request has more parts than any needs")

// partsOf is how many parts a request of this kind and size may have.
func partsOf(msg any, size int) int {
	switch msg.(type) {
	case *ledgerv1.PostTransactionsRequest, *ledgerv1.ImportTransactionsRequest:
		return max(maxParts, size/partBytes)
	default:
		return maxParts
	}
}

// checkBinary refuses a request of too many parts.
func checkBinary(data []byte, msg any) error {
	m, ok := msg.(proto.Message)
	if !ok || len(data) < countFrom {
		return nil
	}
	if left := countParts(m.ProtoReflect().Descriptor(), data, partsOf(msg, len(data))); left < 0 {
		return errParts
	}
	return nil
}

// countParts takes the messages in data off left, and stops below zero. What can't
// be read isn't counted: the decoder stops there too.
func countParts(of protoreflect.MessageDescriptor, data []byte, left int) int {
	fields := of.Fields()
	for len(data) > 0 && left >= 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return left
		}
		data = data[n:]
		field := fields.ByNumber(number)
		if kind == protowire.BytesType && field != nil && field.Message() != nil {
			part, n := protowire.ConsumeBytes(data)
			if n < 0 {
				return left
			}
			left = countParts(field.Message(), part, left-1)
			data = data[n:]
			continue
		}
		if n = protowire.ConsumeFieldValue(number, kind, data); n < 0 {
			return left
		}
		data = data[n:]
	}
	return left
}

// checkJSON refuses a request of too many objects. A brace in a text counts as one:
// no honest request has a thousand of them.
func checkJSON(data []byte, msg any) error {
	if len(data) >= countFrom && bytes.Count(data, []byte{'{'}) > partsOf(msg, len(data))+1 {
		return errParts
	}
	return nil
}

// binaryCodec and jsonCodec are Connect's, but for messages of too many parts.
type (
	binaryCodec struct{ *connectproto.BinaryCodec }
	jsonCodec   struct{ *connectproto.JSONCodec }
)

// countingCodecs are the codecs of the main door.
func countingCodecs() connecthttp.Option {
	return connecthttp.WithCodecs(binaryCodec{connectproto.NewBinaryCodec()}, jsonCodec{connectproto.NewJSONCodec()})
}

// UnmarshalRead reads a message in protocol buffers.
func (c binaryCodec) UnmarshalRead(ctx context.Context, src io.Reader, msg any) error {
	return readCounted(ctx, src, msg, checkBinary, c.BinaryCodec)
}

// UnmarshalRead reads a message in JSON.
func (c jsonCodec) UnmarshalRead(ctx context.Context, src io.Reader, msg any) error {
	return readCounted(ctx, src, msg, checkJSON, c.JSONCodec)
}

// readCounted looks at a message before it is decoded. Connect has it in a buffer
// already, and else would put it into one.
func readCounted(ctx context.Context, src io.Reader, msg any, check func([]byte, any) error, codec connect.Codec) error {
	buffer, ok := src.(*bytes.Buffer)
	if !ok {
		buffer = new(bytes.Buffer)
		if _, err := buffer.ReadFrom(src); err != nil {
			return err
		}
	}
	if err := check(buffer.Bytes(), msg); err != nil {
		return err
	}
	return codec.UnmarshalRead(ctx, buffer, msg)
}
