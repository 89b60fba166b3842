package endpoint

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"meibo/internal/capture"
	"meibo/provisioning"
	"meibo/scim"
)

const contentType = "application/scim+json"

// Limits of a request (design §10).
const (
	maxUserBody  = 1 << 20
	maxGroupBody = 16 << 20 // a group may list its members
	largeBody    = 64 << 10 // from here on a body needs a place: read, it may take fifty times its size
	bodyTimeout  = 60 * time.Second
	placeTimeout = 5 * time.Second // for a place that is taken
	maxID        = 256             // far longer than any id of ours
	maxPath      = 1024            // of what the journal keeps of an address
)

// Pages (semantics §1).
const (
	defaultCount = 100
	maxCount     = 1000
)

// places are the few that there are for something costly.
type places struct {
	all   chan struct{}
	share int
	of    sync.Map // connection id → chan struct{}: its share
}

func newPlaces(all, share int) *places { return &places{all: make(chan struct{}, all), share: share} }

// hold takes a place until letGo, first of the connection's share. Unavailable where none is free
// for a while.
func (c *call) hold(p *places) error {
	share, known := p.of.Load(c.caller.Connection.ID)
	if !known {
		share, _ = p.of.LoadOrStore(c.caller.Connection.ID, make(chan struct{}, p.share))
	}
	patience := time.NewTimer(placeTimeout)
	defer patience.Stop()
	for _, place := range []chan struct{}{share.(chan struct{}), p.all} {
		select {
		case place <- struct{}{}:
			c.release = append(c.release, place)
		case <-patience.C:
			return &provisioning.Error{Kind: provisioning.Unavailable,
				Detail: "too many large requests are under way; repeat this one after the time in Retry-After"}
		case <-c.context().Done():
			return c.context().Err()
		}
	}
	return nil
}

// letGo gives the places back.
func (c *call) letGo() {
	for _, places := range c.release {
		<-places
	}
	c.release = nil
}

// awaitBody gives the client time for its body, whoever it is, so that a slow one holds nothing for
// ever. It is not for requests without a body: there the deadline would end the request itself. A
// server without deadlines (a test's recorder) is no fault of the request.
func (c *call) awaitBody() {
	if c.echo.Request().ContentLength != 0 {
		_ = http.NewResponseController(c.echo.Response()).SetReadDeadline(time.Now().Add(bodyTimeout))
	}
}

// id is the resource that the address names. Routing keeps it escaped only where the path needs
// its escapes; a second unescaping would make another id of it. One that no database keeps, or no
// index, is escaped and cut: no resource has it, and the journal can say what was asked for.
func (c *call) id() string {
	id := c.echo.Param("id")
	if c.echo.Request().URL.RawPath != "" {
		if plain, err := url.PathUnescape(id); err == nil {
			id = plain
		}
	}
	if len(id) > maxID || !utf8.ValidString(id) || strings.Contains(id, "\x00") {
		return cut(url.PathEscape(id), maxID)
	}
	return id
}

// cut bounds ASCII text.
func cut(s string, length int) string { return s[:min(len(s), length)] }

// object reads the body as one JSON object.
func (c *call) object(t scim.ResourceType) (map[string]any, error) {
	data, err := c.body(t)
	if err != nil {
		return nil, err
	}
	if c.kept != nil {
		c.kept.request = capture.NewBody(data) // a copy of what is kept: a large body would wait in memory for its answer
	}
	v, err := scim.ParseJSON(data)
	if err != nil {
		return nil, err
	}
	raw, ok := v.(map[string]any)
	if !ok {
		return nil, &scim.Error{Type: scim.InvalidSyntax, Detail: "the body must be one JSON object"}
	}
	return raw, nil
}

func (c *call) body(t scim.ResourceType) ([]byte, error) {
	r := c.echo.Request()
	if err := checkMedia(r.Header); err != nil {
		return nil, err
	}
	limit := int64(maxUserBody)
	if t == scim.Group {
		limit = maxGroupBody
	}
	var data []byte
	err := error(&http.MaxBytesError{Limit: limit})
	if r.ContentLength <= limit {
		data, err = c.read(http.MaxBytesReader(c.echo.Response(), r.Body, limit))
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, unacceptable(http.StatusRequestEntityTooLarge,
			"the body is larger than "+strconv.FormatInt(limit, 10)+" bytes; send the members of a group in several PATCH requests")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, unacceptable(http.StatusRequestTimeout, "the body took too long to arrive; send it again")
	case provisioning.KindOf(err) == provisioning.Unavailable, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return nil, err
	case err != nil:
		return nil, &scim.Error{Type: scim.InvalidSyntax, Detail: "the body could not be read to its end"}
	}
	return data, nil
}

