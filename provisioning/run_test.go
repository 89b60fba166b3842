package provisioning_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"meibo/internal/testkit"
	"meibo/provisioning"
	"meibo/scim"
	"meibo/store/storetest"
)

// directory is a tenant with a client that writes to it.
type directory struct {
	*testing.T
	*provisioning.Service
	clock *testkit.Clock
	store provisioning.Store
}

// eachDirectory runs a test on both databases.
func eachDirectory(t *testing.T, edit func(*provisioning.Settings), run func(d *directory)) {
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		clock := testkit.NewClock(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC))
		d := &directory{T: t, clock: clock, store: s, Service: provisioning.New(provisioning.Options{Store: s, Now: clock.Now, Impact: silent})}
		if _, err := d.CreateTenant(t.Context(), d.admin()); err != nil {
			t.Fatal(err)
		}
		if edit != nil {
			d.apply(edit)
		}
		run(d)
	})
}

func (d *directory) admin() provisioning.Origin {
	return provisioning.Origin{Tenant: "acme", Actor: "admin", Correlation: "c0ffee"}
}

// client speaks as a connection.
func (d *directory) client(name string) provisioning.Origin {
	d.Helper()
	c, err := d.Connection(d.Context(), "acme", name)
	if err != nil {
		d.Fatal(err)
	}
	return provisioning.Origin{Tenant: "acme", Connection: c, Actor: "client", Correlation: "beef"}
}

func (d *directory) apply(edit func(*provisioning.Settings)) {
	d.Helper()
	v, err := d.Settings(d.Context(), "acme", "default")
	if err != nil {
		d.Fatal(err)
	}
	edit(&v.Settings)
	if _, _, err := d.ApplySettings(d.Context(), d.admin(), "default", provisioning.SettingsDraft{Settings: v.Settings, Expect: provisioning.AnyVersion}); err != nil {
		d.Fatal(err)
	}
}

func (d *directory) create(a scim.Attributes) string {
	d.Helper()
	return d.createAs("default", a)
}

func (d *directory) createAs(connection string, a scim.Attributes) string {
	d.Helper()
	done, err := d.Create(d.Context(), d.client(connection), scim.User, provisioning.Body{Attributes: a})
	if err != nil {
		d.Fatal(err)
	}
	return done.Resource.ID
}

func (d *directory) createGroup(name string, members ...string) string {
	d.Helper()
	b := provisioning.Body{Attributes: scim.Attributes{"displayName": name}, HasMembers: true}
	for _, id := range members {
		b.Members = append(b.Members, scim.Member{Value: id})
	}
	done, err := d.Create(d.Context(), d.client("default"), scim.Group, b)
	if err != nil {
		d.Fatal(err)
	}
	return done.Resource.ID
}

func (d *directory) patch(t scim.ResourceType, id string, op scim.Operation) error {
	d.Helper()
	_, err := d.Patch(d.Context(), d.client("default"), t, id, []scim.Operation{op}, scim.PatchOptions{}, nil, provisioning.References{})
	return err
}

func (d *directory) disable(id string) error {
	d.Helper()
	return d.patch(scim.User, id, scim.Operation{Op: "replace", Path: "active", Value: false})
}

// remove is the client's DELETE.
func (d *directory) remove(id string) {
	d.Helper()
	if err := d.Delete(d.Context(), d.client("default"), scim.User, id, nil); err != nil {
		d.Fatal(err)
	}
}

func (d *directory) account(id string) provisioning.Resource {
	d.Helper()
	x, err := d.Account(d.Context(), "acme", scim.User, id)
	if err != nil {
		d.Fatal(err)
	}
	return x
}

// effective is an attribute as the host application sees it.
func (d *directory) effective(id, attribute string) any {
	d.Helper()
	x := d.account(id)
	doc := x.Effective
	if doc == nil {
		doc = x.Asserted
	}
	a, err := scim.Standard(scim.User).Decode(doc)
	if err != nil {
		d.Fatal(err)
	}
	return a[attribute]
}

// want compares how accounts stand: state, role and owner.
func (d *directory) want(id string, state provisioning.State, role string) {
	d.Helper()
	x := d.account(id)
	if x.State != state || x.RoleName() != role {
		d.Errorf("%s is %s and %s, want %s and %s", x.Index.Name, x.State, x.RoleName(), state, role)
	}
}

func (d *directory) matters(q provisioning.MatterQuery) (all []provisioning.Matter) {
	d.Helper()
	err := d.Matters(d.Context(), "acme", q, func(m provisioning.Matter) error {
		all = append(all, m)
		return nil
	})
	if err != nil {
		d.Fatal(err)
	}
	return all
}

