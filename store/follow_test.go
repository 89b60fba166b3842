package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"meibo/provisioning"
	"meibo/scim"
)

// followAll follows until nothing waits and returns how many entries got a position.
func followAll(t testing.TB, s *Store) (sum int64) {
	t.Helper()
	for more := true; more; {
		n, again, err := s.Follow(context.Background())
		must(t, err)
		sum, more = sum+n, again
	}
	return sum
}

// catchUp follows until no entry waits. A pass that was cancelled may still be at work in the database;
// it has the lock, and others find nothing to do.
func catchUp(t testing.TB, s *Store) {
	t.Helper()
	for {
		followAll(t, s)
		lag, err := s.FollowerLag(context.Background())
		must(t, err)
		if lag.Waiting == 0 {
			return
		}
	}
}

// placed is an entry with its position.
type placed struct {
	tenant   string
	position int64
	entry    string
	resource string
	version  int64
}

func placedOf(t testing.TB, s *Store) (all []placed) {
	t.Helper()
	rows, err := s.reads.Raw(`select p.tenant, p.position, p.entry, e.resource, e.version from position p join entry e on e.id = p.entry
		and e.tenant = p.tenant order by p.tenant, p.position`).Rows()
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var p placed
		must(t, rows.Scan(&p.tenant, &p.position, &p.entry, &p.resource, &p.version))
		all = append(all, p)
	}
	must(t, rows.Err())
	return all
}

// misplaced finds what is wrong with the positions: a gap, an entry with two or, if done, without
// one, versions of a resource out of order, a head that is not the last.
func misplaced(t testing.TB, s *Store, done bool) (faults []string) {
	t.Helper()
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	last, versions, entries := map[string]placed{}, map[string]int64{}, map[string]bool{}
	for _, p := range placedOf(t, s) {
		if want := last[p.tenant].position + 1; p.position != want {
			fault("%s: position %d after %d", p.tenant, p.position, want-1)
		}
		last[p.tenant] = p
		if entries[p.entry] {
			fault("%s: entry %s has two positions", p.tenant, p.entry)
		}
		entries[p.entry] = true
		if p.version != 0 && p.version <= versions[p.resource] {
			fault("%s: version %d of %s comes after %d", p.tenant, p.version, p.resource, versions[p.resource])
		}
		versions[p.resource] = max(versions[p.resource], p.version)
	}
	var all, positions int
	must(t, s.reads.Raw("select (select count(*) from entry), (select count(*) from position)").Row().Scan(&all, &positions))
	if positions != len(entries) {
		fault("%d positions for %d entries", positions, len(entries))
	}
	if done && all != len(entries) {
		fault("%d of %d entries have no position", all-len(entries), all)
	}
	for tenant, p := range last {
		var head int64
		var entry string
		must(t, s.reads.Raw("select position, entry from position_head where tenant = $1", tenant).Row().Scan(&head, &entry))
		if head != p.position || entry != p.entry {
			fault("%s: the head is %d, %s, and the last position %d, %s", tenant, head, entry, p.position, p.entry)
		}
	}
	return faults
}

func wantPlaced(t testing.TB, s *Store) {
	t.Helper()
	for _, fault := range append(misplaced(t, s, true), miscounted(t, s)...) {
		t.Error(fault)
	}
}

// cell is what one row of activity is about.
type cell struct {
	tenant, hour                    string
	connection                      int64
	action, outcome, reason, method string
	status                          int
}

// counted is what a row of activity counts.
type counted struct {
	n               int64
	micros, slowest time.Duration
}

