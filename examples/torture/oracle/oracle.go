package oracle

import (
	"fmt"
	"time"

	"github.com/tillbook/tillbook/examples/torture/mix"
	"github.com/tillbook/tillbook/examples/torture/record"
)

// Evidence is all that is looked at.
type Evidence struct {
	Operations []record.Operation
	People     []Person
	// Terminals are the streams of the terminals by name.
	Terminals map[string][]record.Event
	// Merchant is its id, Funds what it has in cents, MerchantStream what it was told.
	Merchant       string
	Funds          int64
	MerchantStream []record.Event
	// Ghosts are sessions of terminals that a newer one has replaced and that are open
	// all the same.
	Ghosts int
	// Groups are the names of those in each closed group.
	Groups [][]string
	// Books is what `tillbook verify` found wrong; nil if nothing.
	Books error
}

// Person is what the books say of somebody, and what they were told.
type Person struct {
	Name            string
	Funded, Balance int64 // cents
	History         []mix.Transaction
	Stream          []record.Event
}

// Verdict is what came out.
type Verdict struct {
	// Operations are how many there were, Lost those that were acknowledged and aren't
	// there, Doubled those that were executed more than once.
	Operations, Lost, Doubled int
	// Unknown are attempts after which the client didn't know what became of its
	// money, Unresolved the operations of which it never learned.
	Unknown, Unresolved int
	// ErrorWindow is the time from the first attempt that failed to the last, LastError
	// when that ended, since the recorder's beginning.
	ErrorWindow, LastError time.Duration
	// Problems say in a sentence each what is wrong; the first ones of each kind.
	Problems []string

	kinds map[string]int
}

// OK says that nothing was wrong.
func (v *Verdict) OK() bool { return len(v.Problems) == 0 && v.Lost+v.Doubled+v.Unresolved == 0 }

// maxOfAKind bounds how many problems of one kind are told.
const maxOfAKind = 3

// problem notes what is wrong.
func (v *Verdict) problem(kind, format string, args ...any) {
	if v.kinds == nil {
		v.kinds = make(map[string]int)
	}
	if v.kinds[kind]++; v.kinds[kind] <= maxOfAKind {
		v.Problems = append(v.Problems, kind+": "+fmt.Sprintf(format, args...))
	}
}

// Judge looks at everything.
func Judge(e *Evidence) *Verdict {
	v := &Verdict{Operations: len(e.Operations)}
	v.nothing(e)
	v.attempts(e)
	v.exactlyOnce(e)
	v.soldOnce(e)
	v.repetitions(e)
	v.balances(e)
	v.walletStreams(e)
	v.terminalStreams(e)
	v.merchantStream(e)
	v.linearizable(e)
	if e.Ghosts > 0 {
		v.problem("fence", "%d sessions of terminals are open that a newer one has replaced", e.Ghosts)
	}
	if e.Books != nil {
		v.problem("verify", "%v", e.Books)
	}
	for kind, n := range v.kinds {
		if n > maxOfAKind {
			v.Problems = append(v.Problems, fmt.Sprintf("%s: %d more", kind, n-maxOfAKind))
		}
	}
	return v
}

// attempts looks at what users noticed.
func (v *Verdict) attempts(e *Evidence) {
	first := time.Duration(-1)
	for i := range e.Operations {
		o := &e.Operations[i]
		for _, a := range o.Attempts {
			if a.Outcome != record.Failed && a.Outcome != record.Unknown {
				continue
			}
			if a.Outcome == record.Unknown && moves(o.Kind) {
				v.Unknown++
			}
			if a.Reason == "INTERNAL" {
				v.problem("internal", "%s", describe(o))
			}
			if first < 0 || a.Begin < first {
				first = a.Begin
			}
			v.LastError = max(v.LastError, a.End)
		}
		switch {
		case o.Answer.Outcome == record.Open && moves(o.Kind):
			v.Unresolved++
			v.problem("unresolved", "%s", describe(o))
		case o.Answer.Outcome == record.Refused && !expected[o.Answer.Reason]:
			v.problem("refused", "%s", describe(o))
		}
	}
	if first >= 0 {
		v.ErrorWindow = v.LastError - first
	}
}

// moves tells what moves money, or is to be paid, from what may be asked for in vain.
func moves(kind record.Kind) bool {
	return kind == record.Transfer || kind == record.Payment || kind == record.Sale
}

// nothing looks for evidence that proves nothing, because nobody did anything.
func (v *Verdict) nothing(e *Evidence) {
	acknowledged := make(map[record.Kind]int)
	inGroup := make(map[int]int)
	for i := range e.Operations {
		if o := &e.Operations[i]; o.Answer.Outcome == record.Done {
			acknowledged[o.Kind]++
			inGroup[o.Group]++
		}
	}
	for _, kind := range []record.Kind{record.Transfer, record.Payment, record.Sale, record.Read, record.SignIn} {
		if acknowledged[kind] == 0 {
			v.problem("nothing", "no %s was acknowledged", kind)
		}
	}
	for g := range e.Groups {
		if inGroup[g] == 0 {
			v.problem("nothing", "group %d did nothing", g)
		}
	}
}

// expected are the refusals that the traffic is made to meet.
var expected = map[string]bool{"INSUFFICIENT_FUNDS": true}

func describe(o *record.Operation) string {
	return fmt.Sprintf("%s %d of %s to %s: %s %s after %d attempts, from %.3f s to %.3f s",
		o.Kind, o.ID, o.From, o.To, o.Answer.Outcome, o.Answer.Reason, len(o.Attempts), o.Call.Seconds(), o.Return.Seconds())
}
