package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
	"github.com/tillbook/tillbook/store/storetest"
)

// busy occupies a ledger's only committer with a command until the gate opens.
func busy(t *testing.T, b *books, l *ledger.Ledger) (*gate, <-chan answer) {
	t.Helper()
	c := transfer("busy", b.account("user/busy/main", jpy, 1), b.account("user/idle/main", jpy, 0), 1)
	g := gated(&c)
	done := commit(ctx, l, c)
	<-g.entered
	return g, done
}

func TestACommandGivenUpBeforeItsBatchBeginsIsNotExecuted(t *testing.T) {
	b := newBooks(t, 1, ledger.Config{})
	from, to := b.account("user/1/main", jpy, 100), b.account("user/2/main", jpy, 0)
	g, first := busy(t, b, b.ledgers[0])
	cause := errors.New("the caller went home")
	caller, cancel := context.WithCancelCause(ctx)
	waiting := commit(caller, b.ledgers[0], transfer("given up", from, to, 10))
	waitFor(t, "the command to wait", func() bool { return b.ledgers[0].Stats().QueueDepth == 1 })
	cancel(cause)
	if a := <-waiting; !errors.Is(a.err, context.Canceled) {
		t.Errorf("the caller got %+v", a)
	}
	if a := <-commit(caller, b.ledgers[0], transfer("given up before", from, to, 10)); !errors.Is(a.err, context.Canceled) {
		t.Errorf("a caller that had given up before got %+v", a)
	}
	close(g.open)
	if a := <-first; a.err != nil {
		t.Error(a.err)
	}
	b.pay(from, to, 1) // what was queued before it has been dealt with
	if got := b.balance("user/2/main"); got != 1 {
		t.Errorf("%d moved; the commands that were given up would have moved 10 each", got-1)
	}
	if a := <-commit(ctx, b.ledgers[0], transfer("given up", from, to, 10)); a.err != nil || a.Replayed {
		t.Errorf("its key, tried again: %+v", a)
	}
}

func TestACallerThatGivesUpAfterItsBatchBeganStillLearnsWhatCameOfIt(t *testing.T) {
	b := newBooks(t, 1, ledger.Config{})
	from, to := b.account("user/1/main", jpy, 100), b.account("user/2/main", jpy, 0)
	for amount, want := range map[int64]error{60: nil, 600: ledger.ErrInsufficientFunds} {
		caller, cancel := context.WithCancel(ctx)
		c := transfer(fmt.Sprint(amount), from, to, amount)
		g := gated(&c)
		done := commit(caller, b.ledgers[0], c)
		<-g.entered
		cancel()
		close(g.open)
		if a := <-done; !errors.Is(a.err, want) || a.err == nil && a.Transaction.ID == uuid.Nil {
			t.Errorf("paying %d: %+v, want %v", amount, a, want)
		}
	}
	if got := b.balance("user/2/main"); got != 60 {
		t.Errorf("%d arrived, want 60", got)
	}
}

func TestAFullQueueTurnsCommandsAwayUnexecuted(t *testing.T) {
	b := newBooks(t, 1, ledger.Config{QueueSize: 3})
	l := b.ledgers[0]
	from, to := b.account("user/1/main", jpy, 100), b.account("user/2/main", jpy, 0)
	g, first := busy(t, b, l)
	queued := []<-chan answer{first}
	for i := range 3 {
		queued = append(queued, commit(ctx, l, transfer(fmt.Sprint("queued ", i), from, to, 1)))
		waitFor(t, "the command to wait", func() bool { return l.Stats().QueueDepth == i+1 })
	}
	if _, err := l.Commit(ctx, transfer("one too many", from, to, 50)); !errors.Is(err, ledger.ErrOverloaded) {
		t.Errorf("with a full queue: %v", err)
	}
	close(g.open)
	for i, done := range queued {
		if a := <-done; a.err != nil {
			t.Errorf("queued command %d: %v", i, a.err)
		}
	}
	if s := l.Stats(); s.Overloaded != 1 || s.QueueDepth != 0 || b.balance("user/2/main") != 3 {
		t.Errorf("%d arrived, %+v", b.balance("user/2/main"), s)
	}
	b.pay(from, to, 1)
}

