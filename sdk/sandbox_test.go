package tillbook_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	sandboxv1 "github.com/tillbook/tillbook/gen/tillbook/sandbox/v1"
)

// text lets the fake's sandbox show one more message.
func (f *fake) text(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.messages = append([]*sandboxv1.Message{{Text: text, CreateTime: timestamppb.Now()}}, f.messages...)
}

func (f *fake) ListMessages(context.Context, *sandboxv1.ListMessagesRequest) (*sandboxv1.ListMessagesResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &sandboxv1.ListMessagesResponse{Messages: f.messages}, nil
}

func TestACodeIsWaitedForAndGivenOutOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		client := f.client(t)
		number := "+62 812 3456 7890"
		time.AfterFunc(2*time.Second, func() { f.text("111111 is your code, not 0123456789") })
		if code, err := client.Sandbox.Code(t.Context(), number); code != "111111" || err != nil {
			t.Fatalf("got %q, %v", code, err)
		}
		time.AfterFunc(2*time.Second, func() { f.text("Your code is 222222."); f.text("Somebody signed in.") })
		if code, err := client.Sandbox.Code(t.Context(), number); code != "222222" || err != nil {
			t.Fatalf("got %q, %v", code, err)
		}
		began := time.Now()
		if code, err := client.Sandbox.Code(t.Context(), number); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %q, %v; want nothing more", code, err)
		}
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("waited %v", took)
		}
	})
}
