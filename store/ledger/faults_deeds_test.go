package ledger_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/store/ledger"
)

// deed is what somebody asks for, one command or several together, and what its
// callers were told.
type deed struct {
	ask     func(*ledger.Ledger) ([]ledger.Result, error)
	command ledger.Command // of a payment
	errands []*errand

	executed, unknown, refused, unexecuted bool
}

// errand is one command of a deed.
type errand struct {
	key       ledger.Key
	amount    int64
	moves     [2]move
	operation ledger.HoldOperation // 0 for none
	hold      *paperHold
	final     bool
	original  *errand   // what it gives back
	told      bookedRow // zero as long as nobody was told that it was executed
}

// move is a posting in small numbers.
type move struct {
	account ledger.AccountID
	amount  int64
}

func moves(from, to ledger.AccountID, amount int64) [2]move {
	return [2]move{{from, -amount}, {to, amount}}
}

func (c *town) who() ledger.Identity { return identity(fmt.Sprintf("deed %d", c.keys.Add(1))) }

func (c *town) add(d *deed) *deed {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deeds = append(c.deeds, d)
	return d
}

// single is a deed of one command.
func (c *town) single(s *errand, ask func(*ledger.Ledger) (ledger.Result, error)) *deed {
	return c.add(&deed{errands: []*errand{s}, ask: func(l *ledger.Ledger) ([]ledger.Result, error) {
		r, err := ask(l)
		return []ledger.Result{r}, err
	}})
}

// deed makes up a payment between two people.
func (c *town) deed(amount int64) *deed {
	from := c.someone()
	return c.payment(from, c.someoneBut(from), amount)
}

// between is a payment between two of the people.
func (c *town) between(from, to int, amount int64) *deed {
	return c.payment(c.people[from], c.people[to], amount)
}

func (c *town) payment(from, to *purse, amount int64) *deed {
	s, command := c.pays(from, to, amount)
	var d *deed
	d = c.single(s, func(l *ledger.Ledger) (ledger.Result, error) { return l.Commit(ctx, d.command) })
	d.command = command
	return d
}

func (c *town) pays(from, to *purse, amount int64) (*errand, ledger.Command) {
	command := transfer(fmt.Sprintf("deed %d", c.keys.Add(1)), from.id, to.id, amount)
	return &errand{key: command.Key, amount: amount, moves: moves(from.id, to.id, amount)}, command
}

// holding sets money aside, of which a tenth more can be captured.
func (c *town) holding(of *purse, amount int64, life time.Duration) *deed {
	who, s, h := c.holds(of, amount, life)
	return c.single(s, func(l *ledger.Ledger) (ledger.Result, error) { return l.CreateHold(ctx, who, h) })
}

func (c *town) holds(of *purse, amount int64, life time.Duration) (ledger.Identity, *errand, ledger.NewHold) {
	who, hold := c.who(), &paperHold{of: of, excess: 1000, state: ledger.HoldOpen}
	return who, &errand{key: who.Key, amount: amount, operation: ledger.HoldCreate, hold: hold}, ledger.NewHold{
		Account: of.id, Amount: ledger.NewAmount(amount), ExcessBPS: int(hold.excess), ExpireTime: time.Now().Add(life),
	}
}

func (c *town) increasing(h *paperHold, amount int64) *deed {
	who := c.who()
	s := &errand{key: who.Key, amount: amount, operation: ledger.HoldIncrease, hold: h}
	return c.single(s, func(l *ledger.Ledger) (ledger.Result, error) {
		return l.IncreaseHold(ctx, who, h.id, ledger.NewAmount(amount))
	})
}

func (c *town) voiding(h *paperHold) *deed {
	who := c.who()
	s := &errand{key: who.Key, operation: ledger.HoldVoid, hold: h}
	return c.single(s, func(l *ledger.Ledger) (ledger.Result, error) { return l.VoidHold(ctx, who, h.id) })
}

func (c *town) capturing(h *paperHold, to *purse, amount int64, final bool) *deed {
	who, s, capture := c.captures(h, to, amount, final)
	return c.single(s, func(l *ledger.Ledger) (ledger.Result, error) { return l.CaptureHold(ctx, who, capture) })
}

func (c *town) captures(h *paperHold, to *purse, amount int64, final bool) (ledger.Identity, *errand, ledger.Capture) {
	who := c.who()
	s := &errand{
		key: who.Key, amount: amount, moves: moves(h.of.id, to.id, amount), operation: ledger.HoldCapture, hold: h, final: final,
	}
	return who, s, captureOf(ledger.Hold{ID: h.id}, to.id, amount, final)
}

func (c *town) refunding(original *errand, amount int64) *deed {
	who, of := c.who(), original.told.transaction
	s := &errand{
		key: who.Key, amount: amount, original: original,
		moves: moves(original.moves[0].account, original.moves[1].account, -amount),
	}
	return c.single(s, func(l *ledger.Ledger) (ledger.Result, error) {
		return l.Refund(ctx, who, ledger.Refund{Original: of, Amount: ledger.NewAmount(amount), Kind: ledger.KindRefund})
	})
}

