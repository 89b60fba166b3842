package store

import (
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"meibo/provisioning"
	"meibo/scim"
)

// The log is entry in the order of (at, id), read backwards. What a query names decides by which index it is read, here and
// not by the planner: see finder.find.

// logBounds keep a page of the log short, whatever is asked for.
type logBounds struct {
	lookedAt  int // entries that are looked at where an index finds more than the page shall have
	named     int // entries of a prefix that are sorted; where there are more, time finds enough of them soon
	together  int // entries in the hours that are looked at by one statement
	activity  int // rows of activity that are read to find hours
	uncounted int // entries that the follower may be behind for its counts to be of use
	bytes     int // that a page holds, about
}

var defaultLogBounds = logBounds{lookedAt: 10_000, named: 5_000, together: 4_000, activity: 10_000, uncounted: 5_000, bytes: 4 << 20}

// nameInKey is how many characters of a name are in its index.
const nameInKey = 100

// Entries implements provisioning.Reader: page by page, the first ones small, since who looks for the latest entry stops soon.
func (x *session) Entries(q provisioning.EntryQuery, fn func(provisioning.Entry) error) error {
	limit := q.Limit
	for n, stride := 0, 20; ; stride = min(2*stride, 500) {
		if q.Limit = stride; limit > 0 {
			q.Limit = min(stride, limit-n)
		}
		page, err := x.EntryPage(q)
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			if err := fn(e); err != nil {
				return err
			}
		}
		if n += len(page.Entries); page.Next.IsZero() || limit > 0 && n == limit {
			return nil
		}
		q.Before = page.Next
	}
}

// EntryPage implements provisioning.Reader.
func (x *session) EntryPage(q provisioning.EntryQuery) (provisioning.EntryPage, error) {
	if !storable(strings.Join([]string{q.ID, q.Correlation, string(q.Action), string(q.Outcome), q.Reason, q.Method,
		q.Resource, q.Name, q.Prefix, q.Mail, q.ExternalID, q.Member, q.About, q.Before.ID}, "")) {
		return provisioning.EntryPage{}, nil
	}
	f := finder{session: x, rest: q, span: spanOf(q), limit: q.Limit, left: x.store.log.lookedAt}
	if err := f.find(); err != nil && !errors.Is(err, errPageFull) {
		return provisioning.EntryPage{}, err
	}
	return f.page(), nil
}

// errPageFull says that a page holds enough for its size.
var errPageFull = errors.New("store: the page is full")

// finder finds a page of the log.
type finder struct {
	*session
	rest  provisioning.EntryQuery // what the index that is taken does not see to
	about []string                // ids of the resources that entries are about; nil for any
	span  span
	limit int
	left  int // how many entries may yet be looked at

	found []provisioning.Entry // one more than the page shall have, if there is one
	size  int                  // of found, in bytes
	next  provisioning.Place   // where to go on, if the page has not as many as it may
}

// span is a piece of the log; what is zero is no bound.
type span struct {
	since, until time.Time
	before       provisioning.Place
}

func spanOf(q provisioning.EntryQuery) span {
	in := span{q.Since, q.Until, q.Before}
	if at := in.before.At; !at.IsZero() && in.before.ID == "" { // it is before all entries of its moment
		if in.before = (provisioning.Place{}); in.until.IsZero() || in.until.After(at) {
			in.until = at
		}
	}
	return in
}

// source is a condition of the entry i that one index serves.
type source func(*statement) string

// page is what was found.
func (f *finder) page() provisioning.EntryPage {
	if len(f.found) > f.limit {
		kept := f.found[:f.limit]
		return provisioning.EntryPage{Entries: kept, Next: kept[f.limit-1].Place()}
	}
	return provisioning.EntryPage{Entries: f.found, Next: f.next}
}

// want is how many entries more are asked for.
func (f *finder) want() int { return max(f.limit+1-len(f.found), 0) }

