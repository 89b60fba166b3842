package store

import (
	"database/sql"
	"slices"
	"time"

	"meibo/provisioning"
)

// What the follower counts by the hour tells where in time entries of a kind can be.

// counted reports whether activity can tell in which hours there is something to find.
func (f *finder) counted() bool {
	q := &f.rest
	return q.Connection != 0 || q.Action != "" || q.Outcome != "" || q.Reason != "" || q.Method != "" || q.Status != 0 || q.Slower > 0
}

// hour is an hour with entries that may match.
type hour struct {
	begin    time.Time
	entries  int // in all
	matching int
}

// throughHours looks only at the hours that may have something to find: those in which activity counts it, and those of the
// entries that are not counted yet. What a purge left of the time before the cut is not counted, and looked at one by one.
func (f *finder) throughHours() error {
	if err := f.Snapshot(); err != nil { // what is counted and what is not are of one state
		return err
	}
	fresh, few, err := f.uncounted()
	if err != nil {
		return err
	}
	if !few {
		return f.walk(f.span, f.inTime)
	}
	horizon, err := f.Horizon()
	if err != nil {
		return err
	}
	cut := horizon.Cut.Truncate(time.Hour)
	if cut.Before(horizon.Cut) { // in that hour are the baselines
		cut = cut.Add(time.Hour)
	}
	if done, err := f.throughCounted(f.span.from(cut), fresh); done || err != nil || !f.span.since.Before(cut) {
		return err
	}
	return f.walk(f.span.upTo(cut), f.inTime)
}

// throughCounted looks at the hours of a span that may have something to find, and reports whether the page is done.
func (f *finder) throughCounted(in span, fresh []hour) (done bool, err error) {
	for rows, read := min(1_000, f.store.log.activity), 0; ; rows = min(4*rows, f.store.log.activity-read) { // what is common is found in the latest hours
		floor, err := f.floor(in, rows)
		if err != nil {
			return false, err
		}
		part := in.from(floor)
		hours, err := f.hours(part)
		if err != nil {
			return false, err
		}
		if done, err := f.inHours(part.with(hours, fresh)); done || err != nil || !in.since.Before(floor) {
			return done, err
		}
		if read += rows; read >= f.store.log.activity {
			f.next.At = floor // what has no id is before all that have one
			return true, nil
		}
		in.until = floor
	}
}

// floor is when the oldest hour begins that so many rows of activity reach back to; zero if they reach all.
func (f *finder) floor(in span, rows int) (time.Time, error) {
	s := statement{dialect: f.dialect}
	s.add("select hour from activity where tenant = ", s.arg(f.tenant), in.ofHours(&s), " order by hour desc limit ", s.few(1), " offset ", s.few(rows))
	var begin instant
	found, err := f.row(s.String(), s.args, &begin)
	if !found {
		return time.Time{}, err
	}
	after := begin.Add(time.Hour)
	for _, top := range []time.Time{in.until, in.before.At} {
		if !top.IsZero() && !after.Before(top) { // the latest hour has more than that, and is read all the same
			return begin.Time, err
		}
	}
	return after, err
}

// inHours looks at hours, the latest first, and reports whether the page is done.
func (f *finder) inHours(hours []hour) (done bool, err error) {
	for len(hours) > 0 {
		n := f.together(hours)
		if n == 1 && hours[0].entries > f.store.log.together {
			err = f.walk(f.span.hour(hours[0].begin), f.inTime)
		} else {
			err = f.readHours(hours[:n])
		}
		for _, h := range hours[:n] {
			f.left -= h.entries
		}
		if err != nil || f.want() == 0 || !f.next.IsZero() {
			return true, err
		}
		if f.left <= 0 {
			f.next.At = hours[n-1].begin // what has no id is before all that have one
			return true, nil
		}
		hours = hours[n:]
	}
	return false, nil
}

// together is how many of the hours are looked at by one statement.
func (f *finder) together(hours []hour) (n int) {
	entries, matching := 0, 0
	for n < len(hours) && matching < f.want() {
		if entries += hours[n].entries; n > 0 && entries > f.store.log.together {
			break
		}
		matching += hours[n].matching
		n++
	}
	return n
}

// readHours reads what matches in hours, all of which it looks at.
func (f *finder) readHours(hours []hour) error {
	begins := make([]time.Time, len(hours))
	for i, h := range hours {
		begins[i] = h.begin
	}
	s := statement{dialect: f.dialect}
	s.add("select ", entryColumnsOf("e"), " from ")
	if s.postgres {
		s.add("unnest(", s.arg(s.times(begins)), "::timestamptz[]) as h(hour) cross join lateral (select * from entry as i where ", f.inTime(&s),
			" and i.at >= h.hour and i.at < h.hour + interval '1 hour'", f.span.within(&s, "i"), " offset 0) as e where ", s.hide(f.terms(&s, "e")))
	} else {
		s.add("json_each(", s.arg(s.times(begins)), ") as h cross join entry as e on e.tenant = ", s.arg(f.tenant),
			" and e.at >= h.value and e.at < h.value + 3600000000", f.span.within(&s, "e"), " where ", s.hide(f.terms(&s, "e"))) // in SQLite a cross join keeps its order
	}
	s.add(" order by e.at desc, e.id desc limit ", s.few(f.want()))
	return f.read(s)
}

// from is the part of a span from an instant on, and upTo that before one.
func (in span) from(at time.Time) span {
	if in.since.Before(at) {
		in.since = at
	}
	return in
}

func (in span) upTo(at time.Time) span {
	if in.until.IsZero() || in.until.After(at) {
		in.until = at
	}
	return in
}