// onlyMatter is the one open matter there is.
func (d *directory) onlyMatter(kind provisioning.MatterKind) provisioning.Matter {
	d.Helper()
	all := d.matters(provisioning.MatterQuery{Status: provisioning.MatterOpen})
	if len(all) != 1 || all[0].Kind != kind {
		d.Fatalf("open matters %v, want one that is %s", all, kind)
	}
	return all[0]
}

func (d *directory) resolve(m provisioning.Matter, status provisioning.MatterStatus) {
	d.Helper()
	if _, err := d.Resolve(d.Context(), d.admin(), m.ID, provisioning.Resolution{Status: status}); err != nil {
		d.Fatalf("%s: %v", status, err)
	}
}

// work does all jobs that wait, those too that give every server time to hear of new settings.
func (d *directory) work() {
	d.Helper()
	d.clock.Advance(5 * time.Second)
	for {
		had, err := d.RunJob(d.Context())
		if err != nil {
			d.Fatal(err)
		}
		if !had {
			return
		}
	}
}

func (d *directory) sweep() {
	d.Helper()
	if _, err := d.Sweep(d.Context()); err != nil {
		d.Fatal(err)
	}
}

func named(name string) scim.Attributes { return scim.Attributes{"userName": name, "active": true} }

// TestNewSettingsAreRecomputed: a changed mapping, scope and role reach those who are there already.
func TestNewSettingsAreRecomputed(t *testing.T) {
	t.Parallel()
	eachDirectory(t, nil, func(d *directory) {
		var ids []string
		for i := range 250 { // more than two strides
			a := named(fmt.Sprintf("user%03d@%s", i, []string{"here.example", "there.example"}[i%2]))
			a["displayName"] = fmt.Sprintf("User %d", i)
			ids = append(ids, d.create(a))
		}
		draft := provisioning.DefaultSettings()
		edit := func(s *provisioning.Settings) {
			s.Tolerance.Mode = provisioning.ToleranceOff
			s.Scope.Users.Domains = []string{"here.example"}
			s.Mapping.Users = []provisioning.MappingRow{{Target: "displayName", Expression: "ToUpper(displayName)"}}
			s.Mapping.UserName.Mode = provisioning.LocalUserName
		}
		edit(&draft)
		planned := 0
		if err := d.PlanSettings(d.Context(), "acme", "default", draft, func(c provisioning.AccountChange) error {
			if c.Err != nil {
				d.Errorf("%s would be refused: %v", c.Resource.Index.Name, c.Err)
			}
			planned++
			return nil
		}); err != nil {
			d.Fatal(err)
		}
		if planned != len(ids) {
			d.Errorf("%d would change, want %d", planned, len(ids))
		}
		d.want(ids[1], provisioning.Active, "ordinary") // planning writes nothing

		d.apply(edit)
		d.work()
		d.want(ids[248], provisioning.Active, "ordinary")
		d.want(ids[249], provisioning.Suspended, "ordinary")
		if got := d.effective(ids[248], "displayName"); got != "USER 248" {
			d.Errorf("displayName %v", got)
		}
		if got := d.effective(ids[248], "userName"); got != "user248" {
			d.Errorf("userName %v", got)
		}
		jobs, err := d.Jobs(d.Context(), "acme", provisioning.JobRecompute, 0)
		if err != nil || len(jobs) != 1 || jobs[0].State != provisioning.JobDone || jobs[0].Done != len(ids) {
			d.Errorf("jobs %+v, %v", jobs, err)
		}
		d.apply(func(s *provisioning.Settings) { s.Scope.Users.Domains = nil })
		d.work()
		d.want(ids[249], provisioning.Active, "ordinary")
	})
}

// TestInterruptedJobGoesOn: another process takes a job up once its lease is over, where it was left.
func TestInterruptedJobGoesOn(t *testing.T) {
	t.Parallel()
	eachDirectory(t, nil, func(d *directory) {
		var last string
		for i := range 130 {
			last = d.create(named(fmt.Sprintf("user%03d@here.example", i)))
		}
		d.apply(func(s *provisioning.Settings) { s.Mapping.UserName.Mode = provisioning.LocalUserName })
		ctx, cut := context.WithCancel(d.Context())
		cut()
		if had, err := d.RunJob(ctx); err == nil && had {
			d.Error("a job ran although nobody waits for it")
		}
		d.clock.Advance(2 * time.Minute)
		d.work()
		if got := d.effective(last, "userName"); got != "user129" {
			d.Errorf("userName %v", got)
		}
	})
}

