package e2e

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"meibo/scim"
)

// state is all that is kept of one resource and can be read off its journal.
type state struct {
	Type       string
	Connection int64
	Visible    bool
	State      string
	Version    int64
	Created    int64 // microseconds since 1970, as are all times here
	Modified   int64
	Document   map[string]any // as its owner asserts it
	Effective  map[string]any // what the host application sees, its userName folded; nil where it is the asserted one
	Names      [2]string      // asserted name and effective userName, folded, as they are looked up
	Members    []membership   // those that ended as well, in the order of member and time
}

// membership is one interval in which a resource was a member of a group.
type membership struct {
	Member, Display    string
	From, To           int64 // To is 0 while it lasts
	FromEntry, ToEntry string
}

// stored reads what the database keeps of a tenant, by id: invisible resources and memberships that ended, too.
func (c *tenant) stored() map[string]state {
	c.t.Helper()
	all := map[string]state{}
	c.query(`select id, type, connection, visible, state, version, `+c.db.times("created, modified")+`, asserted, effective,
		name, coalesce(effective_name, name) from resource where tenant = $1`, func(rows *sql.Rows) error {
		var s state
		var id string
		var asserted, effective sql.NullString
		err := rows.Scan(&id, &s.Type, &s.Connection, &s.Visible, &s.State, &s.Version, &s.Created, &s.Modified,
			&asserted, &effective, &s.Names[0], &s.Names[1])
		if err != nil {
			return err
		}
		if s.Document, err = decodeObject(asserted.String); err == nil && effective.Valid {
			s.Effective, err = decodeObject(effective.String)
			s.Effective["userName"] = scim.FoldFull.Apply(fmt.Sprint(s.Effective["userName"]))
		}
		all[id] = s
		return err
	})
	c.query(`select g.id, m.member, coalesce(m.display, ''), `+c.db.times("m.valid_from, m.valid_to")+`, m.from_entry, coalesce(m.to_entry, '')
		from member m join resource g on g.id = m.grp where g.tenant = $1 order by m.member, m.valid_from, m.from_entry`, func(rows *sql.Rows) error {
		var m membership
		var group string
		var to sql.NullInt64
		err := rows.Scan(&group, &m.Member, &m.Display, &m.From, &to, &m.FromEntry, &m.ToEntry)
		m.To = to.Int64
		s := all[group]
		s.Members = append(s.Members, m)
		all[group] = s
		return err
	})
	return all
}

// times makes each time of a column list one in microseconds.
func (db database) times(columns string) string {
	list := strings.Split(columns, ", ")
	for i, column := range list {
		list[i] = fmt.Sprintf(db.micros, column)
	}
	return strings.Join(list, ", ")
}

// query calls scan for each row that a statement with the tenant as its argument finds.
func (c *tenant) query(text string, scan func(*sql.Rows) error) {
	c.t.Helper()
	rows, err := c.rows.QueryContext(c.t.Context(), text, c.name)
	if err != nil {
		c.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		c.t.Fatal(err)
	}
}

// decodeObject reads a JSON object with its numbers as they are written.
func decodeObject(text string) (o map[string]any, err error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	err = decoder.Decode(&o)
	return o, err
}
