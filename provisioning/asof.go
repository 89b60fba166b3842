package provisioning

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"meibo/scim"
)

// AsOf is a Store that shows one tenant as it was just before an instant, and writes nothing: what is to be committed is
// kept, and seen by who reads after it. It is for evaluating one request again, so not safe for concurrent use.
//
// What is not in the journal is as it is now: how many accounts a connection has, and what a person allowed beyond a
// tolerance. Accounts are candidates that have a name, an address or an externalId now, or had the name then.
type AsOf struct {
	Store // nil: whatever is not named below has no place in a request

	store     Store
	at        time.Time
	settings  *SettingsVersion // in force for its connection; nil for what is asked for
	committed []Batch
	written   map[string]Change // by resource: the last one
}

// NewAsOf returns tenant data of a store as it was just before an instant, with those settings in force for their connection.
func NewAsOf(s Store, at time.Time, settings *SettingsVersion) *AsOf {
	return &AsOf{store: s, at: at.Add(-time.Microsecond), settings: settings, written: map[string]Change{}}
}

// Entries are those that were to be committed.
func (a *AsOf) Entries() (all []Entry) {
	for _, b := range a.committed {
		all = append(all, b.Entries...)
	}
	return all
}

// View implements Store.
func (a *AsOf) View(ctx context.Context, tenant string, fn func(Reader) error) error {
	return a.store.View(ctx, tenant, func(r Reader) error { return fn(&pastReader{Reader: r, AsOf: a}) })
}

// Update implements Store.
func (a *AsOf) Update(ctx context.Context, tenant string, fn func(Tx) error) error {
	return a.store.View(ctx, tenant, func(r Reader) error { return fn(pastTx{&pastReader{Reader: r, AsOf: a}}) })
}

type pastTx struct{ *pastReader }

// Commit implements Tx: it keeps what would be written.
func (x pastTx) Commit(b Batch) error {
	x.committed = append(x.committed, b)
	for _, c := range b.Changes {
		if before, twice := x.written[c.After.ID]; twice {
			c.Members = joinDeltas(before.Members, c.Members)
		}
		x.written[c.After.ID] = c
	}
	return nil
}

func joinDeltas(a, b MemberDelta) MemberDelta {
	return MemberDelta{Add: slices.Concat(a.Add, b.Add), Remove: slices.Concat(a.Remove, b.Remove),
		AssertedAdd: slices.Concat(a.AssertedAdd, b.AssertedAdd), AssertedRemove: slices.Concat(a.AssertedRemove, b.AssertedRemove),
		EffectiveAdd: slices.Concat(a.EffectiveAdd, b.EffectiveAdd), EffectiveRemove: slices.Concat(a.EffectiveRemove, b.EffectiveRemove)}
}

// pastReader reads what AsOf shows.
type pastReader struct {
	Reader
	*AsOf
}

// maxPastMembers bounds the groups that are looked through: of each member it has to be known whether it was there.
const maxPastMembers = 2_000

var errPastMembers = &Error{Kind: Invalid, Attribute: "members", Detail: "the group has too many members to be looked at as it was; look at the entry's own differences"}

// past is a resource as it was, with what is to be written of it.
func (x *pastReader) past(t scim.ResourceType, id string, members, groups bool) (Past, error) {
	p, err := pastOf(x.Reader, PastQuery{Type: t, ID: id, At: x.at, Members: members, Groups: groups})
	c, written := x.written[id]
	if !written || c.After.Type != t {
		return p, err
	}
	if KindOf(err) == NotFound {
		err = nil // it is made by this request
	}
	p.Resource = c.After
	p.Members = afterDelta(p.Members, c.Members)
	return p, err
}

