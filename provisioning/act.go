package provisioning

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"meibo/scim"
)

// Act is what a person, or a job in a person's name, wants of the effective side of a resource. What the owner
// asserts stays as it is.
type Act struct {
	State     State          // Active, Suspended or Removed; "" leaves it
	Empty     bool           // ends the effective memberships of a group
	Leave     []string       // ends those of these members whom the client does not list any longer
	Role      *string        // "" takes an earlier choice back
	Protected *bool          //
	Overrides map[string]any // by path; a nil value takes an earlier one back
	Purge     bool           // erases what is kept of a resource, which must be removed
	Erase     bool           // with Purge: what the client asserts goes, too, and it finds the user no longer
	Release   bool           // ends that a resource is held; one that is not held stays as it is
	Wait      bool           // leaves a removed resource as it is until a person says otherwise
	Grace     Period         // of Removed; how long it can be restored
	Cause     string         // what it is done for; "" for a person's own wish
	Matters   []MatterChange // what it settles
	Instead   *Matter        // with Purge: what to open, and wait, where it would leave nobody in a protected group; nil refuses that
	Earlier   *Earlier       // what returns to what it was: an undo
	// Counts are what the host application said hangs on it; nil where it was not asked.
	Counts map[string]int64
}

// act decides what an Act does.
func act(f Facts, d Desired, r *Rules) (Decision, error) {
	if d.Act.Purge {
		return purge(f, d, r)
	}
	return actOn(f, d, r)
}

// actOn decides what an Act does to its resource. Guards hold over it as over every policy: who is to go must be
// unprotected first.
func actOn(f Facts, d Desired, r *Rules) (Decision, error) {
	a, x := d.Act, f.Current
	if (a.Purge || a.Empty || len(a.Leave) > 0 || a.State == Suspended || a.State == Removed) && r.protects(x) {
		return Decision{}, keptByGuard(x, r.because(x))
	}
	if e := a.Earlier; e != nil && len(e.Members.EffectiveRemove) > 0 && x.MemberCount+e.Members.Grown() <= 0 && r.protects(x) {
		return Decision{}, keptByGuard(x, r.because(x))
	}
	if a.isLate(x, d.Now) {
		return Decision{}, &Error{Kind: Precondition, Detail: "the account has come back, or was removed anew, since this was asked: look at it again"}
	}
	if !a.Purge && !a.Wait && !a.Release && isBack(a.Cause, x) {
		return Decision{}, &Error{Kind: Precondition, Detail: fmt.Sprintf("the client has the %s again since it asked for its deletion: reject the matter, "+
			"or remove it without one", x.Type)}
	}
	after := *x
	if err := a.choose(&after, r); err != nil {
		return Decision{}, err
	}
	e := stays(x)
	if a.Release && x.State == Held {
		e.goes(Active, d.Now)
	}
	if a.State != "" && a.State != x.State && !a.isLesser(x) {
		e.goes(a.State, d.Now)
		if a.State == Removed {
			e.purgeAt = d.Now.Add(a.Grace.Duration())
			if a.Earlier != nil && a.Earlier.PurgeAt.After(d.Now) {
				e.purgeAt = a.Earlier.PurgeAt
			}
		}
	}
	if a.Purge || a.Wait {
		e.purgeAt = time.Time{}
	}
	e.apply(&after)
	c := Change{Before: x, MatchedBy: matchedByID, Name: nameOf(x.Type, f.Asserted), Cause: a.Cause,
		Reason: Reason{Code: ReasonByPerson, Args: a.args()}}
	if a.Empty || len(a.Leave) > 0 {
		if !f.HasOpen {
			return Decision{}, &lacking{members: true}
		}
		c.Members = a.leaving(x, f.Open)
		after.MemberCount += c.Members.Grown()
	}
	if a.Earlier != nil {
		c.Members, c.Reason.Code = a.Earlier.Members, ReasonUndone
		after.MemberCount += c.Members.Grown()
	}
	asserted, was, err := a.documents(f, &after, d, r)
	if err != nil {
		return Decision{}, err
	}
	if err := checkSize(&after); err != nil {
		return Decision{}, err
	}
	effective, err := effectiveOf(&after)
	if err != nil {
		return Decision{}, err
	}
	if !a.unprotects() {
		r.pin(f, x, &after)
	}
	c.Diff = append(diff(f.Asserted, asserted), rowDiff(x, &after)...)
	c.Diff = append(c.Diff, effectiveDiff(view{f.Asserted, was}, view{asserted, effective})...)
	c.Action = a.action(x, &after)
	switch {
	case a.Purge:
		c.Reason.Code = ReasonPurged
	case a.Counts != nil:
		c.Reason.Code = ReasonAnswered
	}
	if len(c.Diff) == 0 && c.Members.IsZero() {
		c.Action, c.Reason.Code, c.After = ChangeSkip, ReasonUnchanged, *x
		return Decision{Changes: []Change{c}, Matters: a.Matters}, nil
	}
	after.Version++
	after.Modified = d.Now
	c.After = after
	return Decision{Changes: []Change{c}, Matters: a.matters(x, &after)}, nil
}