// TestGroupsGiveRolesAndScope: who joins a group gets what it stands for, and who leaves it loses that.
func TestGroupsGiveRolesAndScope(t *testing.T) {
	t.Parallel()
	eachDirectory(t, func(s *provisioning.Settings) {
		s.Roles.Names = []string{"editor"}
		s.Roles.Groups = []provisioning.RoleMapping{{When: "Editors", Role: "editor"}, {When: "Admins", Role: "admin"}}
		s.Scope.Users.Groups = []string{"Editors", "Admins"}
	}, func(d *directory) {
		ann, bob := d.create(named("ann")), d.create(named("bob"))
		d.want(ann, provisioning.Suspended, "ordinary") // out of scope until it is in a group
		editors := d.createGroup("Editors", ann)
		d.createGroup("Admins", bob)
		d.work()
		d.want(ann, provisioning.Active, "editor")
		d.want(bob, provisioning.Active, "ordinary") // a push makes nobody an administrator
		if m := d.onlyMatter(provisioning.MatterKept); m.Cause != provisioning.CauseRole || m.Resource != bob {
			d.Errorf("matter %+v", m)
		}
		if err := d.patch(scim.Group, editors, scim.Operation{Op: "remove", Path: "members", Value: []any{map[string]any{"value": ann}}}); err != nil {
			d.Fatal(err)
		}
		d.work()
		d.want(ann, provisioning.Suspended, "ordinary")
	})
}

// TestNamedGroupComesAndGoes: whom a group stands for has to go with its name, as much as with the membership.
func TestNamedGroupComesAndGoes(t *testing.T) {
	t.Parallel()
	eachDirectory(t, func(s *provisioning.Settings) {
		s.Roles.Names = []string{"editor"}
		s.Roles.Groups = []provisioning.RoleMapping{{When: "Editors", Role: "editor"}}
		s.Scope.Users.Groups = []string{"Editors"}
	}, func(d *directory) {
		ann := d.create(named("ann"))
		editors := d.createGroup("Editors", ann)
		rename := func(name string) {
			d.Helper()
			if err := d.patch(scim.Group, editors, scim.Operation{Op: "replace", Path: "displayName", Value: name}); err != nil {
				d.Fatal(err)
			}
			d.work()
		}
		d.work()
		d.want(ann, provisioning.Active, "editor")
		rename("Writers")
		d.want(ann, provisioning.Suspended, "ordinary")
		rename("EDITORS")
		d.want(ann, provisioning.Active, "editor")
		if err := d.Delete(d.Context(), d.client("default"), scim.Group, editors, nil); err != nil {
			d.Fatal(err)
		}
		d.work()
		d.want(ann, provisioning.Suspended, "ordinary")
		d.createGroup("Editors", ann)
		d.work()
		d.want(ann, provisioning.Active, "editor")
	})
}

// TestOverrideSpellings: an attribute has one override, however its name is written.
func TestOverrideSpellings(t *testing.T) {
	t.Parallel()
	eachDirectory(t, func(*provisioning.Settings) {}, func(d *directory) {
		ann := d.create(named("ann"))
		set := func(overrides map[string]any) error {
			_, err := d.Act(d.Context(), d.admin(), scim.User, ann, provisioning.Act{Overrides: overrides})
			return err
		}
		if err := set(map[string]any{"TITLE": "Countess"}); err != nil {
			d.Fatal(err)
		}
		if err := set(map[string]any{"title": "Baroness"}); err != nil {
			d.Fatal(err)
		}
		if got := d.effective(ann, "title"); got != "Baroness" {
			d.Errorf("title %v", got)
		}
		wantKind(d.T, set(map[string]any{"title": "a", "Title": "b"}), provisioning.Invalid, "Title and title are the same attribute")
		if err := set(map[string]any{"Title": nil}); err != nil {
			d.Fatal(err)
		}
		if got := d.effective(ann, "title"); got != nil {
			d.Errorf("title %v after it was taken back", got)
		}
	})
}

