package sandbox

import (
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

func TestOnlyTheNewestMessagesAreKept(t *testing.T) {
	s := storetest.New(t)
	g := NewGateway(s)
	g.kept = 10
	const senders, each = 4, 25
	var done sync.WaitGroup
	for range senders {
		done.Go(func() {
			for i := range each {
				if err := g.Send(t.Context(), "+628123456789", fmt.Sprint(i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done.Wait()
	// A message that was sent but not yet to be seen when its time came goes with
	// the next one.
	if err := g.Send(t.Context(), "+628123456789", "last"); err != nil {
		t.Fatal(err)
	}
	rows, err := s.Queries().ListSandboxMessages(t.Context(), store.ListSandboxMessagesParams{
		PhoneNumber: "+628123456789", BeforeID: math.MaxInt64, MaxRows: 1000,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 10 || rows[0].Text != "last" || rows[0].ID-rows[9].ID != 9 {
		t.Errorf("%d messages are kept, from %d to %d", len(rows), rows[len(rows)-1].ID, rows[0].ID)
	}
}
