package terminal

import (
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/store/lag"
	"github.com/tillbook/tillbook/store/storetest"
)

// A follower that has read as much as it may at once is as far behind as before, until
// it has read the rest.
func TestAFollowerIsBehindUntilItHasReadTheRest(t *testing.T) {
	t.Parallel()
	db := storetest.New(t)
	deps := Deps{Store: db, Pools: Pools{Jobs: db}, Logger: slog.New(slog.DiscardHandler), Draining: t.Context()}
	h := newHub(deps, &content{store: db})
	look := func() {
		t.Helper()
		if err := h.look(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
	}
	look() // fixes where it begins
	began := lag.Now()
	for range 3 {
		if err := emit(t.Context(), db.Queries(), typeCommand, subjectOf(uuid.New()), commandPayload{}); err != nil {
			t.Fatal(err)
		}
	}
	for readable := false; !readable; time.Sleep(time.Millisecond) { // nothing older is under way
		err := db.Pool.QueryRow(t.Context(), `SELECT max(xid) < pg_snapshot_xmin(pg_current_snapshot())::text::bigint FROM events`).Scan(&readable)
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, left := range []bool{true, true, false} {
		now := lag.Now()
		look()
		if left {
			if behind := h.lag.Lag(); behind < now-began {
				t.Errorf("behind by %s with events left, %s after it had read all", behind, now-began)
			}
		} else if behind := h.lag.Lag(); behind > lag.Now()-now {
			t.Errorf("behind by %s, having read all %s ago", behind, lag.Now()-now)
		}
	}
}
