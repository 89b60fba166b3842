package api

import (
	"bufio"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"meibo/provisioning"
	"meibo/provisioning/summary"
	"meibo/provisioning/transfer"
	"meibo/scim"
)

// LogPage is one piece of the log.
type LogPage struct {
	Items   []summary.Entry `json:"items" doc:"Newest first."`
	Next    string          `json:"next,omitempty" doc:"Ask again with it for what follows; absent at the end. A page may be short, or empty, and still have it."`
	Without []string        `json:"without,omitempty" nullable:"false" doc:"Of a log that is empty: parameters any one of which is enough to leave out to find something. None may be named for want of time."`
}

// LogPaging are the parameters of a page of the log.
type LogPaging struct {
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many at most in a page. A stream has them all."`
	Next  string `query:"next" maxLength:"100" pattern:"^-?[0-9]{1,18}\\.[0-9A-Za-z-]{0,64}$" doc:"The next of the page before."`
}

type logInput struct {
	summary.Filter
	LogPaging
}

type historyInput struct {
	ID string `path:"id" format:"uuid" pattern:"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"`
	LogPaging
}

const logTag = "log"

func (a *api) logOperations() {
	page, streams := reflect.TypeFor[LogPage](), []string{exportMedia[transfer.NDJSON], exportMedia[transfer.CSV]}
	const forms = " A page as JSON; everything that is selected in one stream as NDJSON or CSV, by Accept. A stream that is broken off is not whole."
	register(a, operation{id: "listLog", method: http.MethodGet, path: "/log", tag: logTag, roles: people, errors: []int{http.StatusNotFound}, media: streams, page: page,
		summary: "Ask what happened", description: "What was asked, what was decided and why, newest first. docs/log.md has an example of each parameter; together they narrow." + forms}, (*call).log)
	register(a, operation{id: "getLogEntry", method: http.MethodGet, path: "/log/{id}", tag: logTag, roles: people, errors: []int{http.StatusNotFound},
		summary: "Get an entry of the log"}, (*call).logEntry)
	for _, t := range []scim.ResourceType{scim.User, scim.Group} {
		lower := strings.ToLower(string(t))
		register(a, operation{id: "get" + string(t) + "History", method: http.MethodGet, path: "/" + lower + "s/{id}/history", tag: logTag, roles: people,
			errors: []int{http.StatusNotFound}, media: streams, page: page, summary: "Ask what happened to a " + lower,
			description: "The entries about it, and those of groups whose change of members names it, newest first, removed or not." + forms},
			func(c *call, in *historyInput) (*huma.StreamResponse, error) {
				return c.history(t, in)
			})
	}
	register(a, operation{id: "followLog", method: http.MethodGet, path: "/log/stream", tag: logTag, roles: people, errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusGone},
		media: []string{eventMedia}, summary: "Follow the log",
		description: "Server-sent events: each entry, as /log has it, once it has its position in the tenant's journal, which is the event's id. It begins after Last-Event-ID or `after`, " +
			"without either at the end of the journal, and goes on for ever; a client that comes back with the last id that it saw misses nothing and is told nothing twice. 409 says that the position is none that was given, 410 that some of what follows it is kept no longer, and where to go on."},
		(*call).follow)
	register(a, operation{id: "getSummary", method: http.MethodGet, path: "/summary", tag: logTag, roles: people, errors: []int{http.StatusNotFound},
		summary: "Count what happened by the hour", description: "By action and outcome. It is some moments behind the log."}, (*call).summary)
}

// filter resolves what a filter names. NotFound for a connection or a cycle that is not there.
func (c *call) filter(f summary.Filter) (provisioning.EntryQuery, error) {
	if f.Prefix != "" && c.hidden != nil {
		return provisioning.EntryQuery{}, errParts
	}
	var connection provisioning.Connection
	if f.Connection != "" {
		var err error
		if connection, err = c.Service.Connection(c.context(), c.tenant(), f.Connection); err != nil {
			return provisioning.EntryQuery{}, err
		}
	}
	q, err := f.Query(connection.ID)
	if c.inCycle = f.Cycle; err == nil && f.Cycle != "" {
		q, err = c.Service.InCycle(c.context(), c.tenant(), q, f.Cycle)
	}
	return q, err
}

func (c *call) log(in *logInput) (*huma.StreamResponse, error) {
	q, err := c.filter(in.Filter)
	if err != nil {
		return nil, err
	}
	a := logAnswer{call: c, read: func(q provisioning.EntryQuery) (provisioning.EntryPage, error) {
		return c.Service.EntryPage(c.context(), c.tenant(), q)
	}, without: func() ([]string, error) { return c.tooNarrow(in.Filter) }}
	return a.answer(q, &in.LogPaging)
}

func (c *call) history(t scim.ResourceType, in *historyInput) (*huma.StreamResponse, error) {
	a := logAnswer{call: c, read: func(q provisioning.EntryQuery) (provisioning.EntryPage, error) {
		return c.Service.History(c.context(), c.tenant(), t, in.ID, q)
	}}
	return a.answer(provisioning.EntryQuery{}, &in.LogPaging)
}

var errNoEntry = &provisioning.Error{Kind: provisioning.NotFound, Attribute: "id", Detail: "the log has no entry with that id; it may be older than what is kept"}