// find takes the index that leaves least to look at: that of one entry, of a request, of a member, of a resource, of a name, or else time.
func (f *finder) find() error {
	if found, err := f.resources(); err != nil || !found {
		return err
	}
	q, tenant := f.rest, f.tenant
	switch {
	case q.ID != "":
		f.rest.ID = ""
		return f.gather(func(s *statement) string {
			return "entry as e where e.id = " + s.arg(q.ID) + " and e.tenant || '' = " + s.arg(tenant)
		})
	case q.Correlation != "":
		f.rest.Correlation = ""
		return f.walk(f.span, func(s *statement) string {
			return "i.correlation = " + s.arg(q.Correlation) + " and " + s.own("i", tenant)
		})
	case q.Member != "":
		f.rest.Member = ""
		return f.gather(func(s *statement) string {
			return "(" + s.naming(q.Member) + ") as named " + s.entryByID("named.entry") + " where " + s.own("e", tenant)
		})
	case f.about != nil:
		return f.ofResources()
	case q.Name != "":
		name, whole := entryNameKey(tenant, q.Name)
		if whole {
			f.rest.Name = ""
		}
		return f.walk(f.span, func(s *statement) string { return s.nameKeyOf("i") + " = " + s.arg(name) })
	case q.Prefix != "":
		return f.ofPrefix()
	case f.counted():
		return f.throughHours()
	default:
		return f.walk(f.span, f.inTime)
	}
}

// own is the condition that an entry is the tenant's where another one finds it: no index serves it.
func (s *statement) own(e, tenant string) string {
	if s.postgres {
		return s.hide([]string{e + ".tenant = " + s.arg(tenant)})
	}
	return e + ".tenant || '' = " + s.arg(tenant)
}

// inTime is the source of all entries of the tenant.
func (f *finder) inTime(s *statement) string { return "i.tenant = " + s.arg(f.tenant) }

// gather reads what a source has in no order, which is not much.
func (f *finder) gather(from source) error {
	s := statement{dialect: f.dialect}
	s.add("select ", entryColumnsOf("e"), " from ", from(&s), f.span.within(&s, "e"))
	c := conditions{statement: &s, terms: f.terms(&s, "e")}
	c.walk("e.at desc, e.id desc", f.want())
	return f.read(s)
}

// walk reads what an index has in the order of the log, and looks at no more than is left.
func (f *finder) walk(in span, from source) error {
	s := statement{dialect: f.dialect}
	if len(f.terms(&statement{dialect: f.dialect}, "")) == 0 {
		s.add("select ", entryColumnsOf("i"), f.walked(&s, in, from), s.few(f.want()))
		return f.read(s)
	}
	if err := f.Snapshot(); err != nil { // both statements shall look at the same entries
		return err
	}
	// The outer select leaves rows out and keeps the order of the inner one; said once more, it would be sorted for.
	s.add("select ", entryColumnsOf("seen"), " from (select i.*", f.walked(&s, in, from), s.few(f.left), ") as seen where ", s.hide(f.terms(&s, "seen")), " limit ", s.few(f.want()))
	if err := f.read(s); err != nil || f.want() == 0 {
		return err
	}
	last := statement{dialect: f.dialect}
	last.add("select i.at, i.id", f.walked(&last, in, from), last.few(1), " offset ", last.few(f.left-1))
	var at instant
	found, err := f.row(last.String(), last.args, &at, &f.next.ID)
	if f.next.At = at.Time; found {
		f.left = 0
	}
	return err
}

// walked is a span of a source, newest first, up to the number that follows.
func (f *finder) walked(s *statement, in span, from source) string {
	return " from entry as i where " + from(s) + in.within(s, "i") + " order by i.at desc, i.id desc limit "
}

// within is what a span adds to a condition of an entry. Of its two ends it names the earlier one: SQLite would begin to read at
// either, and pass by all that lies between.
func (in span) within(s *statement, e string) (text string) {
	if !in.since.IsZero() {
		text += " and " + e + ".at >= " + s.arg(s.time(in.since))
	}
	switch {
	case !in.before.IsZero() && (in.until.IsZero() || in.before.At.Before(in.until)):
		text += " and (" + e + ".at, " + e + ".id) < (" + s.arg(s.time(in.before.At)) + ", " + s.arg(in.before.ID) + ")"
	case !in.until.IsZero():
		text += " and " + e + ".at < " + s.arg(s.time(in.until))
	}
	return text
}

// read reads entries until the page holds enough.
func (f *finder) read(s statement) error {
	return f.queryIn(f.long(), s.String(), s.args, func(rows *sql.Rows) error {
		var r entryRow
		if err := rows.Scan(r.columns()...); err != nil {
			return err
		}
		e, err := r.entry()
		if err != nil {
			return err
		}
		f.found = append(f.found, e)
		if f.size += r.size(); f.size > f.store.log.bytes && f.want() > 0 {
			f.next = e.Place()
			return errPageFull
		}
		return nil
	})
}

