package traffic

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	tillbook "github.com/tillbook/tillbook/sdk"
)

// Options say who calls whom, and how much.
type Options struct {
	// URL is where the SDK calls, and Native, "127.0.0.1:PORT", where terminals do.
	// TLS says whom they trust.
	URL, Native string
	TLS         *tls.Config
	// People pay each other in a ring. At least 2; default 4.
	People int
	// Tills sell to the people. Default 1; negative for none.
	Tills int
	// Pause is how long each waits between two payments. Default 20 ms.
	Pause time.Duration
	// Once has everything be sent one time only, so that a call that was cut off fails.
	Once bool
}

// Traffic is users at work. Stop ends it.
type Traffic struct {
	options Options
	people  []*person
	tills   []*till
	book    *book
	calls   atomic.Int64

	// paying ends when no new call is to be made, and watching when all was seen.
	stopPaying, stopWatching context.CancelFunc
	payers, watchers         sync.WaitGroup
	stop                     sync.Once
}

// Result is what became of it all.
type Result struct {
	// Calls is how many were made, and Failed how many of them the SDK gave up on.
	Calls, Failed int
	// Lost payments were acknowledged but not shown to somebody whom they concern;
	// Doubled ones were shown to them more than once.
	Lost, Doubled int
	// Errors are the first few failures.
	Errors []error
}

// OK says whether nothing went wrong.
func (r Result) OK() bool { return r.Failed+r.Lost+r.Doubled == 0 && r.Calls > 0 }

// Start registers everybody, gives them money and sets them to work.
func Start(ctx context.Context, o Options) (_ *Traffic, err error) {
	if o.People == 0 {
		o.People = 4
	}
	if o.Tills == 0 {
		o.Tills = 1
	}
	if o.Pause == 0 {
		o.Pause = 20 * time.Millisecond
	}
	t := &Traffic{options: o, book: newBook()}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	t.people = make([]*person, o.People)
	group, registering := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for i := range t.people {
		group.Go(func() (err error) {
			t.people[i], err = t.register(registering, fmt.Sprintf("payer%d", i))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for i := range max(o.Tills, 0) {
		till, err := t.openTill(ctx, i)
		if err != nil {
			return nil, err
		}
		t.tills = append(t.tills, till)
	}
	return t, t.begin(ctx)
}

// begin sets everybody to work once all can see what happens.
func (t *Traffic) begin(ctx context.Context) error {
	watching, stopWatching := context.WithCancel(context.Background())
	t.stopWatching = stopWatching
	for _, p := range t.people {
		t.watchers.Go(func() { p.watch(watching) })
	}
	for _, till := range t.tills {
		t.watchers.Go(func() { till.run(watching) })
	}
	for _, p := range t.people {
		if err := waitFor(ctx, p.watched, p.username+"'s watch"); err != nil {
			return err
		}
	}
	for _, till := range t.tills {
		if err := waitFor(ctx, till.online, "a till's session"); err != nil {
			return err
		}
	}
	paying, stopPaying := context.WithCancel(context.Background())
	t.stopPaying = stopPaying
	for i, p := range t.people {
		t.payers.Go(func() { t.repeat(paying, func() { p.pay(t.people[(i+1)%len(t.people)]) }) })
	}
	for i, till := range t.tills {
		t.payers.Go(func() { t.repeat(paying, func() { till.sell(t.people[1+i%(len(t.people)-1)]) }) })
	}
	return nil
}

func waitFor(ctx context.Context, done <-chan struct{}, what string) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
	}
}

// repeat does something until the context ends, with pauses.
func (t *Traffic) repeat(ctx context.Context, do func()) {
	for ctx.Err() == nil {
		do()
		select {
		case <-time.After(t.options.Pause):
		case <-ctx.Done():
		}
	}
}

// Calls is how many calls were answered so far, well or not.
func (t *Traffic) Calls() int { return int(t.calls.Load()) }

// Await waits until so many more calls were answered.
func (t *Traffic) Await(ctx context.Context, more int) error {
	want := t.Calls() + more
	for t.Calls() < want {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("after %d of %d calls: %w", t.Calls()-want+more, more, ctx.Err())
		}
	}
	return nil
}

// Failed is how many calls failed so far.
func (t *Traffic) Failed() int { return t.book.result().Failed }

// Stop makes no new calls, waits for those under way, and then until everybody has
// seen everything, or until the context ends. It lets everybody go.
func (t *Traffic) Stop(ctx context.Context) Result {
	t.stop.Do(func() {
		t.stopPaying()
		t.payers.Wait()
		t.book.settle(ctx)
		t.close()
	})
	r := t.book.result()
	r.Calls = t.Calls()
	return r
}

func (t *Traffic) close() {
	if t.stopWatching != nil {
		t.stopWatching()
	}
	t.watchers.Wait()
	for _, p := range t.people {
		if p != nil {
			p.close()
		}
	}
	for _, till := range t.tills {
		till.close()
	}
}

// called notes the end of a call.
func (t *Traffic) called(what string, err error) bool {
	t.calls.Add(1)
	if err == nil {
		return true
	}
	if e, ok := errors.AsType[*tillbook.Error](err); ok {
		err = fmt.Errorf("%w (%s, sent %v)", err, e.Code, e.Outcome)
	}
	t.book.failed(fmt.Errorf("%s: %s: %w", time.Now().Format("15:04:05.000"), what, err))
	return false
}

func (t *Traffic) transport() *http.Transport {
	return &http.Transport{
		TLSClientConfig: t.options.TLS.Clone(), ForceAttemptHTTP2: true, IdleConnTimeout: 45 * time.Second,
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
	}
}