// hour is the part of a span that is in an hour.
func (in span) hour(begin time.Time) span { return in.from(begin).upTo(begin.Add(time.Hour)) }

// with adds the hours of fresh entries that are in the span.
func (in span) with(hours, fresh []hour) []hour {
	last := in.since.Truncate(time.Hour)
	for _, h := range fresh {
		if h.begin.Before(last) || !in.until.IsZero() && !h.begin.Before(in.until) || !in.before.IsZero() && h.begin.After(in.before.At) {
			continue
		}
		i := slices.IndexFunc(hours, func(o hour) bool { return !o.begin.After(h.begin) })
		switch {
		case i < 0:
			hours = append(hours, h)
		case hours[i].begin.Equal(h.begin):
			hours[i].entries += h.entries
		default:
			hours = slices.Insert(hours, i, h)
		}
	}
	return hours
}

// hours reads the hours of a span in which activity counts what may match, the latest first.
func (f *finder) hours(in span) (hours []hour, err error) {
	s := statement{dialect: f.dialect}
	c := conditions{statement: &s}
	q := &f.rest
	s.add("select a.hour, cast(sum(a.n) as bigint), cast(sum(a.hit) as bigint) from (select hour, n, case when ")
	if q.Connection != 0 {
		c.and("connection = " + s.typed(q.Connection, "bigint"))
	}
	c.compare("action", "=", string(q.Action))
	c.compare("outcome", "=", string(q.Outcome))
	c.compare("reason", "=", q.Reason)
	c.compare("method", "=", q.Method)
	c.status("status", q.Status)
	if q.Slower > 0 {
		c.and("slowest >= " + s.typed(q.Slower.Microseconds(), "bigint"))
	}
	s.add(s.hide(c.terms), " then n else 0 end as hit from activity where tenant = ", s.arg(f.tenant))
	s.add(in.ofHours(&s), ") as a group by a.hour having sum(a.hit) > 0 order by a.hour desc")
	err = f.queryIn(f.long(), s.String(), s.args, func(rows *sql.Rows) error {
		h, err := scanHour(rows)
		hours = append(hours, h)
		return err
	})
	return hours, err
}

// ofHours is what a span adds to a condition of activity: always both ends, lest PostgreSQL expects a third of all rows, and one of
// each kind, as within has it.
func (in span) ofHours(s *statement) string {
	from, to := time.UnixMicro(0), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	if in.since.After(from) {
		from = in.since.Truncate(time.Hour)
	}
	if !in.until.IsZero() {
		to = in.until
	}
	if last := in.before.At.Add(time.Microsecond); !in.before.IsZero() && last.Before(to) { // the hour that it begins is meant, too
		to = last
	}
	return " and hour >= " + s.arg(s.time(from)) + " and hour < " + s.arg(s.time(to))
}

func scanHour(rows *sql.Rows) (h hour, err error) {
	var begin instant
	err = rows.Scan(&begin, &h.entries, &h.matching)
	h.begin = begin.Time
	return h, err
}

// uncounted reads the hours of the tenant's entries that the follower has not counted yet, the latest first, and reports
// whether they are few.
func (f *finder) uncounted() (hours []hour, few bool, err error) {
	s := statement{dialect: f.dialect}
	if s.postgres {
		s.add("with p as materialized (select x.entry from pending x limit ", s.number(f.store.log.uncounted+1), "), ",
			"e as (select e.tenant, e.at from p cross join lateral (select tenant, at from entry where id = p.entry limit 1) as e) ",
			"select date_bin('1 hour', at, timestamptz 'epoch') as hour, count(*) filter (where tenant = ", s.arg(f.tenant), "), count(*) from e group by 1 order by 1 desc")
	} else {
		s.add("select at - at % 3600000000 as hour, count(*) filter (where tenant = ", s.arg(f.tenant), "), count(*) from ",
			"(select tenant, at from entry where rowid > (", followFrom, ") order by rowid limit ", s.number(f.store.log.uncounted+1), ") as w group by 1 order by 1 desc")
	}
	total := 0
	err = f.queryIn(f.long(), s.String(), s.args, func(rows *sql.Rows) error {
		h, err := scanHour(rows)
		total += h.matching
		if h.matching = 0; h.entries > 0 {
			hours = append(hours, h)
		}
		return err
	})
	return hours, total <= f.store.log.uncounted, err
}

// Activity implements provisioning.Reader.
func (x *session) Activity(q provisioning.ActivityQuery, fn func(provisioning.Activity) error) error {
	s := statement{dialect: x.dialect}
	s.add("select hour, action, outcome, cast(sum(n) as bigint), cast(sum(micros) as bigint) from activity where tenant = ", s.arg(x.tenant))
	if !q.Since.IsZero() {
		s.add(" and hour >= ", s.arg(s.time(q.Since)))
	}
	if !q.Until.IsZero() {
		s.add(" and hour < ", s.arg(s.time(q.Until)))
	}
	if q.Connection != 0 {
		s.add(" and connection = ", s.arg(q.Connection))
	}
	s.add(" group by hour, action, outcome order by hour desc, action, outcome")
	return x.queryIn(x.long(), s.String(), s.args, func(rows *sql.Rows) error {
		var a provisioning.Activity
		var begin instant
		var micros int64
		if err := rows.Scan(&begin, &a.Action, &a.Outcome, &a.Entries, &micros); err != nil {
			return err
		}
		a.Hour, a.Duration = begin.Time, time.Duration(micros)*time.Microsecond
		return fn(a)
	})
}