// afterDelta is what a delta makes of memberships.
func afterDelta(members []PastMember, d MemberDelta) []PastMember {
	find := func(m scim.Member) *PastMember {
		i := slices.IndexFunc(members, func(o PastMember) bool { return o.Value == m.Value })
		if i < 0 {
			members, i = append(members, PastMember{Membership: Membership{Member: m}}), len(members)
		}
		return &members[i]
	}
	for _, m := range d.Add {
		found := find(m)
		found.Asserted, found.Effective = true, true
	}
	for _, m := range d.AssertedAdd {
		found := find(m)
		found.Asserted, found.Display = true, m.Display
	}
	for _, m := range d.EffectiveAdd {
		find(m).Effective = true
	}
	for _, id := range d.Remove {
		found := find(scim.Member{Value: id})
		found.Asserted, found.Effective = false, false
	}
	for _, id := range d.AssertedRemove {
		find(scim.Member{Value: id}).Asserted = false
	}
	for _, id := range d.EffectiveRemove {
		find(scim.Member{Value: id}).Effective = false
	}
	return slices.DeleteFunc(members, func(m PastMember) bool { return !m.Asserted && !m.Effective })
}

// Snapshot implements Reader.
func (x *pastReader) Snapshot() error { return nil } // what has been does not move

// Settings implements Reader.
func (x *pastReader) Settings(connection, version int64) (SettingsVersion, error) {
	if x.settings != nil && x.settings.Connection == connection && x.settings.Version == version {
		return *x.settings, nil
	}
	return x.Reader.Settings(connection, version)
}

// Resource implements Reader.
func (x *pastReader) Resource(q ResourceQuery) (Resource, error) {
	p, err := x.past(q.Scope.Type, q.ID, q.AllMembers, q.References.Groups)
	if KindOf(err) == NotFound || err == nil && (!p.Visible || p.Connection != q.Scope.Connection) {
		err = &Error{Kind: NotFound, Detail: "the " + string(q.Scope.Type) + " does not exist"}
	}
	if err != nil {
		return Resource{}, err
	}
	r := p.Resource
	if err := x.refer(&r, p, q.References, func(g PastGroup) bool { return g.Asserted }); err != nil {
		return r, err
	}
	for _, m := range p.Members {
		r.OpenMembers = append(r.OpenMembers, m.Membership)
	}
	if len(q.MemberFacts) > 0 {
		r.MemberFacts, err = x.MemberFacts(q.Scope.Connection, q.ID, q.MemberFacts)
	}
	return r, err
}

// Account implements Reader.
func (x *pastReader) Account(t scim.ResourceType, id string, refs References) (Resource, error) {
	p, err := x.past(t, id, false, refs.Groups)
	if err != nil {
		return Resource{}, err
	}
	r := p.Resource
	return r, x.refer(&r, p, refs, func(g PastGroup) bool { return g.Effective })
}

// refer fills derived attributes.
func (x *pastReader) refer(r *Resource, p Past, refs References, seen func(PastGroup) bool) error {
	r.Groups, r.Manager = nil, Reference{ID: r.Index.Manager}
	for _, g := range p.Groups {
		if refs.Groups && seen(g) {
			r.Groups = append(r.Groups, g.Reference)
		}
	}
	if !refs.Manager || r.Index.Manager == "" {
		return nil
	}
	boss, err := x.past(scim.User, r.Index.Manager, false, false)
	if err == nil && boss.Visible && boss.Connection == r.Connection {
		r.Manager.Display = boss.Index.Display
	}
	return unlessAbsent(err)
}

// unlessAbsent is err, but for what was not there.
func unlessAbsent(err error) error {
	if k := KindOf(err); err != nil && (k == NotFound || k == Gone) {
		return nil
	}
	return err
}

// Candidates implements Reader.
func (x *pastReader) Candidates(q CandidateQuery) (found Candidates, err error) {
	ids, err := x.candidateIDs(q)
	if err != nil {
		return found, err
	}
	effective := cmp.Or(q.Effective, q.Name)
	for _, id := range ids {
		p, err := x.past(q.Scope.Type, id, false, false)
		if err := unlessAbsent(err); err != nil {
			return found, err
		}
		if err != nil {
			continue
		}
		r := p.Resource
		own := r.Connection == q.Scope.Connection
		if own && r.Visible && q.Name != "" && r.Index.Name == q.Name {
			found.Visible = &r
		}
		if r.Type == scim.User && r.State != Removed && effective != "" && r.Index.EffectiveName == effective {
			found.Effective = &r
		}
		if !own && len(found.Mail) < 3 && slices.ContainsFunc(r.Index.Emails, func(e Email) bool { return slices.Contains(q.Emails, e.Value) }) {
			found.Mail = append(found.Mail, r)
		}
		stable := q.ExternalID != "" && r.Index.ExternalID == q.ExternalID || q.Stable != "" && r.Index.Stable == q.Stable
		if own && stable && len(found.Stable) < 2 {
			found.Stable = append(found.Stable, r)
		}
	}
	return found, nil
}

