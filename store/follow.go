package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"

	"meibo/provisioning"
)

const (
	// followEvery is how long a committed entry waits for its position at most while Run keeps up.
	followEvery = 500 * time.Millisecond
	// followBatch bounds a pass on PostgreSQL, where it delays nobody.
	followBatch = 4096
	// followTurn bounds a pass on SQLite, which has the writer for that long: some milliseconds.
	followTurn = 512
	// followLock is the PostgreSQL advisory lock of whoever follows.
	followLock = 0x6d656a66
)

// Follow gives positions to committed entries that have none, as many as one pass takes, and tells
// how many those were and whether more may wait. It also keeps what is derived of entries and no write shall wait
// for: the hours' activity, and which members an entry mentions.
//
// The positions of a tenant are 1, 2, 3, … without a gap. An entry written after another was
// committed has the greater position; so the entries of a resource are in the order of its versions.
// A position that is there never changes, and no entry comes to stand before it later. Where several
// processes share a database, one follows at a time and the others find nothing to do.
func (s *Store) Follow(ctx context.Context) (n int64, more bool, err error) {
	if s.dialect.postgres {
		n, err = s.followPostgres(ctx)
		return n, n == followBatch, err
	}
	n, err = s.followSQLite(ctx)
	return n, n == followTurn, err
}

// followOn follows at each tick until nothing waits.
func (s *Store) followOn(ctx context.Context, tick <-chan time.Time) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		for more := true; more && ctx.Err() == nil; {
			var err error
			_, more, err = s.Follow(ctx)
			s.report(ctx, err)
		}
	}
}

// followPostgres moves what is visible in pending to position, in one statement.
//
// Nothing is missed or taken twice: the row in pending is written with its entry, is seen when that
// is committed, however late, and goes with the statement that writes the position.
//
// The order: an entry draws its seq after its statement has the resource's row, or began. If A was
// committed before B's statement began or got that row, then A's seq is the smaller one, and A is
// visible to whoever sees B. So a pass that takes the smallest seq it sees takes A with B, and
// before it, or finds that an earlier pass took A.
//
// The lock is won after the statement began, so another pass may have ended in between. What that
// took is gone when this one deletes it, and position_head is read anew by its update: the positions
// go on without gap. What is left for this pass is in order too, since the other saw all that this
// one sees and took what was first.
func (s *Store) followPostgres(ctx context.Context) (int64, error) {
	defer s.occupy()()
	args := []any{followLock, followBatch}
	s.observe(followPostgres, args)
	done := s.reads.WithContext(within(ctx, longSilence)).Exec(followPostgres, args...)
	return done.RowsAffected, translate(ctx, done.Error)
}

const followPostgres = `
with l as materialized (select pg_try_advisory_xact_lock($1) as mine),
d as (delete from pending where ctid = any(array(
	select p.ctid from l, pending p where l.mine order by p.seq limit $2::bigint))
	returning seq, entry),
e as materialized (select d.seq, d.entry, x.*, row_number() over (partition by x.tenant order by d.seq) as i,
		row_number() over (partition by x.tenant order by d.seq desc) as back
	from d cross join lateral (select tenant, at, connection, action, outcome, request, duration, reason, members
		from entry where id = d.entry limit 1) as x),
h as (insert into position_head as h (tenant, position, entry, counted)
	select tenant, i, entry, i from e where back = 1
	on conflict (tenant) do update set position = h.position + excluded.position, entry = excluded.entry, counted = h.counted + excluded.counted
	returning tenant, position),
a as (insert into activity as a (` + activityColumns + `)
	select tenant, date_bin('1 hour', at, timestamptz 'epoch'), connection, action, outcome, coalesce(reason ->> 'code', ''),
		coalesce(request ->> 'method', ''), coalesce(cast(request ->> 'status' as bigint), 0),
		count(*), coalesce(sum(duration), 0), coalesce(max(duration), 0)
	from e group by 1, 2, 3, 4, 5, 6, 7, 8
	on conflict (` + activityKey + `) do update
	set n = a.n + excluded.n, micros = a.micros + excluded.micros, slowest = greatest(a.slowest, excluded.slowest)),
m as (insert into mention (member, entry)
	select ` + mentionPostgres + `, e.entry from e cross join lateral ` + mentionedPostgres + ` as l
	where e.members is not null
	on conflict do nothing)
insert into position (tenant, position, entry)
select e.tenant, h.position - e.back + 1, e.entry from e join h on h.tenant = e.tenant`

