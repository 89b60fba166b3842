package store

import (
	"database/sql"
	"encoding/json"
	"strings"

	"meibo/provisioning"
)

const matterColumns = `m.id, m.connection, m.kind, m.cause, m.resource, m.type, m.name, m.key, m.reason, m.then_policy, m.candidates, m.asserted, ` +
	`m.members, m.opened, m.entry, m.seen, m.times, m.status, m.until, m.closed_at, m.closed_by, m.proposed, m.version, ` +
	`m.asks, m.asked_at, m.ask_failure, m.counts`

// matterRow scans matterColumns; all of them may be null, where a join found none.
type matterRow struct {
	provisioning.Matter
	connection, times, version, asks              sql.Null[int64]
	opened, seen, until, closedAt, askedAt        instant
	reason, candidates, asserted, members, counts document
}

func (r *matterRow) dest(before ...any) []any {
	return append(before, text{&r.ID}, &r.connection, text{(*string)(&r.Kind)}, text{&r.Cause}, text{&r.Resource}, text{(*string)(&r.Type)},
		text{&r.Name}, text{&r.Key}, &r.reason, text{(*string)(&r.Then)}, &r.candidates, &r.asserted,
		&r.members, &r.opened, text{&r.Entry}, &r.seen, &r.times, text{(*string)(&r.Status)}, &r.until, &r.closedAt,
		text{&r.ClosedBy}, text{&r.Proposed}, &r.version, &r.asks, &r.askedAt, text{&r.Impact.Failure}, &r.counts)
}

func (r *matterRow) matter() (provisioning.Matter, error) {
	m := &r.Matter
	m.Connection, m.Version, m.Times = r.connection.V, r.version.V, int(r.times.V)
	m.Opened, m.Seen, m.Until, m.ClosedAt = r.opened.Time, r.seen.Time, r.until.Time, r.closedAt.Time
	m.Asserted = r.asserted
	m.Impact.Asks, m.Impact.AskedAt = int(r.asks.V), r.askedAt.Time
	err := firstError(decode(r.reason, &m.Reason), decode(r.candidates, &m.Candidates), decode(r.members, &m.Members), decode(r.counts, &m.Impact.Counts))
	return *m, err
}

// Matters implements provisioning.Reader.
func (x *session) Matters(q provisioning.MatterQuery, fn func(provisioning.Matter) error) error {
	if !storable(q.ID + q.Resource + q.Before) {
		return nil
	}
	s := statement{dialect: x.dialect}
	s.matterQuery(x.tenant, q)
	return x.query(s.String(), s.args, func(rows *sql.Rows) error {
		var r matterRow
		if err := rows.Scan(r.dest()...); err != nil {
			return err
		}
		m, err := r.matter()
		if err != nil {
			return err
		}
		return fn(m)
	})
}

// matterWaiting is what the index matter_waiting holds.
const matterWaiting = `(case when m.status = 'open' then m.tenant || '/' || m.id end)`

func (s *statement) matterQuery(tenant string, q provisioning.MatterQuery) {
	s.add("select ", matterColumns, " from matter m where ")
	c := conditions{statement: s}
	order := "m.id"
	switch {
	case q.ID != "":
		s.add("m.id = ", s.arg(q.ID))
		c.compare("m.tenant", "=", tenant)
	case q.Resource != "":
		s.add("m.resource = ", s.arg(q.Resource))
		c.compare("m.tenant", "=", tenant)
		c.compare("m.id", "<", q.Before)
	case q.Status == provisioning.MatterOpen:
		order = matterWaiting
		s.add(s.within(order, tenant, "", q.Before))
	default:
		order = tenantID("m")
		s.add(s.within(order, tenant, "", q.Before))
	}
	c.compare("m.kind", "=", string(q.Kind))
	c.compare("m.status", "=", string(q.Status))
	if q.Connection != 0 {
		c.and("m.connection = " + s.arg(q.Connection))
	}
	c.walk(order+" desc", q.Limit)
}

// matterStep is the plan of one change of a matter.
func (x *session) matterStep(c provisioning.MatterChange) (step, error) {
	s := step{name: "matter", statement: statement{dialect: x.dialect}}
	switch {
	case c.Open != nil:
		return s, s.openMatter(x.tenant, c.Open)
	case c.Update != nil:
		s.missed = errOvertaken
		s.updateMatter(x.tenant, c.Update)
	case c.Erase != nil:
		return s, s.eraseMatter(x.tenant, c.Erase)
	case c.Settle != nil && len(c.Settle.Kinds) > 0:
		s.settleMatters(x.tenant, c.Settle)
	case c.Answer != nil:
		return s, s.answerMatter(x.tenant, c.Answer)
	case c.Ask != nil:
		s.missed = errOvertaken
		return s, s.askAbout(x.tenant, c.Ask)
	}
	return s, nil
}