// miscounted finds what is wrong with what the follower derives from entries: an entry that is not counted, or twice,
// and a mention that is missing or one too many.
func miscounted(t testing.TB, s *Store) (faults []string) {
	t.Helper()
	want, mentions := map[cell]counted{}, map[[2]string]bool{}
	rows, err := s.reads.Raw("select p.tenant, e." + strings.ReplaceAll(entryColumns, ", ", ", e.") + " from position p join entry e on e.id = p.entry").Rows()
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var tenant string
		e, err := scanEntry(rows, &tenant)
		must(t, err)
		c := cell{tenant: tenant, hour: e.At.Truncate(time.Hour).Format(time.RFC3339), connection: e.Connection, action: string(e.Action),
			outcome: string(e.Outcome), reason: e.Reason.Code}
		n := want[c]
		if r := e.Request; r != nil {
			c.method, c.status = r.Method, r.Status
			n = want[c]
			n.micros, n.slowest = n.micros+r.Duration, max(n.slowest, r.Duration)
		}
		n.n++
		want[c] = n
		for _, m := range slices.Concat(e.Members.AssertedAdd, e.Members.EffectiveAdd) {
			mentions[[2]string{m.Value, e.ID}] = true
		}
		for _, m := range slices.Concat(e.Members.AssertedRemove, e.Members.EffectiveRemove) {
			mentions[[2]string{m, e.ID}] = true
		}
	}
	must(t, rows.Err())
	got := map[cell]counted{}
	var sum int64
	eachRow(t, s, "select "+activityColumns+" from activity", func(rows *sql.Rows) error {
		var c cell
		var hour instant
		var n counted
		err := rows.Scan(&c.tenant, &hour, &c.connection, &c.action, &c.outcome, &c.reason, &c.method, &c.status, &n.n, &n.micros, &n.slowest)
		c.hour, n.micros, n.slowest = hour.Format(time.RFC3339), n.micros*time.Microsecond, n.slowest*time.Microsecond
		got[c] = n
		sum += n.n
		return err
	})
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(cell{}, counted{})); diff != "" {
		faults = append(faults, "activity is not what the entries say (-want +got):\n"+diff)
	}
	eachRow(t, s, "select member, entry from mention", func(rows *sql.Rows) error {
		var m [2]string
		err := rows.Scan(&m[0], &m[1])
		if !mentions[m] {
			faults = append(faults, fmt.Sprintf("%s is no mention", m))
		}
		delete(mentions, m)
		return err
	})
	for m := range mentions {
		faults = append(faults, fmt.Sprintf("%s is not mentioned", m))
	}
	var heads int64
	must(t, s.reads.Raw("select coalesce(cast(sum(counted) as bigint), 0) from position_head").Row().Scan(&heads))
	if heads != sum {
		faults = append(faults, fmt.Sprintf("the heads say that %d entries are counted, and activity counts %d", heads, sum))
	}
	return faults
}

// eachRow calls scan for each row.
func eachRow(t testing.TB, s *Store, text string, scan func(*sql.Rows) error) {
	t.Helper()
	rows, err := s.reads.Raw(text).Rows()
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		must(t, scan(rows))
	}
	must(t, rows.Err())
}

// noteOf is an entry about nothing, of one hour or another, some with a request, some that mention members.
func noteOf(id string) provisioning.Entry {
	h := int(crc32.ChecksumIEEE([]byte(id)))
	e := provisioning.Entry{ID: id, At: epoch.Add(time.Duration(h%7) * 20 * time.Minute), Action: provisioning.ActionOther, Outcome: provisioning.Failure}
	if h%3 == 0 {
		e.Request = &provisioning.RequestInfo{Method: "PATCH", Status: 400 + h%2, Duration: time.Duration(h%5) * time.Second}
	}
	if h%4 == 0 {
		e.Members.AssertedAdd, e.Members.EffectiveRemove = []scim.Member{{Value: "a", Display: "A"}, {Value: "b"}}, []string{"a", `"c"`}
	}
	return e
}

// note writes an entry about nothing.
func note(s *Store, tenant, id string) error {
	e := noteOf(id)
	return s.Update(context.Background(), tenant, func(tx provisioning.Tx) error {
		return tx.Commit(provisioning.Batch{Entries: []provisioning.Entry{e}})
	})
}

