package auth

import (
	"maps"
	"sync"
	"time"

	"github.com/tillbook/tillbook/server/phone"
)

// tally counts by the dial code of phone numbers, of which there are some 200. The
// zero value works.
type tally struct {
	mu     sync.Mutex
	counts map[string]int64
}

func (t *tally) add(n phone.E164) {
	code := n.DialCode()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = make(map[string]int64)
	}
	t.counts[code]++
}

func (t *tally) snapshot() map[string]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.counts)
}

// waiting knows since when each message waits that isn't sent. The zero value works.
type waiting struct {
	mu    sync.Mutex
	next  uint64
	since map[uint64]time.Time
}

// enter notes a message, and leave that it waits no more.
func (w *waiting) enter() (leave func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.since == nil {
		w.since = make(map[uint64]time.Time)
	}
	w.next++
	n := w.next
	w.since[n] = time.Now()
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.since, n)
	}
}

// longest is for how long the oldest waits; 0 if none does.
func (w *waiting) longest() (age time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, since := range w.since {
		age = max(age, time.Since(since))
	}
	return age
}
