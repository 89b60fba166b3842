package provisioning

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Settings are the rules of one connection: what its administrator chose of how its assertions are
// matched, mapped and take effect. They are kept as versions of one document; version 0 is
// DefaultSettings, with which every connection starts. A new version decides from the next request or run on.
type Settings struct {
	Preset    Preset             `json:"preset,omitempty"` // what the rest departs from
	Protocol  ConnectionSettings `json:"protocol"`
	Matching  MatchingSettings   `json:"matching"`
	Scope     ScopeSettings      `json:"scope"`
	Mapping   MappingSettings    `json:"mapping"`
	Deletion  DeletionSettings   `json:"deletion"`
	Roles     RoleSettings       `json:"roles"`
	Guard     GuardSettings      `json:"guard"`
	Tolerance ToleranceSettings  `json:"tolerance"`
	Matters   MatterSettings     `json:"matters"`
}

// Preset is a whole of choices under one word.
type Preset string

// The presets. Each is documented in docs/settings.md with what it does on every cause.
const (
	PresetDefault         Preset = ""
	PresetMirror          Preset = "mirror"            // out of scope or gone: deleted at once; administrators are spared and stay unlinked
	PresetSuspendOrDelete Preset = "suspend-or-delete" // disabled is suspended, deleted is deleted
	PresetGuarded         Preset = "guarded"           // deletes, under a tolerance that stops everything
	PresetHandPicked      Preset = "hand-picked"       // nothing leaves by itself: a person handles every departure
)

// MatchingSettings say which existing account an assertion means.
type MatchingSettings struct {
	// StableKey is the path of the attribute that survives a rename. externalId counts in the form of a GUID only;
	// an attribute named here by the administrator counts in any form. "" for none.
	StableKey string `json:"stableKey"`
	// Attributes are what accounts of other owners are looked for by, in order of precedence: userName,
	// emails. What the first of them finds is meant.
	Attributes []string `json:"attributes"`
	Adoption   Adoption `json:"adoption"`
	// VerifiedDomains are those whose addresses prove who somebody is: Adopt takes nobody over by another's.
	VerifiedDomains []string `json:"verifiedDomains,omitempty"`
}

// Adoption is what becomes of an assertion that means an account which the connection does not own.
type Adoption string

const (
	AdoptionAdopt  Adoption = "adopt"  // the connection becomes its owner; privileged accounts and unverified domains are asked for
	AdoptionAsk    Adoption = "ask"    // a person chooses
	AdoptionRefuse Adoption = "refuse" // it stays whose it is
)

// ScopeSettings say whom the connection manages. What is out of scope is echoed and not effective.
type ScopeSettings struct {
	Users  ScopeFilter `json:"users"`
	Groups ScopeFilter `json:"groups"`
}

// ScopeFilter selects what is in scope: what satisfies all of its parts that are there.
type ScopeFilter struct {
	Filter  string   `json:"filter,omitempty"`  // SCIM, RFC 7644 §3.4.2.2
	Domains []string `json:"domains,omitempty"` // of the userName; users only
	Groups  []string `json:"groups,omitempty"`  // ids or displayNames of the connection's groups, one of which must list it; users only
}

// IsZero reports whether everything is in scope.
func (f ScopeFilter) IsZero() bool {
	return f.Filter == "" && len(f.Domains) == 0 && len(f.Groups) == 0
}

// MappingSettings derive the effective attributes from the asserted ones. What no row names is as asserted.
type MappingSettings struct {
	UserName UserNameSettings `json:"userName"`
	Users    []MappingRow     `json:"users,omitempty"`
	Groups   []MappingRow     `json:"groups,omitempty"`
}

// UserNameSettings say what userName the host application sees.
type UserNameSettings struct {
	Mode   UserNameMode `json:"mode"`
	Frozen bool         `json:"frozen,omitempty"` // the one of the creation stays; later renames change the echo alone
}

// UserNameMode is how much of the asserted userName is effective.
type UserNameMode string

const (
	FullUserName  UserNameMode = "full"
	LocalUserName UserNameMode = "local" // what comes before the @
)

