package ledger_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/store/ledger"
)

// telling makes a command tell an event of its own.
func telling(c ledger.Command, what string) ledger.Command {
	decide := c.Decide
	c.Decide = func(v ledger.View) (ledger.Draft, error) {
		d, err := decide(v)
		d.Events = append(d.Events, note(what))
		return d, err
	}
	return c
}

func note(what string) ledger.Event {
	return ledger.Event{Type: "test.told", Subject: "shop/1", Payload: []byte(fmt.Sprintf("{%q: 1}", what))}
}

// told is how often each thing was told.
func (b *books) told(what string) int64 {
	return b.count(`SELECT count(*) FROM events WHERE type = 'test.told' AND subject = 'shop/1' AND payload ? $1`, what)
}

func TestWhatACommandTellsIsThereOnceWithItsMoney(t *testing.T) {
	t.Parallel()
	b := newBooks(t, 2, ledger.Config{})
	from, to := b.account("user/1/main", jpy, 500), b.account("user/2/main", jpy, 0)
	b.tally(60, func(l *ledger.Ledger, i int) error { // each three times, some without
		n := i % 20
		c := transfer(fmt.Sprint("tell ", n), from, to, 10)
		if n%4 > 0 {
			c = telling(c, fmt.Sprint(n))
		}
		_, err := l.Commit(ctx, c)
		return err
	})
	for n := range 20 {
		want := int64(1)
		if n%4 == 0 {
			want = 0
		}
		if got := b.told(fmt.Sprint(n)); got != want {
			t.Errorf("%d was told %d times, want %d", n, got, want)
		}
	}
	_, err := b.ledgers[0].Commit(ctx, telling(transfer("too much", from, to, 1000), "never"))
	if !errors.Is(err, ledger.ErrInsufficientFunds) || b.told("never") != 0 {
		t.Errorf("what was refused (%v) was told %d times", err, b.told("never"))
	}
	_, err = b.ledgers[0].CommitAll(ctx, []ledger.Command{
		telling(transfer("one", from, to, 10), "one"), telling(transfer("two", from, to, 1000), "two"),
	})
	if !errors.Is(err, ledger.ErrInsufficientFunds) || b.told("one")+b.told("two") != 0 {
		t.Errorf("a group that was refused (%v) told something", err)
	}
	// A payload that PostgreSQL refuses takes no neighbour with it.
	bad := transfer("bad", from, to, 1)
	decide := bad.Decide
	bad.Decide = func(v ledger.View) (ledger.Draft, error) {
		d, err := decide(v)
		d.Events = []ledger.Event{{Type: "test.told", Subject: "shop/1", Payload: []byte("{")}}
		return d, err
	}
	answers := b.ledgers[0].CommitEach(ctx, []ledger.Command{telling(transfer("good", from, to, 1), "good"), bad})
	if answers[0].Err != nil || answers[1].Err == nil || b.told("good") != 1 {
		t.Errorf("the neighbours were told %v and %v", answers[0].Err, answers[1].Err)
	}
}

func TestAHoldBringsItsSubjectToAnEndOnceAndInTime(t *testing.T) {
	t.Parallel()
	b := newBooks(t, 2, ledger.Config{})
	subject := uuid.New()
	payers := make([]ledger.AccountID, 30)
	for i := range payers {
		payers[i] = b.account(fmt.Sprintf("user/%d/main", i), jpy, 10)
	}
	hold := func(i int) ledger.NewHold {
		return ledger.NewHold{
			ID: subject, Account: payers[i], Amount: ledger.NewAmount(10), ExpireTime: time.Now().Add(time.Hour),
			Subjects: []uuid.UUID{subject}, Outcome: 4, Deadline: time.Now().Add(time.Hour), Events: []ledger.Event{note("authorized")},
		}
	}
	done := b.tally(len(payers), func(l *ledger.Ledger, i int) error {
		r, err := l.CreateHold(ctx, identity(fmt.Sprint("hold ", i)), hold(i))
		if err == nil && r.Hold.ID != subject {
			t.Errorf("the hold is %v", r.Hold.ID)
		}
		return err
	}, ledger.ErrResolved)
	if n := b.count(`SELECT sum(held) FROM accounts`); done != 1 || n != 10 || b.told("authorized") != 1 {
		t.Errorf("%d holds were made, %d is held and %d were told", done, n, b.told("authorized"))
	}
	if n := b.count(`SELECT outcome FROM resolutions WHERE subject = $1 AND transaction_id IS NULL`, subject); n != 4 {
		t.Errorf("it ended with %d, want 4", n)
	}
	late := hold(0)
	late.ID, late.Subjects, late.Deadline = uuid.Nil, []uuid.UUID{uuid.New()}, time.Now().Add(-time.Millisecond)
	if _, err := b.ledgers[0].CreateHold(ctx, identity("late"), late); !errors.Is(err, ledger.ErrExpired) {
		t.Errorf("a hold behind its deadline: %v", err)
	}
	if _, err := b.ledgers[1].VoidHold(ctx, identity("void"), subject, note("void")); err != nil || b.told("void") != 1 {
		t.Errorf("voiding it: %v, told %d times", err, b.told("void"))
	}
}

func TestOfTwoSubjectsNeitherEndsTwice(t *testing.T) {
	t.Parallel()
	b := newBooks(t, 2, ledger.Config{Committers: 2, MaxBatch: 4})
	to := b.account("user/to/main", jpy, 0)
	code := uuid.New()
	sales := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
	payers := make([]ledger.AccountID, 30)
	for i := range payers {
		payers[i] = b.account(fmt.Sprintf("user/%d/main", i), jpy, 10)
	}
	pay := func(l *ledger.Ledger, key string, payer ledger.AccountID, subjects ...uuid.UUID) error {
		c := transfer(key, payer, to, 10)
		decide := c.Decide
		c.Subjects = subjects
		c.Decide = func(v ledger.View) (ledger.Draft, error) {
			d, err := decide(v)
			d.Outcome = 1
			return d, err
		}
		_, err := l.Commit(ctx, c)
		if resolved, ok := errors.AsType[*ledger.ResolvedError](err); ok && resolved.Subject != code && resolved.Subject != subjects[0] {
			t.Errorf("%v is said to have ended", resolved.Subject)
		}
		return err
	}
	done := b.tally(len(payers), func(l *ledger.Ledger, i int) error {
		return pay(l, fmt.Sprint("sale ", i), payers[i], sales[i%3], code)
	}, ledger.ErrResolved)
	if n := b.count(`SELECT count(*) FROM resolutions`); done != 1 || n != 2 || b.balance("user/to/main") != 10 {
		t.Errorf("%d paid, %d ended, and %d arrived", done, n, b.balance("user/to/main"))
	}
}
