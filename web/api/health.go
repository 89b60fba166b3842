package api

import (
	"net/http"
	"time"

	"meibo/provisioning"
)

// Health is how a connection does.
type Health struct {
	Connection     string        `json:"connection"`
	Level          string        `json:"level" enum:"good,attention,bad" doc:"Bad: people are not provisioned, or soon will not be."`
	Findings       []Finding     `json:"findings" doc:"What a person should look at, worst first."`
	LastRequest    time.Time     `json:"lastRequest,omitempty,omitzero"`
	LastSuccess    time.Time     `json:"lastSuccess,omitempty,omitzero"`
	LastDay        RequestCounts `json:"lastDay" doc:"Requests of the cycles that were under way in the last 24 hours."`
	Entries        []EntryCount  `json:"entries" doc:"What the journal has of the same."`
	RhythmSeconds  float64       `json:"rhythmSeconds,omitempty" minimum:"0" doc:"The usual time from the beginning of a cycle to the next; absent while it is not known."`
	SilentSeconds  float64       `json:"silentAfterSeconds,omitempty" minimum:"0" doc:"How long the client may be silent before that is found; absent while its rhythm is not known."`
	SilentSince    time.Time     `json:"silentSince,omitempty,omitzero" doc:"Since when the journal notes its silence."`
	OverdueMatters int           `json:"overdueMatters" minimum:"0"`
	LiveTokens     int           `json:"liveTokens" minimum:"0"`
	Paused         bool          `json:"paused"`
}

// Finding is something that a person should look at.
type Finding struct {
	Level     string            `json:"level" enum:"attention,bad"`
	Code      string            `json:"code" enum:"neverHeard,silent,paused,noToken,tokenEnds,failures,quarantine,serverErrors,throttled,overdue"`
	Arguments map[string]string `json:"arguments,omitempty"`
	Text      string            `json:"text"`
}

// RequestCounts are numbers of requests.
type RequestCounts struct {
	Reads     int `json:"reads" minimum:"0"`
	Writes    int `json:"writes" minimum:"0"`
	Throttled int `json:"throttled" minimum:"0" doc:"Of them, those answered 429."`
	Refused   int `json:"refused" minimum:"0" doc:"Of them, those answered another 4xx; not 404, which a look-up is answered."`
	Failed    int `json:"failed" minimum:"0" doc:"Of them, those answered 5xx."`
}

// EntryCount is how many entries of an action and outcome there are.
type EntryCount struct {
	Action  string `json:"action" enum:"create,update,disable,delete,stagedDelete,other"`
	Outcome string `json:"outcome" enum:"success,failure,skipped,warning"`
	Entries int    `json:"entries" minimum:"0"`
}

// Cycle is one run over the directory.
type Cycle struct {
	ID         string        `json:"id" format:"uuid"`
	Kind       string        `json:"kind" enum:"scim,recompute,undo" doc:"scim: a client's, inferred from its traffic. The others are jobs, and exact."`
	Connection string        `json:"connection,omitempty"`
	Began      time.Time     `json:"began"`
	Last       time.Time     `json:"last" doc:"When its last request came, or the job went on last."`
	Ended      bool          `json:"ended"`
	Seconds    float64       `json:"durationInSeconds" minimum:"0"`
	Requests   RequestCounts `json:"requests"`
	Entries    []EntryCount  `json:"entries"`
}

// ComparedCycle is a cycle with the one before it.
type ComparedCycle struct {
	Cycle
	Before *Cycle `json:"before,omitempty" doc:"The one before of the same kind and connection."`
}

type cyclesInput struct {
	Connection string `query:"connection" pattern:"^[a-z0-9-]{1,40}$"`
	Limit      int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many at most."`
	Next       string `query:"next" format:"uuid" pattern:"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$" doc:"The next of the page before."`
}

type debugInput struct {
	Name string `path:"name" pattern:"^[a-z0-9-]{1,40}$"`
	Body struct {
		Minutes integer `json:"minutes" minimum:"0" maximum:"1440" doc:"For how long; 0 ends it."`
	}
}

