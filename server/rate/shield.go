package rate

import (
	"time"

	"github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/server/rpc"
)

// Shield counts on this replica alone and asks nobody. It stands in front of all else:
// against floods, not against those who are clever. It remembers the subjects that
// were here last; one that was forgotten begins with a full bucket.
type Shield[K comparable] struct {
	rule    Rule
	buckets *lru.Cache[K, *rate.Limiter]
}

// shieldBuckets bounds the subjects that are remembered: about 10 MB.
const shieldBuckets = 65_536

// NewShield returns a shield of a rule.
func NewShield[K comparable](rule Rule) *Shield[K] {
	buckets, err := lru.New[K, *rate.Limiter](shieldBuckets)
	if err != nil {
		panic("limit: " + err.Error()) // only for a size below one
	}
	return &Shield[K]{rule: rule, buckets: buckets}
}

var errFlood = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_RATE_LIMITED,
	"Too many requests; wait a while.")

// Allow takes a token of a subject, or fails with RATE_LIMITED and the time to wait.
func (s *Shield[K]) Allow(subject K) error {
	b, ok := s.buckets.Get(subject)
	if !ok {
		fresh := rate.NewLimiter(rate.Every(s.rule.Per), s.rule.Burst)
		if b, ok, _ = s.buckets.PeekOrAdd(subject, fresh); !ok {
			b = fresh
		}
	}
	if b.Allow() {
		return nil
	}
	return errFlood.WithRetry(max(s.rule.Per, 100*time.Millisecond)).WithCause(&Refused{s.rule})
}
