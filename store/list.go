package store

import (
	"context"
	"database/sql"
	"strings"

	"meibo/provisioning"
)

// List implements provisioning.Reader: page and total come from one statement, so from one state.
func (x *session) List(q provisioning.ListQuery) (provisioning.Page, error) {
	q.StartIndex, q.Count = max(q.StartIndex, 1), max(q.Count, 0)
	if q.Filter == nil {
		s := statement{dialect: x.dialect}
		s.wholeList(x.tenant, q)
		return x.page(x.bounded(), q, s)
	}
	// What indexes find is mostly one resource or none. Then the page tells the total, and the
	// statement need not know how to count, which is most of what it costs to plan.
	if s := (statement{dialect: x.dialect}); q.Count > 0 {
		if served := s.foundList(x.tenant, q); served.found() {
			page, err := x.found(q, s)
			n := len(page.Resources)
			page.Total = q.StartIndex - 1 + n
			whole := n < q.Count || served.single // there is nothing behind the page
			if err != nil || whole && (n > 0 || q.StartIndex == 1) {
				return page, err
			}
		}
	}
	s := statement{dialect: x.dialect}
	s.filteredList(x.tenant, q)
	return x.page(x.long(), q, s)
}

// selected is what a list reads of each resource.
func selected(q provisioning.ListQuery) selection {
	return selection{brief: q.Brief, References: q.References}
}

// found runs the statement of foundList.
func (x *session) found(q provisioning.ListQuery, s statement) (page provisioning.Page, err error) {
	err = x.query(s.String(), s.args, func(rows *sql.Rows) error {
		var row resourceRow
		if err := rows.Scan(row.dest(selected(q))...); err != nil {
			return err
		}
		r, err := row.resource()
		page.Resources = append(page.Resources, r)
		return err
	})
	return page, err
}

// page runs the statement of a list with its total.
func (x *session) page(ctx context.Context, q provisioning.ListQuery, s statement) (provisioning.Page, error) {
	var page provisioning.Page
	err := x.queryIn(ctx, s.String(), s.args, func(rows *sql.Rows) error {
		if len(page.Resources) == 0 {
			only, err := scanTotal(rows, &page.Total)
			if err != nil || only {
				return err
			}
		}
		var row resourceRow
		var total, seq int64
		if err := rows.Scan(append(row.dest(selected(q), &total), &seq)...); err != nil {
			return err
		}
		r, err := row.resource()
		page.Resources = append(page.Resources, r)
		return err
	})
	return page, err
}

// ignored scans what is of no interest.
type ignored struct{}

func (ignored) Scan(any) error { return nil }

// scanTotal scans the total of a list's row and reports whether the row holds nothing else.
func scanTotal(rows *sql.Rows, total *int) (only bool, err error) {
	names, err := rows.Columns()
	if err != nil {
		return false, err
	}
	var id sql.NullString
	dest := make([]any, len(names))
	for i := range dest {
		dest[i] = ignored{}
	}
	dest[0] = total
	if len(dest) > 1 {
		dest[1] = &id
	}
	err = rows.Scan(dest...)
	return !id.Valid, err
}

// laneTotal is the number of resources in the lane $1 of the connection $2, if that is the tenant $3's.
const laneTotal = `(select case when exists (select 1 from connection where id = $2 and tenant = $3) then
	cast(coalesce((select n from tally_total where lane = $1), 0) +
	coalesce((select sum(delta) from tally where lane = $1), 0) as bigint) else 0 end)`

// jump finds the block that holds resource number $skip (from 0) of lane $1, in two strides: blocks of
// 65,536 seq, then those of 1,024 inside the one found. Each CTE pair sums what lies before a block
// and takes the last block with no more than $skip before it.
const jump = `with fresh as materialized (select block, sum(delta) as n from tally where lane = $1 group by block),
big as (select block, sum(n) as n from (
	select block, n from tally_block where lane = $1 and level = 16 union all select block >> 6, n from fresh) as bigs group by block),
stride as (select block, before from (select block, sum(n) over (order by block) - n as before from big) as sums
	where before <= $skip order by block desc limit 1),
small as (select block, sum(n) as n from (
	select block, n from tally_block where lane = $1 and level = 10
		and block >= (select block from stride) << 6 and block < ((select block from stride) + 1) << 6
	union all select block, n from fresh where block >> 6 = (select block from stride)) as smalls group by block),
stop as (select block, before from (
	select block, (select before from stride) + sum(n) over (order by block) - n as before from small) as sums
	where before <= $skip order by block desc limit 1)`

