package store

import (
	"database/sql"

	"meibo/provisioning"
	"meibo/scim"
)

// Members implements provisioning.Reader. Rows go to fn as they arrive.
func (x *session) Members(groups []string, fn func(provisioning.GroupMember) error) error {
	if len(groups) == 0 {
		return nil
	}
	// Each row is looked up by its id, however few of them the planner expects.
	group := "join resource as g on g.id = x.id and g.tenant = $1 join member as m on m.grp = g.id and m.valid_to is null and m.asserted "
	if x.postgres {
		group = "cross join lateral (select id, tenant, connection from resource where id = x.id and tenant = $1 limit 1) as g " +
			"cross join lateral (select member, display, valid_from, asserted from member where grp = g.id and valid_to is null and asserted offset 0) as m "
	}
	query := "select g.id, m.member, m.display, i.type, not m.asserted from " + x.elements("$2", "x") + " " + group + x.issued("m.member", "g", "i") +
		" where " + seen("i") + " order by x.ord, m.valid_from, m.member"
	return x.groupMembers(query, []any{x.tenant, x.list(groups)}, fn)
}

// groupMembers calls fn for each row of a statement: group, member, display, type and whether it is not asserted.
func (x *session) groupMembers(query string, args []any, fn func(provisioning.GroupMember) error) error {
	return x.queryIn(x.long(), query, args, func(rows *sql.Rows) error {
		var m provisioning.GroupMember
		var kind string
		if err := rows.Scan(&m.Group, &m.Value, text{&m.Display}, text{&kind}, &m.Unlisted); err != nil {
			return err
		}
		m.Type = scim.ResourceType(kind)
		return fn(m)
	})
}

// issued joins the resource i that has a member's id, if the owner of a group ever issued it. A
// resource without owner counts as issued and unseen: it was given up by one.
func (d dialect) issued(id, group, i string) string {
	return d.probe("i0.id, i0.type, i0.visible", "resource", "i0",
		"i0.id = "+id+" and i0.tenant = "+group+".tenant and i0.connection in ("+group+".connection, 0)", i)
}

// seen is the condition that the client sees a member: a visible resource, or an id never issued.
func seen(i string) string { return "(" + i + ".id is null or " + i + ".visible)" }