func (a *api) healthOperations() {
	missing := []int{http.StatusNotFound}
	register(a, operation{id: "getConnectionHealth", method: http.MethodGet, path: "/connections/{name}/health", tag: "connections", roles: people, errors: missing,
		summary: "Look at a connection's health", description: "When its client was heard, what failed, whether it fell silent, what Entra would put in quarantine, tokens that end, matters that wait for too long."},
		(*call).health)
	register(a, operation{id: "debugConnection", method: http.MethodPost, path: "/connections/{name}/debug", tag: "connections", roles: operators, errors: missing,
		summary: "Capture every request of a connection for some time", description: "Reads that go well included; otherwise writes and failures alone are captured."},
		func(c *call, in *debugInput) (*single[Connection], error) {
			conn, err := c.Service.Debug(c.context(), c.origin(), in.Name, time.Duration(in.Body.Minutes)*time.Minute)
			return &single[Connection]{connectionView(conn)}, err
		})
	register(a, operation{id: "listCycles", method: http.MethodGet, path: "/cycles", tag: "journal", roles: people, errors: missing,
		summary: "List cycles", description: "Latest first. Those of clients are inferred from their traffic: requests between which there are less than five minutes are one. Runs of jobs are exact."},
		(*call).cycles)
	register(a, operation{id: "getCycle", method: http.MethodGet, path: "/cycles/{id}", tag: "journal", roles: people, errors: missing,
		summary: "Get a cycle and the one before it"}, (*call).cycle)
}

func (c *call) health(in *connectionInput) (*single[Health], error) {
	h, err := c.Service.Health(c.context(), c.tenant(), in.Name)
	if err != nil {
		return nil, err
	}
	out := Health{Connection: h.Connection.Name, Level: string(h.Level), Findings: []Finding{}, LastRequest: h.Hearing.Last, LastSuccess: h.Hearing.Succeeded,
		LastDay: requestCounts(h.Requests), Entries: entryCounts(h.Entries), RhythmSeconds: h.Rhythm.Seconds(), SilentSeconds: h.SilentAfter.Seconds(), SilentSince: h.Hearing.Silent,
		OverdueMatters: h.Overdue, LiveTokens: len(h.Tokens), Paused: h.Connection.Settings.Paused}
	for _, f := range h.Findings {
		out.Findings = append(out.Findings, Finding{string(f.Level), f.Reason.Code, f.Reason.Args, f.String()})
	}
	return &single[Health]{out}, nil
}

func requestCounts(r provisioning.CycleRequests) RequestCounts {
	return RequestCounts{r.Reads, r.Writes, r.Throttled, r.Refused, r.Failed}
}

func entryCounts(all []provisioning.CycleEntries) []EntryCount {
	out := []EntryCount{}
	for _, e := range all {
		out = append(out, EntryCount{string(e.Action), string(e.Outcome), e.Entries})
	}
	return out
}

func (c *call) cycles(in *cyclesInput) (*listed[Cycle], error) {
	q := provisioning.CycleQuery{Before: in.Next, Limit: in.Limit + 1}
	if in.Connection != "" {
		conn, err := c.Service.Connection(c.context(), c.tenant(), in.Connection)
		if err != nil {
			return nil, err
		}
		q.Connection = conn.ID
	}
	found, err := c.Service.Cycles(c.context(), c.tenant(), q)
	if err != nil {
		return nil, err
	}
	next := ""
	if len(found) > in.Limit {
		found = found[:in.Limit]
		next = found[in.Limit-1].ID
	}
	rd, items := reader{call: c}, []Cycle{}
	for _, x := range found {
		view, err := rd.cycle(x)
		if err != nil {
			return nil, err
		}
		items = append(items, view)
	}
	return page(c, items, next), nil
}

func (c *call) cycle(in *idInput) (*single[ComparedCycle], error) {
	found, before, err := c.Service.Cycle(c.context(), c.tenant(), in.ID)
	if err != nil {
		return nil, err
	}
	rd := reader{call: c}
	var out ComparedCycle
	if out.Cycle, err = rd.cycle(found); err != nil || before == nil {
		return &single[ComparedCycle]{out}, err
	}
	view, err := rd.cycle(*before)
	out.Before = &view
	return &single[ComparedCycle]{out}, err
}

func (r *reader) cycle(c provisioning.Cycle) (Cycle, error) {
	connection, err := r.connection(c.Connection)
	return Cycle{c.ID, c.Kind, connection, c.Began, c.Last, c.Ended, c.Last.Sub(c.Began).Seconds(), requestCounts(c.Requests), entryCounts(c.Entries)}, err
}