// openMatter opens a matter, or notes on the one that is open by its key that it was asked for again.
func (s *statement) openMatter(tenant string, m *provisioning.Matter) error {
	var reason, candidates, members []byte
	var err error
	put := func(to *[]byte, present bool, v any) {
		if present && err == nil {
			*to, err = json.Marshal(v)
		}
	}
	put(&reason, true, m.Reason)
	put(&candidates, len(m.Candidates) > 0, m.Candidates)
	put(&members, len(m.Members) > 0, m.Members)
	if err != nil {
		return err
	}
	s.add("insert into matter (id, tenant, connection, kind, cause, resource, type, name, key, open_key, reason, then_policy, candidates, asserted, ",
		"members, opened, entry, seen, times, status, until, closed_by, proposed, version) values (")
	text := func(v any) string { return s.typed(v, "text") }
	for i, value := range []string{
		text(m.ID), text(tenant), s.typed(m.Connection, "bigint"), text(string(m.Kind)), text(m.Cause), text(m.Resource), text(string(m.Type)),
		text(m.Name), text(m.Key), text(openKey(tenant, m.Connection, m.Key)), s.json(reason), text(string(m.Then)), s.json(candidates), s.json(m.Asserted),
		s.json(members), s.typed(s.time(m.Opened), "timestamptz"), text(m.Entry), s.typed(s.time(m.Seen), "timestamptz"), s.typed(m.Times, "bigint"),
		text(string(provisioning.MatterOpen)), s.typed(s.time(m.Until), "timestamptz"), text(""), text(m.Proposed), s.typed(m.Version, "bigint"),
	} {
		if i > 0 {
			s.add(", ")
		}
		s.add(value)
	}
	s.add(") on conflict (open_key) do update set times = matter.times + 1, seen = excluded.seen")
	return nil
}

// updateMatter writes what a person or the core decided about a matter that was read at its version.
func (s *statement) updateMatter(tenant string, m *provisioning.Matter) {
	var open any // null where it is closed
	if m.Status == provisioning.MatterOpen {
		open = openKey(tenant, m.Connection, m.Key)
	}
	s.add("update matter set status = ", s.arg(string(m.Status)), ", open_key = ", s.typed(open, "text"),
		", until = ", s.typed(s.time(m.Until), "timestamptz"), ", closed_at = ", s.typed(s.time(m.ClosedAt), "timestamptz"),
		", closed_by = ", s.arg(m.ClosedBy), ", proposed = ", s.arg(m.Proposed), ", resource = ", s.arg(m.Resource), ", version = version + 1",
		" where id = ", s.arg(m.ID), " and tenant = ", s.arg(tenant), " and version = ", s.arg(m.Version))
}

// askAbout notes a question to the host application. Only who asks is overtaken by another who does.
func (s *statement) askAbout(tenant string, c *provisioning.AskChange) error {
	var counts []byte
	if c.Impact.Counts != nil {
		var err error
		if counts, err = json.Marshal(c.Impact.Counts); err != nil {
			return err
		}
	}
	s.add("update matter set asks = ", s.arg(c.Impact.Asks), ", asked_at = ", s.typed(s.time(c.Impact.AskedAt), "timestamptz"),
		", ask_failure = ", s.arg(c.Impact.Failure), ", counts = ", s.json(counts),
		" where id = ", s.arg(c.ID), " and tenant = ", s.arg(tenant), " and status = 'open' and asks = ", s.arg(c.Was))
	return nil
}

// settleMatters closes what a client's newer assertion has answered.
func (s *statement) settleMatters(tenant string, m *provisioning.MatterSettlement) {
	kinds := make([]string, len(m.Kinds))
	for i, k := range m.Kinds {
		kinds[i] = s.arg(string(k))
	}
	which := "status = 'open' and kind in (" + strings.Join(kinds, ", ") + ")"
	if m.Rejected {
		which = "(" + which + " or status = 'rejected' and kind = 'delayed' and cause <> 'members')"
	}
	s.add("update matter set status = 'obsolete', open_key = null, closed_at = ", s.typed(s.time(m.At), "timestamptz"), ", closed_by = ", s.arg(m.By),
		", version = version + 1 where resource = ", s.arg(m.Resource), " and resource <> '' and connection = ", s.arg(m.Connection),
		" and tenant = ", s.arg(tenant), " and ", which)
	if m.Except != "" {
		s.add(" and key <> ", s.arg(m.Except))
	}
	if m.Only != "" {
		s.add(" and key = ", s.arg(m.Only))
	}
}

// answerMatter notes whom a rejected removal of members is still about.
func (s *statement) answerMatter(tenant string, a *provisioning.MatterAnswer) error {
	members, err := json.Marshal(a.Left)
	if s.add("update matter set version = version + 1, "); len(a.Left) > 0 {
		s.add("members = ", s.json(members))
	} else {
		s.add("until = ", s.typed(s.time(a.At), "timestamptz"))
	}
	s.add(" where id = ", s.arg(a.ID), " and tenant = ", s.arg(tenant), " and status = 'rejected'")
	return err
}

// eraseMatter takes the values of whom it is about from a matter, and closes it.
func (s *statement) eraseMatter(tenant string, m *provisioning.Matter) error {
	reason, err := json.Marshal(m.Reason)
	s.add("update matter set name = '', asserted = null, key = ", s.arg(m.Key), ", open_key = null, reason = ", s.json(reason), ", status = ", s.arg(string(m.Status)),
		", closed_at = ", s.typed(s.time(m.ClosedAt), "timestamptz"), ", closed_by = ", s.arg(m.ClosedBy), ", version = version + 1 where id = ", s.arg(m.ID), " and tenant = ", s.arg(tenant))
	return err
}
