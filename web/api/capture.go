package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"meibo/internal/capture"
	"meibo/internal/replay"
	"meibo/internal/seal"
	"meibo/provisioning"
)

// Capture is a request with its answer, as they went over the wire but for secrets.
type Capture struct {
	CorrelationID string            `json:"correlationId"`
	At            time.Time         `json:"at"`
	Method        string            `json:"method"`
	Target        string            `json:"target" doc:"Path and query."`
	Headers       map[string]string `json:"headers"`
	Request       CapturedBody      `json:"request"`
	Status        int               `json:"status"`
	Answered      map[string]string `json:"answered" doc:"Headers of the answer."`
	Answer        CapturedBody      `json:"answer"`
	DurationMS    float64           `json:"durationMs" minimum:"0"`
}

// CapturedBody is what of a body was kept.
type CapturedBody struct {
	JSON any    `json:"json,omitempty" doc:"The body, where it is one JSON document."`
	Text string `json:"text,omitempty" doc:"The body, where it is none."`
	Size int    `json:"size" minimum:"0" doc:"Of the whole body, in bytes."`
	Note string `json:"note,omitempty" doc:"Why it is not as it was sent."`
}

// ReplayRequest says under which settings a request is evaluated again.
type ReplayRequest struct {
	Under    string   `json:"under" enum:"then,now,draft" doc:"The settings that decided then, those in force now, or those given."`
	Settings document `json:"settings,omitempty"`
}

// Replay is what a request came to when it was evaluated again.
type Replay struct {
	Entry   string             `json:"entry" format:"uuid"`
	Under   string             `json:"under" enum:"then,now,draft"`
	Same    bool               `json:"same" doc:"It was decided and answered as it was recorded."`
	Status  replay.Pair[int]   `json:"status"`
	Answer  []AnswerDifference `json:"answer" doc:"Attributes of the answer that differ."`
	Entries []EntryDifference  `json:"entries" doc:"Fields of the journal's entries that differ."`
}

// AnswerDifference is an attribute in which two answers differ.
type AnswerDifference struct {
	Path     string `json:"path" doc:"Empty for the whole answer."`
	Recorded any    `json:"recorded,omitempty"`
	Replayed any    `json:"replayed,omitempty"`
}

// EntryDifference is a field in which two entries differ.
type EntryDifference struct {
	Entry    int    `json:"entry" minimum:"0" doc:"Number of the entry among those of the request."`
	Path     string `json:"path" doc:"Name of the field; of an attribute's difference diff. and its path."`
	Recorded any    `json:"recorded,omitempty"`
	Replayed any    `json:"replayed,omitempty"`
}

// CapturedRequest is a captured request without what was in it.
type CapturedRequest struct {
	CorrelationID string    `json:"correlationId" format:"uuid"`
	At            time.Time `json:"at"`
	Connection    string    `json:"connection,omitempty" doc:"Absent of one that does not exist any more."`
	Method        string    `json:"method,omitempty"`
	Target        string    `json:"target,omitempty" doc:"Path and query."`
	Status        int       `json:"status,omitempty"`
	DurationMS    float64   `json:"durationMs,omitempty" minimum:"0"`
	Sealed        bool      `json:"sealed,omitempty" doc:"It was sealed with another secret_key than the server has now, which tells no more of it."`
}

type capturesInput struct {
	Connection string    `query:"connection" pattern:"^[a-z0-9-]{1,40}$" doc:"Of this connection."`
	Since      time.Time `query:"since" doc:"From then on."`
	Until      time.Time `query:"until" doc:"Before then."`
	Limit      int       `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many at most. A page may be short, or empty, and still have a next."`
	Next       string    `query:"next" format:"uuid" pattern:"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$" doc:"The next of the page before."`
}

type replayInput struct {
	ID   string        `path:"id" format:"uuid" pattern:"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"`
	Body ReplayRequest `required:"true"`
}

func (a *api) captureOperations() {
	missing := []int{http.StatusNotFound}
	register(a, operation{id: "getCapture", method: http.MethodGet, path: "/log/{id}/capture", tag: logTag, roles: people, errors: missing,
		summary: "See the request of an entry as it was sent, and its answer", description: "Kept of requests that wrote or failed, for capture_retention, and of all of a connection that is debugged. Secrets are never kept."},
		(*call).capture)
	register(a, operation{id: "listCaptures", method: http.MethodGet, path: "/captures", tag: logTag, roles: people, errors: missing,
		summary: "List captured requests", description: "Latest first, with an entry in the log or without: reads that failed, and all reads of a connection that is debugged, have none."},
		(*call).captures)
	register(a, operation{id: "getCapturedRequest", method: http.MethodGet, path: "/captures/{id}", tag: logTag, roles: people, errors: append(missing, http.StatusConflict),
		summary: "See a captured request as it was sent, and its answer", description: "By its correlation id, which the client got as X-Correlation-Id."},
		func(c *call, in *idInput) (*single[Capture], error) { return c.exchange(in.ID) })
	register(a, operation{id: "replay", method: http.MethodPost, path: "/log/{id}/replay", tag: logTag, roles: people, errors: missing,
		summary: "Evaluate the request of an entry again", description: "Against the tenant as it was when the request came, by the same code. Nothing is written; what would come out otherwise is shown. " +
			"Of a tolerance what was spent is counted from the journal; how many accounts there are, and what a person allowed, is as it is now. " +
			"A key of the role support replays under a draft only with `unmask`: 403 otherwise."},
		(*call).replay)
}

