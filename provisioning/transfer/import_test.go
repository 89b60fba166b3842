package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"meibo/internal/witness"
	"meibo/provisioning"
	"meibo/provisioning/transfer"
	"meibo/scim"
	"meibo/store"
	"meibo/store/storetest"
)

// directory is a tenant with the connections entra and hr beside the one that every tenant has.
type directory struct {
	*provisioning.Service
	origin provisioning.Origin
}

// noAnswer is a host application that says nothing.
func noAnswer(context.Context, provisioning.ImpactQuery) (map[string]int64, error) {
	return nil, errors.New("no answer")
}

func newDirectory(t *testing.T, s provisioning.Store, tenant string) *directory {
	t.Helper()
	d := &directory{Service: provisioning.New(provisioning.Options{Store: s, Impact: noAnswer}),
		origin: provisioning.Origin{Tenant: tenant, Actor: "command line", Correlation: "c0ffee"}}
	if _, err := d.CreateTenant(t.Context(), d.origin); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"entra", "hr"} {
		if _, err := d.CreateConnection(t.Context(), d.origin, name); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// settings puts in force what edit makes of the default ones.
func (d *directory) settings(t *testing.T, connection string, edit func(*provisioning.Settings)) {
	t.Helper()
	draft := provisioning.DefaultSettings()
	edit(&draft)
	if _, _, err := d.ApplySettings(t.Context(), d.of(t, connection), connection, provisioning.SettingsDraft{Settings: draft, Expect: provisioning.AnyVersion}); err != nil {
		t.Fatal(err)
	}
}

// of is the origin of a connection's requests.
func (d *directory) of(t *testing.T, connection string) provisioning.Origin {
	t.Helper()
	o := d.origin
	var err error
	if o.Connection, err = d.Connection(t.Context(), o.Tenant, connection); err != nil {
		t.Fatal(err)
	}
	return o
}

func (d *directory) create(t *testing.T, connection string, kind scim.ResourceType, a scim.Attributes, members ...string) string {
	t.Helper()
	b := provisioning.Body{Attributes: a}
	for _, m := range members {
		b.Members = append(b.Members, scim.Member{Value: m, Display: "member " + m[:4]})
	}
	res, err := d.Create(t.Context(), d.of(t, connection), kind, b)
	if err != nil {
		t.Fatal(err)
	}
	return res.Resource.ID
}

func (d *directory) patch(t *testing.T, connection string, kind scim.ResourceType, id string, ops ...scim.Operation) {
	t.Helper()
	if _, err := d.Patch(t.Context(), d.of(t, connection), kind, id, ops, scim.PatchOptions{}, nil, provisioning.References{}); err != nil {
		t.Fatal(err)
	}
}

func (d *directory) remove(t *testing.T, connection string, kind scim.ResourceType, id string) {
	t.Helper()
	if err := d.Delete(t.Context(), d.of(t, connection), kind, id, nil); err != nil {
		t.Fatal(err)
	}
}

func (d *directory) act(t *testing.T, kind scim.ResourceType, id string, a provisioning.Act) {
	t.Helper()
	if _, err := d.Act(t.Context(), d.origin, kind, id, a); err != nil {
		t.Fatal(err)
	}
}

func user(name string) scim.Attributes {
	return scim.Attributes{"userName": name, "active": true, "name": map[string]any{"familyName": "=" + name},
		"emails":                  []any{map[string]any{"type": "work", "value": name + "@example.com", "primary": true}},
		scim.EnterpriseUserSchema: map[string]any{"department": "a\r\nb"}, "urn:example:ext": map[string]any{"badge": "7", "odd": []any{"x"}}}
}

// fill gives the directory one of everything, and the connection hr a mapping of its own.
func (d *directory) fill(t *testing.T) {
	t.Helper()
	rules := provisioning.DefaultSettings()
	rules.Mapping.UserName = provisioning.UserNameSettings{Mode: provisioning.LocalUserName, Frozen: true}
	rules.Mapping.Users = []provisioning.MappingRow{{Target: "title", Constant: "From HR", Apply: provisioning.ApplyAtCreation},
		{Target: "nickName", Source: "displayName"}, {Target: scim.EnterpriseUserSchema + ":department"}}
	if _, _, err := d.ApplySettings(t.Context(), d.origin, "hr", provisioning.SettingsDraft{Settings: rules}); err != nil {
		t.Fatal(err)
	}
	ann := d.create(t, "entra", scim.User, user("ann"))
	bob := d.create(t, "entra", scim.User, user("bob"))
	gone := d.create(t, "entra", scim.User, user("gone"))
	out := d.create(t, "hr", scim.User, user("out"))
	d.create(t, "hr", scim.Group, scim.Attributes{"displayName": "hr of out"}, out)
	admin := d.create(t, "hr", scim.User, user("admin"))
	safe := d.create(t, "hr", scim.User, user("safe@example.com"))
	changed := d.create(t, "hr", scim.User, user("changed"))
	again := d.create(t, "entra", scim.User, user("again"))
	inner := d.create(t, "entra", scim.Group, scim.Attributes{"displayName": "inner"}, ann, gone)
	old := d.create(t, "entra", scim.Group, scim.Attributes{"displayName": "old"}, bob)
	d.create(t, "entra", scim.Group, scim.Attributes{"displayName": "outer", "externalId": "+1"}, inner, bob)
	late := d.create(t, "entra", scim.Group, scim.Attributes{"displayName": "late"}, ann)
	d.patch(t, "entra", scim.Group, inner, scim.Operation{Op: "add", Path: "members", Value: []any{map[string]any{"value": late}}})
	kept := d.create(t, "hr", scim.Group, scim.Attributes{"displayName": "kept"}, admin, safe)
	yes := true
	d.act(t, scim.Group, kept, provisioning.Act{Protected: &yes})
	d.patch(t, "hr", scim.Group, kept, scim.Operation{Op: "remove", Path: "members"}) // which the guard withholds

	d.patch(t, "entra", scim.User, bob, scim.Operation{Op: "replace", Path: "active", Value: false})
	d.remove(t, "entra", scim.User, gone)
	d.remove(t, "entra", scim.User, again)
	d.create(t, "entra", scim.User, user("again")) // somebody else, under a name that was free again
	d.remove(t, "entra", scim.Group, old)
	role := "admin"
	d.act(t, scim.User, admin, provisioning.Act{Role: &role})
	d.act(t, scim.User, safe, provisioning.Act{Protected: &yes})
	d.act(t, scim.User, changed, provisioning.Act{Overrides: map[string]any{"title": "@chosen", "name.familyName": "Chosen"}})
	d.act(t, scim.User, out, provisioning.Act{State: provisioning.Removed, Grace: provisioning.Period(1e15)})
	d.patch(t, "hr", scim.User, safe, scim.Operation{Op: "replace", Path: "active", Value: false})
	d.patch(t, "hr", scim.User, safe, scim.Operation{Op: "replace", Path: "userName", Value: "renamed@example.com"})
}

var both = []scim.ResourceType{scim.User, scim.Group}

func (d *directory) export(t *testing.T, f transfer.Format) string {
	t.Helper()
	var b strings.Builder
	if _, err := transfer.Export(t.Context(), d, d.origin.Tenant, &b, transfer.ExportOptions{Types: both, Format: f}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// options are those of an import of a file.
func (d *directory) options(file string) transfer.ImportOptions {
	return transfer.ImportOptions{Service: d.Service, Origin: d.origin,
		Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(file)), nil }}
}

// plan plans an import and lists what it does, a line each.
func (d *directory) plan(t *testing.T, o transfer.ImportOptions) (*transfer.Plan, []string) {
	t.Helper()
	var lines []string
	o.Planned = func(p transfer.Planned) error {
		lines = append(lines, says(p))
		return nil
	}
	plan, err := transfer.NewPlan(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return plan, lines
}

func says(p transfer.Planned) string {
	text := fmt.Sprintf("%s %s %s", p.Verb, p.Type, p.Name)
	for _, c := range p.Diff {
		if p.Verb != transfer.Add {
			text += fmt.Sprintf("; %s: %v → %v", c.Path, c.Old, c.New)
		}
	}
	for _, m := range p.Members.Remove {
		text += "; -" + m
	}
	if p.Warning.Code != "" {
		text += "; " + p.Warning.Code
	}
	return text
}

func (d *directory) imports(t *testing.T, o transfer.ImportOptions) *transfer.Plan {
	t.Helper()
	plan, _ := d.plan(t, o)
	if len(plan.Faults) > 0 {
		t.Fatalf("faults: %v", plan.Faults)
	}
	if _, err := transfer.Apply(t.Context(), o, plan); err != nil {
		t.Fatal(err)
	}
	return plan
}

// What was exported comes back in an empty tenant, on the same database or the other, and is exported as it was.
func TestExportImportExport(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		from := newDirectory(t, s, "acme")
		from.fill(t)
		storetest.Each(t, func(t *testing.T, s provisioning.Store) {
			for _, f := range []transfer.Format{transfer.CSV, transfer.NDJSON} {
				t.Run(string(f), func(t *testing.T) {
					file := from.export(t, f)
					if n := strings.Count(from.export(t, transfer.NDJSON), "\n"); n != 15 {
						t.Fatalf("%d rows are exported", n)
					}
					if f == transfer.NDJSON {
						s = storetest.Open(t)
					}
					to := newDirectory(t, s, "acme")
					to.imports(t, to.options(file))
					if diff := cmp.Diff(strings.Split(file, "\n"), strings.Split(to.export(t, f), "\n")); diff != "" {
						t.Fatalf("export of the copy (-original +copy):\n%s", diff)
					}
					plan, lines := to.plan(t, to.options(file))
					if plan.Count[transfer.Skip] != 15 {
						t.Errorf("imported again, the file is to change something: %q", lines)
					}
				})
			}
		})
	})
}

