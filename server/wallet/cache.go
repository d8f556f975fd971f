package wallet

import (
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// cache remembers facts that don't change, a bounded number of them and each
// for a bounded time, so that what does change one day is noticed. What isn't
// so is never remembered: somebody may register the next moment.
type cache[K comparable, V any] struct {
	facts *lru.Cache[K, fact[V]]
	life  time.Duration
	now   func() time.Time
}

type fact[V any] struct {
	value  V
	expire time.Time
}

func newCache[K comparable, V any](size int, life time.Duration, now func() time.Time) *cache[K, V] {
	facts, err := lru.New[K, fact[V]](size)
	if err != nil {
		panic(err) // only for a size below one
	}
	return &cache[K, V]{facts: facts, life: life, now: now}
}

func (c *cache[K, V]) get(key K) (V, bool) {
	f, ok := c.facts.Get(key)
	if !ok || c.now().After(f.expire) {
		var none V
		return none, false
	}
	return f.value, true
}

func (c *cache[K, V]) put(key K, value V) {
	c.facts.Add(key, fact[V]{value: value, expire: c.now().Add(c.life)})
}
