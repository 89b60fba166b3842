package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"strconv"
	"time"

	"meibo/provisioning"
)

const (
	// sealEvery is how long a position waits for its seal at most while Run keeps up.
	sealEvery = 5 * time.Second
	// looseSilence is how long PostgreSQL may take to compare all entries with all positions: some two seconds a million.
	looseSilence = 2 * time.Minute
	// sealLock is the PostgreSQL advisory lock of whoever seals.
	sealLock = 0x6d656973
)

// Seal makes the next seal of each tenant that has positions without one, and tells how many positions those cover and whether
// more may wait. Where several processes share a database, one seals at a time and the others find nothing to do.
//
// A seal is written whole or not at all, and its key has the position that it begins at: so whatever a killed process leaves,
// the chain goes on behind the last seal that is there.
func (s *Store) Seal(ctx context.Context, now time.Time) (n int64, more bool, err error) {
	tenants, err := s.unsealed(ctx)
	if err == nil {
		err = s.forgetSeals(ctx)
	}
	for _, tenant := range tenants {
		if err != nil {
			break
		}
		var sealed int64
		sealed, err = s.sealNext(ctx, tenant, now)
		n += sealed
		more = more || sealed == provisioning.MaxSealed
	}
	return n, more, err
}

// sealOn seals at each tick until nothing waits.
func (s *Store) sealOn(ctx context.Context, tick <-chan time.Time) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		for more := true; more && ctx.Err() == nil; {
			var err error
			_, more, err = s.Seal(ctx, time.Now())
			s.report(ctx, err)
		}
	}
}

// unsealed are the tenants that have positions without a seal.
func (s *Store) unsealed(ctx context.Context) (tenants []string, err error) {
	err = s.session(ctx, "", s.reads).query(unsealed, nil, func(rows *sql.Rows) error {
		var tenant string
		err := rows.Scan(&tenant)
		tenants = append(tenants, tenant)
		return err
	})
	return tenants, err
}

const unsealed = `
select h.tenant from position_head h
where h.position > coalesce((select s.upto from seal s where s.tenant = h.tenant order by s.first desc limit 1), 0) order by h.tenant`

// forgetSeals lets seals and traces go whose entries are purged, but for the last of these: it stands for all before it. Of each
// tenant it takes some at a time.
func (s *Store) forgetSeals(ctx context.Context) error {
	var all []forgotten
	err := s.session(ctx, "", s.reads).query(forgettable, nil, func(rows *sql.Rows) error {
		var f forgotten
		err := rows.Scan(&f.tenant, &f.before)
		all = append(all, f)
		return err
	})
	for _, f := range all { // in one order of tenants and tables: others may be at it
		if err == nil {
			err = s.forget(ctx, f)
		}
	}
	return err
}

// forgotten are the seals of a tenant that begin before a position, and the traces of what they cover.
type forgotten struct {
	tenant string
	before int64
}

// forgettable are the tenants that have some, with the last seal whose entries are all purged.
const forgettable = `
select f.tenant, f.last from (select h.tenant,
		(select s.first from seal s where s.tenant = h.tenant and s.first <= h.position and s.upto <= h.position order by s.first desc limit 1) as last,
		(select s.first from seal s where s.tenant = h.tenant order by s.first limit 1) as oldest
	from horizon h where h.position > 0) as f
where f.oldest < f.last order by f.tenant`

// forgetStride bounds how many seals are forgotten in one unit of work.
const forgetStride = 200

func (s *Store) forget(ctx context.Context, f forgotten) error {
	forget := func(x *session) error {
		var some int64
		found, err := x.row("select first from seal where tenant = $1 and first < $2 order by first limit 1 offset "+strconv.Itoa(forgetStride), []any{f.tenant, f.before}, &some)
		if found {
			f.before = some
		}
		if err == nil {
			_, err = x.exec("seal", "delete from seal where tenant = $1 and first < $2", f.tenant, f.before)
		}
		if err == nil {
			_, err = x.exec("trace", "delete from trace where tenant = $1 and position < $2", f.tenant, f.before)
		}
		return err
	}
	if s.dialect.postgres {
		x := s.session(ctx, f.tenant, s.reads)
		return x.inTransaction(func() error { return forget(x) })
	}
	return s.writer.do(ctx, func(l *lent) error {
		w := s.session(ctx, f.tenant, l.db)
		w.transaction = true
		return forget(w)
	})
}

