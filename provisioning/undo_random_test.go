package provisioning_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
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
	"meibo/store/storetest"
)

var undoCases = flag.Int("undocases", 0, "random cases of undo on SQLite; 0 for a few, 1000 by make rules")

// playground is a tenant in which two connections and a person work at random.
type playground struct {
	*provisioning.Service
	*rand.Rand
	t      testing.TB
	store  provisioning.Store
	clock  *testkit.Clock
	tenant string
	a, b   provisioning.Connection
	users  []string
	groups []string
}

// variants are settings of connection a, each of which takes another way through the rules.
var variants = []func(*provisioning.Settings){
	func(*provisioning.Settings) {},
	func(s *provisioning.Settings) { *s, _ = provisioning.PresetMirror.Settings() },
	func(s *provisioning.Settings) { *s, _ = provisioning.PresetSuspendOrDelete.Settings() },
	func(s *provisioning.Settings) { *s, _ = provisioning.PresetGuarded.Settings() },
	func(s *provisioning.Settings) { *s, _ = provisioning.PresetHandPicked.Settings() },
	func(s *provisioning.Settings) {
		s.Deletion.Users.Deactivated, s.Deletion.Users.Deleted = provisioning.IgnorePolicy, provisioning.IgnorePolicy
		s.Deletion.Groups.Deleted = provisioning.RemoveMembersPolicy
	},
	func(s *provisioning.Settings) {
		s.Mapping.UserName.Mode = provisioning.LocalUserName
		s.Mapping.Users = []provisioning.MappingRow{{Target: "nickName", Source: "title"},
			{Target: "displayName", Source: "userName", Apply: provisioning.ApplyAtCreation}}
	},
	func(s *provisioning.Settings) {
		s.Mapping.UserName.Frozen = true
		s.Scope.Users.Filter = `not (title eq "out")`
		s.Deletion.Users.Scope = provisioning.DeletePolicy
	},
	func(s *provisioning.Settings) {
		s.Roles.Names = []string{"editor"}
		s.Roles.AppRoles = []provisioning.RoleMapping{{When: "Editor", Role: "editor"}}
		s.Matching.Attributes = []string{"emails", "userName"}
	},
}

func newPlayground(t testing.TB, st provisioning.Store, clock *testkit.Clock, tenant string, seed uint64) *playground {
	t.Helper()
	p := &playground{Service: provisioning.New(provisioning.Options{Store: st, Now: clock.Now}), Rand: rand.New(rand.NewPCG(seed, 5)),
		t: t, store: st, clock: clock, tenant: tenant, users: []string{"00000000-0000-7000-8000-000000000001"}, groups: []string{"00000000-0000-7000-8000-000000000002"}}
	_, err := p.CreateTenant(t.Context(), p.person())
	p.must(err)
	for _, c := range []*provisioning.Connection{&p.a, &p.b} {
		name := map[bool]string{true: "a", false: "b"}[c == &p.a]
		_, err := p.CreateConnection(t.Context(), p.person(), name)
		p.must(err)
		settings := provisioning.DefaultSettings()
		if c == &p.a {
			variants[int(seed)%len(variants)](&settings)
		}
		settings.Matching.Adoption, settings.Matching.VerifiedDomains = provisioning.AdoptionAdopt, []string{"example.com"}
		settings.Tolerance.Mode = provisioning.ToleranceOff
		_, _, err = p.ApplySettings(t.Context(), p.person(), name, provisioning.SettingsDraft{Settings: settings})
		p.must(err)
		*c, err = p.Connection(t.Context(), tenant, name)
		p.must(err)
	}
	return p
}

func (p *playground) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *playground) person() provisioning.Origin {
	return provisioning.Origin{Tenant: p.tenant, Actor: "person", Correlation: "by-hand"}
}

func one[T any](p *playground, from ...T) T { return from[p.IntN(len(from))] }

// tolerated is for errors that are the client's.
func (p *playground) tolerated(err error) {
	p.t.Helper()
	if err != nil && provisioning.KindOf(err) == provisioning.Internal {
		p.t.Fatal(err)
	}
}

func (p *playground) name() string {
	return one(p, "ada", "bob", "cleo", "dan", "eve", "fay", "gus") + "@example.com"
}