// A plan says per row what it does; applied, it does that and no more.
// TestExportMarksGuesses: what nobody confirmed is marked in NDJSON, and an import takes the mark for what it is.
func TestExportMarksGuesses(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t), "acme")
	s := provisioning.DefaultSettings()
	s.Mapping.Users = []provisioning.MappingRow{{Target: "nickName", Expression: "Kana(displayName)"}}
	if _, _, err := d.ApplySettings(t.Context(), d.origin, provisioning.DefaultConnection, provisioning.SettingsDraft{Settings: s, Expect: provisioning.AnyVersion}); err != nil {
		t.Fatal(err)
	}
	d.create(t, provisioning.DefaultConnection, scim.User, scim.Attributes{"userName": "taro", "displayName": "山田"})
	file := d.export(t, transfer.NDJSON)
	if !strings.Contains(file, `"guessed":"nickName"`) {
		t.Errorf("no mark in %s", file)
	}
	if _, lines := d.plan(t, d.options(file)); len(lines) != 1 || lines[0] != "Skip User taro" {
		t.Errorf("the file would come to %q", lines)
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		d := newDirectory(t, s, "acme")
		ann := d.create(t, "entra", scim.User, user("ann"))
		bob := d.create(t, "entra", scim.User, user("bob"))
		hers := d.create(t, "entra", scim.Group, scim.Attributes{"displayName": "staff"}, ann, bob)
		d.create(t, "entra", scim.User, user("missing"))
		d.create(t, "hr", scim.User, user("other"))

		owner := "entra"
		o := d.options("type,id,userName,displayName,title,active,state\n" +
			"User," + ann + ",ann,,Boss,true,\n" +
			"User,,bob,,,true,active\n" +
			"User,,new,,,true,\n" +
			"Group,,,staff,,,\n")
		o.Owner, o.DeleteMissing = &owner, true
		plan, lines := d.plan(t, o)
		want := []string{
			"Update User ann; title: <nil> → Boss",
			"Skip User bob",
			"Add User new",
			"Skip Group staff",
			"Delete User missing; meibo.state: active → suspended; meibo.visible: true → false",
		}
		if diff := cmp.Diff(want, lines); diff != "" {
			t.Fatalf("plan (-want +got):\n%s", diff)
		}
		again, _ := d.plan(t, o)
		if plan.Digest != again.Digest || plan.Digest == "" {
			t.Errorf("digests %s and %s of one plan", plan.Digest, again.Digest)
		}
		if n, err := transfer.Apply(t.Context(), o, plan); err != nil || n != 3 {
			t.Fatalf("%d changes, %v", n, err)
		}
		after, lines := d.plan(t, o)
		if after.Count[transfer.Skip] != 4 || after.Rows != 4 || after.Digest == plan.Digest {
			t.Errorf("after it: %q", lines)
		}
		_ = hers
	})
}

