package campaign

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"meibo/internal/witness"
	"meibo/provisioning"
	"meibo/store"
)

// evidence is what is known of some resources from four sides.
type evidence struct {
	people  []*person                // the ledger: what clients were told
	acks    []ack                    // the changes that were acknowledged
	entries []provisioning.Entry     // the journal since those changes began
	folded  map[string]witness.State // what the journal comes to
	stored  map[string]witness.State // what the rows say
}

// judge lists every way in which the sides disagree.
func (e *evidence) judge() (problems []string) {
	problems = append(problems, witness.Differences(e.stored, e.folded)...)
	problems = append(problems, e.unjournalled()...)
	problems = append(problems, duplicates(e.stored)...)
	return append(problems, e.lost()...)
}

// unjournalled are acknowledged changes that do not have exactly one entry of their success.
func (e *evidence) unjournalled() (problems []string) {
	entries := map[ack]int{}
	for _, j := range e.entries {
		if j.Outcome == provisioning.Success && j.Version > 0 {
			entries[ack{j.Correlation, j.ResourceID}]++
		}
	}
	for _, a := range e.acks {
		if n := entries[a]; n != 1 {
			problems = append(problems, fmt.Sprintf("acknowledged change %s of %s has %d entries", a.correlation, a.resource, n))
		}
	}
	return problems
}

// duplicates are names that several visible resources have.
func duplicates(stored map[string]witness.State) (problems []string) {
	owners := map[string]string{}
	for _, id := range slices.Sorted(maps.Keys(stored)) {
		s := stored[id]
		if !s.Visible {
			continue
		}
		key := fmt.Sprintf("%s %q of connection %d", s.Type, s.Names[0], s.Connection)
		if other, taken := owners[key]; taken {
			problems = append(problems, fmt.Sprintf("duplicate: %s is both %s and %s", key, other, id))
		}
		owners[key] = id
	}
	return problems
}

// lost are lines of the ledger that the rows contradict.
func (e *evidence) lost() (problems []string) {
	groups := groupsOf(e.stored)
	for _, p := range e.people {
		if p.id == "" {
			continue // never acknowledged, and not found either
		}
		s, isStored := e.stored[p.id]
		title, _ := s.Document["title"].(string)
		active, _ := s.Document["active"].(bool)
		of := groups[p.id]
		switch {
		case !isStored:
			problems = append(problems, fmt.Sprintf("lost: %s, %s, is not stored", p.id, p.name))
			continue
		case len(of) > 1:
			problems = append(problems, fmt.Sprintf("%s is in %d groups, but was only ever put into one", p.name, len(of)))
		}
		problems = append(problems, contradicts(p, "exists", &p.exists, s.Visible)...)
		problems = append(problems, contradicts(p, "title", &p.title, title)...)
		problems = append(problems, contradicts(p, "active", &p.active, active)...)
		problems = append(problems, contradicts(p, "group", &p.group, strings.Join(of, " "))...)
	}
	return problems
}

func contradicts[T comparable](p *person, what string, told *possible[T], stored T) []string {
	if told.allows(stored) {
		return nil
	}
	return []string{fmt.Sprintf("lost: %s of %s, %s: acknowledged %s, stored %v", what, p.id, p.name, told, stored)}
}

// settle makes what is stored of a person what the ledger says, and reports whether that is more than was acknowledged.
func (e *evidence) settle(p *person, groups map[string][]string) (more bool) {
	s := e.stored[p.id]
	title, _ := s.Document["title"].(string)
	active, _ := s.Document["active"].(bool)
	group := strings.Join(groups[p.id], " ")
	more = p.exists.sure != s.Visible || p.title.sure != title || p.active.sure != active || p.group.sure != group
	p.exists.acknowledge(s.Visible)
	p.title.acknowledge(title)
	p.active.acknowledge(active)
	p.group.acknowledge(group)
	return more
}

