package e2e

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"meibo/internal/witness"
	"meibo/provisioning"
	"meibo/scim"
	"meibo/store"
)

// errSabotage is what a sabotaged statement answers. No client may read it.
var errSabotage = errors.New("sabotaged")

// atLeisure reports whether a statement is no part of what a request writes: the times at which tokens were last used, the positions
// in the journal and their seals, cycles and captures are written whenever there is leisure.
func atLeisure(statement string) bool {
	return slices.Contains([]string{"credential", "position", "seal", "chain", "trace", "cycle", "cycle_entries", "capture"}, statement)
}

// sabotage fails statements before they write, but for those that are written at leisure.
type sabotage struct {
	mu    sync.Mutex
	next  int // the statement that fails, counted from 1; 0 for none
	all   bool
	fired bool
}

func (s *sabotage) beforeWrite(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if atLeisure(name) {
		return nil
	}
	if s.all {
		s.fired = true
		return errSabotage
	}
	if s.next == 0 {
		return nil
	}
	if s.next--; s.next == 0 {
		s.fired = true
		return errSabotage
	}
	return nil
}

// arm sets what fails from now on.
func (s *sabotage) arm(next int, all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next, s.all, s.fired = next, all, false
}

// disarm ends it and reports whether a statement failed.
func (s *sabotage) disarm() (fired bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fired = s.fired
	s.next, s.all, s.fired = 0, false, false
	return fired
}

// TestFailureLeavesOnlyItsEntry makes requests of every kind. Each is failed before each of its
// statements in turn, and in the midst of them by each table that it writes to, and must leave
// nothing but the entry of its failure; with all statements failing, not even that, and the client
// is told to come again. Then it goes through.
func TestFailureLeavesOnlyItsEntry(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		saboteur := &sabotage{}
		url := db.fresh(t)
		c := newServer(t, db, options{store: store.Options{URL: url, BeforeWrite: saboteur.beforeWrite}}).newTenant("fragile")
		w := &fragile{writer: c.newWriter(), t: t, saboteur: saboteur, triggers: newTriggers(t, db, url), ids: map[string]string{}}
		for _, step := range fragileSteps {
			w.play(step)
		}
		w.wantJournalled()
		for _, difference := range witness.Disagreements(c.entries(), c.stored()) {
			t.Error(difference)
		}
	})
}

// fragile is a tenant whose store fails on demand.
type fragile struct {
	*writer
	t        *testing.T
	saboteur *sabotage
	triggers *triggers
	ids      map[string]string // of resources, by the name that the steps have for them
}

// fragileStep is one request. {NAME} in target and body stands for the id of a resource.
type fragileStep struct {
	name           string
	method, target string
	body           string
	status         int
	creates        string // name for the resource of the answer
	writes         string // tables that it writes to, but for the entry of a write that changes nothing
}

const userSchema, groupSchema = `"schemas":["` + scim.UserSchema + `"]`, `"schemas":["` + scim.GroupSchema + `"]`

