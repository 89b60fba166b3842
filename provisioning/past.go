package provisioning

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"meibo/scim"
)

// Past is a user or group as it was at an instant: what its entries until then come to. An entry counts from its own
// time on, or from that of an earlier version's that is later.
type Past struct {
	// Resource is as it was stored, but for what the journal does not tell: RuleVersion, Removals, Index.Stable.
	Resource
	Entry   string // the last entry that counts
	Members []PastMember
	Groups  []PastGroup // of a user
}

// PastMember is a membership that lasted, in one of the two views at least.
type PastMember struct {
	Membership
	Since time.Time // zero where it is older than the journal
}

// PastGroup is a group that a user was in, and in whose eyes.
type PastGroup struct {
	Reference
	Asserted  bool // the client listed the user, and saw the group
	Effective bool // the host application saw it, and that the user is in it
}

// PastQuery asks for a resource at an instant.
type PastQuery struct {
	Type    scim.ResourceType
	ID      string
	At      time.Time
	Members bool // of a group: Past.Members
	Groups  bool // of a user: Past.Groups

	there func(*Entry) bool // which entries count; nil for those until At
}

// counts reports whether an entry counts.
func (q *PastQuery) counts(e *Entry) bool {
	if q.there != nil {
		return q.there(e)
	}
	return !e.At.After(q.At)
}

// At reads a resource as it was at an instant. It reads that resource's entries and, for a user's groups, those of theirs
// that name the user. NotFound for what was not there yet, or never; Gone for what the journal does not reach back to;
// Invalid for a time to come.
func (s *Service) At(ctx context.Context, tenant string, q PastQuery) (Past, error) {
	if q.At.After(s.Now()) {
		return Past{}, notYet("at")
	}
	return View(ctx, s.store, tenant, func(r Reader) (Past, error) {
		if err := r.Snapshot(); err != nil {
			return Past{}, err
		}
		return pastOf(r, q)
	})
}

func notYet(parameter string) *Error {
	return &Error{Kind: Invalid, Attribute: parameter, Detail: "that instant is yet to come; name one that has been"}
}

// pastOf is At for who reads already, from one state.
func pastOf(r Reader, q PastQuery) (Past, error) {
	h, err := r.Horizon()
	if err != nil {
		return Past{}, err
	}
	own, err := historyAt(r, q, h, "")
	if err != nil {
		return Past{}, err
	}
	return pastFrom(r, q, h, own)
}

// pastFrom is what the entries that count come to.
func pastFrom(r Reader, q PastQuery, h Horizon, own []Entry) (Past, error) {
	f, err := foldOf(own, "")
	if err != nil {
		return Past{}, err
	}
	out := Past{Entry: f.entry}
	if out.Resource, err = f.resource(); err != nil {
		return Past{}, err
	}
	if q.Members {
		out.Members = f.open()
	}
	if q.Groups && q.Type == scim.User {
		out.Groups, err = groupsAt(r, q, h)
	}
	return out, err
}

// foldTo folds the entries of a resource until an instant. With a member, of a group's memberships it follows only that one.
func foldTo(r Reader, q PastQuery, h Horizon, member string) (*fold, error) {
	own, err := historyAt(r, q, h, member)
	if err != nil {
		return nil, err
	}
	return foldOf(own, member)
}

