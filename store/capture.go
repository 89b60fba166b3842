package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"meibo/provisioning"
)

// Capture implements provisioning.Reader.
func (x *session) Capture(correlation string) (provisioning.Capture, error) {
	c := provisioning.Capture{Correlation: correlation}
	var at instant
	found, err := false, error(nil)
	if storable(correlation) {
		found, err = x.row("select connection, at, sealed from capture where correlation = $1 and tenant = $2",
			[]any{correlation, x.tenant}, &c.Connection, &at, &c.Sealed)
	}
	if err == nil && !found {
		err = notFound("the captured request")
	}
	c.At = at.Time
	return c, err
}

// capturesLookedAt bounds a page of captures, whatever is asked for: they are in the order of time, those of all tenants together.
const capturesLookedAt = 5_000

// Captures implements provisioning.Reader.
func (x *session) Captures(q provisioning.CaptureQuery) (page provisioning.CapturePage, err error) {
	if !storable(q.Before) {
		return page, nil
	}
	ids, next, err := x.captureIDs(q)
	if err != nil || len(ids) == 0 {
		return provisioning.CapturePage{Next: next}, err
	}
	all, err := x.capturesOf(ids)
	return provisioning.CapturePage{Captures: all, Next: next}, err
}

// capturesOf reads captures by their ids, the latest first.
func (x *session) capturesOf(ids []string) (all []provisioning.Capture, err error) {
	s := statement{dialect: x.dialect}
	join := " cross join capture on capture.correlation = x.id" // in SQLite a cross join keeps its order
	if x.postgres {
		join = " cross join lateral (select * from capture where correlation = x.id limit 1) as capture"
	}
	s.add("select capture.correlation, capture.connection, capture.at, capture.sealed from ", s.elements(s.arg(s.list(ids)), "x"), join, " where capture.tenant = ", s.arg(x.tenant), " order by capture.correlation desc")
	err = x.query(s.String(), s.args, func(rows *sql.Rows) error {
		var c provisioning.Capture
		var at instant
		err := rows.Scan(&c.Correlation, &c.Connection, &at, &c.Sealed)
		c.At = at.Time
		all = append(all, c)
		return err
	})
	return all, err
}

// captureIDs finds a page of captures.
func (x *session) captureIDs(q provisioning.CaptureQuery) (ids []string, next string, err error) {
	s := statement{dialect: x.dialect}
	own := "tenant = " + s.arg(x.tenant)
	if q.Connection != 0 {
		own += " and connection = " + s.arg(q.Connection)
	}
	s.add("select correlation, case when ", own, " then 1 else 0 end from capture where correlation > ''")
	for _, bound := range []struct {
		op    string
		value string
		given bool
	}{{">=", firstID(q.Since), !q.Since.IsZero()}, {"<", firstID(q.Until), !q.Until.IsZero()}, {"<", q.Before, q.Before != ""}} {
		if bound.given {
			s.add(" and correlation ", bound.op, " ", s.arg(bound.value))
		}
	}
	s.add(" order by correlation desc limit ", s.few(capturesLookedAt))
	looked, last := 0, ""
	err = x.query(s.String(), s.args, func(rows *sql.Rows) error {
		var id string
		var own bool
		if err := rows.Scan(&id, &own); err != nil {
			return err
		}
		if len(ids) == q.Limit {
			next = last
			return errPageFull
		}
		looked++
		if last = id; own {
			ids = append(ids, id)
		}
		return nil
	})
	if looked == capturesLookedAt {
		next = last
	}
	if errors.Is(err, errPageFull) {
		err = nil
	}
	return ids, next, err
}

// captureSteps are the plan of captures: those that come, and those that go.
func (x *session) captureSteps(b provisioning.Batch) (steps []step) {
	if !b.CapturesFrom.IsZero() {
		s := step{name: "tenant", statement: statement{dialect: x.dialect}}
		from := s.typed(x.time(b.CapturesFrom), "timestamptz")
		s.add("update tenant set captures_from = ", from, " where name = ", s.arg(x.tenant), " and (captures_from is null or captures_from < ", from, ")")
		steps = append(steps, s)
	}
	for first := 0; first < len(b.Captures); first += valuesAtOnce {
		steps = append(steps, x.keepCaptures(b.Captures[first:min(first+valuesAtOnce, len(b.Captures))]))
	}
	if len(b.DropCaptures) > 0 {
		s := step{name: "capture", statement: statement{dialect: x.dialect}}
		s.add("delete from capture where correlation in (select x.id from ", s.elements(s.arg(s.list(b.DropCaptures)), "x"),
			") and tenant = ", s.arg(x.tenant))
		steps = append(steps, s)
	}
	return steps
}

// keepCaptures inserts captures, but for those of requests that came before captures_from; one that is there already was written by
// a unit of work whose answer was lost. On PostgreSQL it holds the tenant's row: whoever moves captures_from waits for it, and sees
// what it wrote.
func (x *session) keepCaptures(all []provisioning.Capture) step {
	s := step{name: "capture", statement: statement{dialect: x.dialect}}
	named, lock, columns := "v", "", []string{"column1", "column2", "column3", "column4"}
	if x.postgres {
		columns = []string{"correlation", "connection", "at", "sealed"}
		named, lock = "v("+strings.Join(columns, ", ")+")", " for share of t"
	}
	s.add("insert into capture (tenant, correlation, connection, at, sealed) select t.name, v.", strings.Join(columns, ", v."), " from tenant t cross join (values ")
	for i, c := range all {
		if i > 0 {
			s.add(", ")
		}
		s.add("(", s.typed(c.Correlation, "text"), ", ", s.typed(c.Connection, "bigint"), ", ", s.typed(x.time(c.At), "timestamptz"), ", ", s.typed(c.Sealed, "bytea"), ")")
	}
	s.add(") as ", named, " where t.name = ", s.arg(x.tenant), " and (t.captures_from is null or v.", columns[2], " >= t.captures_from)", lock,
		" on conflict (correlation) do nothing")
	return s
}

// DropCaptures implements provisioning.Store.
func (s *Store) DropCaptures(ctx context.Context, before time.Time, limit int) (int, error) {
	x := s.session(ctx, "", s.reads)
	first := firstID(before)
	if s.dialect.postgres {
		n, err := x.exec("capture", "delete from capture where correlation = any(array(select correlation from capture where correlation < $1 order by correlation limit $2))",
			first, limit)
		return int(n), err
	}
	if n, err := x.oldCaptures(first); err != nil || n == 0 { // and spare the writer
		return 0, err
	}
	var n int64
	err := s.writer.do(ctx, func(l *lent) (err error) {
		x := s.session(ctx, "", l.db)
		x.transaction = true
		n, err = x.exec("capture", "delete from capture where correlation in (select correlation from capture where correlation < $1 order by correlation limit "+
			strconv.Itoa(limit)+")", first)
		return err
	})
	return int(n), err
}

func (x *session) oldCaptures(first string) (n int, err error) {
	_, err = x.row("select exists (select 1 from capture where correlation < $1)", []any{first}, &n)
	return n, err
}

// firstID is the least UUIDv7 of an instant's millisecond (RFC 9562 §5.7).
func firstID(at time.Time) string {
	ms := fmt.Sprintf("%012x", at.UnixMilli())
	return ms[:8] + "-" + ms[8:] + "-7000-8000-000000000000"
}
