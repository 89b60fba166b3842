package drill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	contentType      = "application/scim+json"
	maxAnswer        = 64 << 20 // a group of a million members
	maxThrottles     = 200      // 429s in a row for one request before the drill gives up on it
	maxSilence       = 20       // requests in a row without an answer before the drill gives up on the server
	unnamedWait      = time.Second
	maxQuotedBody    = 2048
	correlationField = "X-Correlation-Id"
)

// request is one call; path is relative to the base URL and starts with a slash.
type request struct {
	kind   string // how the report counts it, such as "user.create"
	method string
	path   string
	query  string // encoded, without the question mark
	body   any
	token  string // instead of the right one
	// delayable marks a departure, which a deletion tolerance may put off: 503 with Retry-After, for that object alone.
	delayable bool
}

// answer is a final answer: anything but a 429.
type answer struct {
	request
	status int
	header http.Header
	raw    []byte
	json   resource // nil without a body
	sent   []byte
}

// client sends requests, obeys throttling and judges what holds for every answer, whatever was asked.
type client struct {
	opt  Options
	base *url.URL
	rep  *Report
	stop context.CancelCauseFunc

	mu      sync.Mutex
	resumes time.Time // throttled until then, the whole client
	silence int       // requests in a row that got no answer
}

// send returns the final answer. ok is false when there is none to work with; why is in the report already.
func (c *client) send(ctx context.Context, q request) (a *answer, ok bool) {
	sent, err := bodyOf(q.body)
	if err != nil {
		c.stop(err)
		return nil, false
	}
	for range maxThrottles {
		a, wait, err := c.once(ctx, q, sent)
		switch {
		case ctx.Err() != nil:
			return nil, false
		case err != nil:
			c.report(a, transportFault(err), "an answer", err.Error())
			c.heard(err)
			return nil, false
		case wait == 0:
			c.heard(nil)
			return a, c.judge(a)
		}
		if c.pause(ctx, wait) != nil {
			return nil, false
		}
	}
	c.report(&answer{request: q, sent: sent}, throttleEndless, "an answer other than 429", fmt.Sprintf("429 %d times", maxThrottles))
	return nil, false
}

// heard counts requests without an answer, and ends the run when nobody seems to be there.
func (c *client) heard(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.silence = 0
		return
	}
	if c.silence++; c.silence >= maxSilence {
		c.stop(fmt.Errorf("%d requests in a row got no answer: %w", c.silence, err))
	}
}

func bodyOf(body any) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	return encode(body)
}

// once sends the request one time. wait is above zero when the server throttled it.
func (c *client) once(ctx context.Context, q request, sent []byte) (a *answer, wait time.Duration, err error) {
	a = &answer{request: q, sent: sent}
	if err := c.untilResumed(ctx); err != nil {
		return a, 0, err
	}
	hr, err := http.NewRequestWithContext(ctx, q.method, c.address(q), strings.NewReader(string(sent)))
	if err != nil {
		return a, 0, err
	}
	c.envelope(hr, q, sent)
	began := c.opt.Now()
	resp, err := c.opt.Client.Do(hr)
	if err != nil {
		return a, 0, err
	}
	defer resp.Body.Close()
	a.raw, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return a, 0, err
	}
	a.status, a.header = resp.StatusCode, resp.Header
	if a.status == http.StatusTooManyRequests {
		c.rep.throttled()
		return a, c.retryAfter(a), nil
	}
	c.rep.answered(q.kind, c.opt.Now().Sub(began))
	return a, 0, nil
}

func (c *client) envelope(hr *http.Request, q request, sent []byte) {
	token := c.opt.Token
	if q.token != "" {
		token = q.token
	}
	hr.Header.Set("Authorization", "Bearer "+token)
	hr.Header.Set("Accept", contentType)
	hr.Header.Set("ADSCIMVersion", "5.0")
	if sent != nil {
		hr.Header.Set("Content-Type", contentType+"; charset=utf-8")
	}
}

