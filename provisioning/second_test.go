package provisioning_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"meibo/provisioning"
	"meibo/scim"
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
	held := func(d *directory) {
		if err := d.disable(d.create(named("ann"))); err != nil {
			d.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		opens   func(d *directory)
		choices [2]provisioning.MatterStatus
	}{
		"both allow":  {held, [2]provisioning.MatterStatus{provisioning.MatterAllowed, provisioning.MatterAllowed}},
		"both reject": {held, [2]provisioning.MatterStatus{provisioning.MatterRejected, provisioning.MatterRejected}},
		"one of each": {held, [2]provisioning.MatterStatus{provisioning.MatterRejected, provisioning.MatterAllowed}},
		"of whom a guard keeps": {func(d *directory) {
			if err := d.disable(d.create(named("boss"))); err != nil {
				d.Fatal(err)
			}
		}, [2]provisioning.MatterStatus{provisioning.MatterRejected, provisioning.MatterAllowed}},
		"both link": {func(d *directory) {
			if _, err := d.CreateConnection(d.Context(), d.admin(), "other"); err != nil {
				d.Fatal(err)
			}
			d.createAs("other", named("ann"))
			_, err := d.Create(d.Context(), d.client("default"), scim.User, provisioning.Body{Attributes: named("ann")})
			wantKind(d.T, err, provisioning.Conflict, "link")
		}, [2]provisioning.MatterStatus{provisioning.MatterLinked, provisioning.MatterLinked}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachDirectory(t, func(s *provisioning.Settings) {
				s.Deletion.Users.Deactivated, s.Guard.Users = provisioning.HoldPolicy, []string{"boss"}
			}, func(d *directory) {
				tt.opens(d)
				m := d.matters(provisioning.MatterQuery{Status: provisioning.MatterOpen})[0]
				first, second := d.admin(), d.admin()
				first.Actor, second.Actor = "key of Rie", "key of Ken"
				faster := &between{Store: d.store, after: 1, do: func() {
					if _, err := d.Resolve(d.Context(), first, m.ID, provisioning.Resolution{Status: tt.choices[0]}); err != nil {
						d.Error(err)
					}
				}}
				slow := provisioning.New(provisioning.Options{Store: faster, Now: d.clock.Now})
				_, err := slow.Resolve(d.Context(), second, m.ID, provisioning.Resolution{Status: tt.choices[1]})
				wantKind(d.T, err, provisioning.Conflict, "the matter is closed: it was "+string(tt.choices[0])+" by key of Rie")
				if m, err := d.Matter(d.Context(), "acme", m.ID); err != nil || m.Status != tt.choices[0] || m.ClosedBy != first.Actor {
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

// TestChoicesAtOnce: of many who choose of one matter at the same time one is done, and all others are told whose choice that was.
func TestChoicesAtOnce(t *testing.T) {
	t.Parallel()
	shared := func(name string) scim.Attributes {
		a := named(name)
		a["emails"] = []any{map[string]any{"value": "shared@example.com"}}
		return a
	}
	for name, tt := range map[string]struct {
		edit    func(*provisioning.Settings)
		open    func(d *directory)
		choices []provisioning.MatterStatus
	}{
		"delayed": {func(s *provisioning.Settings) {
			s.Tolerance.Users, s.Deletion.Users.Deactivated = provisioning.Tolerance{Share: 1}, provisioning.DeletePolicy
		}, func(d *directory) {
			wantKind(d.T, d.disable(d.create(named("ann"))), provisioning.Unavailable, "tolerance")
		},
			[]provisioning.MatterStatus{provisioning.MatterAllowed, provisioning.MatterRejected}},
		"adoption": {nil, func(d *directory) {
			if _, err := d.CreateConnection(d.Context(), d.admin(), "other"); err != nil {
				d.Fatal(err)
			}
			d.createAs("other", shared("ann"))
			_, err := d.Create(d.Context(), d.client("default"), scim.User, provisioning.Body{Attributes: shared("bo")})
			wantKind(d.T, err, provisioning.Conflict, "link")
		}, []provisioning.MatterStatus{provisioning.MatterLinked, provisioning.MatterIgnored, provisioning.MatterCreated}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachDirectory(t, tt.edit, func(d *directory) {
				tt.open(d)
				m := d.matters(provisioning.MatterQuery{Status: provisioning.MatterOpen})[0]
				const people = 6
				errs := make([]error, people)
				var all sync.WaitGroup
				start := make(chan struct{})
				for i := range people {
					all.Go(func() {
						o := d.admin()
						o.Actor = fmt.Sprint("person ", i)
						<-start
						_, errs[i] = d.Resolve(d.Context(), o, m.ID, provisioning.Resolution{Status: tt.choices[i%len(tt.choices)]})
					})
				}
				close(start)
				all.Wait()
				m, err := d.Matter(d.Context(), "acme", m.ID)
				if err != nil || m.Status == provisioning.MatterOpen {
					d.Fatalf("matter %+v, %v", m, err)
				}
				for i, err := range errs {
					if m.ClosedBy == fmt.Sprint("person ", i) {
						if err != nil {
							d.Errorf("who was first: %v", err)
						}
						continue
					}
					wantKind(d.T, err, provisioning.Conflict, "by "+m.ClosedBy)
				}
			})
		})
	}
}