func (c *call) logEntry(in *idInput) (*single[summary.Entry], error) {
	found, err := c.Service.EntryPage(c.context(), c.tenant(), provisioning.EntryQuery{ID: in.ID, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(found.Entries) == 0 {
		return nil, errNoEntry
	}
	return &single[summary.Entry]{c.entry(found.Entries[0])}, nil
}

// entry is the one view of an entry, in all that the API answers.
func (c *call) entry(e provisioning.Entry) summary.Entry {
	view := summary.Of(c.tenant(), e)
	view.CycleID = c.inCycle
	return view
}

// spareTime is what may be spent on saying why a log is empty.
const spareTime = 50 * time.Millisecond

// tooNarrow are the conditions of a filter, any one of which is enough to leave out to find something. It stops looking when
// its time is over.
func (c *call) tooNarrow(f summary.Filter) ([]string, error) {
	var names []string
	began := c.Now()
	for name, less := range f.Without() {
		if less == (summary.Filter{}) || c.Now().Sub(began) > spareTime { // to ask for everything is no advice
			break
		}
		q, err := c.filter(less)
		if err != nil {
			return nil, err
		}
		q.Limit = 1
		found, err := c.Service.EntryPage(c.context(), c.tenant(), q)
		if err != nil {
			return nil, err
		}
		if len(found.Entries) > 0 {
			names = append(names, name)
		}
	}
	return names, nil
}

// logAnswer answers with a page of the log, or with all of it.
type logAnswer struct {
	*call
	read    func(provisioning.EntryQuery) (provisioning.EntryPage, error)
	without func() ([]string, error) // says why the log is empty; nil for nothing
}

func (a logAnswer) answer(q provisioning.EntryQuery, in *LogPaging) (*huma.StreamResponse, error) {
	var err error
	if in.Next != "" {
		if q.Before, err = provisioning.ParsePlace(in.Next); err != nil {
			return nil, err
		}
	}
	media := preferred(a.echo.Request().Header.Get("Accept"))
	if q.Limit = in.Limit; media != jsonMedia {
		q.Limit = streamPiece
	}
	first, err := a.read(q)
	if err != nil {
		return nil, err
	}
	if media == jsonMedia {
		return a.page(first, in)
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		ctx.SetHeader("Content-Type", media+"; charset=utf-8")
		if media == exportMedia[transfer.CSV] {
			ctx.SetHeader("Content-Disposition", `attachment; filename="`+a.tenant()+`-log.csv"`)
		}
		if err := a.stream(media, q, first); err != nil {
			a.fail(err)
		}
	}}, nil
}

func (a logAnswer) page(found provisioning.EntryPage, in *LogPaging) (*huma.StreamResponse, error) {
	out := LogPage{Items: make([]summary.Entry, len(found.Entries))}
	for i, e := range found.Entries {
		out.Items[i] = a.entry(e)
	}
	link := ""
	if !found.Next.IsZero() {
		out.Next = found.Next.String()
		link = a.linkTo(out.Next)
	}
	if len(out.Items) == 0 && out.Next == "" && in.Next == "" && a.without != nil {
		var err error
		if out.Without, err = a.without(); err != nil {
			return nil, err
		}
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		ctx.SetHeader("Content-Type", jsonMedia)
		if link != "" {
			ctx.SetHeader("Link", link)
		}
		_ = huma.DefaultJSONFormat.Marshal(ctx.BodyWriter(), out) // the client is gone if this fails
	}}, nil
}

const (
	// streamPiece is how many entries of a stream are read at a time.
	streamPiece = 500
	// streamBuffer is how much of a stream is sent at a time, and pieceTimeout how long a client may take for that.
	streamBuffer = 32 << 10
	pieceTimeout = 20 * time.Second
)

// stream writes everything, read in short pieces, as long as the key counts.
func (a logAnswer) stream(media string, q provisioning.EntryQuery, first provisioning.EntryPage) error {
	out := bufio.NewWriterSize(patientWriter{a.call}, streamBuffer)
	w, err := logWriter(media, out)
	if err != nil {
		return err
	}
	for found := first; ; {
		for _, e := range found.Entries {
			if err := w.Write(a.entry(e)); err != nil {
				return err
			}
		}
		if found.Next.IsZero() {
			return out.Flush()
		}
		if _, err := a.identify(); err != nil {
			return err
		}
		q.Before = found.Next
		if found, err = a.read(q); err != nil {
			return err
		}
	}
}

func logWriter(media string, w io.Writer) (summary.Writer, error) {
	if media == exportMedia[transfer.CSV] {
		return summary.NewCSVWriter(w)
	}
	return summary.NewNDJSONWriter(w), nil
}

// patientWriter gives the client time for each piece, so that a long answer has all the time that it needs and a client that
// has stopped reading holds nothing for ever.
type patientWriter struct{ *call }

func (w patientWriter) Write(p []byte) (int, error) {
	w.awaitClient()
	return w.echo.Response().Write(p)
}

// awaitClient gives the client time to take a piece of the answer.
func (c *call) awaitClient() {
	_ = http.NewResponseController(c.echo.Response()).SetWriteDeadline(time.Now().Add(pieceTimeout)) // a test's recorder has none
}

const jsonMedia = "application/json"

// preferred is the medium that an Accept header (RFC 9110 §12.5.1) likes best of those that the log has: JSON where it
// likes none, or another no better.
func preferred(accept string) string {
	best, liked := jsonMedia, -1.0
	for one := range strings.SplitSeq(accept, ",") {
		media, parameters, err := mime.ParseMediaType(one)
		if err != nil {
			continue
		}
		quality := 1.0
		if q, given := parameters["q"]; given {
			if quality, err = strconv.ParseFloat(q, 64); err != nil {
				continue
			}
		}
		switch media {
		case "*/*", "application/*":
			media = jsonMedia
		case jsonMedia, exportMedia[transfer.NDJSON], exportMedia[transfer.CSV]:
		default:
			continue
		}
		if quality > liked && quality > 0 {
			best, liked = media, quality
		}
	}
	return best
}