// TestGraceTimeEnds: what was removed comes back whole within its grace time; then it is purged, or a person is
// asked.
func TestGraceTimeEnds(t *testing.T) {
	t.Parallel()
	external := func(name string) scim.Attributes {
		a := named(name)
		a["externalId"] = "11111111-2222-3333-4444-" + fmt.Sprintf("%012x", len(name))
		return a
	}
	for _, purge := range []provisioning.PurgeMode{provisioning.PurgeAuto, provisioning.PurgeAsk} {
		t.Run(string(purge), func(t *testing.T) {
			t.Parallel()
			eachDirectory(t, func(s *provisioning.Settings) {
				s.Deletion.Users.Deleted, s.Deletion.Purge = provisioning.DeletePolicy, purge
			}, func(d *directory) {
				ann, bo := d.create(external("ann")), d.create(external("bo"))
				d.createGroup("Sales", ann, bo)
				if _, err := d.Act(d.Context(), d.admin(), scim.User, ann, provisioning.Act{Overrides: map[string]any{"nickName": "Annie"}}); err != nil {
					d.Fatal(err)
				}
				d.remove(ann)
				d.remove(bo)
				d.want(ann, provisioning.Removed, "ordinary")
				d.clock.Advance(29 * 24 * time.Hour)
				d.sweep()
				if got := d.create(external("ann")); got != ann {
					d.Errorf("a new id %s, want %s again", got, ann)
				}
				d.want(ann, provisioning.Active, "ordinary")
				if got := d.effective(ann, "nickName"); got != "Annie" {
					d.Errorf("nickName %v", got)
				}
				d.clock.Advance(48 * time.Hour)
				d.sweep()
				d.sweep()
				if purge == provisioning.PurgeAsk {
					m := d.onlyMatter(provisioning.MatterPurge)
					if got := d.effective(bo, "userName"); got != "bo" {
						d.Errorf("userName %v before a person has spoken", got)
					}
					d.resolve(m, provisioning.MatterAllowed)
				}
				x := d.account(bo)
				if x.State != provisioning.Removed || x.Index.Name != "" || x.Index.ExternalID != "" || !x.PurgeAt.IsZero() || string(x.Asserted) != string(scim.Standard(scim.User).Encode(nil)) {
					d.Errorf("what is left of a purged user: %+v with %s", x, x.Asserted)
				}
				if got := d.create(external("bo")); got == bo {
					d.Error("a purged user came back")
				}
			})
		})
	}
}

// TestAgeing: who is suspended for long is removed, or a person is asked once.
func TestAgeing(t *testing.T) {
	t.Parallel()
	for _, do := range []provisioning.DeletionPolicy{provisioning.DeletePolicy, provisioning.HoldPolicy} {
		t.Run(string(do), func(t *testing.T) {
			t.Parallel()
			eachDirectory(t, func(s *provisioning.Settings) {
				s.Deletion.Ageing = provisioning.AgeingSettings{After: 90 * provisioning.Period(24*time.Hour), Do: do}
			}, func(d *directory) {
				ann, bo := d.create(named("ann")), d.create(named("bo"))
				if err := d.disable(ann); err != nil {
					d.Fatal(err)
				}
				d.clock.Advance(91 * 24 * time.Hour)
				d.sweep()
				d.want(bo, provisioning.Active, "ordinary")
				if do == provisioning.DeletePolicy {
					d.want(ann, provisioning.Removed, "ordinary")
					return
				}
				d.want(ann, provisioning.Suspended, "ordinary")
				m := d.onlyMatter(provisioning.MatterHeld)
				d.resolve(m, provisioning.MatterRejected)
				d.sweep()
				if open := d.matters(provisioning.MatterQuery{Status: provisioning.MatterOpen}); len(open) > 0 {
					d.Errorf("asked again: %+v", open)
				}
				d.want(ann, provisioning.Suspended, "ordinary")
			})
		})
	}
}

// TestSweepsReachEverybody: those who were asked about already, and the protected, hold up nobody who comes after them.
func TestSweepsReachEverybody(t *testing.T) {
	t.Parallel()
	eachDirectory(t, func(s *provisioning.Settings) {
		s.Tolerance.Mode = provisioning.ToleranceOff
		s.Deletion.Ageing = provisioning.AgeingSettings{After: 90 * provisioning.Period(24*time.Hour), Do: provisioning.HoldPolicy}
	}, func(d *directory) {
		const many = 210 // more than two strides
		protected := map[string]bool{}
		for i := range many {
			id := d.create(named(fmt.Sprintf("user%03d", i)))
			if err := d.disable(id); err != nil {
				d.Fatal(err)
			}
			if i < 5 {
				yes := true
				if _, err := d.Act(d.Context(), d.admin(), scim.User, id, provisioning.Act{Protected: &yes}); err != nil {
					d.Fatal(err)
				}
				protected[id] = true
			}
		}
		d.clock.Advance(91 * 24 * time.Hour)
		for range 3 {
			d.sweep()
		}
		open := d.matters(provisioning.MatterQuery{Status: provisioning.MatterOpen})
		for _, m := range open {
			if protected[m.Resource] || m.Times != 1 {
				d.Errorf("asked %d times about %s", m.Times, m.Name)
			}
		}
		if len(open) != many-len(protected) {
			d.Errorf("%d were asked about, want %d", len(open), many-len(protected))
		}
	})
}