// sealNext seals the next positions of a tenant and tells how many those are; none where somebody else is at it.
func (s *Store) sealNext(ctx context.Context, tenant string, now time.Time) (n int64, err error) {
	x := s.session(ctx, tenant, s.reads)
	if !s.dialect.postgres {
		seal, erasures, err := x.nextSeal(now)
		if seal == nil || err != nil {
			return 0, err
		}
		err = s.writer.do(ctx, func(l *lent) (err error) {
			w := s.session(ctx, tenant, l.db)
			w.transaction = true
			n, err = w.keepSeal(seal, erasures)
			return err
		})
		return n, err
	}
	err = x.inTransaction(func() error {
		var mine bool
		if _, err := x.row("select pg_try_advisory_xact_lock($1)", []any{sealLock}, &mine); err != nil || !mine {
			return err
		}
		seal, erasures, err := x.nextSeal(now)
		if seal != nil && err == nil {
			n, err = x.keepSeal(seal, erasures)
		}
		return err
	})
	return n, err
}

// nextSeal is the seal of the positions behind the last one, and how many erasures there were before it read them; nil for none.
func (x *session) nextSeal(now time.Time) (seal *provisioning.Seal, erasures int64, err error) {
	if _, err := x.row("select erasures from chain where tenant = $1", []any{x.tenant}, &erasures); err != nil {
		return nil, 0, err
	}
	horizon, err := x.Horizon()
	if err != nil {
		return nil, 0, err
	}
	var last, head int64
	var before []byte
	_, err = x.row("select upto, digest from seal where tenant = $1 order by first desc limit 1", []any{x.tenant}, &last, &before)
	if err == nil {
		_, err = x.row(headOf, []any{x.tenant}, &head)
	}
	first := max(last, horizon.Position) + 1 // where a purge was faster, it goes on behind that
	upto := min(head, first+provisioning.MaxSealed-1)
	if err != nil || upto < first {
		return nil, 0, err
	}
	salts := make([]byte, (upto-first+1)*provisioning.SaltSize)
	_, _ = rand.Read(salts) // never fails
	seal = provisioning.NewSeal(first, upto, now.UTC().Truncate(time.Microsecond), salts)
	err = x.Chained(first, upto, func(e provisioning.ChainedEntry) error {
		seal.Add(x.tenant, &e)
		return nil
	})
	seal.Digest = seal.Link(x.tenant, digestOf(before))
	return seal, erasures, err
}

// keepSeal writes a seal, unless one that begins there is there already, or something was erased since it was read.
func (x *session) keepSeal(seal *provisioning.Seal, erasures int64) (positions int64, err error) {
	// The row is locked until the commit. An erasure that comes later finds the seal; one that came before counts.
	if err := x.countErasures(0); err != nil {
		return 0, err
	}
	s := statement{dialect: x.dialect}
	s.add("insert into seal (", sealColumns, ", tenant) select ")
	for _, v := range []struct {
		value  any
		pgType string
	}{{seal.First, "bigint"}, {seal.Upto, "bigint"}, {x.time(seal.At), "timestamptz"}, {x.time(seal.Oldest), "timestamptz"}, {x.time(seal.Newest), "timestamptz"},
		{seal.Digest[:], "bytea"}, {seal.Leaves, "bytea"}, {seal.Salts, "bytea"}} {
		s.add(s.typed(v.value, v.pgType), ", ")
	}
	s.add("tenant from chain where tenant = ", s.arg(x.tenant), " and erasures = ", s.arg(erasures), " on conflict (tenant, first) do nothing")
	n, err := x.exec("seal", s.String(), s.args...)
	if n == 0 || err != nil {
		return 0, err
	}
	return seal.Upto - seal.First + 1, nil
}

