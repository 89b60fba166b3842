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

// effect is what a cause, or its end, does to the effective side of a resource.
type effect struct {
	cause   string // of a departure; "" where there is none
	state   State
	purgeAt time.Time
	left    time.Time
	orphan  bool // it has no owner any more
	emptied bool // of a group: its effective memberships end
	filled  bool // of a group that was emptied: they begin again
	action  Action
	reason  Reason // what decided
	warning Reason // why an effect is withheld; its Code is "" when none is
	ignored bool
	matters []MatterChange
	budgets []Budget
}

// stays is the effect of nothing.
func stays(x *Resource) effect { return effect{state: x.State, purgeAt: x.PurgeAt, left: x.LeftAt} }

// apply writes the effect into the row.
func (e effect) apply(x *Resource) {
	x.State, x.PurgeAt, x.LeftAt = e.state, e.purgeAt, e.left
	if e.orphan {
		x.Connection = 0
	}
}

// goes makes the effect that of a state.
func (e *effect) goes(state State, now time.Time) {
	if e.state.in() && !state.in() || e.left.IsZero() && !state.in() {
		e.left = now
	}
	if state.in() {
		e.left = time.Time{}
	}
	if state != Removed {
		e.purgeAt = time.Time{}
	}
	e.state = state
}

// arrival is the effect of what is asserted of a resource that its owner wants to be there. What changes
// is why it is not to be effective, if it is not: that alone is a departure or a return.
func (r *Rules) arrival(f Facts, m meant, d Desired) (effect, error) {
	var groups []Reference
	if m.current != nil {
		groups = m.current.Groups
	}
	cause := r.cause(d.Type, d.Asserted, groups)
	if m.current == nil {
		return r.newcomer(d, cause), nil
	}
	before := r.causeBefore(m, d, groups)
	if _, assigned := d.Asserted["active"]; !assigned && m.current.Visible && before == CauseDeactivated {
		cause = before // to unassign active says nothing about access: who was kept out stays so
	}
	x := m.current
	if m.linked { // what it does counts for the connection whose it becomes
		own := *x
		own.Connection, own.Protected = d.Connection, own.Protected || f.Kept[x.ID]
		x = &own
	}
	e := stays(x)
	if d.Anew && (cause == "" && !x.State.in() || cause == CauseDeactivated && x.State.in()) {
		if f.Left == nil {
			return e, &lacking{left: x}
		}
		if f.Left.isPersonal() {
			return e, nil // who took the account away says when it comes back, and who brought it back when it goes
		}
	}
	switch {
	case cause == "" && (before != "" || x.State == Held || !x.Visible || invites(m, d)):
		e.welcome(x, d.Now, MatterHeld, MatterKept, MatterDelayed, MatterPurge)
		e.goes(Active, d.Now)
		e.filled = x.Type == scim.Group && before == CauseScope && r.policy(x.Type, before) == RemoveMembersPolicy
		return e, nil
	case cause == "", before == cause:
		return e, nil
	case before == "", before == CauseDeactivated, before == CauseScope:
		return r.depart(f, d, x, cause)
	default: // it is out already, whatever for
		if !x.Visible && x.State == Removed && r.policy(x.Type, cause) != DeletePolicy {
			e.goes(Suspended, d.Now) // its client has it again, so nothing of it is to be purged
		}
		return e, nil
	}
}

// invites reports whether active, which nothing was said of, is asserted to be true: who is kept out may have been so
// before active was unassigned.
func invites(m meant, d Desired) bool {
	_, said := m.asserted["active"]
	return d.Type == scim.User && !d.Anew && !said && d.Asserted["active"] == true && !m.current.State.in()
}

// causeBefore is why a stored resource was not to be effective. Where that does not follow from what was asserted,
// its state tells.
func (r *Rules) causeBefore(m meant, d Desired, groups []Reference) string {
	if !d.Anew && !m.linked && m.current.Visible {
		return r.cause(d.Type, m.asserted, groups)
	}
	if m.current.State.in() {
		return ""
	}
	return string(m.current.State)
}

// newcomer is the effect of a resource that is new. One out of scope is echoed and not effective.
func (r *Rules) newcomer(d Desired, cause string) effect {
	e := effect{state: Active, cause: cause}
	switch {
	case cause == CauseDeactivated, cause == CauseScope && r.policy(d.Type, cause) == SuspendPolicy:
		e.goes(Suspended, d.Now)
	case cause == CauseScope:
		e.goes(Removed, d.Now)
	}
	return e
}

// depart is the effect of a cause: the policy first, then the guards, then the tolerance; the host application is asked
// about what all of them let go.
func (r *Rules) depart(f Facts, d Desired, x *Resource, cause string) (effect, error) {
	policy := r.policy(x.Type, cause)
	e := r.departure(d, x, cause, policy)
	if e.takes(x) || policy == HoldPolicy {
		if r.protects(x) {
			return r.guard(d, x, cause, policy)
		}
	}
	switch {
	case !e.counts(x):
	case d.ByPerson || r.Settings.Tolerance.Mode == ToleranceOff:
		e.settle(x, d.Now, MatterDelayed) // what a tolerance stopped earlier
	default:
		var err error
		if e, err = r.tolerate(f, d, x, e, policy); err != nil {
			return e, err
		}
	}
	switch {
	case r.asksFirst(x, e):
		return r.awaitImpact(d, x, e, policy), nil
	case x.State == Held && e.state != Held:
		e.settle(x, d.Now, MatterHeld) // it waited for a person, and goes for another cause
	}
	return e, nil
}