// TestRegroupJobsAreBounded: a change of very many members makes jobs of a bounded size, which together reach everybody.
func TestRegroupJobsAreBounded(t *testing.T) {
	t.Parallel()
	eachDirectory(t, func(s *provisioning.Settings) {
		s.Protocol.UnknownMembers = provisioning.KeepUnknownMembers
		s.Roles.Names, s.Roles.Groups = []string{"clerk"}, []provisioning.RoleMapping{{When: "Clerks", Role: "clerk"}}
	}, func(d *directory) {
		var members []string
		for i := range 2100 {
			members = append(members, fmt.Sprintf("0198c0de-0000-7000-8000-%012d", i))
		}
		first := d.create(named("ann")) // before and behind all of them
		members = append(members, first, "00000000-0000-7000-8000-000000000000", "ffffffff-0000-7000-8000-000000000000")
		d.createGroup("Clerks", members...)
		jobs, err := d.Jobs(d.Context(), "acme", provisioning.JobRegroup, 0)
		if err != nil {
			d.Fatal(err)
		}
		total := 0
		for _, j := range jobs {
			total += j.Total
			if j.State != provisioning.JobQueued || len(j.Params) > 100<<10 {
				d.Errorf("job %s is %s and has %d bytes", j.ID, j.State, len(j.Params))
			}
		}
		if len(jobs) != 2 || total != len(members) {
			d.Errorf("%d jobs of %d users, want two of %d", len(jobs), total, len(members))
		}
		d.work()
		d.want(first, provisioning.Active, "clerk")
	})
}

// TestAskedOnceIsReadOnce: a sweep costs no look at those who were asked about, whatever came of it; who was never asked
// about, and who was let go and is suspended again, is.
func TestAskedOnceIsReadOnce(t *testing.T) {
	t.Parallel()
	eachDirectory(t, func(s *provisioning.Settings) {
		s.Deletion.Ageing = provisioning.AgeingSettings{After: 90 * provisioning.Period(24*time.Hour), Do: provisioning.HoldPolicy}
	}, func(d *directory) {
		counting := &counted{Store: d.store}
		service := provisioning.New(provisioning.Options{Store: counting, Now: d.clock.Now, Impact: silent})
		views := func() int {
			counting.views = 0
			if _, err := service.Sweep(d.Context()); err != nil {
				d.Fatal(err)
			}
			return counting.views
		}
		idle := views()
		for i := range 9 {
			if err := d.disable(d.create(named(fmt.Sprintf("user%d", i)))); err != nil {
				d.Fatal(err)
			}
		}
		d.clock.Advance(91 * 24 * time.Hour)
		if asking := views(); asking <= idle {
			d.Errorf("%d views to ask about nine, %d for nobody", asking, idle)
		}
		open := d.matters(provisioning.MatterQuery{Status: provisioning.MatterOpen})
		if len(open) != 9 {
			d.Fatalf("%d were asked about", len(open))
		}
		for _, m := range open[:3] {
			d.resolve(m, provisioning.MatterRejected)
		}
		if again := views(); again != idle {
			d.Errorf("%d views where all were asked about, %d for nobody", again, idle)
		}
		if open := d.matters(provisioning.MatterQuery{Status: provisioning.MatterOpen}); len(open) != 6 {
			d.Errorf("%d are open after three were rejected", len(open))
		}
		back := open[5]
		d.resolve(back, provisioning.MatterAllowed)
		d.want(back.Resource, provisioning.Removed, "ordinary")
		for _, state := range []provisioning.State{provisioning.Active, provisioning.Suspended} {
			if _, err := d.Act(d.Context(), d.admin(), scim.User, back.Resource, provisioning.Act{State: state}); err != nil {
				d.Fatal(err)
			}
		}
		d.clock.Advance(91 * 24 * time.Hour)
		d.sweep()
		if open := d.matters(provisioning.MatterQuery{Resource: back.Resource, Status: provisioning.MatterOpen}); len(open) != 1 {
			d.Errorf("who is suspended again: %+v", open)
		}
	})
}

// counted counts views.
type counted struct {
	provisioning.Store
	views int
}

func (c *counted) View(ctx context.Context, tenant string, fn func(provisioning.Reader) error) error {
	c.views++
	return c.Store.View(ctx, tenant, fn)
}