// What the lists l of an entry e mention, member by member.
const (
	mentionedPostgres = `(select json_array_elements(e.members -> 'assertedAdd') as one union all select json_array_elements(e.members -> 'assertedRemove')
		union all select json_array_elements(e.members -> 'effectiveAdd') union all select json_array_elements(e.members -> 'effectiveRemove'))`
	mentionPostgres = `coalesce(l.one ->> 'value', l.one #>> '{}')`
	mentionSQLite   = `case one.type when 'object' then one.value ->> 'value' else one.value end`
)

func mentionedSQLite(e string) string {
	return strings.ReplaceAll("json_each(json_array(e.members -> 'assertedAdd', e.members -> 'assertedRemove', e.members -> 'effectiveAdd', e.members -> 'effectiveRemove')) as l"+
		" cross join json_each(l.value) as one", "e.members", e+".members")
}

const (
	activityKey     = "tenant, hour, connection, action, outcome, reason, method, status"
	activityColumns = activityKey + ", n, micros, slowest"
)

// followSQLite gives positions in the order of rows, which is that of commits. It goes on after the
// last entry that has one, and finds that by its id, since a VACUUM may number rows anew.
func (s *Store) followSQLite(ctx context.Context) (n int64, err error) {
	if waits, err := s.behind(ctx); err != nil || !waits {
		return 0, err
	}
	err = s.writer.do(ctx, func(l *lent) error {
		var last int64
		if err := s.ask(ctx, l.db, followFrom, &last); err != nil {
			return err
		}
		if n, err = s.follow(ctx, l, followPositions, last); err != nil {
			return err
		}
		for _, text := range []string{followHeads, followActivity, followMentions} {
			if _, err := s.follow(ctx, l, text, last); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}

// behind reports whether an entry of an SQLite file has no position.
func (s *Store) behind(ctx context.Context) (waits bool, err error) {
	err = s.ask(ctx, s.reads.WithContext(context.WithoutCancel(ctx)),
		"select exists (select 1 from entry where rowid > ("+followFrom+"))", &waits)
	return waits, err
}

// ask scans the one row of a statement without arguments.
func (s *Store) ask(ctx context.Context, db *gorm.DB, text string, dest ...any) error {
	s.observe(text, nil)
	return translate(ctx, db.Raw(text).Row().Scan(dest...))
}

// follow runs one statement of the follower in the writer's transaction.
func (s *Store) follow(ctx context.Context, l *lent, text string, last int64) (int64, error) {
	if hook := s.options.BeforeWrite; hook != nil {
		if err := hook("position"); err != nil {
			return 0, err
		}
	}
	s.observe(text, []any{last})
	done := l.db.Exec(text, last)
	return done.RowsAffected, translate(ctx, done.Error)
}

// followFrom is the row of the last entry that has a position. In SQLite a cross join keeps its order: the heads have no statistics,
// and a table that has some looks smaller.
const followFrom = `select coalesce(max(e.rowid), 0) from position_head h cross join entry e on e.id = h.entry`

var (
	// followNext are the first entries after that.
	followNext = followNextOf("tenant, id")

	followPositions = `
insert into position (tenant, position, entry)
select w.tenant, coalesce(h.position, 0) + row_number() over (partition by w.tenant order by w.row), w.id
from ` + followNext + ` left join position_head h on h.tenant = w.tenant`

	followHeads = `
insert into position_head (tenant, position, entry, counted)
select tenant, n, id, n from (select w.tenant, count(*) as n, w.id, max(w.row) from ` + followNext + ` group by w.tenant) as t where true
on conflict (tenant) do update set position = position + excluded.position, entry = excluded.entry, counted = counted + excluded.counted`

	followActivity = `
insert into activity (` + activityColumns + `)
select tenant, at - at % 3600000000, connection, action, outcome, coalesce(reason ->> 'code', ''), coalesce(request ->> 'method', ''),
	coalesce(request ->> 'status', 0), count(*), coalesce(sum(duration), 0), coalesce(max(duration), 0)
from ` + followNextOf("tenant, at, connection, action, outcome, request, duration, reason") + ` where true group by 1, 2, 3, 4, 5, 6, 7, 8
on conflict (` + activityKey + `) do update
set n = n + excluded.n, micros = micros + excluded.micros, slowest = max(slowest, excluded.slowest)`

	followMentions = `
insert into mention (member, entry)
select ` + mentionSQLite + `, w.id from ` + followNextOf("id, members") + ` cross join ` + mentionedSQLite("w") + `
where w.members is not null and l.type = 'array'
on conflict do nothing`
)

// followNextOf are some columns of those entries, and their rows.
func followNextOf(columns string) string {
	return fmt.Sprintf("(select rowid as row, %s from entry where rowid > $1 order by rowid limit %d) as w", columns, followTurn)
}

// positioned are the entries of a tenant behind a position, with their places and the last one that is given.
func (d dialect) positioned() string {
	return "select (" + headOf + "), p.position, " + entryColumnsOf("e") + " from position p " + d.entryAt() +
		" where p.tenant = $1 and p.position > $2 order by p.position"
}

// headOf is the last position of a tenant.
const headOf = `select h.position from position_head h where h.tenant = $1`

// Changes implements provisioning.Reader. No entry can come to stand before one that was read: see Follow.
func (x *session) Changes(after int64, limit int) (entries []provisioning.PositionedEntry, head int64, err error) {
	s := statement{dialect: x.dialect, args: []any{x.tenant, after}}
	s.add(x.positioned(), " limit ")
	if x.postgres {
		s.add("(select ", s.number(limit), ")") // see walk
	} else {
		s.add(s.number(limit))
	}
	err = x.query(s.String(), s.args, func(rows *sql.Rows) error {
		var p provisioning.PositionedEntry
		var err error
		p.Entry, err = scanEntry(rows, &head, &p.Position)
		entries = append(entries, p)
		return err
	})
	if err == nil && len(entries) == 0 {
		_, err = x.row(headOf, []any{x.tenant}, &head)
	}
	return entries, head, err
}

// Acts implements provisioning.Reader. Head is read first: no entry can come to stand before it later.
func (x *session) Acts(after, upto int64) (acts []provisioning.PositionedEntry, head int64, err error) {
	if _, err := x.row(headOf, []any{x.tenant}, &head); err != nil {
		return nil, head, err
	}
	text := "select p.position, " + entryColumnsOf("e") + " from position p " + x.entryAt() +
		" where p.tenant = $1 and p.position > $2 and p.position <= $3 and (e.action = 'other' or e.actor not like 'token %') order by p.position"
	err = x.query(text, []any{x.tenant, after, min(upto, head)}, func(rows *sql.Rows) error {
		var p provisioning.PositionedEntry
		var err error
		p.Entry, err = scanEntry(rows, &p.Position)
		acts = append(acts, p)
		return err
	})
	return acts, head, err
}

// entryAt joins the entry of a position p as e.
func (d dialect) entryAt() string {
	if d.postgres {
		return "cross join lateral (select * from entry where id = p.entry limit 1) as e"
	}
	return "cross join entry as e on e.id = p.entry" // in SQLite a cross join keeps its order
}

// Lag is how far the journal's positions are behind its entries.
type Lag struct {
	Waiting int64     // entries without a position
	Oldest  time.Time // when the one that waits longest was written; zero if none waits
}

// FollowerLag tells how far the follower is behind, without reading the journal through: a tenth of
// a millisecond while the follower keeps up, and not much more on a database that has fallen behind.
// Unavailable if the database does not answer.
func (s *Store) FollowerLag(ctx context.Context) (lag Lag, err error) {
	defer s.occupy()()
	text := lagSQLite
	if s.dialect.postgres {
		text = lagPostgres
	}
	var oldest instant
	err = s.ask(ctx, s.reads.WithContext(within(ctx, longSilence)), text, &lag.Waiting, &oldest)
	lag.Oldest = oldest.Time
	return lag, err
}

const lagPostgres = `
select count(*), (select e.at from entry e where e.id = (select p.entry from pending p order by p.seq limit 1)) from pending`

// Rows of entry are numbered without gaps, but for those that retention may make.
const lagSQLite = `
with w as materialized (select coalesce((` + followFrom + `), 0) as last)
select coalesce((select max(rowid) from entry), 0) - w.last, (select at from entry where rowid > w.last order by rowid limit 1) from w`
