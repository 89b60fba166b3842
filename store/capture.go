package store

import (
	"context"
	"database/sql"
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

// Captures implements provisioning.Reader. Captures have no index by tenant, which each would pay for when it is written: those of
// others are passed over, unread.
func (x *session) Captures(after string, looks int) (page provisioning.CapturePage, err error) {
	if !storable(after) {
		return page, nil
	}
	n, last := 0, ""
	err = x.query("select correlation, tenant = $1, connection, at, case when tenant = $1 then sealed end from capture where correlation > $2 order by correlation limit "+
		strconv.Itoa(looks), []any{x.tenant, after}, func(rows *sql.Rows) error {
		var c provisioning.Capture
		var mine bool
		var at instant
		err := rows.Scan(&c.Correlation, &mine, &c.Connection, &at, &c.Sealed)
		n, last, c.At = n+1, c.Correlation, at.Time
		if mine {
			page.Captures = append(page.Captures, c)
		}
		return err
	})
	if n == looks {
		page.Next = last
	}
	return page, err
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
