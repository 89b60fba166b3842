package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"

	"meibo/internal/edge"
	"meibo/provisioning"
	"meibo/scim"
)

var (
	errNoToken = echo.NewHTTPError(http.StatusUnauthorized, "no bearer token was sent; put the connection's token into the Authorization header")
	// errBadToken does not say whether the token is unknown, expired, revoked or another tenant's.
	errBadToken = echo.NewHTTPError(http.StatusUnauthorized, "the bearer token is not valid here; create a new one and put it into the client's settings")
)

// errPaused is the answer on a connection that an administrator paused: never a 401, which would end the client's job.
var errPaused = &provisioning.Error{Kind: provisioning.Unavailable, RetryAfter: 10 * time.Minute,
	Detail: "this connection is paused by an administrator of meibo; the request can be repeated once it is resumed"}

var kindStatus = map[provisioning.Kind]int{
	provisioning.Internal:     http.StatusInternalServerError,
	provisioning.Invalid:      http.StatusBadRequest,
	provisioning.NotFound:     http.StatusNotFound,
	provisioning.Conflict:     http.StatusConflict,
	provisioning.Precondition: http.StatusPreconditionFailed,
	provisioning.Forbidden:    http.StatusForbidden,
	provisioning.Gone:         http.StatusGone,
	provisioning.Unavailable:  http.StatusServiceUnavailable,
}

// fault is an error in the words of the protocol.
type fault struct {
	status   int
	scimType string
	detail   string
}

// translate is the one translation of an error.
func translate(err error) fault {
	var h *echo.HTTPError
	var s *scim.Error
	var p *provisioning.Error
	var t *edge.Throttled
	switch {
	case errors.As(err, &p):
		a := fault{kindStatus[p.Kind], p.Type, p.Detail}
		if p.Kind == provisioning.Invalid && errors.As(p.Err, &h) {
			a.status = h.Code
		}
		return a
	case errors.As(err, &s):
		return fault{http.StatusBadRequest, string(s.Type), s.Message()}
	case errors.As(err, &t):
		return fault{http.StatusTooManyRequests, "", t.Error()}
	case errors.As(err, &h):
		return fault{h.Code, "", routeDetail(h)}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fault{http.StatusServiceUnavailable, "", "the request took too long; repeat it later"}
	default:
		return fault{status: http.StatusInternalServerError}
	}
}

// routeDetail explains what the router, or one of our own HTTP errors, found wrong.
func routeDetail(h *echo.HTTPError) string {
	switch text, ok := h.Message.(string); {
	case h.Code == http.StatusNotFound:
		return "there is no such address; the SCIM base is /t/{tenant}/scim/v2"
	case h.Code == http.StatusMethodNotAllowed:
		return "this address does not know the method; the Allow header lists those it knows"
	case ok:
		return text
	default:
		return http.StatusText(h.Code)
	}
}

func statusOf(err error) int { return translate(err).status }

// unacceptable is the fault of a request whose body is not even read.
func unacceptable(status int, detail string) error {
	return &provisioning.Error{Kind: provisioning.Invalid, Detail: detail, Err: echo.NewHTTPError(status, detail)}
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
		c.logBroken(err)
		panic(http.ErrAbortHandler)
	}
	a := translate(err)
	switch {
	case a.status == http.StatusInternalServerError:
		c.Log.Error("internal error", zap.String("correlationId", c.correlation), zap.Error(err))
		a.detail = "internal error; the server's log has it under the correlation id " + c.correlation
	case a.status == http.StatusServiceUnavailable:
		c.Log.Warn("request not served", zap.String("correlationId", c.correlation), zap.Int("status", a.status), zap.Error(err))
	}
	c.errorHeaders(w.Header(), err, a.status)
	w.WriteHeader(a.status)
	body := scimError{Schemas: []string{scim.ErrorSchema}, Status: strconv.Itoa(a.status), ScimType: a.scimType, Detail: a.detail}
	if data, err := json.Marshal(body); err == nil {
		_, _ = c.write(data) // a client that is gone needs no answer
	}
}

// logBroken logs an answer that ended early: a fault of ours, unless the client went away.
func (c *call) logBroken(err error) {
	log := c.Log.Error
	if c.context().Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) {
		log = c.Log.Info
	}
	log("answer broken off", zap.String("correlationId", c.correlation), zap.Error(err))
}

func (c *call) errorHeaders(h http.Header, err error, status int) {
	h.Set("Content-Type", contentType)
	h.Del("ETag") // of what was about to be answered
	h.Del("Location")
	edge.RefusalOf(err, status, errors.Is(err, errNoToken), c.echo.Get(echo.ContextKeyHeaderAllow)).Set(h)
}