func (p *playground) attributes() scim.Attributes {
	a := scim.Attributes{"userName": p.name()}
	if p.IntN(3) > 0 {
		a["externalId"] = fmt.Sprintf("6f1e0c2a-5b7d-4e1b-9c3f-00000000000%d", p.IntN(6))
	}
	if p.IntN(3) == 0 {
		a["active"] = p.IntN(3) > 0
	}
	if p.IntN(2) == 0 {
		a["title"] = one(p, "Dr.", "Countess", "out")
		a["name"] = map[string]any{"givenName": one(p, "Ada", "Anna"), "familyName": "Byron"}
	}
	if p.IntN(2) == 0 {
		a["emails"] = []any{map[string]any{"type": "work", "value": p.name()}}
	}
	if p.IntN(2) == 0 {
		a[scim.EnterpriseUserSchema] = map[string]any{"department": one(p, "Sales", "Research")}
	}
	if p.IntN(3) == 0 {
		a["roles"] = []any{map[string]any{"value": one(p, "Editor", "Reader")}}
	}
	if p.IntN(4) == 0 {
		a["urn:example:odd"] = one[any](p, "x", []any{"y"}, map[string]any{"a": "z"}, map[string]any{"a": "y", "b": true})
	}
	return a
}

func (p *playground) members() []scim.Member {
	var out []scim.Member
	for range p.IntN(4) {
		id := one(p, p.users...)
		if !slices.ContainsFunc(out, func(m scim.Member) bool { return m.Value == id }) {
			out = append(out, scim.Member{Value: id})
		}
	}
	return out
}

// push is one write of a connection.
func (p *playground) push(c provisioning.Connection) {
	p.t.Helper()
	p.clock.Advance(time.Second)
	ctx := p.t.Context()
	o := provisioning.Origin{Tenant: p.tenant, Connection: c, Actor: "token", Correlation: fmt.Sprint("request ", p.clock.Now().UnixMicro()),
		Request: provisioning.RequestInfo{Method: "POST"}}
	user, group := one(p, p.users...), one(p, p.groups...)
	patch := func(t scim.ResourceType, id string, ops ...scim.Operation) error {
		_, err := p.Patch(ctx, o, t, id, ops, scim.PatchOptions{CreateElements: true}, nil, provisioning.References{})
		return err
	}
	switch p.IntN(16) {
	case 0, 1, 2:
		r, err := p.Create(ctx, o, scim.User, provisioning.Body{Attributes: p.attributes()})
		if p.tolerated(err); err == nil {
			p.users = append(p.users, r.Resource.ID)
		}
	case 3:
		r, err := p.Create(ctx, o, scim.Group, provisioning.Body{Attributes: scim.Attributes{"displayName": one(p, "Staff", "Crew", "Board")}, Members: p.members()})
		if p.tolerated(err); err == nil {
			p.groups = append(p.groups, r.Resource.ID)
		}
	case 4, 5:
		_, err := p.Replace(ctx, o, scim.User, user, provisioning.Body{Attributes: p.attributes()}, nil, provisioning.References{})
		p.tolerated(err)
	case 6, 7:
		p.tolerated(p.Delete(ctx, o, scim.User, user, nil))
	case 8:
		p.tolerated(p.Delete(ctx, o, scim.Group, group, nil))
	case 9, 10:
		op := scim.Operation{Op: one(p, "add", "remove", "replace"), Path: "members"}
		list := []any{}
		for _, m := range p.members() {
			list = append(list, map[string]any{"value": m.Value})
		}
		op.Value = list
		p.tolerated(patch(scim.Group, group, op))
	case 11:
		p.tolerated(patch(scim.Group, group, scim.Operation{Op: "replace", Path: "displayName", Value: one(p, "Staff", "Crew", "Choir")}))
	case 12, 13:
		p.tolerated(patch(scim.User, user, scim.Operation{Op: "replace", Path: "active", Value: one(p, true, false, false)}))
	default:
		p.tolerated(patch(scim.User, user, one(p,
			scim.Operation{Op: "replace", Path: "userName", Value: p.name()},
			scim.Operation{Op: "replace", Path: "title", Value: one(p, "Dr.", "out", "Lady")},
			scim.Operation{Op: "remove", Path: "title"},
			scim.Operation{Op: "replace", Path: scim.EnterpriseUserSchema + ":department", Value: one(p, "Sales", "Legal")})))
	}
}

