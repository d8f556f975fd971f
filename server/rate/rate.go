package rate

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/golang-lru/v2"
	"github.com/jackc/pgx/v5"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/store"
)

// Rule says how often something may happen: Burst times at once, and from then
// on once each Per.
type Rule struct {
	// Name tells rules apart, such as "login.ip". Rules of one name share their
	// buckets.
	Name string
	// Per is the time in which a bucket gets one token back.
	Per time.Duration
	// Burst is how many tokens a bucket holds; at least 1.
	Burst int
}

// Times returns a rule that allows n times as much.
func (r Rule) Times(n int) Rule {
	return Rule{Name: r.Name, Per: max(r.Per/time.Duration(n), time.Microsecond), Burst: r.Burst * n}
}

// Check is a rule and whom it is applied to.
type Check struct {
	Rule    Rule
	Subject string
}

// Limiter keeps the buckets. It is safe for concurrent use.
type Limiter struct {
	store *store.Store
	key   secret.Derived
	clock func() time.Time

	// refused remembers, for a second at most, which buckets were found empty, so
	// that a flood of refused calls stays off the database.
	refused *lru.Cache[bucket, emptiness]
}

const (
	refusedBuckets = 16384
	refusedFor     = time.Second
	// sweepBatch bounds what one statement of a sweep locks and deletes.
	sweepBatch = 1000
)

// bucket is the name of a row: 16 bytes of a keyed hash.
type bucket [16]byte

// emptiness says until when a bucket has no token, and until when that is
// believed: another replica may have put one back.
type emptiness struct{ until, believed time.Time }

// New returns a limiter. The key must be the same on all replicas and secret,
// for phone numbers are few enough to be tried one by one. While it changes, a
// bucket goes on under its new name where it was under the old one. The clock must tell
// all replicas the same time, see package clock.
func New(s *store.Store, key secret.Derived, clock func() time.Time) *Limiter {
	refused, err := lru.New[bucket, emptiness](refusedBuckets)
	if err != nil {
		// Only a size below one fails.
		panic("limit: " + err.Error())
	}
	return &Limiter{store: s, key: key, clock: clock, refused: refused}
}

// Allow takes one token from a bucket. If there is none it fails with
// RATE_LIMITED and the time to wait.
func (l *Limiter) Allow(ctx context.Context, rule Rule, subject string) error {
	n, now := l.named(rule, subject), l.now()
	if err := l.remembered(rule, n.bucket, now); err != nil {
		return err
	}
	return l.take(ctx, l.store.Queries(), n, now)
}

// AllowAll takes one token from each bucket, or none at all if one of them is
// empty: who is refused by one rule can't use up what another keeps for somebody
// else.
func (l *Limiter) AllowAll(ctx context.Context, checks ...Check) error {
	now := l.now()
	all := make([]named, len(checks))
	for i, c := range checks {
		all[i] = l.named(c.Rule, c.Subject)
		if err := l.remembered(c.Rule, all[i].bucket, now); err != nil {
			return err
		}
	}
	// Rows are locked in one order everywhere, so that calls never wait for each
	// other in a circle.
	slices.SortFunc(all, func(a, b named) int { return bytes.Compare(a.bucket[:], b.bucket[:]) })
	return l.store.InTx(ctx, func(ctx context.Context, q *store.Queries, _ pgx.Tx) error {
		for _, n := range all {
			if err := l.take(ctx, q, n, now); err != nil {
				return err
			}
		}
		return nil
	})
}

// Return gives tokens back: for limits on failures, which are taken before it is
// known how a call ends, so that calls at the same time can't all slip through.
func (l *Limiter) Return(ctx context.Context, checks ...Check) error {
	for _, c := range checks {
		b := l.named(c.Rule, c.Subject).bucket
		l.refused.Remove(b)
		err := l.store.Queries().ReturnToken(ctx, store.ReturnTokenParams{
			Key: b[:], StepUs: c.Rule.Per.Microseconds(),
		})
		if err != nil {
			return fmt.Errorf("return a token to %s: %w", c.Rule.Name, err)
		}
	}
	return nil
}