// If anybody changes what a plan speaks of, it has another digest; whoever applies the old one is stopped.
func TestWorldMoved(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t), "acme")
	ann := d.create(t, "entra", scim.User, user("ann"))
	owner := "entra"
	o := d.options("userName,title\nann,Boss\nbob,\n")
	o.Owner = &owner
	plan, _ := d.plan(t, o)
	d.patch(t, "entra", scim.User, ann, scim.Operation{Op: "replace", Path: "nickName", Value: "A"})
	if moved, _ := d.plan(t, o); moved.Digest == plan.Digest {
		t.Error("the digest does not see that the world moved")
	}
	n, err := transfer.Apply(t.Context(), o, plan)
	if provisioning.KindOf(err) != provisioning.Precondition || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("%d changes, %v", n, err)
	}
	d.imports(t, o) // and it goes on
	if _, lines := d.plan(t, o); strings.Join(lines, ", ") != "Skip User ann, Skip User bob" {
		t.Errorf("after it: %q", lines)
	}
}

// The tolerance of a connection weighs a plan as a whole, those too who wait for the host application at first.
func TestVerdict(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*provisioning.Settings){
		"at once": func(*provisioning.Settings) {},
		"after an answer": func(s *provisioning.Settings) {
			s.Deletion.Users.Deactivated, s.Matters.Impact.URL = provisioning.DeletePolicy, "https://app.example/impact"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantVerdicts(t, edit)
		})
	}
}

