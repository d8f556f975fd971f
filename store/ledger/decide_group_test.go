package ledger

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// drawCommand draws something to do to the accounts, holds and payments of b.
func drawCommand(t *rapid.T, b *batch, key string, holds []uuid.UUID, paid Transaction, subjects []uuid.UUID) *Command {
	amount := rapid.Int64Range(1, 90).Draw(t, "amount")
	hold := rapid.SampledFrom(holds).Draw(t, "hold")
	var c *Command
	switch rapid.IntRange(0, 6).Draw(t, "what") {
	case 0:
		created := HoldCommand(identity(key), NewHold{Account: 3, Amount: NewAmount(amount), ExpireTime: b.now.Add(time.Hour)})
		c = &created
	case 1:
		c = increase(key, hold, amount)
	case 2:
		c = capture(key, hold, amount, rapid.Bool().Draw(t, "final"))
	case 3:
		c = holdCommand(key, hold, voidHold)
	case 4:
		from := rapid.SampledFrom([][]AccountID{nil, {4}, {4, 1}}).Draw(t, "refund from")
		c = refund(key, paid, Refund{Amount: NewAmount(amount % 20), From: from})
	default:
		from := AccountID(rapid.SampledFrom([]int{1, 3, 4}).Draw(t, "from"))
		c = counted(key, move(from, 7-max(from, 3), amount)...)
	}
	if rapid.IntRange(0, 3).Draw(t, "resolves") == 0 {
		c.Subjects = []uuid.UUID{rapid.SampledFrom(subjects).Draw(t, "subject")}
		decide := c.Decide
		c.Decide = func(v View) (Draft, error) {
			d, err := decide(v)
			d.Outcome = 1
			return d, err
		}
	}
	if rapid.Bool().Draw(t, "tells") {
		decide := c.Decide
		c.Decide = func(v View) (Draft, error) {
			d, err := decide(v)
			d.Events = append(d.Events, Event{Type: "test", Subject: "test", Payload: []byte("{}")})
			return d, err
		}
	}
	return c
}

func TestAGroupDoesAllOrLeavesEverythingAsItWas(t *testing.T) {
	refused := 0
	rapid.Check(t, func(t *rapid.T) {
		b := owing()
		b.accounts[1].LastTime = testTime.Add(-time.Hour)
		r := rule(MeasureAmount, Outgoing, PerDay, 300)
		r.Scope, r.Asset, r.Zone = ScopeEveryone, 1, "UTC"
		b.rules, _ = newRules(1, []Rule{r})
		paid := b.made[b.decide(counted("paid", move(3, 4, 20)...)).made].Transaction
		var holds []uuid.UUID
		for i := range 2 {
			c := HoldCommand(identity(fmt.Sprint("hold ", i)), NewHold{
				Account: 3, Amount: NewAmount(20), ExcessBPS: 2500, ExpireTime: b.now.Add(time.Hour),
			})
			if v := b.decide(&c); v.err != nil {
				t.Fatal(v.err)
			}
			holds = append(holds, c.Hold)
		}
		subjects := []uuid.UUID{{1}, {2}}
		for round := range rapid.IntRange(1, 6).Draw(t, "groups") {
			var commands []*Command
			for i := range rapid.IntRange(2, 5).Draw(t, "commands") {
				commands = append(commands, drawCommand(t, b, fmt.Sprint("g ", round, i), holds, paid, subjects))
			}
			before, made, operations := whole(b), len(b.made), len(b.operations)
			c := group(commands...)
			if lacks := b.decideCall(c); lacks != 0 {
				falsified(t, "the group lacks %d", lacks)
			}
			switch after := whole(b); {
			case c.err != nil && after != before:
				falsified(t, "refused with %v, the group left\n%s\nbefore it there was\n%s", c.err, after, before)
			case c.err == nil && len(b.made)-made+len(b.operations)-operations < len(commands):
				falsified(t, "an executed group made %d and did %d for %d commands", len(b.made)-made, len(b.operations)-operations, len(commands))
			}
			if c.err != nil {
				refused++
			}
		}
	})
	if refused == 0 {
		t.Error("no group was refused")
	}
}

