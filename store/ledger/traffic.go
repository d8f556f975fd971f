package ledger

import (
	"sync"
	"sync/atomic"
)

// traffic keeps the batches of one ledger out of each other's way. A call that
// needs an account of a batch under way would make its own batch wait in
// PostgreSQL, with all that is in it; so it waits here instead, and whatever comes
// after it for one of its accounts waits behind it. Batches of other replicas are
// not known here: PostgreSQL's locks keep those apart.
type traffic struct {
	deferred atomic.Int64  // commands that wait here
	freed    chan struct{} // told when a batch ends that calls wait for

	mu      sync.Mutex
	taken   map[AccountID]*committer // by batches under way
	calls   []*call                  // that wait, in order
	claimed map[AccountID]int        // by how many of them
}

func newTraffic() *traffic {
	return &traffic{
		freed: make(chan struct{}, 1), taken: make(map[AccountID]*committer), claimed: make(map[AccountID]int),
	}
}

// admit tells whether a call that comes from the queue may join c's batch. If not,
// it waits.
func (t *traffic) admit(c *committer, next *call) bool {
	if t.free(c, next, t.claimed) {
		return true
	}
	t.calls = append(t.calls, next)
	t.deferred.Add(int64(len(next.items)))
	for a := range next.accounts {
		t.claimed[a]++
	}
	return false
}

// board has c's batch take calls that wait, in their order, as long as it has room.
func (t *traffic) board(c *committer, room int) (size int) {
	if len(t.calls) == 0 {
		return 0
	}
	ahead := make(map[AccountID]int) // of those that wait on
	kept := t.calls[:0]
	for i, next := range t.calls {
		if size >= room {
			kept = append(kept, t.calls[i:]...)
			break
		}
		if !t.free(c, next, ahead) {
			kept = append(kept, next)
			for a := range next.accounts {
				ahead[a]++
			}
			continue
		}
		t.deferred.Add(-int64(len(next.items)))
		for a := range next.accounts {
			if t.claimed[a]--; t.claimed[a] == 0 {
				delete(t.claimed, a)
			}
		}
		size += c.board(next)
	}
	clear(t.calls[len(kept):])
	t.calls = kept
	return size
}

// free tells whether no other batch has any of the call's accounts, and nobody
// stands before it for one.
func (t *traffic) free(c *committer, next *call, claimed map[AccountID]int) bool {
	for a := range next.accounts {
		if by := t.taken[a]; by != nil && by != c || claimed[a] > 0 {
			return false
		}
	}
	return true
}

// leave gives back what c's batch has taken.
func (t *traffic) leave(c *committer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range c.taken {
		delete(t.taken, a)
	}
	c.taken = c.taken[:0]
	if len(t.calls) > 0 {
		select {
		case t.freed <- struct{}{}:
		default:
		}
	}
}

// accounts yields the accounts that the call names.
func (c *call) accounts(yield func(AccountID) bool) {
	for i := range c.items {
		for _, a := range c.items[i].command.Accounts {
			if !yield(a) {
				return
			}
		}
	}
}
