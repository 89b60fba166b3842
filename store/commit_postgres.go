package store

import (
	"strconv"

	"meibo/scim"
)

// postgres writes the whole change, and the entries that ride on it, as one statement:
//
//	with u as (insert or guarded update of resource returning seq), e as (insert into entry … from u),
//	q as (insert into pending … from u), …
//	select 1 from u
//
// It touches one row, or none if the version read is no longer there; then none of its parts did
// anything, since each takes its rows from u.
func (w *write) postgres() (step, error) {
	s := step{name: "resource", statement: statement{dialect: w.dialect}, missed: errOvertaken, kind: w.change.After.Type}
	s.add("with u as (")
	if w.change.Before == nil {
		w.insert(&s.statement)
	} else {
		w.update(&s.statement)
	}
	s.add(" returning seq)")
	for i := range w.riders {
		s.add(", e as (insert into entry (", entryColumns, ") select ")
		if err := s.entryValues(w.tenant, &w.riders[i]); err != nil {
			return s, err
		}
		s.add(" from u), q as (insert into pending (entry) select ", s.typed(w.riders[i].ID, "text"), " from u)")
	}
	w.postgresTally(&s.statement)
	if w.emailsChanged() {
		w.postgresValues(&s.statement)
	}
	w.postgresMembers(&s.statement)
	s.add(" select 1 from u")
	return s, nil
}

func (w *write) postgresTally(s *statement) {
	for i, d := range w.deltas() {
		n := strconv.Itoa(d.n) // of few values, so that texts stay few
		s.add(", t", strconv.Itoa(i), " as (insert into tally (lane, block, delta) select ", s.typed(d.lane, "bigint"), ", ", d.block, ", ", n, " from u)")
	}
}

func (w *write) postgresValues(s *statement) {
	id := s.typed(w.change.After.ID, "text")
	after := ""
	if w.change.Before != nil {
		s.add(", d as (delete from resource_value v using u where v.resource = ", id, " and v.attr = 'emails' returning 1)")
		// This asks for the deletion first, so that it is done before new rows meet the old ones' key.
		after = " where (select count(*) from d) >= 0"
	}
	c := w.emailColumns()
	if len(c.ord) == 0 {
		return
	}
	s.add(", v as (insert into resource_value (resource, attr, ord, key, value, type, display, is_primary) select ", id,
		", 'emails', x.ord, x.key, x.value, x.type, x.display, x.bit = '1' from u, unnest(",
		s.arg(c.ord), "::int[], ", s.arg(c.key), "::text[], ", s.arg(c.value), "::text[], ", s.arg(c.kind), "::text[], ",
		s.arg(c.display), "::text[], ", s.arg(c.bit), "::text[]) as x(ord, key, value, type, display, bit)", after, ")")
}

// postgresMembers opens and closes memberships. The version guards them: they were computed under it.
func (w *write) postgresMembers(s *statement) {
	d, r := w.change.Members, &w.change.After
	if d.IsZero() {
		return
	}
	grp, at, entry := s.typed(r.ID, "text"), s.typed(w.time(r.Modified), "timestamptz"), s.typed(w.entry, "text")
	if len(d.Add) > 0 {
		ids, displays := columnsOf(d.Add)
		s.add(", a as (insert into member (grp, member, display, valid_from, from_entry) select ", grp,
			", x.id, nullif(x.display, ''), ", at, ", ", entry, " from u, unnest(", s.arg(ids), "::text[], ", s.arg(displays),
			"::text[]) as x(id, display))")
	}
	if len(d.Remove) > 0 {
		s.add(", c as (update member m set valid_to = ", at, ", to_entry = ", entry, " from u where ")
		s.openMemberships(grp, d.Remove)
		s.add(")")
	}
	for _, v := range w.views() {
		if len(v.add) > 0 {
			ids, displays := columnsOf(v.add)
			s.add(", ", v.column, "_a as (")
			v.joins(s, grp, "u, unnest("+s.arg(ids)+"::text[], "+s.arg(displays)+"::text[]) as x(id, display)", at, entry)
			s.add(")")
		}
		if len(v.remove) > 0 {
			s.add(", ", v.column, "_c as (")
			v.leaves(s, at, entry)
			s.add(" from u where ")
			s.openMemberships(grp, v.remove)
			s.add(")")
		}
	}
}

// openMemberships is the condition that m is a membership of a group that lasts, of one of some members. Each row is
// looked up on its own: see dialect.probe.
func (s *statement) openMemberships(group string, members []string) {
	if len(members) == 1 {
		s.add("m.grp = ", group, " and m.member = ", s.arg(members[0]), " and m.valid_to is null")
		return
	}
	s.add("m.ctid = any(array(select k.ctid from unnest(", s.arg(members), "::text[]) as x(id) cross join lateral ",
		"(select o.ctid from member o where o.grp = ", group, " and o.member = x.id and o.valid_to is null limit 1) as k))")
}

// columnsOf are members column by column.
func columnsOf(members []scim.Member) (ids, displays []string) {
	for _, m := range members {
		ids, displays = append(ids, m.Value), append(displays, m.Display)
	}
	return ids, displays
}