// group is a payment, a new hold and the capture of another one, together or not
// at all.
func (c *town) group(h *paperHold, to *purse, amount int64) *deed {
	pays, payment := c.pays(to, h.of, amount)
	holder, holds, hold := c.holds(to, amount, time.Hour)
	captor, captures, capture := c.captures(h, to, amount, false)
	return c.add(&deed{errands: []*errand{pays, holds, captures}, ask: func(l *ledger.Ledger) ([]ledger.Result, error) {
		return l.CommitAll(ctx, []ledger.Command{
			payment, ledger.HoldCommand(holder, hold), ledger.CaptureCommand(captor, h.of.id, capture),
		})
	}})
}

// ofEachKind is a deed of each kind, on the first four of the people.
func (c *town) ofEachKind() []*deed {
	c.t.Helper()
	var open []*paperHold
	for i := range 4 {
		d := c.holding(c.people[i], 20, time.Hour)
		c.prepare(d)
		open = append(open, d.errands[0].hold)
	}
	paid := c.between(0, 1, 5)
	c.prepare(paid)
	return []*deed{
		c.between(2, 3, 5),
		c.holding(c.people[0], 7, time.Hour),
		c.increasing(open[0], 3),
		c.capturing(open[1], c.people[2], 22, false), // all that it allows
		c.voiding(open[2]),
		c.refunding(paid.errands[0], 2),
		c.group(open[3], c.people[1], 4),
	}
}

func (c *town) must(d *deed) {
	c.t.Helper()
	if err := c.do(d); err != nil {
		c.t.Fatal(err)
	}
}

// prepare does a deed on which a test is founded, again if a busy machine takes longer
// than the ledger's patience. Nothing of that counts as a finding.
func (c *town) prepare(d *deed) {
	c.t.Helper()
	replays := c.replays
	if err := c.untilDefinite(d); err != nil {
		c.t.Fatal(err)
	}
	d.unknown, c.replays = false, replays
}

// together does deeds in one batch: they queue up behind one that is refused, and
// then trouble begins. It returns when they have ended, and how.
func (c *town) together(deeds []*deed, trouble func()) []error {
	c.t.Helper()
	first := c.between(4, 5, townMoney*townSize)
	g := gated(&first.command)
	var asking sync.WaitGroup
	asking.Go(func() { _ = c.do(first) })
	<-g.entered
	errs, commands := make([]error, len(deeds)), 0
	for i, d := range deeds {
		commands += len(d.errands)
		asking.Go(func() { errs[i] = c.do(d) })
	}
	waitFor(c.t, "the deeds to queue up", func() bool { return c.ledger().Stats().QueueDepth == commands })
	trouble()
	close(g.open)
	asking.Wait()
	return errs
}

func (c *town) someone() *purse { return c.people[rand.N(len(c.people))] }

func (c *town) someoneBut(other *purse) *purse {
	for {
		if p := c.someone(); p != other {
			return p
		}
	}
}

// anyDeed makes up a deed of any kind.
func (c *town) anyDeed() *deed {
	h, p := c.someHold(), c.somePayment()
	amount, part := 1+rand.N(int64(100)), 1+rand.N(int64(30))
	n := rand.N(16)
	switch {
	case n < 6 || p == nil:
		return c.deed(amount)
	case n < 8 || h == nil:
		return c.holding(c.someone(), amount, []time.Duration{time.Hour, time.Hour, 300 * time.Millisecond}[rand.N(3)])
	case n < 9:
		return c.increasing(h, part)
	case n < 12:
		return c.capturing(h, c.someoneBut(h.of), part, n == 11)
	case n < 13:
		return c.voiding(h)
	case n < 15:
		return c.refunding(p, part)
	default:
		return c.group(h, c.someoneBut(h.of), part)
	}
}

// someHold picks a hold that nobody was told is closed.
func (c *town) someHold() *paperHold {
	c.mu.Lock()
	defer c.mu.Unlock()
	return pick(c.open)
}

// somePayment picks what can be given back.
func (c *town) somePayment() *errand {
	c.mu.Lock()
	defer c.mu.Unlock()
	return pick(c.payments)
}

func pick[T any](list []*T) *T {
	if len(list) == 0 {
		return nil
	}
	return list[rand.N(len(list))]
}

// learn keeps what later deeds can be about.
func (c *town) learn(s *errand) {
	switch {
	case s.operation == ledger.HoldCreate:
		s.hold.id = s.told.hold
		c.open = append(c.open, s.hold)
	case s.told.state > ledger.HoldOpen:
		c.forget(s)
	}
	if s.told.transaction != uuid.Nil && s.original == nil {
		c.payments = append(c.payments, s)
	}
}

func (c *town) forget(s *errand) {
	c.open = slices.DeleteFunc(c.open, func(h *paperHold) bool { return h == s.hold })
}
