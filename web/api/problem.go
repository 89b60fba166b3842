package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/labstack/echo/v4"
	"go.uber.org/zap"

	"meibo/internal/edge"
	"meibo/provisioning"
	"meibo/scim"
)

// Problem is what every error is answered with (RFC 9457). Nothing in it is the client's text.
type Problem struct {
	Type          string  `json:"type" format:"uri-reference" doc:"Always about:blank: status and code say what it is."`
	Title         string  `json:"title" doc:"The status in words."`
	Status        int     `json:"status" minimum:"400" maximum:"599"`
	Code          string  `json:"code,omitempty" doc:"What kind of fault it is, for programs: a kind such as notFound, or a scimType of RFC 7644."`
	Detail        string  `json:"detail" doc:"What is wrong and what to do, for people."`
	CorrelationID string  `json:"correlationId,omitempty" doc:"The id of the request in the server's log and journal."`
	Errors        []Fault `json:"errors,omitempty" nullable:"false" doc:"What does not fit this document, part by part."`
}

// Fault is what is wrong with one part of a request.
type Fault struct {
	Location string `json:"location,omitempty" doc:"Where it is, such as query.limit or body.role."`
	Message  string `json:"message"`
}

// Error implements error.
func (p *Problem) Error() string { return p.Detail }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return problemMedia }

const problemMedia = "application/problem+json"

// huma knows one builder of errors in a process. Its own repeats values, and whole bodies where they are broken.
func init() {
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return invalidRequest(status, message, errs)
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
		p := invalidRequest(status, message, errs)
		if c, ok := humaCall(ctx); ok {
			p.CorrelationID = c.correlation
			if status == http.StatusInternalServerError {
				c.Log.Error("internal error", zap.String("correlationId", c.correlation), zap.Errors("errors", errs))
			}
		}
		return p
	}
	huma.DefaultArrayNullable = false
}

// humaCall is the call of a context, which has none while the document is made.
func humaCall(ctx huma.Context) (*call, bool) {
	if ctx == nil {
		return nil, false
	}
	return callOf(ctx), true
}

// requestFaults say what is wrong by status, where huma's own words would not do or would repeat what came.
var requestFaults = map[int]string{
	http.StatusBadRequest:            "the body is missing or is no JSON; send one JSON object",
	http.StatusRequestTimeout:        "the body took too long to arrive; send it again",
	http.StatusRequestEntityTooLarge: "the body is too large",
	http.StatusUnsupportedMediaType:  "the body must be application/json",
	http.StatusUnprocessableEntity:   "the request does not fit the API's document; errors says where",
	http.StatusInternalServerError:   "internal error; the server's log has it under the correlation id",
}

// invalidRequest is the problem of a request that the document does not allow.
func invalidRequest(status int, message string, errs []error) *Problem {
	p := newProblem(status, codes[provisioning.Invalid], message)
	if status >= http.StatusInternalServerError {
		p.Code = codes[provisioning.Internal]
	}
	if own, ok := requestFaults[status]; ok {
		p.Detail = own
	}
	if status != http.StatusUnprocessableEntity {
		return p
	}
	for _, err := range errs {
		var detail *huma.ErrorDetail
		if errors.As(err, &detail) {
			p.Errors = append(p.Errors, Fault{Location: location(detail.Location), Message: faultMessage(detail.Message)})
		}
	}
	return p
}

// location is the place of a fault. A place may be named by the client, as an unexpected property is.
func location(path string) string {
	if len(path) > maxLocation || !plainLocation.MatchString(path) {
		place, _, _ := strings.Cut(path, ".")
		return place
	}
	return path
}

const maxLocation = 80

var plainLocation = regexp.MustCompile(`^[A-Za-z0-9_.\[\]-]+$`)

// faultMessage is huma's message without what it says of the value: it stands behind a colon, if at all.
func faultMessage(message string) string {
	if strings.HasPrefix(message, "expected string to match pattern ") || strings.HasPrefix(message, "expected value to be one of ") {
		return message // which come from the document
	}
	if strings.HasPrefix(message, "json: ") {
		return "expected another type" // which the document has
	}
	plain, _, _ := strings.Cut(message, ": ")
	return plain
}

var (
	errNoKey = &authError{"no API key was sent; put one into the Authorization header: Bearer meibokey_…"}
	// errBadKey does not say whether the key is unknown, expired or revoked.
	errBadKey = &authError{"the API key is not valid; an owner can create a new one, or `meibo key create`"}
)

// authError is answered 401.
type authError struct{ detail string }

func (e *authError) Error() string { return e.detail }

var kindStatus = map[provisioning.Kind]int{
	provisioning.Internal:     http.StatusInternalServerError,
	provisioning.Invalid:      http.StatusUnprocessableEntity,
	provisioning.NotFound:     http.StatusNotFound,
	provisioning.Conflict:     http.StatusConflict,
	provisioning.Precondition: http.StatusPreconditionFailed,
	provisioning.Forbidden:    http.StatusForbidden,
	provisioning.Gone:         http.StatusGone,
	provisioning.Unavailable:  http.StatusServiceUnavailable,
}

// codes are the kinds as clients read them.
var codes = map[provisioning.Kind]string{
	provisioning.Internal: "internal", provisioning.Invalid: "invalid", provisioning.NotFound: "notFound", provisioning.Conflict: "conflict",
	provisioning.Precondition: "precondition", provisioning.Forbidden: "forbidden", provisioning.Gone: "gone", provisioning.Unavailable: "unavailable",
}

func newProblem(status int, code, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

// translate is the one translation of an error.
func translate(err error) *Problem {
	var (
		ready *Problem
		core  *provisioning.Error
		rule  *scim.Error
		who   *authError
		fast  *edge.Throttled
		route *echo.HTTPError
	)
	switch {
	case errors.As(err, &ready):
		again := *ready
		return &again
	case errors.As(err, &core):
		p := newProblem(kindStatus[core.Kind], codes[core.Kind], core.Detail)
		if core.Type != "" {
			p.Code = core.Type
		}
		return p
	case errors.As(err, &rule):
		return newProblem(http.StatusUnprocessableEntity, string(rule.Type), rule.Message())
	case errors.As(err, &who):
		return newProblem(http.StatusUnauthorized, "unauthorized", who.detail)
	case errors.As(err, &fast):
		return newProblem(http.StatusTooManyRequests, "throttled", fast.Error())
	case errors.As(err, &route):
		return newProblem(route.Code, "", routeDetail(route))
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return newProblem(http.StatusServiceUnavailable, codes[provisioning.Unavailable], "the request took too long; repeat it later")
	default:
		return newProblem(http.StatusInternalServerError, codes[provisioning.Internal], "")
	}
}

// routeDetail explains what the router found wrong.
func routeDetail(h *echo.HTTPError) string {
	switch h.Code {
	case http.StatusNotFound:
		return "there is no such address; " + Base + "/openapi.json lists those there are"
	case http.StatusMethodNotAllowed:
		return "this address does not know the method; the Allow header lists those it knows"
	default:
		return http.StatusText(h.Code)
	}
}

// fail answers err.
func (c *call) fail(err error) {
	w := c.echo.Response()
	if w.Committed {
		// Half an answer must not look like a whole one.
		c.Log.Error("answer broken off", zap.String("correlationId", c.correlation), zap.Error(err))
		panic(http.ErrAbortHandler)
	}
	p := c.problem(err)
	w.Header().Set("Content-Type", problemMedia)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client is gone if this fails
}
