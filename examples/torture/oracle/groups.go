package oracle

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/tillbook/tillbook/examples/torture/mix"
	"github.com/tillbook/tillbook/examples/torture/record"
)

// groupPatience bounds the search for an order of one group's operations.
const groupPatience = 20 * time.Second

// state is what each person of a group has, in cents.
type state [mix.GroupSize]int64

// call is a payment from one person of a group to another, or a look at one balance.
type call struct {
	read     bool
	from, to int
	cents    int64
}

// answer is what came of it.
type answer struct {
	refused bool
	// balance is what the payer then had, or what was read.
	balance int64
}

// step says whether an operation can have had its answer in a state, and which
// state it leads to.
func step(s state, c call, a answer) (bool, state) {
	switch {
	case c.read:
		return s[c.from] == a.balance, s
	case a.refused:
		return s[c.from] < c.cents, s
	}
	s[c.from] -= c.cents
	s[c.to] += c.cents
	return s[c.from] == a.balance && a.balance >= 0, s
}

// linearizable looks for an order of each group's operations.
func (v *Verdict) linearizable(e *Evidence) {
	funded := make(map[string]int64)
	for _, p := range e.People {
		funded[p.Name] = p.Funded
	}
	for g, names := range e.Groups {
		var begin state
		for i, name := range names {
			begin[i] = funded[name]
		}
		model := porcupine.Model{
			Init: func() any { return begin },
			Step: func(s, input, output any) (bool, any) { return step(s.(state), input.(call), output.(answer)) },
			DescribeOperation: func(input, output any) string {
				return fmt.Sprintf("%+v -> %+v", input, output)
			},
		}
		history := historyOf(e, g, names)
		if result := porcupine.CheckOperationsTimeout(model, history, groupPatience); result != porcupine.Ok {
			v.problem("linearizable", "of the %d operations of group %d the checker says %s", len(history), g, result)
		}
	}
}

// historyOf returns what a group did and learned.
func historyOf(e *Evidence, group int, names []string) []porcupine.Operation {
	var history []porcupine.Operation
	for i := range e.Operations {
		o := &e.Operations[i]
		if o.Group != group || (o.Kind != record.Transfer && o.Kind != record.Read) {
			continue
		}
		p := porcupine.Operation{
			ClientId: slices.Index(names, o.From), Call: o.Call.Nanoseconds(), Return: o.Return.Nanoseconds(),
			Input:  call{read: o.Kind == record.Read, from: slices.Index(names, o.From), to: slices.Index(names, o.To), cents: o.Cents},
			Output: answer{refused: o.Answer.Outcome == record.Refused, balance: o.Answer.Balance},
		}
		switch {
		case o.Answer.Outcome == record.Open:
			// It is told elsewhere; here it counts only if it happened.
			left, happened := executed(e, o)
			if !happened {
				continue
			}
			p.Return, p.Output = math.MaxInt64, answer{balance: left}
		case o.Answer.Outcome == record.Refused && !expected[o.Answer.Reason]:
			continue
		}
		history = append(history, p)
	}
	return history
}

// executed finds an operation in the books by its mark.
func executed(e *Evidence, o *record.Operation) (left int64, happened bool) {
	for _, p := range e.People {
		if p.Name != o.From || o.Mark == "" {
			continue
		}
		for _, t := range p.History {
			if t.Note == o.Mark {
				return t.After, true
			}
		}
	}
	return 0, false
}