func wantVerdicts(t *testing.T, edit func(*provisioning.Settings)) {
	t.Helper()
	d := newDirectory(t, storetest.Open(t), "acme")
	d.settings(t, "entra", edit)
	var file strings.Builder
	file.WriteString("userName,active\n")
	for i := range 100 {
		name := fmt.Sprintf("u%03d", i)
		d.create(t, "entra", scim.User, user(name))
		fmt.Fprintf(&file, "%s,%t\n", name, i >= 71)
	}
	owner := "entra"
	o := d.options(file.String())
	o.Owner = &owner
	plan, _ := d.plan(t, o)
	want := []transfer.Verdict{{Connection: "entra", Verdict: provisioning.Verdict{Kind: provisioning.BudgetUsers,
		Leaving: 71, Of: 100, Limit: 25, Share: 20, Stopped: true}}}
	if diff := cmp.Diff(want, plan.Verdicts); diff != "" || !plan.Stopped() {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
	o = d.options(strings.Join(strings.SplitAfter(file.String(), "\n")[:25], ""))
	o.Owner = &owner
	if plan, _ := d.plan(t, o); plan.Stopped() || plan.Verdicts[0].Leaving != 24 {
		t.Errorf("24 of 100 are stopped: %+v", plan.Verdicts)
	}
}

// A role that looks like one that protects, and is none, is a mistake; one of settings that are yet to come is not.
func TestMisspeltRole(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t), "acme")
	plan, _ := d.plan(t, d.options("type,connection,userName,role\nUser,entra,a,Admin\nUser,entra,b,admin\nUser,entra,c,auditor\n"))
	const want = `line 2, column role: there is no such role; write one of ["ordinary" "admin"] as it is here`
	if len(plan.Faults) != 1 || plan.Faults[0].Error() != want {
		t.Errorf("faults %v, want only %s", plan.Faults, want)
	}
}

