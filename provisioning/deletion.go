package provisioning

import (
	"time"

	"meibo/scim"
)

// DeletionPolicy is what becomes of an account that its owner disables or deletes.
type DeletionPolicy string

// The policies of users; of groups DeletePolicy, HoldPolicy, IgnorePolicy and RemoveMembersPolicy.
const (
	SuspendPolicy       DeletionPolicy = "suspend"       // keeps the account and its data, and lets nobody in
	DeletePolicy        DeletionPolicy = "delete"        // removes it; purged after the grace time
	HoldPolicy          DeletionPolicy = "hold"          // waits for a person
	IgnorePolicy        DeletionPolicy = "ignore"        // the account stays as it is; a deleted one has no owner any more
	RemoveMembersPolicy DeletionPolicy = "removeMembers" // keeps the group and empties it
)

// departure is the state that each policy leaves an account in.
var departure = map[DeletionPolicy]State{
	SuspendPolicy: Suspended,
}

// stateOf is the effective state of an account whose owner asserts a. To unassign active says
// nothing about access: who was let in or kept out stays so.
func stateOf(current *Resource, a scim.Attributes, r Rules) State {
	switch active, assigned := a["active"]; {
	case active == false:
		return departure[r.OnDisable]
	case !assigned && current != nil && current.Visible:
		return current.State
	default:
		return Active
	}
}

// absent is the change that a DELETE asks for. The client finds nothing afterwards; what the host
// application sees of a user follows the policy. A group is removed, and its member rows stay with
// the tombstone: a later group of the same name is a new group and inherits nobody.
func absent(current *Resource, now time.Time, r Rules) Change {
	after := *current
	after.Visible = false
	after.Version++
	after.Modified = now
	after.State = Removed
	if current.Type == scim.User {
		after.State = departure[r.OnDelete]
	}
	return Change{Action: ChangeDelete, Before: current, After: after, MatchedBy: "id",
		Diff:   rowDiff(current, &after),
		Reason: Reason{Code: string(after.State), Args: map[string]string{"cause": CauseDeleted}}}
}