// Reset fills a bucket.
func (l *Limiter) Reset(ctx context.Context, rule Rule, subject string) error {
	n := l.named(rule, subject)
	l.refused.Remove(n.bucket)
	if err := l.store.Queries().DeleteBucket(ctx, append(n.earlier, n.bucket[:])); err != nil {
		return fmt.Errorf("reset %s: %w", rule.Name, err)
	}
	return nil
}

// Sweep deletes the rows of buckets that are full again, in small batches, and
// returns how many there were. Several replicas may sweep at the same time.
func (l *Limiter) Sweep(ctx context.Context) (int64, error) {
	var swept int64
	for {
		n, err := l.store.Queries().DeleteFullBuckets(ctx, store.DeleteFullBucketsParams{
			Now: l.now(), MaxRows: sweepBatch,
		})
		swept += n
		if err != nil {
			return swept, fmt.Errorf("sweep the limits: %w", err)
		}
		if n < sweepBatch {
			return swept, nil
		}
	}
}

func (l *Limiter) take(ctx context.Context, q *store.Queries, n named, now time.Time) error {
	rule, b := n.Rule, n.bucket
	// The bucket is empty when its time is so far ahead that one more step would
	// pass what a full bucket allows.
	latest := now.Add(time.Duration(rule.Burst-1) * rule.Per)
	_, err := q.TakeToken(ctx, store.TakeTokenParams{
		Key: b[:], Now: now, StepUs: rule.Per.Microseconds(), Latest: latest, Earlier: n.earlier,
	})
	if err == nil {
		return nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("take a token from %s: %w", rule.Name, err)
	}
	tat, err := q.GetBucketTime(ctx, store.GetBucketTimeParams{Key: b[:], Earlier: n.earlier})
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("read the bucket of %s: %w", rule.Name, err)
	}
	// A row that is gone by now was just reset; its zero time asks for no wait.
	wait := max(tat.Sub(latest), time.Millisecond)
	l.refused.Add(b, emptiness{until: now.Add(wait), believed: now.Add(min(wait, refusedFor))})
	return refusal(rule, wait)
}

// remembered refuses without asking the database what it refused a moment ago.
func (l *Limiter) remembered(rule Rule, b bucket, now time.Time) error {
	if e, ok := l.refused.Get(b); ok && now.Before(e.believed) {
		return refusal(rule, e.until.Sub(now))
	}
	return nil
}

// Refused is the cause of every refusal. It tells the server, and never the
// client, by which rule.
type Refused struct{ Rule Rule }

// Error names the rule.
func (r *Refused) Error() string { return "refused by the limit " + r.Rule.Name }

func refusal(rule Rule, wait time.Duration) error {
	return errRateLimited.WithRetry(wait).WithCause(&Refused{rule})
}

// named is a bucket with its rule and with the names that it had under the keys
// before.
type named struct {
	bucket
	Rule
	earlier [][]byte
}

func (l *Limiter) named(rule Rule, subject string) named {
	keys := l.key()
	n := named{bucket: bucketOf(keys[0], rule, subject), Rule: rule}
	for _, key := range keys[1:] {
		b := bucketOf(key, rule, subject)
		n.earlier = append(n.earlier, b[:])
	}
	return n
}

func bucketOf(key []byte, rule Rule, subject string) bucket {
	mac := hmac.New(sha256.New, key)
	name := binary.AppendUvarint(nil, uint64(len(rule.Name)))
	mac.Write(append(name, rule.Name...))
	mac.Write([]byte(subject))
	return bucket(mac.Sum(nil)[:len(bucket{})])
}

// now has the database's precision, or a token could be taken a microsecond too
// early on one side and too late on the other.
func (l *Limiter) now() time.Time { return l.clock().UTC().Truncate(time.Microsecond) }

var errRateLimited = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_RATE_LIMITED,
	"Too many requests of this kind; wait a while.")
