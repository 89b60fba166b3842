package store

import (
	"database/sql"
	"slices"
	"strings"
	"time"

	"meibo/provisioning"
	"meibo/scim"
)

// Entries implements provisioning.Reader.
func (x *session) Entries(q provisioning.EntryQuery, fn func(provisioning.Entry) error) error {
	if !storableQuery(q) {
		return nil
	}
	resources, err := x.about(q)
	if err != nil || resources != nil && len(resources) == 0 {
		return err
	}
	s := statement{dialect: x.dialect}
	s.entryQuery(x.tenant, q, resources)
	return x.queryIn(x.long(), s.String(), s.args, func(rows *sql.Rows) error {
		e, err := scanEntry(rows)
		if err != nil {
			return err
		}
		return fn(e)
	})
}

// EntryPage implements provisioning.Reader.
func (x *session) EntryPage(q provisioning.EntryQuery) (page provisioning.EntryPage, err error) {
	limit := q.Limit
	q.Limit++ // whether there are more
	err = x.Entries(q, func(e provisioning.Entry) error {
		if len(page.Entries) == limit {
			page.Next = page.Entries[limit-1].Place()
			return nil
		}
		page.Entries = append(page.Entries, e)
		return nil
	})
	return page, err
}

// storableQuery reports whether what a query asks for can be in the database at all.
func storableQuery(q provisioning.EntryQuery) bool {
	return storable(q.Mail + q.ExternalID + q.ID + q.Resource + q.Name + q.Prefix + q.Correlation + q.Before.ID + string(q.Action) + string(q.Outcome) + q.Reason + q.Method + q.Member + q.About)
}

// about finds the resources that a query is about, if it says so by more than a name: ids is nil if it does not, and empty
// if there are none.
func (x *session) about(q provisioning.EntryQuery) (ids []string, err error) {
	if q.Resource != "" {
		ids = []string{q.Resource}
	}
	for _, s := range []statement{x.byMail(q.Mail), x.byExternalID(q.ExternalID)} {
		if len(s.sql) == 0 {
			continue
		}
		found := []string{}
		err = firstError(err, x.query(s.String(), s.args, func(rows *sql.Rows) error {
			var id string
			err := rows.Scan(&id)
			if ids == nil || slices.Contains(ids, id) {
				found = append(found, id)
			}
			return err
		}))
		ids = found
	}
	return ids, err
}

// byMail finds the resources with an address.
func (x *session) byMail(address string) statement {
	s := statement{dialect: x.dialect}
	if address == "" {
		return s
	}
	key := s.arg(valueKey(x.tenant, emails, scim.FoldFull.Apply(address)))
	s.add("select distinct v.resource from resource_value as v where v.key = ", key)
	return s
}

// byExternalID finds the resources of all connections of the tenant with an externalId.
func (x *session) byExternalID(id string) statement {
	s := statement{dialect: x.dialect}
	if id == "" {
		return s
	}
	letters, found := "(values ('"+letterOf(scim.User)+"'), ('"+letterOf(scim.Group)+"')) as t", ""
	text := s.typed(id, "text")
	if s.postgres {
		found = "cross join lateral (select * from resource where ext_key = c.id || t.column1 || " + text + " offset 0) as r"
	} else {
		found = "cross join resource as r on r.ext_key = c.id || t.column1 || " + text // in SQLite a cross join keeps its order
	}
	s.add("select r.id from connection as c cross join ", letters, " ", found, " where c.tenant = ", s.arg(x.tenant))
	return s
}