// unprotects reports whether the protection is to end by the very word that may end what it hangs on.
func (a *Act) unprotects() bool {
	said := a.Protected
	if a.Earlier != nil {
		said = a.Earlier.Protected
	}
	return said != nil && !*said
}

// isLate reports whether what time brings comes too late: the account is back, or has a new grace time, which only a
// person's own wish cuts short.
func (a *Act) isLate(x *Resource, now time.Time) bool {
	switch {
	case a.Purge, a.Wait:
		return x.State != Removed || a.Cause != "" && x.PurgeAt.After(now)
	case a.Cause == CauseAgeing:
		return a.State == Removed && x.State != Suspended
	default:
		return false
	}
}

// isBack reports whether a deletion is asked for of what its client has again, which says otherwise of it by now.
func isBack(cause string, x *Resource) bool { return cause == CauseDeleted && x.Visible }

// isLesser reports whether a departure would bring back in part who is gone already: who was disabled and then deleted is asked
// about twice, and the answers come in any order.
func (a *Act) isLesser(x *Resource) bool {
	return a.Cause != "" && a.State == Suspended && x.State == Removed
}

// matters are those that it settles, with what is open about a departure that ends with it.
func (a *Act) matters(before, after *Resource) []MatterChange {
	if after.State != Active || before.State == Active {
		return a.Matters
	}
	return append(slices.Clone(a.Matters), settled(before)...)
}

// checkRole refuses a role that nobody has named: "Admin" would protect nobody. Of an account without owner only what looks like
// a role that every tenant has is checked, since other connections name roles, too.
func (r *Rules) checkRole(x Resource, role string) error {
	all := slices.Concat(commonRoles, r.Settings.Roles.Names)
	if role == "" || slices.Contains(all, role) || role == x.Role || x.Connection == 0 && !misspells(role) {
		return nil
	}
	return &Error{Kind: Invalid, Attribute: "role",
		Detail: fmt.Sprintf("there is no such role; choose one of %q, or add it to roles.names of the connection's settings", all)}
}

// misspells reports whether a role looks like one that every tenant has and is none: its holder would be taken for protected.
func misspells(role string) bool {
	return !slices.Contains(commonRoles, role) && slices.ContainsFunc(commonRoles, func(known string) bool { return strings.EqualFold(known, strings.TrimSpace(role)) })
}

// commonRoles are those that every tenant has.
var commonRoles = []string{RoleOrdinary, RoleAdmin}

// choose writes what was chosen into the row: role, protection, overrides.
func (a *Act) choose(x *Resource, r *Rules) error {
	if a.Earlier != nil {
		return a.Earlier.choose(x, r)
	}
	if a.Protected != nil {
		x.Protected = *a.Protected
	}
	overrides, err := overridesOf(x)
	if err != nil {
		return err
	}
	next := maps.Clone(overrides)
	if next == nil {
		next = map[string]any{}
	}
	chosen := maps.Clone(a.Overrides)
	if a.Role != nil {
		if err := r.checkRole(*x, *a.Role); err != nil {
			return err
		}
		if chosen == nil {
			chosen = map[string]any{}
		}
		if chosen[overrideRole] = any(*a.Role); *a.Role == "" {
			chosen[overrideRole] = nil
		}
		x.Role = roleKey(*a.Role)
	}
	if err := namedOnce(x.Type, chosen); err != nil {
		return err
	}
	for path, v := range chosen {
		same := spelling(x.Type, path)
		maps.DeleteFunc(next, func(old string, _ any) bool { return isAbout(old, path) || spelling(x.Type, old) == same })
		if v != nil {
			next[path] = v
		}
	}
	return x.setOverrides(next)
}