// act is something that a person does.
func (p *playground) act() {
	p.clock.Advance(time.Second)
	t, id := scim.User, one(p, p.users...)
	yes, no, role := true, false, one(p, "", "editor", "admin")
	a := one(p, provisioning.Act{State: provisioning.Suspended}, provisioning.Act{State: provisioning.Active},
		provisioning.Act{Role: &role}, provisioning.Act{Protected: &yes}, provisioning.Act{Protected: &no},
		provisioning.Act{Overrides: map[string]any{"title": one[any](p, "Chief", nil)}}, provisioning.Act{Overrides: map[string]any{"nickName": one[any](p, "Nick", nil)}})
	if p.IntN(4) == 0 {
		t, id, a = scim.Group, one(p, p.groups...), one(p, provisioning.Act{Empty: true}, provisioning.Act{Protected: &yes}, provisioning.Act{State: provisioning.Active})
	}
	_, err := p.Act(p.t.Context(), p.person(), t, id, a)
	p.tolerated(err)
}

// work does the jobs that wait.
func (p *playground) work() {
	p.t.Helper()
	for {
		had, err := p.RunJob(p.t.Context())
		p.must(err)
		if !had {
			return
		}
	}
}

// account is what is compared of a resource.
type account struct {
	State     provisioning.State
	Role      string
	Protected bool
	Owner     int64
	Effective map[string]any
	Members   []string // effective ones of a group

	asserted assertedAccount
}

// assertedAccount is what its owner reads.
type assertedAccount struct {
	Owner    int64
	Visible  bool
	Document string
	Members  []string
}

func (p *playground) snapshot() map[string]account {
	p.t.Helper()
	out := map[string]account{}
	p.must(p.store.View(context.Background(), p.tenant, func(r provisioning.Reader) error {
		var all []provisioning.Resource
		for _, t := range []scim.ResourceType{scim.User, scim.Group} {
			p.must(r.Accounts(provisioning.AccountQuery{Type: t, Connection: -1, Removed: true}, func(x provisioning.Resource) error {
				all = append(all, x)
				return nil
			}))
		}
		for _, x := range all {
			doc := x.Effective
			if doc == nil {
				doc = x.Asserted
			}
			effective, err := scim.Standard(x.Type).Decode(doc)
			p.must(err)
			delete(effective, "active") // the state says it
			if x.State == provisioning.Held {
				x.State = provisioning.Active // declared
			}
			a := account{State: x.State, Role: x.Role, Protected: x.Protected, Owner: x.Connection, Effective: effective,
				asserted: assertedAccount{Owner: x.Connection, Visible: x.Visible, Document: string(x.Asserted)}}
			if x.Type == scim.Group {
				p.must(r.Memberships(x.ID, func(m provisioning.GroupMember) error { a.Members = append(a.Members, m.Value); return nil }))
				a.asserted.Members = p.listed(r, x)
				slices.Sort(a.Members)
				slices.Sort(a.asserted.Members)
			}
			out[x.ID] = a
		}
		return nil
	}))
	return out
}

// listed are the members that the owner of a group lists, if it sees the group.
func (p *playground) listed(r provisioning.Reader, x provisioning.Resource) (ids []string) {
	p.t.Helper()
	if !x.Visible || x.Connection == 0 {
		return nil
	}
	own, err := r.Resource(provisioning.ResourceQuery{Scope: provisioning.Scope{Connection: x.Connection, Type: x.Type}, ID: x.ID, AllMembers: true})
	p.must(err)
	for _, m := range own.OpenMembers {
		if m.Asserted {
			ids = append(ids, m.Value)
		}
	}
	return ids
}

// wantUndone compares what is with what was before, and what is asserted with what was before the undo.
func (p *playground) wantUndone(before, changed, after map[string]account) {
	p.t.Helper()
	for _, id := range slices.Sorted(maps.Keys(after)) {
		got, want := after[id], before[id]
		_, existed := before[id]
		if !existed {
			if got.State != provisioning.Removed {
				p.t.Errorf("%s was made by what is undone, and is %s", id, got.State)
			}
		} else {
			got.asserted, want.asserted = assertedAccount{}, assertedAccount{}
			if got.Protected || got.Role == provisioning.RoleAdmin { // declared: a guard keeps it in, and does not let it be emptied
				if got.State == changed[id].State && !in(want.State) {
					got.State = want.State
				}
				if slices.Equal(got.Members, changed[id].Members) && len(want.Members) == 0 {
					got.Members = want.Members
				}
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(account{})); diff != "" {
				p.t.Errorf("%s (-earlier +undone):\n%s", id, diff)
			}
		}
		if then, known := changed[id]; !known || after[id].Owner != then.Owner {
			continue // declared: the earlier owner's document is back
		}
		if diff := cmp.Diff(changed[id].asserted, after[id].asserted, cmp.AllowUnexported(account{})); diff != "" {
			p.t.Errorf("%s: an undo changed what is asserted (-before +after):\n%s", id, diff)
		}
	}
}