// MappingRow assigns one effective attribute. One of Source, Constant and Expression says what; none of
// them unassigns it.
type MappingRow struct {
	Target     string       `json:"target"`               // path of the attribute, as in a filter
	Source     string       `json:"source,omitempty"`     // path of an asserted attribute, extensions included
	Constant   any          `json:"constant,omitempty"`   //
	Expression string       `json:"expression,omitempty"` // in the functions of package mapping
	Apply      MappingApply `json:"apply,omitempty"`
	Default    any          `json:"default,omitempty"`    // where the source comes out empty
	Required   bool         `json:"required,omitempty"`   // refused where it comes out empty
	Unique     bool         `json:"unique,omitempty"`     // no two accounts of the tenant have it: userName, which is so always
	MaxLength  int          `json:"maxLength,omitempty"`  // in characters; 0 for no limit but that of any attribute
	Characters string       `json:"characters,omitempty"` // regular expression (RE2) that the whole value satisfies
}

// MappingApply is when a row applies.
type MappingApply string

const (
	ApplyAlways     MappingApply = ""         // "always" in a document
	ApplyAtCreation MappingApply = "creation" // later changes leave the effective attribute as it is
)

// DeletionSettings say what each cause of a departure does.
type DeletionSettings struct {
	Users  UserDeletion  `json:"users"`
	Groups GroupDeletion `json:"groups"`
	// Grace is how long what was removed can be restored, with its memberships and role. Then it is purged, as Purge says.
	Grace  Period         `json:"grace"`
	Purge  PurgeMode      `json:"purge"`
	Ageing AgeingSettings `json:"ageing"`
}

// UserDeletion is the policy of each cause that a SCIM connection can have.
type UserDeletion struct {
	Deactivated DeletionPolicy `json:"deactivated"`
	Deleted     DeletionPolicy `json:"deleted"`
	Scope       DeletionPolicy `json:"scope"`
}

// GroupDeletion is the same for groups. RemoveMembersPolicy keeps the group and empties it.
type GroupDeletion struct {
	Deleted DeletionPolicy `json:"deleted"`
	Scope   DeletionPolicy `json:"scope"`
}

// PurgeMode says who ends a grace time.
type PurgeMode string

const (
	PurgeAsk  PurgeMode = "ask"  // a person, through an open matter
	PurgeAuto PurgeMode = "auto" // the purge job
)

// AgeingSettings say what becomes of those who are suspended for long: Entra sends no DELETE for
// people who were unassigned.
type AgeingSettings struct {
	After Period         `json:"after,omitempty"` // 0: nothing
	Do    DeletionPolicy `json:"do,omitempty"`    // DeletePolicy or HoldPolicy
}

// RoleSettings say which role a user has.
type RoleSettings struct {
	Default string   `json:"default"`
	Names   []string `json:"names,omitempty"`   // the tenant's own, beside ordinary and admin
	Guarded []string `json:"guarded,omitempty"` // whose holders are privileged, beside admin
	// AppRoles and Groups map what the client sends to a role; the first that holds decides. Without
	// them roles are set by a person alone.
	AppRoles     []RoleMapping `json:"appRoles,omitempty"`
	Groups       []RoleMapping `json:"groups,omitempty"`
	GrantGuarded bool          `json:"grantGuarded,omitempty"` // a push may make somebody privileged
}

// RoleMapping gives a role to those who have an app role (its value) or are in a group (its id or displayName).
type RoleMapping struct {
	When string `json:"when"`
	Role string `json:"role"`
}

// The roles that every tenant has.
const (
	RoleOrdinary = "ordinary"
	RoleAdmin    = "admin"
)

// GuardSettings say how the departure of those who are never removed is answered.
type GuardSettings struct {
	Mode GuardMode `json:"mode"`
	// Users and Groups are protected beside the holders of guarded roles: ids, userNames, displayNames.
	Users  []string `json:"users,omitempty"`
	Groups []string `json:"groups,omitempty"`
}

// GuardMode is the answer to an assertion that a guard withholds.
type GuardMode string

const (
	GuardAccept GuardMode = "accept" // as if done; the effect is withheld
	GuardRefuse GuardMode = "refuse" // 400 mutability, and none of the request applies
)

// ToleranceSettings say how many may go at once (semantics §3).
type ToleranceSettings struct {
	Mode    ToleranceMode `json:"mode"`
	Window  Period        `json:"window"`
	Users   Tolerance     `json:"users"`
	Groups  Tolerance     `json:"groups"`
	Members Tolerance     `json:"members"` // removals, per group
}

// ToleranceMode is what becomes of a change that would reach the limit.
type ToleranceMode string

