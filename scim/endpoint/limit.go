package endpoint

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limiter bounds the requests a second of each connection, shared by its tokens.
type limiter struct {
	limit rate.Limit
	now   func() time.Time

	mu      sync.Mutex
	buckets map[int64]*bucket // as many as there are connections with a valid token
}

// bucket is one connection's.
type bucket struct {
	*rate.Limiter
	told time.Time // when a refusal was last logged
}

// tellEvery is how often the log names a connection that is over its rate: a flood fills no disk.
const tellEvery = time.Second

func newLimiter(perSecond float64, now func() time.Time) *limiter {
	return &limiter{limit: rate.Limit(perSecond), now: now, buckets: map[int64]*bucket{}}
}

// take takes one request out of the connection's bucket, or says how long to wait for the next.
func (l *limiter) take(connection int64) (wait time.Duration, ok bool) {
	if l.limit == 0 {
		return 0, true
	}
	l.mu.Lock()
	b := l.buckets[connection]
	if b == nil {
		b = &bucket{Limiter: rate.NewLimiter(l.limit, int(math.Ceil(float64(l.limit))))}
		l.buckets[connection] = b
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

// tells reports whether the refusal of a request of the connection, which take has just refused, is to be logged.
func (l *limiter) tells(connection int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, now := l.buckets[connection], l.now()
	if now.Sub(b.told) < tellEvery {
		return false
	}
	b.told = now
	return true
}