// foldOf folds entries that begin with a resource's first one, or with a baseline.
func foldOf(own []Entry, member string) (*fold, error) {
	f := newFold(&own[0])
	f.only = member
	for i := range own {
		if err := f.follow(&own[i]); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// historyAt are the entries of a resource that made it what it was at an instant, in the order of its versions. With a
// member, a group's entries that only changed memberships of others are left out.
func historyAt(r Reader, q PastQuery, h Horizon, member string) ([]Entry, error) {
	own, err := versionsOf(r, EntryQuery{Resource: q.ID, About: member}, q.Type)
	if err != nil {
		return nil, err
	}
	if len(own) == 0 {
		return nil, withoutHistory(r, q, h)
	}
	if err := erased(r, q); err != nil {
		return nil, err
	}
	reached := len(own)
	for reached > 0 && !q.counts(&own[reached-1]) {
		reached--
	}
	begins := own[0].Version == 1 && own[0].Reason.Code != ReasonBaseline
	switch {
	case reached == 0 && begins:
		return nil, &Error{Kind: NotFound, Attribute: "at", Detail: fmt.Sprintf("the %s with that id was not there yet at that instant", q.Type)}
	case reached == 0, q.At.Before(h.Cut):
		return nil, pastHorizon("at", h)
	}
	return sinceBaseline(own[:reached]), nil
}

// versionsOf are the entries that changed a resource, in the order of its versions, as far as a fold needs them: a group
// may have very many.
func versionsOf(r Reader, q EntryQuery, t scim.ResourceType) ([]Entry, error) {
	var own []Entry
	err := r.Entries(q, func(e Entry) error {
		if e.Version > 0 && e.ResourceType == t {
			own = append(own, Entry{ID: e.ID, At: e.At, Connection: e.Connection, Correlation: e.Correlation, ResourceID: e.ResourceID,
				ResourceType: e.ResourceType, ResourceName: e.ResourceName, Version: e.Version, Diff: e.Diff, Members: e.Members, Reason: e.Reason,
				Actor: e.Actor, Request: e.Request, SettingsVersion: e.SettingsVersion})
		}
		return nil
	})
	slices.SortStableFunc(own, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Version, b.Version), strings.Compare(a.ID, b.ID)) // those of a baseline have one version
	})
	return own, err
}

// erased is the answer to who asks for what was erased; nil where nothing was.
func erased(r Reader, q PastQuery) error {
	return r.Entries(EntryQuery{Resource: q.ID, Reason: ReasonErased, Limit: 1}, func(Entry) error {
		return &Error{Kind: Gone, Detail: fmt.Sprintf("the %s with that id was erased: nothing is kept of what it was", q.Type)}
	})
}

// withoutHistory is the answer to who asks for a resource that no entry tells of.
func withoutHistory(r Reader, q PastQuery, h Horizon) error {
	if !h.Cut.IsZero() {
		if _, err := r.Account(q.Type, q.ID, References{}); KindOf(err) != NotFound || err == nil {
			return cmp.Or[error](err, pastHorizon("at", h))
		}
	}
	return &Error{Kind: NotFound, Detail: fmt.Sprintf("there is no %s with that id", q.Type)}
}

