package provisioning

import (
	"regexp"
	"strings"
	"time"

	"meibo/scim"
)

// Desired is what somebody wants a resource to be, not how to get there.
type Desired struct {
	Type       scim.ResourceType
	Connection int64             // whose assertion it is
	Asserted   scim.Attributes   // everything the connection asserts; nothing for Absent
	Members    scim.MemberChange // of a group
	Presence   Presence
	ID         string    // for a resource that has to be created
	Now        time.Time // of the change
}

// Presence is whether the resource is to be there at all.
type Presence uint8

const (
	Present Presence = iota
	Absent
)

// Facts are what a Reader fetched for one Desired, and no more.
type Facts struct {
	// Current is the resource that was addressed by id, and Asserted its decoded document; nil when
	// it has to be matched.
	Current  *Resource
	Asserted scim.Attributes
	// Candidates are needed to match, and when a name changes.
	Candidates Candidates
	// Members has a fact for each id that Desired.Members names; Open lists the group's open
	// memberships where they are to be replaced.
	Members []MemberFact
	Open    []scim.Member
}

// Rules are a connection's choices that decide how its assertions take effect.
type Rules struct {
	Settings  ConnectionSettings
	OnDisable DeletionPolicy
	OnDelete  DeletionPolicy
}

// rulesOf are the rules of a connection. The policies are semantics' defaults.
func rulesOf(c Connection) Rules {
	return Rules{Settings: c.Settings, OnDisable: SuspendPolicy, OnDelete: SuspendPolicy}
}

// decide is the only place where an assertion becomes a change. It is pure: equal arguments give
// equal changes. The last change is the one that was asked for; those before it make room for it.
// Errors are Invalid or Conflict.
func decide(f Facts, d Desired, r Rules) ([]Change, error) {
	current, before, matched, err := match(f, d)
	if err != nil {
		return nil, err
	}
	if d.Presence == Absent {
		c := absent(current, d.Now, r)
		c.Name = nameOf(d.Type, before)
		return []Change{c}, nil
	}
	delta, warning, err := memberDelta(f, d.Members, r.Settings.UnknownMembers)
	if err != nil {
		return nil, err
	}
	name, err := effectiveUserName(current, before)
	if err != nil {
		return nil, err
	}
	c := present(current, before, name, d, r, delta)
	if err := checkSize(&c.After); err != nil {
		return nil, err
	}
	if err := effectiveNameIsFree(f, &c.After); err != nil {
		return nil, err
	}
	c.MatchedBy, c.Warning = matched, warning
	room, err := makeRoom(f, c, d.Now)
	if err != nil || room == nil {
		return []Change{c}, err
	}
	return []Change{*room, c}, nil
}

// match finds the resource that is meant, with its asserted attributes: the one addressed, or for a
// create the invisible account with an equal stable key (semantics §2). nil means that a new one is
// to be made.
func match(f Facts, d Desired) (current *Resource, asserted scim.Attributes, by string, err error) {
	if f.Current != nil {
		return f.Current, f.Asserted, "id", nameIsFree(f, f.Current.ID, d)
	}
	if d.Type != scim.User || len(f.Candidates.Stable) != 1 || f.Candidates.Stable[0].Visible {
		return nil, nil, "", nameIsFree(f, "", d)
	}
	current = &f.Candidates.Stable[0]
	if asserted, err = decoded(current.Type, current.Asserted); err != nil {
		return nil, nil, "", err
	}
	return current, asserted, "externalId", nameIsFree(f, current.ID, d)
}

// nameIsFree refuses a name that a visible resource of the connection has.
func nameIsFree(f Facts, self string, d Desired) error {
	if v := f.Candidates.Visible; v != nil && v.ID != self {
		return Taken(nameAttribute(d.Type))
	}
	return nil
}

// effectiveNameIsFree refuses an effective userName that is held by an account of the tenant which
// cannot make room for it.
func effectiveNameIsFree(f Facts, after *Resource) error {
	if e := inTheWay(f, after); e != nil && !yields(e, after.Connection) {
		return Taken(nameAttribute(after.Type))
	}
	return nil
}

// inTheWay is the account that holds the effective userName which another one is to have; nil for none.
func inTheWay(f Facts, after *Resource) *Resource {
	e := f.Candidates.Effective
	if e == nil || e.ID == after.ID || e.Index.EffectiveName != after.Index.EffectiveName {
		return nil
	}
	return e
}

