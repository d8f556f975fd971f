package main

import (
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"time"
)

const (
	// maxUnderWay bounds the payments that a client process has under way.
	maxUnderWay = 250
	// deliveryPatience is how long a sale waits for its messages. It is longer than
	// terminals need to come back.
	deliveryPatience = 90 * time.Second
)

// till makes payments at random terminals.
type till struct {
	client *client
	stop   context.CancelFunc
	under  sync.WaitGroup

	mu      sync.Mutex
	unknown int
	spent   int64            // cents
	sold    map[string]int64 // cents by merchant
}

// openTill begins to make so many payments a second, each in a goroutine of its own.
func (c *client) openTill(ctx context.Context, rate int) *till {
	beginning, stop := context.WithCancel(ctx)
	t := &till{client: c, stop: stop, sold: make(map[string]int64)}
	t.under.Go(func() {
		turns := make(chan struct{}, maxUnderWay)
		ticker := time.NewTicker(time.Second / time.Duration(rate))
		defer ticker.Stop()
		for {
			select {
			case <-beginning.Done():
				return
			case <-ticker.C:
			}
			select {
			case turns <- struct{}{}:
				t.under.Go(func() {
					t.sell(ctx)
					<-turns
				})
			default:
				c.count(func(s *state) { s.Late++ })
			}
		}
	})
	return t
}

// close begins no more payments and waits for those under way.
func (t *till) close() {
	t.stop()
	t.under.Wait()
}

// sell makes a checkout at a terminal that is online, and has a customer pay it as
// soon as the terminal shows it.
func (t *till) sell(ctx context.Context) {
	c := t.client
	d := c.devices[mathrand.IntN(len(c.devices))]
	if !d.online.Load() {
		return // nobody can sell there now
	}
	cents := 100 + mathrand.Int64N(900)
	made, err := d.sell(ctx, fmt.Sprintf("%d.%02d", cents/100, cents%100))
	if err != nil {
		c.failed("CreateCheckout", err)
		return
	}
	c.count(func(s *state) { s.Created++ })
	offered := c.book.created(made.GetCheckoutId())
	if !wait(offered) {
		return
	}
	err = c.customers[mathrand.IntN(len(c.customers))].pay(ctx, made.GetCheckoutId())
	if err != nil {
		c.failed("PayCheckout", err)
		if isUnknown(err) {
			t.mu.Lock()
			t.unknown++
			t.mu.Unlock()
		}
		return
	}
	c.count(func(s *state) { s.Paid++ })
	t.mu.Lock()
	t.spent += cents
	t.sold[made.GetMerchantId()] += cents
	t.mu.Unlock()
	wait(c.book.settled(made.GetCheckoutId()))
}

// wait reports whether it came.
func wait(what <-chan struct{}) bool {
	select {
	case <-what:
		return true
	case <-time.After(deliveryPatience):
		return false
	}
}

// settle counts everything up.
func (c *client) settle(ctx context.Context) (answer, error) {
	a := answer{Unknown: c.till.unknown, Spent: c.till.spent, Sold: c.till.sold}
	a.OfferedUS, a.PaidUS = c.book.latencies()
	a.Lost, a.Doubled = c.book.audit()
	for _, customer := range c.customers {
		left, err := customer.balance(ctx)
		if err != nil {
			return a, errors.Join(errors.New("a customer's balance can't be read"), err)
		}
		a.Funded, a.Balance = a.Funded+fundedCents, a.Balance+left
	}
	return a, nil
}
