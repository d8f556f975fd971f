package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tillbook/tillbook/examples/torture/flood"
	"github.com/tillbook/tillbook/examples/torture/mix"
	"github.com/tillbook/tillbook/examples/torture/oracle"
	"github.com/tillbook/tillbook/examples/torture/record"
)

const (
	// overloaded is for how long, and times how much more is offered than can be done.
	overloaded, times = time.Minute, 10
	// probed is how long each closed loop runs that measures what can be done.
	probed = 3 * time.Second
	// captures are payments that were begun before, one of which is finished every so
	// often meanwhile.
	captures = 11
)

// What must hold of an overload.
const (
	// leastTimes is how many times what can be done the generator, which has the same
	// processors, must have offered for it to be an overload at all.
	leastTimes = 5
	// leastShare is the part of what the steady mix wants to pay that must be paid, by
	// coming back as it is told.
	leastShare = 0.5
	// mostSilent is the part of the calls that may have no answer long after their
	// deadline: a payment that is being committed isn't given up.
	mostSilent = 0.001
	// quickly is how soon after the overload nothing may fail any more.
	quickly = 10 * time.Second
)

// underWay are the numbers of callers among which the best is looked for.
var underWay = []int{32, 128, 512}

// overload measures what the deployment does at most of a blend of payments, histories
// and watches, and then offers ten times that for a minute.
func overload(ctx context.Context, t *trial) error {
	rush, err := t.mix.NewRush(ctx, 4, captures)
	if err != nil {
		return err
	}
	f, err := t.newFlood(ctx, rush)
	if err != nil {
		return err
	}
	defer f.Close()
	o := &overloading{calm: t.mix.Record().Now()}
	for _, n := range underWay {
		probing, cancel := context.WithTimeout(ctx, probed)
		tally := f.Closed(probing, n)
		cancel()
		o.capacity = max(o.capacity, float64(tally.InTime)/probed.Seconds())
		if len(o.wrong) == 0 {
			o.wrong = tally.Wrong
		}
	}
	if o.capacity == 0 {
		return fmt.Errorf("nothing of the flood's calls is done: %q", o.wrong)
	}
	o.begin = t.mix.Record().Now()
	offering, cancel := context.WithTimeout(ctx, overloaded)
	defer cancel()
	var finishing sync.WaitGroup
	finishing.Go(func() { o.finish(ctx, offering, rush) })
	o.tally = f.Open(offering, times*o.capacity)
	o.end = o.begin + overloaded
	t.over = o.end
	finishing.Wait()
	t.check(func(ctx context.Context, v *oracle.Verdict) error { return t.judgeOverload(ctx, v, o, f, rush) })
	return ctx.Err()
}

func (t *trial) newFlood(ctx context.Context, rush *mix.Rush) (*flood.Flood, error) {
	site, err := t.site()
	if err != nil {
		return nil, err
	}
	cfg := flood.Config{
		Site: site.HTTP, TLS: site.TLS, Rounds: [flood.Kinds]int{flood.Payment: 5, flood.History: 4, flood.Watch: 1},
		Conns: 24, Timeout: 5 * time.Second,
	}
	for _, p := range rush.People {
		cfg.Payers = append(cfg.Payers, flood.Payer{Name: p.Name, Token: p.Token()})
	}
	return flood.New(ctx, cfg)
}

// overloading is what an overload was like.
type overloading struct {
	// capacity is how many calls a second can be done.
	capacity float64
	// calm is until when nothing was wrong; begin and end are the overload's.
	calm, begin, end time.Duration
	tally            flood.Tally
	wrong            []string
	// finished are attempts to finish payments that were begun before, one slice each.
	finished [captures][]record.Answer
}

// finish begins to finish a payment every so often until the overload ends, and waits
// for them.
func (o *overloading) finish(ctx, offering context.Context, rush *mix.Rush) {
	ctx, cancel := context.WithTimeout(ctx, overloaded+quickly)
	defer cancel()
	var trying sync.WaitGroup
	defer trying.Wait()
	for i := range captures {
		if pause(offering, overloaded/(captures+1)) != nil {
			return
		}
		trying.Go(func() { o.finished[i] = rush.Finish(ctx, i) })
	}
}