// ofResources reads the entries of each resource and merges them as far as all of them were looked at.
func (f *finder) ofResources() error {
	var found []provisioning.Entry
	for _, id := range f.about {
		one := finder{session: f.session, rest: f.rest, span: f.span, limit: f.limit, left: f.left}
		err := one.walk(f.span, func(s *statement) string { return "(i.tenant || '/' || i.resource) = " + s.arg(f.tenant+"/"+id) })
		if err != nil && !errors.Is(err, errPageFull) {
			return err
		}
		page := one.page()
		found = append(found, page.Entries...)
		if page.Next.Compare(f.next) > 0 {
			f.next = page.Next
		}
	}
	slices.SortFunc(found, func(a, b provisioning.Entry) int { return b.Place().Compare(a.Place()) })
	f.found = slices.DeleteFunc(found, func(e provisioning.Entry) bool { return e.Place().Compare(f.next) < 0 })
	return nil
}

// ofPrefix reads by the index of names where that finds few enough to be sorted, and else in time.
func (f *finder) ofPrefix() error {
	prefix, whole := entryNameKey(f.tenant, f.rest.Prefix)
	from := func(s *statement) string {
		key, end := s.nameKeyOf("e"), ""
		if next, ok := successor(prefix); ok {
			end = " and " + key + " < " + s.arg(next)
		}
		return "entry as e where " + key + " >= " + s.arg(prefix) + end
	}
	s, n := statement{dialect: f.dialect}, 0
	s.add("select count(*) from (select 1 from ", from(&s), " order by ", s.nameKeyOf("e"), " limit ", s.few(f.store.log.named+1), ") as few")
	if _, err := f.row(s.String(), s.args, &n); err != nil {
		return err
	}
	if n > f.store.log.named {
		if f.counted() {
			return f.throughHours()
		}
		return f.walk(f.span, f.inTime)
	}
	if whole {
		f.rest.Prefix = ""
	}
	return f.gather(from)
}

// entryNameKey is what the index of names has for a name, and for what begins with one; whole if that is all of it.
func entryNameKey(tenant, name string) (key string, whole bool) {
	name = scim.FoldFull.Apply(name)
	n := 0
	for i := range name {
		if n++; n > nameInKey {
			return tenant + "/" + name[:i], false
		}
	}
	return tenant + "/" + name, n < nameInKey
}

// resources finds the resources that a query is about, if it names any other than by a name, and reports whether there can be entries.
func (f *finder) resources() (some bool, err error) {
	if id := f.rest.Resource; id != "" {
		f.about = []string{id}
	}
	for _, s := range []statement{f.byMail(f.rest.Mail), f.byExternalID(f.rest.ExternalID)} {
		if len(s.sql) == 0 {
			continue
		}
		found := []string{}
		err = firstError(err, f.query(s.String(), s.args, func(rows *sql.Rows) error {
			var id string
			err := rows.Scan(&id)
			if f.about == nil || slices.Contains(f.about, id) {
				found = append(found, id)
			}
			return err
		}))
		f.about = found
	}
	f.rest.Resource, f.rest.Mail, f.rest.ExternalID = "", "", ""
	return f.about == nil || len(f.about) > 0, err
}

// Meant implements provisioning.Reader.
func (x *session) Meant(mail, externalID string) ([]string, error) {
	if !storable(mail + externalID) {
		return nil, nil
	}
	f := finder{session: x, rest: provisioning.EntryQuery{Mail: mail, ExternalID: externalID}}
	_, err := f.resources()
	return f.about, err
}

// byMail finds the resources with an address; it is empty without one.
func (x *session) byMail(address string) statement {
	s := statement{dialect: x.dialect}
	if address != "" {
		s.add("select distinct v.resource from resource_value as v where v.key = ", s.arg(valueKey(x.tenant, emails, scim.FoldFull.Apply(address))))
	}
	return s
}

// byExternalID finds the resources of all connections of the tenant with an externalId; it is empty without one.
func (x *session) byExternalID(id string) statement {
	s := statement{dialect: x.dialect}
	if id == "" {
		return s
	}
	key := "c.id || t.letter || " + s.typed(id, "text")
	found := "cross join resource as r on r.ext_key = " + key // in SQLite a cross join keeps its order
	if s.postgres {
		found = "cross join lateral (select * from resource where ext_key = " + key + " offset 0) as r"
	}
	s.add("select r.id from connection as c cross join (select '", letterOf(scim.User), "' as letter union all select '", letterOf(scim.Group), "') as t ",
		found, " where c.tenant = ", s.arg(x.tenant))
	return s
}

