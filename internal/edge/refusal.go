package edge

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"meibo/provisioning"
)

// retryUnavailable is how long a client should leave an overloaded or absent database alone.
const retryUnavailable = 5 * time.Second

// RefusalOf is the Refusal that a status and the error behind it make. allow is what the router put down for a 405, if anything.
func RefusalOf(err error, status int, anonymous bool, allow any) Refusal {
	r := Refusal{Status: status, Anonymous: anonymous, Wait: retryUnavailable}
	r.Allow, _ = allow.(string)
	var fast *Throttled
	var own *provisioning.Error
	switch {
	case errors.As(err, &fast):
		r.Wait = fast.Wait
	case errors.As(err, &own) && own.RetryAfter > 0:
		r.Wait = own.RetryAfter
	}
	return r
}

// Refusal is what the headers of an answer that refuses a request say beside its status.
type Refusal struct {
	Status    int
	Anonymous bool          // 401: no credential was sent at all
	Allow     string        // 405: the methods that the router knows
	Wait      time.Duration // 429 and 503: when the same request may succeed
}

// Set writes the headers of RFC 6750 §3 and RFC 9110 §10.2 that the status demands.
func (r Refusal) Set(h http.Header) {
	switch r.Status {
	case http.StatusUnauthorized:
		challenge := `Bearer realm="meibo"`
		if !r.Anonymous {
			challenge += `, error="invalid_token"`
		}
		h.Set("WWW-Authenticate", challenge)
	case http.StatusMethodNotAllowed:
		if r.Allow != "" {
			h.Set("Allow", strings.TrimPrefix(r.Allow, "OPTIONS, ")) // which the router would answer, and we do not
		}
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		h.Set("Retry-After", strconv.Itoa(RetryAfter(r.Wait)))
	}
}
