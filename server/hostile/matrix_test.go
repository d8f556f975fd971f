package hostile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	authconnect "github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/seal/v1/sealv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/terminal/v1/terminalv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/storetest"
)

// open are the procedures that serve strangers a request with ids that aren't
// theirs, and why that gives nothing away.
var open = map[string]string{
	walletv1connect.WalletServiceGetCheckoutProcedure:     atTheCounter,
	walletv1connect.WalletServicePayCheckoutProcedure:     atTheCounter,
	walletv1connect.WalletServiceDeclineCheckoutProcedure: atTheCounter,
}

const atTheCounter = "whoever was shown a checkout, which is what its id stands for, may look at it and pay it"

// public are the procedures that anybody may call. What they take instead of an id
// of somebody's is a secret: a code, a token, a key.
var public = map[string]bool{
	authconnect.AuthServiceRegisterProcedure: true, authconnect.AuthServiceLoginProcedure: true,
	authconnect.AuthServiceStartPasswordResetProcedure: true, sealv1connect.SealServiceGetCheckpointProcedure: true,
	sealv1connect.SealServiceGetConsistencyProofProcedure: true,
	// These must be refused: the secret is wrong.
	authconnect.AuthServiceVerifyPhoneProcedure: false, authconnect.AuthServiceVerifyLoginProcedure: false,
	authconnect.AuthServiceResendCodeProcedure: false, authconnect.AuthServiceCompletePasswordResetProcedure: false,
	authconnect.AuthServiceRefreshProcedure: false, terminalv1connect.TerminalServiceActivateProcedure: false,
}

// attempt is one call of the matrix.
type attempt struct {
	procedure string
	method    protoreflect.MethodDescriptor
	who       string
	request   *dynamicpb.Message
	// foreign says whether the request names something of the prize.
	foreign bool
	mixed   bool
}

// TestNobodyReachesWhatIsAnothers calls every procedure as everybody, with the ids of
// somebody else's things in every field that takes one.
func TestNobodyReachesWhatIsAnothers(t *testing.T) {
	if !*full { // whose figures are of this attack alone
		t.Parallel()
	}
	url, secret := storetest.NewDatabase(t), secretFile(t)
	sandboxed := startReplica(t, url, "--sandbox", "--secret-file", secret)
	w := newWorld(t, url, sandboxed)
	honest := caller{credentials: "Bearer " + sandboxed.customer(t, "hana").token()}
	// Production's procedures; the sandbox only helped to make all that.
	w.replica = startReplica(t, url, "--secret-file", secret, "--sms-webhook-url", newGateway(t).url)
	methods := procedures(t)
	w.settled(t)
	before := w.snapshot(t)
	withstand(t, "others' ids", []*replica{w.replica}, [][]errand{looks(t, honest, w.replica)}, func(context.Context) string {
		calls := 0
		for _, door := range size([]string{"native"}, doors) {
			m := &matrix{t: t, w: w, client: w.client(t, door)}
			for _, procedure := range sortedKeys(methods) {
				if procedure != authconnect.AuthServiceLogoutProcedure {
					m.try(procedure, methods[procedure])
				}
			}
			calls += m.calls
		}
		return fmt.Sprintf("%d procedures as %d callers with the ids of another's things: %d calls, none served, %d things of theirs unchanged",
			len(methods), len(w.callers), calls, len(before))
	})
	// Whoever signs out can't try anything any more.
	last := &matrix{t: t, w: w, client: w.client(t, "main")}
	last.try(authconnect.AuthServiceLogoutProcedure, methods[authconnect.AuthServiceLogoutProcedure])
	for what, sum := range w.snapshot(t) {
		if before[what] != sum {
			t.Errorf("%s was changed by somebody else", what)
		}
	}
}

