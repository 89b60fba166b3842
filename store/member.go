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
	query := "select g.id, m.member, m.display, r.type from " + x.elements("$2", "x") + `
		join resource as g on g.id = x.id and g.tenant = $1
		join member as m on m.grp = g.id and m.valid_to is null
		left join resource as r on r.id = m.member and r.tenant = $1 and r.connection in (g.connection, 0)
		where r.id is null or r.visible
		order by x.ord, m.valid_from, m.member`
	if x.postgres {
		// Each group's rows are looked up by its id, however few members the planner expects.
		query = `select g.id, m.member, m.display, r.type from ` + x.elements("$2", "x") + `
		cross join lateral (select id, connection from resource where id = x.id and tenant = $1 limit 1) as g
		cross join lateral (select member, display, valid_from from member where grp = g.id and valid_to is null offset 0) as m
		left join resource as r on r.id = m.member and r.tenant = $1 and r.connection in (g.connection, 0)
		where r.id is null or r.visible
		order by x.ord, m.valid_from, m.member`
	}
	return x.query(query, []any{x.tenant, x.list(groups)}, func(rows *sql.Rows) error {
		var m provisioning.GroupMember
		var kind string
		if err := rows.Scan(&m.Group, &m.Value, text{&m.Display}, text{&kind}); err != nil {
			return err
		}
		m.Type = scim.ResourceType(kind)
		return fn(m)
	})
}