// wholeList is a page of a whole lane. No row before the page's block is touched, however far it is,
// and of those in the block before the page only the seq: what an answer needs is costly to find.
func (s *statement) wholeList(tenant string, q provisioning.ListQuery) {
	lane, _, owner := s.arg(laneOf(q.Scope)), s.arg(q.Scope.Connection), s.arg(tenant)
	if q.Count == 0 {
		s.add("select ", laneTotal)
		return
	}
	limit, from := s.number(q.Count), ""
	if q.StartIndex > 1 {
		skip := s.skip(q)
		s.add(strings.ReplaceAll(jump, "$skip", skip), ", edge as (select r.seq from ", s.laneTable(), " where r.lane = ", lane,
			" and r.seq >= (select block from stop) << 10 order by r.seq limit 1 offset coalesce(", skip,
			" - (select cast(before as bigint) from stop), 0)) ")
		from = " and r.seq >= (select seq from edge)"
	}
	within := "r.tenant = " + owner
	if s.postgres {
		// Without statistics it expects few rows in a lane, and would rather read and sort them all than walk along their
		// index. So it does not get to see that the page is not so small a part of them, nor a condition that none might meet.
		within, limit = "case when "+within+" then true else false end", "(select "+limit+")"
	}
	s.add("select t.n, p.* from (select ", laneTotal, " as n) as t left join (select ",
		s.columns(selected(q)), ", r.seq from ", s.laneTable(), " where r.lane = ", lane, " and ", within, from,
		" order by r.seq limit ", limit, ") as p on true order by p.seq")
}

// skip adds how many resources come before a page. It is an argument, so that walking through a list
// is one statement, compiled once.
func (s *statement) skip(q provisioning.ListQuery) string { return s.typed(q.StartIndex-1, "bigint") }

// foundList is a page of what a filter selects, without a total, if indexes find it; it tells how they do.
func (s *statement) foundList(tenant string, q provisioning.ListQuery) service {
	matches, served := s.matches(tenant, q)
	if !served.found() {
		return served
	}
	s.add("select ", s.columns(selected(q)), " from ", matches)
	if !served.single || q.StartIndex > 1 {
		s.add(" order by ", served.order(), " limit ", s.number(q.Count), " offset ", s.skip(q))
	}
	return served
}

// filteredList is a page of what a filter selects, with the total. The matches are counted only where the page does
// not tell their number: it does when it is not full.
func (s *statement) filteredList(tenant string, q provisioning.ListQuery) {
	matches, served := s.matches(tenant, q)
	count := "(select count(*) from " + matches + ")"
	if q.Count == 0 {
		s.add("select ", count)
		return
	}
	limit, skip := s.number(q.Count), s.skip(q)
	s.add("with page as materialized (select ", s.columns(selected(q)), ", r.seq from ", matches,
		" order by ", served.order(), " limit ", limit, " offset ", skip, "), seen as (select count(*) as c from page) ",
		"select case when c < ", limit, " and (c > 0 or ", skip, " = 0) then ", skip, " + c else ", count, " end, page.* ",
		"from seen left join page on true order by page.seq")
}

// matches are the resources r that a filter selects in a scope, as from and where. Either indexes
// find candidates and the scope is only checked, or the scope's lane is read through: whichever it
// is, no other index fits.
func (s *statement) matches(tenant string, q provisioning.ListQuery) (text string, served service) {
	f := filter{statement: s, tenant: tenant, scope: q.Scope}
	var condition string
	condition, served = f.where(q.Filter)
	if !served.found() {
		return s.laneTable() + " where r.lane = " + s.typed(laneOf(q.Scope), "bigint") + " and r.tenant = " + s.arg(tenant) + " and " + condition, served
	}
	from := "resource r"
	if !served.direct {
		from = "(select distinct id from (" + served.source() + ") as ids) as found " + s.byID("found.id")
	}
	return from + " where " + condition + " and r.tenant = " + s.arg(tenant) + " and r.lane + 0 = " + s.typed(laneOf(q.Scope), "bigint"), served
}

// laneTable is resource as read through along a lane. SQLite could also walk by seq, which is the
// row's number there, and meet every other lane on its way.
func (d dialect) laneTable() string {
	if d.postgres {
		return "resource r"
	}
	return "resource as r indexed by resource_lane"
}

// byID joins the resource r of an id to the rows on its left, one look-up each.
func (d dialect) byID(id string) string {
	if d.postgres {
		return "cross join lateral (select * from resource where id = " + id + " limit 1) as r"
	}
	return "cross join resource as r on r.id = " + id // in SQLite a cross join keeps its order
}
