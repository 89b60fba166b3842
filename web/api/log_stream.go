package api

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"meibo/provisioning"
	"meibo/provisioning/summary"
)

const (
	eventMedia = "text/event-stream"
	// heartbeat is how long a stream is silent at most: proxies end what is silent for longer, and whoever has gone is
	// noticed by it.
	heartbeat = 15 * time.Second
	// streamLooks is how many entries are looked at in one read.
	streamLooks = 100
)

type followInput struct {
	summary.Filter
	After int64  `query:"after" minimum:"0" doc:"The position that the client has reached; 0 for none. Without it, the end of the journal."`
	Last  string `header:"Last-Event-ID" pattern:"^[0-9]{1,18}$" doc:"The same, as a browser sends it when it comes back; it holds over after."`
}

// Resolve implements huma.Resolver: whether after was given, 0 included, is in the query alone.
func (in *followInput) Resolve(ctx huma.Context) []error {
	if in.Last == "" && ctx.Query("after") == "" {
		in.After = provisioning.FromTheOldest // of which the head alone matters
	}
	return nil
}

// follow streams the entries that a filter selects as server-sent events (HTML standard, section 9.2), each when it has its
// position.
func (c *call) follow(in *followInput) (*huma.StreamResponse, error) {
	q, err := c.filter(in.Filter)
	if err != nil {
		return nil, err
	}
	f := &follower{call: c, journal: c.Service.Follower(c.tenant(), q), at: in.After}
	if in.Last != "" {
		if f.at, err = strconv.ParseInt(in.Last, 10, 64); err != nil {
			return nil, err
		}
	}
	told, err := f.journal.After(c.context(), f.at, 1)
	if err != nil {
		return nil, err
	}
	switch {
	case f.at > told.Head:
		return nil, unknownPosition()
	case f.at == provisioning.FromTheOldest:
		f.at = told.Head
	}
	if !c.take(c.streams, patience) {
		return nil, &provisioning.Error{Kind: provisioning.Unavailable, Detail: "too many follow the log at the moment; come back later, or end a stream that nobody looks at"}
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		defer c.leave(c.streams)
		ctx.SetHeader("Content-Type", eventMedia)
		ctx.SetHeader("X-Accel-Buffering", "no") // a proxy shall not collect events before it hands them on
		since := c.Now()
		err := f.run()
		c.idle = c.Now().Sub(since)
		if err != nil && !errors.Is(err, errBadKey) { // whoever comes back with that key is told so
			c.fail(err)
		}
	}}, nil
}

// follower is one who follows the log.
type follower struct {
	*call
	journal *provisioning.Follower
	at      int64     // the position that was looked at last
	told    int64     // the last one that the client knows of
	heard   time.Time // when the client was sent something last
	out     bytes.Buffer
}

// run tells what comes, until the client or the server leaves or the key counts no more.
func (f *follower) run() error {
	f.told = -1
	if err := f.mark(); err != nil { // so that who loses the connection at once comes back to the same place
		return err
	}
	for !f.Leaving() {
		more, err := f.tell()
		if err != nil {
			return err
		}
		if more && f.Now().Sub(f.heard) < heartbeat {
			continue
		}
		if !more {
			if err := f.poll(heartbeat, f.arrived); err != nil {
				return err
			}
		}
		if err := f.mark(); err != nil {
			return err
		}
	}
	return nil
}

// tell sends what is selected of the next entries, and reports whether there may be more.
func (f *follower) tell() (more bool, err error) {
	if _, err := f.identify(); err != nil {
		return false, err
	}
	found, err := f.journal.After(f.context(), f.at, streamLooks)
	if err != nil {
		return false, err
	}
	for _, e := range found.Entries {
		view := f.entry(e.Entry)
		view.Meibo.Position = e.Position
		f.write("id: " + strconv.FormatInt(e.Position, 10) + "\ndata: ")
		if err := summary.NewNDJSONWriter(&f.out).Write(view); err != nil { // one line
			return false, err
		}
		f.write("\n")
		f.told = e.Position
	}
	f.at = found.Reached
	return f.at < found.Head, f.flush()
}

// arrived looks whether there is something to tell.
func (f *follower) arrived() (bool, error) {
	if _, err := f.identify(); err != nil {
		return false, err
	}
	found, err := f.journal.After(f.context(), f.at, streamLooks)
	if err != nil {
		return false, err
	}
	if len(found.Entries) == 0 {
		f.at = found.Reached
	}
	return len(found.Entries) > 0 || found.Reached < found.Head, nil
}

// mark says that all is well, and how far the client has come without anything that it asked for: an id without data.
func (f *follower) mark() error {
	f.write(":\n")
	if f.told != f.at {
		f.write("id: " + strconv.FormatInt(f.at, 10) + "\n")
		f.told = f.at
	}
	f.write("\n")
	return f.flush()
}

func (f *follower) write(text string) { f.out.WriteString(text) }

func (f *follower) flush() error {
	if f.out.Len() == 0 {
		return nil
	}
	if _, err := (patientWriter{f.call}).Write(f.out.Bytes()); err != nil {
		return err
	}
	f.out.Reset()
	f.heard = f.Now()
	return http.NewResponseController(f.echo.Response()).Flush()
}