// groupsAt are the groups that a user was in, by id.
func groupsAt(r Reader, q PastQuery, h Horizon) ([]PastGroup, error) {
	var ids []string
	// An entry may be stamped a little before, or after, one that it follows.
	err := r.GroupsOf(q.ID, q.At.Add(-2*writeTimeout), q.At.Add(2*writeTimeout), func(group string) error {
		ids = append(ids, group)
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(ids)
	var out []PastGroup
	for _, id := range slices.Compact(ids) {
		f, err := foldTo(r, PastQuery{Type: scim.Group, ID: id, At: q.At, there: q.there}, h, q.ID)
		if KindOf(err) == NotFound {
			continue // it was made a moment later
		}
		if KindOf(err) == Gone && !q.At.Before(h.Cut) {
			continue // it was purged a moment before the journal begins, and all of its entries went
		}
		if err != nil {
			return nil, err
		}
		m := f.members[q.ID]
		if m == nil {
			continue // it joined a moment later, or had just left
		}
		visible, _ := f.row[PathVisible].(bool)
		// Of what was purged nothing effective is left, while its client may see it still.
		name := cmp.Or(nameOf(scim.Group, f.effective()), nameOf(scim.Group, f.asserted))
		g := PastGroup{Reference: Reference{ID: id, Display: name},
			Asserted: m.Asserted && visible, Effective: m.Effective && f.state() != Removed}
		if g.Asserted || g.Effective {
			out = append(out, g)
		}
	}
	return out, nil
}

// Difference is what became of a resource between two instants, in the words of the journal: as one entry would have it
// that did it all at once.
type Difference struct {
	From, To *Past // nil where it was not there yet
	Changes  []AttributeChange
	Members  MemberDelta // of a group
	Joined   []PastGroup // groups that a user is in at To, and was not, or otherwise, at From; as they are at To
	Left     []PastGroup // the reverse; as they were at From
}

// Difference compares a resource at two instants; From and To of q.At count, q.At does not. NotFound where it was there at
// neither; Gone and Invalid as for At, and Invalid where it ends before it begins.
func (s *Service) Difference(ctx context.Context, tenant string, q PastQuery, from, to time.Time) (Difference, error) {
	switch {
	case to.Before(from):
		return Difference{}, &Error{Kind: Invalid, Attribute: "to", Detail: "the time ends before it begins; swap from and to"}
	case to.After(s.Now()):
		return Difference{}, notYet("to")
	}
	q.Members, q.Groups = q.Type == scim.Group, q.Type == scim.User
	return View(ctx, s.store, tenant, func(r Reader) (d Difference, err error) {
		if err := r.Snapshot(); err != nil {
			return d, err
		}
		past := func(at time.Time) (*Past, error) {
			q.At = at
			p, err := pastOf(r, q)
			return &p, err
		}
		if d.To, err = past(to); err != nil {
			return d, err
		}
		if d.From, err = past(from); KindOf(err) == NotFound {
			d.From, err = nil, nil
		}
		if err == nil {
			err = d.compare()
		}
		return d, err
	})
}

func (d *Difference) compare() error {
	was := Past{}
	var before view
	var err error
	var stored *Resource
	if d.From != nil {
		was, stored = *d.From, &d.From.Resource
		if before, err = viewOf(stored); err != nil {
			return err
		}
	}
	after, err := viewOf(&d.To.Resource)
	if err != nil {
		return err
	}
	d.Changes = append(diff(before.asserted, after.asserted), rowDiff(stored, &d.To.Resource)...)
	d.Changes = append(d.Changes, effectiveDiff(before, after)...)
	d.Members = deltaOf(was.Members, d.To.Members)
	d.Joined, d.Left = without(d.To.Groups, was.Groups), without(was.Groups, d.To.Groups)
	return nil
}

// viewOf decodes both documents of a stored resource.
func viewOf(x *Resource) (v view, err error) {
	if v.asserted, err = decoded(x.Type, x.Asserted); err == nil {
		v.effective, err = effectiveOf(x)
	}
	return v, err
}

// without are the groups that others does not have alike.
func without(groups, others []PastGroup) (out []PastGroup) {
	for _, g := range groups {
		if !slices.ContainsFunc(others, func(o PastGroup) bool {
			return o.ID == g.ID && o.Asserted == g.Asserted && o.Effective == g.Effective
		}) {
			out = append(out, g)
		}
	}
	return out
}

// deltaOf is what makes one list of memberships another; both are by member.
func deltaOf(was, is []PastMember) (d MemberDelta) {
	i := 0
	for _, m := range is {
		for ; i < len(was) && was[i].Value < m.Value; i++ {
			d.change(was[i].Membership, Membership{Member: scim.Member{Value: was[i].Value}})
		}
		var before Membership
		if i < len(was) && was[i].Value == m.Value {
			before = was[i].Membership
			i++
		}
		d.change(before, m.Membership)
	}
	for ; i < len(was); i++ {
		d.change(was[i].Membership, Membership{Member: scim.Member{Value: was[i].Value}})
	}
	return d
}

// change adds one membership that was so and is so now; the zero one is none.
func (d *MemberDelta) change(was, is Membership) {
	m := scim.Member{Value: is.Value, Display: is.Display}
	switch {
	case is.Asserted && is.Effective && !was.Asserted && !was.Effective:
		d.Add = append(d.Add, m)
	case was.Effective && !is.Asserted && !is.Effective:
		d.Remove = append(d.Remove, is.Value)
	default:
		if is.Asserted && !was.Asserted {
			d.AssertedAdd = append(d.AssertedAdd, m)
		}
		if is.Effective && !was.Effective {
			d.EffectiveAdd = append(d.EffectiveAdd, m)
		}
		if was.Asserted && !is.Asserted {
			d.AssertedRemove = append(d.AssertedRemove, is.Value)
		}
		if was.Effective && !is.Effective {
			d.EffectiveRemove = append(d.EffectiveRemove, is.Value)
		}
	}
}
