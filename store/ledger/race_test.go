package ledger_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
)

// atOnce runs n goroutines at once.
func atOnce(n int, each func(i int)) {
	var running sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		running.Go(func() {
			<-begin
			each(i)
		})
	}
	close(begin)
	running.Wait()
}

func TestOneKeyFromManyCallersExecutesOnce(t *testing.T) {
	for name, replicas := range map[string]int{"on one ledger": 1, "on two ledgers": 2} {
		t.Run(name, func(t *testing.T) {
			b := newBooks(t, replicas, ledger.Config{Committers: 2, MaxBatch: 16})
			from, to := b.account("user/1/main", jpy, 100), b.account("user/2/main", jpy, 0)
			answers := make([]answer, 200)
			atOnce(len(answers), func(i int) {
				a := &answers[i]
				a.Result, a.err = b.ledgers[i%replicas].Commit(ctx, transfer("k", from, to, 30))
			})
			executed := 0
			for i := range answers {
				a := &answers[i]
				if a.err != nil {
					t.Fatalf("caller %d: %v", i, a.err)
				}
				if !a.Replayed {
					executed++
				}
				if err := sameTransaction(&a.Transaction, &answers[0].Transaction); err != nil {
					t.Errorf("caller %d: %v", i, err)
				}
			}
			if executed != 1 || b.balance("user/1/main") != 70 || b.balance("user/2/main") != 30 {
				t.Errorf("%d executions left %d and %d", executed, b.balance("user/1/main"), b.balance("user/2/main"))
			}
			if n := b.count(`SELECT count(*) FROM transactions WHERE a_account = $1 OR b_account = $1`, to); n != 1 {
				t.Errorf("%d transactions are stored", n)
			}
		})
	}
}

// Nothing but the unique index on keys can tell two batches apart that hold
// locks on different accounts: both have read the keys before either writes.
func TestOneKeyForDifferentAccountsAtOnceExecutesOnce(t *testing.T) {
	for name, c := range map[string]struct {
		fingerprint string
		want        error
	}{
		"another request gets an error":             {"other", ledger.ErrKeyReused},
		"the same request gets the one transaction": {"same", nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBooks(t, 2, ledger.Config{})
			first := transfer("k", b.account("user/1/main", jpy, 100), b.account("user/2/main", jpy, 0), 30)
			second := transfer("k", b.account("user/3/main", jpy, 100), b.account("user/4/main", jpy, 0), 30)
			first.Fingerprint, second.Fingerprint = ledger.Fingerprint("same"), ledger.Fingerprint(c.fingerprint)
			gates := []*gate{gated(&first), gated(&second)}
			waiting := []<-chan answer{commit(ctx, b.ledgers[0], first), commit(ctx, b.ledgers[1], second)}
			for _, g := range gates {
				<-g.entered
			}
			for _, g := range gates {
				close(g.open)
			}
			one, other := <-waiting[0], <-waiting[1]
			if one.err != nil || one.Replayed {
				one, other = other, one
			}
			if one.err != nil || one.Replayed || !errors.Is(other.err, c.want) {
				t.Fatalf("one: %+v; other: %+v, want %v", one, other, c.want)
			}
			if c.want == nil && (!other.Replayed || other.Transaction.ID != one.Transaction.ID) {
				t.Errorf("the other got %+v, want the replay of %+v", other, one)
			}
			if moved := b.balance("user/2/main") + b.balance("user/4/main"); moved != 30 {
				t.Errorf("%d moved, want 30", moved)
			}
		})
	}
}

// What a command has to wait for may be its own key's first execution, which
// leaves no money for a second.
func TestAKeyExecutedWhileACommandWaitsForItsAccountsIsReplayed(t *testing.T) {
	b := newBooks(t, 2, ledger.Config{})
	from, to := b.account("user/1/main", jpy, 100), b.account("user/2/main", jpy, 0)
	first := transfer("k", from, to, 100)
	g := gated(&first)
	one := commit(ctx, b.ledgers[0], first)
	<-g.entered
	other := commit(ctx, b.ledgers[1], transfer("k", from, to, 100))
	conn := b.superuser()
	waitFor(t, "the other ledger to wait for the accounts", func() bool { return len(lockWaits(t, conn)) > 0 })
	close(g.open)
	a := <-one
	if again := <-other; a.err != nil || again.err != nil || !again.Replayed || again.Transaction.ID != a.Transaction.ID {
		t.Errorf("first %+v, then %+v", a, again)
	}
}