func guarded(refusal string) bool { return strings.Contains(refusal, " is protected (") }

func in(s provisioning.State) bool { return s == provisioning.Active || s == provisioning.Held }

// story is what one random case went through.
type story struct{ before, changed map[string]account }

// played has connections and a person work, then connection a alone, whose changes are to be undone.
func (p *playground) played() (s story, q provisioning.UndoQuery) {
	for range 30 {
		switch p.IntN(6) {
		case 0:
			p.act()
		case 1:
			p.push(p.b)
		default:
			p.push(p.a)
		}
	}
	p.work()
	s.before = p.snapshot()
	q = provisioning.UndoQuery{Connection: "a", From: p.clock.Advance(time.Second)}
	for range 1 + p.IntN(20) {
		p.push(p.a)
	}
	p.work()
	s.changed = p.snapshot()
	p.clock.Advance(time.Second)
	return s, q
}

// undo does all that an undo does, and wants nothing left.
func (p *playground) undo(q provisioning.UndoQuery) provisioning.UndoResult {
	p.t.Helper()
	j, err := p.Undo(p.t.Context(), p.person(), q)
	p.must(err)
	return p.finish(j)
}

func (p *playground) finish(j provisioning.Job) provisioning.UndoResult {
	p.t.Helper()
	p.work()
	j, err := p.Job(p.t.Context(), p.tenant, j.ID)
	p.must(err)
	if j.State != provisioning.JobDone || j.Done != j.Total {
		p.t.Fatalf("the job is %s (%s), %d of %d", j.State, j.Error, j.Done, j.Total)
	}
	result, err := j.UndoResult()
	p.must(err)
	return result
}

// arena is a database for many cases.
type arena struct {
	store *store.Store
	clock *testkit.Clock
	rows  *witness.Database
}

// newArena opens one that has the schema.
func newArena(t testing.TB, url string) arena {
	t.Helper()
	st, err := store.Open(context.Background(), store.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	rows, err := witness.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rows.Close() })
	return arena{st, testkit.NewClock(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)), rows}
}

