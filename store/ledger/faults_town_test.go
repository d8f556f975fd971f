package ledger_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
	"github.com/tillbook/tillbook/store/storetest"
)

// The people of a town pay each other through one ledger, whose database is at
// the end of a wire, while things break. The town remembers what they were told
// about each command, and in the end compares that with the books.
type town struct {
	*books
	wire   *wire
	people []ledger.AccountID
	paid   int64 // transactions made to begin with

	mu       sync.Mutex
	deeds    []*deed
	replays  int // commands asked for again that were answered as before
	resolved int // unknown ones that turned out to have been executed
}

// deed is a command and what its callers were told.
type deed struct {
	command                      ledger.Command
	from, to                     ledger.AccountID
	amount                       int64
	id                           uuid.UUID // it was executed as this transaction
	unknown, refused, unexecuted bool
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
	w, through := newWire(t, login)
	c.wire = w
	s := storetest.Open(t, store.Config{URL: through})
	l := ledger.New(s.Pool, cfg)
	t.Cleanup(l.Close)
	t.Cleanup(func() { w.obey(nil); w.fray(nil); w.unplug(); w.plug() })
	c.stores, c.ledgers = append(c.stores, s), append(c.ledgers, l)
	for i := range townSize {
		c.people = append(c.people, c.account(fmt.Sprintf("user/%d/main/USD", i), usd, townMoney))
	}
	c.paid = c.count(`SELECT count(*) FROM transactions`)
	return c
}

func (c *town) ledger() *ledger.Ledger { return c.ledgers[0] }

// deed makes up a payment between two people.
func (c *town) deed(amount int64) *deed {
	from := rand.N(len(c.people))
	to := (from + 1 + rand.N(len(c.people)-1)) % len(c.people)
	d := &deed{from: c.people[from], to: c.people[to], amount: amount}
	d.command = transfer(fmt.Sprintf("deed %d", c.keys.Add(1)), d.from, d.to, amount)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deeds = append(c.deeds, d)
	return d
}

// do commits a deed and notes the answer.
func (c *town) do(d *deed) error {
	result, err := c.ledger().Commit(ctx, d.command)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.noteExecuted(d, result)
	case errors.Is(err, ledger.ErrOutcomeUnknown):
		d.unknown = true
	case errors.Is(err, ledger.ErrInsufficientFunds):
		d.refused = true
	case errors.Is(err, ledger.ErrUnavailable), errors.Is(err, ledger.ErrOverloaded), errors.Is(err, ledger.ErrClosed):
		d.unexecuted = true
	default:
		c.t.Errorf("a payment failed in a way of its own: %v", err)
	}
	return err
}

func (c *town) noteExecuted(d *deed, result ledger.Result) {
	if d.id != uuid.Nil && d.id != result.Transaction.ID {
		c.t.Errorf("one key was answered with two transactions: %s and %s", d.id, result.Transaction.ID)
	}
	if result.Replayed {
		c.replays++
	}
	d.id = result.Transaction.ID
	from, ok := result.Transaction.EntryOf(d.from)
	to, ok2 := result.Transaction.EntryOf(d.to)
	if !ok || !ok2 || integer(c.t, from.Amount) != -d.amount || integer(c.t, to.Amount) != d.amount {
		c.t.Errorf("a payment of %d was answered with %+v", d.amount, result.Transaction)
	}
}

// pay lets many callers pay, twice under one key, ask again for what was
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
		d := c.deed(1 + rand.N(int64(100)))
		var twin sync.WaitGroup
		twin.Go(func() { _ = c.do(d) })
		_ = c.do(d)
		twin.Wait()
	case 2:
		_ = c.do(c.deed(townMoney * townSize)) // never possible
	default:
		_ = c.do(c.deed(1 + rand.N(int64(100))))
	}
}

// executed picks a deed that was acknowledged.
func (c *town) executed() *deed {
	c.mu.Lock()
	defer c.mu.Unlock()
	for range 10 {
		if len(c.deeds) == 0 {
			return nil
		}
		if d := c.deeds[rand.N(len(c.deeds))]; d.id != uuid.Nil {
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
