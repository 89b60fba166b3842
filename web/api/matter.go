package api

import (
	"cmp"
	"errors"
	"net/http"
	"time"

	"meibo/provisioning"
	"meibo/scim"
)

// Matter is something that waits, or waited, for a person.
type Matter struct {
	ID         string            `json:"id" format:"uuid"`
	Kind       string            `json:"kind" enum:"held,kept,delayed,adoption,purge,proposal" doc:"Held by policy, kept by a guard, delayed by the tolerance, an account that may be somebody else's, a grace time that is over, a change of settings or an allowance that somebody else has to ask for, too."`
	Connection string            `json:"connection,omitempty"`
	Cause      string            `json:"cause,omitempty" doc:"Of a departure."`
	Status     string            `json:"status" enum:"open,allowed,rejected,linked,created,ignored,obsolete"`
	Type       string            `json:"type,omitempty" enum:"User,Group" doc:"Absent of a proposal."`
	Resource   string            `json:"resource,omitempty" doc:"Id of the user or group; of an adoption only once somebody chose one."`
	Name       string            `json:"name" doc:"Its userName or displayName."`
	Reason     string            `json:"reason" doc:"What decided, as in the journal."`
	Arguments  map[string]string `json:"arguments,omitempty" doc:"Of the reason."`
	Then       string            `json:"then,omitempty" doc:"What allowing it does: a deletion policy."`
	Candidates []string          `json:"candidates,omitempty" doc:"Of an adoption: ids of the accounts that may be meant."`
	Members    []string          `json:"members,omitempty" doc:"Of a delayed removal from a group: those who were to go."`
	Impact     *Impact           `json:"impact,omitempty" doc:"What goes with a user or group, and what the host application said of it."`
	Opened     time.Time         `json:"opened"`
	Seen       time.Time         `json:"seen" doc:"When it was asked for last."`
	Times      int               `json:"times" minimum:"1" doc:"How often it was asked for."`
	Until      time.Time         `json:"until,omitempty,omitzero" doc:"How long the choice holds; absent for ever."`
	ProposedBy string            `json:"proposedBy,omitempty" doc:"Who chose first, where a second person has to confirm it."`
	ClosedAt   time.Time         `json:"closedAt,omitempty,omitzero"`
	ClosedBy   string            `json:"closedBy,omitempty"`
	Overdue    bool              `json:"overdue" doc:"Open for longer than the connection's settings want."`
	Asserted   map[string]any    `json:"asserted,omitempty" doc:"Of an adoption that was asked for by itself: what the client sent."`
}

// Impact is what goes with a user or group.
type Impact struct {
	Role        string           `json:"role,omitempty" doc:"Of a user."`
	Memberships *int             `json:"memberships,omitempty" minimum:"0" doc:"How many groups a user is in."`
	Members     *int             `json:"members,omitempty" minimum:"0" doc:"How many are in a group."`
	Counts      map[string]int64 `json:"counts,omitempty" doc:"What the host application says hangs on it, by its own names; absent as long as it has not answered."`
	AskedAt     time.Time        `json:"askedAt,omitempty,omitzero" doc:"When the host application was asked last."`
	Failure     string           `json:"failure,omitempty" doc:"Why that had no answer. It is asked again."`
}

type mattersInput struct {
	Kind     string `query:"kind" enum:"held,kept,delayed,adoption,purge,proposal"`
	Status   string `query:"status" enum:"open,allowed,rejected,linked,created,ignored,obsolete,any" default:"open"`
	Filter   string `query:"filter" maxLength:"4096" doc:"Those about whom a SCIM filter selects, by what the client asserted: userName ew \"@example.com\". One request looks at 2,000 matters at most, so a page may be short and still have a next. A key of the role support says with unmask why, unless it asks for whole values (eq)."`
	Resource string `query:"resource" format:"uuid" pattern:"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$" doc:"Those about one user or group."`
	Limit    int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many at most."`
	Next     string `query:"next" format:"uuid" pattern:"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$" doc:"The next of the page before."`
}

