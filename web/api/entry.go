package api

import (
	"net/http"
	"time"

	"meibo/provisioning"
)

// Entry is one line of the journal: what was asked, what was decided and why.
type Entry struct {
	ID              string            `json:"id" format:"uuid"`
	At              time.Time         `json:"at"`
	Connection      string            `json:"connection,omitempty"`
	Actor           string            `json:"actor"`
	CorrelationID   string            `json:"correlationId,omitempty"`
	Request         *EntryRequest     `json:"request,omitempty" doc:"Absent where no request made it."`
	Action          string            `json:"action" enum:"create,update,disable,delete,stagedDelete,other"`
	Outcome         string            `json:"outcome" enum:"success,failure,skipped,warning"`
	Resource        *ChangedResource  `json:"resource,omitempty"`
	Name            string            `json:"name,omitempty" doc:"Its userName or displayName at the time."`
	Version         int64             `json:"version,omitempty" minimum:"1" doc:"Of the resource afterwards; absent where nothing changed."`
	MatchedBy       string            `json:"matchedBy,omitempty"`
	SettingsVersion int64             `json:"settingsVersion" minimum:"0" doc:"Of the settings that decided."`
	Reason          string            `json:"reason"`
	Arguments       map[string]string `json:"arguments,omitempty" doc:"Of the reason."`
	Changes         []EntryChange     `json:"changes"`
	Error           *EntryError       `json:"error,omitempty"`
}

// EntryRequest is the request behind an entry.
type EntryRequest struct {
	Method     string   `json:"method"`
	Path       string   `json:"path"`
	Status     int      `json:"status"`
	Dialect    string   `json:"dialect,omitempty"`
	Quirks     []string `json:"quirks,omitempty"`
	DurationMS float64  `json:"durationMs" minimum:"0"`
}

// EntryChange is the difference of one attribute.
type EntryChange struct {
	Path string `json:"path"`
	Old  any    `json:"old,omitempty"`
	New  any    `json:"new,omitempty"`
}

// EntryError is why a request failed and what a person should do about it.
type EntryError struct {
	Code              string `json:"code"`
	Detail            string `json:"detail"`
	RecommendedAction string `json:"recommendedAction"`
}

type entriesInput struct {
	Resource    string    `query:"resource" format:"uuid" pattern:"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$" doc:"About one user or group."`
	Name        string    `query:"name" minLength:"1" maxLength:"1024" doc:"The userName or displayName at the time, whatever its case."`
	Correlation string    `query:"correlationId" minLength:"1" maxLength:"64" doc:"Of one request."`
	Action      string    `query:"action" enum:"create,update,disable,delete,stagedDelete,other"`
	Outcome     string    `query:"outcome" enum:"success,failure,skipped,warning"`
	Since       time.Time `query:"since" doc:"From then on."`
	Until       time.Time `query:"until" doc:"Before then."`
	Limit       int       `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many at most."`
	Next        string    `query:"next" pattern:"^-?[0-9]{1,18}\\.[0-9A-Za-z-]{1,64}$" doc:"The next of the page before."`
}

func (a *api) entryOperations() {
	register(a, operation{id: "listEntries", method: http.MethodGet, path: "/entries", tag: "journal", roles: people,
		summary: "Read the journal", description: "Newest first: what was asked, what was decided and why. To follow it, /changes is the right address."}, (*call).entries)
}

func (c *call) entries(in *entriesInput) (*listed[Entry], error) {
	q := provisioning.EntryQuery{Resource: in.Resource, Name: in.Name, Correlation: in.Correlation, Action: provisioning.JournalAction(in.Action),
		Outcome: provisioning.Outcome(in.Outcome), Since: in.Since, Until: in.Until, Limit: in.Limit}
	var err error
	if in.Next != "" {
		if q.Before, err = provisioning.ParsePlace(in.Next); err != nil {
			return nil, err
		}
	}
	found, err := c.Service.EntryPage(c.context(), c.tenant(), q)
	if err != nil {
		return nil, err
	}
	items, next := make([]Entry, len(found.Entries)), ""
	for i, e := range found.Entries {
		items[i] = entryView(e)
	}
	if !found.Next.IsZero() {
		next = found.Next.String()
	}
	return page(c, items, next), nil
}

func entryView(e provisioning.Entry) Entry {
	out := Entry{ID: e.ID, At: e.At, Connection: e.ConnectionName, Actor: e.Actor, CorrelationID: e.Correlation, Action: string(e.Action), Outcome: string(e.Outcome),
		Name: e.ResourceName, Version: e.Version, MatchedBy: e.MatchedBy, SettingsVersion: e.SettingsVersion, Reason: e.Reason.Code, Arguments: e.Reason.Args,
		Changes: make([]EntryChange, len(e.Diff))}
	for i, d := range e.Diff {
		out.Changes[i] = EntryChange{d.Path, d.Old, d.New}
	}
	if r := e.Request; r != nil {
		out.Request = &EntryRequest{r.Method, r.Path, r.Status, r.Dialect, r.Quirks, float64(r.Duration.Microseconds()) / 1000}
	}
	if e.ResourceID != "" {
		out.Resource = &ChangedResource{string(e.ResourceType), e.ResourceID}
	}
	if e.Error != nil {
		out.Error = &EntryError{e.Error.Code, e.Error.Detail, e.Error.RecommendedAction}
	}
	return out
}
