package provisioning

import (
	"fmt"
	"slices"
	"time"

	"meibo/scim"
)

// Who is purged leaves the groups, too: one change of each group, in the unit of work that purges. Of very many groups it
// is a stride in each unit of work and the purge itself in the last, so that whoever goes on after an interruption finds
// what is left to do. What the client of a visible tombstone lists it goes on listing: only the host application loses
// the member, and gets it back if that client ever makes the tombstone active again.

// GroupFact is a group in which somebody has a membership that lasts.
type GroupFact struct {
	Group Resource
	Membership
	Kept bool // the rules of the group's owner protect it
}

// groupsOf reads the groups in which somebody has a membership that lasts, but for those of which nothing is left.
func (s *Service) groupsOf(r Reader, rules *Rules, o Origin, id string) ([]GroupFact, error) {
	groups, err := openGroups(r, id)
	owners := map[int64]*Rules{0: defaultRules, o.Connection.ID: rules}
	for i := range groups {
		g := &groups[i]
		if owners[g.Group.Connection] == nil && err == nil {
			var c Connection
			if c, err = connectionByID(r, g.Group.Connection); err == nil {
				owners[c.ID], err = s.rules(r, c)
			}
		}
		if err != nil {
			return nil, err
		}
		g.Kept = owners[g.Group.Connection].protects(&g.Group)
	}
	return groups, err
}

func openGroups(r Reader, id string) (groups []GroupFact, err error) {
	err = r.OpenMemberships(id, func(g Resource, m Membership) error {
		if g.ID != id && !isGone(&g) {
			groups = append(groups, GroupFact{Group: g, Membership: m})
		}
		return nil
	})
	return groups, err
}

// purge decides on an Act that purges: on the person, and on the groups that lose the member with it.
func purge(f Facts, d Desired, r *Rules) (Decision, error) {
	out, err := actOn(f, d, r)
	if err != nil {
		return out, err
	}
	parting, kept, err := partings(f.Groups, f.Current.ID, f.Current.Visible && !d.Act.Erase, d.Now)
	switch {
	case err != nil:
		return Decision{}, err
	case kept != nil && d.Act.Instead != nil:
		return actOn(f, d.waits(kept), r)
	case kept != nil:
		return Decision{}, lastMember(f.Current, kept)
	case len(parting) > jobStride:
		return Decision{Changes: parting[:jobStride], More: true}, nil
	}
	out.Changes = append(parting, out.Changes...)
	return out, nil
}

// waits is what is wanted instead of a purge that would leave nobody in a protected group: that a person says what happens.
func (d Desired) waits(kept *Resource) Desired {
	m := *d.Act.Instead
	m.Reason = Reason{Code: ReasonLastMember, Args: map[string]string{"cause": CauseGrace, "group": kept.ID}}
	d.Act = &Act{Wait: true, Cause: d.Act.Cause, Matters: append(slices.Clone(d.Act.Matters), MatterChange{Open: &m})}
	return d
}

// lastMember refuses a purge that would leave nobody in a protected group.
func lastMember(x, kept *Resource) *Error {
	return &Error{Kind: Invalid, Type: string(scim.Mutable), Detail: fmt.Sprintf("this %s is the last member of the group %s, which is protected: "+
		"nothing may empty it; give the group another member first, or have an administrator of meibo lift its protection", x.Type, kept.ID)}
}

// partings are the changes of the groups that somebody leaves who is purged, and the first protected one that would have
// no member left; nil for none. A client that still finds the tombstone goes on listing it.
func partings(groups []GroupFact, id string, visible bool, now time.Time) (changes []Change, kept *Resource, err error) {
	for i := range groups {
		g := &groups[i]
		d := g.parting(id, visible)
		if d.IsZero() {
			continue
		}
		if kept == nil && g.Kept && d.Grown() < 0 && g.Group.MemberCount+d.Grown() <= 0 {
			kept = &g.Group
		}
		c, err := g.change(d, ReasonMemberPurged, id, now)
		if err != nil {
			return nil, nil, err
		}
		changes = append(changes, c)
	}
	return changes, kept, nil
}

// parting is what a purge ends of a membership.
func (g *GroupFact) parting(id string, visible bool) (d MemberDelta) {
	switch {
	case visible && g.Effective:
		d.EffectiveRemove = []string{id}
	case visible:
	case g.Effective:
		d.Remove = []string{id}
	default:
		d.AssertedRemove = []string{id}
	}
	return d
}

// change is one of the group's members alone, that follows from what becomes of a member.
func (g *GroupFact) change(d MemberDelta, reason, id string, now time.Time) (Change, error) {
	asserted, err := decoded(scim.Group, g.Group.Asserted)
	after := g.Group
	after.MemberCount += d.Grown()
	after.Version++
	after.Modified = now
	return Change{Action: ChangeUpdate, Before: &g.Group, After: after, Members: d, Name: nameOf(scim.Group, asserted),
		Reason: Reason{Code: reason, Args: map[string]string{"by": id}}}, err
}

// wasPurged reports whether a resource is a tombstone that is purged, and that its client still finds. was is what the
// host application sees of it; nil for as asserted.
func wasPurged(x *Resource, was scim.Attributes) bool {
	return x.State == Removed && x.Visible && was != nil && len(was) == 0
}

// rejoins are the changes of the groups that a purge took from somebody who is active again.
func rejoins(groups []GroupFact, now time.Time) (changes []Change, err error) {
	for i := range groups {
		g := &groups[i]
		d := MemberDelta{EffectiveAdd: []scim.Member{{Value: g.Value, Display: g.Display}}}
		c, err := g.change(d, ReasonMemberBack, g.Value, now)
		if err != nil {
			return nil, err
		}
		changes = append(changes, c)
	}
	return changes, nil
}

// takenByPurge reads the groups whose client lists somebody of whom a purge took the membership from the host application.
func takenByPurge(r Reader, id string) (taken []GroupFact, err error) {
	groups, err := openGroups(r, id)
	for _, g := range groups {
		if err != nil || !g.Asserted || g.Effective {
			continue
		}
		var is bool
		if is, err = g.isTakenByPurge(r); is {
			taken = append(taken, g)
		}
	}
	return taken, err
}

// isTakenByPurge reports whether a purge ended what the host application saw of a membership, and nobody has emptied the group of
// those whom its client lists since. What the journal no longer tells goes by what the client asserts, as long as anybody was in
// the group.
func (g *GroupFact) isTakenByPurge(r Reader) (taken bool, err error) {
	count, stop := g.Group.MemberCount, &Error{}
	err = r.Entries(EntryQuery{Resource: g.Group.ID}, func(e Entry) error { // latest first
		switch code := e.Reason.Code; {
		case e.Version == 0:
			return nil
		case code == ReasonBaseline:
			taken = count > 0
		case slices.Contains(e.Members.ids(), g.Value):
			taken = code == ReasonMemberPurged
		case len(e.Members.EffectiveRemove) == 0 || count > 0 || code == ReasonMemberPurged || code == ReasonUndone:
			count -= e.Members.Grown()
			return nil
		}
		return stop
	})
	if err == error(stop) {
		err = nil
	}
	return taken, err
}
