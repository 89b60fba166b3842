package e2e

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"meibo/internal/testkit"
	"meibo/internal/witness"
	"meibo/provisioning"
	"meibo/scim"
	"meibo/store"
)

// canaries make values that are nowhere by chance.
type canaries struct{ n int }

func (c *canaries) value() string {
	c.n++
	return fmt.Sprintf("kanarienvogel%03d", c.n)
}

// TestEraseLeavesNothing plants values wherever a person's may be, erases the person, and looks for them in every table and
// every byte of the database's files. Others are as they were, and the journal folds to what is stored of them.
func TestEraseLeavesNothing(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		databaseURL := db.fresh(t)
		clock := testkit.NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
		st, err := store.Open(t.Context(), store.Options{URL: databaseURL})
		must(t, err)
		rows, err := witness.Open(databaseURL)
		must(t, err)
		defer rows.Close()
		p := &planted{T: t, Service: provisioning.New(provisioning.Options{Store: st, Now: clock.Now, OpenCapture: openPlain}), clock: clock}
		p.plant()
		p.capture(st, "loose-1", `{"Target": "/t/acme/scim/v2/Users?filter=emails.value+eq+%22x%22", "Texts": ["", "{\"Resources\": [{\"id\": \"`+p.id+`\", \"title\": \"`+p.value()+`\"}]}"]}`)
		p.capture(st, "loose-2", `{"Target": "/t/acme/scim/v2/Users?filter=userName+eq+%22`+p.named+`%22", "Texts": ["", "{}"]}`)
		p.capture(st, "loose-3", `{"Target": "/t/acme/scim/v2/Users", "Texts": ["", "{\"userName\": \"bob\"}"]}`)
		before, err := rows.Stored(t.Context(), acme)
		must(t, err)
		if n := strings.Count(dump(t, rows), "kanarienvogel"); n < 50 {
			t.Fatalf("only %d planted values are found before", n)
		}
		p.exportHasAll(dump(t, rows))
		p.capture(st, "loose-4", "sealed with a key that is lost: "+p.value())
		p.seal(st)
		if db.driver != "sqlite" { // what the planner notes of values, whenever it likes
			execute(t, databaseURL, "analyze")
		}
		out, err := p.Erase(t.Context(), p.person(), p.id, true)
		must(t, err)
		t.Logf("%+v", out)
		if len(out.Settings) == 0 {
			t.Error("the settings name the user, and that was not told")
		}
		if out.Entries == 0 || out.Matters == 0 || out.Captures != 2 || out.Unread != 1 {
			t.Errorf("%+v", out)
		}
		if !strings.Contains(dump(t, rows), "loose-3") {
			t.Error("a request that tells of somebody else is gone")
		}
		for _, line := range strings.Split(dump(t, rows), "\n") {
			if strings.Contains(line, "kanarienvogel") {
				t.Errorf("it is still there: %.600s", line)
			}
		}
		after, err := rows.Stored(t.Context(), acme)
		must(t, err)
		for _, s := range []map[string]witness.State{before, after} {
			delete(s, p.id)
			for _, x := range s {
				for i := range x.Members {
					if x.Members[i].Member == p.id {
						x.Members[i].Display = ""
					}
				}
			}
		}
		p.parts(before, after)
		if difference := cmp.Diff(before, after); difference != "" {
			t.Errorf("others are not as they were, but for who is in a group:\n%s", difference)
		}
		var entries []provisioning.Entry
		must(t, p.Entries(t.Context(), acme, provisioning.EntryQuery{}, func(e provisioning.Entry) error {
			entries = append(entries, e)
			return nil
		}))
		for _, problem := range witness.Disagreements(entries, after) {
			t.Error(problem)
		}
		if _, err := p.At(t.Context(), acme, provisioning.PastQuery{Type: scim.User, ID: p.id, At: clock.Now()}); provisioning.KindOf(err) != provisioning.Gone {
			t.Errorf("the user in the past: %v", err)
		}
		again, err := p.Erase(t.Context(), p.person(), p.id, false)
		must(t, err)
		if again.Entries+again.Matters+again.Jobs > 0 {
			t.Errorf("once more it erased %+v", again)
		}
		p.seal(st)
		must(t, st.Close())
		searchFiles(t, db, databaseURL)
	})
}

