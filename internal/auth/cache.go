package auth

import (
	"sync"
	"time"
)

// cacheFor is half of the second in which a revocation has to take effect.
const cacheFor = 500 * time.Millisecond

// maxCached bounds the memory of a server with very many live credentials; beyond it a cache starts over.
const maxCached = 10_000

// cache holds what the database said of credentials for as long as it is believed. That map access takes no
// constant time tells nothing: an attacker cannot choose a hash.
type cache[K comparable, V any] struct {
	mu      sync.Mutex
	answers map[K]answer[V]
}

type answer[V any] struct {
	value V
	asked time.Time
}

func newCache[K comparable, V any]() *cache[K, V] { return &cache[K, V]{answers: map[K]answer[V]{}} }

func (c *cache[K, V]) get(k K, now time.Time) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.answers[k]
	age := now.Sub(found.asked)
	return found.value, ok && age >= 0 && age < cacheFor
}

func (c *cache[K, V]) keep(k K, v V, asked time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.answers) >= maxCached {
		clear(c.answers)
	}
	c.answers[k] = answer[V]{v, asked}
}
