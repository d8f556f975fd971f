package ledger

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/tillbook/tillbook/store/cause"
	"github.com/tillbook/tillbook/store/lag"
)

// Subscription tells its holder that something of an owner has changed.
type Subscription struct {
	feed   *feed
	owner  string
	wake   chan struct{}
	causes []trace.SpanContext // guarded by feed.mu
}

// Causes returns, once, the spans of the traced commits that changed something since
// it was asked before: those which the receiver's work belongs to.
func (s *Subscription) Causes() []trace.SpanContext {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	causes := s.causes
	s.causes = nil
	return causes
}

// C receives after something changed: an entry was committed in one of the
// owner's accounts, or an account was opened, on this replica or another. Calls
// coalesce, so the receiver looks at the accounts' versions to see what is new;
// it may find nothing.
func (s *Subscription) C() <-chan struct{} { return s.wake }

// Close ends the subscription.
func (s *Subscription) Close() { s.feed.remove(s) }

// Watch subscribes to all accounts whose codes begin with owner, such as
// "user/usr_…/". Subscribe before reading the accounts: then nothing falls in
// between. An owner is the first two parts of a code and the slash behind them.
func (l *Ledger) Watch(owner string) *Subscription {
	s := &Subscription{feed: l.feed, owner: owner, wake: make(chan struct{}, 1)}
	l.feed.add(s)
	return s
}

// ownerOf returns the first two parts of an account code, with the slash.
func ownerOf(code string) string {
	first := strings.IndexByte(code, '/')
	if first < 0 {
		return code
	}
	second := strings.IndexByte(code[first+1:], '/')
	if second < 0 {
		return code
	}
	return code[:first+1+second+1]
}

// feed wakes subscriptions after commits of this ledger, at once, and of
// others, by following the events. While nobody watches it does nothing.
type feed struct {
	l        *Ledger
	watchers atomic.Int64  // how many subscriptions there are
	lag      lag.Meter     // of what other ledgers commit
	arrived  chan struct{} // a first subscription came

	mu      sync.Mutex
	byOwner map[string]map[*Subscription]struct{}
}

func newFeed(l *Ledger) *feed {
	return &feed{l: l, arrived: make(chan struct{}, 1), byOwner: make(map[string]map[*Subscription]struct{})}
}

func (f *feed) add(s *Subscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byOwner[s.owner] == nil {
		f.byOwner[s.owner] = make(map[*Subscription]struct{})
	}
	f.byOwner[s.owner][s] = struct{}{}
	if f.watchers.Add(1) == 1 {
		signal(f.arrived)
	}
}

func (f *feed) remove(s *Subscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.byOwner[s.owner][s]; !ok {
		return
	}
	delete(f.byOwner[s.owner], s)
	if len(f.byOwner[s.owner]) == 0 {
		delete(f.byOwner, s.owner)
	}
	f.watchers.Add(-1)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// wake tells the subscriptions of these accounts' owners, and which span caused it if
// any did.
func (f *feed) wake(codes []string, by trace.SpanContext) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, code := range codes {
		for s := range f.byOwner[ownerOf(code)] {
			s.causes = cause.Add(s.causes, by)
			signal(s.wake)
		}
	}
}

// wakeAll tells everybody to look for themselves.
func (f *feed) wakeAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, subscriptions := range f.byOwner {
		for s := range subscriptions {
			signal(s.wake)
		}
	}
}

// committed wakes those who watch what a batch of this ledger changed.
func (f *feed) committed(b *batch, by trace.SpanContext) {
	if f.watchers.Load() == 0 {
		return
	}
	codes := make([]string, 0, len(b.accounts))
	for _, a := range b.accounts {
		if a.changed || a.more {
			codes = append(codes, a.Code)
		}
	}
	f.wake(codes, by)
}

// lost is called when the answer to a COMMIT didn't come, so that nobody here was
// told what it changed. If it has been executed, everybody can see it now. If it
// still will be, its event stands under a name that is no longer this ledger's,
// and so is read like another's.
func (f *feed) lost() {
	f.l.rename()
	f.wakeAll()
}

// opened wakes those who watch the owner of a new account.
func (f *feed) opened(code string) {
	if f.watchers.Load() > 0 {
		f.wake([]string{code}, trace.SpanContext{})
	}
}

// run follows the events of other ledgers until ctx ends.
func (f *feed) run(ctx context.Context) {
	var follow *follower // nil while nobody watches
	tick := time.NewTicker(f.l.cfg.PollInterval)
	defer tick.Stop()
	for {
		if f.watchers.Load() == 0 {
			follow = nil
			f.lag.Rest()
			select {
			case <-ctx.Done():
				return
			case <-f.arrived:
			}
			continue
		}
		if follow == nil {
			follow = newFollower(f.l)
		}
		f.follow(ctx, follow)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// follow lets a follower read once. Its connection may fall silent.
func (f *feed) follow(ctx context.Context, reader *follower) {
	began, name, now := reader.started(), f.l.replica.Load(), lag.Now()
	bounded, cancel := context.WithTimeout(ctx, f.l.cfg.attemptTimeout())
	defer cancel()
	switch err := reader.poll(bounded, *name, f.wake, f.wakeAll); {
	case err == nil:
		f.lag.Read(now)
	case ctx.Err() == nil:
		f.l.cfg.Logger.WarnContext(ctx, "following the events failed; trying again", "error", err)
	}
	if !began && reader.started() {
		// Something may have been committed after a watcher looked and before
		// the moment from which the follower reads.
		f.wakeAll()
	}
	if f.l.replica.Load() != name {
		// It may have passed over a commit that was then found to be lost.
		f.wakeAll()
	}
}
