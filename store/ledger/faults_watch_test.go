package ledger_test

import (
	"errors"
	"testing"
	"time"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
)

const everybody = "user/0/"

// watch subscribes on the first ledger and returns once the follower reads.
func (c *town) watch() *ledger.Subscription {
	c.t.Helper()
	s := c.ledger().Watch(everybody)
	c.t.Cleanup(s.Close)
	c.woken(s, "following")
	return s
}

func (c *town) woken(s *ledger.Subscription, why string) {
	c.t.Helper()
	select {
	case <-s.C():
	case <-time.After(20 * time.Second):
		c.t.Fatalf("watchers were not woken by %s", why)
	}
}

// quiet returns when nothing has woken the subscription for a while.
func quiet(s *ledger.Subscription) {
	for {
		select {
		case <-s.C():
		case <-time.After(200 * time.Millisecond):
			return
		}
	}
}

func TestALostCommitWakesTheWatchersToo(t *testing.T) {
	t.Parallel()
	c := newTown(t, ledger.Config{Patience: 20 * time.Second, PollInterval: 5 * time.Millisecond})
	s := c.watch()
	quiet(s)
	c.wire.once(fromPostgres, "COMMIT", fate{kind: cut})
	if err := c.do(c.between(0, 1, 5)); err != nil {
		t.Fatal(err)
	}
	c.woken(s, "a commit whose answer was lost")
	c.check()
}

func TestACommitThatArrivesAfterItsCallerLeftWakesTheWatchers(t *testing.T) {
	t.Parallel()
	c := newTown(t, ledger.Config{Patience: time.Second, PollInterval: 5 * time.Millisecond})
	s := c.watch()
	release := make(chan struct{})
	c.wire.once(fromLedger, "COMMIT", fate{kind: hold, release: release})
	if err := c.do(c.between(0, 1, 5)); !errors.Is(err, ledger.ErrOutcomeUnknown) {
		t.Fatalf("the payment ended as %v, not as unknown", err)
	}
	quiet(s)
	close(release)
	c.woken(s, "a commit that came late")
	c.check()
}

func TestWatchersAreWokenByOthersAlthoughAConnectionFellSilent(t *testing.T) {
	t.Parallel()
	c := newTown(t, ledger.Config{Patience: time.Second, PollInterval: 5 * time.Millisecond})
	other := c.join(ledger.Config{}, store.Config{})
	s := c.watch()
	quiet(s)
	c.wire.silenceAll()
	d := c.between(0, 1, 5)
	result, err := other.Commit(ctx, d.command)
	if err != nil {
		t.Fatal(err)
	}
	c.noteExecuted(d, result)
	c.woken(s, "another replica's commit")
	c.check()
}