func TestClosingExecutesWhatIsQueuedAndRefusesWhatComesLater(t *testing.T) {
	b := newBooks(t, 1, ledger.Config{Committers: 1, MaxBatch: 4})
	l := b.ledgers[0]
	from, to := b.account("user/1/main", jpy, 100), b.account("user/2/main", jpy, 0)
	g, first := busy(t, b, l)
	queued := []<-chan answer{first}
	for i := range 20 {
		queued = append(queued, commit(ctx, l, transfer(fmt.Sprint(i), from, to, 1)))
	}
	waitFor(t, "the commands to wait", func() bool { return l.Stats().QueueDepth == 20 })
	var closing sync.WaitGroup
	for range 2 { // closing twice is no mistake
		closing.Go(l.Close)
	}
	waitFor(t, "the ledger to refuse commands", func() bool { return refusesCommands(l) })
	close(g.open)
	closing.Wait()
	for i, done := range queued {
		if a := <-done; a.err != nil {
			t.Errorf("queued command %d: %v", i, a.err)
		}
	}
	if got := b.balance("user/2/main"); got != 20 {
		t.Errorf("%d arrived, want 20", got)
	}
}

// refusesCommands offers a command that could do nothing anyway. It gives up on it
// at once, since a closing ledger may take its time.
func refusesCommands(l *ledger.Ledger) bool {
	caller, cancel := context.WithCancel(ctx)
	cancel()
	_, err := l.Commit(caller, ledger.Command{})
	return errors.Is(err, ledger.ErrClosed)
}

func TestCommandsThatRaceTheClosingAreExecutedOrRefused(t *testing.T) {
	b := newBooks(t, 1, ledger.Config{})
	from, to := b.account("user/1/main", jpy, 1e9), b.account("user/2/main", jpy, 0)
	const callers = 50
	l := b.join(ledger.Config{Committers: 2}, store.Config{})
	var told atomic.Int64 // payments whose callers were told of them
	atOnce(callers+1, func(i int) {
		if i == callers {
			waitFor(t, "the first commits", func() bool { return l.Stats().Commits > 2 })
			l.Close()
			return
		}
		for n := 0; ; n++ {
			_, err := l.Commit(ctx, transfer(fmt.Sprint(i, "/", n), from, to, 1))
			if err != nil {
				if !errors.Is(err, ledger.ErrClosed) {
					t.Errorf("caller %d ended with %v", i, err)
				}
				return
			}
			told.Add(1)
		}
	})
	if arrived := b.balance("user/2/main"); arrived != told.Load() {
		t.Errorf("%d payments were executed, callers were told of %d", arrived, told.Load())
	}
}

func TestAClosedLedgerLeavesNoGoroutines(t *testing.T) {
	url := storetest.NewDatabase(t)
	before := goroutines()
	s, err := store.Open(ctx, store.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	l := ledger.New(s.Pool, ledger.Config{Committers: 3})
	b := &books{t: t, url: url, stores: []*store.Store{s}, ledgers: []*ledger.Ledger{l}}
	watch := l.Watch("user/1/")
	from, to := b.account("user/1/main", jpy, 200), b.account("user/2/main", jpy, 0)
	atOnce(100, func(i int) {
		caller, cancel := context.WithCancel(ctx)
		defer cancel()
		if i%5 == 0 {
			cancel()
		}
		_, _ = l.Commit(caller, transfer(fmt.Sprint(i), from, to, int64(i%4)))
	})
	<-watch.C()
	if len(newGoroutines(before)) < 5 { // three committers, one for what is parked, the feed
		t.Fatalf("this test doesn't see an open ledger's goroutines, but %q", newGoroutines(before))
	}
	l.Close()
	s.Close()
	watch.Close()
	waitFor(t, "the goroutines to end", func() bool { return len(newGoroutines(before)) == 0 })
}

// newGoroutines returns the goroutines that are not among those of before.
func newGoroutines(before []string) []string {
	before = slices.Clone(before)
	return slices.DeleteFunc(goroutines(), func(g string) bool {
		i := slices.Index(before, g)
		if i >= 0 {
			before = slices.Delete(before, i, i+1)
		}
		return i >= 0
	})
}

// goroutines names what the goroutines of this package and of its connections
// run, by their outermost functions.
func goroutines() []string {
	buf := make([]byte, 1<<22)
	buf = buf[:runtime.Stack(buf, true)]
	var found []string
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		var outermost string
		for line := range strings.Lines(stack) {
			if strings.HasPrefix(line, "github.com/tillbook/tillbook/store/ledger.") || strings.HasPrefix(line, "github.com/jackc/") {
				outermost, _, _ = strings.Cut(line, "(0x")
			}
		}
		if outermost != "" {
			found = append(found, outermost)
		}
	}
	return found
}
