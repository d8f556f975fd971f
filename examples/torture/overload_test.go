package main

import (
	"strings"
	"testing"
	"time"

	"github.com/tillbook/tillbook/examples/torture/flood"
	"github.com/tillbook/tillbook/examples/torture/record"
)

// overloadedWell is an overload in which everything is as it must be.
func overloadedWell() (*overloading, flood.Found, steady) {
	o := &overloading{capacity: 100}
	o.tally.Counts = [flood.Kinds][flood.Fates]int{
		flood.Payment: {flood.Done: 6000, flood.Shed: 20_000, flood.Late: 4000},
		flood.History: {flood.Done: 3000, flood.Shed: 21_000},
		flood.Watch:   {flood.Done: 300, flood.Shed: 5600, flood.Unavailable: 100},
	}
	for i := range o.finished {
		o.finished[i] = []record.Answer{{Outcome: record.Failed}, {Outcome: record.Done}}
	}
	return o, flood.Found{Asked: 30_000, Executed: 6100, Unknown: 300, Resolved: 100}, steady{wanted: 40, paid: 40, attempts: 100, answered: 90}
}

func TestAnOverloadMustBeOneAndBeTakenWell(t *testing.T) {
	for name, tt := range map[string]struct {
		wrong func(*overloading, *flood.Found, *steady)
		tells string
	}{
		"nothing":                            {func(*overloading, *flood.Found, *steady) {}, ""},
		"less is offered than counts as one": {func(o *overloading, _ *flood.Found, _ *steady) { o.capacity = 1000 }, "1.0 times"},
		"nothing is turned away": {func(o *overloading, _ *flood.Found, _ *steady) {
			for k := range o.tally.Counts {
				o.tally.Counts[k][flood.Done] += o.tally.Counts[k][flood.Shed] + o.tally.Counts[k][flood.Unavailable]
				o.tally.Counts[k][flood.Shed], o.tally.Counts[k][flood.Unavailable] = 0, 0
			}
			o.tally.Counts[flood.Payment][flood.Late] = 0
		}, "nothing was turned away"},
		"an answer that isn't one": {func(o *overloading, _ *flood.Found, _ *steady) {
			o.tally.Counts[flood.Watch][flood.Wrong], o.tally.Wrong = 1, []string{"500 oops"}
		}, "500 oops"},
		"one while it was measured": {func(o *overloading, _ *flood.Found, _ *steady) { o.wrong = []string{"502"} }, "502"},
		"no answer":                 {func(o *overloading, _ *flood.Found, _ *steady) { o.tally.Counts[flood.Payment][flood.Silent] = 100 }, "never answered"},
		"histories before payments": {func(o *overloading, _ *flood.Found, _ *steady) { o.tally.Counts[flood.Payment][flood.Done] = 100 }, "of the payments were done"},
		"watches before histories": {func(o *overloading, _ *flood.Found, _ *steady) {
			o.tally.Counts[flood.Watch][flood.Done] += o.tally.Counts[flood.Watch][flood.Shed] / 2
			o.tally.Counts[flood.Watch][flood.Shed] /= 2
		}, "of the histories were turned away"},
		"a lost payment":            {func(_ *overloading, f *flood.Found, _ *steady) { f.Lost = 1 }, "Lost:1"},
		"a payment twice":           {func(_ *overloading, f *flood.Found, _ *steady) { f.Doubled = 1 }, "Doubled:1"},
		"a steady mix that starves": {func(_ *overloading, _ *flood.Found, s *steady) { s.answered = 10 }, "only 10.0 %"},
		"payments that aren't made": {func(_ *overloading, _ *flood.Found, s *steady) { s.paid = 19 }, "of 40 payments of the steady mix 19 were made"},
		"no steady mix":             {func(_ *overloading, _ *flood.Found, s *steady) { *s = steady{} }, "of 0 payments"},
		"a payment that isn't finished": {func(o *overloading, _ *flood.Found, _ *steady) {
			o.finished[3] = o.finished[3][:1]
		}, "10 were finished"},
	} {
		o, found, mix := overloadedWell()
		tt.wrong(o, &found, &mix)
		got := strings.Join(o.problems(found, 0, mix), "\n")
		if (tt.tells == "") != (got == "") || !strings.Contains(got, tt.tells) {
			t.Errorf("%s: %q", name, got)
		}
	}
	o, found, mix := overloadedWell()
	if got := o.problems(found, 1, mix); len(got) != 1 {
		t.Errorf("a transaction that nobody asked for: %q", got)
	}
}

func TestTheSteadyMixIsLookedAtBetweenTwoTimes(t *testing.T) {
	at := func(begin int, outcome record.Outcome) record.Attempt {
		return record.Attempt{Begin: time.Duration(begin) * time.Second, Answer: record.Answer{Outcome: outcome}}
	}
	got := steadyIn([]record.Operation{
		{Kind: record.Transfer, Call: time.Second, Attempts: []record.Attempt{at(1, record.Failed), at(2, record.Failed), at(3, record.Done)}},
		{Kind: record.Payment, Call: 4 * time.Second, Attempts: []record.Attempt{at(4, record.Refused), at(6, record.Done)}, Answer: record.Answer{Outcome: record.Done}},
		{Kind: record.Payment, Call: 5 * time.Second, Answer: record.Answer{Outcome: record.Unknown}},
		{Kind: record.Read, Attempts: []record.Attempt{at(3, record.Done)}},
	}, 2*time.Second, 6*time.Second)
	if got.attempts != 3 || got.answered != 2 || got.perSecond() != 0.5 || got.wanted != 2 || got.paid != 1 {
		t.Errorf("got %+v", got)
	}
}