var errNoCaptures = &provisioning.Error{Kind: provisioning.NotFound, Detail: "requests are not captured here: the server has no secret_key to seal them with, or capture_retention is 0"}

func (c *call) capture(in *idInput) (*single[Capture], error) {
	if c.Exchange == nil {
		return nil, errNoCaptures
	}
	found, err := c.Service.EntryPage(c.context(), c.tenant(), provisioning.EntryQuery{ID: in.ID, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(found.Entries) == 0 {
		return nil, errNoEntry
	}
	return c.exchange(found.Entries[0].Correlation)
}

// exchange answers with the captured request of a correlation.
func (c *call) exchange(correlation string) (*single[Capture], error) {
	if c.Exchange == nil {
		return nil, errNoCaptures
	}
	x, err := c.Exchange(c.context(), c.tenant(), correlation)
	switch {
	case errors.Is(err, seal.ErrOpen):
		return nil, &provisioning.Error{Kind: provisioning.Conflict, Detail: "the captured request was sealed with another secret_key than the server has now"}
	case provisioning.KindOf(err) == provisioning.NotFound && err != nil:
		return nil, replay.ErrNotCaptured
	case err != nil:
		return nil, err
	}
	return &single[Capture]{CaptureOf(x)}, nil
}

func (c *call) captures(in *capturesInput) (*listed[CapturedRequest], error) {
	if c.Exchanges == nil {
		return nil, errNoCaptures
	}
	q := provisioning.CaptureQuery{Since: in.Since, Until: in.Until, Before: in.Next, Limit: in.Limit}
	if in.Connection != "" {
		conn, err := c.Service.Connection(c.context(), c.tenant(), in.Connection)
		if err != nil {
			return nil, err
		}
		q.Connection = conn.ID
	}
	found, err := c.Exchanges(c.context(), c.tenant(), q)
	if err != nil {
		return nil, err
	}
	var items []CapturedRequest
	names := reader{call: c}
	for _, x := range found.Exchanges {
		connection, err := names.connection(x.Connection)
		if err != nil {
			return nil, err
		}
		items = append(items, CapturedRequestOf(x, connection))
	}
	return page(c, items, found.Next), nil
}

// CapturedRequestOf is the short view of a captured request of a connection.
func CapturedRequestOf(x capture.Exchange, connection string) CapturedRequest {
	return CapturedRequest{x.Correlation, x.At, connection, x.Method, x.Target, x.Status, float64(x.Duration.Microseconds()) / 1000, x.Method == ""}
}

// CaptureOf is the view of a captured request.
func CaptureOf(x capture.Exchange) Capture {
	return Capture{x.Correlation, x.At, x.Method, x.Target, x.Headers, capturedBody(x.Request), x.Status, x.Answered, capturedBody(x.Answer),
		float64(x.Duration.Microseconds()) / 1000}
}

func capturedBody(b capture.Body) CapturedBody {
	out := CapturedBody{Size: b.Size, Note: b.Note}
	if json.Unmarshal(b.Text, &out.JSON) != nil {
		out.Text = string(b.Text)
	}
	return out
}

// errDraft is what who may not see values is told that replays under settings of its own.
var errDraft = &provisioning.Error{Kind: provisioning.Forbidden,
	Detail: "scope and mapping of a draft can ask for parts of values, and whether anything differs answers that: replay under then or now, or say with unmask why values must be seen"}

func (c *call) replay(in *replayInput) (*single[Replay], error) {
	if c.Replay == nil {
		return nil, errNoCaptures
	}
	under := replay.Under{Now: in.Body.Under == "now"}
	if in.Body.Under == "draft" {
		if c.hidden != nil {
			return nil, errDraft
		}
		draft, err := parseSettings(in.Body.Settings)
		if err != nil {
			return nil, err
		}
		under.Draft = &draft
	}
	r, err := c.Replay(c.context(), c.tenant(), in.ID, under)
	if err != nil {
		return nil, err
	}
	return &single[Replay]{ReplayOf(r)}, nil
}

// ReplayOf is the view of what a replay came to.
func ReplayOf(r replay.Result) Replay {
	out := Replay{Entry: r.Entry.ID, Under: r.Settings, Same: r.Same(), Status: r.Status, Answer: []AnswerDifference{}, Entries: []EntryDifference{}}
	for _, d := range r.Answer {
		out.Answer = append(out.Answer, AnswerDifference{d.Path, valueOf(d.Recorded), valueOf(d.Replayed)})
	}
	for _, d := range r.Entries {
		out.Entries = append(out.Entries, EntryDifference{d.Entry, d.Path, d.Recorded, d.Replayed})
	}
	return out
}

// valueOf is a JSON value decoded; nil for none.
func valueOf(data json.RawMessage) (v any) {
	_ = json.Unmarshal(data, &v) // it was encoded by us
	return v
}
