package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// books here: accounts 1 and 2 stand for the world outside in assets 1 and 2, 3
// and 4 hold 100 and 200 of asset 1. What these tests decide is held, limited
// and given back, on one batch or several that follow each other.

// limitedBatch is testBatch under rules, which bound asset 1 for everyone unless
// they say otherwise.
func limitedBatch(t testing.TB, list ...Rule) *batch {
	t.Helper()
	b := testBatch()
	setRules(t, b, list...)
	return b
}

func setRules(t testing.TB, b *batch, list ...Rule) {
	t.Helper()
	for i := range list {
		r := &list[i]
		if r.Scope == "" {
			r.Scope = ScopeEveryone
		}
		r.Asset, r.ID = 1, uuid.New()
		if r.Zone == "" {
			r.Zone = "UTC"
		}
	}
	var err error
	if b.rules, err = newRules(1, list); err != nil {
		t.Fatal(err)
	}
}

func rule(m Measure, d Direction, p Period, maximum int64) Rule {
	return Rule{Measure: m, Direction: d, Period: p, Maximum: NewAmount(maximum)}
}

func counted(key string, postings ...Posting) *Command {
	c := testCommand(key, postings...)
	c.Counted = true
	return c
}

func identity(key string) Identity {
	return Identity{Key: NewKey("test", key), Fingerprint: Fingerprint(key)}
}

// mustDecide decides a command that nothing stands in the way of.
func mustDecide(t testing.TB, b *batch, c *Command) verdict {
	t.Helper()
	v := b.decide(c)
	if v.err != nil || v.lacks != 0 {
		t.Fatalf("refused with %v, lacks %d", v.err, v.lacks)
	}
	return v
}

// newHold makes a hold of account 3 that lasts a day.
func newHold(t testing.TB, b *batch, key string, amount int64, excess int) Hold {
	t.Helper()
	c := HoldCommand(identity(key), NewHold{
		Account: 3, Amount: NewAmount(amount), ExcessBPS: excess, ExpireTime: b.now.Add(24 * time.Hour),
	})
	return b.operations[mustDecide(t, b, &c).operation].hold
}

// holdCommand changes a hold of account 3.
func holdCommand(key string, hold uuid.UUID, decide func(View) (Draft, error)) *Command {
	who := identity(key)
	return &Command{
		Key: who.Key, Fingerprint: who.Fingerprint, Accounts: []AccountID{3}, Hold: hold, Counted: true, Decide: decide,
	}
}

func increase(key string, hold uuid.UUID, by int64) *Command {
	return holdCommand(key, hold, func(v View) (Draft, error) { return increaseHold(v, NewAmount(by)) })
}

func capture(key string, hold uuid.UUID, amount int64, final bool) *Command {
	c := CaptureCommand(identity(key), 3, Capture{Hold: hold, Credits: []Posting{{4, NewAmount(amount)}}, Final: final})
	return &c
}

// refund gives back a transaction that a batch made.
func refund(key string, original Transaction, r Refund, debts ...debtLink) *Command {
	r.Original, r.Kind = original.ID, KindRefund
	plan := refundPlan{refund: r, original: original, outgoing: neverCounted, incoming: neverCounted, debts: debts}
	if original.Counted {
		plan.outgoing, plan.incoming = original.CreateTime, original.CreateTime
	}
	who := identity(key)
	c := &Command{Key: who.Key, Fingerprint: who.Fingerprint, Kind: KindRefund, Original: original.ID, Decide: plan.decide}
	for _, e := range original.Entries {
		c.Accounts = append(c.Accounts, e.Account)
	}
	for _, d := range debts {
		c.Accounts = append(c.Accounts, d.receivable)
	}
	c.Accounts = append(c.Accounts, r.From...)
	return c
}

// use tells what an account's counter of a window counts: amount and number.
func use(t testing.TB, b *batch, account AccountID, d Direction, p Period) string {
	t.Helper()
	u, err := b.accounts[account].meter.counters()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range u {
		if c.Direction == d && c.Period == p {
			return fmt.Sprintf("%s in %d", c.Amount, c.Number)
		}
	}
	return "nothing"
}