// procedures are all that the descriptors of our services and the policies name.
func procedures(t testing.TB) map[string]protoreflect.MethodDescriptor {
	t.Helper()
	all := map[string]protoreflect.MethodDescriptor{}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "tillbook.") {
			return true
		}
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				method := service.Methods().Get(j)
				all[fmt.Sprintf("/%s/%s", service.FullName(), method.Name())] = method
			}
		}
		return true
	})
	for procedure := range all {
		if rpc.Policies[procedure].Access == rpc.Denied {
			t.Errorf("%s has no policy", procedure)
		}
	}
	for procedure, policy := range rpc.Policies {
		if all[procedure] == nil && !policy.Plumbing {
			t.Errorf("%s has a policy and no descriptor", procedure)
		}
	}
	return all
}

func sortedKeys[T any](m map[string]T) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (w *world) client(t *testing.T, door string) *connect.Client {
	t.Helper()
	var options []connecthttp.Option
	if door == "native" {
		options = append(options, connecthttp.WithGRPC())
	}
	var c connecthttp.HTTPClient = h2c(t)
	return connect.NewClient(connecthttp.NewTransport(c, "http://"+w.replica.door(door), options...))
}

type matrix struct {
	t      *testing.T
	w      *world
	client *connect.Client
	calls  int
}

// try calls a procedure as everybody, with others' ids alone and, where it takes
// several, with the caller's own merchant beside them.
func (m *matrix) try(procedure string, method protoreflect.MethodDescriptor) {
	for _, who := range sortedKeys(m.w.callers) {
		if who == "an operator" && rpc.Policies[procedure].Access == rpc.Operator {
			continue // Nothing is another's to them, and what they do is recorded.
		}
		f := &filler{ids: m.w.prize, bystander: m.w.bystander}
		a := attempt{procedure: procedure, method: method, who: who, request: f.fill(method.Input()), foreign: f.foreign}
		for _, field := range f.unknown {
			m.t.Errorf("%s: the test has no value for %s: add one to texts, or to the prize", procedure, field)
		}
		m.check(a)
		if strings.HasPrefix(who, "another merchant's") && a.confuse(m.w) {
			m.check(a)
		}
	}
}

// confuse puts the caller's own merchant beside the others' things. It returns false
// if that leaves nothing of theirs.
func (a *attempt) confuse(w *world) bool {
	field := a.method.Input().Fields().ByName("merchant_id")
	if field == nil || !a.request.Has(field) {
		return false
	}
	a.request.Set(field, protoreflect.ValueOfString(w.own["mer"]))
	a.mixed = true
	text := prototext.Format(a.request)
	for _, id := range w.prize {
		if strings.Contains(text, id) {
			return true
		}
	}
	return false
}

// check makes the call and says whether it ended as it must.
func (m *matrix) check(a attempt) {
	m.t.Helper()
	m.calls++
	answer, err := m.call(a)
	// Whoever makes a thousand calls a second is told to wait. That is no answer.
	for end := time.Now().Add(patience); isBusy(err) && time.Now().Before(end); answer, err = m.call(a) {
		time.Sleep(50 * time.Millisecond)
	}
	code := connect.Code(0)
	if err != nil {
		code = connect.CodeOf(err)
	}
	want := a.allowed()
	if a.mixed && answer == "" {
		want = append(want, 0) // an empty list of one's own
	}
	name := fmt.Sprintf("%s as %s", a.procedure, a.who)
	if a.mixed {
		name += ", of their own merchant"
	}
	if !slices.Contains(want, code) {
		m.t.Errorf("%s: %v (%v), want one of %v; %s; request %s", name, code, err, want, answer, prototext.MarshalOptions{}.Format(a.request))
	}
	if open[a.procedure] != "" {
		return
	}
	asked := prototext.Format(a.request)
	for _, secret := range m.w.secrets() {
		if strings.Contains(answer, secret) && !strings.Contains(asked, secret) {
			m.t.Errorf("%s is told %s", name, secret)
		}
	}
}

