package provisioning

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"meibo/scim"
)

// AsOf is a Store that shows one tenant as it was when an entry of the journal was written, without what that unit of work
// did, and writes nothing: what is to be committed is kept, and seen by who reads after it. It is for evaluating one request
// again, so not safe for concurrent use.
//
// All of it follows from the journal: resources, memberships, what was spent of a tolerance and allowed beyond it. Only who
// may be a candidate is asked of what there is now: accounts that have a name, an address or an externalId now, or had the
// name then, and those that the entry speaks of. It reads what the journal has of the half minute around the entry, and for the counts of a tolerance all that
// came later. What has no place in a request is refused.
type AsOf struct {
	store     Store
	entry     Entry
	at        time.Time        // just before it
	settings  *SettingsVersion // in force for its connection; nil for what is asked for
	order     *precedence
	rules     map[[2]int64]*Rules // by connection and version
	committed []Batch
	written   map[string]Change // by resource: the last one
}

// NewAsOf returns tenant data of a store as it was when an entry was written, with those settings in force for their connection.
func NewAsOf(s Store, e Entry, settings *SettingsVersion) *AsOf {
	return &AsOf{store: s, entry: e, at: e.At.Add(-time.Microsecond), settings: settings,
		rules: map[[2]int64]*Rules{}, written: map[string]Change{}}
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
	return a.read(ctx, tenant, func(x *pastReader) error { return fn(x) })
}

// Update implements Store.
func (a *AsOf) Update(ctx context.Context, tenant string, fn func(Tx) error) error {
	return a.read(ctx, tenant, func(x *pastReader) error { return fn(pastTx{x}) })
}