const sealColumns = "first, upto, at, oldest, newest, digest, leaves, salts"

// countErasures adds to the erasures of the tenant and locks their number until the end of the transaction.
func (x *session) countErasures(n int64) error {
	_, err := x.exec("chain", "insert into chain (tenant, erasures) values ($1, $2) on conflict (tenant) do update set erasures = chain.erasures + excluded.erasures", x.tenant, n)
	return err
}

// digestOf is a digest as it is stored; the zero one for what is none.
func digestOf(stored []byte) (d provisioning.Digest) {
	if len(stored) == len(d) {
		copy(d[:], stored)
	}
	return d
}

// Chain implements provisioning.Reader.
func (x *session) Chain(after int64, limit int) (page provisioning.ChainPage, err error) {
	if _, err := x.row(headOf, []any{x.tenant}, &page.Head); err != nil {
		return page, err
	}
	s := statement{dialect: x.dialect}
	s.add("select ", sealColumns, " from seal where tenant = ", s.arg(x.tenant), " and first > ", s.arg(after), " order by first limit ", s.number(limit))
	err = x.query(s.String(), s.args, func(rows *sql.Rows) error {
		var seal provisioning.Seal
		var at, oldest, newest instant
		var digest []byte
		err := rows.Scan(&seal.First, &seal.Upto, &at, &oldest, &newest, &digest, &seal.Leaves, &seal.Salts)
		seal.At, seal.Oldest, seal.Newest, seal.Digest = at.Time, oldest.Time, newest.Time, digestOf(digest)
		page.Seals = append(page.Seals, seal)
		return err
	})
	return page, err
}

// Chained implements provisioning.Reader.
func (x *session) Chained(first, upto int64, fn func(provisioning.ChainedEntry) error) error {
	return x.queryIn(x.long(), x.chained(), []any{x.tenant, first, upto}, func(rows *sql.Rows) error {
		var e provisioning.ChainedEntry
		var r entryRow
		var parts document
		var rest []byte
		err := rows.Scan(append([]any{&e.Position, &r.e.ID, &parts, &rest}, r.columns()...)...)
		if err == nil {
			e.Row = r.digest()
			e.Entry, err = r.entry()
		}
		e.Damaged = firstError(err, decode(parts, &e.Traces)) != nil || r.tenant != x.tenant || parts != nil && r.rest(parts) != digestOf(rest)
		if e.Entry.ID == "" {
			e.Entry.ID = r.e.ID
		}
		return fn(e)
	})
}

// chained are the entries of some positions of a tenant, with what erasures left of them.
func (d dialect) chained() string {
	return "select p.position, p.entry, t.parts, t.rest, " + entryColumnsOf("e") + " from position p " + d.rowAt() + " " +
		d.probe("parts, rest", "trace", "i", "i.tenant = p.tenant and i.position = p.position", "t") +
		" where p.tenant = $1 and p.position between $2 and $3 order by p.position"
}

// rowAt is entryAt with all columns as the table has them: SQLite takes one by which it finds a row from the index, and an id
// that was altered in the row alone would go unnoticed.
func (d dialect) rowAt() string {
	if d.postgres {
		return d.entryAt()
	}
	return "cross join entry as k on k.id = p.entry cross join entry as e on e.rowid = k.rowid"
}

