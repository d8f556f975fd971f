package rate

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
)

// Tally applies rules to what happens too often to ask the database each time, such as
// payments. It lets things happen as long as it doesn't know a bucket to be empty, and
// takes their tokens a moment later, those of all buckets in one statement.
//
// So between two of its looks a replica lets through what there may be no token for:
// at most what arrives in Config's interval, and never more than the rule's Burst. In
// the long run nobody gets more than the rule allows, since what was spent ahead is
// owed: the bucket is empty for as much longer.
type Tally struct {
	limiter *Limiter
	store   *store.Store
	every   time.Duration
	log     *slog.Logger

	mu    sync.Mutex
	spent map[account]spending
	empty *simplelru.LRU[account, time.Time] // until when
}

// account is a bucket as this replica knows it: to name its row takes a hash, which is
// more than all else that Allow does.
type account struct{ rule, subject string }

// spending is what was let through and not yet taken.
type spending struct {
	rule Rule
	n    int
}

const (
	// maxSpending bounds the buckets between two looks.
	maxSpending = 65_536
	// tallyEvery is the average time between two looks.
	tallyEvery = 200 * time.Millisecond
	// spendTimeout bounds one of them.
	spendTimeout = 5 * time.Second
)

// NewTally returns a tally on the buckets of a limiter, which takes tokens on s.
func NewTally(l *Limiter, s *store.Store, log *slog.Logger) *Tally {
	empty, err := simplelru.NewLRU[account, time.Time](refusedBuckets, nil)
	if err != nil {
		panic("limit: " + err.Error()) // only for a size below one
	}
	return &Tally{limiter: l, store: s, every: tallyEvery, log: log, spent: make(map[account]spending), empty: empty}
}

var errManySubjects = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_OVERLOADED,
	"The server has more to do than it can. Try again a little later.").WithRetry(tallyEvery)

// Allow notes that something happens, or fails with RATE_LIMITED and the time to wait.
// It asks nobody.
func (t *Tally) Allow(rule Rule, subject string) error {
	a, now := account{rule.Name, subject}, t.limiter.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if until, ok := t.empty.Get(a); ok {
		if now.Before(until) {
			return refusal(rule, until.Sub(now))
		}
		t.empty.Remove(a)
	}
	s, known := t.spent[a]
	switch {
	case s.n >= rule.Burst:
		return refusal(rule, max(t.every, rule.Per))
	case !known && len(t.spent) >= maxSpending:
		return errManySubjects
	}
	t.spent[a] = spending{rule: rule, n: s.n + 1}
	return nil
}

// Run takes tokens until ctx ends, and once more then.
func (t *Tally) Run(ctx context.Context) {
	failing := false
	for ctx.Err() == nil {
		timer := time.NewTimer(t.every/2 + rand.N(t.every))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		spend, cancel := context.WithTimeout(context.WithoutCancel(ctx), spendTimeout)
		err := t.Spend(spend)
		cancel()
		if err != nil && !failing {
			t.log.WarnContext(ctx, "what was spent can't be counted", "error", err)
		}
		failing = err != nil
	}
}

// Spend takes the tokens of what was let through. After an error they are taken the
// next time.
func (t *Tally) Spend(ctx context.Context) error {
	t.mu.Lock()
	spent := t.spent
	t.spent = make(map[account]spending)
	t.mu.Unlock()
	if len(spent) == 0 {
		return nil
	}
	// Rows are locked in one order everywhere, as in AllowAll.
	keys, names := make([]bucket, 0, len(spent)), make(map[bucket]account, len(spent))
	var carried store.CarryBucketsParams
	for a, s := range spent {
		n := t.limiter.named(s.rule, a.subject)
		keys, names[n.bucket] = append(keys, n.bucket), a
		for _, earlier := range n.earlier {
			carried.Keys, carried.Earlier = append(carried.Keys, n.bucket[:]), append(carried.Earlier, earlier)
		}
	}
	slices.SortFunc(keys, func(a, b bucket) int { return bytes.Compare(a[:], b[:]) })
	now := t.limiter.now()
	params := store.SpendTokensParams{Now: now}
	for i := range keys {
		s := spent[names[keys[i]]]
		params.Keys = append(params.Keys, keys[i][:])
		params.CostsUs = append(params.CostsUs, int64(s.n)*s.rule.Per.Microseconds())
	}
	rows, err := t.take(ctx, &carried, &params)
	if err != nil {
		t.giveBack(spent)
		return fmt.Errorf("take tokens: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, row := range rows {
		a := names[bucket(row.Key)]
		rule := spent[a].rule
		latest := now.Add(time.Duration(rule.Burst-1) * rule.Per)
		if until := now.Add(row.Tat.Sub(latest)); until.After(now) {
			t.empty.Add(a, until)
		}
	}
	return nil
}

// take takes tokens out of buckets, after those that had other names before, under
// keys that were replaced, have become what they were.
func (t *Tally) take(ctx context.Context, carried *store.CarryBucketsParams, params *store.SpendTokensParams) ([]store.RateLimit, error) {
	q := t.store.Queries()
	if len(carried.Keys) > 0 {
		if err := q.CarryBuckets(ctx, *carried); err != nil {
			return nil, err
		}
	}
	return q.SpendTokens(ctx, *params)
}

// giveBack keeps what couldn't be taken, as far as there is room.
func (t *Tally) giveBack(spent map[account]spending) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for a, s := range spent {
		now, known := t.spent[a]
		if known || len(t.spent) < maxSpending {
			t.spent[a] = spending{rule: s.rule, n: min(s.n+now.n, s.rule.Burst)}
		}
	}
}
