package provisioning_test

import (
	"context"
	"testing"
	"time"

	"meibo/provisioning"
)

// TestSecondPersonForSettings: what keeps departures in check, and the demand for two itself, changes only once somebody
// else asks for the same; anything else changes at one person's word.
func TestSecondPersonForSettings(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*provisioning.Settings){
		"tolerance":     func(s *provisioning.Settings) { s.Tolerance.Mode = provisioning.ToleranceOff },
		"guard":         func(s *provisioning.Settings) { s.Guard.Users = nil },
		"guarded roles": func(s *provisioning.Settings) { s.Roles.Guarded = nil },
		"grants":        func(s *provisioning.Settings) { s.Roles.GrantGuarded = true },
		"a policy":      func(s *provisioning.Settings) { s.Deletion.Users.Deleted = provisioning.DeletePolicy },
		"ageing": func(s *provisioning.Settings) {
			s.Deletion.Ageing = provisioning.AgeingSettings{After: provisioning.Period(48 * time.Hour), Do: provisioning.DeletePolicy}
		},
		"grace":        func(s *provisioning.Settings) { s.Deletion.Grace = 0 },
		"purge":        func(s *provisioning.Settings) { s.Deletion.Purge = provisioning.PurgeAuto },
		"the question": func(s *provisioning.Settings) { s.Matters.Impact.URL = "https://app.example/impact" },
		"the demand":   func(s *provisioning.Settings) { s.Matters.SecondPerson = false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachDirectory(t, func(s *provisioning.Settings) {
				s.Matters.SecondPerson, s.Guard.Users = true, []string{"ann"}
				s.Roles.Names, s.Roles.Guarded = []string{"officer"}, []string{"officer"}
			}, func(d *directory) {
				v, err := d.Settings(d.Context(), d.admin().Tenant, "default")
				if err != nil {
					d.Fatal(err)
				}
				wanted := v.Settings
				edit(&wanted)
				apply := func(o provisioning.Origin, s provisioning.Settings) error {
					_, _, err := d.ApplySettings(d.Context(), o, "default", provisioning.SettingsDraft{Settings: s, Expect: provisioning.AnyVersion})
					return err
				}
				inForce := func() provisioning.Settings {
					v, err := d.Settings(d.Context(), d.admin().Tenant, "default")
					if err != nil {
						d.Fatal(err)
					}
					return v.Settings
				}
				first, second := d.admin(), d.admin()
				second.Actor = "somebody else"
				for range 2 {
					wantKind(d.T, apply(first, wanted), provisioning.Forbidden, "second person")
				}
				if diff := inForce().Diff(wanted); len(diff) == 0 {
					d.Error("one person's word was enough")
				}
				other := wanted
				other.Matters.OverdueAfter = provisioning.Period(time.Hour)
				wantKind(d.T, apply(second, other), provisioning.Forbidden, "second person")
				if err := apply(second, wanted); err != nil {
					d.Fatalf("the second person: %v", err)
				}
				if diff := inForce().Diff(wanted); len(diff) > 0 {
					d.Errorf("not in force: %v", diff)
				}
			})
		})
	}
}

// TestOnePersonForTheRest: the demand is for what it names alone.
func TestOnePersonForTheRest(t *testing.T) {
	t.Parallel()
	eachDirectory(t, func(s *provisioning.Settings) {
		s.Matters.SecondPerson = true
	}, func(d *directory) {
		v, err := d.Settings(d.Context(), d.admin().Tenant, "default")
		if err != nil {
			d.Fatal(err)
		}
		wanted := v.Settings
		wanted.Matching.Adoption, wanted.Roles.Names = provisioning.AdoptionRefuse, []string{"helpdesk"}
		_, isNew, err := d.ApplySettings(d.Context(), d.admin(), "default", provisioning.SettingsDraft{Settings: wanted, Expect: provisioning.AnyVersion})
		if err != nil || !isNew {
			d.Errorf("new %v, %v", isNew, err)
		}
	})
}

// TestSecondPersonForAllowances: an allowance holds from the second person's word to the earlier of both ends.
func TestSecondPersonForAllowances(t *testing.T) {
	t.Parallel()
	eachDirectory(t, func(s *provisioning.Settings) { s.Matters.SecondPerson = true }, func(d *directory) {
		first, second := d.admin(), d.admin()
		second.Actor = "somebody else"
		soon := d.Now().Add(time.Hour)
		allow := func(o provisioning.Origin, left int, until time.Time) (provisioning.Budget, error) {
			return d.Allow(d.Context(), o, "default", provisioning.BudgetUsers, provisioning.Allowance{Left: left, Until: until})
		}
		for range 2 {
			_, err := allow(first, 5, soon)
			wantKind(d.T, err, provisioning.Forbidden, "second person")
		}
		if m := d.onlyMatter(provisioning.MatterProposal); m.Proposed != first.Actor || m.Reason.Args["left"] != "5" {
			d.Errorf("matter %+v", m)
		}
		b, err := allow(second, 5, soon.Add(time.Hour))
		if err != nil || len(b.Allowances) != 1 || !b.Allowances[0].Until.Equal(soon) {
			d.Errorf("budget %+v, %v", b, err)
		}
		if _, err := d.Allow(d.Context(), first, "default", provisioning.BudgetUsers, provisioning.Allowance{Left: -1, Until: soon, Reject: true}); err != nil {
			d.Errorf("to reject takes one: %v", err)
		}
	})
}