// Resolution is what a person chooses of an open matter.
type Resolution struct {
	Status  string    `json:"status" enum:"allowed,rejected,linked,created,ignored" doc:"allowed and rejected answer a departure or purge, rejected alone a proposal; the others an adoption."`
	Until   time.Time `json:"until,omitempty,omitzero" doc:"How long a word about a delayed departure holds; without it a day if allowed, and until the client wants the account, or member, back if rejected; a rejected removal of members is answered once."`
	Account string    `json:"account,omitempty" format:"uuid" pattern:"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$" doc:"Of linked: the account that is meant, where there are several."`
}

type resolutionInput struct {
	ID   string `path:"id" format:"uuid" pattern:"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"`
	Body Resolution
}

// Allowance lets departures go beyond a tolerance.
type Allowance struct {
	Kind   string    `json:"kind" enum:"users,groups"`
	Cause  string    `json:"cause,omitempty" enum:"deactivated,deleted,scope" doc:"Without it any."`
	Left   integer   `json:"left,omitempty" minimum:"1" maximum:"10000000" doc:"How many may go; without it any number."`
	Until  time.Time `json:"until"`
	Reject bool      `json:"reject,omitempty" doc:"Have them ignored instead: the accounts stay, and the client stops asking."`
}

type allowanceInput struct {
	Name string `path:"name" pattern:"^[a-z0-9-]{1,40}$"`
	Body Allowance
}

func (a *api) matterOperations() {
	const tag = "matters"
	register(a, operation{id: "listMatters", method: http.MethodGet, path: "/matters", tag: tag, roles: people,
		summary: "List what waits for a person", description: "Latest first. Those that were closed with another `status`."}, (*call).matters)
	register(a, operation{id: "getMatter", method: http.MethodGet, path: "/matters/{id}", tag: tag, roles: people, errors: []int{http.StatusNotFound}, summary: "Get a matter"},
		func(c *call, in *idInput) (*single[Matter], error) {
			m, err := c.Service.Matter(c.context(), c.tenant(), in.ID)
			out, err := answerMatter(c, m, err)
			if err == nil && len(m.Asserted) > 0 {
				out.Body.Asserted, err = c.Service.Identity(c.context(), c.tenant(), m)
			}
			return out, err
		})
	register(a, operation{id: "reopenMatter", method: http.MethodDelete, path: "/matters/{id}/resolution", tag: tag, roles: operators, success: http.StatusOK,
		errors: []int{http.StatusNotFound, http.StatusConflict}, summary: "Ask again about what was ignored, or said to be somebody else",
		description: "`/matters?status=ignored` lists what is."},
		func(c *call, in *idInput) (*single[Matter], error) {
			m, err := c.Service.Reopen(c.context(), c.origin(), in.ID)
			return answerMatter(c, m, err)
		})
	register(a, operation{id: "resolveMatters", method: http.MethodPost, path: "/matters/resolutions", tag: tag, roles: operators, success: http.StatusOK, maxBody: maxChoices,
		summary: "Choose what becomes of many open matters", description: "Of those that a filter selects, or as the rows of a CSV file say. All are looked at first: with a mistake in any of them nothing is done, and `errors` of 422 has each by its line. " +
			"Then each is done by itself. Repeated, what was chosen before is so already."}, (*call).resolveMatters)
	register(a, operation{id: "resolveMatter", method: http.MethodPost, path: "/matters/{id}/resolution", tag: tag, roles: operators, success: http.StatusOK,
		errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed}, summary: "Choose what becomes of an open matter",
		description: "What follows is done in the same unit of work. Where the settings demand a second person, the first choice is noted in `proposedBy` and the matter stays open until somebody else's key chooses."},
		func(c *call, in *resolutionInput) (*single[Matter], error) {
			m, err := c.Service.Resolve(c.context(), c.origin(), in.ID,
				provisioning.Resolution{Status: provisioning.MatterStatus(in.Body.Status), Until: in.Body.Until, Candidate: in.Body.Account})
			return answerMatter(c, m, err)
		})
	register(a, operation{id: "allowDepartures", method: http.MethodPost, path: "/connections/{name}/allowances", tag: tag, roles: operators, success: http.StatusNoContent,
		errors: []int{http.StatusNotFound, http.StatusConflict}, summary: "Let more go than a connection's tolerance would, for a while"},
		func(c *call, in *allowanceInput) (*struct{}, error) {
			b := in.Body
			if err := c.checkAhead("until", b.Until); err != nil {
				return nil, err
			}
			_, err := c.Service.Allow(c.context(), c.origin(), in.Name, provisioning.BudgetKind(b.Kind),
				provisioning.Allowance{Cause: b.Cause, Left: cmp.Or(int(b.Left), -1), Until: b.Until.UTC().Truncate(time.Microsecond), Reject: b.Reject})
			return nil, err
		})
}