// naming selects the entries that name a member: the first and the last of each membership, and those that mention it.
func (s *statement) naming(member string) string {
	open, closed := memberOf+" = "+s.arg(member), "m.member = "+s.arg(member)+" and m.valid_to is not null"
	if !s.postgres {
		open = "cast(" + memberOf + " as text) = " + s.arg(member)
	}
	return "select m.from_entry as entry from member as m where " + open +
		" union select m.from_entry from member as m where " + closed +
		" union select m.to_entry from member as m where " + closed +
		" union select entry from mention where mention.member = " + s.arg(member)
}

// memberOf is what the index member_of has.
const memberOf = "(case when m.valid_to is null then m.member end)"

// entryByID joins the entry e of an id to the rows on its left, one look-up each.
func (d dialect) entryByID(id string) string {
	if d.postgres {
		return "cross join lateral (select * from entry where id = " + id + " limit 1) as e"
	}
	return "cross join entry as e on e.id = " + id // in SQLite a cross join keeps its order
}

// nameKeyOf is what the index entry_name has: nameInKey characters of the name.
func (d dialect) nameKeyOf(e string) string {
	name := "coalesce(" + e + ".resource_folded, " + e + ".resource_name)"
	if d.postgres {
		return "(" + e + ".tenant || '/' || left(" + name + ", 100))"
	}
	return "(" + e + ".tenant || '/' || substr(" + name + ", 1, 100))"
}

// terms are the conditions that an entry, of the alias given, is looked at for.
func (f *finder) terms(s *statement, e string) []string {
	c, q := conditions{statement: s}, &f.rest
	c.compare(e+".id", "=", q.ID)
	c.compare(e+".correlation", "=", q.Correlation)
	if f.about != nil {
		c.and(e + ".resource in (select id from " + s.elements(s.arg(s.list(f.about)), "a") + ")")
	}
	if q.Member != "" {
		c.and(e + ".id in (" + s.naming(q.Member) + ")")
	}
	if q.About != "" {
		c.and("(" + e + ".diff is not null or " + s.contains(e+".members", q.About) + ")")
	}
	if q.Connection != 0 {
		c.and(e + ".connection = " + s.arg(q.Connection))
	}
	c.compare(e+".action", "=", string(q.Action))
	c.compare(e+".outcome", "=", string(q.Outcome))
	c.compare(e+".reason ->> 'code'", "=", q.Reason)
	c.compare(e+".request ->> 'method'", "=", q.Method)
	c.status("cast("+e+".request ->> 'status' as bigint)", q.Status)
	if q.Slower > 0 {
		c.and(e + ".duration >= " + s.typed(q.Slower.Microseconds(), "bigint"))
	}
	name := "coalesce(" + e + ".resource_folded, " + e + ".resource_name)"
	c.compare(name, "=", scim.FoldFull.Apply(q.Name))
	c.prefix(name, scim.FoldFull.Apply(q.Prefix))
	return c.terms
}

// status adds that a status is the one given, or of the class given.
func (c *conditions) status(column string, status int) {
	switch {
	case status == 0:
	case status < 10:
		c.and(column + " >= " + c.typed(100*status, "bigint") + " and " + column + " < " + c.typed(100*status+100, "bigint"))
	default:
		c.and(column + " = " + c.typed(status, "bigint"))
	}
}

// prefix adds that a column begins with a text, which no wildcard can spoil.
func (c *conditions) prefix(column, text string) {
	switch {
	case text == "":
	case c.postgres:
		c.and("starts_with(" + column + ", " + c.typed(text, "text") + ")")
	default:
		p := c.arg(text)
		c.and("substr(" + column + ", 1, length(" + p + ")) = " + p)
	}
}

// hide joins terms to a condition of which PostgreSQL's planner knows nothing: see walk.
func (s *statement) hide(terms []string) string {
	all := strings.Join(terms, " and ")
	if s.postgres {
		all = "case when " + all + " then true else false end"
	}
	return all
}

// few is a number of rows of which PostgreSQL's planner knows nothing.
func (s *statement) few(n int) string {
	if s.postgres {
		return "(select " + s.number(n) + ")"
	}
	return s.number(n)
}
