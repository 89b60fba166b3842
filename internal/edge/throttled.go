package edge

import "time"

// Throttled is the error of a caller that asks faster than its rate.
type Throttled struct {
	By   string        // what the rate is kept of, such as "with this key"
	Wait time.Duration // until the next request may come
}

func (t *Throttled) Error() string {
	return "too many requests " + t.By + "; repeat this one after the time in Retry-After"
}
