package oracle

import (
	"strings"

	"github.com/tillbook/tillbook/examples/torture/mix"
	"github.com/tillbook/tillbook/examples/torture/record"
)

// walletStreams compares what each wallet's stream told with its history.
func (v *Verdict) walletStreams(e *Evidence) {
	for _, p := range e.People {
		stream := v.unbroken(mix.WalletStream(&mix.Person{Name: p.Name}), p.Stream)
		if len(stream) == 0 || !stream[0].Snapshot {
			v.problem("stream", "that of %s doesn't begin with a snapshot", p.Name)
			continue
		}
		at := behindSnapshot(p.History, stream[0].Balance)
		for i, told := range stream[1:] {
			switch {
			case told.Snapshot:
				v.problem("stream", "that of %s began anew after %d changes", p.Name, i)
			case at+i >= len(p.History):
				v.problem("stream", "that of %s told more than there is: %s", p.Name, told.Transaction)
			case told.Transaction != p.History[at+i].ID || told.Cents != p.History[at+i].Cents || told.Balance != p.History[at+i].After:
				v.problem("stream", "that of %s told %s of %d to %d where %s of %d to %d is next", p.Name, told.Transaction, told.Cents, told.Balance,
					p.History[at+i].ID, p.History[at+i].Cents, p.History[at+i].After)
			default:
				continue
			}
			break
		}
		if missing := len(p.History) - at - (len(stream) - 1); missing > 0 {
			v.problem("stream", "that of %s left out %d changes", p.Name, missing)
		}
	}
}

// behindSnapshot returns which entry is the first that a stream has to tell: that
// behind the snapshot. Nobody pays before all streams have begun, so it is the first
// with that balance.
func behindSnapshot(history []mix.Transaction, balance int64) int {
	for i, t := range history {
		if t.After == balance {
			return i + 1
		}
	}
	return 0
}

// unbroken leaves out, and tells, that a stream ended for good.
func (v *Verdict) unbroken(name string, stream []record.Event) []record.Event {
	var rest []record.Event
	for _, told := range stream {
		if strings.HasPrefix(told.State, mix.Broke) {
			v.problem("stream", "%s ended: %s", name, told.State)
			continue
		}
		rest = append(rest, told)
	}
	return rest
}

// terminalStreams compares what terminals were told with what was sold and paid:
// each of it once, and at the terminal that sold it.
func (v *Verdict) terminalStreams(e *Evidence) {
	type told struct{ offered, paid int }
	at := make(map[string]map[string]*told) // by terminal and checkout
	for name, events := range e.Terminals {
		at[name] = make(map[string]*told)
		for _, event := range events {
			t := at[name][event.Checkout]
			if t == nil {
				t = &told{}
				at[name][event.Checkout] = t
			}
			if event.State == mix.Offered {
				t.offered++
			} else {
				t.paid++
			}
		}
	}
	seller := make(map[string]string) // terminal by checkout
	for i := range e.Operations {
		o := &e.Operations[i]
		if o.Kind == record.Sale && o.Answer.Outcome == record.Done {
			seller[o.Answer.Checkout] = o.From
			if t := at[o.From][o.Answer.Checkout]; t == nil || t.offered == 0 {
				v.problem("terminal", "%s was never shown %s", o.From, o.Answer.Checkout)
			}
		}
	}
	for i := range e.Operations {
		o := &e.Operations[i]
		if o.Kind == record.Payment && o.Answer.Outcome == record.Done {
			if t := at[seller[o.Checkout]][o.Checkout]; t == nil || t.paid == 0 {
				v.problem("terminal", "%s was never told that %s was paid", seller[o.Checkout], o.Checkout)
			}
		}
	}
	for name, checkouts := range at {
		for checkout, t := range checkouts {
			if t.offered > 1 || t.paid > 1 {
				v.problem("terminal", "%s was shown %s %d times and told %d times that it was paid", name, checkout, t.offered, t.paid)
			}
		}
	}
}

// merchantStream: each sale must have been told, and each payment, and no checkout
// may go back.
func (v *Verdict) merchantStream(e *Evidence) {
	const paid = "CHECKOUT_STATE_SUCCEEDED"
	last := make(map[string]string)
	for _, told := range v.unbroken(mix.MerchantStream, e.MerchantStream) {
		if last[told.Checkout] == paid && told.State != paid {
			v.problem("merchant", "%s was told to be %s after it was paid", told.Checkout, told.State)
		}
		last[told.Checkout] = told.State
	}
	for i := range e.Operations {
		o := &e.Operations[i]
		switch {
		case o.Answer.Outcome != record.Done:
		case o.Kind == record.Sale && last[o.Answer.Checkout] == "":
			v.problem("merchant", "the sale %s was never told", o.Answer.Checkout)
		case o.Kind == record.Payment && last[o.Checkout] != paid:
			v.problem("merchant", "the payment of %s was never told", o.Checkout)
		}
	}
}
