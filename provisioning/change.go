package provisioning

import "meibo/scim"

// Action is what a change does to a resource.
type Action string

// The actions of the design; ChangeSkip changes nothing.
const (
	ChangeCreate  Action = "create"
	ChangeUpdate  Action = "update"
	ChangeSuspend Action = "suspend"
	ChangeRestore Action = "restore"
	ChangeDelete  Action = "delete"
	ChangeLink    Action = "link" // an account of another owner, or of none, becomes the connection's
	ChangeHold    Action = "hold" // asserted, and withheld
	ChangeSkip    Action = "skip"
)

// Change is a decision as data: preview shows it, commit executes it, the journal keeps it.
type Change struct {
	Action  Action
	Before  *Resource // nil for ChangeCreate; its Version guards the commit
	After   Resource  // the whole row afterwards
	Diff    []AttributeChange
	Members MemberDelta
	Reason  Reason

	Name        string // userName or displayName, as sent
	MatchedBy   string // what found the resource; "" for a new one
	Warning     Reason // what of the request was left out or withheld; its Code is "" when nothing was
	Cause       string // of a departure; "" where there is none
	RuleVersion int64  // of the settings that decided
	Ignored     bool   // the departure has no effect, by policy or by a person's word
}

// AttributeChange is the difference of one attribute. Path is a top-level attribute, an extension
// attribute with its URN, or one of the Path constants of the journal; a nil side is unassigned.
//
// A path that ends in a colon is the URN of an unregistered extension as a whole, where before or
// after it is no object whose names are attribute names: a path could not tell them apart.
type AttributeChange struct {
	Path string `json:"path"`
	Old  any    `json:"old,omitempty"`
	New  any    `json:"new,omitempty"`
}

// MemberDelta is what a change really adds to and takes from a group's members.
type MemberDelta struct {
	Add    []scim.Member `json:"add,omitempty"`
	Remove []string      `json:"remove,omitempty"`
}

// IsZero reports whether nothing changes.
func (d MemberDelta) IsZero() bool { return len(d.Add) == 0 && len(d.Remove) == 0 }

// ids are all whom it concerns.
func (d MemberDelta) ids() []string {
	ids := make([]string, 0, len(d.Add)+len(d.Remove))
	for _, m := range d.Add {
		ids = append(ids, m.Value)
	}
	return append(ids, d.Remove...)
}

// Reason says what decided, as a code with arguments.
type Reason struct {
	Code string            `json:"code"`
	Args map[string]string `json:"args,omitempty"`
}