// parts ends the memberships of who is erased in what is expected of the groups: each loses one member, and nothing else.
func (p *planted) parts(groups, after map[string]witness.State) {
	ended := 0
	for id, g := range groups {
		for i, m := range g.Members {
			if m.Member != p.id || m.To != 0 {
				continue
			}
			ended++
			g.Version, g.Modified, g.Open = g.Version+1, after[id].Modified, g.Open-1
			m.To, m.ToEntry = g.Modified, after[id].Members[i].ToEntry
			g.Members[i], groups[id] = m, g
		}
	}
	if ended != 1 {
		p.Errorf("%d memberships of who is erased were to end, want one", ended)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// planted is a tenant with one person's values in every place.
type planted struct {
	*testing.T
	*provisioning.Service
	canaries
	clock *testkit.Clock
	id    string
	named string // what the person was called first
}

// openPlain opens captures that are not sealed at all, so that what they have can be looked for in the files.
func openPlain(_ string, c provisioning.Capture) (o provisioning.OpenedCapture, err error) {
	err = json.Unmarshal(c.Sealed, &o)
	return o, err
}

// capture keeps a request that has no entry.
func (p *planted) capture(st *store.Store, correlation, plain string) {
	p.Helper()
	must(p.T, st.Update(p.Context(), acme, func(tx provisioning.Tx) error {
		return tx.Commit(provisioning.Batch{Captures: []provisioning.Capture{{Correlation: correlation, At: p.clock.Now(), Sealed: []byte(plain)}}})
	}))
}

// exportHasAll holds that whatever of the person is anywhere in the database is handed out, and something from each place.
func (p *planted) exportHasAll(stored string) {
	p.Helper()
	var out bytes.Buffer
	must(p.T, p.ExportSubject(p.Context(), p.person(), p.id, &out))
	for _, value := range regexp.MustCompile(`kanarienvogel\d+`).FindAllString(stored, -1) {
		if !strings.Contains(out.String(), value) {
			p.Errorf("%s is held, and not handed out", value)
		}
	}
	var places map[string]json.RawMessage
	must(p.T, json.Unmarshal(out.Bytes(), &places))
	for place, held := range places {
		var list []any
		if json.Unmarshal(held, &list) == nil && len(list) == 0 {
			p.Errorf("nothing was planted in %s", place)
		}
	}
	if len(places) < 9 {
		p.Errorf("handed out was %s", slices.Collect(maps.Keys(places)))
	}
}

func (p *planted) person() provisioning.Origin {
	return provisioning.Origin{Tenant: acme, Actor: "ann", Correlation: "by hand"}
}

func (p *planted) client() provisioning.Origin {
	c, err := p.Connection(p.Context(), acme, provisioning.DefaultConnection)
	must(p.T, err)
	return provisioning.Origin{Tenant: acme, Connection: c, Actor: "token", Correlation: fmt.Sprint("c", p.n)}
}

func (p *planted) user(name string) scim.Attributes {
	a := scim.Attributes{"userName": name, "externalId": p.value(), "active": true}
	for _, attribute := range []string{"displayName", "nickName", "profileUrl", "title", "userType"} {
		a[attribute] = p.value()
	}
	a["name"] = map[string]any{"givenName": p.value(), "familyName": p.value(), "middleName": p.value(), "formatted": p.value()}
	for _, attribute := range []string{"emails", "phoneNumbers", "ims", "photos"} {
		a[attribute] = []any{map[string]any{"value": p.value() + "@example.com", "type": "work", "display": p.value()}, map[string]any{"value": p.value(), "type": "home"}}
	}
	a["addresses"] = []any{map[string]any{"streetAddress": p.value(), "locality": p.value(), "formatted": p.value(), "type": "work"}}
	a[scim.EnterpriseUserSchema] = map[string]any{"employeeNumber": p.value(), "department": p.value(), "costCenter": p.value()}
	a["urn:example:kana"] = map[string]any{"reading": p.value(), "list": []any{p.value(), p.value()}}
	return a
}

// seal seals the journal, and looks whether the chain agrees.
func (p *planted) seal(st *store.Store) {
	p.Helper()
	p.clock.Advance(time.Hour)
	for more := true; more; {
		var err error
		_, more, err = st.Follow(p.Context())
		must(p.T, err)
	}
	for more := true; more; {
		var err error
		_, more, err = st.Seal(p.Context(), p.clock.Now())
		must(p.T, err)
	}
	v, err := p.VerifyChain(p.Context(), acme, "")
	must(p.T, err)
	if v.Fault != nil || v.Entries == 0 {
		p.Errorf("the chain does not agree: %+v, %+v", v, v.Fault)
	}
}

func (p *planted) plant() {
	ctx := p.Context()
	_, err := p.CreateTenant(ctx, p.person())
	must(p.T, err)
	_, err = p.CreateConnection(ctx, p.person(), "other")
	must(p.T, err)
	name := p.value() + "@example.com"
	p.named = name
	s := provisioning.DefaultSettings()
	s.Tolerance.Mode = provisioning.ToleranceOff
	s.Mapping.Users = []provisioning.MappingRow{{Target: "nickName", Source: "displayName"}}
	s.Matching.Adoption = provisioning.AdoptionAsk
	s.Deletion.Users.Deactivated = provisioning.HoldPolicy
	_, _, err = p.ApplySettings(ctx, p.person(), provisioning.DefaultConnection, provisioning.SettingsDraft{Settings: s, Expect: provisioning.AnyVersion})
	must(p.T, err)
	o := p.client()
	done, err := p.Create(ctx, o, scim.User, provisioning.Body{Attributes: p.user(name)})
	must(p.T, err)
	p.id = done.Resource.ID
	bystander, err := p.Create(ctx, o, scim.User, provisioning.Body{Attributes: scim.Attributes{"userName": "bob", "title": "stays",
		"emails":                  []any{map[string]any{"value": "bob@example.com", "type": "work", "display": "Bob"}},
		scim.EnterpriseUserSchema: map[string]any{"manager": map[string]any{"value": p.id}}}})
	must(p.T, err)
	group, err := p.Create(ctx, o, scim.Group, provisioning.Body{Attributes: scim.Attributes{"displayName": "Crew"}, HasMembers: true,
		Members: []scim.Member{{Value: p.id, Display: p.value()}, {Value: bystander.Resource.ID, Display: "Bob"}}})
	must(p.T, err)
	change := func(kind scim.ResourceType, id string, ops ...scim.Operation) {
		p.clock.Advance(time.Minute)
		p.value()
		_, err := p.Patch(ctx, p.client(), kind, id, ops, scim.PatchOptions{}, nil, provisioning.References{})
		must(p.T, err)
	}
	member := []any{map[string]any{"value": p.id, "display": p.value()}}
	change(scim.Group, group.Resource.ID, scim.Operation{Op: "remove", Path: "members", Value: member})
	change(scim.Group, group.Resource.ID, scim.Operation{Op: "add", Path: "members", Value: member})
	for i := range 12 { // so that pages split and values move
		change(scim.User, p.id, scim.Operation{Op: "replace", Path: "title", Value: p.value()}, scim.Operation{Op: "replace", Path: "urn:example:kana:note", Value: strings.Repeat(p.value()+" ", 40*i)})
	}
	_, err = p.Act(ctx, p.person(), scim.User, p.id, provisioning.Act{Overrides: map[string]any{"displayName": p.value(), "title": p.value()}})
	must(p.T, err)
	renamed := p.value() + "@example.com"
	change(scim.User, p.id, scim.Operation{Op: "replace", Path: "userName", Value: renamed})
	// Another connection asks whose account it is; the same client asks for the name again, and for an id that is none.
	_, _, err = p.ApplySettings(ctx, p.person(), "other", provisioning.SettingsDraft{Settings: s, Expect: provisioning.AnyVersion})
	must(p.T, err)
	other, err := p.Connection(ctx, acme, "other")
	must(p.T, err)
	stranger := p.client()
	stranger.Connection = other
	if _, err := p.Create(ctx, stranger, scim.User, provisioning.Body{Attributes: p.user(renamed)}); provisioning.KindOf(err) != provisioning.Conflict {
		p.Fatalf("the other connection's create: %v", err)
	}
	if _, err := p.Create(ctx, p.client(), scim.User, provisioning.Body{Attributes: p.user(renamed)}); provisioning.KindOf(err) != provisioning.Conflict {
		p.Fatalf("the same name again: %v", err)
	}
	lost := p.client()
	lost.Request = provisioning.RequestInfo{Method: "DELETE", Path: "/Users/" + renamed}
	if err := p.Delete(ctx, lost, scim.User, renamed, nil); provisioning.KindOf(err) != provisioning.NotFound {
		p.Fatalf("a name in the place of an id: %v", err)
	}
	change(scim.User, p.id, scim.Operation{Op: "replace", Path: "active", Value: false}) // held: a matter
	_, err = p.Undo(ctx, p.person(), provisioning.UndoQuery{Connection: provisioning.DefaultConnection, From: p.clock.Now().Add(-3 * time.Minute)})
	must(p.T, err)
	for had := true; had; {
		had, err = p.RunJob(ctx)
		must(p.T, err)
	}
	for i := range 200 { // others, on the same pages
		_, err := p.Create(ctx, o, scim.User, provisioning.Body{Attributes: scim.Attributes{"userName": fmt.Sprint("user", i), "title": "x"}})
		must(p.T, err)
	}
	s.Guard.Users = []string{"somebody@else.example", p.id}
	_, _, err = p.ApplySettings(ctx, p.person(), provisioning.DefaultConnection, provisioning.SettingsDraft{Settings: s, Expect: provisioning.AnyVersion})
	must(p.T, err)
	s.Guard.Users = nil // or it would be refused
	_, _, err = p.ApplySettings(ctx, p.person(), provisioning.DefaultConnection, provisioning.SettingsDraft{Settings: s, Expect: provisioning.AnyVersion})
	must(p.T, err)
}

// dump is every row of every table as text, a line each.
func dump(t testing.TB, rows *witness.Database) string {
	t.Helper()
	var tables []string
	list := "select name from sqlite_master where type = 'table'"
	if _, err := rows.Exec("select 1 from pg_class where false"); err == nil {
		list = "select tablename from pg_tables where schemaname = 'public'"
	}
	found, err := rows.Query(list)
	must(t, err)
	for found.Next() {
		var name string
		must(t, found.Scan(&name))
		tables = append(tables, name)
	}
	must(t, errors.Join(found.Err(), found.Close()))
	var out strings.Builder
	for _, table := range tables {
		all, err := rows.Query("select * from " + table)
		must(t, err)
		must(t, eachRow(all, func(values []any) { fmt.Fprintf(&out, "%s: %s\n", table, values) }))
	}
	return out.String()
}

// searchFiles looks at the bytes of the database.
func searchFiles(t *testing.T, db database, databaseURL string) {
	t.Helper()
	root := filepath.Dir(strings.TrimPrefix(databaseURL, "sqlite:"))
	if db.driver != "sqlite" {
		root = vacuumed(t, databaseURL)
	}
	n := 0
	must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		n += len(data)
		if i := bytes.Index(data, []byte("kanarienvogel")); i >= 0 {
			t.Errorf("%s has it at %d: %q", path, i, data[max(0, i-60):min(len(data), i+60)])
		}
		return err
	}))
	if n < 1<<16 {
		t.Errorf("only %d bytes were looked at", n)
	}
}

// vacuumed has PostgreSQL write all tables anew, as docs/privacy.md says, and returns the folder of the database's files.
func vacuumed(t *testing.T, databaseURL string) (folder string) {
	t.Helper()
	db := execute(t, databaseURL, "analyze", "vacuum full", "checkpoint")
	must(t, db.QueryRow("select current_setting('data_directory') || '/base/' || oid from pg_database where datname = current_database()").Scan(&folder))
	must(t, db.Close())
	return folder
}

// execute runs statements on PostgreSQL, one after the other.
func execute(t *testing.T, databaseURL string, statements ...string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", databaseURL)
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	for _, statement := range statements {
		_, err := db.Exec(statement)
		must(t, err)
	}
	return db
}