// TestHeldDeparture: a person allows or rejects what a policy holds, and a client that changes its mind settles it.
func TestHeldDeparture(t *testing.T) {
	t.Parallel()
	eachDirectory(t, func(s *provisioning.Settings) {
		s.Deletion.Users = provisioning.UserDeletion{Deactivated: provisioning.HoldPolicy, Deleted: provisioning.HoldPolicy, Scope: provisioning.HoldPolicy}
	}, func(d *directory) {
		for i, step := range []struct {
			remove bool
			choose provisioning.MatterStatus
			state  provisioning.State
		}{
			{false, provisioning.MatterAllowed, provisioning.Suspended},
			{false, provisioning.MatterRejected, provisioning.Active},
			{true, provisioning.MatterAllowed, provisioning.Removed},
			{true, provisioning.MatterRejected, provisioning.Active},
		} {
			id := d.create(named(fmt.Sprintf("user%d", i)))
			if step.remove {
				d.remove(id)
			} else if err := d.disable(id); err != nil {
				d.Fatal(err)
			}
			d.want(id, provisioning.Held, "ordinary")
			d.resolve(d.onlyMatter(provisioning.MatterHeld), step.choose)
			d.want(id, step.state, "ordinary")
		}
		id := d.create(named("undecided"))
		if err := d.disable(id); err != nil {
			d.Fatal(err)
		}
		if err := d.patch(scim.User, id, scim.Operation{Op: "replace", Path: "active", Value: true}); err != nil {
			d.Fatal(err)
		}
		d.want(id, provisioning.Active, "ordinary")
		if open := d.matters(provisioning.MatterQuery{Status: provisioning.MatterOpen}); len(open) > 0 {
			d.Errorf("still open: %+v", open)
		}
	})
}

// TestSecondPerson: what one person allows waits until another one does, too.
func TestSecondPerson(t *testing.T) {
	t.Parallel()
	eachDirectory(t, func(s *provisioning.Settings) {
		s.Deletion.Users.Deleted, s.Matters.SecondPerson = provisioning.HoldPolicy, true
	}, func(d *directory) {
		id := d.create(named("ann"))
		d.remove(id)
		m := d.onlyMatter(provisioning.MatterHeld)
		d.resolve(m, provisioning.MatterAllowed)
		d.want(id, provisioning.Held, "ordinary")
		_, err := d.Resolve(d.Context(), d.admin(), m.ID, provisioning.Resolution{Status: provisioning.MatterAllowed})
		wantKind(d.T, err, provisioning.Forbidden, "second person")
		second := d.admin()
		second.Actor = "somebody else"
		if _, err := d.Resolve(d.Context(), second, m.ID, provisioning.Resolution{Status: provisioning.MatterAllowed}); err != nil {
			d.Fatal(err)
		}
		d.want(id, provisioning.Removed, "ordinary")
	})
}

// TestSecondPersonConfirmsTheSame: who confirms that an account is linked confirms which.
func TestSecondPersonConfirmsTheSame(t *testing.T) {
	t.Parallel()
	eachDirectory(t, func(s *provisioning.Settings) { s.Matters.SecondPerson = true }, func(d *directory) {
		if _, err := d.CreateConnection(d.Context(), d.admin(), "other"); err != nil {
			d.Fatal(err)
		}
		shared := func(name string) scim.Attributes {
			a := named(name)
			a["emails"] = []any{map[string]any{"value": "shared@example.com"}}
			return a
		}
		accounts := []string{d.createAs("other", shared("ann")), d.createAs("other", shared("bo"))}
		_, err := d.Create(d.Context(), d.client("default"), scim.User, provisioning.Body{Attributes: shared("cy")})
		wantKind(d.T, err, provisioning.Conflict, "link")
		m, second := d.onlyMatter(provisioning.MatterAdoption), d.admin()
		second.Actor = "somebody else"
		link := func(o provisioning.Origin, candidate string) error {
			_, err := d.Resolve(d.Context(), o, m.ID, provisioning.Resolution{Status: provisioning.MatterLinked, Candidate: candidate})
			return err
		}
		wantKind(d.T, link(d.admin(), ""), provisioning.Invalid, "choose one of")
		if err := link(d.admin(), accounts[0]); err != nil {
			d.Fatal(err)
		}
		wantKind(d.T, link(second, accounts[1]), provisioning.Conflict, accounts[0])
		if err := link(second, ""); err != nil {
			d.Fatal(err)
		}
		for i, owner := range []string{"default", "other"} {
			if got := d.account(accounts[i]).Connection; got != d.client(owner).Connection.ID {
				d.Errorf("account %d is connection %d's, want %s's", i, got, owner)
			}
		}
	})
}

