package traffic

import (
	"context"
	"sync"
	"time"
)

// keptErrors bounds how many failures are kept to be read.
const keptErrors = 10

// fact is that a payment concerns somebody.
type fact struct{ payment, who string }

// book knows what was promised and what was seen.
type book struct {
	mu       sync.Mutex
	owed     map[fact]bool // was acknowledged
	seen     map[fact]int
	failures int
	errors   []error
}

func newBook() *book { return &book{owed: make(map[fact]bool), seen: make(map[fact]int)} }

// promised notes that a payment was acknowledged; each of those whom it concerns must
// see it.
func (b *book) promised(payment string, whom ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, who := range whom {
		b.owed[fact{payment, who}] = true
	}
}

// shown notes that somebody saw a payment.
func (b *book) shown(payment, who string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen[fact{payment, who}]++
}

func (b *book) failed(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures++
	if len(b.errors) < keptErrors {
		b.errors = append(b.errors, err)
	}
}

// result counts what is wrong at present.
func (b *book) result() (r Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for f := range b.owed {
		if b.seen[f] == 0 {
			r.Lost++
		}
	}
	for _, times := range b.seen {
		if times > 1 {
			r.Doubled++
		}
	}
	r.Failed, r.Errors = b.failures, append([]error(nil), b.errors...)
	return r
}

// settle waits until everything that was promised was seen, or the context ends.
func (b *book) settle(ctx context.Context) {
	for b.result().Lost > 0 && ctx.Err() == nil {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}
