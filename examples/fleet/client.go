package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	asset = "USD"
	// statusEvery is how often a client process says how it goes.
	statusEvery = 100 * time.Millisecond
	// maxError is how much of an error's text is told.
	maxError = 120
)

// client is one of the client processes.
type client struct {
	begun      *beginning
	devices    []*device
	customers  []*customer
	handshakes chan struct{} // bounds those under way
	connecting sync.WaitGroup
	book       *book
	till       *till

	mu    sync.Mutex
	state state
}

// serveClient does what it is told until there are no more orders.
func serveClient(in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c := &client{book: newBook(), state: state{Errors: make(map[string]int)}}
	var writing sync.Mutex
	say := func(n news) error {
		writing.Lock()
		defer writing.Unlock()
		return json.NewEncoder(out).Encode(n)
	}
	go func() { // ends with the process
		for range time.Tick(statusEvery) {
			if say(news{Status: c.snapshot()}) != nil {
				return
			}
		}
	}()
	orders := json.NewDecoder(in)
	for {
		var o order
		if err := orders.Decode(&o); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		a, err := c.obey(ctx, &o)
		if err != nil {
			a = answer{Failed: err.Error()}
		}
		// What is said after an order is what was so when it was done.
		if err := errors.Join(say(news{Status: c.snapshot()}), say(news{Answer: &a})); err != nil {
			return err
		}
	}
}

func (c *client) obey(ctx context.Context, o *order) (a answer, err error) {
	switch {
	case o.Begin != nil:
		return a, c.begin(ctx, o.Begin)
	case o.Connect:
		for _, d := range c.devices {
			c.connecting.Add(1)
			go c.live(ctx, d) // ends with the process
		}
		c.connecting.Wait()
		return a, nil
	case o.Pay > 0:
		c.till = c.openTill(ctx, o.Pay)
		return a, nil
	case o.Rest:
		c.till.close()
		return c.settle(ctx)
	default:
		a.OfferedUS, a.PaidUS = c.book.latencies()
		return a, nil
	}
}

// begin activates the terminals and registers the customers, several at once.
func (c *client) begin(ctx context.Context, b *beginning) error {
	c.begun = b
	c.state.Online = make([]int, len(b.Replicas))
	c.handshakes = make(chan struct{}, b.Handshakes)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(b.Handshakes)
	lines := 0
	for _, shop := range b.Shops {
		var l *line
		for i, code := range shop.Codes {
			if i%b.PerConnection == 0 {
				var err error
				if l, err = newLine(b.Replicas, lines%len(b.Replicas), shop.IP); err != nil {
					return err
				}
				lines++
			}
			d, err := c.newDevice(l)
			if err != nil {
				return err
			}
			c.devices = append(c.devices, d)
			group.Go(func() error { return d.activate(ctx, code) })
		}
	}
	for i := range b.Customers {
		customer, err := newCustomer(b.Replicas, i%len(b.Replicas))
		if err != nil {
			return err
		}
		c.customers = append(c.customers, customer)
		group.Go(func() error { return customer.register(ctx) })
	}
	return group.Wait()
}

// live keeps a terminal online. It begins when it gets a turn.
func (c *client) live(ctx context.Context, d *device) {
	c.handshakes <- struct{}{}
	d.ready = sync.OnceFunc(func() {
		<-c.handshakes
		c.connecting.Done()
	})
	if err := d.Run(ctx); err != nil && ctx.Err() == nil {
		c.failed("terminal", err)
	}
}

func (c *client) spread() time.Duration { return time.Duration(c.begun.SpreadMS) * time.Millisecond }

// failed counts an error, by how it begins: what follows may be different each time.
func (c *client) failed(doing string, err error) {
	text := doing + ": " + err.Error()
	c.count(func(s *state) { s.Errors[text[:min(len(text), maxError)]]++ })
}

func (c *client) count(f func(*state)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.state)
}

// snapshot is a copy of how it goes.
func (c *client) snapshot() *state {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.state
	s.Online, s.Errors = slices.Clone(s.Online), maps.Clone(s.Errors)
	return &s
}
