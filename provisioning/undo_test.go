package provisioning_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"meibo/internal/testkit"
	"meibo/provisioning"
	"meibo/scim"
	"meibo/store/storetest"
)

func newUndoOffice(t *testing.T) *playground {
	t.Helper()
	return newPlayground(t, storetest.Open(t), testkit.NewClock(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)), "acme", 0)
}

// by is the origin of a request of a connection, a second after the last.
func (p *playground) by(c provisioning.Connection) provisioning.Origin {
	p.clock.Advance(time.Second)
	current, err := p.Connection(p.t.Context(), p.tenant, c.Name)
	p.must(err)
	return provisioning.Origin{Tenant: p.tenant, Connection: current, Actor: "token of " + c.Name, Correlation: fmt.Sprint("request ", p.clock.Now().UnixMicro())}
}

func (p *playground) user(c provisioning.Connection, a scim.Attributes) string {
	p.t.Helper()
	r, err := p.Create(p.t.Context(), p.by(c), scim.User, provisioning.Body{Attributes: a})
	p.must(err)
	return r.Resource.ID
}

func (p *playground) group(c provisioning.Connection, name string, members ...string) string {
	p.t.Helper()
	b := provisioning.Body{Attributes: scim.Attributes{"displayName": name}}
	for _, id := range members {
		b.Members = append(b.Members, scim.Member{Value: id})
	}
	r, err := p.Create(p.t.Context(), p.by(c), scim.Group, b)
	p.must(err)
	return r.Resource.ID
}

// patch sends operations and returns the id of their entry.
func (p *playground) patch(c provisioning.Connection, t scim.ResourceType, id string, ops ...scim.Operation) string {
	p.t.Helper()
	_, err := p.Patch(p.t.Context(), p.by(c), t, id, ops, scim.PatchOptions{CreateElements: true}, nil, provisioning.References{})
	p.must(err)
	return p.lastEntry(id)
}

func (p *playground) lastEntry(id string) string {
	p.t.Helper()
	var last string
	p.must(p.Entries(p.t.Context(), p.tenant, provisioning.EntryQuery{Resource: id, Limit: 1}, func(e provisioning.Entry) error { last = e.ID; return nil }))
	return last
}

func (p *playground) does(t scim.ResourceType, id string, a provisioning.Act) {
	p.t.Helper()
	p.clock.Advance(time.Second)
	_, err := p.Act(p.t.Context(), p.person(), t, id, a)
	p.must(err)
}

// undoEntry undoes one entry; its plan must have said what became of it.
func (p *playground) undoEntry(entry string) (provisioning.ResourceUndo, provisioning.UndoResult) {
	p.t.Helper()
	p.clock.Advance(time.Second)
	q := provisioning.UndoQuery{Entry: entry}
	plan, err := p.PlanUndo(p.t.Context(), p.tenant, q)
	p.must(err)
	result := p.undo(q)
	if changes := !plan.Resources[0].IsZero(); changes != (result.Undone == 1) {
		p.t.Errorf("the plan %+v came to %+v", plan.Resources[0], result)
	}
	return plan.Resources[0], result
}

func (p *playground) effective(t scim.ResourceType, id string) (account, scim.Attributes) {
	p.t.Helper()
	a := p.snapshot()[id]
	return a, a.Effective
}

func replace(path string, v any) scim.Operation {
	return scim.Operation{Op: "replace", Path: path, Value: v}
}

const department = scim.EnterpriseUserSchema + ":department"

