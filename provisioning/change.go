package provisioning

import (
	"slices"

	"meibo/scim"
)

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

// Leaves reports whether the host application loses an account that it has: at once, or as soon as it has said what
// hangs on it.
func (c *Change) Leaves() bool {
	return c.Before != nil && c.Before.State.in() && c.Action != ChangeSkip && (!c.After.State.in() || c.Warning.Code == ReasonImpact)
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

// MemberDelta is what a change really adds to and takes from a group's members. Memberships have two views, as
// attributes do: the client reads the asserted ones, the host application sees the effective ones. A membership
// lasts while one view has it; an id is in one list at most.
type MemberDelta struct {
	Add    []scim.Member `json:"add,omitempty"`    // of both views
	Remove []string      `json:"remove,omitempty"` // of an effective membership, which ends in both views

	AssertedAdd     []scim.Member `json:"assertedAdd,omitempty"`     // who is an effective member already, or is to be none
	AssertedRemove  []string      `json:"assertedRemove,omitempty"`  // who stays an effective member, or was none
	EffectiveAdd    []scim.Member `json:"effectiveAdd,omitempty"`    // whom the client does not list, or lists already
	EffectiveRemove []string      `json:"effectiveRemove,omitempty"` // whom the client goes on listing, or did not list
}

// IsZero reports whether nothing changes.
func (d MemberDelta) IsZero() bool {
	return len(d.Add)+len(d.Remove)+len(d.AssertedAdd)+len(d.AssertedRemove)+len(d.EffectiveAdd)+len(d.EffectiveRemove) == 0
}

// Grown is how many effective memberships more there are.
func (d MemberDelta) Grown() int {
	return len(d.Add) + len(d.EffectiveAdd) - d.lost()
}

// lost is how many effective memberships end.
func (d MemberDelta) lost() int { return len(d.Remove) + len(d.EffectiveRemove) }

// empty ends all effective memberships, those as well that would have begun. What the client lists is its own.
func (d *MemberDelta) empty(open []Membership) {
	d.AssertedAdd, d.Add = append(d.AssertedAdd, d.Add...), nil
	for _, id := range effectiveMembers(open) {
		if !slices.Contains(d.Remove, id) && !slices.ContainsFunc(d.AssertedAdd, func(m scim.Member) bool { return m.Value == id }) {
			d.EffectiveRemove = append(d.EffectiveRemove, id)
		}
	}
}

// fill makes effective members of all whom the client lists.
func (d *MemberDelta) fill(open []Membership) {
	for _, m := range open {
		if m.Asserted && !m.Effective && !slices.Contains(d.AssertedRemove, m.Value) {
			d.EffectiveAdd = append(d.EffectiveAdd, m.Member)
		}
	}
}

// withhold keeps the effective memberships of who was to leave.
func (d *MemberDelta) withhold() {
	d.AssertedRemove, d.Remove, d.EffectiveRemove = append(d.AssertedRemove, d.Remove...), nil, nil
}

// keep withholds the removal of some, and says of whom.
func (d *MemberDelta) keep(some map[string]bool) (kept []string) {
	var gone []string
	for _, id := range d.Remove {
		if some[id] {
			kept = append(kept, id)
		} else {
			gone = append(gone, id)
		}
	}
	d.Remove, d.AssertedRemove = gone, append(d.AssertedRemove, kept...)
	return kept
}

// ids are all whom it concerns.
func (d MemberDelta) ids() []string {
	var ids []string
	for _, m := range slices.Concat(d.Add, d.AssertedAdd, d.EffectiveAdd) {
		ids = append(ids, m.Value)
	}
	return slices.Concat(ids, d.Remove, d.AssertedRemove, d.EffectiveRemove)
}

// Reason says what decided, as a code with arguments.
type Reason struct {
	Code string            `json:"code"`
	Args map[string]string `json:"args,omitempty"`
}
