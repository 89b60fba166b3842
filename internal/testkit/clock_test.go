package testkit

import (
	"testing"
	"time"
)

func TestClock(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 29, 1, 59, 59, 123456789, time.FixedZone("CET", 3600))
	c := NewClock(start)

	if got, want := c.Now(), start.UTC().Truncate(time.Microsecond); got != want {
		t.Errorf("Now() = %v, want %v", got, want)
	}
	if got, want := c.Advance(time.Hour), start.UTC().Truncate(time.Microsecond).Add(time.Hour); got != want {
		t.Errorf("Advance(1h) = %v, want %v", got, want)
	}
	c.Set(start.Add(-time.Hour))
	if got, want := c.Now(), start.UTC().Truncate(time.Microsecond).Add(-time.Hour); got != want {
		t.Errorf("Now() after Set = %v, want %v", got, want)
	}
}
