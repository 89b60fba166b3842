package api

import (
	"bufio"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"meibo/provisioning"
	"meibo/provisioning/summary"
	"meibo/provisioning/transfer"
)

// AuditPage is one piece of the audit trail.
type AuditPage struct {
	Items   []summary.Entry `json:"items" doc:"In the order of their positions. A piece may be short, or empty, while reached is below head."`
	Reached int64           `json:"reached" minimum:"0" doc:"The position that was looked at last: after, for what follows."`
	Head    int64           `json:"head" minimum:"0" doc:"The last position given: whoever has reached it has seen all there is."`
}

type auditInput struct {
	summary.Filter
	After int64 `query:"after" minimum:"0" doc:"The position that the client has reached; 0 for none. Without it, all that is kept."`
	Limit int   `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many at most in a piece. A stream has them all."`
}

type verifyInput struct {
	Head string `query:"head" pattern:"^[0-9a-f]{64}$" doc:"The digest of a head that was kept: the chain must have it."`
}

func (a *api) auditOperations() {
	const tag = "audit"
	register(a, operation{id: "listActs", method: http.MethodGet, path: "/audit", tag: tag, roles: people, errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusGone},
		media: []string{exportMedia[transfer.NDJSON]}, page: reflect.TypeFor[AuditPage](),
		summary: "Follow what people did", description: "What administrators and holders of API keys did, and what was done to settings, tokens, keys and connections, in the order of positions. " +
			"A piece as JSON; everything up to now in one stream as NDJSON, by Accept: then the last line's `meibo.position` is where to go on. 409 says that the position is none that was given, 410 that some of what follows it is kept no longer, and where to go on."}, (*call).audit)
	register(a, operation{id: "verifyAudit", method: http.MethodGet, path: "/audit/verify", tag: tag, roles: people, errors: []int{http.StatusNotFound},
		summary: "Verify that the journal is as it was written",
		description: "Recomputes the audit chain from all that is in the journal, which may take a minute for a million entries, and tells the first thing that does not agree. Keep the head of the answer elsewhere and give its digest back later: " +
			"then whoever has altered the journal meanwhile cannot have made the chain anew. One verification of a tenant runs at a time; who asks for another meanwhile is answered 429, with the one that runs. " +
			"It ends when who asked for it goes away."}, (*call).verify)
}

// verification is one that runs.
type verification struct {
	correlation string
	since       time.Time
}

// verify has one verification of a tenant run at a time: each reads the whole journal through.
func (c *call) verify(in *verifyInput) (*single[summary.Verification], error) {
	if other, busy := c.verifying.LoadOrStore(c.tenant(), verification{c.correlation, c.started}); busy {
		return nil, other.(verification).running()
	}
	defer c.verifying.Delete(c.tenant())
	v, err := c.Service.VerifyChain(c.context(), c.tenant(), in.Head)
	c.awaitClient() // who waited for minutes gets its answer all the same
	return &single[summary.Verification]{summary.OfVerification(v)}, err
}

// running is the answer to who asks for another.
func (v verification) running() *Problem {
	return newProblem(http.StatusTooManyRequests, "running", fmt.Sprintf("the journal is being verified since %s, for the request %s; ask again when that has ended",
		v.since.UTC().Format(time.RFC3339), v.correlation))
}

// Resolve implements huma.Resolver: whether after was given, 0 included, is in the query alone.
func (in *auditInput) Resolve(ctx huma.Context) []error {
	if ctx.Query("after") == "" {
		in.After = provisioning.FromTheOldest
	}
	return nil
}

func (c *call) audit(in *auditInput) (*huma.StreamResponse, error) {
	q, err := c.filter(in.Filter)
	if err != nil {
		return nil, err
	}
	lines := preferred(c.echo.Request().Header.Get("Accept")) != jsonMedia
	if lines {
		in.Limit = streamPiece
	}
	found, err := c.Service.Audit(c.context(), c.tenant(), q, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	if in.After > found.Head {
		return nil, unknownPosition()
	}
	if lines {
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			ctx.SetHeader("Content-Type", exportMedia[transfer.NDJSON]+"; charset=utf-8")
			if err := c.streamActs(q, found); err != nil {
				c.fail(err)
			}
		}}, nil
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		ctx.SetHeader("Content-Type", jsonMedia)
		if found.Reached < found.Head {
			ctx.SetHeader("Link", c.linkWith("after", strconv.FormatInt(found.Reached, 10)))
		}
		_ = huma.DefaultJSONFormat.Marshal(ctx.BodyWriter(), AuditPage{c.acts(found), found.Reached, found.Head}) // the client is gone if this fails
	}}, nil
}

func (c *call) acts(t provisioning.Told) []summary.Entry {
	items := make([]summary.Entry, len(t.Entries))
	for i, e := range t.Entries {
		items[i] = c.entry(e.Entry)
		items[i].Meibo.Position = e.Position
	}
	return items
}

// streamActs writes what was found and all that follows, as long as the key counts.
func (c *call) streamActs(q provisioning.EntryQuery, found provisioning.Told) error {
	out := bufio.NewWriterSize(patientWriter{c}, streamBuffer)
	w := summary.NewNDJSONWriter(out)
	for {
		for _, e := range c.acts(found) {
			if err := w.Write(e); err != nil {
				return err
			}
		}
		if found.Reached >= found.Head {
			return out.Flush()
		}
		if _, err := c.identify(); err != nil {
			return err
		}
		var err error
		if found, err = c.Service.Audit(c.context(), c.tenant(), q, found.Reached, streamPiece); err != nil {
			return err
		}
	}
}