// candidateIDs are the resources that may have been candidates, by id.
func (x *pastReader) candidateIDs(q CandidateQuery) (ids []string, err error) {
	q.Presume = false
	now, err := x.Reader.Candidates(q)
	for _, r := range []*Resource{now.Visible, now.Effective} {
		if r != nil {
			ids = append(ids, r.ID)
		}
	}
	for _, r := range slices.Concat(now.Mail, now.Stable) {
		ids = append(ids, r.ID)
	}
	for _, name := range []string{q.Name, q.Effective} {
		if name == "" || err != nil {
			continue
		}
		err = x.Reader.Entries(EntryQuery{Name: name, Until: x.at.Add(time.Microsecond), Limit: 200}, func(e Entry) error {
			if e.ResourceType == q.Scope.Type && e.Version > 0 {
				ids = append(ids, e.ResourceID)
			}
			return nil
		})
	}
	slices.Sort(ids)
	return slices.Compact(ids), err
}

// MemberFacts implements Reader.
func (x *pastReader) MemberFacts(connection int64, group string, ids []string) (facts []MemberFact, err error) {
	var open []PastMember
	if group != "" {
		p, err := x.past(scim.Group, group, true, false)
		if err != nil {
			return nil, err
		}
		open = p.Members
	}
	for _, id := range ids {
		f := MemberFact{ID: id}
		r, err := x.anything(id)
		if err != nil {
			return nil, err
		}
		if r != nil {
			f.Issued, f.Visible = r.Connection == connection, r.Visible && r.Connection == connection
			f.Gone = f.Issued && isGone(r)
		}
		for _, m := range open {
			if m.Value == id {
				f.Member, f.Effective, f.Display = m.Asserted, m.Effective, m.Display
			}
		}
		facts = append(facts, f)
	}
	return facts, nil
}

// anything is the user or group that had an id; nil for none.
func (x *pastReader) anything(id string) (*Resource, error) {
	for _, t := range []scim.ResourceType{scim.User, scim.Group} {
		p, err := x.past(t, id, false, false)
		if err == nil {
			return &p.Resource, nil
		}
		if unlessAbsent(err) != nil {
			return nil, err
		}
	}
	return nil, nil
}

