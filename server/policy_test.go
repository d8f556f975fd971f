package server

import (
	"context"
	"log/slog"
	"maps"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/grpcreflect/v2"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/emptypb"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/audit"
)

// specs are all procedures that a server in sandbox mode has.
func specs(t *testing.T) []connect.Spec {
	t.Helper()
	calls := connect.NewServer()
	(&harness{wallet: &fakeWallet{}}).register(calls)
	registerHealth(calls, &readiness{})
	grpcreflect.Register(calls)
	var all []connect.Spec
	for spec := range calls.Specs() {
		all = append(all, spec)
	}
	return all
}

// TestEveryProcedureLetsInWhomItsPolicyNames calls everything as everybody who has a
// token. Terminals, which have none, and ids of others are in server/hostile.
func TestEveryProcedureLetsInWhomItsPolicyNames(t *testing.T) {
	h := start(t, func(_ *Config, h *harness) {
		h.wallet.watch = watchNothing
	})
	client := connect.NewClient(connecthttp.NewTransport(h2cClient(t), h.url("")))
	everybody := map[string]rpc.Access{"": rpc.Public, userToken: rpc.User, operatorToken: rpc.Operator, "stale-token": rpc.Public}
	untried := maps.Clone(rpc.Policies)
	for _, spec := range specs(t) {
		access := rpc.Policies[spec.Procedure].Access
		delete(untried, spec.Procedure)
		for token, caller := range everybody {
			want := connect.Code(0) // anything but a refusal
			switch {
			case access == rpc.Denied:
				t.Errorf("%s has no policy", spec.Procedure)
			case access == rpc.Public, access == rpc.Sandbox, access == caller:
			case caller == rpc.Public, access == rpc.Terminal:
				want = connect.CodeUnauthenticated
			default:
				want = connect.CodePermissionDenied
			}
			got := codeOf(tryCall(t, client, spec, token))
			refused := got == connect.CodeUnauthenticated || got == connect.CodePermissionDenied
			if want != 0 && got != want || want == 0 && refused {
				t.Errorf("%s with token %q: %s, want %v", spec.Procedure, token, got, want)
			}
		}
	}
	for procedure := range untried {
		t.Errorf("%s wasn't called", procedure)
	}
}

// tryCall makes an empty call and returns how it ended.
func tryCall(t *testing.T, client *connect.Client, spec connect.Spec, token string) error {
	t.Helper()
	method, ok := spec.Schema.(protoreflect.MethodDescriptor)
	if !ok {
		t.Fatalf("%s has no descriptor", spec.Procedure)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ctx, info := connect.NewClientContext(ctx)
	if token != "" {
		info.RequestHeader().Set("Authorization", "Bearer "+token)
	}
	req := dynamicpb.NewMessage(method.Input())
	if spec.StreamType == connect.StreamTypeUnary {
		return client.CallUnary(ctx, spec, req, dynamicpb.NewMessage(method.Output()))
	}
	stream, err := client.CallClientStream(ctx, spec)
	if err != nil {
		return err
	}
	// A server that refuses doesn't read the request: sending then fails, and why is in
	// the answer.
	_ = stream.Send(req)
	_ = stream.CloseSend()
	return stream.Receive(dynamicpb.NewMessage(method.Output()))
}

// codeOf is the code of how a call ended, 0 if that is no error.
func codeOf(err error) connect.Code {
	if err == nil {
		return 0
	}
	return connect.CodeOf(err)
}

// TestEveryErrorOfWhatMovesMoneySaysWhatBecameOfIt has every such procedure refuse, at
// both doors, whoever calls. Nothing was executed by any of it.
func TestEveryErrorOfWhatMovesMoneySaysWhatBecameOfIt(t *testing.T) {
	h := start(t)
	doors := map[string]*connect.Client{
		"main":   connect.NewClient(connecthttp.NewTransport(h2cClient(t), h.url(""))),
		"native": connect.NewClient(connecthttp.NewTransport(h2cClient(t), "http://"+h.server.GRPCAddr(), connecthttp.WithGRPC())),
	}
	for _, spec := range specs(t) {
		if !rpc.Policies[spec.Procedure].Money {
			continue
		}
		for door, client := range doors {
			refused := 0
			for _, token := range []string{"", "stale-token", userToken, operatorToken} {
				err := tryCall(t, client, spec, token)
				if err == nil {
					continue
				}
				refused++
				if f := connectFailure(t, err, ""); f.outcome != errorv1.Outcome_OUTCOME_NOT_EXECUTED {
					t.Errorf("%s at the %s door with token %q: %s, outcome %s", spec.Procedure, door, token, f.reason(), f.outcome)
				}
			}
			if refused == 0 {
				t.Errorf("%s at the %s door refused nobody", spec.Procedure, door)
			}
		}
	}
}

func TestAProcedureWithoutAPolicyIsRefused(t *testing.T) {
	h := start(t)
	calls := connect.NewServer(interceptorsForTest(t, h)...)
	served := false
	for _, spec := range []connect.Spec{
		{Procedure: "/tillbook.test.v1.TestService/Generated", Schema: (&emptypb.Empty{}).ProtoReflect().Descriptor()},
		{Procedure: "/tillbook.test.v1.TestService/ByHand"},
	} {
		calls.Register(connect.Method{Spec: spec, Handler: func(context.Context, connect.Spec, connect.ServerStream) error {
			served = true
			return nil
		}})
		if err := calls.Call(t.Context(), spec.Procedure, nil, nil); err == nil || served {
			t.Errorf("%s: %v, served %v", spec.Procedure, err, served)
		}
	}
}

// observerForTest is what a server notes its calls with.
func observerForTest(t *testing.T, h *harness) *observer {
	t.Helper()
	tel, err := newTelemetry(t.Context(), "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	seen, err := tel.observer(&h.server.cfg)
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// interceptorsForTest is the list of a server's interceptors.
func interceptorsForTest(t *testing.T, h *harness) []connect.ServerInterceptor {
	t.Helper()
	seen := observerForTest(t, h)
	rules, err := rpc.NewValidator()
	if err != nil {
		t.Fatal(err)
	}
	f := &front{
		auth: h.auth, gate: rpc.NewGate(rpc.Room{}, slog.New(slog.DiscardHandler)),
		history: func(ctx context.Context) context.Context { return ctx },
		record:  func(context.Context, ...audit.Record) error { return nil },
	}
	return interceptors(&h.server.cfg, seen, f, rules, h.server.draining)
}

// TestTheSandboxIsDeniedWithoutItsMode: the service isn't registered then, and
// even if it were.
func TestTheSandboxIsDeniedWithoutItsMode(t *testing.T) {
	h := start(t, func(c *Config, _ *harness) { c.Sandbox, c.SMSWebhookURL = false, "https://sms.example" })
	client := connect.NewClient(connecthttp.NewTransport(h2cClient(t), h.url("")))
	for _, spec := range specs(t) {
		if rpc.Policies[spec.Procedure].Access != rpc.Sandbox {
			continue
		}
		if code := codeOf(tryCall(t, client, spec, userToken)); code != connect.CodeUnimplemented {
			t.Errorf("%s: %s", spec.Procedure, code)
		}
	}
}
