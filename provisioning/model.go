package provisioning

import (
	"time"

	"meibo/scim"
)

// Tenant is one customer's isolated directory, named by an immutable slug.
type Tenant struct {
	Name    string
	Created time.Time
}

// Connection is one client of a tenant. It owns what it created.
type Connection struct {
	ID       int64
	Name     string
	Kind     string // "scim"
	Settings ConnectionSettings
	// SettingsVersion is that of the Settings in force, whose Protocol is repeated in Settings; 0 for DefaultSettings.
	SettingsVersion int64
	DebugUntil      time.Time // until when every request is captured; zero: not at all
	Created         time.Time
}

// ConnectionSettings are a connection's choices where clients differ.
type ConnectionSettings struct {
	PatchResponse    PatchResponse  `json:"patchResponse"`
	UnknownMembers   UnknownMembers `json:"unknownMembers"`
	UniqueGroupNames bool           `json:"uniqueGroupNames"`
	Paused           bool           `json:"paused"` // its client is told to come back later; nothing is done and nothing journalled
}

// DefaultConnectionSettings are what Entra ID is best served with.
func DefaultConnectionSettings() ConnectionSettings {
	return ConnectionSettings{PatchResponse: PatchDefault, UnknownMembers: RefuseUnknownMembers, UniqueGroupNames: true}
}

// PatchResponse is what a successful PATCH answers.
type PatchResponse string

const (
	PatchDefault  PatchResponse = "default"  // a user 200 with the resource, a group 204
	PatchResource PatchResponse = "resource" // always 200 with the resource
	PatchNone     PatchResponse = "none"     // always 204
)

// UnknownMembers is what becomes of a member id that was never issued.
type UnknownMembers string

const (
	RefuseUnknownMembers UnknownMembers = "refuse"
	KeepUnknownMembers   UnknownMembers = "keep"
)

// Credential is a bearer token of a connection. Its text is not stored.
type Credential struct {
	ID         string // UUIDv7
	Connection int64
	Hash       []byte // SHA-256 of the token
	Hint       string // the token's last four characters
	Created    time.Time
	Expires    time.Time // zero: never
	Revoked    time.Time // zero: not revoked
	LastUsed   time.Time // zero: never; written at most once a minute
}

// State is what the host application sees of an account.
type State string

const (
	Active    State = "active"
	Suspended State = "suspended"
	Held      State = "held"
	Removed   State = "removed"
)

// Resource is one user or group as it is stored.
type Resource struct {
	ID         string // UUIDv7, lower case
	Type       scim.ResourceType
	Connection int64 // its owner; 0 for none
	Visible    bool  // the owner's clients find it
	State      State
	Role       string // of a user
	Protected  bool   // by a person, whatever its role is
	Version    int64  // 1 at creation, one more with each change
	Created    time.Time
	Modified   time.Time

	Asserted    []byte    // scim.Definition.Encode of what the owner wrote
	Effective   []byte    // the same of what the host application sees; nil where it equals Asserted
	RuleVersion int64     // of the settings that made Effective
	Overrides   []byte    // JSON object by path: what a person set and no sync changes, PathRole included; nil for none
	MemberCount int       // effective memberships of a group
	Removals    []byte    // JSON of []Spent: what a group of some size lost lately; nil for nothing
	LeftAt      time.Time // when it was suspended or removed; zero while it is active or held
	PurgeAt     time.Time // when what was removed may be purged; zero for never
	Index       Index

	Groups      []Reference  // as References.Groups asked
	Manager     Reference    // ID whenever one is asserted; Display as References.Manager asked
	MemberFacts []MemberFact // as ResourceQuery.MemberFacts asked, in its order
	OpenMembers []Membership // as ResourceQuery.AllMembers asked
}

// Membership is one that lasts, in one of the two views at least.
type Membership struct {
	scim.Member
	Asserted  bool // the client lists it
	Effective bool // the host application sees it
}

// Index are the values of a resource that it is found by, next to its documents. They follow from
// the documents; the core derives them, the store only keeps them.
type Index struct {
	Name          string  // folded asserted userName, or displayName of a group
	EffectiveName string  // folded effective userName; "" for groups
	ExternalID    string  // as sent
	Stable        string  // value of the attribute that the settings name as the stable key; "" where they name none
	Display       string  // displayName as sent
	Manager       string  // id of the asserted manager
	Emails        []Email // read inside Update only, since only a write compares them
}

// APIKey is a credential for the admin API: of a person or a system, with one role in one tenant. Its text is not stored.
type APIKey struct {
	ID       string // UUIDv7
	Holder   string // the person or system it belongs to
	Role     KeyRole
	Hash     []byte // SHA-256 of the key
	Hint     string // its last four characters
	Created  time.Time
	Expires  time.Time // zero: never
	Revoked  time.Time // zero: not revoked
	LastUsed time.Time // zero: never; written at most once a minute
}

// KeyRole is what an API key may do.
type KeyRole string

const (
	KeyOwner       KeyRole = "owner"       // everything, keys included
	KeyOperator    KeyRole = "operator"    // settings, open matters, users, groups, import, undo
	KeySupport     KeyRole = "support"     // reads
	KeyApplication KeyRole = "application" // the host application: reads effective users, groups and changes
)

// Email is one asserted e-mail address. The folded forms follow the attributes' Folding.
type Email struct {
	Value   string // folded
	Type    string // folded
	Display string // folded
	Primary bool
}

// Reference names another resource.
type Reference struct {
	ID      string
	Display string
}
