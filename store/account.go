package store

import (
	"database/sql"
	"time"

	"meibo/provisioning"
	"meibo/scim"
)

// Account implements provisioning.Reader.
func (x *session) Account(t scim.ResourceType, id string, refs provisioning.References) (provisioning.Resource, error) {
	return x.account(t, id, selection{account: true, References: refs})
}

// Account implements provisioning.Reader for a unit of work.
func (x tx) Account(t scim.ResourceType, id string, refs provisioning.References) (provisioning.Resource, error) {
	if storable(id) {
		if err := x.lock("id = $2", id); err != nil {
			return provisioning.Resource{}, err
		}
	}
	return x.account(t, id, selection{account: true, References: refs, emails: t == scim.User})
}

func (x *session) account(t scim.ResourceType, id string, s selection) (provisioning.Resource, error) {
	var r resourceRow
	found, err := false, error(nil)
	if storable(id) {
		found, err = x.row("select "+x.columns(s)+" from resource r where r.id = $1 and r.tenant = $2 and r.type = $3", []any{id, x.tenant, string(t)}, r.dest(s)...)
	}
	switch {
	case err != nil:
		return provisioning.Resource{}, err
	case !found:
		return provisioning.Resource{}, notFound("the " + string(t))
	default:
		return r.resource()
	}
}

// Issued implements provisioning.Reader. It is the one look beyond the tenant, and tells no more than that an id is taken.
func (x *session) Issued(id string) (bool, error) {
	if !storable(id) {
		return false, nil
	}
	var one int
	return x.row("select 1 from resource r where r.id = $1", []any{id}, &one)
}

// Accounts implements provisioning.Reader. Who was removed has no effective userName, and who has no owner no
// externalId to be found by.
func (x *session) Accounts(q provisioning.AccountQuery, fn func(provisioning.Resource) error) error {
	return x.accounts(q, selection{account: true, References: q.References}, fn)
}

// Accounts implements provisioning.Reader for a unit of work.
func (x tx) Accounts(q provisioning.AccountQuery, fn func(provisioning.Resource) error) error {
	if x.locking && storable(q.Effective+q.ExternalID+q.After) {
		s := statement{dialect: x.dialect}
		s.add("select id from resource where id = any(array(")
		s.accountQuery(x.tenant, q, "r.id")
		s.add(")) order by id for update")
		if err := x.query(s.String(), s.args, func(*sql.Rows) error { return nil }); err != nil {
			return err
		}
	}
	return x.accounts(q, selection{account: true, References: q.References, emails: q.Type == scim.User}, fn)
}

func (x *session) accounts(q provisioning.AccountQuery, columns selection, fn func(provisioning.Resource) error) error {
	if !storable(q.Effective + q.ExternalID + q.After) {
		return nil
	}
	s := statement{dialect: x.dialect}
	s.accountQuery(x.tenant, q, x.columns(columns))
	return x.queryIn(x.long(), s.String(), s.args, func(rows *sql.Rows) error {
		var row resourceRow
		if err := rows.Scan(row.dest(columns)...); err != nil {
			return err
		}
		r, err := row.resource()
		if err != nil {
			return err
		}
		return fn(r)
	})
}

// accountQuery is served by the index of what q names first: a key, the time to purge, or the tenant's ids.
func (s *statement) accountQuery(tenant string, q provisioning.AccountQuery, columns string) {
	s.add("select ", columns, " from ")
	order := "r.id"
	switch {
	case q.Effective != "":
		s.add("resource r where r.eff_key = ", s.arg(effectiveKey(tenant, q.Effective)))
	case q.ExternalID != "":
		s.add(s.byExternalID(tenant, q))
	case !q.PurgeDue.IsZero(): // both ends, lest PostgreSQL expects a third of all rows
		s.add("resource r where r.purge_at is not null and r.purge_at > ", s.arg(s.time(time.UnixMicro(0))), " and r.purge_at <= ", s.arg(s.time(q.PurgeDue)))
	default:
		order = tenantID("r")
		s.add("resource r where ", s.within(order, tenant, q.After, ""))
	}
	c := s.accountConditions(tenant, q)
	c.walk(order, q.Limit)
}

// accountConditions are those that a row is looked at for.
func (s *statement) accountConditions(tenant string, q provisioning.AccountQuery) conditions {
	c := conditions{statement: s}
	c.compare("r.tenant", "=", tenant)
	c.compare("r.id", ">", q.After)
	c.compare("r.type", "=", string(q.Type))
	if q.Connection >= 0 {
		c.and("r.connection = " + s.arg(q.Connection))
	}
	c.compare("r.state", "=", string(q.State))
	if q.State == "" && !q.Removed {
		c.and("r.state <> 'removed'")
	}
	if !q.LeftBefore.IsZero() {
		c.and("r.left_at < " + s.arg(s.time(q.LeftBefore)))
	}
	if !q.PurgeDue.IsZero() {
		c.and("r.purge_at <= " + s.arg(s.time(q.PurgeDue)))
	}
	if q.NotAsked != "" {
		oneByOne := ""
		if s.postgres { // else it may join with all matters at once
			oneByOne = " offset 0"
		}
		c.and("not exists (select 1 from matter m where m.key = " + s.typed(q.NotAsked, "text") + " || r.id and m.tenant = r.tenant" +
			" and m.status in ('open', 'rejected')" + oneByOne + ")")
	}
	return c
}