// entryQuery selects entries, of the resources given if there are any.
func (s *statement) entryQuery(tenant string, q provisioning.EntryQuery, resources []string) {
	s.add("select e.", strings.ReplaceAll(entryColumns, ", ", ", e."), " from ")
	owner := s.arg(tenant)
	scope := "tenant = " + owner
	switch {
	case q.Correlation != "" || q.ID != "":
		s.add("entry as e")
		scope = "tenant || '' = " + owner // a condition that no index serves: the correlation's shall, or that of ids
	case resources != nil:
		s.add(s.elements(s.arg(s.list(resources)), "of"), " ")
		if s.postgres {
			s.add("cross join lateral (select * from entry as e where e.tenant = ", owner, " and e.resource = of.id order by e.resource, e.id offset 0) as e")
		} else {
			s.add("cross join entry as e indexed by entry_resource on e.resource = of.id")
		}
	default:
		s.add("entry as e")
	}
	s.add(" where e.", scope)
	c := s.entryConditions(q)
	c.compare("e.id", "=", q.ID)
	c.compare("correlation", "=", q.Correlation)
	if resources != nil && (q.Correlation != "" || q.ID != "") {
		c.and("resource in (select id from " + s.elements(s.arg(s.list(resources)), "of") + ")")
	}
	if q.Member != "" {
		c.and(s.contains("members", q.Member))
	}
	if q.About != "" {
		c.and("(diff is not null or " + s.contains("members", q.About) + ")")
	}
	if !q.Since.IsZero() {
		c.and("at >= " + s.arg(s.time(q.Since)))
	}
	if !q.Until.IsZero() {
		c.and("at < " + s.arg(s.time(q.Until)))
	}
	if !q.Before.IsZero() {
		c.and("(at, e.id) < (" + s.arg(s.time(q.Before.At)) + ", " + s.arg(q.Before.ID) + ")")
	}
	if len(c.terms) > 0 {
		s.add(" and ", strings.Join(c.terms, " and "))
	}
	s.add(" order by at desc, e.id desc")
	if q.Limit > 0 {
		s.add(" limit ", s.number(q.Limit))
	}
}

// entryConditions are those that an entry is looked at for.
func (s *statement) entryConditions(q provisioning.EntryQuery) conditions {
	c := conditions{statement: s}
	c.compare("action", "=", string(q.Action))
	c.compare("outcome", "=", string(q.Outcome))
	if q.Connection != 0 {
		c.and("connection = " + s.arg(q.Connection))
	}
	c.compare("reason ->> 'code'", "=", q.Reason)
	c.compare("request ->> 'method'", "=", q.Method)
	status := "cast(request ->> 'status' as bigint)"
	switch {
	case 1 <= q.Status && q.Status <= 5:
		c.and(status + " >= " + s.typed(100*q.Status, "bigint") + " and " + status + " < " + s.typed(100*q.Status+100, "bigint"))
	case q.Status != 0:
		c.and(status + " = " + s.typed(q.Status, "bigint"))
	}
	if q.Slower > 0 {
		c.and("duration >= " + s.typed(q.Slower.Microseconds(), "bigint"))
	}
	name := "coalesce(resource_folded, resource_name)"
	c.compare(name, "=", scim.FoldFull.Apply(q.Name))
	if prefix := scim.FoldFull.Apply(q.Prefix); prefix != "" {
		if s.postgres {
			c.and("starts_with(" + name + ", " + s.typed(prefix, "text") + ")")
		} else {
			p := s.arg(prefix)
			c.and("substr(" + name + ", 1, length(" + p + ")) = " + p)
		}
	}
	return c
}

// Activity implements provisioning.Reader.
func (x *session) Activity(q provisioning.ActivityQuery, fn func(provisioning.Activity) error) error {
	hour := "at - at % 3600000000"
	if x.postgres {
		hour = "date_bin('1 hour', at, timestamptz 'epoch')"
	}
	s := statement{dialect: x.dialect}
	s.add("select ", hour, ", action, outcome, count(*), coalesce(sum(duration), 0) from entry where tenant = ", s.arg(x.tenant))
	if q.Connection != 0 {
		s.add(" and connection = ", s.arg(q.Connection))
	}
	if !q.Since.IsZero() {
		s.add(" and ", hour, " >= ", s.arg(s.time(q.Since)))
	}
	if !q.Until.IsZero() {
		s.add(" and ", hour, " < ", s.arg(s.time(q.Until)))
	}
	s.add(" group by 1, 2, 3 order by 1 desc, 2, 3")
	return x.queryIn(x.long(), s.String(), s.args, func(rows *sql.Rows) error {
		var a provisioning.Activity
		var at instant
		var micros int64
		if err := rows.Scan(&at, &a.Action, &a.Outcome, &a.Entries, &micros); err != nil {
			return err
		}
		a.Hour, a.Duration = at.Time, time.Duration(micros)*time.Microsecond
		return fn(a)
	})
}
