package ledger_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
	"github.com/tillbook/tillbook/store/storetest"
)

// The people of a town pay each other through one ledger, hold, capture and give
// back, while its database, at the end of a wire, breaks. The town remembers what
// they were told about each command, and in the end compares that with the books.
type town struct {
	*books
	wire   *wire
	people []*purse
	paid   int64 // transactions made to begin with

	mu       sync.Mutex
	deeds    []*deed
	open     []*paperHold // those that can still be captured
	payments []*errand    // that can be given back
	replays  int          // commands asked for again that were answered as before
	resolved int          // unknown deeds that turned out to have been executed
}

const (
	townSize    = 12
	townCallers = 32
	townMoney   = 2000
)

// newTown puts a town on a database of the shared test server.
func newTown(t *testing.T, cfg ledger.Config) *town {
	t.Helper()
	address := storetest.NewDatabase(t)
	return newTownAt(t, address, address, cfg)
}

// newTownAt puts a town on the database that a superuser reaches by one URL
// and its ledger by another.
func newTownAt(t *testing.T, superuser, login string, cfg ledger.Config) *town {
	t.Helper()
	c := &town{books: &books{t: t, url: superuser}}
	t.Cleanup(c.verify)
	c.settlePeople()
	w, through := newWire(t, login)
	c.wire = w
	s := storetest.Open(t, store.Config{URL: through})
	cfg.ExpireInterval = 100 * time.Millisecond // the check waits for it
	l := ledger.New(s.Pool, cfg)
	t.Cleanup(l.Close)
	t.Cleanup(func() { w.obey(nil); w.fray(nil); w.unplug(); w.plug() })
	c.stores, c.ledgers = []*store.Store{s}, []*ledger.Ledger{l}
	c.paid = c.count(`SELECT count(*) FROM transactions`)
	return c
}

// settlePeople gives everybody their money by a ledger that has as much patience as a
// busy machine needs.
func (c *town) settlePeople() {
	c.t.Helper()
	defer c.join(ledger.Config{}, store.Config{}).Close()
	for i := range townSize {
		p := &purse{code: fmt.Sprintf("user/%d/main/USD", i), balance: townMoney}
		p.id = c.account(p.code, usd, townMoney)
		c.people = append(c.people, p)
	}
}

func (c *town) ledger() *ledger.Ledger { return c.ledgers[0] }

// do asks for a deed and notes the answer.
func (c *town) do(d *deed) error {
	results, err := d.ask(c.ledger())
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.noteExecuted(d, results...)
	case errors.Is(err, ledger.ErrOutcomeUnknown):
		d.unknown = true
	case isRefusal(err):
		d.refused = true
		if errors.Is(err, ledger.ErrHoldExpired) {
			c.forget(d.errands[len(d.errands)-1])
		}
	case errors.Is(err, ledger.ErrUnavailable), errors.Is(err, ledger.ErrOverloaded), errors.Is(err, ledger.ErrClosed):
		d.unexecuted = true
	default:
		c.t.Errorf("a deed failed in a way of its own: %v", err)
	}
	return err
}

// isRefusal tells whether an error comes from the books: the key wasn't executed.
func isRefusal(err error) bool {
	return slices.ContainsFunc([]error{
		ledger.ErrInsufficientFunds, ledger.ErrHoldClosed, ledger.ErrHoldExpired, ledger.ErrHoldExceeded,
		ledger.ErrExpireTime, ledger.ErrRefundExceeded,
	}, func(refusal error) bool { return errors.Is(err, refusal) })
}

// noteExecuted notes that a deed's commands were answered with these results, in
// which there must be what was asked for.
func (c *town) noteExecuted(d *deed, results ...ledger.Result) {
	d.executed = true
	for i, s := range d.errands {
		row := c.rowOf(s, &results[i])
		if results[i].Replayed {
			c.replays++
		}
		if results[i].Replayed != results[0].Replayed {
			c.t.Errorf("commands that belong together were executed one without the other: %+v", results)
		}
		if row.moves != s.moves || s.hold != nil && s.hold.id != row.hold && s.operation != ledger.HoldCreate {
			c.t.Errorf("%+v was answered with %+v", *s, row)
		}
		switch s.told {
		case bookedRow{}:
			s.told = row
			c.learn(s)
		case row:
		default:
			c.t.Errorf("one key was answered with %+v, and then with %+v", s.told, row)
		}
	}
}

// pay lets many callers pay and hold, twice under one key, ask again for what was
// executed, and overspend, until stop is closed.
func (c *town) pay(stop <-chan struct{}) {
	var callers sync.WaitGroup
	for range townCallers {
		callers.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(rand.N(10 * time.Millisecond)):
				}
				c.act()
			}
		})
	}
	callers.Wait()
}

func (c *town) act() {
	switch rand.N(10) {
	case 0:
		if d := c.executed(); d != nil {
			_ = c.do(d)
		}
	case 1:
		d := c.anyDeed()
		var twin sync.WaitGroup
		twin.Go(func() { _ = c.do(d) })
		_ = c.do(d)
		twin.Wait()
	case 2:
		_ = c.do(c.deed(townMoney * townSize)) // never possible
	default:
		_ = c.do(c.anyDeed())
	}
}

// executed picks a deed that was acknowledged.
func (c *town) executed() *deed {
	c.mu.Lock()
	defer c.mu.Unlock()
	for range 10 {
		if d := pick(c.deeds); d != nil && d.executed {
			return d
		}
	}
	return nil
}

// payFor is pay for a while, during which each disturbance is called in turn.
func (c *town) payFor(d time.Duration, disturbances ...func()) {
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() { c.pay(stop) })
	pause := d / time.Duration(len(disturbances)+1)
	for _, disturb := range disturbances {
		time.Sleep(pause)
		disturb()
	}
	time.Sleep(pause)
	close(stop)
	done.Wait()
}