// digest is that of all columns, as they are stored.
func (r *entryRow) digest() provisioning.Digest {
	var b []byte
	number := func(n int64) { b = binary.BigEndian.AppendUint64(b, uint64(n)) }
	text := func(present bool, s string) {
		if !present {
			number(-1)
			return
		}
		number(int64(len(s)))
		b = append(b, s...)
	}
	e := &r.e
	for _, s := range []string{e.ID, r.tenant, e.ConnectionName, e.Actor, e.Correlation, string(e.Action), string(e.Outcome),
		e.ResourceID, string(e.ResourceType), e.ResourceName, e.MatchedBy} {
		text(true, s)
	}
	text(r.folded.Valid, r.folded.String)
	for _, d := range []document{r.request, r.diff, r.members, r.reason, r.failure} {
		text(d != nil, string(d))
	}
	text(r.duration.Valid, strconv.FormatInt(r.duration.Int64, 10))
	for _, n := range []int64{r.at.UnixMicro(), e.Connection, e.Version, e.SettingsVersion} {
		number(n)
	}
	return sha256.Sum256(b)
}

// rest is the digest of what an erasure left: the row and the traces, byte by byte. The leaf has what they mean and this how they
// are written, so that no change of either goes unnoticed.
func (r *entryRow) rest(parts []byte) provisioning.Digest {
	row := r.digest()
	return sha256.Sum256(append(row[:], parts...))
}

// LooseEntry implements provisioning.Reader. SQLite counts first: sets of millions would go through its temporary files.
func (x *session) LooseEntry(since time.Time) (id string, err error) {
	if !x.postgres {
		if some, err := x.hasLoose(since); err != nil || !some {
			return "", err
		}
	}
	return x.loose(since)
}

// waiting are the entries that get their position yet.
func (d dialect) waiting() string {
	if d.postgres {
		return "select w.entry as entry from pending w"
	}
	return "select w.id as entry from entry w where w.tenant = $1 and w.rowid > (" + followFrom + ")"
}

// looseOf selects what LooseEntry is about, of the entries called e.
func (x *session) looseOf(since time.Time) (condition string, args []any) {
	if since.IsZero() {
		return "e.tenant = $1", []any{x.tenant}
	}
	return "e.tenant = $1 and e.at >= $2", []any{x.tenant, x.time(since)}
}

// hasLoose counts the entries on SQLite, and those that have a position or get one yet, which it looks up one by one.
func (x *session) hasLoose(since time.Time) (some bool, err error) {
	of, args := x.looseOf(since)
	count := func(entries string) string {
		return "(select count(*) from (" + entries + ") as w cross join entry e where e.id = w.entry and " + of + ")"
	}
	_, err = x.row("select (select count(*) from entry e where "+of+") <> "+
		count("select p.entry as entry from position p where p.tenant = $1")+" + "+count(x.waiting()), args, &some)
	return some, err
}

// loose finds the first entry, by id, that has no position and gets none. There is no index of positions by entry: as a difference of
// sets both are read once, whatever the database knows of their sizes.
func (x *session) loose(since time.Time) (id string, err error) {
	of, args := x.looseOf(since)
	_, err = x.rowIn(within(x.ctx, looseSilence), "select l.id from (select e.id as id from entry e where "+of+" except select p.entry as id from position p where p.tenant = $1 except "+
		x.waiting()+") as l order by l.id limit 1", args, &id)
	return id, err
}

// erase takes out of entries what they hold of some users and groups, and has traces stand for it where they are sealed.
func (x *session) erase(all []provisioning.Erasure) error {
	if len(all) == 0 {
		return nil
	}
	if err := x.countErasures(1); err != nil { // first: see keepSeal
		return err
	}
	for _, e := range all {
		if err := x.eraseOne(e); err != nil {
			return err
		}
	}
	return nil
}

func (x *session) eraseOne(erasure provisioning.Erasure) error {
	var r entryRow
	if found, err := x.entryRow(erasure.Entry, &r); err != nil || !found {
		return err
	}
	e := provisioning.ChainedEntry{Row: r.digest()}
	var err error
	if e.Entry, err = r.entry(); err != nil {
		return err
	}
	seal, err := x.sealOf(&e)
	if err != nil {
		return err
	}
	var salt []byte
	if seal != nil {
		salt = seal.Salt(e.Position)
	}
	bones, traces, some := e.Erase(salt, erasure.Of...)
	if !some {
		return nil
	}
	if err := x.rewrite(&bones); err != nil || seal == nil {
		return err
	}
	clear(salt)
	return x.keepTraces(seal, &e, traces)
}

