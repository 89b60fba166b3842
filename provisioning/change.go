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
}

// AttributeChange is the difference of one attribute. Path is a top-level attribute, an extension
// attribute with its URN, or one of the Path constants of the journal; a nil side is unassigned.
type AttributeChange struct {
	Path string `json:"path"`
	Old  any    `json:"old,omitempty"`
	New  any    `json:"new,omitempty"`
}

// MemberDelta is what a change really adds to and takes from a group's members.
type MemberDelta struct {
	Add    []scim.Member
	Remove []string
}

// Reason says what decided, as a code with arguments.
type Reason struct {
	Code string            `json:"code"`
	Args map[string]string `json:"args,omitempty"`
}
