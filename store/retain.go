package store

import (
	"context"
	"strconv"
	"time"

	"meibo/provisioning"
)

// Horizon implements provisioning.Reader.
func (x *session) Horizon() (h provisioning.Horizon, err error) {
	var cut, done instant
	_, err = x.row("select cut, done, position from horizon where tenant = $1", []any{x.tenant}, &cut, &done, &h.Position)
	h.Cut, h.Done = cut.Time, done.Time
	return h, err
}

// journalSteps are the plan of one change to what is kept of the journal.
func (x *session) journalSteps(c provisioning.JournalChange) ([]step, error) {
	s := step{name: "entry", statement: statement{dialect: x.dialect}}
	switch {
	case c.Rewrite != nil:
		s.missed = errOvertaken
		err := s.rewriteEntry(x.tenant, c.Rewrite)
		if d := &c.Rewrite.Was.Members; len(d.AssertedAdd)+len(d.AssertedRemove)+len(d.EffectiveAdd)+len(d.EffectiveRemove) > 0 {
			return []step{x.mentionStep([]string{c.Rewrite.Was.ID}), s}, err
		}
		return []step{s}, err
	case len(c.Drop) > 0:
		s.dropEntries(x.tenant, c.Drop)
		return []step{x.mentionStep(c.Drop), s}, nil // what an entry mentions it tells itself
	case c.Nameless != "":
		s.name = "member"
		s.add("update member set display = null where display is not null and (", s.openMember("member"), " = ", s.arg(c.Nameless),
			" or valid_to is not null and member = ", s.arg(c.Nameless), ") and (select g.tenant from resource as g where g.id = grp) = ", s.arg(x.tenant))
	case c.Horizon != nil:
		s.name = "horizon"
		s.add("insert into horizon (tenant, cut, done, position) values (", s.typed(x.tenant, "text"), ", ", s.typed(x.time(c.Horizon.Cut), "timestamptz"), ", ",
			s.typed(x.time(c.Horizon.Done), "timestamptz"), ", ", s.typed(c.Horizon.Position, "bigint"), ") on conflict (tenant) do update set ",
			"cut = excluded.cut, done = excluded.done, position = excluded.position where horizon.cut <= excluded.cut and horizon.position <= excluded.position")
	}
	return []step{s}, nil
}

// rewriteEntry puts an entry in the place of another, which must be what it was when it was read.
func (s *statement) rewriteEntry(tenant string, r *provisioning.EntryRewrite) error {
	s.add("update entry set (", entryColumns, ") = (select ")
	if err := s.entryValues(tenant, &r.Is); err != nil {
		return err
	}
	// The id alone finds it: no other index is to serve.
	s.add(") where id = ", s.arg(r.Was.ID), " and tenant || '' = ", s.arg(tenant), " and at = ", s.arg(s.time(r.Was.At)),
		" and resource_name || '' = ", s.arg(r.Was.ResourceName))
	return nil
}

// dropEntries deletes entries but for the one that the follower goes on from.
func (s *statement) dropEntries(tenant string, ids []string) {
	list := s.elements(s.arg(s.list(ids)), "x")
	if s.postgres { // one look-up each, see probe
		s.add("delete from entry where ctid = any(array(select e.ctid from ", list, " cross join lateral (select ctid from entry where id = x.id limit 1) as e))")
	} else {
		s.add("delete from entry where id in (select x.id from ", list, ")")
	}
	owner := s.arg(tenant)
	s.add(" and tenant || '' = ", owner, " and id <> coalesce((select entry from position_head where tenant = ", owner, "), '')")
}

// mentionStep forgets whom entries mention that go.
func (x *session) mentionStep(ids []string) step {
	s := step{name: "mention", statement: statement{dialect: x.dialect}}
	list := s.elements(s.arg(s.list(ids)), "x")
	if s.postgres { // one look-up each, see probe
		s.add("delete from mention where ctid = any(array(select m.ctid from ", list, " ", s.entryByID("x.id"), " cross join lateral ", mentionedPostgres, " as l ",
			"cross join lateral (select ctid from mention where member = ", mentionPostgres, " and entry = e.id limit 1) as m where e.members is not null and ", s.own("e", x.tenant), "))")
	} else {
		s.add("delete from mention where (member, entry) in (select ", mentionSQLite, ", e.id from ", list, " ", s.entryByID("x.id"),
			" cross join ", mentionedSQLite("e"), " where e.members is not null and l.type = 'array' and ", s.own("e", x.tenant), ")")
	}
	return s
}

// Wipe implements provisioning.Store. SQLite overwrites what is deleted, and here empties the log of its writes. PostgreSQL
// does neither at once.
func (s *Store) Wipe(ctx context.Context) error {
	if s.dialect.postgres {
		return nil
	}
	return translate(ctx, s.writes.WithContext(context.WithoutCancel(ctx)).Exec("pragma wal_checkpoint(truncate)").Error)
}

// DropMemberships implements provisioning.Store.
func (s *Store) DropMemberships(ctx context.Context, tenant string, before time.Time, limit int) (int, error) {
	return s.dropSome(ctx, "member", "rowid", "from member as m where valid_to is not null and valid_to < $1 and "+
		"(select g.tenant from resource as g where g.id = m.grp) = $2 order by valid_to", limit, s.dialect.time(before), tenant)
}

// DropPositions implements provisioning.Store. The head's stays.
func (s *Store) DropPositions(ctx context.Context, tenant string, upTo int64, limit int) (int, error) {
	return s.dropSome(ctx, "position", "tenant, position", "from position as p where tenant = $1 and position > 0 and position <= $2 order by position", limit, tenant, upTo)
}

// DropActivity implements provisioning.Store. Both ends, as ofHours has them.
func (s *Store) DropActivity(ctx context.Context, tenant string, before time.Time, limit int) (int, error) {
	return s.dropSome(ctx, "activity", activityKey, "from activity where tenant = $1 and hour >= $2 and hour <= $3 order by hour", limit,
		tenant, s.dialect.time(time.UnixMicro(0)), s.dialect.time(before.Add(-time.Hour)))
}

// dropSome deletes the first rows of a table that a text selects, in a unit of work of its own; key finds a row on SQLite.
func (s *Store) dropSome(ctx context.Context, table, key, selected string, limit int, args ...any) (int, error) {
	x := s.session(ctx, "", s.reads)
	if s.dialect.postgres {
		n, err := x.exec(table, "delete from "+table+" where ctid = any(array(select ctid "+selected+" limit (select "+strconv.Itoa(limit)+")))", args...)
		return int(n), err
	}
	var some int
	if found, err := x.row("select 1 "+selected+" limit 1", args, &some); err != nil || !found { // and spare the writer
		return 0, err
	}
	var n int64
	err := s.writer.do(ctx, func(l *lent) (err error) {
		x := s.session(ctx, "", l.db)
		x.transaction = true
		n, err = x.exec(table, "delete from "+table+" as d where ("+key+") in (select "+key+" "+selected+" limit "+strconv.Itoa(limit)+")", args...)
		return err
	})
	return int(n), err
}
