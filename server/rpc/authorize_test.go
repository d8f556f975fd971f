package rpc

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
)

// TestEveryProcedureHasAPolicy goes by the descriptors, registered or not.
func TestEveryProcedureHasAPolicy(t *testing.T) {
	found := 0
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				found++
				procedure := "/" + string(service.FullName()) + "/" + string(service.Methods().Get(j).Name())
				if Policies[procedure].Access == Denied {
					t.Errorf("%s has no policy", procedure)
				}
			}
		}
		return true
	})
	if found < 20 {
		t.Fatalf("only %d procedures found", found)
	}
}

// authenticate is an Authenticator.
type authenticate func(context.Context, string) (Principal, error)

func (f authenticate) Authenticate(ctx context.Context, bearer string) (Principal, error) {
	return f(ctx, bearer)
}

// TestAStreamEndsWithItsSession looks at the credentials again while the handler
// waits.
func TestAStreamEndsWithItsSession(t *testing.T) {
	revoked := NewError(errorv1.ErrorReason_ERROR_REASON_SESSION_REVOKED, "Signed out.")
	tests := map[string]struct {
		then error
		want errorv1.ErrorReason
	}{
		"signed out":            {revoked, errorv1.ErrorReason_ERROR_REASON_SESSION_REVOKED},
		"the token expired":     {NewError(errorv1.ErrorReason_ERROR_REASON_TOKEN_EXPIRED, "Expired."), errorv1.ErrorReason_ERROR_REASON_STREAM_MOVED},
		"nobody can tell":       {context.DeadlineExceeded, errorv1.ErrorReason_ERROR_REASON_DEADLINE_EXCEEDED},
		"the check is at fault": {errors.New("x"), errorv1.ErrorReason_ERROR_REASON_INTERNAL},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var looks atomic.Int32
			auth := authenticate(func(context.Context, string) (Principal, error) {
				if looks.Add(1) > 3 {
					return Principal{}, tt.then
				}
				return Principal{Kind: KindUser}, nil
			})
			err := watchAs(t, auth, func(ctx context.Context) error {
				<-ctx.Done()
				return ctx.Err()
			})
			if got := ReasonOf(err); got != tt.want {
				t.Errorf("ended with %s, want %s", got, tt.want)
			}
			if n := looks.Load(); n != 4 {
				t.Errorf("%d looks at the credentials", n)
			}
		})
	}
}

func TestAStreamThatEndedIsNotLookedAtAgain(t *testing.T) {
	var looks atomic.Int32
	auth := authenticate(func(context.Context, string) (Principal, error) {
		looks.Add(1)
		return Principal{Kind: KindUser}, nil
	})
	if err := watchAs(t, auth, func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
	after := looks.Load()
	time.Sleep(20 * time.Millisecond)
	if n := looks.Load(); n != after {
		t.Errorf("%d looks after the end", n-after)
	}
}

// watchAs makes a streaming call as a user, whose credentials are looked at every
// millisecond.
func watchAs(t *testing.T, auth Authenticator, handle func(context.Context) error) error {
	t.Helper()
	calls := connect.NewServer(Begin(Policies, nil), authorize(auth, nil, false, nil, time.Millisecond))
	const procedure = walletv1connect.WalletServiceWatchWalletProcedure
	calls.Register(connect.Method{
		Spec: connect.Spec{Procedure: procedure, StreamType: connect.StreamTypeServer, Schema: struct{}{}},
		Handler: func(ctx context.Context, _ connect.Spec, _ connect.ServerStream) error {
			if PrincipalFrom(ctx).Kind != KindUser {
				t.Errorf("caller %v", PrincipalFrom(ctx))
			}
			return handle(ctx)
		},
	})
	info := &connect.CallInfo{}
	info.RequestHeader().Set("Authorization", "Bearer x")
	return calls.Call(t.Context(), procedure, info, nil)
}
