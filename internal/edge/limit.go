package edge

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limiter bounds the requests a second of each caller. It is safe for concurrent use.
type Limiter[K comparable] struct {
	limit rate.Limit
	now   func() time.Time

	mu      sync.Mutex
	buckets map[K]*bucket // as many as there are callers with a valid credential
}

// bucket is one caller's.
type bucket struct {
	*rate.Limiter
	told time.Time // when a refusal was last logged
}

// TellEvery is how often the log names a caller that is over its rate: a flood fills no disk.
const TellEvery = time.Second

// NewLimiter returns a Limiter of so many requests a second, 0 for any number.
func NewLimiter[K comparable](perSecond float64, now func() time.Time) *Limiter[K] {
	return &Limiter[K]{limit: rate.Limit(perSecond), now: now, buckets: map[K]*bucket{}}
}

// Take takes one request out of the caller's bucket, or says how long to wait for the next.
func (l *Limiter[K]) Take(caller K) (wait time.Duration, ok bool) {
	if l.limit == 0 {
		return 0, true
	}
	l.mu.Lock()
	b := l.buckets[caller]
	if b == nil {
		b = &bucket{Limiter: rate.NewLimiter(l.limit, int(math.Ceil(float64(l.limit))))}
		l.buckets[caller] = b
	}
	l.mu.Unlock()
	now := l.now()
	r := b.ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait == 0 {
		return 0, true
	}
	r.CancelAt(now)
	return wait, false
}

// Tells reports whether the refusal of a request of the caller, which Take has just refused, is to be logged.
func (l *Limiter[K]) Tells(caller K) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, now := l.buckets[caller], l.now()
	if now.Sub(b.told) < TellEvery {
		return false
	}
	b.told = now
	return true
}

// RetryAfter is a wait as the header of that name has it: whole seconds, one at least.
func RetryAfter(wait time.Duration) int { return int(math.Ceil(max(1, wait.Seconds()))) }