// read reads from one state: counts are those of now, less what has changed since.
func (a *AsOf) read(ctx context.Context, tenant string, fn func(*pastReader) error) error {
	return a.store.View(ctx, tenant, func(r Reader) (err error) {
		if err := r.Snapshot(); err != nil {
			return err
		}
		if a.order == nil {
			if a.order, err = precedenceOf(r, a.entry); err != nil {
				return err
			}
		}
		return fn(&pastReader{Reader: r, AsOf: a})
	})
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

// past is a resource as it was, with what is to be written of it.
func (x *pastReader) past(t scim.ResourceType, id string, members, groups bool) (Past, error) {
	p, err := x.stored(PastQuery{Type: t, ID: id, At: x.entry.At, Members: members, Groups: groups, there: x.order.has})
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

// stored is a resource as it was, with what was kept beside what its entries tell.
func (x *pastReader) stored(q PastQuery) (Past, error) {
	h, err := x.Reader.Horizon()
	if err != nil {
		return Past{}, err
	}
	own, err := historyAt(x.Reader, q, h, "")
	if err != nil {
		return Past{}, err
	}
	p, err := pastFrom(x.Reader, q, h, own)
	if err != nil {
		return p, err
	}
	if q.Type == scim.Group {
		p.Removals, err = x.removals(own)
		return p, err
	}
	return p, x.stable(&p.Resource)
}

// stable gives a user the stable key that the settings name.
func (x *pastReader) stable(r *Resource) error {
	rules, err := x.inForce()
	if err != nil || rules.stable == nil {
		return err
	}
	asserted, err := decoded(r.Type, r.Asserted)
	rules.keep(r, asserted)
	return err
}

// afterDelta is what a delta makes of memberships.
func afterDelta(members []PastMember, d MemberDelta) []PastMember {
	places := make(map[string]int, len(members))
	for i, m := range members {
		places[m.Value] = i
	}
	find := func(m scim.Member) *PastMember {
		i, there := places[m.Value]
		if !there {
			members, i = append(members, PastMember{Membership: Membership{Member: m}}), len(members)
			places[m.Value] = i
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

// Connections implements Reader: the settings in force of the others are those of then, too.
func (x *pastReader) Connections() ([]Connection, error) {
	all, err := x.Reader.Connections()
	for i := range all {
		c := &all[i]
		if x.settings != nil && x.settings.Connection == c.ID {
			continue
		}
		v, err := x.settingsThen(c.ID)
		if err != nil {
			return nil, err
		}
		if c.SettingsVersion = v.Version; v.Version > 0 {
			c.Settings = v.Settings.Protocol
		}
	}
	return all, err
}

// settingsThen are the settings of a connection that were in force; Version 0 for none.
func (x *pastReader) settingsThen(connection int64) (then SettingsVersion, err error) {
	all, err := x.Reader.SettingsHistory(connection)
	for _, v := range all {
		if !v.At.After(x.at) && v.Version > then.Version {
			then = v
		}
	}
	return then, err
}

// inForce are the rules under which the entry is evaluated.
func (x *pastReader) inForce() (*Rules, error) {
	if x.settings == nil {
		return defaultRules, nil
	}
	return x.compiled(*x.settings)
}

// rulesOf are the rules of a version of a connection's settings.
func (x *pastReader) rulesOf(connection, version int64) (*Rules, error) {
	if version == 0 {
		return defaultRules, nil
	}
	if r := x.rules[[2]int64{connection, version}]; r != nil {
		return r, nil
	}
	v, err := x.Reader.Settings(connection, version)
	if err != nil {
		return nil, err
	}
	return x.compiled(v)
}

func (x *pastReader) compiled(v SettingsVersion) (r *Rules, err error) {
	key := [2]int64{v.Connection, v.Version}
	if r = x.rules[key]; r == nil {
		r, err = NewRules(v.Version, v.Settings)
		x.rules[key] = r
	}
	return r, err
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

// candidateIDs are the resources that may have been candidates, by id. Those that the entry speaks of may have been found by
// what they have no longer.
func (x *pastReader) candidateIDs(q CandidateQuery) (ids []string, err error) {
	if e := &x.entry; e.ResourceType == q.Scope.Type && e.Version > 0 {
		ids = append(unfew(e.Reason.Args["alike"]), e.ResourceID)
	}
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
		err = x.Entries(EntryQuery{Name: name, Limit: 200}, func(e Entry) error {
			if e.ResourceType == q.Scope.Type && e.Version > 0 {
				ids = append(ids, e.ResourceID)
			}
			return nil
		})
	}
	slices.Sort(ids)
	return slices.Compact(ids), err
}

// Matters implements Reader.
func (x *pastReader) Matters(q MatterQuery, fn func(Matter) error) error {
	status := q.Status
	q.Status = ""
	return x.Reader.Matters(q, func(m Matter) error {
		if !x.order.has(&Entry{ID: m.Entry, At: m.Opened}) {
			return nil
		}
		if m = asOf(m, x.at); status != "" && m.Status != status {
			return nil
		}
		return fn(m)
	})
}

// asOf is a matter as it was.
func asOf(m Matter, at time.Time) Matter {
	if m.ClosedAt.After(at) {
		m.Status, m.ClosedAt, m.ClosedBy, m.Until = MatterOpen, time.Time{}, "", time.Time{}
	}
	return m
}

// Entries implements Reader.
func (x *pastReader) Entries(q EntryQuery, fn func(Entry) error) error {
	if end := x.entry.At.Add(writeTimeout); q.Until.IsZero() || q.Until.After(end) {
		q.Until = end
	}
	limit, n := q.Limit, 0
	q.Limit = 0
	err := x.Reader.Entries(q, func(e Entry) error {
		if !x.order.has(&e) {
			return nil
		}
		if err := fn(e); err != nil {
			return err
		}
		if n++; n == limit {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return err
}

var errEnough = errors.New("provisioning: enough was read")

// Accounts implements Reader, for who has an effective userName.
func (x *pastReader) Accounts(q AccountQuery, fn func(Resource) error) error {
	if q.Effective == "" {
		return errNotThen
	}
	c, err := x.Candidates(CandidateQuery{Scope: Scope{Type: q.Type}, Effective: q.Effective})
	if err == nil && c.Effective != nil {
		err = fn(*c.Effective)
	}
	return err
}