const (
	ToleranceDelay    ToleranceMode = "delay"    // 503 with Retry-After for that object, on the list of open matters
	ToleranceWithhold ToleranceMode = "withhold" // as HoldPolicy
	ToleranceOff      ToleranceMode = "off"
)

// Tolerance bounds departures: the smaller of the share and the count, but never less than the floor.
type Tolerance struct {
	Share int `json:"share"`           // per cent of what there was when the window began
	Count int `json:"count,omitempty"` // 0: no such bound
	Floor int `json:"floor,omitempty"`
	From  int `json:"from,omitempty"` // of members: smaller groups are not counted
}

// MatterSettings say how open matters are handled.
type MatterSettings struct {
	OverdueAfter Period `json:"overdueAfter"` // then they are flagged
	// SecondPerson demands that what somebody allows or links, and whatever gets around guards and tolerance, be
	// confirmed by somebody else: see Desired.Alone and gravely.
	SecondPerson bool           `json:"secondPerson,omitempty"`
	Impact       ImpactSettings `json:"impact"`
}

// ImpactSettings say whom to ask what hangs on a user before the policy delete is done.
type ImpactSettings struct {
	URL     string `json:"url,omitempty"`     // of the host application; "" asks nobody
	Timeout Period `json:"timeout,omitempty"` // of one question; 0 for defaultImpactTimeout
}

// DefaultSettings suspend on every cause, purge nobody without a person, protect administrators, keep to the
// tolerance and ask before they adopt.
func DefaultSettings() Settings {
	return Settings{
		Protocol: DefaultConnectionSettings(),
		Matching: MatchingSettings{StableKey: "externalId", Attributes: []string{"userName", "emails"}, Adoption: AdoptionAsk},
		Mapping:  MappingSettings{UserName: UserNameSettings{Mode: FullUserName}},
		Deletion: DeletionSettings{
			Users:  UserDeletion{Deactivated: SuspendPolicy, Deleted: SuspendPolicy, Scope: SuspendPolicy},
			Groups: GroupDeletion{Deleted: DeletePolicy, Scope: DeletePolicy},
			Grace:  30 * day,
			Purge:  PurgeAsk,
		},
		Roles: RoleSettings{Default: RoleOrdinary},
		Guard: GuardSettings{Mode: GuardAccept},
		Tolerance: ToleranceSettings{
			Mode: ToleranceDelay, Window: day,
			Users: Tolerance{Share: 20, Count: 500, Floor: 25}, Groups: Tolerance{Share: 20, Count: 500, Floor: 25},
			Members: Tolerance{Share: 50, From: 50},
		},
		Matters: MatterSettings{OverdueAfter: 7 * day},
	}
}

// SettingsVersion is one version of a connection's settings.
type SettingsVersion struct {
	Connection int64
	Version    int64 // 1 for the first; one more with each
	At         time.Time
	Actor      string
	Comment    string
	Settings   Settings
	Source     string // the document as it was written
}

// Period is a length of time that documents write as whole days, hours, minutes or seconds: 30d, 24h, 90m, 10s.
type Period time.Duration

const day = Period(24 * time.Hour)

// Duration is the period as the standard library has it.
func (p Period) Duration() time.Duration { return time.Duration(p) }

// periodUnits from the largest to the smallest.
var periodUnits = []struct {
	letter string
	unit   Period
}{{"d", day}, {"h", Period(time.Hour)}, {"m", Period(time.Minute)}, {"s", Period(time.Second)}}

func (p Period) String() string {
	for _, u := range periodUnits {
		if p != 0 && p%u.unit == 0 {
			return strconv.FormatInt(int64(p/u.unit), 10) + u.letter
		}
	}
	return "0"
}

// MarshalText implements encoding.TextMarshaler.
func (p Period) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Period) UnmarshalText(text []byte) error {
	s := string(text)
	if s == "0" {
		*p = 0
		return nil
	}
	for _, u := range periodUnits {
		if number, ok := strings.CutSuffix(s, u.letter); ok {
			n, err := strconv.ParseInt(number, 10, 32)
			if err != nil || n < 0 || n > int64(maxPeriod/u.unit) {
				break
			}
			*p = Period(n) * u.unit
			return nil
		}
	}
	return fmt.Errorf("%q is no period; write a whole number of days, hours, minutes or seconds, at most %s: 30d, 24h, 90m, 10s", s, maxPeriod)
}

// maxPeriod bounds periods: a grace of more than ten years is a mistake.
const maxPeriod = 3650 * day
