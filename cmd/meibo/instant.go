package main

import (
	"strconv"
	"strings"
	"time"
)

// direction is where a span of time leads from now.
type direction time.Duration

const (
	ahead direction = 1
	back  direction = -1
)

// instant reads a point in time as people write it: an RFC 3339 instant, a date (its first moment
// in UTC), or a span from now such as 90d or 12h. "" is the zero time.
func instant(text string, now time.Time, way direction) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	span, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n int64
		n, err = strconv.ParseInt(days, 10, 17) // 179 years; a Duration holds 292
		span = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || span <= 0 {
		return time.Time{}, misuse("%q is no time; write an instant such as 2027-01-31T09:00:00Z, a date, or a span such as 90d or 12h", text)
	}
	return now.Add(time.Duration(way) * span), nil
}
