package traffic

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestTheBookFindsWhatIsLostAndDoubled(t *testing.T) {
	b := newBook()
	b.promised("seen by both", "ana", "budi")
	b.shown("seen by both", "ana")
	b.shown("seen by both", "budi")
	b.promised("lost on one", "ana", "budi")
	b.shown("lost on one", "ana")
	b.promised("twice", "ana")
	b.shown("twice", "ana")
	b.shown("twice", "ana")
	b.shown("unpromised", "ana") // its answer may have been lost
	if r := b.result(); r.Lost != 1 || r.Doubled != 1 || r.Failed != 0 || r.OK() {
		t.Errorf("got %+v", r)
	}
	b.failed(errors.New("gone"))
	if r := b.result(); r.Failed != 1 || len(r.Errors) != 1 {
		t.Errorf("got %+v", r)
	}
}

func TestSettlingWaitsForWhatWasPromised(t *testing.T) {
	b := newBook()
	b.promised("late", "ana")
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		b.settle(t.Context())
	}()
	select {
	case <-settled:
		t.Fatal("it did not wait")
	default:
	}
	b.shown("late", "ana")
	<-settled

	b.promised("never", "ana")
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	b.settle(ctx)
	if b.result().Lost != 1 {
		t.Error("it isn't lost")
	}
}
