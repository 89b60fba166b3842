package summary

import (
	"time"

	"meibo/provisioning"
	"meibo/scim"
)

// Entry is an entry of the journal.
type Entry struct {
	ID               string     `json:"id" format:"uuid"`
	ActivityDateTime time.Time  `json:"activityDateTime" doc:"When it was done."`
	TenantID         string     `json:"tenantId" doc:"Name of the tenant."`
	JobID            string     `json:"jobId,omitempty" doc:"Name of the connection; absent where none was involved."`
	CycleID          string     `json:"cycleId,omitempty" doc:"The cycle that it belongs to, where only the entries of one were asked for; absent otherwise."`
	ChangeID         string     `json:"changeId,omitempty" doc:"Correlation id: of the request, or of the run, that it belongs to."`
	Action           string     `json:"provisioningAction" enum:"create,update,disable,delete,stagedDelete,other"`
	Duration         *int64     `json:"durationInMilliseconds,omitempty" minimum:"0" doc:"Of the request; absent where none made it."`
	InitiatedBy      Initiator  `json:"initiatedBy"`
	SourceSystem     *System    `json:"sourceSystem,omitempty" doc:"The connection; absent where none was involved."`
	TargetSystem     System     `json:"targetSystem"`
	SourceIdentity   *Identity  `json:"sourceIdentity,omitempty" doc:"As the connection's client knows it; absent where no connection was involved."`
	TargetIdentity   *Identity  `json:"targetIdentity,omitempty" doc:"As meibo knows it; absent of what is about no user or group, such as a new token."`
	StatusInfo       StatusInfo `json:"provisioningStatusInfo"`
	Properties       []Property `json:"modifiedProperties" doc:"What changed of the attributes, and of what meibo keeps beside them (meibo.state and so on)."`
	Steps            []Step     `json:"provisioningSteps" doc:"Those that the entry shows to have been taken."`
	Meibo            Own        `json:"meibo" doc:"What Entra has no word for."`
}

// Initiator is who did it.
type Initiator struct {
	ID          string `json:"id" doc:"The actor, as it stands in the journal."`
	DisplayName string `json:"displayName"`
	Type        string `json:"initiatorType" enum:"user,application,system" doc:"A person or who holds an API key; a client with its token; the clock."`
}

// System is one end of a connection.
type System struct {
	ID          string `json:"id"`
	DisplayName string `json:"displayName"`
}

// Identity is a user or a group.
type Identity struct {
	ID           string `json:"id,omitempty"`
	DisplayName  string `json:"displayName,omitempty" doc:"Its userName or displayName at the time."`
	IdentityType string `json:"identityType" enum:"User,Group"`
}

// StatusInfo is how it went.
type StatusInfo struct {
	Status string     `json:"status" enum:"success,failure,skipped,warning"`
	Error  *ErrorInfo `json:"errorInformation,omitempty"`
}

// ErrorInfo is why a request failed and what a person should do about it.
type ErrorInfo struct {
	Code              string `json:"errorCode" doc:"A scimType of RFC 7644, or a kind such as notFound."`
	Reason            string `json:"reason"`
	Category          string `json:"errorCategory" enum:"failure,nonServiceFailure" doc:"failure: the fault is the server's. nonServiceFailure: it is what was asked for."`
	RecommendedAction string `json:"recommendedAction"`
}

// Property is the difference of one attribute.
type Property struct {
	DisplayName string `json:"displayName" doc:"Path of the attribute."`
	OldValue    any    `json:"oldValue,omitempty" doc:"Absent where it had no value."`
	NewValue    any    `json:"newValue,omitempty" doc:"Absent where it has none now."`
}

// Own is what Entra has no word for.
type Own struct {
	Position        int64    `json:"position,omitempty" minimum:"1" doc:"Its place in the tenant's journal, which /log/stream tells."`
	Request         *Request `json:"request,omitempty" doc:"Absent where no request made it."`
	MatchedBy       string   `json:"matchedBy,omitempty" doc:"The attribute that found the user or group."`
	SettingsVersion int64    `json:"settingsVersion" minimum:"0" doc:"Of the settings that decided; 0 for the default ones."`
	Reason          Reason   `json:"reason"`
	Members         *Joining `json:"members,omitempty" doc:"What changed of a group's memberships."`
	Version         int64    `json:"version,omitempty" minimum:"1" doc:"Of the user or group afterwards; absent where nothing changed."`
}

// Request is the request behind an entry.
type Request struct {
	Method       string   `json:"method"`
	Path         string   `json:"path"`
	Status       int      `json:"status"`
	Dialect      string   `json:"dialect,omitempty" doc:"The identity provider's way to write that was understood."`
	Quirks       []string `json:"quirks,omitempty" doc:"Names of what was repaired of it."`
	Microseconds int64    `json:"microseconds" minimum:"0"`
}