// entryRow reads the row of an entry.
func (x *session) entryRow(id string, r *entryRow) (found bool, err error) {
	return x.row("select "+entryColumns+" from entry where id = $1 and tenant = $2", []any{id, x.tenant}, r.columns()...)
}

// sealOf finds the seal that covers an entry, and gives the entry its position and traces; nil for none.
func (x *session) sealOf(e *provisioning.ChainedEntry) (*provisioning.Seal, error) {
	var seals []provisioning.Seal
	// Few overlap; the limit has PostgreSQL walk the index rather than sort what it takes for a quarter of the table.
	err := x.query("select first, upto from seal where tenant = $1 and oldest <= $2 and newest >= $2 order by newest limit 64", []any{x.tenant, x.time(e.Entry.At)}, func(rows *sql.Rows) error {
		var s provisioning.Seal
		err := rows.Scan(&s.First, &s.Upto)
		seals = append(seals, s)
		return err
	})
	for i := range seals {
		if err != nil {
			return nil, err
		}
		s := &seals[i]
		var parts document
		found, err := x.row("select p.position, t.parts, s.salts from position p cross join seal s "+
			x.probe("parts", "trace", "i", "i.tenant = p.tenant and i.position = p.position", "t")+
			" where p.tenant = $1 and p.position between $2 and $3 and p.entry = $4 and s.tenant = $1 and s.first = $2",
			[]any{x.tenant, s.First, s.Upto, e.Entry.ID}, &e.Position, &parts, &s.Salts)
		if err != nil || found {
			return s, firstError(err, decode(parts, &e.Traces))
		}
	}
	return nil, err
}

// rewrite writes the columns of an entry that an erasure may change.
func (x *session) rewrite(e *provisioning.Entry) error {
	s := statement{dialect: x.dialect}
	err := s.erasedColumns(e)
	if err != nil {
		return err
	}
	s.add(" where id = ", s.arg(e.ID), " and tenant = ", s.arg(x.tenant))
	_, err = x.exec("entry", s.String(), s.args...)
	return err
}

func (s *statement) erasedColumns(e *provisioning.Entry) error {
	d, err := documentsOf(e)
	s.add("update entry set resource = ", s.typed(e.ResourceID, "text"), ", resource_name = ", s.typed(e.ResourceName, "text"),
		", resource_folded = ", s.typed(foldedName(e), "text"), ", request = ", s.json(d.request), ", diff = ", s.json(d.diff),
		", members = ", s.json(d.members), ", reason = ", s.json(d.reason), ", error = ", s.json(d.error))
	return err
}

// keepTraces writes what an erasure leaves of an entry whose row it has rewritten, and a seal whose salt of the entry it forgot.
func (x *session) keepTraces(seal *provisioning.Seal, e *provisioning.ChainedEntry, traces provisioning.Traces) error {
	parts, err := json.Marshal(traces)
	if err != nil {
		return err
	}
	var left entryRow // as it is stored now
	if _, err := x.entryRow(e.Entry.ID, &left); err != nil {
		return err
	}
	rest := left.rest(parts)
	s := statement{dialect: x.dialect}
	s.add("insert into trace (tenant, position, parts, rest) values (", s.arg(x.tenant), ", ", s.arg(e.Position), ", ", s.json(parts), ", ", s.arg(rest[:]),
		") on conflict (tenant, position) do update set parts = excluded.parts, rest = excluded.rest")
	if _, err := x.exec("trace", s.String(), s.args...); err != nil {
		return err
	}
	_, err = x.exec("seal", "update seal set salts = $1 where tenant = $2 and first = $3", seal.Salts, x.tenant, seal.First)
	return err
}