// TestFasterChoice: of two who choose of one matter at once, the later one is told who was faster, whatever the choice does;
// that the client asked again meanwhile is no obstacle.
func TestFasterChoice(t *testing.T) {
	t.Parallel()
	for name, choices := range map[string][2]provisioning.MatterStatus{
		"both allow":  {provisioning.MatterAllowed, provisioning.MatterAllowed},
		"both reject": {provisioning.MatterRejected, provisioning.MatterRejected},
		"one of each": {provisioning.MatterRejected, provisioning.MatterAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachDirectory(t, func(s *provisioning.Settings) { s.Deletion.Users.Deactivated = provisioning.HoldPolicy }, func(d *directory) {
				id := d.create(named("ann"))
				if err := d.disable(id); err != nil {
					d.Fatal(err)
				}
				m := d.onlyMatter(provisioning.MatterHeld)
				first, second := d.admin(), d.admin()
				first.Actor, second.Actor = "key of Rie", "key of Ken"
				faster := &between{Store: d.store, after: 1, do: func() {
					if _, err := d.Resolve(d.Context(), first, m.ID, provisioning.Resolution{Status: choices[0]}); err != nil {
						d.Error(err)
					}
				}}
				slow := provisioning.New(provisioning.Options{Store: faster, Now: d.clock.Now})
				_, err := slow.Resolve(d.Context(), second, m.ID, provisioning.Resolution{Status: choices[1]})
				wantKind(d.T, err, provisioning.Conflict, "by key of Rie")
				if m, err := d.Matter(d.Context(), "acme", m.ID); err != nil || m.Status != choices[0] || m.ClosedBy != first.Actor {
					d.Errorf("matter %+v, %v", m, err)
				}
			})
		})
	}
}

// between is a store on which something else happens after some views.
type between struct {
	provisioning.Store
	after int
	do    func()
}

func (b *between) View(ctx context.Context, tenant string, fn func(provisioning.Reader) error) error {
	err := b.Store.View(ctx, tenant, fn)
	if b.after--; b.after == 0 {
		b.do()
	}
	return err
}

// TestOnePersonInTwoSpellings: whoever has two keys whose holders' names look alike is one person: for a matter, for many at once,
// for an allowance and for settings.
func TestOnePersonInTwoSpellings(t *testing.T) {
	t.Parallel()
	eachDirectory(t, func(s *provisioning.Settings) {
		s.Matters.SecondPerson, s.Deletion.Users.Deleted = true, provisioning.HoldPolicy
	}, func(d *directory) {
		id := d.create(named("ann"))
		d.remove(id)
		m := d.onlyMatter(provisioning.MatterHeld)
		v, err := d.Settings(d.Context(), "acme", "default")
		if err != nil {
			d.Fatal(err)
		}
		v.Settings.Tolerance.Mode = provisioning.ToleranceOff
		allowed := provisioning.Resolution{Status: provisioning.MatterAllowed}
		by := func(holder string) provisioning.Origin {
			o := d.admin()
			o.Actor = provisioning.KeyActor(holder)
			return o
		}
		allow := func(o provisioning.Origin) error {
			_, err := d.Allow(d.Context(), o, "default", provisioning.BudgetUsers, provisioning.Allowance{Left: 5, Until: d.Now().Add(time.Hour)})
			return err
		}
		apply := func(o provisioning.Origin) error {
			_, _, err := d.ApplySettings(d.Context(), o, "default", provisioning.SettingsDraft{Settings: v.Settings, Expect: provisioning.AnyVersion})
			return err
		}
		if m, err := d.Resolve(d.Context(), by("Rie Sato"), m.ID, allowed); err != nil || m.Status != provisioning.MatterOpen {
			d.Fatalf("the first person: %s, %v", m.Status, err)
		}
		for _, holder := range []string{"Rie Sato", "RIE SATO", "Rie\u200b Sato", "Rie Ｓato", "Rie  Sato"} {
			o := by(holder)
			_, err := d.Resolve(d.Context(), o, m.ID, allowed)
			wantKind(d.T, err, provisioning.Forbidden, "second person")
			chosen, err := d.Choose(d.Context(), o, []provisioning.Choice{{Line: 2, Matter: m.ID, Resolution: allowed}}, true)
			if err != nil || len(chosen) != 1 || chosen[0].Outcome != provisioning.ChoiceWaits {
				d.Errorf("%q, many: %+v, %v", holder, chosen, err)
			}
			wantKind(d.T, allow(o), provisioning.Forbidden, "second person")
			wantKind(d.T, apply(o), provisioning.Forbidden, "second person")
		}
		d.want(id, provisioning.Held, "ordinary")
		ken := by("Ken Tanaka")
		if _, err := d.Resolve(d.Context(), ken, m.ID, allowed); err != nil {
			d.Error(err)
		}
		if err := allow(ken); err != nil {
			d.Error(err)
		}
		if err := apply(ken); err != nil {
			d.Error(err)
		}
		d.want(id, provisioning.Removed, "ordinary")
	})
}
