package mix

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/tillbook/tillbook/examples/torture/record"
	tillbook "github.com/tillbook/tillbook/sdk"
)

const (
	// attemptTimeout bounds an attempt, as the SDK does.
	attemptTimeout = 10 * time.Second
	// patientTimeout bounds a call with the SDK's own retries.
	patientTimeout = 30 * time.Second
	// firstPause and lastPause are between what the wait after a failed attempt
	// doubles.
	firstPause, lastPause = 50 * time.Millisecond, 2 * time.Second
)

// How a transfer is made.
const (
	plainly    = iota // one attempt after the other
	patiently         // by the SDK's retries, with a key that it makes up
	twinned           // two at once under one key
	repeatedly        // and again when it is done
	waysToPay
)

// inGroup does one thing in a closed group: person i pays another, or looks at a
// balance.
func (m *Mix) inGroup(ctx context.Context, group, i int) {
	people := m.Groups[group]
	if mathrand.IntN(3) == 0 {
		m.look(ctx, group, people[mathrand.IntN(len(people))])
		return
	}
	to := people[(i+1+mathrand.IntN(len(people)-1))%len(people)]
	m.transfer(ctx, &record.Operation{Group: group, From: people[i].Name, To: to.Name, Cents: 1 + mathrand.Int64N(600)},
		people[i], mathrand.IntN(waysToPay))
}

// pay has one customer pay another a little, in one call or by the SDK's retries.
func (m *Mix) pay(ctx context.Context, from, to *Person) {
	o := &record.Operation{Group: -1, From: from.Name, To: to.Name, Cents: 1 + mathrand.Int64N(10)}
	m.transfer(ctx, o, from, mathrand.IntN(patiently+1))
}

// transfer does it, in one of several ways.
func (m *Mix) transfer(ctx context.Context, o *record.Operation, from *Person, way int) {
	o.Kind, o.Mark = record.Transfer, rand.Text()
	if way != patiently {
		o.Key = rand.Text()
	}
	m.record.Begin(o)
	request := func() *tillbook.TransferRequest {
		return &tillbook.TransferRequest{IdempotencyKey: o.Key, Recipient: tillbook.ToUsername(o.To), Amount: money(o.Cents), Note: o.Mark}
	}
	switch way {
	case patiently:
		m.settlePatiently(ctx, o, from, request())
	case twinned:
		m.settleTwins(ctx, o, func(ctx context.Context) record.Answer { return once(ctx, from.plain, request()) })
	default:
		a, known := m.settle(ctx, o, func(ctx context.Context) record.Answer { return once(ctx, from.plain, request()) })
		if !known {
			return
		}
		m.record.Ended(o, a)
		if way == repeatedly && a.Outcome == record.Done {
			m.askAgain(ctx, o, func(ctx context.Context) record.Answer { return once(ctx, from.patient, request()) })
		}
	}
}

// once makes a transfer by one call.
func once(ctx context.Context, c *tillbook.Client, request *tillbook.TransferRequest) record.Answer {
	t, err := c.Wallet.Transfer(ctx, request)
	if err != nil {
		return answerTo(err)
	}
	return paid(t)
}

// paid is the answer to a payment.
func paid(t *tillbook.Transaction) record.Answer {
	left, err := cents(t.GetBalanceAfter().GetAmount())
	if err != nil {
		return record.Answer{Outcome: record.Unknown, Reason: err.Error()}
	}
	return record.Answer{Outcome: record.Done, Transaction: t.GetTransactionId(), Balance: left}
}

// settle tries until the outcome is known. It reports false if ctx ended before.
func (m *Mix) settle(ctx context.Context, o *record.Operation, try func(context.Context) record.Answer) (record.Answer, bool) {
	for n := 0; ctx.Err() == nil; n++ {
		begin := m.record.Now()
		attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
		a := try(attempt)
		cancel()
		m.record.Tried(o, begin, a)
		if a.Outcome == record.Done || a.Outcome == record.Refused {
			return a, true
		}
		sleep(ctx, pauseAfter(n))
	}
	return record.Answer{}, false
}

// pauseAfter is the wait after a failed attempt: a random part of a time that doubles.
func pauseAfter(n int) time.Duration { return mathrand.N(min(firstPause<<min(n, 10), lastPause)) + 1 }