// undoArenas runs cases on both databases, on PostgreSQL a tenth as many.
func undoArenas(t *testing.T, run func(t *testing.T, a arena, seed uint64)) {
	t.Helper()
	cases := *undoCases
	switch {
	case cases > 0:
	case testing.Short(), testkit.RaceDetector:
		cases = 18
	default:
		cases = 27 // each variant thrice
	}
	for _, db := range []struct {
		name  string
		url   func(testing.TB) string
		cases int
	}{{"SQLite", storetest.SQLite, cases}, {"PostgreSQL", storetest.PostgreSQL, max(cases/10, len(variants))}} {
		t.Run(db.name, func(t *testing.T) {
			t.Parallel()
			a := newArena(t, db.url(t))
			for seed := range uint64(db.cases) {
				if run(t, a, seed); t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

// TestUndoOfRandomChanges: what a connection did in a time is taken back, whatever it did; the journal folds to what is stored.
func TestUndoOfRandomChanges(t *testing.T) {
	t.Parallel()
	undoArenas(t, func(t *testing.T, a arena, seed uint64) {
		p := newPlayground(t, a.store, a.clock, fmt.Sprintf("random-%d", seed), seed)
		s, q := p.played()
		plan, err := p.PlanUndo(t.Context(), p.tenant, q)
		p.must(err)
		for _, u := range plan.Resources {
			if len(u.Conflicts) > 0 || u.Refused != "" && !guarded(u.Refused) {
				t.Errorf("nobody stood in the way, and the plan says %+v", u)
			}
		}
		result := p.undo(q)
		for _, l := range result.Left {
			if len(l.Conflicts) > 0 || l.Refused != "" && !guarded(l.Refused) {
				t.Errorf("left: %+v", l)
			}
		}
		p.wantUndone(s.before, s.changed, p.snapshot())
		p.wantFolded(a)
		if result.Undone != changing(plan) {
			t.Errorf("%d resources were undone, %d planned", result.Undone, changing(plan))
		}
	})
}

// changing is how many resources a plan changes.
func changing(plan provisioning.UndoPlan) (n int) {
	for _, u := range plan.Resources {
		if !u.IsZero() {
			n++
		}
	}
	return n
}

func (p *playground) wantFolded(a arena) {
	p.t.Helper()
	var all []provisioning.Entry
	p.must(p.Entries(context.Background(), p.tenant, provisioning.EntryQuery{}, func(e provisioning.Entry) error { all = append(all, e); return nil }))
	stored, err := a.rows.Stored(context.Background(), p.tenant)
	p.must(err)
	for _, problem := range witness.Disagreements(all, stored) {
		p.t.Error(problem)
	}
}

// TestUndoOneByOne undoes the changes of a connection singly, the latest first: each time what was before it is back.
func TestUndoOneByOne(t *testing.T) {
	t.Parallel()
	undoArenas(t, func(t *testing.T, a arena, seed uint64) {
		if seed%3 > 0 && *undoCases == 0 {
			return
		}
		p := newPlayground(t, a.store, a.clock, fmt.Sprintf("single-%d", seed), seed)
		s, q := p.played()
		var made []provisioning.Entry
		p.must(p.Entries(t.Context(), p.tenant, provisioning.EntryQuery{Connection: p.a.ID, Since: q.From}, func(e provisioning.Entry) error {
			if e.Version > 0 {
				made = append(made, e)
			}
			if slices.ContainsFunc(e.Diff, func(c provisioning.AttributeChange) bool { return c.Path == provisioning.PathOwner }) {
				delete(s.changed, e.ResourceID) // declared: with an earlier owner comes its document
			}
			return nil
		}))
		for _, e := range made {
			p.clock.Advance(time.Second)
			p.undo(provisioning.UndoQuery{Entry: e.ID})
		}
		p.wantUndone(s.before, s.changed, p.snapshot())
		p.wantFolded(a)
	})
}

// dying is a store whose process is killed after some commits: from then on nothing is done.
type dying struct {
	provisioning.Store
	left int
}

var errKilled = errors.New("killed")

func (d *dying) Update(ctx context.Context, tenant string, fn func(provisioning.Tx) error) error {
	if d.left--; d.left < 0 {
		return errKilled
	}
	return d.Store.Update(ctx, tenant, fn)
}

// TestUndoEndsTheSameWhenKilled kills the process after each of its commits in turn: another one goes on, and in the end
// all is as it was.
func TestUndoEndsTheSameWhenKilled(t *testing.T) {
	t.Parallel()
	undoArenas(t, func(t *testing.T, a arena, seed uint64) {
		p := newPlayground(t, a.store, a.clock, fmt.Sprintf("killed-%d", seed), seed)
		s, q := p.played()
		plan, err := p.PlanUndo(t.Context(), p.tenant, q)
		p.must(err)
		j, err := p.Undo(t.Context(), p.person(), q)
		p.must(err)
		for range 100 {
			d := &dying{a.store, p.IntN(4)}
			doomed := provisioning.New(provisioning.Options{Store: d, Now: a.clock.Now})
			if had, _ := doomed.RunJob(t.Context()); !had {
				break
			}
			a.clock.Advance(2 * time.Minute) // its lease is over
		}
		if result := p.finish(j); result.Undone != changing(plan) {
			t.Errorf("%d resources were undone, %d planned", result.Undone, changing(plan))
		}
		p.wantUndone(s.before, s.changed, p.snapshot())
		p.wantFolded(a)
		undone := map[string]int{}
		p.must(p.Entries(t.Context(), p.tenant, provisioning.EntryQuery{Correlation: j.ID}, func(e provisioning.Entry) error {
			if undone[e.ResourceID]++; e.Reason.Code != provisioning.ReasonUndone || !strings.Contains(fmt.Sprint(e.Reason.Args), "entry:") {
				t.Errorf("an undo left the entry %+v", e)
			}
			return nil
		}))
		for id, n := range undone {
			if n > 1 {
				t.Errorf("%s was undone %d times", id, n)
			}
		}
	})
}
