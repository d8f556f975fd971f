package merchant

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/lag"
)

// EventLag is how far the streams of merchants are behind what happens; 0 while
// there are none.
func (s *Service) EventLag() time.Duration { return s.follower.lag.Lag() }

// follower wakes the streams of merchants that were told something. There is one a
// replica: a stream on its own would have to ask the database all the time.
type follower struct {
	store    *store.Store
	log      *slog.Logger
	interval time.Duration
	lag      lag.Meter

	mu      sync.Mutex
	streams map[string]map[chan struct{}]bool // by subject
	joined  chan struct{}                     // told when there is a first stream
	next    int64                             // the first transaction not yet read; 0 while nobody watches
}

func newFollower(s *store.Store, log *slog.Logger, interval time.Duration) *follower {
	return &follower{
		store: s, log: log, interval: interval,
		streams: make(map[string]map[chan struct{}]bool), joined: make(chan struct{}, 1),
	}
}

// subscribe returns a channel that says when there may be something new about a
// subject, until leave is called. It holds one wake-up: who is slow misses none.
func (f *follower) subscribe(subject string) (wake <-chan struct{}, leave func()) {
	own := make(chan struct{}, 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.streams[subject] == nil {
		f.streams[subject] = make(map[chan struct{}]bool)
	}
	f.streams[subject][own] = true
	signal(f.joined)
	return own, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if delete(f.streams[subject], own); len(f.streams[subject]) == 0 {
			delete(f.streams, subject)
		}
	}
}

// signal leaves a wake-up for whoever listens, unless one is there.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pollTimeout bounds one look for events.
const pollTimeout = 5 * time.Second

// run wakes streams until the context ends. It asks only while somebody watches.
func (f *follower) run(ctx context.Context) {
	failing := false
	for {
		if !f.watched() {
			f.next = 0
			f.lag.Rest()
			select {
			case <-ctx.Done():
				return
			case <-f.joined:
				continue
			}
		}
		now := lag.Now()
		round, cancel := context.WithTimeout(ctx, pollTimeout)
		err := f.poll(round)
		cancel()
		if err != nil && !failing && ctx.Err() == nil {
			f.log.WarnContext(ctx, "what merchants are told can't be followed", "error", err)
		}
		if err == nil {
			f.lag.Read(now)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-time.After(f.interval):
		}
	}
}

func (f *follower) watched() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.streams) > 0
}

// poll looks once. Its first look, and one that follows a time without streams, wakes
// everybody: a stream may have begun before.
func (f *follower) poll(ctx context.Context) error {
	horizon, err := f.store.Queries().GetHorizon(ctx)
	if err != nil {
		return fmt.Errorf("reading the horizon: %w", err)
	}
	if f.next == 0 {
		f.next = horizon
		f.wakeAll()
		return nil
	}
	if horizon <= f.next {
		return nil
	}
	told, err := f.store.Queries().ListToldMerchants(ctx, store.ListToldMerchantsParams{FirstXid: f.next, Horizon: horizon})
	if err != nil {
		return fmt.Errorf("reading events: %w", err)
	}
	f.next = horizon
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range told {
		for stream := range f.streams[told[i].Subject] {
			signal(stream)
		}
	}
	return nil
}

func (f *follower) wakeAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, streams := range f.streams {
		for stream := range streams {
			signal(stream)
		}
	}
}