// groupsOf are the groups of each member.
func groupsOf(stored map[string]witness.State) map[string][]string {
	groups := map[string][]string{}
	for _, id := range slices.Sorted(maps.Keys(stored)) {
		for _, m := range stored[id].Members {
			if m.To == 0 {
				groups[m.Member] = append(groups[m.Member], id)
			}
		}
	}
	return groups
}

// verifier follows a server's database from round to round. It opens the database for each look and closes it again, so
// that the server alone recovers it.
type verifier struct {
	server  *server
	crew    *crew
	journal *witness.Journal
	read    time.Time       // up to when the journal was read
	seen    map[string]bool // entries at about that time
	total   tally
	done    int // changes that were not acknowledged and turned out to be done
}

func newVerifier(s *server, c *crew) *verifier {
	return &verifier{server: s, crew: c, journal: witness.NewJournal(), seen: map[string]bool{}}
}

// round verifies what a load has touched, and settles the ledger. Nobody may be writing any more.
func (v *verifier) round(ctx context.Context) error {
	now := time.Now()
	fresh, err := v.entriesSince(ctx, v.read)
	if err != nil {
		return err
	}
	v.seen, v.read = idsOf(fresh), now
	problems := v.journal.Add(fresh)

	e := &evidence{entries: fresh}
	touched := map[string]bool{}
	for _, j := range fresh {
		touched[j.ResourceID] = j.ResourceID != ""
	}
	for _, w := range v.crew.writers {
		problems = append(problems, w.problems...)
		e.people, e.acks = append(e.people, w.touched...), append(e.acks, w.acks...)
		v.total.add(w.answers)
		w.answers = tally{}
	}
	for _, p := range e.people {
		touched[p.id] = p.id != ""
		for _, group := range append(p.group.maybe, p.group.sure) {
			touched[group] = group != ""
		}
	}
	maps.DeleteFunc(touched, func(_ string, is bool) bool { return !is })
	ids := slices.Sorted(maps.Keys(touched))
	if len(ids) > 0 {
		if e.stored, err = v.stored(ctx, ids...); err != nil {
			return err
		}
		e.folded = v.journal.States(ids...)
	}
	problems = append(problems, e.judge()...)
	groups := groupsOf(e.stored)
	for _, w := range v.crew.writers {
		w.settle(func(p *person) bool { return e.settle(p, groups) })
		v.done += w.done
		w.done = 0
	}
	return listed(problems)
}

// whole verifies all that there is: every row and line of the ledger, the lists that a client reads, and the structure
// of the database. With anew, the journal is read again from its first entry on.
func (v *verifier) whole(ctx context.Context, anew bool) error {
	stored, err := v.stored(ctx)
	if err != nil {
		return err
	}
	e := &evidence{stored: stored, folded: v.journal.States()}
	var problems []string
	if anew {
		if e.entries, err = v.entriesSince(ctx, time.Time{}); err != nil {
			return err
		}
		e.folded, problems = witness.Fold(e.entries)
	}
	for _, w := range v.crew.writers {
		e.people = append(e.people, w.all...)
	}
	problems = append(problems, e.judge()...)
	problems = append(problems, v.listings(stored)...)
	broken, err := integrity(ctx, v.server.databaseURL)
	misplaced, lost := misplaced(ctx, v.server.databaseURL)
	return errors.Join(err, lost, listed(slices.Concat(problems, broken, misplaced)))
}

// misplaced says where the journal's positions are not 1, 2, 3, … of each tenant, one for each entry, once the server's
// follower has caught up.
func misplaced(ctx context.Context, databaseURL string) (problems []string, err error) {
	db, err := witness.Open(databaseURL)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var n int
	count := func(text string) bool {
		err = db.QueryRowContext(ctx, text).Scan(&n)
		return err != nil || n == 0
	}
	if late := until(ctx, func() bool { return count("select (select count(*) from entry) - (select count(*) from position)") }); late != nil {
		problems = append(problems, fmt.Sprintf("%d entries have no position: %v", n, late))
	}
	for what, text := range map[string]string{
		"tenants have gaps, or an entry twice, among their positions": `select count(*) from (select tenant from position group by tenant
			having min(position) <> 1 or max(position) <> count(*) or count(distinct entry) <> count(*)) as t`,
		"positions are of no entry of their tenant": `select count(*) from position p left join entry e on e.id = p.entry and e.tenant = p.tenant
			where e.id is null`,
	} {
		if err == nil && !count(text) {
			problems = append(problems, fmt.Sprintf("%d %s", n, what))
		}
	}
	return problems, err
}