// address joins base, path and query. A query on the base URL, where administrators put Entra's flag, goes along.
func (c *client) address(q request) string {
	u := *c.base
	s := strings.TrimSuffix((&url.URL{Scheme: u.Scheme, User: u.User, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String(), "/") + q.path
	query := strings.Trim(strings.Trim(u.RawQuery, "&")+"&"+q.query, "&")
	if query == "" {
		return s
	}
	return s + "?" + query
}

// retryAfter reads the header in both of its forms (RFC 9110 section 10.2.3).
func (c *client) retryAfter(a *answer) time.Duration {
	v := a.header.Get("Retry-After")
	if seconds, err := strconv.Atoi(v); err == nil && seconds >= 0 {
		return max(time.Duration(seconds)*time.Second, time.Millisecond)
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(at.Sub(c.opt.Now()), time.Millisecond)
	}
	c.report(a, throttleNoRetryAfter, "Retry-After with seconds or a date", strconv.Quote(v))
	return unnamedWait
}

// pause holds back the whole client, as a throttled job does.
func (c *client) pause(ctx context.Context, wait time.Duration) error {
	c.mu.Lock()
	if at := c.opt.Now().Add(wait); at.After(c.resumes) {
		c.resumes = at
	}
	c.mu.Unlock()
	return c.opt.Sleep(ctx, wait)
}

// untilResumed waits out a pause that another request was told to make.
func (c *client) untilResumed(ctx context.Context) error {
	c.mu.Lock()
	left := c.resumes.Sub(c.opt.Now())
	c.mu.Unlock()
	if left <= 0 {
		return ctx.Err()
	}
	return c.opt.Sleep(ctx, left)
}

func transportFault(err error) fault {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return transportTimeout
	}
	return transportFailed
}

// report names a fault, with the answer that shows it if a single one does. Against a foreign server some faults are warnings.
func (c *client) report(a *answer, f fault, want, got string) {
	e := Error{Name: string(f), Want: want, Got: clip(got)}
	if a != nil && a.method != "" {
		e.Method, e.URL, e.Body, e.Status = a.method, c.address(a.request), clip(string(a.sent)), a.status
		e.CorrelationID = a.header.Get(correlationField)
	}
	c.rep.finding(e, c.opt.Foreign && foreignFree[f])
}

// foreignFree are the faults that only meibo's own promises make one.
var foreignFree = map[fault]bool{
	correlationMissing: true, correlationRepeated: true, restoreOtherID: true, deleteIDReused: true, deleteStillMember: true,
	searchReference: true, searchExternalIDCase: true, discoveryConfig: true, discoverySchemas: true, discoveryResourceTypes: true,
	duplicateScimType: true, createMeta: true,
}

func clip(s string) string {
	if len(s) <= maxQuotedBody {
		return s
	}
	return strings.ToValidUTF8(s[:maxQuotedBody], "") + "…"
}

// judge holds an answer against what every answer must be, and says whether there is something to work with.
func (c *client) judge(a *answer) bool {
	if a.method != http.MethodGet && (a.status < 500 || a.delayed()) {
		c.keepWrite(a)
	}
	if a.delayed() {
		c.rep.putOff()
		if a.header.Get("Retry-After") == "" {
			c.report(a, delayNoRetryAfter, "Retry-After with seconds or a date", "none")
		}
	} else if a.status >= 500 {
		c.report(a, serverError, "an answer below 500", describe(a))
		return false
	}
	if a.status == http.StatusUnauthorized && a.header.Get("WWW-Authenticate") == "" {
		c.report(a, authNoChallenge, "WWW-Authenticate", "none")
	}
	parsed := c.parse(a)
	if a.status >= 400 {
		c.judgeError(a)
	}
	switch a.status {
	case http.StatusUnauthorized:
		if a.token == "" {
			c.report(a, authTokenRefused, "the token to be accepted", describe(a))
			c.stop(fmt.Errorf("the server refuses the token: %s", describe(a)))
			return false
		}
	case http.StatusPreconditionFailed, http.StatusPreconditionRequired:
		c.report(a, preconditionAsked, "no precondition", describe(a))
		return false
	}
	return parsed || a.status >= 400
}

// delayed says that a departure was put off.
func (a *answer) delayed() bool { return a.delayable && a.status == http.StatusServiceUnavailable }

// parse decodes the body. False means that one is there and it is no JSON object.
func (c *client) parse(a *answer) bool {
	if len(a.raw) == 0 {
		return true
	}
	media, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(media), contentType) {
		c.report(a, answerContentType, contentType, strconv.Quote(a.header.Get("Content-Type")))
	}
	if err := json.Unmarshal(a.raw, &a.json); err != nil {
		if a.status < 400 {
			c.report(a, answerUnparsable, "a JSON object", describe(a))
		}
		a.json = nil
		return false
	}
	return true
}

// judgeError checks the shape of an error message (RFC 7644 section 3.12).
func (c *client) judgeError(a *answer) {
	if _, isText := a.json["detail"].(string); !contains(a.json["schemas"], errorSchema) || !isText {
		c.report(a, errorNotSCIM, "a message of schema "+errorSchema+" with a detail", describe(a))
		return
	}
	switch status := a.json["status"].(type) {
	case string:
		if status != strconv.Itoa(a.status) {
			c.report(a, errorStatusOther, strconv.Itoa(a.status), status)
		}
	default:
		c.report(a, errorStatusType, strconv.Quote(strconv.Itoa(a.status)), fmt.Sprintf("%v (%T)", status, status))
	}
}

func (c *client) keepWrite(a *answer) {
	w := Write{CorrelationID: a.header.Get(correlationField), Method: a.method, Status: a.status}
	if u, err := url.Parse(c.address(a.request)); err == nil {
		w.Path = u.Path
	}
	if parts := strings.Split(a.path, "/"); len(parts) > 2 {
		w.ResourceID = parts[2]
	} else if a.status < 300 {
		var created struct{ ID string }
		if json.Unmarshal(a.raw, &created) == nil {
			w.ResourceID = created.ID
		}
	}
	repeated := c.rep.written(w)
	switch {
	case w.CorrelationID == "":
		c.report(a, correlationMissing, correlationField, "none")
	case repeated:
		c.report(a, correlationRepeated, "an id of its own for each answer", w.CorrelationID)
	}
}

func describe(a *answer) string {
	if len(a.raw) == 0 {
		return strconv.Itoa(a.status) + " without a body"
	}
	return strconv.Itoa(a.status) + " " + clip(string(a.raw))
}

// contains says whether a decoded JSON list holds the string.
func contains(list any, want string) bool {
	values, _ := list.([]any)
	for _, v := range values {
		if v == want {
			return true
		}
	}
	return false
}
