package rpc_test

import (
	"errors"
	"testing"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/server/rpc"
)

func TestWhatRunsAsideFailsAsIfItRanHere(t *testing.T) {
	want := errors.New("it failed")
	if err := rpc.Aside(func() error { return want }); !errors.Is(err, want) {
		t.Errorf("got %v", err)
	}
	if err := rpc.Aside(func() error { return nil }); err != nil {
		t.Errorf("got %v", err)
	}
	err := rpc.Aside(func() error { panic("a bug") })
	caught, ok := errors.AsType[*rpc.PanicError](err)
	if !ok || caught.Value != "a bug" || rpc.ReasonOf(err) != errorv1.ErrorReason_ERROR_REASON_INTERNAL {
		t.Errorf("got %v of reason %v", err, rpc.ReasonOf(err))
	}
}
