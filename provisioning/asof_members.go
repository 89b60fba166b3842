package provisioning

import (
	"cmp"
	"slices"

	"meibo/scim"
)

// MemberFacts implements Reader.
func (x *pastReader) MemberFacts(connection int64, group string, ids []string) (facts []MemberFact, err error) {
	open := map[string]PastMember{}
	if group != "" {
		p, err := x.past(scim.Group, group, true, false)
		if err != nil {
			return nil, err
		}
		for _, m := range p.Members {
			open[m.Value] = m
		}
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
		if m, member := open[id]; member {
			f.Member, f.Effective, f.Display = m.Asserted, m.Effective, m.Display
		}
		facts = append(facts, f)
	}
	return facts, nil
}

// anything is the user or group that had an id; nil for none. Most have not changed since, and are read as they are.
func (x *pastReader) anything(id string) (*Resource, error) {
	for _, t := range []scim.ResourceType{scim.User, scim.Group} {
		if _, written := x.written[id]; !written {
			now, err := x.Reader.Account(t, id, References{})
			if err == nil && now.Modified.Before(x.entry.At.Add(-writeTimeout)) {
				return &now, nil
			}
			if unlessAbsent(err) != nil {
				return nil, err
			}
			if err != nil {
				continue // rows are never deleted
			}
		}
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
	err := x.Reader.GroupsOf(member, x.entry.At.Add(-2*writeTimeout), x.entry.At.Add(2*writeTimeout), func(group string) error {
		ids = append(ids, group)
		return nil
	})
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		if err != nil {
			return err
		}
		var p Past
		if p, err = x.past(scim.Group, id, true, false); unlessAbsent(err) != nil {
			return err
		}
		err = nil
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