// TestMisplacedNamesDamage alters the positions of a real journal.
func TestMisplacedNamesDamage(t *testing.T) {
	concurrently(t)
	each(t, func(t *testing.T, db database) {
		s := start(t, db.fresh(t))
		c := s.client()
		defer c.close()
		for i := range 5 {
			wantOutcome(t, c.createUser(map[string]any{"userName": fmt.Sprintf("u%d@example.com", i)}), acknowledged)
		}
		rows := behind(t, s.databaseURL)
		for _, step := range []struct{ alter, want string }{
			{"update position set position = position", ""},
			{"update position set position = 99 where position = 1", "gaps"},
			{"update position set position = 1 where position = 99", ""},
			{"update position set entry = 'nobody' where position = 2", "no entry"},
			{"update position set entry = (select entry from position where position = 3) where position = 2", "twice"},
		} {
			if _, err := misplaced(t.Context(), s.databaseURL); err != nil { // waits for the follower
				t.Fatal(err)
			}
			if _, err := rows.Exec(step.alter); err != nil {
				t.Fatal(err)
			}
			problems, err := misplaced(t.Context(), s.databaseURL)
			if text := strings.Join(problems, "; "); err != nil || (step.want == "") != (text == "") || !strings.Contains(text, step.want) {
				t.Errorf("after %q: %q, %v, want %q", step.alter, text, err, step.want)
			}
		}
	})
}

// listings compares what a client finds page by page with the rows.
func (v *verifier) listings(stored map[string]witness.State) (problems []string) {
	c := v.server.client()
	defer c.close()
	for endpoint, kind := range map[string]string{"/Users": "User", "/Groups": "Group"} {
		want := map[string]int{}
		for id, s := range stored {
			if s.Visible && s.Type == kind {
				want[id] = 1
			}
		}
		got, total := map[string]int{}, 0
		for from := 1; from <= max(1, len(want)); {
			a := c.get(fmt.Sprintf("%s?startIndex=%d&count=1000&attributes=id", endpoint, from))
			var ids []string
			if total, ids, _ = a.list(); a.outcome != acknowledged || len(ids) == 0 && len(want) > 0 {
				problems = append(problems, fmt.Sprintf("page %d of %s: %v", from, endpoint, a))
				break
			}
			for _, id := range ids {
				got[id]++
			}
			from += max(1, len(ids))
		}
		if !maps.Equal(want, got) || total != len(want) {
			problems = append(problems, fmt.Sprintf("%s lists %d of a total of %d, but %d are stored", endpoint, len(got), total, len(want)))
		}
	}
	return problems
}

// entriesSince reads the journal from an instant on, oldest first, without what is known already.
func (v *verifier) entriesSince(ctx context.Context, since time.Time) ([]provisioning.Entry, error) {
	st, err := store.Open(ctx, store.Options{URL: v.server.databaseURL, MaxConns: 1})
	if err != nil {
		return nil, err
	}
	var entries []provisioning.Entry
	err = provisioning.New(provisioning.Options{Store: st}).Entries(ctx, v.server.Tenant, provisioning.EntryQuery{Since: since}, func(e provisioning.Entry) error {
		if since.IsZero() || !v.seen[e.ID] {
			entries = append(entries, e)
		}
		return nil
	})
	slices.Reverse(entries)
	return entries, errors.Join(err, st.Close())
}

func idsOf(entries []provisioning.Entry) map[string]bool {
	ids := map[string]bool{}
	for _, e := range entries {
		ids[e.ID] = true
	}
	return ids
}

