package ledger_test

import (
	"fmt"
	"testing"

	"github.com/tillbook/tillbook/store/ledger"
)

// crowd has a batch hold accounts a and b, and lets more wait behind it: a
// payment from b to c, one from c to d, and payments between others. It returns
// once those are executed.
func crowd(t *testing.T, b *books) (*gate, []<-chan answer) {
	t.Helper()
	var accounts []ledger.AccountID
	for i := range 6 {
		accounts = append(accounts, b.account(fmt.Sprintf("user/%d/main", i), jpy, 100))
	}
	l := b.ledgers[0]
	under := transfer("under way", accounts[0], accounts[1], 1)
	g := gated(&under)
	waiting := []<-chan answer{commit(ctx, l, under)}
	<-g.entered
	waiting = append(waiting, commit(ctx, l, transfer("for b", accounts[1], accounts[2], 1)))
	waitFor(t, "the first to queue", func() bool { return l.Stats().QueueDepth == 1 })
	waiting = append(waiting, commit(ctx, l, transfer("for c", accounts[2], accounts[3], 1)))
	waitFor(t, "the second to queue", func() bool { return l.Stats().QueueDepth == 2 })
	var others []<-chan answer
	for i := range 6 {
		others = append(others, commit(ctx, l, transfer(fmt.Sprint("other ", i), accounts[4], accounts[5], 1)))
	}
	for _, done := range others {
		if a := <-done; a.err != nil {
			t.Error(a.err)
		}
	}
	return g, waiting
}

func TestASecondBatchLeavesAloneWhatTheFirstHasAndKeepsTheOrder(t *testing.T) {
	t.Parallel()
	b := newBooks(t, 1, ledger.Config{MaxBatch: 1})
	l := b.ledgers[0]
	g, waiting := crowd(t, b)
	if s := l.Stats(); s.QueueDepth != 2 || s.Transactions < 6 || len(s.Retries) > 0 {
		t.Errorf("beside a batch under way: %+v", s)
	}
	close(g.open)
	var last ledger.Transaction
	for _, done := range waiting {
		a := <-done
		if a.err != nil {
			t.Fatal(a.err)
		}
		if a.Transaction.CreateTime.Before(last.CreateTime) {
			t.Errorf("%s came before %s", a.Transaction.ID, last.ID)
		}
		last = a.Transaction
	}
	if s := l.Stats(); s.QueueDepth != 0 || len(s.Retries) > 0 {
		t.Errorf("after it: %+v", s)
	}
}

func TestClosingExecutesWhatWaitsForABatchUnderWay(t *testing.T) {
	t.Parallel()
	b := newBooks(t, 1, ledger.Config{MaxBatch: 1})
	g, waiting := crowd(t, b)
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		b.ledgers[0].Close()
	}()
	waitFor(t, "the ledger to refuse commands", func() bool { return refusesCommands(b.ledgers[0]) })
	close(g.open)
	<-closed
	for _, done := range waiting {
		if a := <-done; a.err != nil {
			t.Error(a.err)
		}
	}
}

// The first batch may end while the second goes on: then nothing but the second's
// end can wake what waits for that, whether the ledger is open or closing.
func TestWhatWaitsForTheSecondBatchIsExecutedAfterIt(t *testing.T) {
	t.Parallel()
	for name, closing := range map[string]bool{"open": false, "closing": true} {
		t.Run(name, func(t *testing.T) {
			b := newBooks(t, 1, ledger.Config{MaxBatch: 1})
			l := b.ledgers[0]
			var accounts []ledger.AccountID
			for i := range 4 {
				accounts = append(accounts, b.account(fmt.Sprintf("user/%d/main", i), jpy, 100))
			}
			one, two := transfer("one", accounts[0], accounts[1], 1), transfer("two", accounts[2], accounts[3], 1)
			first, second := gated(&one), gated(&two)
			waiting := []<-chan answer{commit(ctx, l, one)}
			<-first.entered
			waiting = append(waiting, commit(ctx, l, two))
			<-second.entered
			waiting = append(waiting, commit(ctx, l, transfer("three", accounts[1], accounts[3], 1)))
			waitFor(t, "the third to queue", func() bool { return l.Stats().QueueDepth == 1 })
			if closing {
				go l.Close()
				waitFor(t, "the ledger to refuse commands", func() bool { return refusesCommands(l) })
			}
			close(first.open)
			if a := <-waiting[0]; a.err != nil {
				t.Error(a.err)
			}
			close(second.open)
			for _, done := range waiting[1:] {
				if a := <-done; a.err != nil {
					t.Error(a.err)
				}
			}
		})
	}
}