func (c *call) matters(in *mattersInput) (*listed[Matter], error) {
	q := provisioning.MatterQuery{Kind: provisioning.MatterKind(in.Kind), Status: provisioning.MatterStatus(in.Status), Resource: in.Resource, Before: in.Next, Limit: in.Limit + 1}
	if in.Status == "any" {
		q.Status = ""
	}
	filter, err := provisioning.ParseIdentityFilter(in.Filter)
	if err == nil {
		err = c.findsAmong(in.Filter, scim.User, scim.Group)
	}
	if err != nil {
		return nil, err
	}
	if !filter.IsZero() {
		q.Limit = maxLooked + 1
	}
	overdue, err := c.Service.Overdue(c.context(), c.tenant())
	if err != nil {
		return nil, err
	}
	var (
		found []provisioning.Matter
		last  string
		seen  int
	)
	err = c.Service.FindMatters(c.context(), c.tenant(), q, filter, func(m provisioning.Matter, selected bool) error {
		if len(found) == in.Limit || seen == maxLooked {
			return errPageFull
		}
		last = m.ID
		if seen++; selected {
			found = append(found, m)
		}
		return nil
	})
	if err != nil && !errors.Is(err, errPageFull) {
		return nil, err
	}
	if err == nil {
		last = "" // there is no more
	}
	cascades, err := c.Service.Cascades(c.context(), c.tenant(), found)
	if err != nil {
		return nil, err
	}
	rd, items := reader{call: c}, make([]Matter, len(found))
	for i, m := range found {
		if items[i], err = rd.matter(m, cascades); err != nil {
			return nil, err
		}
		items[i].Overdue = overdue(m)
	}
	return page(c, items, last), nil
}

// errPageFull ends the search for more than a page holds.
var errPageFull = errors.New("the page is full")

func answerMatter(c *call, m provisioning.Matter, err error) (*single[Matter], error) {
	if err != nil {
		return nil, err
	}
	overdue, err := c.Service.Overdue(c.context(), c.tenant())
	if err != nil {
		return nil, err
	}
	cascades, err := c.Service.Cascades(c.context(), c.tenant(), []provisioning.Matter{m})
	if err != nil {
		return nil, err
	}
	out, err := (&reader{call: c}).matter(m, cascades)
	out.Overdue = overdue(m)
	return &single[Matter]{out}, err
}

// impact is what goes with the account of a matter; nil for nobody's.
func impact(m provisioning.Matter, all map[string]provisioning.Cascade) *Impact {
	cascade, ok := all[m.ID]
	if !ok && m.Impact.Asks == 0 {
		return nil
	}
	out := &Impact{Role: cascade.Role, Counts: m.Impact.Counts, AskedAt: m.Impact.AskedAt, Failure: m.Impact.Failure}
	switch n := len(cascade.Groups); {
	case !ok:
	case m.Type == scim.User:
		out.Memberships = &n
	default:
		out.Members = &cascade.Members
	}
	return out
}

func (r *reader) matter(m provisioning.Matter, cascades map[string]provisioning.Cascade) (Matter, error) {
	connection, err := r.connection(m.Connection)
	return Matter{Impact: impact(m, cascades), ID: m.ID, Kind: string(m.Kind), Connection: connection, Cause: m.Cause, Status: string(m.Status), Type: string(m.Type), Resource: m.Resource,
		Name: m.Name, Reason: m.Reason.Code, Arguments: m.Reason.Args, Then: string(m.Then), Candidates: m.Candidates, Members: m.Members,
		Opened: m.Opened, Seen: m.Seen, Times: m.Times, Until: m.Until, ProposedBy: m.Proposed, ClosedAt: m.ClosedAt, ClosedBy: m.ClosedBy}, err
}
