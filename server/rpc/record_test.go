package rpc

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"github.com/google/uuid"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/store/audit"
)

// desk serves every procedure that has a descriptor, to whoever is the caller,
// and writes down in which order calls are recorded and served.
type desk struct {
	caller Principal
	fails  error
	log    []string
	last   audit.Record
	specs  []connect.Spec
	server *connect.Server
}

func newDesk(t *testing.T, caller Principal) *desk {
	t.Helper()
	d := &desk{caller: caller}
	auth := authenticate(func(context.Context, string) (Principal, error) { return d.caller, nil })
	d.server = connect.NewServer(Begin(Policies, nil), Authorize(auth, nil, true, d.record))
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			for j := range file.Services().Get(i).Methods().Len() {
				d.register(file.Services().Get(i).Methods().Get(j))
			}
		}
		return true
	})
	return d
}

func (d *desk) record(_ context.Context, records ...audit.Record) error {
	if d.fails != nil {
		return d.fails
	}
	for _, r := range records {
		d.log, d.last = append(d.log, "recorded "+r.Action), r
	}
	return nil
}

func (d *desk) register(method protoreflect.MethodDescriptor) {
	spec := connect.Spec{
		Procedure: "/" + string(method.Parent().FullName()) + "/" + string(method.Name()), Schema: method,
	}
	if method.IsStreamingClient() {
		spec.StreamType |= connect.StreamTypeClient
	}
	if method.IsStreamingServer() {
		spec.StreamType |= connect.StreamTypeServer
	}
	d.specs = append(d.specs, spec)
	d.server.Register(connect.Method{Spec: spec, Handler: func(context.Context, connect.Spec, connect.ServerStream) error {
		d.log = append(d.log, "served "+spec.Procedure)
		return nil
	}})
}

// call makes a call and returns the reason of its end.
func (d *desk) call(t *testing.T, spec connect.Spec) errorv1.ErrorReason {
	t.Helper()
	d.log = nil
	info := &connect.CallInfo{}
	info.RequestHeader().Set("Authorization", "Bearer key")
	return ReasonOf(d.server.Call(t.Context(), spec.Procedure, info, nil))
}

func TestEveryCallOfAnOperatorIsRecordedBeforeItIsServed(t *testing.T) {
	d := newDesk(t, Principal{Kind: KindOperator, Operator: uuid.New()})
	seen := 0
	for _, spec := range d.specs {
		if Policies[spec.Procedure].Access != Operator {
			continue
		}
		seen++
		d.call(t, spec)
		want := []string{"recorded rpc." + strings.TrimPrefix(spec.Procedure, "/"), "served " + spec.Procedure}
		if !slices.Equal(d.log, want) {
			t.Errorf("%s: %q, want %q", spec.Procedure, d.log, want)
		}
		if d.last.Actor != (audit.Actor{Kind: audit.Operator, ID: d.caller.Operator}) || d.last.RequestID == "" || d.last.Details != nil {
			t.Errorf("%s: recorded as %+v", spec.Procedure, d.last)
		}
	}
	if seen < 25 {
		t.Errorf("only %d procedures of operators were found", seen)
	}
}

func TestWhatAnOperatorIsDeniedIsRecordedToo(t *testing.T) {
	d := newDesk(t, Principal{Kind: KindOperator, Operator: uuid.New()})
	for _, spec := range d.specs {
		if Policies[spec.Procedure].Access != User {
			continue
		}
		if got := d.call(t, spec); got != errorv1.ErrorReason_ERROR_REASON_PERMISSION_DENIED {
			t.Errorf("%s ended with %s", spec.Procedure, got)
		}
		if want := []string{"recorded rpc." + strings.TrimPrefix(spec.Procedure, "/")}; !slices.Equal(d.log, want) {
			t.Errorf("%s: %q, want %q", spec.Procedure, d.log, want)
		}
		if string(d.last.Details) != `{"denied":true}` {
			t.Errorf("%s: recorded with details %s", spec.Procedure, d.last.Details)
		}
	}
}

func TestWhatCantBeRecordedIsNotServed(t *testing.T) {
	d := newDesk(t, Principal{Kind: KindOperator, Operator: uuid.New()})
	d.fails = errors.New("the disk is full")
	for _, spec := range d.specs {
		switch Policies[spec.Procedure].Access {
		case Operator, User:
			if got := d.call(t, spec); got != errorv1.ErrorReason_ERROR_REASON_UNAVAILABLE || len(d.log) > 0 {
				t.Errorf("%s ended with %s, after %q", spec.Procedure, got, d.log)
			}
		}
	}
}

func TestCallsOfUsersLeaveNoRecord(t *testing.T) {
	d := newDesk(t, Principal{Kind: KindUser, User: uuid.New()})
	d.fails = errors.New("a call of a user was recorded")
	for _, spec := range d.specs {
		if Policies[spec.Procedure].Access != User {
			continue
		}
		d.call(t, spec)
		if want := []string{"served " + spec.Procedure}; !slices.Equal(d.log, want) {
			t.Errorf("%s: %q, want %q", spec.Procedure, d.log, want)
		}
	}
}