// spelling is a path in the one spelling of its attribute; what is no path, such as the key of a role, is as it is.
func spelling(t scim.ResourceType, path string) string {
	if p, err := scim.ParsePath(scim.Standard(t), path); err == nil {
		return p.String()
	}
	return path
}

// namedOnce refuses overrides that name an attribute in two spellings: which of them counted would be chance.
func namedOnce(t scim.ResourceType, chosen map[string]any) error {
	spelt := map[string]string{}
	for _, path := range slices.Sorted(maps.Keys(chosen)) {
		same := spelling(t, path)
		if other, twice := spelt[same]; twice {
			return &Error{Kind: Invalid, Attribute: "overrides", Detail: fmt.Sprintf("%s and %s are the same attribute; name it once", other, path)}
		}
		spelt[same] = path
	}
	return nil
}

// isAbout reports whether an override that an undo left is about the attribute of a path.
func isAbout(override, path string) bool {
	undone, ok := strings.CutPrefix(override, prefixUndone)
	rest, ok2 := strings.CutPrefix(path, undone)
	return ok && ok2 && (rest == "" || rest[0] == '.' || rest[0] == '[' || strings.HasSuffix(undone, ":"))
}

// documents gives the row the documents that follow from what was chosen, and what they were.
func (a *Act) documents(f Facts, x *Resource, d Desired, r *Rules) (asserted, was scim.Attributes, err error) {
	asserted = f.Asserted
	if was, err = effectiveOf(f.Current); err != nil {
		return nil, nil, err
	}
	switch {
	case a.Earlier != nil:
		return a.Earlier.documents(f, x, d, r)
	case a.Purge:
		if a.Erase {
			x.Visible, x.Protected = false, false
		}
		if !x.Visible { // a visible tombstone is the client's
			asserted = scim.Attributes{}
			x.Asserted, x.Index, x.Manager = scim.Standard(x.Type).Encode(asserted), Index{}, Reference{}
		}
		x.Role, x.Overrides, x.Removals, x.LeftAt = "", nil, nil, time.Time{}
		x.setEffective(nil, r.Version)
		if x.Visible {
			x.setEffective(scim.Attributes{}, r.Version)
		}
	case len(a.Overrides) > 0:
		d.Asserted = asserted
		effective, err := r.effective(meant{current: x, asserted: asserted}, d, was)
		if err != nil {
			return nil, nil, err
		}
		kept := x.Index
		x.Index = indexOf(x.Type, asserted)
		x.Index.Emails, x.Index.Stable = kept.Emails, kept.Stable
		x.setEffective(effective, r.Version)
	}
	return asserted, was, nil
}

// action is what an Act comes to.
func (a *Act) action(before, after *Resource) Action {
	switch {
	case a.Purge, a.Empty, after.State == Removed && before.State != Removed:
		return ChangeDelete
	case after.State == Suspended && before.State != Suspended:
		return ChangeSuspend
	case after.State == Active && before.State != Active:
		return ChangeRestore
	default:
		return ChangeUpdate
	}
}

// args say what was chosen, for the journal.
func (a *Act) args() map[string]string {
	args := map[string]string{}
	if a.State != "" {
		args["state"] = string(a.State)
	}
	if a.Role != nil {
		args["role"] = *a.Role
	}
	if a.Cause != "" {
		args["cause"] = a.Cause
	}
	if a.Counts != nil {
		args["counts"] = CountsText(a.Counts)
	}
	if a.Earlier != nil {
		args = map[string]string{"entry": a.Earlier.Entry, "entries": strconv.Itoa(a.Earlier.Entries)}
	}
	return args
}