// settlePatiently lets the SDK do it. Only if it can't find out does it go on as the
// SDK's documentation says: with the key of the error.
func (m *Mix) settlePatiently(ctx context.Context, o *record.Operation, from *Person, request *tillbook.TransferRequest) {
	for n := 0; ctx.Err() == nil; n++ {
		begin := m.record.Now()
		call, cancel := context.WithTimeout(ctx, patientTimeout)
		t, err := from.patient.Wallet.Transfer(call, request)
		cancel()
		a := record.Answer{}
		if err == nil {
			a = paid(t)
		} else {
			a = answerTo(err)
			if e, ok := errors.AsType[*tillbook.Error](err); ok && e.Outcome == tillbook.OutcomeUnknown {
				request.IdempotencyKey = e.IdempotencyKey
			}
		}
		m.record.Tried(o, begin, a)
		if a.Outcome == record.Done || a.Outcome == record.Refused {
			m.record.Ended(o, a)
			return
		}
		sleep(ctx, pauseAfter(n))
	}
}

// settleTwins sends two requests under one key at once, as an impatient user does on
// two devices. The operation is done if either is: a refusal only says that there was
// too little at that moment.
func (m *Mix) settleTwins(ctx context.Context, o *record.Operation, try func(context.Context) record.Answer) {
	var answers [2]record.Answer
	var known [2]bool
	var both sync.WaitGroup
	for i := range answers {
		both.Go(func() { answers[i], known[i] = m.settle(ctx, o, try) })
	}
	both.Wait()
	first, second := answers[0], answers[1]
	if second.Outcome == record.Done {
		first, second = second, first
	}
	if first.Outcome != record.Done && !(known[0] && known[1]) {
		return
	}
	if second.Outcome == record.Done {
		m.record.Asked(o, second)
	}
	m.record.Ended(o, first)
}

// askAgain sends what is done once more.
func (m *Mix) askAgain(ctx context.Context, o *record.Operation, try func(context.Context) record.Answer) {
	ctx, cancel := context.WithTimeout(ctx, patientTimeout)
	defer cancel()
	if a := try(ctx); a.Outcome == record.Done || a.Outcome == record.Refused {
		m.record.Asked(o, a)
	}
}

// look reads a balance.
func (m *Mix) look(ctx context.Context, group int, p *Person) {
	o := &record.Operation{Kind: record.Read, Group: group, From: p.Name}
	m.record.Begin(o)
	a, known := m.settle(ctx, o, func(ctx context.Context) record.Answer {
		has, err := balance(ctx, p.plain)
		if err != nil {
			return answerTo(err)
		}
		return record.Answer{Outcome: record.Done, Balance: has}
	})
	if known {
		m.record.Ended(o, a)
	}
}

// signIn ends a session and begins another, which must be one.
func (m *Mix) signIn(ctx context.Context) {
	if !sleep(m.stopping, time.Second) { // passwords are dear
		return
	}
	o := &record.Operation{Kind: record.SignIn, Group: -1, From: m.Signer.Name}
	m.record.Begin(o)
	a, known := m.settle(ctx, o, func(ctx context.Context) record.Answer {
		challenge, err := m.Signer.plain.Auth.Login(ctx, &tillbook.LoginRequest{
			PhoneNumber: m.Signer.phone, Password: m.Signer.password, DeviceName: "torture",
		})
		switch {
		case err != nil:
			return answerTo(err)
		case challenge != nil:
			return record.Answer{Outcome: record.Refused, Reason: "a known device was asked for a code"}
		}
		return record.Answer{Outcome: record.Done}
	})
	if !known {
		return
	}
	if a.Outcome == record.Done {
		// What was acknowledged must be there, whichever replica is asked.
		again, known := m.settle(ctx, o, func(ctx context.Context) record.Answer {
			if _, err := m.Signer.plain.Auth.Me(ctx); err != nil {
				return answerTo(err)
			}
			return record.Answer{Outcome: record.Done}
		})
		if known && again.Outcome != record.Done {
			m.record.Asked(o, record.Answer{Outcome: again.Outcome, Reason: fmt.Sprint("the session isn't there: ", again.Reason)})
		}
	}
	m.record.Ended(o, a)
}
