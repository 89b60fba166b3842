package provisioning

import (
	"regexp"
	"slices"
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
	// Act, if set, is what a person or a job wants of the effective state; the rest but Type, Now and
	// Connection (of the owner) then does not count.
	Act *Act
	// Anew has the rules decide again on what is asserted already, because they or somebody's groups changed.
	Anew bool
	// Link makes the connection the owner of Facts.Current, whoever it is now: a person said so.
	Link bool
	// ByPerson is an assertion that a person makes: it takes nothing from a tolerance.
	ByPerson bool
	// Restore, if set, is what that person wants of the rest of the row.
	Restore *Restore
	// Returns says that the client asserts by name that the user is active.
	Returns bool
	// Alone says that one person wants it whose settings demand two for what gets around guards and tolerance:
	// Decision.Demand tells whether this does, and what does not is claimed from the tolerance.
	Alone bool
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
	// Kept are the ids of candidates that the rules of their owners protect.
	Kept map[string]bool
	// Members has a fact for each id that Desired.Members names; Open lists the group's memberships
	// that last where they are to be replaced, and the effective ones where decide asks for them.
	Members []MemberFact
	Open    []Membership
	// Departure is what a departure, or the question whose account it is, is weighed by; nil until decide
	// asks for it.
	Departure *DepartureFacts
	// Left is why Current came into its state; nil until decide asks for it.
	Left *Reason
	// HasOpen and HasGroups say that Open and the groups of Current were read.
	HasOpen, HasGroups bool
	// Waiting are the matters about whom decide asks for them, who stands in the way or Current: what is open, and what a
	// person rejected of a delayed departure.
	Waiting    []Matter
	HasWaiting bool
	HasHolder  bool // Candidates.Effective was read for the name that is taken in the end
	HasListed  bool // Open has those as well that the client alone lists
	// Groups are those of Current, in either view, where it is to be purged; where a tombstone comes back that was purged,
	// those that this took from it: decide asks for them.
	Groups   []GroupFact
	HasTaken bool
}

// Decision is what came of a Desired: everything that one unit of work writes.
type Decision struct {
	Changes []Change // the last is the one that was asked for; those before it make room for it, or follow from it
	Matters []MatterChange
	Budgets []Budget
	Demand  string // why it takes a second person; "" for what one may do. See Desired.Alone
	// More says that Changes are the first of very many: once they are committed, the rest is to be decided on. What was
	// asked for is not among them yet.
	More bool
}

// decide is the only place where an assertion becomes a change. It is pure: equal arguments give
// equal decisions. Errors are Invalid, Conflict, or Unavailable where a tolerance is reached; a
// lacking asks for facts.
func decide(f Facts, d Desired, r *Rules) (Decision, error) {
	out, err := decideFor(f, d, r)
	if err == nil && d.Alone {
		err = r.alone(f, d, &out)
	}
	return out, err
}

// decideFor decides for whoever has a say.
func decideFor(f Facts, d Desired, r *Rules) (Decision, error) {
	if d.Act != nil {
		return act(f, d, r)
	}
	if d.Presence == Absent {
		return absent(f, d, r)
	}
	m, err := match(f, d, r)
	if err != nil {
		return Decision{}, err
	}
	if m.current != nil && d.Type == scim.User && r.readsGroups() && !f.HasGroups {
		return Decision{}, &lacking{resource: m.current}
	}
	delta, warning, err := memberDelta(f, d.Members, r.Settings.Protocol.UnknownMembers, d.Restore != nil)
	if err != nil {
		return Decision{}, err
	}
	if d.Restore != nil {
		d.Restore.inViews(f, d.Members, &delta)
	}
	was, err := effectiveOf(m.current)
	if err != nil {
		return Decision{}, err
	}
	out, err := present(f, m, was, d, r, delta)
	if err != nil {
		return Decision{}, err
	}
	c := &out.Changes[0]
	c.MatchedBy = m.by
	if c.Warning.Code == "" {
		c.Warning = warning
	}
	if err := checkSize(&c.After); err != nil {
		return Decision{}, err
	}
	if after := &c.After; m.current != nil && f.Current == nil && !m.linked && !f.HasHolder && after.Index.EffectiveName != after.Index.Name {
		return Decision{}, &lacking{holder: after.Index.EffectiveName} // who returns may take another name than was sent
	}
	if err := r.effectiveNameIsFree(f, m, &c.After); err != nil {
		return Decision{}, err
	}
	room, err := r.makeRoom(f, *c, d.Now)
	if err == nil && room != nil {
		out.Changes = []Change{*room, *c}
	}
	if err != nil || d.Restore != nil || m.current == nil || !wasPurged(m.current, was) || !c.After.State.in() {
		return out, err // a file says by itself who is in which group
	}
	if !f.HasTaken {
		return Decision{}, &lacking{taken: m.current}
	}
	back, err := rejoins(f.Groups, d.Now)
	out.Changes = append(back, out.Changes...)
	return out, err
}