func TestRacingOverdraftsNeverSpendMoreThanThereIs(t *testing.T) {
	b := newBooks(t, 2, ledger.Config{Committers: 2, MaxBatch: 8})
	from := b.account("user/1/main", jpy, 100)
	var to []ledger.AccountID
	for i := range 5 {
		to = append(to, b.account(fmt.Sprintf("user/%d/main", 10+i), jpy, 0))
	}
	answers := make([]answer, 200)
	atOnce(len(answers), func(i int) {
		a := &answers[i]
		a.Result, a.err = b.ledgers[i%2].Commit(ctx, transfer(fmt.Sprint(i), from, to[i%len(to)], 7))
	})
	accepted := 0
	for i, a := range answers {
		switch {
		case a.err == nil:
			accepted++
		case !errors.Is(a.err, ledger.ErrInsufficientFunds):
			t.Errorf("caller %d: %v", i, a.err)
		}
	}
	if left := b.balance("user/1/main"); accepted != 14 || left != 2 {
		t.Errorf("%d payments of 7 out of 100 were accepted, %d is left", accepted, left)
	}
}

func TestRacingPaymentsOfAllSizesStopOnlyWhenTheyMust(t *testing.T) {
	b := newBooks(t, 2, ledger.Config{Committers: 2, MaxBatch: 8})
	const funds = 1000
	from, to := b.account("user/1/main", jpy, funds), b.account("user/2/main", jpy, 0)
	answers := make([]answer, 200)
	atOnce(len(answers), func(i int) {
		a := &answers[i]
		a.Result, a.err = b.ledgers[i%2].Commit(ctx, transfer(fmt.Sprint(i), from, to, int64(i+1)))
	})
	left, spent := b.balance("user/1/main"), int64(0)
	for i, a := range answers {
		amount := int64(i + 1)
		switch {
		case a.err == nil:
			spent += amount
		case !errors.Is(a.err, ledger.ErrInsufficientFunds):
			t.Errorf("paying %d: %v", amount, a.err)
		case left >= amount:
			t.Errorf("paying %d was refused and %d is left, which was never less", amount, left)
		}
	}
	if left < 0 || left+spent != funds || b.balance("user/2/main") != spent {
		t.Errorf("%d spent of %d, %d left, %d arrived", spent, funds, left, b.balance("user/2/main"))
	}
}

// PostgreSQL looks for deadlocks only after a second of waiting; here it does so
// before the committers' own patience with locks ends.
func TestPaymentsInOppositeDirectionsNeverDeadlock(t *testing.T) {
	b := newBooks(t, 0, ledger.Config{})
	for range 3 {
		b.join(ledger.Config{Committers: 2, MaxBatch: 4}, store.Config{URL: b.urlWith("deadlock_timeout", "10ms")})
	}
	var accounts []ledger.AccountID
	for i := range 8 {
		accounts = append(accounts, b.account(fmt.Sprintf("user/%d/main", i), jpy, 1000))
	}
	atOnce(60, func(caller int) {
		for n := range 10 {
			key := fmt.Sprintf("%d/%d", caller, n)
			command := transfer(key, accounts[caller%2], accounts[1-caller%2], 1)
			if n%2 == 1 {
				command = around(key, accounts)
			}
			if _, err := b.ledgers[caller%3].Commit(ctx, command); err != nil {
				t.Errorf("caller %d: %v", caller, err)
			}
		}
	})
	for i, l := range b.ledgers {
		retries := l.Stats().Retries
		delete(retries, "55P03") // of a slow machine: the others had a lock for a second
		if len(retries) > 0 {
			t.Errorf("ledger %d had to try again: %v", i, retries)
		}
	}
}

// around moves 1 within each of several pairs of accounts, named in random order.
func around(key string, accounts []ledger.AccountID) ledger.Command {
	command := transfer(key, accounts[0], accounts[1], 1)
	command.Accounts = nil
	var postings []ledger.Posting
	for i, n := range rand.Perm(len(accounts)) {
		command.Accounts = append(command.Accounts, accounts[n])
		postings = append(postings, ledger.Posting{Account: accounts[n], Amount: ledger.NewAmount(int64(i%2)*2 - 1)})
	}
	command.Decide = func(ledger.View) (ledger.Draft, error) { return ledger.Draft{Postings: postings}, nil }
	return command
}
