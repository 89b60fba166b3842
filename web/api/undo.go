package api

import (
	"net/http"
	"time"

	"meibo/provisioning"
)

// Undo names what is to be undone: one entry, all entries of a request or job, or those of a connection in a range of time.
type Undo struct {
	Entry         string    `json:"entry,omitempty" format:"uuid" pattern:"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$" doc:"One entry of the journal."`
	CorrelationID string    `json:"correlationId,omitempty" maxLength:"64" pattern:"^[0-9A-Za-z-]*$" doc:"All that one request or job did."`
	Connection    string    `json:"connection,omitempty" pattern:"^[a-z0-9-]{1,40}$" doc:"What this connection's client did."`
	From          time.Time `json:"from,omitempty,omitzero" doc:"With connection: from then on."`
	To            time.Time `json:"to,omitempty,omitzero" doc:"With connection: before then; without it, until now."`
}

// UndoPlan is what an undo would do.
type UndoPlan struct {
	Entries   int         `json:"entries" minimum:"0" doc:"That changed a user or group."`
	Other     int         `json:"other" minimum:"0" doc:"About settings, tokens, connections or matters: these are not undone."`
	Resources []UndoneOne `json:"resources" doc:"The first of them, the latest change first."`
	More      int         `json:"more" minimum:"0" doc:"How many resources more than are shown."`
}

// UndoneOne is what an undo does to one user or group.
type UndoneOne struct {
	ID        string        `json:"id" format:"uuid"`
	Type      string        `json:"type" enum:"User,Group"`
	Name      string        `json:"name"`
	Changes   []EntryChange `json:"changes"`
	Lost      []string      `json:"lost" doc:"What does not come back, and why."`
	Conflicts int           `json:"conflicts" minimum:"0" doc:"Values that were changed again since, and stay."`
	Refused   string        `json:"refused,omitempty" doc:"Why the rest is not done."`
}

// EntryChange is the difference of one attribute.
type EntryChange struct {
	Path string `json:"path"`
	Old  any    `json:"old,omitempty"`
	New  any    `json:"new,omitempty"`
}

type undoInput struct{ Body Undo }

// shownUndone bounds what a plan shows.
const shownUndone = 100

func (a *api) undoOperations() {
	const tag = "undo"
	errors := []int{http.StatusNotFound, http.StatusConflict, http.StatusGone}
	register(a, operation{id: "planUndo", method: http.MethodPost, path: "/undos/plan", tag: tag, roles: operators, errors: errors, success: http.StatusOK,
		summary: "Show what an undo would do", description: "Nothing is changed. An undo changes what is effective, never what a client asserts."},
		func(c *call, in *undoInput) (*single[UndoPlan], error) {
			plan, err := c.Service.PlanUndo(c.context(), c.tenant(), in.Body.query())
			return &single[UndoPlan]{undoView(plan)}, err
		})
	register(a, operation{id: "undo", method: http.MethodPost, path: "/undos", tag: tag, roles: operators, errors: errors, success: http.StatusCreated,
		summary: "Undo", description: "A job does it, and goes on where it was interrupted: /jobs has its progress. What it changes has the job's id as its correlation id, so that it can be undone in its turn."},
		func(c *call, in *undoInput) (*single[Job], error) {
			j, err := c.Service.Undo(c.context(), c.origin(), in.Body.query())
			if err != nil {
				return nil, err
			}
			out, err := (&reader{call: c}).job(j)
			return &single[Job]{out}, err
		})
}

func (u Undo) query() provisioning.UndoQuery {
	return provisioning.UndoQuery{Entry: u.Entry, Correlation: u.CorrelationID, Connection: u.Connection, From: u.From, To: u.To}
}

func undoView(p provisioning.UndoPlan) UndoPlan {
	shown := p.Resources[:min(len(p.Resources), shownUndone)]
	out := UndoPlan{Entries: p.Entries, Other: p.Other, Resources: make([]UndoneOne, len(shown)), More: len(p.Resources) - len(shown)}
	for i, r := range shown {
		one := UndoneOne{ID: r.ID, Type: string(r.Type), Name: r.Name, Changes: make([]EntryChange, len(r.Changes)), Lost: append([]string{}, r.Lost...),
			Conflicts: len(r.Conflicts), Refused: r.Refused}
		for j, d := range r.Changes {
			one.Changes[j] = EntryChange{d.Path, d.Old, d.New}
		}
		out.Resources[i] = one
	}
	return out
}