// read reads a body. A place is taken only once it has turned out to be large: whoever sends slowly,
// or does not say how much will come, holds none meanwhile.
func (c *call) read(body io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, largeBody+1))
	if err != nil || len(data) <= largeBody {
		return data, err
	}
	if err := c.hold(c.largeBodies); err != nil {
		return nil, err
	}
	c.awaitBody() // the wait for a place was not the client's
	rest := bytes.NewBuffer(data)
	_, err = rest.ReadFrom(body)
	return rest.Bytes(), err
}

// checkMedia takes the media types that clients send for SCIM: its own, plain JSON, or none.
func checkMedia(h http.Header) error {
	if enc := h.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return unacceptable(http.StatusUnsupportedMediaType, "encoded bodies are not understood; send the body without Content-Encoding")
	}
	ct := h.Get("Content-Type")
	if ct == "" {
		return nil
	}
	media, params, err := mime.ParseMediaType(ct)
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "utf8") {
		return unacceptable(http.StatusUnsupportedMediaType, "the body must be UTF-8, as all JSON is")
	}
	if err != nil || media != contentType && media != "application/json" {
		return unacceptable(http.StatusUnsupportedMediaType, "the body must be application/scim+json or application/json")
	}
	return nil
}

// takenParameters are the query parameters that are not ignored.
var takenParameters = []string{"filter", "startindex", "count", "attributes", "excludedattributes"}

// parameters are the query parameters, read once; see readParameters.
func (c *call) parameters() (map[string]string, error) {
	if c.query == nil {
		query, err := c.readParameters()
		if err != nil {
			return nil, err
		}
		c.query = query
	}
	return c.query, nil
}

// readParameters reads the query parameters under lower-case names; unknown ones are ignored, since
// administrators append flags to the address they give to Entra.
func (c *call) readParameters() (map[string]string, error) {
	q, err := url.ParseQuery(c.echo.Request().URL.RawQuery)
	if err != nil {
		return nil, &scim.Error{Type: scim.InvalidSyntax, Detail: "the query is not URL-encoded; escape % as %25, & as %26, ; as %3B and + as %2B"}
	}
	out := make(map[string]string, len(q))
	for name, values := range q {
		lower := strings.ToLower(name)
		if _, twice := out[lower]; twice || len(values) > 1 && slices.Contains(takenParameters, lower) {
			return nil, &scim.Error{Type: scim.InvalidSyntax, Detail: "the parameter " + lower + " is given twice; send it once"}
		}
		out[lower] = values[0]
	}
	return out, nil
}

// paging reads startIndex and count (RFC 7644 §3.4.2.4): below the least is the least, above the
// most the most.
func paging(params map[string]string) (start, count int, err error) {
	start, count = 1, defaultCount
	for name, field := range map[string]*int{"startindex": &start, "count": &count} {
		text, given := params[name]
		if !given || text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			return 0, 0, &scim.Error{Type: scim.InvalidValue, Path: name, Detail: name + " must be a whole number"}
		}
		*field = n
	}
	return max(1, start), min(max(0, count), maxCount), nil
}

// condition reads If-Match and If-None-Match of a write; nil where neither is there.
func condition(h http.Header) provisioning.Condition {
	match, none := strings.Join(h.Values("If-Match"), ","), strings.Join(h.Values("If-None-Match"), ",")
	if match == "" && none == "" {
		return nil
	}
	return func(version int64) bool {
		return (match == "" || matches(match, version)) && (none == "" || !matches(none, version))
	}
}

// matches reports whether a list of entity tags, or *, covers a version. All our tags are weak, so
// the weak comparison is the only one that makes sense (RFC 7644 §3.14 uses weak tags as well).
func matches(tags string, version int64) bool {
	want := strings.TrimPrefix(etag(version), "W/")
	for tag := range strings.SplitSeq(tags, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || strings.TrimPrefix(tag, "W/") == want {
			return true
		}
	}
	return false
}

func etag(version int64) string { return `W/"` + strconv.FormatInt(version, 10) + `"` }