// TestFollow gives two tenants' entries their positions in the order of writing, which is not that
// of their ids, in more than one pass.
func TestFollow(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, connection int64) {
		want := map[string][]string{}
		for i := range 30 {
			tenant, id := []string{"acme", "umbrella"}[i%2], fmt.Sprint("entry", 99-i)
			must(t, note(s, tenant, id))
			want[tenant] = append(want[tenant], id)
			if i%7 == 0 {
				followAll(t, s)
			}
		}
		var b provisioning.Batch // and many at once
		for i := range followTurn + 1 {
			id := fmt.Sprint("many", i)
			b.Entries = append(b.Entries, provisioning.Entry{ID: id, At: epoch.Add(time.Hour), Action: provisioning.ActionOther, Outcome: provisioning.Success})
			want["acme"] = append(want["acme"], id)
		}
		must(t, s.Update(context.Background(), "acme", func(tx provisioning.Tx) error { return tx.Commit(b) }))
		lag, err := s.FollowerLag(context.Background())
		must(t, err)
		if lag.Waiting < followTurn+1 || lag.Oldest.Before(epoch) || lag.Oldest.After(epoch.Add(2*time.Hour)) {
			t.Errorf("%d entries wait since %v", lag.Waiting, lag.Oldest)
		}
		if n := followAll(t, s); n != lag.Waiting {
			t.Errorf("%d entries waited, %d got a position", lag.Waiting, n)
		}
		got := map[string][]string{}
		for _, p := range placedOf(t, s) {
			got[p.tenant] = append(got[p.tenant], p.entry)
		}
		for tenant := range want {
			if !slices.Equal(got[tenant], want[tenant]) {
				t.Errorf("%s: the order is\n%v, want\n%v", tenant, got[tenant], want[tenant])
			}
		}
		wantPlaced(t, s)
		if lag, err := s.FollowerLag(context.Background()); err != nil || lag.Waiting != 0 || !lag.Oldest.IsZero() {
			t.Errorf("after all the lag is %+v, %v", lag, err)
		}
		if n := followAll(t, s); n != 0 {
			t.Errorf("%d entries more got a position", n)
		}
	})
}

// TestMisplacedIsFound plants each fault that the other tests look for.
func TestMisplacedIsFound(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ plant, want string }{
		{"delete from position where position = 2", "position 3 after 1"},
		{"update position set entry = (select entry from position where position = 1) where position = 3", "has two positions"},
		{"delete from position where position = 4", "have no position"},
		{"update position set entry = (select id from entry where version = 5 - position) where position in (2, 3)", "comes after"},
		{"update position_head set position = 7", "the head is 7"},
		{"insert into position values ('nobody', 1, 'none')", "positions for"},
		{"update activity set n = n + 1", "activity is not"},
		{"update activity set micros = 0", "activity is not"},
		{"update activity set slowest = 0", "activity is not"},
		{"update activity set hour = hour - 3600000000", "activity is not"},
		{"insert into mention values ('u', 'e')", "is no mention"},
		{"update entry set members = '{\"assertedRemove\":[\"u\"]}'", "is not mentioned"},
		{"update position_head set counted = counted + 1", "the heads say"},
	} {
		s := openTest(t, Options{URL: databases[0].url(t)})
		connection := tenantOf(t, s).ID
		u := testUser(connection, "ada")
		must(t, s.Update(context.Background(), "acme", commitOne(provisioning.Change{Action: provisioning.ChangeCreate, After: u})))
		for range 3 {
			must(t, s.Update(context.Background(), "acme", patch(connection, u.ID)))
		}
		followAll(t, s)
		wantPlaced(t, s)
		must(t, s.writes.Exec(test.plant).Error)
		if faults := strings.Join(append(misplaced(t, s, true), miscounted(t, s)...), "\n"); !strings.Contains(faults, test.want) {
			t.Errorf("%s: found %q, want %q", test.plant, faults, test.want)
		}
	}
}