var fragileSteps = []fragileStep{
	{"a user", http.MethodPost, "/Users", `{` + userSchema + `,"userName":"ada@example.com","externalId":"6f1e0c2a-5b7d-4e1b-9c3f-0a1b2c3d4e5f",
		"emails":[{"type":"work","value":"ada@example.com","primary":true}]}`, 201, "ada", "resource tally resource_value entry"},
	{"a second user", http.MethodPost, "/Users", `{` + userSchema + `,"userName":"bob@example.com"}`, 201, "bob", "resource tally entry"},
	{"a refused user", http.MethodPost, "/Users", `{` + userSchema + `,"userName":"BOB@example.com"}`, 409, "", ""},
	{"a group with a member", http.MethodPost, "/Groups", `{` + groupSchema + `,"displayName":"Staff","members":[{"value":"{ada}"}]}`, 201, "staff", "resource tally member entry"},
	{"attributes", http.MethodPatch, "/Users/{ada}", patchBody(`{"op":"add","path":"title","value":"Countess"},{"op":"replace","path":"emails[type eq \"work\"].value","value":"countess@example.com"},
		{"op":"add","path":"` + scim.EnterpriseUserSchema + `:manager","value":{"value":"{bob}"}}`), 200, "", "resource resource_value entry"},
	{"nothing new", http.MethodPatch, "/Users/{ada}", patchBody(`{"op":"add","path":"title","value":"Countess"}`), 200, "", ""},
	{"members", http.MethodPatch, "/Groups/{staff}", patchBody(`{"op":"add","path":"members","value":[{"value":"{bob}"}]},{"op":"remove","path":"members[value eq \"{ada}\"]"}`), 204, "", "resource member entry"},
	{"all members", http.MethodPut, "/Groups/{staff}", `{` + groupSchema + `,"displayName":"Crew","members":[{"value":"{ada}"}]}`, 200, "", "resource member entry"},
	{"a new name", http.MethodPut, "/Users/{ada}", `{` + userSchema + `,"userName":"lovelace@example.com","externalId":"6f1e0c2a-5b7d-4e1b-9c3f-0a1b2c3d4e5f"}`, 200, "", "resource resource_value entry"},
	{"a leaver", http.MethodPatch, "/Users/{ada}", patchBody(`{"op":"replace","path":"active","value":false}`), 200, "", "resource entry"},
	{"a deletion", http.MethodDelete, "/Users/{ada}", "", 204, "", "resource tally entry"},
	{"a deletion of what is gone", http.MethodDelete, "/Users/{ada}", "", 404, "", ""},
	{"a recycled name", http.MethodPost, "/Users", `{` + userSchema + `,"userName":"lovelace@example.com"}`, 201, "heir", "resource tally entry"},
	{"another name for the heir", http.MethodPatch, "/Users/{heir}", patchBody(`{"op":"replace","path":"userName","value":"heir@example.com"}`), 200, "", "resource entry"},
	{"a return", http.MethodPost, "/Users", `{` + userSchema + `,"userName":"ada@example.com","externalId":"6f1e0c2a-5b7d-4e1b-9c3f-0a1b2c3d4e5f"}`, 201, "ada", "resource tally entry"},
	{"a group's end", http.MethodDelete, "/Groups/{staff}", "", 204, "", "resource tally entry"},
}

func (w *fragile) play(s fragileStep) {
	for name, id := range w.ids {
		s.target, s.body = strings.ReplaceAll(s.target, "{"+name+"}", id), strings.ReplaceAll(s.body, "{"+name+"}", id)
	}
	before, entries := w.dump(), w.entries()

	w.saboteur.arm(0, true)
	a := w.must(s, http.StatusServiceUnavailable)
	w.saboteur.disarm()
	delete(w.writes, a.correlation) // the client will come again; the journal could not be written
	w.wantUnchanged(s, before)
	if diff := gocmp.Diff(entries, w.entries()); diff != "" {
		w.t.Fatalf("%s: with every statement failing, entries (-before +after):\n%s", s.name, diff)
	}

	for table := range strings.FieldsSeq(s.writes) {
		w.triggers.set(table)
		a := w.must(s, http.StatusInternalServerError)
		w.triggers.remove(table)
		w.wantUnchanged(s, before)
		entries = w.wantFailure(s, a, entries)
	}

	statements := 0
	for {
		w.saboteur.arm(statements+1, false)
		a := w.must(s, s.status, http.StatusInternalServerError, http.StatusServiceUnavailable)
		if !w.saboteur.disarm() {
			w.wantStatus(s, a, s.status)
			if s.creates != "" {
				w.ids[s.creates] = a.id()
			}
			break
		}
		statements++
		w.wantUnchanged(s, before)
		entries = w.wantFailure(s, a, entries)
	}
	least := 1
	if w.db.driver == "sqlite" { // a table a statement; PostgreSQL does most in one
		least = max(1, len(strings.Fields(s.writes)))
	}
	if statements < least {
		w.t.Errorf("%s: %d statements were failed, want %d at least", s.name, statements, least)
	}
}

// must sends the step's request.
func (w *fragile) must(s fragileStep, statuses ...int) answer {
	w.t.Helper()
	a, err := w.write(w.t.Context(), s.method, s.target, s.body, statuses...)
	if err != nil {
		w.t.Fatalf("%s: %v", s.name, err)
	}
	if strings.Contains(a.body, errSabotage.Error()) {
		w.t.Errorf("%s: the client reads what failed inside: %s", s.name, a.body)
	}
	return a
}

func (w *fragile) wantStatus(s fragileStep, a answer, status int) {
	w.t.Helper()
	if a.status != status {
		w.t.Fatalf("%s: answered %d, want %d: %s", s.name, a.status, status, a.body)
	}
}