// Members implements Reader.
func (x *pastReader) Members(groups []string, fn func(GroupMember) error) error {
	for _, group := range groups {
		err := x.membersOf(group, func(m PastMember, of *Resource, owner int64) error {
			switch {
			case !m.Asserted, of != nil && !of.Visible:
				return nil
			case of == nil || of.Connection != owner:
				return fn(GroupMember{Group: group, Value: m.Value, Display: m.Display})
			default:
				return fn(GroupMember{Group: group, Value: m.Value, Display: m.Display, Type: of.Type})
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Memberships implements Reader.
func (x *pastReader) Memberships(group string, fn func(GroupMember) error) error {
	return x.membersOf(group, func(m PastMember, of *Resource, _ int64) error {
		if !m.Effective || of == nil {
			return nil
		}
		return fn(GroupMember{Group: group, Value: m.Value, Display: m.Display, Type: of.Type, Unlisted: !m.Asserted})
	})
}

// OpenMemberships implements Reader.
func (x *pastReader) OpenMemberships(member string, fn func(Resource, Membership) error) error {
	var ids []string
	err := x.Reader.GroupsOf(member, x.at, x.at, func(group string) error {
		ids = append(ids, group)
		return nil
	})
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		if err != nil {
			return err
		}
		var p Past
		if p, err = x.past(scim.Group, id, true, false); err != nil {
			continue
		}
		for _, m := range p.Members {
			if m.Value == member && err == nil {
				err = fn(p.Resource, m.Membership)
			}
		}
	}
	return err
}

// membersOf calls fn with the memberships of a group, oldest first, and with what is a member.
func (x *pastReader) membersOf(group string, fn func(m PastMember, of *Resource, owner int64) error) error {
	p, err := x.past(scim.Group, group, true, false)
	if err != nil {
		return err
	}
	if len(p.Members) > maxPastMembers {
		return errPastMembers
	}
	slices.SortStableFunc(p.Members, func(a, b PastMember) int {
		if a.Since.IsZero() != b.Since.IsZero() { // those that this request adds come last
			return cmp.Compare(b.Since.UnixMicro(), a.Since.UnixMicro())
		}
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Value, b.Value))
	})
	for _, m := range p.Members {
		of, err := x.anything(m.Value)
		if err != nil {
			return err
		}
		if err := fn(m, of, p.Connection); err != nil {
			return err
		}
	}
	return nil
}

// Departure implements Reader. What was spent of a tolerance is counted from the journal.
func (x *pastReader) Departure(q BudgetQuery) (DepartureFacts, error) {
	facts, err := x.Reader.Departure(q)
	if err != nil {
		return facts, err
	}
	matters := facts.Matters
	if q.Resource != "" {
		err = x.Reader.Matters(MatterQuery{Resource: q.Resource}, func(m Matter) error {
			matters = append(matters, m)
			return nil
		})
	}
	facts.Matters = nil
	for _, m := range matters {
		if m = asOf(m, x.at); m.Opened.After(x.at) || slices.ContainsFunc(facts.Matters, func(o Matter) bool { return o.Kind == m.Kind }) {
			continue
		}
		switch m.Status {
		case MatterOpen, MatterAllowed, MatterRejected, MatterIgnored, MatterCreated:
			facts.Matters = append(facts.Matters, m)
		}
	}
	facts.Budget.Version = 0
	if facts.Budget.Spent, err = x.spent(q, err); err != nil {
		return facts, err
	}
	return facts, nil
}

// asOf is a matter as it was.
func asOf(m Matter, at time.Time) Matter {
	if m.ClosedAt.After(at) {
		m.Status, m.ClosedAt, m.ClosedBy, m.Until = MatterOpen, time.Time{}, "", time.Time{}
	}
	return m
}

// longestWindow is how far back departures are counted, at most.
const longestWindow = 31 * 24 * time.Hour

func (x *pastReader) spent(q BudgetQuery, err error) (spent []Spent, _ error) {
	t := scim.User
	if q.Kind == BudgetGroups {
		t = scim.Group
	}
	window := DefaultSettings().Tolerance.Window.Duration()
	if x.settings != nil {
		window = min(x.settings.Settings.Tolerance.Window.Duration(), longestWindow)
	}
	for _, action := range []JournalAction{ActionDisable, ActionDelete, ActionStagedDelete} {
		if q.Kind == "" || err != nil {
			return spent, err
		}
		err = x.Reader.Entries(EntryQuery{Connection: q.Connection, Action: action, Since: x.at.Add(-window), Until: x.at.Add(time.Microsecond)}, func(e Entry) error {
			left := slices.ContainsFunc(e.Diff, func(c AttributeChange) bool {
				return c.Path == PathState && c.New != string(Active) && c.New != string(Held)
			})
			if left && e.ResourceType == t && !e.Reason.isPersonal() {
				spent = append(spent, Spent{Until: e.At, N: 1})
			}
			return nil
		})
	}
	return spent, err
}

// Matters implements Reader.
func (x *pastReader) Matters(q MatterQuery, fn func(Matter) error) error {
	status := q.Status
	q.Status = ""
	return x.Reader.Matters(q, func(m Matter) error {
		if m = asOf(m, x.at); m.Opened.After(x.at) || status != "" && m.Status != status {
			return nil
		}
		return fn(m)
	})
}

// Entries implements Reader.
func (x *pastReader) Entries(q EntryQuery, fn func(Entry) error) error {
	if end := x.at.Add(time.Microsecond); q.Until.IsZero() || q.Until.After(end) {
		q.Until = end
	}
	return x.Reader.Entries(q, fn)
}

// Accounts implements Reader.
func (x *pastReader) Accounts(AccountQuery, func(Resource) error) error {
	return errors.New("provisioning: accounts are not listed as they were")
}