// Every mistake is named at once, with line, column and remedy, and what else is in the file is planned all the same.
func TestFaultsOfRows(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t), "acme")
	d.create(t, "hr", scim.User, user("taken"))
	file := "type,id,connection,userName,displayName,emails,state,group\n" +
		"User,,entra,,nobody,,,\n" +
		"User,,nowhere,a,,,,\n" +
		"User,,entra,good,,,,\n" +
		"User,,entra,GOOD,,,,\n" +
		"User,,entra,b,,\"[{\"\"value\"\":1}]\",,\n" +
		"User,,entra,c,,,away,\n" +
		"User,,entra,taken,,,,\n" +
		"Group,22222222-2222-4222-8222-222222222222,entra,,G,,,\n" +
		"Member,11111111-1111-4111-8111-111111111111,,,,,,\n"
	plan, _ := d.plan(t, d.options(file))
	var got []string
	for _, f := range plan.Faults {
		got = append(got, f.Error())
	}
	want := []string{
		"line 2: the row has neither an id nor a name; say which resource it speaks of",
		"line 3, column connection: there is no connection of that name; create it first, or choose one of default, entra, hr",
		"line 5, column userName: line 4 has it already; one row speaks of one resource",
		"line 6, column emails.value: element 1: expected a string, got a number",
		"line 7, column state: there is no such state; write active, suspended, held or removed",
	}
	if diff := cmp.Diff(want, got[:min(len(got), 5)]); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	for i, part := range []string{"line 8, column userName: ", "line 9, column members: "} {
		if len(got) != 7 || !strings.HasPrefix(got[5+i], part) {
			t.Errorf("faults are %q", got)
		}
	}
	if plan.Count[transfer.Invalid] != 7 || plan.Count[transfer.Add] != 1 {
		t.Errorf("counts %v", plan.Count)
	}
}

// TestRowsOfNoType: a row that is of no type, or a Member row without a group before it, is a mistake like others, and
// nothing is applied.
func TestRowsOfNoType(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{
		"another case": "type,userName,connection\nuser,ann,entra\nUser,bob,entra\n",
		"none":         "type,userName,connection\n,ann,entra\nUser,bob,entra\n",
		"a member":     "type,id,userName,connection,group\nMember,x,,,g\nUser,,bob,entra,\n",
		"NDJSON":       `{"type":"Robot","connection":"entra","attributes":{"userName":"ann"}}` + "\n" + `{"type":"User","connection":"entra","attributes":{"userName":"bob"}}` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDirectory(t, storetest.Open(t), "acme")
			plan, _ := d.plan(t, d.options(file))
			if len(plan.Faults) == 0 || plan.Count[transfer.Invalid] != 1 || plan.Count[transfer.Add] != 1 {
				t.Errorf("counts %v, faults %v", plan.Count, plan.Faults)
			}
		})
	}
}

// The guard holds over imports as over everything: whoever is protected stays.
func TestImportKeepsProtected(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t), "acme")
	ann := d.create(t, "entra", scim.User, user("ann"))
	yes := true
	d.act(t, scim.User, ann, provisioning.Act{Protected: &yes})
	owner := "entra"
	for _, file := range []string{"userName,active\nann,false\n", "userName,state\nann,removed\n", "userName,state\nann,suspended\n", "userName\nsomebody\n"} {
		o := d.options(file)
		o.Owner, o.DeleteMissing = &owner, true
		_, lines := d.plan(t, o)
		d.imports(t, o)
		x, err := d.Account(t.Context(), "acme", scim.User, ann)
		if err != nil || x.State != provisioning.Active {
			t.Errorf("after %q (%q): state %s, %v", file, lines, x.State, err)
		}
		if !strings.Contains(strings.Join(lines, "\n"), provisioning.ReasonKept) {
			t.Errorf("the plan of %q does not say that the guard keeps her: %q", file, lines)
		}
	}
}

// A backup brings back what was lost since: names, memberships, roles, and what was purged.
func TestImportRestores(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		d := newDirectory(t, s, "acme")
		d.fill(t)
		backup := d.export(t, transfer.CSV)
		for kind, names := range map[scim.ResourceType][]string{scim.User: {"ann", "changed", "admin"}, scim.Group: {"outer", "inner"}} {
			for _, name := range names {
				x := d.named(t, kind, name)
				switch name {
				case "admin":
					none := ""
					d.act(t, kind, x.ID, provisioning.Act{Role: &none})
					d.act(t, kind, x.ID, provisioning.Act{State: provisioning.Removed})
				case "changed":
					d.remove(t, "hr", kind, x.ID)
					d.act(t, kind, x.ID, provisioning.Act{State: provisioning.Removed})
					d.act(t, kind, x.ID, provisioning.Act{Purge: true})
				default:
					d.remove(t, "entra", kind, x.ID)
				}
			}
		}
		d.create(t, "entra", scim.User, scim.Attributes{"userName": "newcomer"})
		if d.export(t, transfer.CSV) == backup {
			t.Fatal("nothing was lost")
		}
		plan := d.imports(t, d.options(backup))
		if plan.Count[transfer.Update] != 5 {
			t.Errorf("counts %v", plan.Count)
		}
		var left []string
		for _, line := range strings.Split(d.export(t, transfer.CSV), "\n") {
			if !strings.Contains(line, "newcomer") {
				left = append(left, line)
			}
		}
		if diff := cmp.Diff(strings.Split(backup, "\n"), left); diff != "" {
			t.Errorf("export after the backup was imported (-backup +now):\n%s", diff)
		}
	})
}