// whole tells all of a batch's state.
func whole(b *batch) string {
	var lines []string
	for id, a := range b.accounts {
		lines = append(lines, fmt.Sprintf("account %d: %s held %s at %d, %v, owes by %d, %v %v, usage %s",
			id, a.Balance, a.Held, a.Version, a.LastTime, a.receivable, a.changed, a.more, a.meter.usage.encode()))
	}
	for id, h := range b.holds {
		lines = append(lines, fmt.Sprintf("hold %s: %+v", id, h))
	}
	for id, sum := range b.refunded {
		if !sum.IsZero() {
			lines = append(lines, fmt.Sprintf("refunded %s: %s", id, sum))
		}
	}
	for id, r := range b.resolved {
		lines = append(lines, fmt.Sprintf("resolved %s: %+v", id, r))
	}
	for key, done := range b.keys {
		lines = append(lines, fmt.Sprintf("key %x: %+v", key, done))
	}
	slices.Sort(lines)
	return fmt.Sprintf("%s\nmade %d, %d operations, %d refunds, %d resolutions, %d audits, %d events, next id %d",
		strings.Join(lines, "\n"), len(b.made), len(b.operations), len(b.refunds), len(b.resolutions), len(b.audits), len(b.events), b.ids.tail)
}

// owing gives account 4 a debt of 50 at account 6.
func owing() *batch {
	b := newBatch(locked(
		testAccount(1, 1, -250, false), testAccount(2, 2, 0, false), testAccount(3, 1, 100, true),
		testAccount(4, 1, 200, true), testAccount(5, 2, 0, true), testAccount(6, 1, -50, false),
	), map[Key]executedKey{}, testTime)
	b.accounts[6].Code = ReceivableCode("4", "JPY")
	b.accounts[4].receivable = 6
	return b
}

func group(commands ...*Command) *call {
	list := make([]Command, len(commands))
	for i, c := range commands {
		list[i] = *c
	}
	return newGroup(context.Background(), list)
}

func TestARefusedGroupTakesBackWhatItRepaid(t *testing.T) {
	b := owing()
	before := whole(b)
	c := group(testCommand("credit", move(3, 4, 30)...), testCommand("too much", move(3, 1, 1000)...))
	var item *ItemError
	if lacks := b.decideCall(c); lacks != 0 || !errors.As(c.err, &item) || item.Index != 1 || !errors.Is(c.err, ErrInsufficientFunds) {
		t.Fatalf("decided as %v, lacks %d", c.err, lacks)
	}
	if after := whole(b); after != before {
		t.Errorf("the group left\n%s\nbefore it there was\n%s", after, before)
	}
}

func TestARepaymentNeverLiesBeforeAnEarlierOne(t *testing.T) {
	b := owing()
	b.accounts[6].LastTime = testTime.Add(-time.Minute) // account 4: an hour
	c := testCommand("import", move(1, 4, 30)...)
	c.Kind, c.Time = KindImport, testTime.Add(-30*time.Minute)
	mustDecide(t, b, c)
	if len(b.made) != 2 || b.made[1].Kind != KindRepayment {
		t.Fatalf("made %+v", b.made)
	}
	if at := b.made[1].CreateTime; at.Before(testTime.Add(-time.Minute)) {
		t.Errorf("the repayment is of %v, the last entry of its account of %v", at, testTime.Add(-time.Minute))
	}
}

func TestAGivenBackTransactionDoesNotCountItself(t *testing.T) {
	b := limitedBatch(t, rule(MeasureAmount, Outgoing, PerDay, 1000), rule(MeasureAmount, Incoming, PerDay, 1000))
	original := b.made[mustDecide(t, b, counted("pay", move(3, 4, 60)...)).made].Transaction
	back := b.made[mustDecide(t, b, refund("back", original, Refund{})).made].Transaction
	if !original.Counted || back.Counted {
		t.Errorf("the original counts: %v; the refund counts: %v", original.Counted, back.Counted)
	}
	for _, account := range []AccountID{3, 4} {
		for _, d := range []Direction{Outgoing, Incoming} {
			if got := use(t, b, account, d, PerDay); got != "0 in 0" && got != "nothing" {
				t.Errorf("account %d counts %s %s", account, got, d)
			}
		}
	}
}