// TestFollowLateCommit holds a transaction open that wrote its entries before others did, and
// commits it when those have their positions.
func TestFollowLateCommit(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{URL: onPostgres(t)})
	connection := tenantOf(t, s).ID
	wrote, free, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		x := s.session(context.Background(), "acme", s.reads)
		done <- x.inTransaction(func() error {
			err := x.run(create(connection, "late"))
			close(wrote)
			<-free
			return err
		})
	}()
	<-wrote
	for i := range 20 {
		must(t, s.Update(context.Background(), "acme", create(connection, fmt.Sprint("early", i))))
	}
	followAll(t, s)
	early := placedOf(t, s)
	if faults := misplaced(t, s, true); faults != nil || len(early) != 20 {
		t.Errorf("%d entries have positions while one is not committed: %v", len(early), faults)
	}
	close(free)
	must(t, <-done)
	if n := followAll(t, s); n != 1 {
		t.Errorf("the late commit brought %d positions", n)
	}
	if late := placedOf(t, s); !slices.Equal(late[:20], early) {
		t.Error("positions changed")
	}
	wantPlaced(t, s)
}

// journalled is when an acknowledged entry was written, by a clock that counts.
type journalled struct{ from, to int64 }

// TestFollowersRace has 16 writers, and followers that are cancelled at any moment, work on one
// database; on PostgreSQL through two stores and with transactions that stay open for long.
func TestFollowersRace(t *testing.T) {
	t.Parallel()
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			t.Parallel()
			url := database.url(t)
			stores := []*Store{openTest(t, Options{URL: url})}
			if stores[0].dialect.postgres {
				stores = append(stores, openTest(t, Options{URL: url}))
			}
			r := &followRace{t: t, connection: tenantOf(t, stores[0]).ID, done: map[string]journalled{}}
			r.run(stores)
			catchUp(t, stores[0])
			wantPlaced(t, stores[0])
			r.wantOrder(placedOf(t, stores[0]))
		})
	}
}

type followRace struct {
	t          *testing.T
	connection int64
	clock      atomic.Int64
	mu         sync.Mutex
	done       map[string]journalled // by entry
}

func (r *followRace) run(stores []*Store) {
	var users []provisioning.Resource
	for i := range 6 {
		users = append(users, testUser(r.connection, fmt.Sprint("user", i)))
		must(r.t, stores[0].Update(context.Background(), "acme", commitOne(provisioning.Change{Action: provisioning.ChangeCreate, After: users[i]})))
	}
	ctx, cancel := context.WithCancel(context.Background())
	var followers, writers sync.WaitGroup
	for i := range 4 {
		followers.Go(func() { r.follow(ctx, stores[i%len(stores)]) })
	}
	followers.Go(func() { // what it sees at any moment is in order
		for ctx.Err() == nil {
			for _, fault := range misplaced(r.t, stores[0], false) {
				if !strings.Contains(fault, "the head is") && !strings.Contains(fault, "positions for") { // read by another statement
					r.t.Error(fault)
				}
			}
		}
	})
	for i := range 16 {
		writers.Go(func() { r.write(stores[i%len(stores)], users, i) })
	}
	writers.Wait()
	cancel()
	followers.Wait()
}

// follow follows until ctx ends, and gives each tenth pass little time.
func (r *followRace) follow(ctx context.Context, s *Store) {
	for i := 0; ctx.Err() == nil; i++ {
		limit := time.Minute
		if i%10 == 9 {
			limit = time.Duration(rand.IntN(4000)) * time.Microsecond
		}
		pass, cancel := context.WithTimeout(ctx, limit)
		_, _, err := s.Follow(pass)
		if err != nil && pass.Err() == nil {
			r.t.Error(err)
		}
		cancel()
	}
}