// byExternalID looks the key of each connection of the tenant up.
func (s *statement) byExternalID(tenant string, q provisioning.AccountQuery) string {
	id := s.typed(q.ExternalID, "text")
	key := "c.id || '" + letterOf(q.Type) + "' || " + id
	found := "cross join resource as r on r.ext_key = " + key // in SQLite a cross join keeps its order
	if s.postgres {
		found = "cross join lateral (select * from resource where ext_key = " + key + " offset 0) as r"
	}
	return "connection as c " + found + " where c.tenant = " + s.arg(tenant)
}

func letterOf(t scim.ResourceType) string {
	letter, _ := typeCode(t)
	return letter
}

// Memberships implements provisioning.Reader. Rows go to fn as they arrive.
func (x *session) Memberships(group string, fn func(provisioning.GroupMember) error) error {
	if !storable(group) {
		return nil
	}
	query := "select g.id, m.member, m.display, i.type, not m.asserted from resource as g join member as m on m.grp = g.id and m.valid_to is null and m.effective " +
		x.probe("i0.id, i0.type", "resource", "i0", "i0.id = m.member and i0.tenant = g.tenant", "i") +
		" where g.id = $1 and g.tenant = $2 order by m.valid_from, m.member"
	return x.groupMembers(query, []any{group, x.tenant}, fn)
}

// GroupsOf implements provisioning.Reader. Memberships that last and those that ended have an index each.
func (x *session) GroupsOf(member string, from, to time.Time, fn func(group string) error) error {
	if !storable(member) {
		return nil
	}
	if from.IsZero() {
		from = time.UnixMicro(0)
	}
	s := statement{dialect: x.dialect}
	s.add("select m.grp from (select grp, valid_from from member as o where ", x.openMember("o"), " = ", s.arg(member),
		" union all select grp, valid_from from member where valid_to is not null and valid_to >= ", s.arg(x.time(from)), " and member = ", s.arg(member),
		") as m where exists (select 1 from resource g where g.id = m.grp and g.tenant = ", s.arg(x.tenant), ")")
	if !to.IsZero() {
		s.add(" and m.valid_from <= ", s.arg(x.time(to)))
	}
	return x.queryIn(x.long(), s.String(), s.args, func(rows *sql.Rows) error {
		var group string
		if err := rows.Scan(&group); err != nil {
			return err
		}
		return fn(group)
	})
}

// OpenMemberships implements provisioning.Reader: each group is looked up by its id.
func (x *session) OpenMemberships(member string, fn func(provisioning.Resource, provisioning.Membership) error) error {
	if !storable(member) {
		return nil
	}
	columns := selection{account: true}
	group := "cross join resource as r on r.id = m.grp and r.tenant = $2" // in SQLite a cross join keeps its order
	if x.postgres {
		group = "cross join lateral (select * from resource where id = m.grp and tenant = $2 offset 0) as r"
	}
	query := "select m.display, m.asserted, m.effective, " + x.columns(columns) + " from member as m " + group + " where " + x.openMember("m") + " = $1 order by m.grp"
	return x.queryIn(x.long(), query, []any{member, x.tenant}, func(rows *sql.Rows) error {
		var row resourceRow
		m := provisioning.Membership{Member: scim.Member{Value: member}}
		if err := rows.Scan(row.dest(columns, text{&m.Display}, &m.Asserted, &m.Effective)...); err != nil {
			return err
		}
		g, err := row.resource()
		if err != nil {
			return err
		}
		return fn(g, m)
	})
}

// OpenMemberships implements provisioning.Reader for a unit of work.
func (x tx) OpenMemberships(member string, fn func(provisioning.Resource, provisioning.Membership) error) error {
	if storable(member) {
		if err := x.lock("id = any(array(select m.grp from member m where "+x.openMember("m")+" = $2))", member); err != nil {
			return err
		}
	}
	return x.session.OpenMemberships(member, fn)
}

// MembershipsAfter implements provisioning.Reader: a walk along the index of a group's open memberships.
func (x *session) MembershipsAfter(group, after string, limit int, fn func(provisioning.GroupMember) error) error {
	if !storable(group + after) {
		return nil
	}
	query := "select m.grp, m.member, m.display, i.type, not m.asserted from member as m " +
		x.probe("i0.id, i0.type", "resource", "i0", "i0.id = m.member and i0.tenant = $2", "i") +
		" where m.grp = (select g.id from resource as g where g.id = $1 and g.tenant = $2) and m.member > $3 and m.valid_to is null and m.effective" +
		" order by m.member limit $4"
	return x.groupMembers(query, []any{group, x.tenant, after, limit}, fn)
}
