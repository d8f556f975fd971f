package terminal

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

// Of what can't be noted, as much is kept as there is room for, and the rest is counted.
func TestNotesThatAreDroppedAreCounted(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	away := storetest.Open(t, store.Config{URL: storetest.NewDatabase(t), MaxConns: 1})
	away.Close()
	m := newMarks(Deps{Desk: checkout.New(checkout.Deps{Store: away}), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	first := uuid.New()
	m.dispatched(first)
	m.add(&m.sent, make([]uuid.UUID, maxKept+2)...)
	m.acknowledged([]uuid.UUID{uuid.New()})
	m.write(t.Context())
	if len(m.sent) != maxKept || m.sent[0] != first || len(m.taken) != 1 {
		t.Errorf("%d and %d notes are kept", len(m.sent), len(m.taken))
	}
	for _, said := range []string{"were sent can't be noted; what isn't dropped is tried again\" dropped=3", "were taken can't be noted; what isn't dropped is tried again\" dropped=0"} {
		if !strings.Contains(log.String(), said) {
			t.Errorf("the log doesn't say %s:\n%s", said, log.String())
		}
	}
}
