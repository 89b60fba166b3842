package provisioning

import (
	"cmp"
	"slices"
	"time"

	"meibo/scim"
)

// UndoQuery names the changes to undo: one entry; what a connection did in a time; or all that has one correlation,
// such as a request or an import.
type UndoQuery struct {
	Entry       string    `json:"entry,omitempty"`
	Connection  string    `json:"connection,omitempty"` // its name
	From        time.Time `json:"from,omitzero"`
	To          time.Time `json:"to,omitzero"` // exclusive; zero for now
	Correlation string    `json:"correlation,omitempty"`
	// Agreed says, of what a job is to undo, that two persons ordered it.
	Agreed bool `json:"agreed,omitempty"`
}

// check refuses a query that names no changes, or in several ways.
func (q UndoQuery) check() error {
	ways := 0
	for _, named := range []bool{q.Entry != "", q.Correlation != "", q.Connection != "" || !q.From.IsZero() || !q.To.IsZero()} {
		if named {
			ways++
		}
	}
	if ways != 1 {
		return &Error{Kind: Invalid, Detail: "name what to undo in one way: an entry, a correlation, or a connection with the time from which on"}
	}
	if q.Entry == "" && q.Correlation == "" && (q.Connection == "" || q.From.IsZero()) {
		return &Error{Kind: Invalid, Attribute: "from", Detail: "to undo what a connection did, name the connection and the time from which on"}
	}
	if !q.To.IsZero() && !q.From.Before(q.To) {
		return &Error{Kind: Invalid, Attribute: "to", Detail: "the time ends before it begins; swap from and to"}
	}
	return nil
}

// undo is a query, resolved, as it is executed by one job.
type undo struct {
	UndoQuery
	tenant     string
	connection int64
	owners     map[int64]Connection // of the tenant, by id
	own        string               // correlation of what the undo itself does; "" for a plan
	horizon    Horizon
}

// checkPast refuses a time that has yet to come: what is not done cannot be taken back.
func (q UndoQuery) checkPast(now time.Time) error {
	for _, end := range []struct {
		name   string
		at     time.Time
		remedy string
	}{{"from", q.From, "name an instant that has passed"}, {"to", q.To, "name one that has passed, or leave it away for now"}} {
		if end.at.After(now) {
			return &Error{Kind: Invalid, Attribute: end.name, Detail: end.name + " is in the future, where nothing is to be undone; " + end.remedy}
		}
	}
	return nil
}

// resolve checks the query. Without another end its time ends now.
func (q UndoQuery) resolve(r Reader, tenant string, now time.Time) (u undo, err error) {
	u = undo{UndoQuery: q, tenant: tenant}
	if err := cmp.Or(q.check(), q.checkPast(now)); err != nil {
		return u, err
	}
	if q.Connection != "" {
		c, err := connectionOf(r, tenant, q.Connection)
		if err != nil {
			return u, err
		}
		u.connection = c.ID
		if u.To.IsZero() {
			u.To = now
		}
	} else if _, err := tenantOf(r, tenant); err != nil {
		return u, err
	}
	if u.horizon, err = r.Horizon(); err != nil {
		return u, err
	}
	if !q.From.IsZero() && q.From.Before(u.horizon.Cut) {
		return u, pastHorizon("from", u.horizon)
	}
	u.owners, err = ownersOf(r)
	return u, err
}

// entries asks for the selected entries, newest first.
func (u undo) entries() EntryQuery {
	return EntryQuery{ID: u.Entry, Correlation: u.Correlation, Connection: u.connection, Since: u.From, Until: u.To}
}

// selects reports whether an entry is one of the changes to undo. What a person chose, and what an undo did, is
// none that the connection made.
func (u undo) selects(e *Entry) bool {
	switch {
	case e.Version == 0, e.Reason.Code == ReasonBaseline:
		return false
	case u.Entry != "":
		return e.ID == u.Entry
	case u.Correlation != "":
		return e.Correlation == u.Correlation
	default:
		byPerson := slices.Contains([]string{ReasonByPerson, ReasonUndone, ReasonPurged, ReasonMemberPurged}, e.Reason.Code)
		return !byPerson && e.Connection == u.connection && !e.At.Before(u.From) && e.At.Before(u.To)
	}
}

// pick is a resource that selected entries changed.
type pick struct {
	Type   scim.ResourceType `json:"type"`
	ID     string            `json:"id"`
	Newest string            `json:"newest"` // the newest of those entries
	Name   string            `json:"name"`
}

// picks reads selected entries and names their resources, the latest changed first.
func (u undo) picks(r Reader, q EntryQuery) (picks []pick, entries, other int, err error) {
	seen, found := map[string]bool{}, false
	err = r.Entries(q, func(e Entry) error {
		if found = true; e.At.Before(u.horizon.Cut) {
			return pastHorizon("entry", u.horizon)
		}
		switch {
		case e.Action == ActionOther:
			other++
		case u.selects(&e):
			entries++
			if !seen[e.ResourceID] {
				seen[e.ResourceID] = true
				picks = append(picks, pick{Type: e.ResourceType, ID: e.ResourceID, Newest: e.ID})
			}
		}
		return nil
	})
	switch {
	case err != nil:
	case !found && u.Connection == "":
		err = &Error{Kind: NotFound, Detail: "the journal has no such entry; look it up in the journal"}
	case entries == 0 && u.Entry != "":
		err = &Error{Kind: Invalid, Attribute: "entry", Detail: "that entry changed no user or group; there is nothing to undo"}
	}
	return picks, entries, other, err
}

// ownersOf are the connections of the tenant by id, and one that stands for none.
func ownersOf(r Reader) (map[int64]Connection, error) {
	all, err := r.Connections()
	owners := map[int64]Connection{0: {Settings: DefaultConnectionSettings()}}
	for _, c := range all {
		owners[c.ID] = c
	}
	return owners, err
}
