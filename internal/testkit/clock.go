package testkit

import (
	"sync/atomic"
	"time"
)

// Clock is a clock that moves only when told to. Its Now fits every Options field of type func() time.Time.
// It keeps microseconds, the finest step that both databases store, and is safe for concurrent use.
// The zero Clock stands at the Unix epoch.
type Clock struct {
	micros atomic.Int64
}

// NewClock returns a clock that stands at start, truncated to microseconds.
func NewClock(start time.Time) *Clock {
	c := &Clock{}
	c.Set(start)
	return c
}

// Now returns the instant the clock stands at, in UTC.
func (c *Clock) Now() time.Time { return time.UnixMicro(c.micros.Load()).UTC() }

// Set moves the clock to t, truncated to microseconds; it may move backwards.
func (c *Clock) Set(t time.Time) { c.micros.Store(t.UnixMicro()) }

// Advance moves the clock by d, truncated to microseconds, and returns the new instant.
func (c *Clock) Advance(d time.Duration) time.Time {
	return time.UnixMicro(c.micros.Add(d.Microseconds())).UTC()
}
