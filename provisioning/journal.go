package provisioning

import (
	"time"

	"meibo/scim"
)

// JournalAction is an action in the words of Entra's provisioning log.
type JournalAction string

// The actions of a journal entry.
const (
	ActionCreate       JournalAction = "create"
	ActionUpdate       JournalAction = "update"
	ActionDisable      JournalAction = "disable"
	ActionDelete       JournalAction = "delete"
	ActionStagedDelete JournalAction = "stagedDelete"
	ActionOther        JournalAction = "other"
)

// Outcome is how it went.
type Outcome string

// The outcomes of a journal entry.
const (
	Success Outcome = "success"
	Failure Outcome = "failure"
	Skipped Outcome = "skipped"
	Warning Outcome = "warning"
)

// Paths of the differences in an entry that are no attributes of the asserted document.
const (
	PathState     = "meibo.state"
	PathVisible   = "meibo.visible"
	PathOwner     = "meibo.owner" // id of the connection as a number; 0 for none
	PathRole      = "meibo.role"
	PathProtected = "meibo.protected"
	PathPurgeAt   = "meibo.purgeAt" // RFC 3339
	// PathLeftAt is since when somebody is suspended, where a person said so (RFC 3339). Else it is the time of the entry that did it.
	PathLeftAt = "meibo.leftAt"
	// PathOverride is followed by the path of an attribute, or by "role", that a person set; after "undone." by one
	// that an undo left.
	PathOverride = "meibo.override."
	// PathEffective is followed by the path of an attribute whose effective value is not the asserted one: it is
	// absent where both are equal, and an empty object where the attribute is effectively unassigned.
	PathEffective = "meibo.effective."
)

// Entry is one line of the journal: what was asked, what was decided and why. Folding a
// resource's entries in the order of Version gives its state.
type Entry struct {
	ID             string
	At             time.Time
	Connection     int64 // 0 where none was involved
	ConnectionName string
	Actor          string
	Correlation    string
	Request        *RequestInfo // nil where no request made it, as for a side effect on a second resource
	Action         JournalAction
	Outcome        Outcome
	ResourceID     string
	ResourceType   scim.ResourceType
	ResourceName   string // userName or displayName, for people
	Version        int64  // of the resource afterwards; 0 where nothing changed
	MatchedBy      string // id, externalId, userName or emails; "" where nothing was matched
	// Settings is the version of the connection's settings that decided.
	SettingsVersion int64
	Diff            []AttributeChange
	Members         MemberDelta
	Reason          Reason
	Error           *EntryError
}

// RequestInfo is the request behind an entry.
type RequestInfo struct {
	Method   string        `json:"method"`
	Path     string        `json:"path"`
	Dialect  string        `json:"dialect,omitempty"`
	Quirks   []string      `json:"quirks,omitempty"`
	Status   int           `json:"status"`
	Duration time.Duration `json:"-"`
}

// EntryError is why a request failed and what a person should do about it.
type EntryError struct {
	Code              string `json:"code"`
	Detail            string `json:"detail"`
	RecommendedAction string `json:"recommendedAction"`
}

// AdminChange is one administrative write; one field is set.
type AdminChange struct {
	CreateTenant     *Tenant
	CreateConnection *Connection // its ID is assigned by the store; NotFound/Conflict "name" as for any write
	CreateCredential *Credential
	RevokeCredential *Credential // ID and Revoked
	TouchCredential  *Credential // ID and LastUsed
	// SaveSettings stores the next version of a connection's settings and puts it in force. It is overtaken
	// where Version is not one more than the one in force. NotFound for the connection; Conflict "displayName" while group
	// names shall become unique and two visible groups share one.
	SaveSettings *SettingsVersion
	CreateKey    *APIKey
	RevokeKey    *APIKey // ID and Revoked
	TouchKey     *APIKey // ID and LastUsed
	// DebugConnection has ID and DebugUntil.
	DebugConnection *Connection
	Heard           *HeardTraffic
	// Silence has Connection and Silent. NotFound for a connection that was never heard.
	Silence *Hearing
}