// allowed are the codes with which a call may end; 0 is success.
func (a attempt) allowed() []connect.Code {
	unauthenticated, denied, missing := connect.CodeUnauthenticated, connect.CodePermissionDenied, connect.CodeNotFound
	is := func(whos ...string) bool { return slices.Contains(whos, a.who) }
	stranger := is("nobody", "somebody who signed out")
	terminal := is("another merchant's terminal", "a revoked terminal")
	anything := []connect.Code{0, connect.CodeInvalidArgument, connect.CodeFailedPrecondition, connect.CodeResourceExhausted, connect.CodeAlreadyExists, connect.CodeNotFound, connect.CodeUnavailable}
	switch rpc.Policies[a.procedure].Access {
	case rpc.Sandbox: // this is production
		return []connect.Code{connect.CodeUnimplemented}
	case rpc.Public:
		served, listed := public[a.procedure]
		switch {
		case !listed:
			return []connect.Code{connect.CodeUnimplemented} // add it to public
		case served:
			return append(anything, unauthenticated) // a sign-in with a wrong password
		default:
			return append(anything[1:], unauthenticated)
		}
	case rpc.Operator:
		if stranger || terminal {
			return []connect.Code{unauthenticated}
		}
		return []connect.Code{denied}
	case rpc.Terminal:
		if is("another merchant's terminal") {
			if a.foreign {
				return []connect.Code{missing}
			}
			return anything
		}
		return []connect.Code{unauthenticated}
	case rpc.User:
		switch {
		case stranger, terminal:
			return []connect.Code{unauthenticated}
		case is("an operator"):
			return []connect.Code{denied}
		case a.foreign && a.mixed:
			return []connect.Code{missing, denied}
		case a.foreign && open[a.procedure] == "":
			return []connect.Code{missing}
		case a.procedure == authconnect.AuthServiceChangePasswordProcedure:
			return append(anything, unauthenticated) // at the second door it was changed already
		default:
			return anything
		}
	}
	return nil
}

// call makes the call, and returns what it was answered, of a stream that may be open
// what came within a moment.
func (m *matrix) call(a attempt) (string, error) {
	timeout := 20 * time.Second
	if a.method.IsStreamingServer() && (a.mixed || slices.Contains(a.allowed(), 0)) {
		timeout = 500 * time.Millisecond // or nothing may ever come
	}
	ctx, cancel := context.WithTimeout(m.t.Context(), timeout)
	defer cancel()
	ctx, info := connect.NewClientContext(ctx)
	if authorization := m.w.callers[a.who].authorization(m.t); authorization != "" {
		info.RequestHeader().Set("Authorization", authorization)
	}
	spec := connect.Spec{Procedure: a.procedure, Schema: a.method}
	answer := dynamicpb.NewMessage(a.method.Output())
	if !a.method.IsStreamingServer() && !a.method.IsStreamingClient() {
		err := m.client.CallUnary(ctx, spec, a.request, answer)
		return prototext.Format(answer), err
	}
	spec.StreamType = connect.StreamTypeServer
	if a.method.IsStreamingClient() {
		spec.StreamType |= connect.StreamTypeClient
	}
	stream, err := m.client.CallClientStream(ctx, spec)
	if err != nil {
		return "", err
	}
	defer stream.Close()
	// A server that refuses doesn't read the request.
	_ = stream.Send(a.request)
	_ = stream.CloseSend()
	err = stream.Receive(answer)
	if errors.Is(err, io.EOF) || ctx.Err() != nil || connect.CodeOf(err) == connect.CodeDeadlineExceeded { // whichever side sees it first
		err = nil
	}
	return prototext.Format(answer), err
}

func isBusy(err error) bool {
	return err != nil && connect.CodeOf(err) == connect.CodeResourceExhausted && strings.Contains(err.Error(), "ry again")
}

// secrets are what nobody else may be told.
func (w *world) secrets() []string {
	all := slices.Clone(w.names)
	for _, id := range w.prize {
		all = append(all, id)
	}
	return all
}