// wantFailure fails unless the one new entry is that of the failed request, and returns the entries.
// A request that was to be refused writes nothing but its entry: where that fails, nothing is left.
// On PostgreSQL a create may fail before it is known that it is to be refused.
func (w *fragile) wantFailure(s fragileStep, a answer, before []provisioning.Entry) []provisioning.Entry {
	w.t.Helper()
	if s.status >= 400 && a.status == http.StatusServiceUnavailable {
		delete(w.writes, a.correlation)
		if n := len(w.entries()) - len(before); n != 0 {
			w.t.Fatalf("%s: %d new entries, though their writing failed", s.name, n)
		}
		return before
	}
	if refused := s.status >= 400; refused && s.method != http.MethodPost {
		w.t.Fatalf("%s: a write was tried before it was refused", s.name)
	}
	w.wantStatus(s, a, http.StatusInternalServerError)
	after := w.entries()
	if len(after) != len(before)+1 || !gocmp.Equal(before, after[:len(before)]) {
		w.t.Fatalf("%s: entries before and after one that failed:\n%s", s.name, gocmp.Diff(before, after))
	}
	e := after[len(before)]
	if e.Outcome != provisioning.Failure || e.Correlation != a.correlation || e.Error == nil || strings.Contains(e.Error.Detail, errSabotage.Error()) {
		w.t.Errorf("%s: the entry of the failure is %+v with error %+v", s.name, e, e.Error)
	}
	return after
}

func (w *fragile) wantUnchanged(s fragileStep, before []string) {
	w.t.Helper()
	if diff := gocmp.Diff(before, w.dump()); diff != "" {
		w.t.Fatalf("%s: rows (-before +after a failure):\n%s", s.name, diff)
	}
}

// dumped are the tables of a directory, without the journal and the tokens. Tallies are summed,
// since they are moved from one table to the other in the background.
var dumped = map[string]string{
	"resource":       "select * from resource",
	"resource_value": "select * from resource_value",
	"member":         "select * from member",
	"tally": `select lane, sum(n) from (select lane, delta as n from tally union all select lane, n from tally_total) as x
		group by lane having sum(n) <> 0`,
}

// dump is every row of the directory, in an order of its own.
func (c *tenant) dump() []string {
	c.t.Helper()
	var all []string
	for table, text := range dumped {
		rows, err := c.rows.QueryContext(context.Background(), text)
		if err != nil {
			c.t.Fatal(err)
		}
		err = eachRow(rows, func(values []any) { all = append(all, fmt.Sprintf("%s: %v", table, values)) })
		if err != nil {
			c.t.Fatal(err)
		}
	}
	slices.Sort(all)
	return all
}

// eachRow calls fn with the columns of each row, text as strings, and closes the rows.
func eachRow(rows *sql.Rows, fn func(values []any)) error {
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		for i, v := range values {
			if text, ok := v.([]byte); ok {
				values[i] = string(text)
			}
		}
		fn(values)
	}
	return rows.Err()
}

// triggers make tables refuse new values, through a connection of their own.
type triggers struct {
	t        *testing.T
	rows     *sql.DB
	isSQLite bool
}

func newTriggers(t *testing.T, db database, url string) *triggers {
	t.Helper()
	rows, err := sql.Open(db.driver, db.dsn(url))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rows.Close() })
	x := &triggers{t: t, rows: rows, isSQLite: db.driver == "sqlite"}
	if x.isSQLite {
		rows.SetMaxOpenConns(1)
		x.exec("pragma query_only = 0")
	} else {
		x.exec(fmt.Sprintf("create function sabotage() returns trigger language plpgsql as $$ begin raise exception '%s'; end $$", errSabotage))
	}
	return x
}

func (x *triggers) exec(text string) {
	x.t.Helper()
	if _, err := x.rows.ExecContext(x.t.Context(), text); err != nil {
		x.t.Fatal(err)
	}
}

// set makes a table refuse every write; the journal goes on to take the entries of failures.
func (x *triggers) set(table string) {
	x.t.Helper()
	events, when := []string{"insert", "update", "delete"}, ""
	if table == "entry" {
		events, when = events[:1], "when (new.version > 0) "
	}
	if !x.isSQLite {
		x.exec("create trigger sabotage before " + strings.Join(events, " or ") + " on " + table + " for each row " + when + "execute function sabotage()")
		return
	}
	for _, event := range events {
		x.exec(fmt.Sprintf("create trigger sabotage_%s before %s on %s %sbegin select raise(abort, '%s'); end", event, event, table, when, errSabotage))
	}
}

func (x *triggers) remove(table string) {
	x.t.Helper()
	if !x.isSQLite {
		x.exec("drop trigger sabotage on " + table)
		return
	}
	x.exec("drop trigger if exists sabotage_insert; drop trigger if exists sabotage_update; drop trigger if exists sabotage_delete")
}