// TestAdoptionIsAsked: whose account it is is asked once, and each answer has its consequence.
func TestAdoptionIsAsked(t *testing.T) {
	t.Parallel()
	mail := func(name, address string) scim.Attributes {
		a := named(name)
		a["emails"] = []any{map[string]any{"value": address, "type": "work", "primary": true}}
		return a
	}
	eachDirectory(t, nil, func(d *directory) {
		if _, err := d.CreateConnection(d.Context(), d.admin(), "other"); err != nil {
			d.Fatal(err)
		}
		post := func(a scim.Attributes) error {
			_, err := d.Create(d.Context(), d.client("default"), scim.User, provisioning.Body{Attributes: a})
			return err
		}
		ann := d.createAs("other", mail("ann", "ann@x.example"))
		for range 3 {
			wantKind(d.T, post(mail("ANN", "ann@x.example")), provisioning.Conflict, "link")
		}
		m := d.onlyMatter(provisioning.MatterAdoption)
		if m.Times != 3 || !cmp.Equal(m.Candidates, []string{ann}) {
			d.Errorf("matter %+v", m)
		}
		d.resolve(m, provisioning.MatterLinked)
		x := d.account(ann)
		if own := d.client("default").Connection.ID; x.Connection != own || !x.Visible {
			d.Errorf("owner %d, visible %v; want %d and true", x.Connection, x.Visible, own)
		}
		if got := d.effective(ann, "userName"); got != "ANN" {
			d.Errorf("userName %v, want what the client asserted", got)
		}

		d.createAs("other", mail("bo", "bo@x.example"))
		wantKind(d.T, post(mail("bo2", "BO@x.example")), provisioning.Conflict, "emails")
		d.resolve(d.onlyMatter(provisioning.MatterAdoption), provisioning.MatterCreated)
		if err := post(mail("bo2", "BO@x.example")); err != nil {
			d.Errorf("another person with the same address: %v", err)
		}

		d.createAs("other", mail("cy", "cy@x.example"))
		wantKind(d.T, post(mail("cy", "cy@y.example")), provisioning.Conflict, "userName")
		d.resolve(d.onlyMatter(provisioning.MatterAdoption), provisioning.MatterIgnored)
		wantKind(d.T, post(mail("cy", "cy@y.example")), provisioning.Conflict, "not managed")
		if open := d.matters(provisioning.MatterQuery{Status: provisioning.MatterOpen}); len(open) > 0 {
			d.Errorf("asked again: %+v", open)
		}
	})
}

// TestToleranceAndAllowance: what would reach the limit waits; a person's word lets it go, or ends it.
func TestToleranceAndAllowance(t *testing.T) {
	t.Parallel()
	eachDirectory(t, func(s *provisioning.Settings) {
		s.Tolerance.Users = provisioning.Tolerance{Share: 20, Count: 5}
	}, func(d *directory) {
		var ids []string
		for i := range 40 {
			ids = append(ids, d.create(named(fmt.Sprintf("user%02d", i))))
		}
		for _, id := range ids[:4] {
			if err := d.disable(id); err != nil {
				d.Fatal(err)
			}
		}
		wantKind(d.T, d.disable(ids[4]), provisioning.Unavailable, "tolerance of 5")
		d.want(ids[4], provisioning.Active, "ordinary")
		delayed := d.onlyMatter(provisioning.MatterDelayed)
		d.resolve(delayed, provisioning.MatterAllowed)
		if err := d.disable(ids[4]); err != nil {
			d.Errorf("after it was allowed: %v", err)
		}
		wantKind(d.T, d.disable(ids[5]), provisioning.Unavailable, "tolerance of 5")
		d.resolve(d.onlyMatter(provisioning.MatterDelayed), provisioning.MatterRejected)
		if err := d.disable(ids[5]); err != nil {
			d.Errorf("after it was rejected: %v", err)
		}
		d.want(ids[5], provisioning.Active, "ordinary")

		until := d.clock.Now().Add(time.Hour)
		if _, err := d.Allow(d.Context(), d.admin(), "default", provisioning.BudgetUsers, provisioning.Allowance{Left: 2, Until: until}); err != nil {
			d.Fatal(err)
		}
		for _, id := range ids[6:8] {
			if err := d.disable(id); err != nil {
				d.Errorf("within the allowance: %v", err)
			}
		}
		wantKind(d.T, d.disable(ids[8]), provisioning.Unavailable, "tolerance of 5")
		d.clock.Advance(25 * time.Hour)
		if err := d.disable(ids[8]); err != nil {
			d.Errorf("in the next window: %v", err)
		}
		d.clock.Advance(4 * 24 * time.Hour)
		d.sweep()
		if open := d.matters(provisioning.MatterQuery{Status: provisioning.MatterOpen}); len(open) > 0 {
			d.Errorf("still open: %+v", open)
		}
	})
}