// write patches users and writes notes; one writer in four does so in transactions that it ends late.
func (r *followRace) write(s *Store, users []provisioning.Resource, i int) {
	for j := range 25 {
		if s.dialect.postgres && i%4 == 0 {
			r.entry(func(id string) error { return r.slowly(s, id) })
			continue
		}
		if j%5 == 0 {
			r.entry(func(id string) error { return note(s, "acme", id) })
			continue
		}
		r.entry(func(id string) error {
			return s.Update(context.Background(), "acme", patchAs(r.connection, users[(i+j)%len(users)].ID, id))
		})
	}
}

// entry notes when an entry was written, unless it was not.
func (r *followRace) entry(write func(id string) error) {
	id, from := newID(), r.clock.Add(1)
	if err := write(id); err != nil {
		if provisioning.KindOf(err) != provisioning.Unavailable { // too many writers on one resource
			r.t.Error(err)
		}
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done[id] = journalled{from, r.clock.Add(1)}
}

// slowly writes an entry in a transaction that stays open until others have written.
func (r *followRace) slowly(s *Store, id string) error {
	x := s.session(context.Background(), "acme", s.reads)
	return x.inTransaction(func() error {
		e := noteOf(id)
		if err := (tx{x}).Commit(provisioning.Batch{Entries: []provisioning.Entry{e}}); err != nil {
			return err
		}
		for range 1 + rand.IntN(20) { // as good as a pause
			if _, err := x.row("select count(*) from entry", nil, new(int)); err != nil {
				return err
			}
		}
		return nil
	})
}

// wantOrder fails where an entry that was acknowledged before another was begun comes after that.
func (r *followRace) wantOrder(all []placed) {
	r.t.Helper()
	var latest int64
	for _, p := range all {
		j, known := r.done[p.entry]
		if !known {
			continue // made before the race, or committed without an acknowledgement
		}
		if j.to < latest {
			r.t.Errorf("entry %s at %d was acknowledged before an earlier one was begun", p.entry, p.position)
		}
		latest = max(latest, j.from)
	}
	if len(all) < len(r.done) {
		r.t.Errorf("%d entries were acknowledged, and %d have positions", len(r.done), len(all))
	}
}

// TestFollowFailsBetween fails a pass on SQLite before each of its statements: nothing of it is left.
func TestFollowFailsBetween(t *testing.T) {
	t.Parallel()
	var armed atomic.Int32
	failure := errors.New("injected")
	s := openTest(t, Options{URL: databases[0].url(t), BeforeWrite: func(name string) error {
		if name == "position" && armed.Add(-1) == 0 {
			return failure
		}
		return nil
	}})
	tenantOf(t, s)
	for n := int32(1); n <= 4; n++ {
		must(t, note(s, "acme", newID()))
		before := placedOf(t, s)
		armed.Store(n)
		if _, _, err := s.Follow(context.Background()); err != failure {
			t.Fatalf("statement %d failed, and Follow answered %v", n, err)
		}
		if after := placedOf(t, s); !slices.Equal(after, before) {
			t.Errorf("a pass that failed at statement %d left %v", n, after)
		}
		followAll(t, s)
		wantPlaced(t, s)
	}
}

// TestFollowAfterVacuum has SQLite number the entries anew, after the first ones went.
func TestFollowAfterVacuum(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{URL: databases[0].url(t)})
	tenantOf(t, s)
	for i := range 10 {
		must(t, note(s, "acme", fmt.Sprint("old", i)))
	}
	followAll(t, s)
	must(t, s.writes.Exec("delete from entry where id < 'old8'").Error)
	must(t, s.writes.Exec("vacuum").Error)
	must(t, note(s, "acme", "a new one"))
	if n := followAll(t, s); n != 1 {
		t.Errorf("%d entries got a position, want 1", n)
	}
	var last int64
	must(t, s.reads.Raw("select position from position where entry = 'a new one'").Row().Scan(&last))
	if last != 11 {
		t.Errorf("the new entry has position %d, want 11", last)
	}
}