func (v *verifier) stored(ctx context.Context, ids ...string) (map[string]witness.State, error) {
	db, err := witness.Open(v.server.databaseURL)
	if err != nil {
		return nil, err
	}
	stored, err := db.Stored(ctx, v.server.Tenant, ids...)
	return stored, errors.Join(err, db.Close())
}

// integrity has the database check its own structure: every page and index on SQLite, every index against its table on
// PostgreSQL where the extension amcheck is installed.
func integrity(ctx context.Context, databaseURL string) (problems []string, err error) {
	db, err := witness.Open(databaseURL)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	checks := []string{"pragma integrity_check", "pragma foreign_key_check"}
	if strings.HasPrefix(databaseURL, "postgres") {
		if checks, err = amchecks(ctx, db); err != nil {
			return nil, err
		}
	}
	for _, check := range checks {
		rows, err := db.QueryContext(ctx, check)
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v", check, err))
			continue
		}
		for rows.Next() {
			var words string
			if err := rows.Scan(&words); err != nil {
				words = err.Error() // more columns: foreign_key_check has found something
			}
			if words != "" && words != "ok" {
				problems = append(problems, fmt.Sprintf("%s: %s", check, words))
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v", check, err))
		}
	}
	return problems, nil
}

// TestIntegrityNamesDamage scribbles over a page of a healthy file.
func TestIntegrityNamesDamage(t *testing.T) {
	concurrently(t)
	s := start(t, sqlite(t))
	c := s.client()
	for i := range 50 {
		wantOutcome(t, c.createUser(map[string]any{"userName": fmt.Sprintf("u%d@example.com", i)}), acknowledged)
	}
	if status := s.terminate(); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	if problems, err := integrity(t.Context(), s.databaseURL); err != nil || len(problems) > 0 {
		t.Fatalf("healthy: %v, %v", problems, err)
	}
	file, err := os.OpenFile(strings.TrimPrefix(s.databaseURL, "sqlite:"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	for at := int64(2 * page); at < info.Size(); at += page {
		if _, err := file.WriteAt(make([]byte, 64), at+page/2); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if problems, err := integrity(t.Context(), s.databaseURL); err == nil && len(problems) == 0 {
		t.Error("a damaged file passes for healthy")
	}
}

// TestIntegrityChecksPostgres counts the indexes that are checked.
func TestIntegrityChecksPostgres(t *testing.T) {
	concurrently(t)
	s := start(t, freshPostgres(t))
	db, err := witness.Open(s.databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	checks, err := amchecks(t.Context(), db)
	switch {
	case err != nil:
		t.Fatal(err)
	case len(checks) == 0:
		t.Log("PostgreSQL's extension amcheck cannot be had here: its indexes are not checked")
	case len(checks) < 10:
		t.Errorf("%d indexes are checked: %q", len(checks), checks)
	}
}

// amchecks are the statements that check each index, none where the extension cannot be had.
func amchecks(ctx context.Context, db *witness.Database) (checks []string, err error) {
	var there bool
	err = db.QueryRowContext(ctx, `select usesuper and exists (select from pg_available_extensions where name = 'amcheck')
		from pg_user where usename = current_user`).Scan(&there)
	if err != nil || !there {
		return nil, err
	}
	if _, err := db.ExecContext(ctx, "create extension if not exists amcheck"); err != nil {
		return nil, err
	}
	rows, err := db.QueryContext(ctx, `select format('select bt_index_check(%s::regclass, true)::text', quote_literal(c.oid::regclass))
		from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am a on a.oid = c.relam
		where a.amname = 'btree' and c.relnamespace = 'public'::regnamespace`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var check string
		if err := rows.Scan(&check); err != nil {
			return nil, err
		}
		checks = append(checks, check)
	}
	return checks, rows.Err()
}

// listed is an error with the first problems; nil where there are none.
func listed(problems []string) error {
	if len(problems) == 0 {
		return nil
	}
	const most = 10
	return fmt.Errorf("%d problems:\n%s", len(problems), strings.Join(problems[:min(most, len(problems))], "\n"))
}

// TestJudgeNamesEachLoss plants what a crash could do into the evidence of a real load: each must be named.
func TestJudgeNamesEachLoss(t *testing.T) {
	concurrently(t)
	s := start(t, sqlite(t))
	c := newCrew(7, 2)
	if err := c.regroup(s.client(), 0); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	done := c.load(stop, s.client())
	awaitPeople(t, s)
	close(stop)
	<-done
	for name, plant := range map[string]struct {
		want  string
		alter func(*evidence, *person)
	}{
		"nothing": {"", func(*evidence, *person) {}},
		"a person of the ledger is not stored": {"lost: ", func(e *evidence, p *person) {
			e.people = append(e.people, &person{name: "ghost", id: "ghost", exists: settledOn(true)})
		}},
		"a row is gone":              {"is in the journal, but is not stored", func(e *evidence, p *person) { delete(e.stored, p.id) }},
		"a row without an entry":     {"the journal has never heard of it", func(e *evidence, p *person) { delete(e.folded, p.id) }},
		"an acknowledged title lost": {"lost: title", func(e *evidence, p *person) { p.title.acknowledge("grade ∞") }},
		"a deletion undone":          {"lost: exists", func(e *evidence, p *person) { p.exists.acknowledge(false) }},
		"a disable undone":           {"lost: active", func(e *evidence, p *person) { p.active.acknowledge(!p.active.sure) }},
		"a membership lost":          {"lost: group", func(e *evidence, p *person) { p.group.acknowledge("somewhere") }},
		"a change without an entry": {"-stored +folded", func(e *evidence, p *person) {
			alterDocument(e.stored, p.id)
		}},
		"an entry without its change": {"-stored +folded", func(e *evidence, p *person) {
			alterDocument(e.folded, p.id)
		}},
		"an acknowledged change without its entry": {"has 0 entries", func(e *evidence, p *person) {
			e.entries = slices.DeleteFunc(e.entries, func(j provisioning.Entry) bool { return j.Correlation == e.acks[0].correlation })
		}},
		"an acknowledged change with two entries": {"has 2 entries", func(e *evidence, p *person) {
			i := slices.IndexFunc(e.entries, func(j provisioning.Entry) bool { return j.Correlation == e.acks[0].correlation })
			e.entries = append(e.entries, e.entries[i])
		}},
		"a duplicate": {"duplicate: User", func(e *evidence, p *person) {
			e.stored["twin"], e.folded["twin"] = e.stored[p.id], e.folded[p.id]
		}},
	} {
		e := takeEvidence(t, s, c)
		p := e.people[slices.IndexFunc(e.people, func(p *person) bool { return p.exists.sure })]
		before := *p
		plant.alter(e, p)
		problems := strings.Join(e.judge(), "\n")
		*p = before
		if (plant.want == "") != (problems == "") || !strings.Contains(problems, plant.want) {
			t.Errorf("%s: want %q, got %q", name, plant.want, problems)
		}
	}
}

// awaitPeople waits until a load has come a little way.
func awaitPeople(t *testing.T, s *server) {
	t.Helper()
	c := s.client()
	defer c.close()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for total := 0; total < 20; total, _, _ = c.get("/Users").list() {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("the load goes nowhere")
		}
	}
}

func takeEvidence(t *testing.T, s *server, c *crew) *evidence {
	t.Helper()
	v := newVerifier(s, c)
	entries, err := v.entriesSince(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	stored, err := v.stored(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e := &evidence{entries: entries, stored: stored}
	var problems []string
	if e.folded, problems = witness.Fold(entries); len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, w := range c.writers {
		e.people, e.acks = append(e.people, w.all...), append(e.acks, w.acks...)
	}
	slices.SortFunc(e.people, func(a, b *person) int { return cmp.Compare(a.name, b.name) })
	return e
}

func alterDocument(states map[string]witness.State, id string) {
	s := states[id]
	s.Document = maps.Clone(s.Document)
	s.Document["displayName"] = "somebody else"
	states[id] = s
}