func TestEachRefusalOfWhatIsHeldOrGivenBackLeavesNothingBehind(t *testing.T) {
	b := limitedBatch(t, rule(MeasureAmount, Outgoing, PerDay, 90), rule(MeasureBalance, Incoming, PerTransaction, 260))
	open := newHold(t, b, "open", 40, 1000)
	done := newHold(t, b, "done", 10, 0)
	mustDecide(t, b, holdCommand("void", done.ID, voidHold))
	late := newHold(t, b, "late", 5, 0)
	late.ExpireTime = b.now
	b.holds[late.ID] = late
	paid := b.made[mustDecide(t, b, counted("pay", move(3, 4, 20)...)).made].Transaction
	back := b.made[mustDecide(t, b, refund("back", paid, Refund{Amount: NewAmount(5)})).made].Transaction
	hold := func(key string, h NewHold) *Command {
		if h.ExpireTime.IsZero() {
			h.ExpireTime = b.now.Add(time.Hour)
		}
		c := HoldCommand(identity(key), h)
		return &c
	}
	imported := func(at time.Time) *Command {
		c := testCommand("import", move(1, 4, 1)...)
		c.Kind, c.Time = KindImport, at
		return c
	}
	old := testCommand("old", move(2, 5, 1)...) // whose accounts moved an hour ago
	old.Kind, old.Time = KindImport, testTime.Add(-time.Hour-time.Second-time.Microsecond)
	deadline := testCommand("deadline", move(3, 4, 1)...)
	deadline.Deadline = b.now
	subject := testCommand("subject", move(3, 4, 1)...)
	subject.Subjects = []uuid.UUID{{9}}
	b.resolved = map[uuid.UUID]ResolvedError{{9}: {Outcome: 2}}
	for name, c := range map[string]struct {
		command *Command
		want    error
	}{
		"a hold of more than there is":        {hold("k", NewHold{Account: 3, Amount: NewAmount(41)}), ErrInsufficientFunds},
		"a hold past a limit":                 {hold("k", NewHold{Account: 3, Amount: NewAmount(35)}), ErrLimitExceeded},
		"a hold of nothing":                   {hold("k", NewHold{Account: 3}), ErrUnbalanced},
		"a hold without end of funds":         {hold("k", NewHold{Account: 1, Amount: NewAmount(1)}), ErrUnbounded},
		"a hold that is over":                 {hold("k", NewHold{Account: 3, Amount: NewAmount(1), ExpireTime: b.now}), ErrExpireTime},
		"a hold for too long":                 {hold("k", NewHold{Account: 3, Amount: NewAmount(1), ExpireTime: b.now.Add(MaxHoldLife + time.Microsecond)}), ErrExpireTime},
		"an increase past a limit":            {increase("k", open.ID, 31), ErrLimitExceeded},
		"an increase by nothing":              {increase("k", open.ID, 0), ErrUnbalanced},
		"an increase of what is over":         {increase("k", late.ID, 1), ErrHoldExpired},
		"a capture of more than is allowed":   {capture("k", open.ID, 45, true), ErrHoldExceeded},
		"a capture of what is over":           {capture("k", late.ID, 1, true), ErrHoldExpired},
		"a capture of what was voided":        {capture("k", done.ID, 1, true), ErrHoldClosed},
		"a capture of no hold":                {capture("k", uuid.UUID{7}, 1, true), ErrHoldNotFound},
		"a capture of nothing":                {capture("k", open.ID, 0, true), ErrUnbalanced},
		"a void of what was voided":           {holdCommand("k", done.ID, voidHold), ErrHoldClosed},
		"an expiry of what isn't over":        {holdCommand("k", open.ID, expireHold), ErrHoldClosed},
		"more given back than is left":        {refund("k", paid, Refund{Amount: NewAmount(16)}), ErrRefundExceeded},
		"a refund given back":                 {refund("k", back, Refund{}), ErrNotRefundable},
		"an import of now":                    {imported(b.now), ErrImportTime},
		"an import before the newest entry":   {imported(b.now.Add(-time.Minute)), ErrImportTime},
		"an import an hour late":              {old, ErrImportTime},
		"a command at its deadline":           {deadline, ErrExpired},
		"what was resolved":                   {subject, ErrResolved},
		"a payment past the greatest balance": {counted("k", move(1, 4, 60)...), ErrLimitExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			before := strings.Clone(whole(b))
			if v := b.decide(c.command); !errors.Is(v.err, c.want) || v.made >= 0 || v.operation >= 0 {
				t.Errorf("refused with %v, want %v", v.err, c.want)
			}
			if after := whole(b); after != before {
				t.Errorf("left\n%s\nwas\n%s", after, before)
			}
		})
	}
}

func TestACaptureBeyondItsHoldTakesNoMoreThanThereIs(t *testing.T) {
	b := testBatch()
	h := newHold(t, b, "hold", 90, 10_000)
	before := whole(b)
	if err := b.decide(capture("too much", h.ID, 101, true)).err; !errors.Is(err, ErrInsufficientFunds) {
		t.Errorf("captured 101 of 100: %v", err)
	}
	if after := whole(b); after != before {
		t.Errorf("left\n%s\nwas\n%s", after, before)
	}
	mustDecide(t, b, capture("all", h.ID, 100, true))
	if a := b.accounts[3]; !a.Balance.IsZero() || !a.Held.IsZero() {
		t.Errorf("%s and %s held are left", a.Balance, a.Held)
	}
}