// judgeOverload compares the flood with the books, and says what it was like.
func (t *trial) judgeOverload(ctx context.Context, v *oracle.Verdict, o *overloading, f *flood.Flood, rush *mix.Rush) error {
	books, err := booksOf(ctx, rush)
	if err != nil {
		return err
	}
	found := books.Compare(f.Known())
	v.Operations, v.Unknown = v.Operations+found.Asked, v.Unknown+found.Unknown
	v.Lost, v.Doubled = v.Lost+found.Lost, v.Doubled+found.Doubled
	operations := t.mix.Record().Operations()
	calm, meanwhile := steadyIn(operations, 0, o.calm), steadyIn(operations, o.begin, o.end)
	t.note("at most %.0f calls a second can be done (5 payments, 4 histories of 200, 1 watch); %.0f were offered for %.0f s: %.1f times that",
		o.capacity, o.perSecond(), overloaded.Seconds(), o.perSecond()/o.capacity)
	for k := range flood.Kinds {
		t.note("%s", o.describe(k))
	}
	t.note("%d payments of the flood are in the books, %d of which their clients didn't know", found.Executed, found.Resolved)
	t.note("the steady mix was answered %.0f payments a second and then %.0f; %.1f %% of %d attempts, for %d of %d payments",
		calm.perSecond(), meanwhile.perSecond(), 100*meanwhile.share(), meanwhile.attempts, meanwhile.paid, meanwhile.wanted)
	t.note("of %d payments that were begun before %d were finished, after %d attempts", captures, o.captured(), o.capturing())
	for _, p := range o.problems(found, books.Unasked, meanwhile) {
		t.wrong("overload: %s", p)
	}
	t.within = quickly
	return nil
}