// TestUndoLeavesWhatOthersChangedSince: it is listed with who and when, and the rest is undone.
func TestUndoLeavesWhatOthersChangedSince(t *testing.T) {
	t.Parallel()
	p := newUndoOffice(t)
	id := p.user(p.a, scim.Attributes{"userName": "ada", "title": "Dr."})
	entry := p.patch(p.a, scim.User, id, replace("title", "Countess"), replace("nickName", "Addie"))
	p.does(scim.User, id, provisioning.Act{Overrides: map[string]any{"title": "Chief"}})
	others := p.lastEntry(id)
	at := p.clock.Now()

	plan, result := p.undoEntry(entry)
	want := []provisioning.UndoConflict{{Path: "title", Entry: others, At: at, By: "person"}}
	if diff := cmp.Diff(want, plan.Conflicts); diff != "" {
		t.Errorf("conflicts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]provisioning.AttributeChange{{Path: "nickName", Old: "Addie"}}, plan.Changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if len(result.Left) != 1 || !cmp.Equal(result.Left[0].Conflicts, want) {
		t.Errorf("left: %+v", result.Left)
	}
	if _, a := p.effective(scim.User, id); a["title"] != "Chief" || a["nickName"] != nil {
		t.Errorf("effective: %v", a)
	}
}

// TestUndoneAttributesFollowAgain: what an undo laid over the asserted value goes when that comes to the same, or when a person
// chooses another; until then it outlives what is asserted.
func TestUndoneAttributesFollowAgain(t *testing.T) {
	t.Parallel()
	p := newUndoOffice(t)
	id := p.user(p.a, scim.Attributes{"userName": "ada", "title": "Dr.", scim.EnterpriseUserSchema: map[string]any{"department": "Sales"}})
	entry := p.patch(p.a, scim.User, id, replace("title", "Countess"), replace(department, "Legal"))
	undone, _ := p.undoEntry(entry)
	overrides := func() string {
		t.Helper()
		x, err := p.Account(t.Context(), p.tenant, scim.User, id)
		p.must(err)
		return string(x.Overrides)
	}
	want := func(title, department any, kept string) {
		t.Helper()
		_, a := p.effective(scim.User, id)
		extension, _ := a[scim.EnterpriseUserSchema].(map[string]any)
		if a["title"] != title || extension["department"] != department || overrides() != kept {
			t.Errorf("effective %v, %v with overrides %s; want %v, %v with %s", a["title"], extension["department"], overrides(), title, department, kept)
		}
	}
	both := `{"undone.title":"Dr.","undone.` + department + `":"Sales"}`
	want("Dr.", "Sales", both)
	p.patch(p.a, scim.User, id, replace("title", "Queen"))
	want("Dr.", "Sales", both)
	p.patch(p.a, scim.User, id, replace("title", "Dr."))
	want("Dr.", "Sales", `{"undone.`+department+`":"Sales"}`)
	p.patch(p.a, scim.User, id, replace("title", "Duke"))
	want("Duke", "Sales", `{"undone.`+department+`":"Sales"}`)
	p.does(scim.User, id, provisioning.Act{Overrides: map[string]any{department: "Board"}})
	want("Duke", "Board", `{"`+department+`":"Board"}`)
	if undone.Entry != entry || undone.Entries != 1 {
		t.Errorf("the plan says %+v", undone)
	}
}

// TestUndoOfAnUndo brings back what was undone.
func TestUndoOfAnUndo(t *testing.T) {
	t.Parallel()
	p := newUndoOffice(t)
	id := p.user(p.a, scim.Attributes{"userName": "ada", "title": "Dr."})
	entry := p.patch(p.a, scim.User, id, replace("title", "Countess"), replace("active", false))
	p.undoEntry(entry)
	if a, attributes := p.effective(scim.User, id); a.State != provisioning.Active || attributes["title"] != "Dr." {
		t.Fatalf("undone: %+v", a)
	}
	p.undoEntry(p.lastEntry(id))
	a, attributes := p.effective(scim.User, id)
	x, err := p.Account(t.Context(), p.tenant, scim.User, id)
	p.must(err)
	if a.State != provisioning.Suspended || attributes["title"] != "Countess" || x.Overrides != nil {
		t.Errorf("done again: %+v with overrides %s", a, x.Overrides)
	}
	p.undoEntry(entry) // the first undo was undone, so this one finds what the change left
	if a, _ := p.effective(scim.User, id); a.State != provisioning.Active {
		t.Errorf("undone again: %+v", a)
	}
	if plan, _ := p.undoEntry(entry); !plan.IsZero() || len(plan.Conflicts) > 0 {
		t.Errorf("what is undone already would change: %+v", plan)
	}
}

// TestUndoAndRulesThatChange: to decide anew on what is asserted takes no undo back.
func TestUndoAndRulesThatChange(t *testing.T) {
	t.Parallel()
	p := newUndoOffice(t)
	id := p.user(p.a, scim.Attributes{"userName": "ada"})
	p.undoEntry(p.patch(p.a, scim.User, id, replace("active", false)))
	made := p.user(p.a, scim.Attributes{"userName": "bob"})
	p.undoEntry(p.lastEntry(made))
	for _, u := range []string{id, made} {
		p.must(p.Anew(t.Context(), p.by(p.a), scim.User, u))
	}
	after := p.snapshot()
	if after[id].State != provisioning.Active || after[made].State != provisioning.Removed {
		t.Errorf("decided anew: %s and %s", after[id].State, after[made].State)
	}
	p.patch(p.a, scim.User, id, replace("active", true))
	p.patch(p.a, scim.User, id, replace("active", false))
	if a, _ := p.effective(scim.User, id); a.State != provisioning.Suspended {
		t.Errorf("disabled once more: %s", a.State)
	}
}

// TestUndoOfMemberships: the host application sees them again, the client reads what it wrote.
func TestUndoOfMemberships(t *testing.T) {
	t.Parallel()
	p := newUndoOffice(t)
	ada, bob, cleo := p.user(p.a, scim.Attributes{"userName": "ada"}), p.user(p.a, scim.Attributes{"userName": "bob"}), p.user(p.a, scim.Attributes{"userName": "cleo"})
	g := p.group(p.a, "Staff", ada, bob)
	list := func(ids ...string) (out []any) {
		for _, id := range ids {
			out = append(out, map[string]any{"value": id})
		}
		return out
	}
	want := func(effective, asserted []string) {
		t.Helper()
		a := p.snapshot()[g]
		slices.Sort(effective)
		slices.Sort(asserted)
		if !slices.Equal(a.Members, effective) || !slices.Equal(a.asserted.Members, asserted) {
			t.Errorf("members %v, listed %v; want %v and %v", a.Members, a.asserted.Members, effective, asserted)
		}
	}
	entry := p.patch(p.a, scim.Group, g, replace("members", list(bob, cleo)))
	want([]string{bob, cleo}, []string{bob, cleo})
	plan, _ := p.undoEntry(entry)
	want([]string{ada, bob}, []string{bob, cleo})
	if len(plan.Lost) != 1 || !strings.Contains(plan.Lost[0], "without the name") {
		t.Errorf("lost: %q", plan.Lost)
	}
	p.patch(p.a, scim.Group, g, scim.Operation{Op: "remove", Path: "members", Value: list(cleo)})
	want([]string{ada, bob}, []string{bob})
	p.patch(p.a, scim.Group, g, scim.Operation{Op: "add", Path: "members", Value: list(ada, cleo)})
	want([]string{ada, bob, cleo}, []string{ada, bob, cleo})

	// Somebody else has taken a member away since.
	entry = p.patch(p.a, scim.Group, g, scim.Operation{Op: "remove", Path: "members", Value: list(ada)})
	p.undoEntry(entry)
	p.does(scim.Group, g, provisioning.Act{Leave: []string{ada}})
	plan, _ = p.undoEntry(entry)
	if len(plan.Conflicts) != 0 || len(plan.Members.EffectiveAdd) != 1 {
		t.Errorf("who is out, for whatever reason, comes back: %+v", plan)
	}
}

// TestUndoHoldsToGuards: what is protected is not removed, suspended or emptied by an undo either; the rest is undone.
func TestUndoHoldsToGuards(t *testing.T) {
	t.Parallel()
	p := newUndoOffice(t)
	yes := true
	id := p.user(p.a, scim.Attributes{"userName": "ada", "active": false})
	entry := p.patch(p.a, scim.User, id, replace("active", true), replace("title", "Dr."))
	p.does(scim.User, id, provisioning.Act{Protected: &yes})
	plan, result := p.undoEntry(entry)
	a, attributes := p.effective(scim.User, id)
	if a.State != provisioning.Active || attributes["title"] != nil || !guarded(plan.Refused) || len(result.Left) != 1 || !guarded(result.Left[0].Refused) {
		t.Errorf("%+v after %+v, left %+v", a, plan, result.Left)
	}
	g := p.group(p.a, "Staff")
	entry = p.patch(p.a, scim.Group, g, scim.Operation{Op: "add", Path: "members", Value: []any{map[string]any{"value": id}}})
	p.does(scim.Group, g, provisioning.Act{Protected: &yes})
	plan, _ = p.undoEntry(entry)
	if a := p.snapshot()[g]; len(a.Members) != 1 || !guarded(plan.Refused) {
		t.Errorf("%+v after %+v", a, plan)
	}

	// Who was made, and protected since, was worked on by somebody else.
	made := p.user(p.a, scim.Attributes{"userName": "bob"})
	entry = p.lastEntry(made)
	p.does(scim.User, made, provisioning.Act{Protected: &yes})
	plan, _ = p.undoEntry(entry)
	if a := p.snapshot()[made]; a.State != provisioning.Active || len(plan.Conflicts) != 1 || plan.Conflicts[0].Path != provisioning.PathProtected {
		t.Errorf("%+v after %+v", a, plan)
	}
}

// TestUndoOfAnAdoption gives the account back with the document that its owner had asserted.
func TestUndoOfAnAdoption(t *testing.T) {
	t.Parallel()
	p := newUndoOffice(t)
	id := p.user(p.b, scim.Attributes{"userName": "ada@example.com", "title": "Dr."})
	adopted := p.user(p.a, scim.Attributes{"userName": "ada@example.com", "title": "Countess"})
	if adopted != id {
		t.Fatalf("%s was made, and %s not adopted", adopted, id)
	}
	before := p.snapshot()[id]
	plan, _ := p.undoEntry(p.lastEntry(id))
	after := p.snapshot()[id]
	if before.Owner != p.a.ID || after.Owner != p.b.ID || !strings.Contains(after.asserted.Document, "Dr.") || after.Effective["title"] != "Dr." || len(plan.Lost) != 1 {
		t.Errorf("%+v after %+v", after, plan)
	}
	err := p.Get(t.Context(), p.tenant, provisioning.ResourceQuery{Scope: provisioning.Scope{Connection: p.a.ID, Type: scim.User}, ID: id}, false,
		func(provisioning.Resource, provisioning.MemberRows) error { return nil })
	wantKind(t, err, provisioning.NotFound, "")
}

// TestUndoOfAnIgnoredDeletion gives the account back to the owner whose client deleted it, and who does not find it again.
func TestUndoOfAnIgnoredDeletion(t *testing.T) {
	t.Parallel()
	p := newUndoOffice(t)
	s := provisioning.DefaultSettings()
	s.Deletion.Users.Deleted = provisioning.IgnorePolicy
	_, _, err := p.ApplySettings(t.Context(), p.person(), "a", provisioning.SettingsDraft{Settings: s, Expect: 1})
	p.must(err)
	id := p.user(p.a, scim.Attributes{"userName": "ada"})
	p.must(p.Delete(t.Context(), p.by(p.a), scim.User, id, nil))
	p.undoEntry(p.lastEntry(id))
	if a := p.snapshot()[id]; a.Owner != p.a.ID || a.asserted.Visible || a.State != provisioning.Active {
		t.Errorf("%+v", a)
	}
}

// TestUndoOfARecycledName: the newcomer goes first, so that the leaver's name is free; if it is not, that is said.
func TestUndoOfARecycledName(t *testing.T) {
	t.Parallel()
	p := newUndoOffice(t)
	old := p.user(p.a, scim.Attributes{"userName": "ada"})
	p.must(p.Delete(t.Context(), p.by(p.a), scim.User, old, nil))
	made := p.user(p.a, scim.Attributes{"userName": "ada"})
	hire := p.clock.Now()
	plan, _ := p.undoEntry(p.lastEntry(old)) // alone: the name is the newcomer's
	if !strings.Contains(plan.Refused, "another resource already has this userName") {
		t.Errorf("planned: %+v", plan)
	}
	p.clock.Advance(time.Second)
	result := p.undo(provisioning.UndoQuery{Connection: "a", From: hire})
	after := p.snapshot()
	if result.Undone != 2 || after[made].State != provisioning.Removed || after[old].Effective["userName"] != "ada" {
		t.Errorf("%+v: %+v and %+v", result, after[made], after[old])
	}
}

// TestUndoOfWhatIsGone says what does not come back.
func TestUndoOfWhatIsGone(t *testing.T) {
	t.Parallel()
	p := newUndoOffice(t)
	id := p.user(p.a, scim.Attributes{"userName": "ada"})
	entry := p.patch(p.a, scim.User, id, replace("title", "Dr."))
	p.does(scim.User, id, provisioning.Act{State: provisioning.Removed})
	p.does(scim.User, id, provisioning.Act{Purge: true})
	plan, result := p.undoEntry(entry)
	if len(plan.Lost) != 1 || !strings.Contains(plan.Lost[0], "purged") || !plan.IsZero() || len(result.Left) != 1 {
		t.Errorf("%+v came to %+v", plan, result)
	}
}

// TestUndoOfADecision: who was held becomes active, since nobody is asked any more; and so does who was suspended by a
// person's word.
func TestUndoOfADecision(t *testing.T) {
	t.Parallel()
	p := newUndoOffice(t)
	s := provisioning.DefaultSettings()
	s.Deletion.Users.Deactivated = provisioning.HoldPolicy
	_, _, err := p.ApplySettings(t.Context(), p.person(), "a", provisioning.SettingsDraft{Settings: s, Expect: 1})
	p.must(err)
	id := p.user(p.a, scim.Attributes{"userName": "ada"})
	p.patch(p.a, scim.User, id, replace("active", false))
	held := func() (open []provisioning.Matter) {
		p.must(p.Matters(t.Context(), p.tenant, provisioning.MatterQuery{Status: provisioning.MatterOpen}, func(m provisioning.Matter) error {
			open = append(open, m)
			return nil
		}))
		return open
	}
	open := held()
	if len(open) != 1 {
		t.Fatalf("open matters: %+v", open)
	}
	_, err = p.Resolve(t.Context(), p.person(), open[0].ID, provisioning.Resolution{Status: provisioning.MatterAllowed})
	p.must(err)
	plan, _ := p.undoEntry(p.lastEntry(id))
	x, err := p.Account(t.Context(), p.tenant, scim.User, id)
	p.must(err)
	if x.State != provisioning.Active || len(plan.Lost) != 1 || len(held()) != 0 {
		t.Errorf("%s after %+v, open %+v", x.State, plan, held())
	}

	id = p.user(p.a, scim.Attributes{"userName": "bob"})
	p.undoEntry(p.patch(p.a, scim.User, id, replace("active", false)))
	if open := held(); len(open) != 0 {
		t.Errorf("still asked: %+v", open)
	}
}

// TestUndoOfRoles: a role that what is asserted gives comes back over what is asserted now, until that gives it again.
func TestUndoOfRoles(t *testing.T) {
	t.Parallel()
	p := newUndoOffice(t)
	s := provisioning.DefaultSettings()
	s.Roles.Names, s.Roles.AppRoles = []string{"editor"}, []provisioning.RoleMapping{{When: "Editor", Role: "editor"}}
	_, _, err := p.ApplySettings(t.Context(), p.person(), "a", provisioning.SettingsDraft{Settings: s, Expect: 1})
	p.must(err)
	role := func(v string) scim.Operation { return replace("roles", []any{map[string]any{"value": v}}) }
	id := p.user(p.a, scim.Attributes{"userName": "ada"})
	p.patch(p.a, scim.User, id, role("Editor"))
	p.undoEntry(p.patch(p.a, scim.User, id, role("Reader")))
	want := func(role string) {
		t.Helper()
		if a := p.snapshot()[id]; a.Role != role {
			t.Errorf("the role is %q, want %q", a.Role, role)
		}
	}
	want("editor")
	p.patch(p.a, scim.User, id, replace("title", "Dr."))
	want("editor")
	p.patch(p.a, scim.User, id, role("Editor"))
	p.patch(p.a, scim.User, id, role("Reader"))
	want("")
}

func TestUndoQueries(t *testing.T) {
	t.Parallel()
	p := newUndoOffice(t)
	id := p.user(p.a, scim.Attributes{"userName": "ada"})
	nothing := p.patch(p.a, scim.User, id, replace("userName", "ada"))
	var settings string
	p.must(p.Entries(t.Context(), p.tenant, provisioning.EntryQuery{Action: provisioning.ActionOther, Limit: 1}, func(e provisioning.Entry) error { settings = e.ID; return nil }))
	at := p.clock.Now()
	for _, test := range []struct {
		name string
		q    provisioning.UndoQuery
		kind provisioning.Kind
		says string
	}{
		{"nothing", provisioning.UndoQuery{}, provisioning.Invalid, "in one way"},
		{"two ways", provisioning.UndoQuery{Entry: "e", Connection: "a", From: at}, provisioning.Invalid, "in one way"},
		{"no time", provisioning.UndoQuery{Connection: "a"}, provisioning.Invalid, "from which on"},
		{"no connection", provisioning.UndoQuery{From: at}, provisioning.Invalid, "from which on"},
		{"backwards", provisioning.UndoQuery{Connection: "a", From: at, To: at}, provisioning.Invalid, "swap"},
		{"from the future", provisioning.UndoQuery{Connection: "a", From: at.Add(24 * time.Hour)}, provisioning.Invalid, "from is in the future"},
		{"into the future", provisioning.UndoQuery{Connection: "a", From: at, To: at.Add(24 * time.Hour)}, provisioning.Invalid, "to is in the future"},
		{"nobody's connection", provisioning.UndoQuery{Connection: "c", From: at}, provisioning.NotFound, "does not exist"},
		{"no entry", provisioning.UndoQuery{Entry: "e"}, provisioning.NotFound, "no such entry"},
		{"no correlation", provisioning.UndoQuery{Correlation: "c"}, provisioning.NotFound, "no such entry"},
		{"a skipped entry", provisioning.UndoQuery{Entry: nothing}, provisioning.Invalid, "changed no user or group"},
		{"an entry about settings", provisioning.UndoQuery{Entry: settings}, provisioning.Invalid, "changed no user or group"},
	} {
		_, err := p.PlanUndo(t.Context(), p.tenant, test.q)
		t.Log(test.name)
		wantKind(t, err, test.kind, test.says)
		_, err = p.Undo(t.Context(), p.person(), test.q)
		wantKind(t, err, test.kind, test.says)
	}
	_, err := p.PlanUndo(t.Context(), "nobody", provisioning.UndoQuery{Entry: nothing})
	wantKind(t, err, provisioning.NotFound, "tenant")
	if jobs, err := p.Jobs(t.Context(), p.tenant, provisioning.JobUndo, 1); err != nil || len(jobs) > 0 {
		t.Errorf("what was refused is ordered: %+v, %v", jobs, err)
	}
	now := p.clock.Advance(time.Second)
	if _, err := p.Undo(t.Context(), p.person(), provisioning.UndoQuery{Connection: "a", From: at, To: now}); err != nil {
		t.Errorf("until now: %v", err)
	}
}
