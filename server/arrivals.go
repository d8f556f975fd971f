package server

import (
	"container/list"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/server/rpc"
)

const (
	// mostArriving is how many requests may be arriving at a replica at once, and
	// mostLarge how many of these may be large.
	mostArriving = 4096
	mostLarge    = 128
	// largeFrom is the size in bytes from which on a request is large. Those that
	// aren't take no more memory together than those that are.
	largeFrom = 64 << 10
)

// arrivals are the calls whose one request hasn't arrived in full yet. How long that
// takes is up to their clients, so they hold no places of the gate meanwhile. There may
// be so many: past that, the one that takes longest is cut off, and not the one that
// has just come. A request takes milliseconds, but for those that are meant to hold
// something up.
type arrivals struct {
	most, mostLarge int
	longest         time.Duration

	mu         sync.Mutex
	all, large list.List // of *arrival, oldest first; a large one is in both
	cutOff     int64
}

func newArrivals() *arrivals {
	return &arrivals{most: mostArriving, mostLarge: mostLarge, longest: bodyTimeout}
}

// arrival is one of them.
type arrival struct {
	of    *arrivals
	bytes int // that are there; only the goroutine that reads knows

	// Guarded by of.mu. cut makes whoever reads the request fail; it must not wait.
	cut        func()
	all, large *list.Element // nil if it isn't in there
	why        *rpc.Error    // it was cut off; nil if it wasn't
}

// begin counts a call until its arrival ends.
func (a *arrivals) begin(cut func()) *arrival {
	r := &arrival{of: a, cut: cut}
	a.mu.Lock()
	defer a.mu.Unlock()
	r.all = a.all.PushBack(r)
	a.trim(&a.all, a.most)
	return r
}

// trim cuts the oldest off if there are too many.
func (a *arrivals) trim(of *list.List, most int) {
	if of.Len() > most {
		of.Front().Value.(*arrival).cutOff(errCutOff)
	}
}

// grow counts what has come of a request.
func (r *arrival) grow(n int) {
	before := r.bytes
	r.bytes += n
	if before >= largeFrom || r.bytes < largeFrom {
		return
	}
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	if r.all != nil {
		r.large = r.of.large.PushBack(r)
		r.of.trim(&r.of.large, r.of.mostLarge)
	}
}

// cutOff ends an arrival that its client doesn't end. The lock is held.
func (r *arrival) cutOff(why *rpc.Error) {
	if r.all == nil {
		return
	}
	r.forget()
	r.why = why
	r.of.cutOff++
	r.cut()
}

func (r *arrival) forget() {
	if r.all != nil {
		r.of.all.Remove(r.all)
	}
	if r.large != nil {
		r.of.large.Remove(r.large)
	}
	r.all, r.large = nil, nil
}

// late cuts off what took longer than any request may.
func (r *arrival) late() {
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	r.cutOff(errLate)
}

// end says that the request is there, or that nobody waits for it any more. It
// returns why it was cut off, if it was. After the first, it does nothing more.
func (r *arrival) end() *rpc.Error {
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	r.forget()
	return r.why
}

// count returns how many there are, and how many were cut off.
func (a *arrivals) count() (now, cutOff int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return int64(a.all.Len()), a.cutOff
}

var (
	errCutOff = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_OVERLOADED,
		"The request took too long to arrive while too many others did. Try again a little later.").WithRetry(time.Second)
	errLate = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_DEADLINE_EXCEEDED,
		"The request didn't arrive in time.")
)

// arrivingBody is the body of a request over HTTP that has one message.
type arrivingBody struct {
	io.ReadCloser
	arrival *arrival
}

// body counts a request until it has been read to its end. Whoever serves it ends it.
func (a *arrivals) body(w http.ResponseWriter, r *http.Request) *arrivingBody {
	control := http.NewResponseController(w)
	return &arrivingBody{r.Body, a.begin(func() { _ = control.SetReadDeadline(time.Unix(1, 0)) })}
}

// Read reads on, and says why if that was cut off.
func (b *arrivingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == nil {
		b.arrival.grow(n)
		return n, nil
	}
	if why := b.arrival.end(); why != nil {
		return n, why
	}
	return n, err
}

type cutKey struct{}

// cuttableContext is that of a call of grpc-go whose request can be cut off. It then
// ends as if its deadline had passed, since grpc-go tells the client at once, and
// nothing but what a context can say.
type cuttableContext struct {
	context.Context
	cut context.CancelFunc
}

func cuttable(ctx context.Context) context.Context {
	ctx, end := context.WithCancelCause(ctx) // which ends with its parent, at the end of the call
	return &cuttableContext{ctx, func() { end(context.DeadlineExceeded) }}
}

// Err says why it ended.
func (c *cuttableContext) Err() error {
	err := c.Context.Err()
	if err != nil && context.Cause(c.Context) == context.DeadlineExceeded { //nolint:errorlint // only what is set above
		return context.DeadlineExceeded
	}
	return err
}

// Value knows cut.
func (c *cuttableContext) Value(key any) any {
	if key == (cutKey{}) {
		return c.cut
	}
	return c.Context.Value(key)
}

// arrive returns a read of a request that is counted until it is done, and that ends
// when it has taken too long.
func (a *arrivals) arrive(ctx context.Context, read func(any) error) func(any) error {
	cut, ok := ctx.Value(cutKey{}).(context.CancelFunc)
	if !ok {
		return read
	}
	return func(msg any) error {
		r := a.begin(cut)
		late := time.AfterFunc(a.longest, r.late)
		err := read(msg)
		late.Stop()
		if why := r.end(); why != nil {
			return why
		}
		return err
	}
}

// watch makes the metrics.
func (a *arrivals) watch(meter metric.Meter) error {
	arriving, err := meter.Int64ObservableGauge("rpc.server.arriving", metric.WithUnit("{call}"),
		metric.WithDescription("Calls whose request hasn't arrived in full."))
	if err != nil {
		return fmt.Errorf("metric rpc.server.arriving: %w", err)
	}
	cut, err := meter.Int64ObservableCounter("rpc.server.cut_off", metric.WithUnit("{call}"),
		metric.WithDescription("Calls that were cut off because their request took too long to arrive."))
	if err != nil {
		return fmt.Errorf("metric rpc.server.cut_off: %w", err)
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		now, off := a.count()
		o.ObserveInt64(arriving, now)
		o.ObserveInt64(cut, off)
		return nil
	}, arriving, cut)
	return err
}
