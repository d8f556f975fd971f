package oracle

import (
	"slices"

	"github.com/tillbook/tillbook/examples/torture/record"
)

// owed is what an acknowledged operation must have left in a person's history.
type owed struct {
	operation *record.Operation
	cents     int64
	found     int
}

// exactlyOnce matches the histories with the answers.
func (v *Verdict) exactlyOnce(e *Evidence) {
	due := make(map[string]map[string]*owed) // by person and transaction
	marked := marks(e)
	for _, p := range e.People {
		due[p.Name] = make(map[string]*owed)
	}
	for i := range e.Operations {
		o := &e.Operations[i]
		if o.Answer.Outcome != record.Done || o.Answer.Transaction == "" {
			continue
		}
		for name, cents := range map[string]int64{o.From: -o.Cents, o.To: o.Cents} {
			if due[name] == nil {
				continue // the merchant, who has no history of this kind
			}
			if other := due[name][o.Answer.Transaction]; other != nil {
				if name == o.From { // told once, not for both sides
					v.Lost++
				}
				v.problem("one transaction for two", "%s and operation %d have the answer %s", describe(o), other.operation.ID, o.Answer.Transaction)
			}
			due[name][o.Answer.Transaction] = &owed{operation: o, cents: cents}
		}
	}
	twice := make(map[*record.Operation]bool)
	for _, p := range e.People {
		v.match(p, due[p.Name], marked, twice)
	}
	v.Doubled += len(twice)
	missing := make(map[*record.Operation]bool)
	for _, transactions := range due {
		for _, d := range transactions {
			if d.found == 0 && !missing[d.operation] {
				missing[d.operation] = true
				v.problem("lost", "%s, which was answered with %s", describe(d.operation), d.operation.Answer.Transaction)
			}
		}
	}
	v.Lost += len(missing)
}

// soldOnce matches the checkouts that streams told of with the sales that they were made
// for: a sale makes one, whatever becomes of it.
func (v *Verdict) soldOnce(e *Evidence) {
	made := make(map[string][]string) // checkouts by mark
	see := func(stream []record.Event) {
		for _, told := range stream {
			if told.Checkout != "" && !slices.Contains(made[told.Mark], told.Checkout) {
				made[told.Mark] = append(made[told.Mark], told.Checkout)
			}
		}
	}
	see(e.MerchantStream)
	for _, stream := range e.Terminals {
		see(stream)
	}
	for i := range e.Operations {
		o := &e.Operations[i]
		if o.Kind != record.Sale {
			continue
		}
		checkouts := made[o.Mark]
		delete(made, o.Mark)
		if o.Answer.Outcome == record.Done && !slices.Contains(checkouts, o.Answer.Checkout) {
			checkouts = append(checkouts, o.Answer.Checkout)
		}
		switch n := len(checkouts); {
		case n > 1:
			v.Doubled++
			v.problem("doubled", "%s made %d checkouts", describe(o), n)
		case n == 1 && o.Answer.Outcome == record.Refused:
			v.problem("executed though refused", "%s made %s", describe(o), checkouts[0])
		}
	}
	for _, checkouts := range made {
		v.problem("unasked", "%s is of no sale", checkouts[0])
	}
}

// marks are the operations by what is in the note of what they move. That of a payment
// is the sale's.
func marks(e *Evidence) map[string]*record.Operation {
	marked := make(map[string]*record.Operation)
	sales := make(map[string]string) // marks by checkout
	for i := range e.Operations {
		switch o := &e.Operations[i]; o.Kind {
		case record.Sale:
			sales[o.Answer.Checkout] = o.Mark
		case record.Payment:
			marked[sales[o.Checkout]] = o
		case record.Transfer:
			marked[o.Mark] = o
		}
	}
	return marked
}

// match looks at one history. What is in it twice, or isn't an answer though another
// transaction for the same operation is, was executed twice.
func (v *Verdict) match(p Person, due map[string]*owed, marked map[string]*record.Operation, twice map[*record.Operation]bool) {
	open := make(map[*record.Operation]bool) // whose outcome nobody knows, and that was executed
	for i, t := range p.History {
		if i == 0 && t.Cents == p.Funded {
			continue
		}
		if d := due[t.ID]; d != nil {
			d.found++
			switch {
			case d.found > 1:
				twice[d.operation] = true
				v.problem("doubled", "%s has %s twice", p.Name, t.ID)
			case d.cents != t.Cents:
				v.problem("amount", "%s of %s moved %d cents: %s", t.ID, p.Name, t.Cents, describe(d.operation))
			}
			continue
		}
		switch o := marked[t.Note]; {
		case o == nil:
			v.problem("unasked", "%s of %s over %d cents is no answer that anybody got", t.ID, p.Name, t.Cents)
		case o.Answer.Outcome == record.Done:
			twice[o] = true
			v.problem("doubled", "%s of %s: %s, which was answered with %s", t.ID, p.Name, describe(o), o.Answer.Transaction)
		case o.Answer.Outcome == record.Refused:
			v.problem("executed though refused", "%s of %s: %s", t.ID, p.Name, describe(o))
		case open[o]:
			twice[o] = true
			v.problem("doubled", "%s of %s: %s", t.ID, p.Name, describe(o))
		default:
			open[o] = true
		}
	}
}

// repetitions looks at the answers to requests that were sent again on purpose.
func (v *Verdict) repetitions(e *Evidence) {
	for i := range e.Operations {
		o := &e.Operations[i]
		for _, a := range o.Again {
			switch {
			case a.Outcome != record.Done:
				v.problem("repetition", "asked again, it is %s %s: %s", a.Outcome, a.Reason, describe(o))
			case a.Transaction != o.Answer.Transaction:
				v.Doubled++
				v.problem("doubled", "asked again, it is %s and not %s: %s", a.Transaction, o.Answer.Transaction, describe(o))
			case a.Balance != o.Answer.Balance:
				v.problem("repetition", "asked again, it left %d and not %d: %s", a.Balance, o.Answer.Balance, describe(o))
			}
		}
	}
}

// balances adds up. Nothing comes from nowhere and nothing goes away.
func (v *Verdict) balances(e *Evidence) {
	sum := e.Funds
	for _, p := range e.People {
		sum += p.Balance - p.Funded
		var after int64
		for _, t := range p.History {
			if after += t.Cents; after != t.After {
				v.problem("history", "%s of %s leads to %d cents and not to %d", t.ID, p.Name, t.After, after)
				break
			}
			if after < 0 {
				v.problem("floor", "%s of %s leads to %d cents", t.ID, p.Name, after)
			}
		}
		if after != p.Balance {
			v.problem("balance", "%s has %d cents and a history that leads to %d", p.Name, p.Balance, after)
		}
	}
	if sum != 0 {
		v.problem("sum", "%d cents came from nowhere", sum)
	}
	var sold int64
	for i := range e.Operations {
		if o := &e.Operations[i]; o.Kind == record.Payment && o.Answer.Outcome == record.Done {
			sold += o.Cents
		}
	}
	if sold != e.Funds {
		v.problem("sales", "the merchant has %d cents and sold for %d", e.Funds, sold)
	}
}