// TestFollowerMigration brings a database with entries from the first schema up to date.
func TestFollowerMigration(t *testing.T) {
	t.Parallel()
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			t.Parallel()
			s, err := Open(context.Background(), Options{URL: database.empty(t)})
			must(t, err)
			defer func() { must(t, s.Close()) }()
			p, err := s.migrator()
			must(t, err)
			_, err = p.UpTo(context.Background(), 1)
			must(t, err)
			// A unit of work that ran again: version 2 has an older id than version 1.
			for _, e := range []struct {
				id, tenant, resource string
				version              int
			}{{"b", "acme", "r", 1}, {"c", "umbrella", "x", 1}, {"a", "acme", "r", 2}, {"d", "acme", "r", 0}, {"e", "acme", "s", 1}, {"f", "acme", "r", 3}} {
				at := "1"
				if s.dialect.postgres {
					at = "now()"
				}
				must(t, s.writes.Exec(`insert into entry (id, tenant, at, connection, connection_name, actor, correlation, action, outcome, resource,
					resource_type, resource_name, version, matched_by, reason) values ($1, $2, `+at+`, 0, '', '', '', '', '', $3, '', '', $4, '', '{}')`,
					e.id, e.tenant, e.resource, e.version).Error)
			}
			for _, plant := range []string{`{"assertedAdd":[{"value":"u","display":"U"}],"assertedRemove":["v"]}`, `{"effectiveAdd":[{"value":"u"}],"add":[{"value":"w"}]}`} {
				must(t, s.writes.Exec("update entry set duration = 7, request = $1, members = $2, reason = $3 where id = (select min(id) from entry where members is null)",
					`{"method":"PUT","path":"/","status":412}`, plant, `{"code":"why"}`).Error)
			}
			if s.dialect.postgres { // one waits for the follower
				_, err = p.UpTo(context.Background(), 2)
				must(t, err)
				must(t, s.writes.Exec(`with e as (insert into entry select 'g', tenant, at, connection, connection_name, actor, correlation, request, duration, action, outcome,
					resource, resource_type, resource_name, resource_folded, 4, matched_by, diff, members, reason, error from entry where id = 'a') insert into pending (entry) values ('g')`).Error)
			}
			must(t, s.Migrate(context.Background()))
			followAll(t, s)
			wantPlaced(t, s)
			tenantOf(t, s)
			must(t, note(s, "acme", "later"))
			followAll(t, s)
			wantPlaced(t, s)
			var order string
			for _, p := range placedOf(t, s) {
				order += p.entry + " "
			}
			if want := "b a d e f later c "; strings.Replace(order, "g ", "", 1) != want {
				t.Errorf("the order is %q, want %q", order, want)
			}
		})
	}
}

// TestEarlierFollower has a follower of the version that did not count come to a database of this one: it does nothing.
func TestEarlierFollower(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, connection int64) {
		must(t, note(s, "acme", "a"))
		followAll(t, s)
		must(t, note(s, "acme", "b"))
		earlier := "insert into position_head as h (tenant, position, entry) values ('acme', 1, 'b') on conflict (tenant) do update set position = h.position + 1, entry = excluded.entry"
		if err := s.writes.Exec(earlier).Error; err == nil || !strings.Contains(err.Error(), "counted") {
			t.Errorf("it moved the head: %v", err)
		}
		followAll(t, s)
		wantPlaced(t, s)
	})
}

// TestRunFollows runs the background work until what was written has its position.
func TestRunFollows(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, connection int64) {
		for range followTurn + 2 {
			must(t, note(s, "acme", newID()))
		}
		tick, ended := make(chan time.Time), make(chan struct{})
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			defer close(ended)
			s.followOn(ctx, tick)
		}()
		tick <- epoch
		tick <- epoch // taken up when nothing waits any more
		cancel()
		<-ended
		wantPlaced(t, s)
	})
}
