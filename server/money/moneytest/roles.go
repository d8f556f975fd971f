package moneytest

import (
	"context"
	"errors"
	"io"
	"testing"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/tillbook/tillbook/server/rpc"
)

// Reasons calls every procedure that is registered, as p and with an empty
// request, and returns with which reason each refuses; "" where it doesn't.
func (r *Replica) Reasons(t testing.TB, p rpc.Principal) map[string]string {
	t.Helper()
	client := r.As(p)
	reasons := make(map[string]string)
	for spec := range r.Server.Specs() {
		err := call(t, client, spec)
		reasons[spec.Procedure] = ReadRefusal(t, err).Reason
		if err != nil && reasons[spec.Procedure] == "" {
			t.Errorf("%s fails without a reason: %v", spec.Procedure, err)
		}
	}
	if len(reasons) == 0 {
		t.Fatal("no procedure is registered")
	}
	return reasons
}

func call(t testing.TB, client *connect.Client, spec connect.Spec) error {
	t.Helper()
	method, ok := spec.Schema.(protoreflect.MethodDescriptor)
	if !ok {
		t.Fatalf("%s has no descriptor", spec.Procedure)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, res := dynamicpb.NewMessage(method.Input()), dynamicpb.NewMessage(method.Output())
	if spec.StreamType == connect.StreamTypeUnary {
		return client.CallUnary(ctx, spec, req, res)
	}
	stream, err := client.CallClientStream(ctx, spec)
	if err != nil {
		return err
	}
	defer stream.Close()
	// A server that refuses doesn't read the request: sending then ends early,
	// and why is in the answer.
	if err := stream.Send(req); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	if err := stream.Receive(res); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