// Reason is why it was decided so.
type Reason struct {
	Code      string            `json:"code"`
	Arguments map[string]string `json:"args,omitempty"`
}

// Joining is who joined a group and who left it: in both views, or in one alone.
type Joining struct {
	Added            []JoiningMember `json:"added,omitempty" nullable:"false"`
	Removed          []string        `json:"removed,omitempty" nullable:"false"`
	AssertedAdded    []JoiningMember `json:"assertedAdded,omitempty" nullable:"false" doc:"For the client alone."`
	AssertedRemoved  []string        `json:"assertedRemoved,omitempty" nullable:"false"`
	EffectiveAdded   []JoiningMember `json:"effectiveAdded,omitempty" nullable:"false" doc:"For the host application alone."`
	EffectiveRemoved []string        `json:"effectiveRemoved,omitempty" nullable:"false"`
}

// JoiningMember is one who joined, as the client named it.
type JoiningMember struct {
	ID      string `json:"id"`
	Display string `json:"display,omitempty"`
}

// host is the end of every connection that is this server and the application behind it.
var host = System{ID: "meibo", DisplayName: "meibo"}

// Of is the view of an entry of a tenant.
func Of(tenant string, e provisioning.Entry) Entry {
	initiator, name := provisioning.InitiatorOf(e.Actor)
	out := Entry{
		ID: e.ID, ActivityDateTime: e.At.UTC(), TenantID: tenant, JobID: e.ConnectionName, ChangeID: e.Correlation, Action: string(e.Action),
		InitiatedBy: Initiator{e.Actor, name, string(initiator)}, TargetSystem: host,
		StatusInfo: StatusInfo{Status: string(e.Outcome), Error: failureOf(e.Error)},
		Properties: make([]Property, len(e.Diff)), Steps: steps(e),
		Meibo: Own{Request: requestOf(e.Request), MatchedBy: e.MatchedBy, SettingsVersion: e.SettingsVersion,
			Reason: Reason{e.Reason.Code, e.Reason.Args}, Members: joiningOf(e.Members), Version: e.Version},
	}
	if e.Request != nil {
		ms := e.Request.Duration.Milliseconds()
		out.Duration = &ms
	}
	if e.ConnectionName != "" {
		out.SourceSystem = &System{e.ConnectionName, e.ConnectionName}
	}
	if e.ResourceType != "" {
		out.TargetIdentity = &Identity{e.ResourceID, e.ResourceName, string(e.ResourceType)}
		if out.SourceSystem != nil {
			out.SourceIdentity = &Identity{externalID(e.Diff), e.ResourceName, string(e.ResourceType)}
		}
	}
	for i, d := range e.Diff {
		out.Properties[i] = Property{d.Path, d.Old, d.New}
	}
	return out
}

// At is the view of an entry with its place.
func At(tenant string, p provisioning.PositionedEntry) Entry {
	out := Of(tenant, p.Entry)
	out.Meibo.Position = p.Position
	return out
}

func requestOf(r *provisioning.RequestInfo) *Request {
	if r == nil {
		return nil
	}
	return &Request{r.Method, r.Path, r.Status, r.Dialect, r.Quirks, r.Duration.Microseconds()}
}

// serverFaults are the codes of errors that the client can do nothing about.
var serverFaults = map[string]bool{provisioning.Internal.String(): true, provisioning.Unavailable.String(): true}

func failureOf(e *provisioning.EntryError) *ErrorInfo {
	if e == nil {
		return nil
	}
	category := "nonServiceFailure"
	if serverFaults[e.Code] {
		category = "failure"
	}
	return &ErrorInfo{e.Code, e.Detail, category, e.RecommendedAction}
}

// externalID is the client's id, where the entry tells it; "" otherwise.
func externalID(diff []provisioning.AttributeChange) string {
	for _, d := range diff {
		if d.Path == "externalId" {
			for _, side := range []any{d.New, d.Old} {
				if id, ok := side.(string); ok {
					return id
				}
			}
		}
	}
	return ""
}

func joiningOf(d provisioning.MemberDelta) *Joining {
	if d.IsZero() {
		return nil
	}
	members := func(list []scim.Member) (out []JoiningMember) {
		for _, m := range list {
			out = append(out, JoiningMember{m.Value, m.Display})
		}
		return out
	}
	return &Joining{members(d.Add), d.Remove, members(d.AssertedAdd), d.AssertedRemove, members(d.EffectiveAdd), d.EffectiveRemove}
}