// TestRejectedRemovalIsAnsweredOnce: who stays by a person's word stays against that one removal, in however many pieces it
// comes and whatever else was asked for meanwhile; who was added again since, or was never meant, is weighed anew.
func TestRejectedRemovalIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	eachDirectory(t, func(s *provisioning.Settings) {
		s.Tolerance.Members = provisioning.Tolerance{Share: 50, From: 2}
	}, func(d *directory) {
		var ids []string
		for i := range 8 {
			ids = append(ids, d.create(named(fmt.Sprintf("user%d", i))))
		}
		staff := d.createGroup("staff", ids...)
		change := func(op string, members ...string) error {
			var list []any
			for _, id := range members {
				list = append(list, map[string]any{"value": id})
			}
			return d.patch(scim.Group, staff, scim.Operation{Op: op, Path: "members", Value: list})
		}
		leave := func(outcome provisioning.Outcome, members ...string) {
			d.Helper()
			if err := change("remove", members...); err != nil {
				d.Fatal(err)
			}
			if e := entriesOf(d)[0]; e.Outcome != outcome || outcome != provisioning.Success && e.Reason.Code != provisioning.ReasonIgnored {
				d.Errorf("journalled as %s, %v; want %s", e.Outcome, e.Reason, outcome)
			}
		}
		size := func(want int) {
			d.Helper()
			if x, err := d.Account(d.Context(), "acme", scim.Group, staff); err != nil || x.MemberCount != want {
				d.Errorf("%d members, want %d; %v", x.MemberCount, want, err)
			}
		}
		reject := func(members ...string) provisioning.Matter {
			d.Helper()
			wantKind(d.T, change("remove", members...), provisioning.Unavailable, "tolerance")
			m := d.onlyMatter(provisioning.MatterDelayed)
			d.resolve(m, provisioning.MatterRejected)
			return m
		}
		first := reject(ids[:4]...)
		second := reject(ids[4:]...) // of the same group, and no word about the others
		leave(provisioning.Skipped, ids[0])
		d.clock.Advance(48 * time.Hour)
		leave(provisioning.Skipped, ids[1], ids[4], "0198c0de-0000-7000-8000-00000000000a") // who is no member does not count
		size(8)
		if err := change("add", ids[0], ids[1]); err != nil {
			d.Fatal(err)
		}
		leave(provisioning.Success, ids[0]) // few enough to go, and asked for anew
		size(7)
		leave(provisioning.Skipped, ids[2])
		leave(provisioning.Skipped, ids[3])
		if m, err := d.Matter(d.Context(), "acme", first.ID); err != nil || m.Status != provisioning.MatterRejected || !m.Until.Equal(d.clock.Now()) {
			d.Errorf("answered: %+v, %v", m, err)
		}
		if m, err := d.Matter(d.Context(), "acme", second.ID); err != nil || !m.Until.IsZero() || !cmp.Equal(m.Members, ids[5:]) {
			d.Errorf("of some yet to be asked for: %+v, %v", m, err)
		}
	})
}

// TestDelayedRemovalThatCame: what was delayed and went through by itself, as time went by, asks nobody any longer.
func TestDelayedRemovalThatCame(t *testing.T) {
	t.Parallel()
	eachDirectory(t, func(s *provisioning.Settings) {
		s.Tolerance.Members = provisioning.Tolerance{Share: 50, From: 2}
	}, func(d *directory) {
		ids := []string{d.create(named("ann")), d.create(named("bo")), d.create(named("cy")), d.create(named("dee")), d.create(named("eve"))}
		staff := d.createGroup("staff", ids...)
		leave := func(id string) error {
			return d.patch(scim.Group, staff, scim.Operation{Op: "remove", Path: "members", Value: []any{map[string]any{"value": id}}})
		}
		if err := leave(ids[0]); err != nil {
			d.Fatal(err)
		}
		wantKind(d.T, leave(ids[1]), provisioning.Unavailable, "tolerance")
		d.onlyMatter(provisioning.MatterDelayed)
		d.clock.Advance(25 * time.Hour)
		if err := leave(ids[1]); err != nil { // of four, one may go
			d.Error(err)
		}
		if open := d.matters(provisioning.MatterQuery{Status: provisioning.MatterOpen}); len(open) > 0 {
			d.Errorf("still open: %+v", open)
		}
	})
}