// present is the change that makes a resource what is asserted.
//
// effectiveName is the userName that the host application has of current, as it was sent.
func present(current *Resource, before scim.Attributes, effectiveName string, d Desired, r Rules, delta MemberDelta) Change {
	after := Resource{ID: d.ID, Type: d.Type, Connection: d.Connection, Created: d.Now}
	if current != nil {
		after = *current
	}
	after.Visible = true
	after.Asserted = scim.Standard(d.Type).Encode(d.Asserted)
	after.Index = indexOf(d.Type, d.Asserted)
	after.Effective, after.RuleVersion = nil, 0
	if current != nil && keepsEffectiveName(current, d.Asserted, after.Index.Name) {
		after.Effective = scim.Standard(d.Type).Encode(withAttribute(d.Asserted, "userName", effectiveName))
		after.Index.EffectiveName = current.Index.EffectiveName
	}
	if after.Manager.ID != after.Index.Manager {
		after.Manager = Reference{ID: after.Index.Manager} // the display name was another's
	}
	after.State = stateOf(current, d.Asserted, r)

	c := Change{Before: current, After: after, Members: delta, Name: nameOf(d.Type, d.Asserted)}
	c.Diff = append(diff(before, d.Asserted), rowDiff(current, &after)...)
	c.Action, c.Reason = verdict(current, &c)
	if c.Action == ChangeSkip {
		c.After = *current
		return c
	}
	c.After.Version++
	c.After.Modified = d.Now
	return c
}

// verdict names what a change to what is asserted amounts to.
func verdict(current *Resource, c *Change) (Action, Reason) {
	switch after := &c.After; {
	case current == nil:
		return ChangeCreate, Reason{Code: ReasonCreated}
	case len(c.Diff) == 0 && c.Members.IsZero():
		return ChangeSkip, Reason{Code: ReasonUnchanged}
	case !current.Visible, current.State != Active && after.State == Active:
		return ChangeRestore, Reason{Code: ReasonRestored}
	case current.State == Active && after.State != Active:
		return ChangeSuspend, Reason{Code: string(after.State), Args: map[string]string{"cause": CauseDeactivated}}
	default:
		return ChangeUpdate, Reason{Code: ReasonAsserted}
	}
}

// isActive is what an asserted document says of the account: active unless it says false.
func isActive(a scim.Attributes) bool { return a["active"] != false }

// makeRoom frees the effective userName that c needs from an invisible account of the same
// connection: userNames are recycled, and a new hire must not inherit a leaver. The old account
// keeps its data under its name with its id appended.
func makeRoom(f Facts, c Change, now time.Time) (*Change, error) {
	holder := inTheWay(f, &c.After)
	if holder == nil || c.Action == ChangeSkip {
		return nil, nil
	}
	doc := holder.Effective
	if doc == nil {
		doc = holder.Asserted
	}
	attrs, err := decoded(holder.Type, doc)
	if err != nil {
		return nil, err
	}
	name := nameOf(holder.Type, attrs) + "." + holder.ID
	attrs["userName"] = name

	after := *holder
	after.Effective = scim.Standard(holder.Type).Encode(attrs)
	after.Index.EffectiveName = scim.FoldFull.Apply(name)
	after.Version++
	after.Modified = now
	return &Change{Action: ChangeUpdate, Before: holder, After: after, Name: name, Diff: rowDiff(holder, &after),
		Reason: Reason{Code: ReasonNameRecycled, Args: map[string]string{"by": c.After.ID}}}, nil
}

// yields reports whether the holder of an effective userName makes room for it: only an account
// of the same connection that its client no longer sees, or no longer sees under that name.
func yields(holder *Resource, connection int64) bool {
	if holder.Connection != connection {
		return false
	}
	return !holder.Visible || holder.State == Suspended && holder.Index.Name != holder.Index.EffectiveName
}

// objectID is how Entra prefixes the userName of a user that it deleted softly.
var objectID = regexp.MustCompile(`^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$`)

// keepsEffectiveName reports whether an inactive user keeps the userName that the host application
// has: Entra renamed it on the way out, or it has had a name of its own since.
func keepsEffectiveName(current *Resource, asserted scim.Attributes, name string) bool {
	if isActive(asserted) || !current.Visible {
		return false
	}
	return isTombstone(asserted, current.Index.EffectiveName) || current.Effective != nil && name == current.Index.Name
}

// isTombstone reports whether a user is asserted under the name that Entra gives to the
// softly deleted: object id + former userName. The host application never sees such a name.
func isTombstone(a scim.Attributes, effective string) bool {
	if effective == "" {
		return false
	}
	prefix, ok := strings.CutSuffix(scim.FoldFull.Apply(nameOf(scim.User, a)), effective)
	return ok && objectID.MatchString(prefix)
}

// effectiveUserName is the userName that the host application has of a user, as it was sent.
func effectiveUserName(r *Resource, asserted scim.Attributes) (string, error) {
	if r == nil || r.Effective == nil {
		return nameOf(scim.User, asserted), nil
	}
	a, err := decoded(r.Type, r.Effective)
	return nameOf(scim.User, a), err
}