// present makes a resource what is asserted. was is what the host application saw of it; nil for as asserted.
func present(f Facts, m meant, was scim.Attributes, d Desired, r *Rules, delta MemberDelta) (Decision, error) {
	current := m.current
	after := Resource{ID: d.ID, Type: d.Type, Created: d.Now}
	if current != nil {
		after = *current
	}
	after.Connection, after.Visible = d.Connection, true
	after.Asserted = scim.Standard(d.Type).Encode(d.Asserted)
	after.Index = indexOf(d.Type, d.Asserted)
	r.keep(&after, d.Asserted)
	is, err := r.derive(m, d, was)
	if err != nil {
		return Decision{}, err
	}
	if err := after.dropOverrides(is.settled...); err != nil {
		return Decision{}, err
	}
	after.setEffective(is.attributes, r.Version)
	if after.Manager.ID != after.Index.Manager {
		after.Manager = Reference{ID: after.Index.Manager} // the display name was another's
	}

	e, err := r.arrival(f, m, d)
	if err != nil {
		return Decision{}, err
	}
	e.apply(&after)
	if d.Restore == nil && current != nil && wasPurged(current, was) && !after.State.in() {
		is.attributes, is.guesses = was, nil // its client writes on its tombstone
		after.setEffective(was, r.Version)
	}
	if m.linked { // what the earlier owner's client asked for is nobody's wish any more
		e.settle(current, d.Now, MatterHeld, MatterKept, MatterDelayed, MatterPurge)
		own := *current
		own.Connection = d.Connection // whose client let it go before
		e.welcome(&own, d.Now, MatterDelayed)
	}
	c := Change{Before: current, Name: nameOf(d.Type, d.Asserted), Members: delta, Cause: e.cause}
	if d.Type == scim.User {
		if after.Role, err = r.roleOf(m, &after, d.Asserted, &e, d.Now); err != nil {
			return Decision{}, err
		}
	} else if !e.emptied {
		if r.staysEmpty(f, m, d) {
			c.Members.empty(nil)
		}
		if err := r.membership(f, &after, d, &c, &e); err != nil {
			return Decision{}, err
		}
	}
	if d.Restore != nil {
		if err := d.Restore.over(&after, &e, r, d.Now); err != nil {
			return Decision{}, err
		}
		current, c.Before, c.Cause = d.Restore.stored, d.Restore.stored, e.cause
		m.current = current
	}
	if e.emptied {
		if !f.HasOpen {
			return Decision{}, &lacking{members: true}
		}
		c.Members.empty(f.Open)
	}
	if e.filled {
		if !f.HasListed {
			return Decision{}, &lacking{listed: true}
		}
		c.Members.fill(f.Open)
	}
	after.MemberCount += c.Members.Grown()
	r.pin(f, current, &after)
	c.After, c.Ignored = after, c.Ignored || e.ignored
	if c.Warning.Code == "" {
		c.Warning = e.warning
	}
	c.Diff = append(diff(m.asserted, d.Asserted), rowDiff(current, &c.After)...)
	c.Diff = append(c.Diff, d.Restore.leftDiff(&c.After)...)
	c.Diff = append(c.Diff, effectiveDiff(view{m.asserted, was}, view{d.Asserted, is.attributes})...)
	c.Action, c.Reason = verdict(m, &c, e)
	if c.Action == ChangeSkip {
		c.After = *current
		if d.Returns && current.State == Active && r.Settings.Tolerance.Mode == ToleranceDelay {
			if !f.HasWaiting {
				return Decision{}, &lacking{waiting: current}
			}
			if slices.ContainsFunc(f.Waiting, func(w Matter) bool { return w.Kind == MatterDelayed && w.Cause != CauseMembers }) {
				e.welcome(current, d.Now, MatterDelayed)
			}
		}
		return Decision{Changes: []Change{c}, Matters: e.matters}, nil
	}
	if len(is.guesses) > 0 {
		c.Reason = r.guessed(c.Reason, d.Type, is, was, m.asserted)
	}
	c.After.Version++
	c.After.Modified = d.Now
	return Decision{Changes: []Change{c}, Matters: e.matters, Budgets: e.budgets}, nil
}