// staysEmpty reports whether a group was emptied since it is out of scope, and still is: whom its client adds then is listed,
// and a member once the group is back.
func (r *Rules) staysEmpty(f Facts, m meant, d Desired) bool {
	x := m.current
	return x != nil && d.Restore == nil && x.State == Active && x.MemberCount == 0 && r.policy(scim.Group, CauseScope) == RemoveMembersPolicy &&
		r.cause(scim.Group, m.asserted, nil) == CauseScope && r.cause(scim.Group, d.Asserted, nil) == CauseScope && !f.Kept[x.ID] && !r.protects(x)
}

// keptBack is an effect that waits: the account stays, and the host application sees that its departure is asked for.
func (e effect) keptBack(x *Resource, reason Reason, now time.Time) effect {
	held := stays(x)
	if x.State.in() {
		held.goes(Held, now)
	}
	held.cause, held.action, held.warning, held.matters, held.budgets = e.cause, ChangeHold, reason, e.matters, e.budgets
	return held
}

// takes reports whether the effect takes something from the host application, now or after a grace time.
func (e effect) takes(x *Resource) bool {
	return e.emptied || !e.state.in() && (e.state != x.State || !e.purgeAt.Equal(x.PurgeAt))
}

// counts reports whether a tolerance counts it: one already suspended or removed does not.
func (e effect) counts(x *Resource) bool { return x.State.in() && (e.emptied || !e.state.in()) }

// departure is the effect of a policy by itself.
func (r *Rules) departure(d Desired, x *Resource, cause string, policy DeletionPolicy) effect {
	e := stays(x)
	e.cause = cause
	args := map[string]string{"cause": cause, "policy": string(policy)}
	switch policy {
	case SuspendPolicy:
		if e.state != Removed {
			e.goes(Suspended, d.Now)
		}
		e.action = ChangeSuspend
	case DeletePolicy:
		e.goes(Removed, d.Now)
		e.purgeAt = d.Now.Add(r.Settings.Deletion.Grace.Duration())
		e.action = ChangeDelete
	case RemoveMembersPolicy:
		if e.emptied = true; e.state.in() {
			e.goes(Active, d.Now)
		}
		e.action = ChangeDelete
	case HoldPolicy:
		if e.state.in() {
			e.goes(Held, d.Now)
		}
		e.action, e.warning = ChangeHold, Reason{Code: ReasonHeld, Args: args}
		e.open(r.matter(x, MatterHeld, cause, e.warning, d.Now))
		return e
	default: // IgnorePolicy
		e.ignore(cause)
		return e
	}
	e.reason = Reason{Code: string(e.state), Args: args}
	return e
}

// ignore makes the effect that of IgnorePolicy.
func (e *effect) ignore(cause string) {
	e.ignored, e.action, e.orphan = true, ChangeUpdate, cause == CauseDeleted
	e.reason = Reason{Code: ReasonIgnored, Args: map[string]string{"cause": cause}}
}

// then is what a held departure does once it is allowed.
func then(t scim.ResourceType, cause string, policy DeletionPolicy) DeletionPolicy {
	switch {
	case policy != HoldPolicy && policy != IgnorePolicy:
		return policy
	case t == scim.Group || cause == CauseDeleted:
		return DeletePolicy
	default:
		return SuspendPolicy
	}
}

// absent is the change that a DELETE asks for. The client finds nothing afterwards; what the host
// application sees follows the policy. The member rows of a removed group stay with the tombstone: a
// later group of the same name is a new group and inherits nobody.
func absent(f Facts, d Desired, r *Rules) (Decision, error) {
	current := f.Current
	e, err := r.depart(f, d, current, CauseDeleted)
	if err != nil {
		return Decision{}, err
	}
	after := *current
	after.Visible = false
	after.Version++
	after.Modified = d.Now
	r.keep(&after, f.Asserted) // also of who was there before the settings named it
	e.apply(&after)
	r.pin(f, current, &after)
	c := Change{Action: ChangeDelete, Before: current, MatchedBy: matchedByID, Name: nameOf(d.Type, f.Asserted),
		Cause: CauseDeleted, Reason: e.reason, Warning: e.warning, Ignored: e.ignored}
	if e.emptied {
		if !f.HasOpen {
			return Decision{}, &lacking{members: true}
		}
		c.Members = MemberDelta{Remove: effectiveMembers(f.Open)}
		after.MemberCount = 0
	}
	c.After, c.Diff = after, rowDiff(current, &after)
	return Decision{Changes: []Change{c}, Matters: e.matters, Budgets: e.budgets}, nil
}
