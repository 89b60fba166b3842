package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"

	"meibo/provisioning"
	"meibo/scim"
)

var (
	errNoToken = echo.NewHTTPError(http.StatusUnauthorized, "no bearer token was sent; put the connection's token into the Authorization header")
	// errBadToken does not say whether the token is unknown, expired, revoked or another tenant's.
	errBadToken = echo.NewHTTPError(http.StatusUnauthorized, "the bearer token is not valid here; create a new one and put it into the client's settings")
)

// throttled is the answer to a connection that asks faster than its rate.
type throttled struct{ wait time.Duration }

func (t *throttled) Error() string {
	return "too many requests on this connection; repeat this one after the time in Retry-After"
}

// retryUnavailable is how long a client should leave an overloaded or absent database alone.
const retryUnavailable = 5 * time.Second

var kindStatus = map[provisioning.Kind]int{
	provisioning.Internal:     http.StatusInternalServerError,
	provisioning.Invalid:      http.StatusBadRequest,
	provisioning.NotFound:     http.StatusNotFound,
	provisioning.Conflict:     http.StatusConflict,
	provisioning.Precondition: http.StatusPreconditionFailed,
	provisioning.Forbidden:    http.StatusForbidden,
	provisioning.Unavailable:  http.StatusServiceUnavailable,
}

// statusOf is the one translation of an error into a status code.
func statusOf(err error) int {
	var h *echo.HTTPError
	var s *scim.Error
	var p *provisioning.Error
	var t *throttled
	switch {
	case errors.As(err, &p):
		return kindStatus[p.Kind]
	case errors.As(err, &s):
		return http.StatusBadRequest
	case errors.As(err, &h):
		return h.Code
	case errors.As(err, &t):
		return http.StatusTooManyRequests
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// scimError is the message of RFC 7644 §3.12. Status is a string there.
type scimError struct {
	Schemas  []string `json:"schemas"`
	Status   string   `json:"status"`
	ScimType string   `json:"scimType,omitempty"`
	Detail   string   `json:"detail"`
}

// fail answers err as a SCIM error. The text of an unknown error goes to the log only.
func (c *call) fail(err error) {
	w := c.echo.Response()
	if w.Committed {
		// Half an answer must not look like a whole one.
		c.Log.Error("answer broken off", zap.String("correlationId", c.correlation), zap.Error(err))
		panic(http.ErrAbortHandler)
	}
	status := statusOf(err)
	body := scimError{Schemas: []string{scim.ErrorSchema}, Status: strconv.Itoa(status)}
	body.ScimType, body.Detail = describe(err, status)
	if status == http.StatusInternalServerError {
		c.Log.Error("internal error", zap.String("correlationId", c.correlation), zap.Error(err))
		body.Detail = "internal error; the server's log has it under the correlation id " + c.correlation
	}
	c.errorHeaders(w.Header(), err, status)
	w.WriteHeader(status)
	if data, err := json.Marshal(body); err == nil {
		_, _ = w.Write(data) // a client that is gone needs no answer
	}
}

// describe is what of an error the client may read.
func describe(err error, status int) (scimType, detail string) {
	var h *echo.HTTPError
	var s *scim.Error
	var p *provisioning.Error
	var t *throttled
	switch {
	case errors.As(err, &p):
		return p.Type, p.Detail
	case errors.As(err, &s):
		return string(s.Type), s.Detail
	case errors.As(err, &t):
		return "", t.Error()
	case status == http.StatusNotFound:
		return "", "there is no such address; the SCIM base is /t/{tenant}/scim/v2"
	case status == http.StatusMethodNotAllowed:
		return "", "this address does not know the method; the Allow header lists those it knows"
	case errors.As(err, &h):
		if text, ok := h.Message.(string); ok {
			return "", text
		}
	}
	return "", http.StatusText(status)
}

func (c *call) errorHeaders(h http.Header, err error, status int) {
	h.Set("Content-Type", contentType)
	switch status {
	case http.StatusUnauthorized:
		challenge := `Bearer realm="meibo"`
		if !errors.Is(err, errNoToken) {
			challenge += `, error="invalid_token"`
		}
		h.Set("WWW-Authenticate", challenge)
	case http.StatusTooManyRequests:
		var t *throttled
		if errors.As(err, &t) {
			h.Set("Retry-After", strconv.Itoa(int(math.Ceil(max(1, t.wait.Seconds())))))
		}
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", strconv.Itoa(int(retryUnavailable.Seconds())))
	}
}
