package endpoint

import (
	"net/http"
	"time"

	"meibo/internal/capture"
)

// kept is what of an exchange has to be held on to until it is over.
type kept struct {
	always   bool // whatever comes of it
	request  capture.Body
	answered []byte // the first MaxBody bytes of the answer
	size     int    // of the answer
}

// keepExchange begins to hold on to an exchange whose caller is known. A read that goes well is let go at the end: what failed
// of it is known no earlier than its answer.
func (c *call) keepExchange() {
	if c.Capture == nil {
		return
	}
	c.kept = &kept{always: !reads(c.echo.Request().Method) || c.started.Before(c.caller.Connection.DebugUntil)}
}

func reads(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// answer holds on to a part of the answer.
func (k *kept) answer(status int, p []byte) {
	if !k.always && status < http.StatusBadRequest {
		return
	}
	k.size += len(p)
	if room := capture.MaxBody - len(k.answered); room > 0 {
		k.answered = append(k.answered, p[:min(room, len(p))]...)
	}
}

// captureExchange hands over an exchange that is over, if it is one to be kept.
func (c *call) captureExchange() {
	status := c.echo.Response().Status
	if c.kept == nil || !c.kept.always && status < http.StatusBadRequest {
		return
	}
	r := c.echo.Request()
	x := capture.Exchange{Tenant: c.caller.Tenant, Correlation: c.correlation, Connection: c.caller.Connection.ID, At: c.started.UTC().Truncate(time.Microsecond),
		Method: r.Method, Target: cut(r.URL.RequestURI(), maxPath), Duration: c.Now().Sub(c.started), Status: status,
		Headers: map[string]string{}, Answered: map[string]string{},
		Request: c.kept.request, Answer: capture.Body{Text: c.kept.answered, Size: c.kept.size}}
	keep(x.Headers, r.Header, capture.KeptHeaders)
	keep(x.Answered, c.echo.Response().Header(), answeredHeaders)
	c.Capture(x)
}

// answeredHeaders are the headers of an answer that say something.
var answeredHeaders = []string{"Content-Type", "ETag", "Location", "Retry-After"}

func keep(to map[string]string, h http.Header, names []string) {
	for _, name := range names {
		if value := h.Get(name); value != "" {
			to[name] = value
		}
	}
}