// problems say what an overload mustn't do.
func (o *overloading) problems(found flood.Found, unasked int, steady steady) (list []string) {
	add := func(wrong bool, format string, args ...any) {
		if wrong {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	t := &o.tally
	add(o.perSecond() < leastTimes*o.capacity, "only %.1f times what can be done was offered", o.perSecond()/o.capacity)
	add(t.Total(flood.Shed)+t.Total(flood.Unavailable) == 0, "nothing was turned away")
	add(t.Total(flood.Wrong) > 0, "%d answers are neither what was asked for nor a refusal with a time to try again: %q", t.Total(flood.Wrong), t.Wrong)
	add(len(o.wrong) > 0, "while it was measured what can be done: %q", o.wrong)
	add(float64(t.Total(flood.Silent)) > mostSilent*o.perSecond()*overloaded.Seconds(), "%d calls were never answered", t.Total(flood.Silent))
	for k := flood.Payment; k < flood.Watch; k++ {
		add(o.turnedAway(k) > o.turnedAway(k+1), "%.1f %% of the %s were turned away and %.1f %% of the %s", 100*o.turnedAway(k), k, 100*o.turnedAway(k+1), k+1)
		add(o.share(k+1) > o.share(flood.Payment), "%.1f %% of the payments were done and %.1f %% of the %s", 100*o.share(flood.Payment), 100*o.share(k+1), k+1)
	}
	add(found.Lost+found.Doubled+found.Broken+found.OneSided > 0, "the books and what was answered differ: %+v", found)
	add(unasked > 0, "%d transactions are no payments of the flood", unasked)
	add(steady.wanted == 0 || float64(steady.paid) < leastShare*float64(steady.wanted), "of %d payments of the steady mix %d were made", steady.wanted, steady.paid)
	add(steady.share() < o.share(flood.Payment), "of the steady mix's %d attempts to pay only %.1f %% were answered, and %.1f %% of the flood's, which doesn't wait as it is told",
		steady.attempts, 100*steady.share(), 100*o.share(flood.Payment))
	add(o.captured() < captures, "of %d payments that were begun before %d were finished", captures, o.captured())
	return list
}

func (o *overloading) perSecond() float64 {
	n := 0
	for k := range flood.Kinds {
		n += o.tally.Offered(k)
	}
	return float64(n) / overloaded.Seconds()
}

// share is the part of the calls of a kind that were done.
func (o *overloading) share(k flood.Kind) float64 {
	return float64(o.tally.Counts[k][flood.Done]) / float64(max(1, o.tally.Offered(k)))
}

// turnedAway is the part of the calls of a kind that there was no room for.
func (o *overloading) turnedAway(k flood.Kind) float64 {
	return float64(o.tally.Counts[k][flood.Shed]+o.tally.Counts[k][flood.Unavailable]) / float64(max(1, o.tally.Offered(k)))
}

// describe says what became of a kind of call.
func (o *overloading) describe(k flood.Kind) string {
	t := &o.tally
	text := fmt.Sprintf("%d %s were offered", t.Offered(k), k)
	for fate := range flood.Fates {
		if n := t.Counts[k][fate]; n > 0 {
			text += fmt.Sprintf(", %d (%.1f %%) %s", n, 100*float64(n)/float64(t.Offered(k)), fate)
		}
	}
	return text + fmt.Sprintf("; %d found no room on a connection; the slowest took %.1f s", t.Held[k], t.Slowest[k].Seconds())
}

func (o *overloading) captured() (n int) {
	for _, attempts := range o.finished {
		if len(attempts) > 0 && attempts[len(attempts)-1].Outcome == record.Done {
			n++
		}
	}
	return n
}

func (o *overloading) capturing() (n int) {
	for _, attempts := range o.finished {
		n += len(attempts)
	}
	return n
}

// steady is how the steady mix's payments went: how many it wanted, how many of them
// were made in the end, and their attempts.
type steady struct {
	wanted, paid       int
	attempts, answered int
	over               time.Duration
}

func (s steady) share() float64 { return float64(s.answered) / float64(max(1, s.attempts)) }

func (s steady) perSecond() float64 { return float64(s.answered) / max(1, s.over.Seconds()) }

// steadyIn looks at the payments, and at the attempts, that began between two times.
func steadyIn(operations []record.Operation, from, to time.Duration) steady {
	s := steady{over: to - from}
	for i := range operations {
		o := &operations[i]
		if o.Kind != record.Transfer && o.Kind != record.Payment {
			continue
		}
		if o.Call >= from && o.Call < to {
			s.wanted++
			if o.Answer.Outcome == record.Done || o.Answer.Outcome == record.Refused {
				s.paid++
			}
		}
		for _, a := range o.Attempts {
			if a.Begin < from || a.Begin >= to {
				continue
			}
			s.attempts++
			if a.Outcome == record.Done || a.Outcome == record.Refused {
				s.answered++
			}
		}
	}
	return s
}

// booksOf reads what of the flood is in the books.
func booksOf(ctx context.Context, rush *mix.Rush) (*flood.Books, error) {
	all := make([]flood.Books, len(rush.People))
	group, reading := errgroup.WithContext(ctx)
	for i, p := range rush.People {
		group.Go(func() error {
			history, err := p.History(reading)
			all[i] = flood.Books{Paid: make(map[uint32]int), Got: make(map[uint32]int)}
			for _, entry := range history {
				switch n, ok := flood.Number(entry.Note); {
				case !ok:
					all[i].Unasked++
				case entry.Cents < 0:
					all[i].Paid[n]++
				default:
					all[i].Got[n]++
				}
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, errors.Join(errors.New("reading the books of the flood"), err)
	}
	sum := &all[0]
	for i := range all[1:] {
		merge(sum.Paid, all[i+1].Paid)
		merge(sum.Got, all[i+1].Got)
		sum.Unasked += all[i+1].Unasked
	}
	// What they began with, and what the first paid for the checkouts.
	sum.Unasked -= len(rush.People) + captures
	return sum, nil
}

func merge(into, from map[uint32]int) {
	for n, times := range from {
		into[n] += times
	}
}