// named finds a resource by its name.
func (d *directory) named(t *testing.T, kind scim.ResourceType, name string) provisioning.Resource {
	t.Helper()
	var found provisioning.Resource
	err := d.Accounts(t.Context(), d.origin.Tenant, provisioning.AccountQuery{Type: kind, Connection: -1, Removed: true}, func(x provisioning.Resource) error {
		if x.Index.Name == name {
			found = x
		}
		return nil
	})
	if err != nil || found.ID == "" {
		t.Fatalf("%s %s: %v", kind, name, err)
	}
	return found
}

// An import that was broken off goes on when the file is imported again, and nothing is done twice.
func TestInterruptedImport(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		from := newDirectory(t, storetest.Open(t), "acme")
		from.fill(t)
		file := from.export(t, transfer.CSV)
		to := newDirectory(t, s, "acme")
		for n := range 100 {
			o := to.options(file)
			plan, _ := to.plan(t, o)
			if plan.Count[transfer.Skip] == 15 {
				break
			}
			ctx, cancel := context.WithCancel(t.Context())
			o.Progress = func(string, int, int) {
				if n--; n < 0 { // each time a little later
					cancel()
				}
			}
			_, err := transfer.Apply(ctx, o, plan)
			cancel()
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(strings.Split(file, "\n"), strings.Split(to.export(t, transfer.CSV), "\n")); diff != "" {
			t.Errorf("export of the copy (-original +copy):\n%s", diff)
		}
		created := map[string]int{}
		err := to.Entries(t.Context(), "acme", provisioning.EntryQuery{Action: provisioning.ActionCreate}, func(e provisioning.Entry) error {
			created[e.ResourceID]++
			return nil
		})
		if err != nil || len(created) != 15 {
			t.Errorf("%d resources were made, %v", len(created), err)
		}
		for id, n := range created {
			if n != 1 {
				t.Errorf("%s was made %d times", id, n)
			}
		}
	})
}

// Whatever an import did, the journal tells: folding it gives what is stored.
func TestJournalOfImportsFolds(t *testing.T) {
	t.Parallel()
	from := newDirectory(t, storetest.Open(t), "acme")
	from.fill(t)
	file := from.export(t, transfer.NDJSON)
	for name, fresh := range map[string]func(testing.TB) string{"SQLite": storetest.SQLite, "PostgreSQL": storetest.PostgreSQL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := fresh(t)
			s, err := store.Open(t.Context(), store.Options{URL: url})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			d := newDirectory(t, s, "acme")
			d.imports(t, d.options(file))
			for _, change := range []string{"id,connection,title\n", "id,connection,title,role,protected,overrides\n", "id,connection,state,visible\n"} {
				x := d.named(t, scim.User, "ann")
				row := x.ID + ",hr,Boss,admin,true,\"{\"\"nickName\"\":\"\"Chosen\"\"}\"\n"
				switch {
				case strings.Contains(change, "state"):
					d.imports(t, d.options("id,protected,role\n"+x.ID+",false,ordinary\n"))
					row = x.ID + ",,removed,false\n"
				case !strings.Contains(change, "role"):
					row = x.ID + ",entra,+1\n"
				}
				d.imports(t, d.options("type,"+change+"User,"+row))
			}
			d.imports(t, d.options(file))
			var entries []provisioning.Entry
			if err := d.Entries(t.Context(), "acme", provisioning.EntryQuery{}, func(e provisioning.Entry) error {
				entries = append(entries, e)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			db, err := witness.Open(url)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			stored, err := db.Stored(t.Context(), "acme")
			if err != nil || len(stored) != 15 {
				t.Fatalf("%d resources, %v", len(stored), err)
			}
			for _, p := range witness.Disagreements(entries, stored) {
				t.Error(p)
			}
		})
	}
}