// setEffective gives a resource its effective document; nil for as asserted.
func (x *Resource) setEffective(a scim.Attributes, version int64) {
	x.Effective, x.RuleVersion = nil, 0
	if a == nil {
		return
	}
	x.Effective, x.RuleVersion = scim.Standard(x.Type).Encode(a), version
	if x.Type == scim.User {
		x.Index.EffectiveName = scim.FoldFull.Apply(nameOf(scim.User, a))
	}
}

// verdict names what a change to what is asserted amounts to.
func verdict(m meant, c *Change, e effect) (Action, Reason) {
	switch before, after := m.current, &c.After; {
	case before == nil && len(m.alike) > 0:
		return ChangeCreate, Reason{Code: ReasonCreated, Args: map[string]string{"alike": few(m.alike)}}
	case before == nil:
		return ChangeCreate, Reason{Code: ReasonCreated}
	case m.linked:
		return ChangeLink, Reason{Code: ReasonAdopted, Args: map[string]string{"by": m.by}}
	case len(c.Diff) == 0 && c.Members.IsZero():
		return ChangeSkip, Reason{Code: ReasonUnchanged}
	case c.Cause == CauseMembers:
		return ChangeUpdate, Reason{Code: ReasonIgnored, Args: map[string]string{"cause": CauseMembers}}
	case e.cause != "" && e.action != "":
		return e.action, e.reason
	case !before.Visible, !before.State.in() && after.State == Active:
		return ChangeRestore, Reason{Code: ReasonRestored}
	default:
		return ChangeUpdate, Reason{Code: ReasonAsserted}
	}
}

// in reports whether the host application lets an account in, or has the group.
func (s State) in() bool { return s == Active || s == Held }

// isActive is what an asserted document says of the account: active unless it says false.
func isActive(a scim.Attributes) bool { return a["active"] != false }

// makeRoom frees the effective userName that c needs from an invisible account of the same
// connection: userNames are recycled, and a new hire must not inherit a leaver. The old account
// keeps its data under its name with its id appended.
func (r *Rules) makeRoom(f Facts, c Change, now time.Time) (*Change, error) {
	holder := inTheWay(f, &c.After)
	if holder == nil || c.Action == ChangeSkip {
		return nil, nil
	}
	asserted, err := decoded(holder.Type, holder.Asserted)
	if err != nil {
		return nil, err
	}
	was, err := effectiveOf(holder)
	if err != nil {
		return nil, err
	}
	attrs := was
	if attrs == nil {
		attrs = asserted
	}
	name := nameOf(holder.Type, attrs) + "." + holder.ID
	attrs = withAttribute(attrs, "userName", name)

	after := *holder
	if err := after.dropOverrides(prefixUndone + "userName"); err != nil {
		return nil, err
	}
	after.setEffective(attrs, holder.RuleVersion)
	after.Version++
	after.Modified = now
	r.pin(f, holder, &after)
	return &Change{Action: ChangeUpdate, Before: holder, After: after, Name: name,
		Diff:   append(rowDiff(holder, &after), effectiveDiff(view{asserted, was}, view{asserted, attrs})...),
		Reason: Reason{Code: ReasonNameRecycled, Args: map[string]string{"by": c.After.ID}}}, nil
}

// objectID is how Entra prefixes the userName of a user that it deleted softly.
var objectID = regexp.MustCompile(`^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$`)

// keepsEffectiveName reports whether an inactive user keeps the userName that the host application
// has: Entra renamed it on the way out, or it has had a name of its own since.
func keepsEffectiveName(current *Resource, d Desired, name string) bool {
	if isActive(d.Asserted) || !current.Visible {
		return false
	}
	return isTombstone(d.Asserted, current.Index.EffectiveName) || current.Effective != nil && name == current.Index.Name
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