func TestWhoOwesAllOfARefundGetsItsLimitBack(t *testing.T) {
	b := owing()
	setRules(t, b, rule(MeasureAmount, Incoming, PerDay, 1000))
	b.accounts[4].receivable, b.accounts[6].Balance = 0, Amount{}
	b.accounts[4].Balance = Amount{}
	original := b.made[mustDecide(t, b, counted("pay", move(3, 4, 60)...)).made].Transaction
	mustDecide(t, b, testCommand("spend", move(4, 1, 60)...))
	mustDecide(t, b, refund("back", original, Refund{Receivable: true}, debtLink{4, 6}))
	if got := b.accounts[6].Balance; got != NewAmount(-60) {
		t.Errorf("owes %s, want -60", got)
	}
	if got := use(t, b, 4, Incoming, PerDay); got != "0 in 0" {
		t.Errorf("what was received and given back counts %s", got)
	}
}

func TestTwoAccountsOfOneOwnerOweTogether(t *testing.T) {
	b := owing()
	b.accounts[4].receivable, b.accounts[6].Balance = 0, Amount{}
	b.accounts[4].Balance = Amount{}
	b.locked = append(b.locked, locked(testAccount(7, 1, 0, true))...)
	for i := range b.locked {
		b.accounts[b.locked[i].ID] = &b.locked[i]
	}
	postings := []Posting{{3, NewAmount(-100)}, {4, NewAmount(40)}, {7, NewAmount(60)}}
	original := b.made[mustDecide(t, b, testCommand("pay", postings...)).made].Transaction
	spend := []Posting{{1, NewAmount(100)}, {4, NewAmount(-40)}, {7, NewAmount(-60)}}
	mustDecide(t, b, testCommand("spend", spend...))
	v := b.decide(refund("back", original, Refund{Receivable: true}, debtLink{4, 6}, debtLink{7, 6}))
	if v.err != nil || b.accounts[6].Balance != NewAmount(-100) || b.accounts[4].receivable != 6 || b.accounts[7].receivable != 6 {
		t.Errorf("refused with %v; owes %s", v.err, b.accounts[6].Balance)
	}
}

func TestWhatWasCapturedBeyondAHoldCountsOnceWhenItIsIncreased(t *testing.T) {
	b := limitedBatch(t, rule(MeasureAmount, Outgoing, PerDay, 1000))
	h := newHold(t, b, "hold", 50, 5000)
	mustDecide(t, b, capture("capture", h.ID, 70, false))
	mustDecide(t, b, increase("increase", h.ID, 10))
	if got := use(t, b, 3, Outgoing, PerDay); got != "70 in 1" {
		t.Errorf("counts %s after 70 of 60 were captured", got)
	}
	mustDecide(t, b, increase("more", h.ID, 20))
	mustDecide(t, b, holdCommand("void", h.ID, voidHold))
	if got := use(t, b, 3, Outgoing, PerDay); got != "70 in 1" || !b.accounts[3].Held.IsZero() {
		t.Errorf("counts %s and has %s held after all was given back but 70", got, b.accounts[3].Held)
	}
}

func TestALimitPerTransactionBoundsAHoldAsAWhole(t *testing.T) {
	b := limitedBatch(t, rule(MeasureAmount, Outgoing, PerTransaction, 60))
	h := newHold(t, b, "hold", 50, 5000)
	before := whole(b)
	var limit *LimitError
	err := b.decide(increase("increase", h.ID, 11)).err
	if !errors.As(err, &limit) || limit.Used != NewAmount(50) || limit.Remaining != NewAmount(10) {
		t.Errorf("increased beyond the limit: %v, %+v", err, limit)
	}
	if err := b.decide(capture("capture", h.ID, 61, true)).err; !errors.Is(err, ErrLimitExceeded) {
		t.Errorf("captured beyond the limit: %v", err)
	}
	if after := whole(b); after != before {
		t.Errorf("left\n%s\nwas\n%s", after, before)
	}
	mustDecide(t, b, increase("increase", h.ID, 10))
}

func TestWhatAddsNoTransactionBreaksNoLimitOnTheirNumber(t *testing.T) {
	b := limitedBatch(t, rule(MeasureCount, Outgoing, PerDay, 2))
	h := newHold(t, b, "hold", 20, 5000)
	mustDecide(t, b, counted("pay", move(3, 4, 1)...))
	setRules(t, b, rule(MeasureCount, Outgoing, PerDay, 1))
	mustDecide(t, b, increase("increase", h.ID, 10))
	mustDecide(t, b, capture("capture", h.ID, 40, true))
	if got := use(t, b, 3, Outgoing, PerDay); got != "41 in 2" {
		t.Errorf("counts %s", got)
	}
}
