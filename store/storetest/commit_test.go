package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"meibo/provisioning"
	"meibo/scim"
	"meibo/store"
)

func TestNamesAreTakenByConstraint(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w := newWorld(t, s, "acme")
		w.created(w.user("ada"))
		w.created(w.group("Staff"))
		wantKind(t, w.create(w.user("ADA")), provisioning.Conflict, "userName")
		wantKind(t, w.create(w.group("STAFF")), provisioning.Conflict, "displayName")

		foreign := w.user("ada")
		foreign.Connection = w.other.ID
		wantKind(t, w.create(foreign), provisioning.Conflict, "userName") // the effective name is the tenant's
		foreign.Index.EffectiveName = "ada-2"
		w.must(w.create(foreign))

		bob := w.created(w.user("bob"))
		rename := func(c *provisioning.Change) { c.After.Index.Name = "ada" }
		wantKind(t, w.change(w.scope(scim.User), bob.ID, rename), provisioning.Conflict, "userName")

		elsewhere := newWorld(t, s, "umbrella")
		elsewhere.created(elsewhere.user("ada"))
	})
}

func TestInvisibleNamesAreFree(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w := newWorld(t, s, "acme")
		first := w.created(w.user("ada"))
		w.hide(first.ID)
		second := w.user("ada")
		wantKind(t, w.create(second), provisioning.Conflict, "userName") // the first is still there for the tenant

		// The old account gives its effective name up in the unit of work that takes it.
		w.must(w.update(func(tx provisioning.Tx) error {
			found, err := tx.Candidates(provisioning.CandidateQuery{Scope: w.scope(scim.User), Name: "ada"})
			if err != nil {
				return err
			}
			freed := *found.Effective
			freed.Version++
			freed.Index.EffectiveName = "ada#" + freed.ID
			return tx.Commit(provisioning.Batch{
				Changes: []provisioning.Change{
					{Action: provisioning.ChangeUpdate, Before: found.Effective, After: freed},
					{Action: provisioning.ChangeCreate, After: second},
				},
				Entries: []provisioning.Entry{entryAbout(second), entryAbout(first)},
			})
		}))
		wantKind(t, w.change(provisioning.Scope{Connection: w.own.ID, Type: scim.User}, first.ID, func(*provisioning.Change) {}), provisioning.NotFound, "")
	})
}

// TestUniqueNamesRace has 32 goroutines create the same user: one does, the others hear why not.
func TestUniqueNamesRace(t *testing.T) {
	t.Parallel()
	each(t, store.Options{}, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, "acme")
		var won, lost atomic.Int32
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				err := w.create(w.user("ada"))
				var e *provisioning.Error
				switch {
				case err == nil:
					won.Add(1)
				case errors.As(err, &e) && e.Kind == provisioning.Conflict && e.Attribute == "userName":
					lost.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 || lost.Load() != 31 {
			t.Errorf("%d created the user and %d were refused, want 1 and 31", won.Load(), lost.Load())
		}
	})
}

// TestNoUpdateIsLost has many goroutines increment one number; a lost update leaves it short.
func TestNoUpdateIsLost(t *testing.T) {
	t.Parallel()
	each(t, store.Options{}, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, "acme")
		u := w.user("ada")
		u.Index.Display = "0"
		w.created(u)
		const workers, each = 16, 6
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for range each {
					err := w.change(w.scope(scim.User), u.ID, func(c *provisioning.Change) {
						var n int
						_, _ = fmt.Sscan(c.Before.Index.Display, &n)
						c.After.Index.Display = fmt.Sprint(n + 1)
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		got, err := w.read(scim.User, u.ID)
		w.must(err)
		if want := workers * each; got.Index.Display != fmt.Sprint(want) || got.Version != int64(want+1) {
			t.Errorf("after %d increments the number is %s and the version %d", want, got.Index.Display, got.Version)
		}
		if n := len(w.entries(provisioning.EntryQuery{Resource: u.ID})); n != workers*each+1 {
			t.Errorf("%d entries for %d changes", n, workers*each+1)
		}
	})
}

// TestMembersRace has goroutines add and remove the same members; each id ends with one open
// membership or none, and the journal's deltas fold to the same list.
func TestMembersRace(t *testing.T) {
	t.Parallel()
	each(t, store.Options{}, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, "acme")
		ids := w.createMany("u", 5)
		g := w.created(w.group("Staff"))
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for j := range 10 {
					if err := w.toggle(g.ID, ids[(i+j)%len(ids)]); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		entries := w.entries(provisioning.EntryQuery{Resource: g.ID})
		slices.SortFunc(entries, func(a, b provisioning.Entry) int { return int(a.Version - b.Version) })
		folded := map[string]bool{}
		for _, e := range entries {
			for _, m := range e.Members.Add {
				if folded[m.Value] {
					t.Errorf("version %d adds a member that is there", e.Version)
				}
				folded[m.Value] = true
			}
			for _, id := range e.Members.Remove {
				if !folded[id] {
					t.Errorf("version %d removes a member that is not there", e.Version)
				}
				delete(folded, id)
			}
		}
		members := w.members(g.ID)
		if len(members) != len(folded) {
			t.Errorf("%d members, and the journal folds to %d", len(members), len(folded))
		}
	})
}

// toggle adds the member if it is none, and removes it if it is one.
func (w *world) toggle(group, member string) error {
	entryID := newID()
	return w.update(func(tx provisioning.Tx) error {
		before, err := tx.Resource(provisioning.ResourceQuery{Scope: w.scope(scim.Group), ID: group, MemberFacts: []string{member}})
		if err != nil {
			return err
		}
		c := provisioning.Change{Action: provisioning.ChangeUpdate, Before: &before, After: before}
		c.After.Version++
		if before.MemberFacts[0].Member {
			c.Members.Remove = []string{member}
		} else {
			c.Members.Add = []scim.Member{{Value: member}}
		}
		e := entryAbout(c.After)
		e.ID, e.Members = entryID, c.Members
		return tx.Commit(provisioning.Batch{Changes: []provisioning.Change{c}, Entries: []provisioning.Entry{e}})
	})
}

func TestStaleChangeRunsAgain(t *testing.T) {
	t.Parallel()
	each(t, store.Options{}, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, "acme")
		u := w.created(w.user("ada"))
		stale := u
		w.changed(u, func(c *provisioning.Change) { c.After.Role = "admin" })
		runs := 0
		err := w.update(func(tx provisioning.Tx) error {
			runs++
			before := stale
			if runs > 1 {
				before.Version = 2
			}
			after := before
			after.Version, after.Role = before.Version+1, "auditor"
			return tx.Commit(provisioning.Batch{Changes: []provisioning.Change{{Action: provisioning.ChangeUpdate, Before: &before, After: after}}})
		})
		w.must(err)
		got, err := w.read(scim.User, u.ID)
		w.must(err)
		if runs != 2 || got.Version != 3 || got.Role != "auditor" {
			t.Errorf("after %d runs the version is %d and the role %q", runs, got.Version, got.Role)
		}
		err = w.update(func(tx provisioning.Tx) error {
			after := stale
			return tx.Commit(provisioning.Batch{Changes: []provisioning.Change{{Action: provisioning.ChangeUpdate, Before: &stale, After: after}}})
		})
		wantKind(t, err, provisioning.Unavailable, "")
	})
}

func TestErrorsOfClosuresComeBack(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w := newWorld(t, s, "acme")
		mine := errors.New("mine")
		if err := w.update(func(provisioning.Tx) error { return mine }); err != mine {
			t.Errorf("Update: %v", err)
		}
		if err := s.View(context.Background(), w.tenant, func(provisioning.Reader) error { return mine }); err != mine {
			t.Errorf("View: %v", err)
		}
		w.created(w.user("ada"))
		err := w.update(func(tx provisioning.Tx) error {
			_ = tx.Commit(provisioning.Batch{Changes: []provisioning.Change{{Action: provisioning.ChangeCreate, After: w.user("ada")}}})
			return nil // swallowed
		})
		wantKind(t, err, provisioning.Conflict, "userName")

		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := s.Update(ctx, w.tenant, func(tx provisioning.Tx) error { _, err := tx.Tenant(); return err }); err != context.Canceled {
			t.Errorf("Update with a context that is done: %v", err)
		}
		if err := s.View(ctx, w.tenant, func(r provisioning.Reader) error { _, err := r.Tenant(); return err }); err != context.Canceled {
			t.Errorf("View with a context that is done: %v", err)
		}
	})
}

// TestFailureBeforeAnyWrite fails a unit of work before each of its statements in turn: nothing of
// it may be left, and the store works on.
func TestFailureBeforeAnyWrite(t *testing.T) {
	t.Parallel()
	var armed atomic.Int32 // 1 fails the next statement, 2 the one after it, …
	failure := errors.New("injected")
	hook := func(string) error {
		if armed.Load() > 0 && armed.Add(-1) == 0 {
			return failure
		}
		return nil
	}
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			s := open(t, store.Options{URL: database.url(t), BeforeWrite: hook})
			w := newWorld(t, s, "acme")
			member := w.created(w.user("member"))
			for n := int32(1); ; n++ {
				if n > 30 {
					t.Fatal("the unit of work has no end")
				}
				u, g := w.user("ada"), w.group("Staff")
				u.Index.Emails = []provisioning.Email{{Value: "a@b"}}
				batch := provisioning.Batch{
					Changes: []provisioning.Change{{Action: provisioning.ChangeCreate, After: u}, {Action: provisioning.ChangeCreate, After: g,
						Members: provisioning.MemberDelta{Add: []scim.Member{{Value: member.ID}}}}},
					Entries: []provisioning.Entry{entryAbout(u), entryAbout(g)},
				}
				settings, m, j := w.settingsOf(1), w.matter(provisioning.MatterHeld, u.ID, "k"), job("undo")
				batch.Admin = []provisioning.AdminChange{{SaveSettings: &settings}}
				batch.Matters = []provisioning.MatterChange{{Open: &m}}
				batch.Jobs = []provisioning.JobChange{{Create: &j}}
				batch.Budgets = []provisioning.Budget{{Connection: w.own.ID, Kind: provisioning.BudgetUsers, Version: 1}}
				armed.Store(n)
				err := w.update(func(tx provisioning.Tx) error { return tx.Commit(batch) })
				reached := armed.Swap(0) == 0
				if !reached {
					w.must(err)
					t.Logf("%d statements", n-1)
					break
				}
				if err != failure {
					t.Fatalf("statement %d failed, and Update answered %v", n, err)
				}
				w.wantOnly(member.ID)
			}
		})
	}
}

// wantOnly fails unless the world holds one user, no group, and the entries of its making.
func (w *world) wantOnly(user string) {
	w.t.Helper()
	users := w.list(provisioning.ListQuery{Scope: w.scope(scim.User), StartIndex: 1, Count: 10})
	groups := w.list(provisioning.ListQuery{Scope: w.scope(scim.Group), StartIndex: 1, Count: 10})
	if got := idsOf(users); !slices.Equal(got, []string{user}) || users.Total != 1 || groups.Total != 0 || len(groups.Resources) != 0 {
		w.t.Fatalf("left behind: users %v of %d, %d groups of %d", got, users.Total, len(groups.Resources), groups.Total)
	}
	if n := len(w.entries(provisioning.EntryQuery{})); n != 2 {
		w.t.Fatalf("left behind: %d entries, want 2", n)
	}
	w.view(func(r provisioning.Reader) error {
		jobs, err := r.Jobs("", "", 0)
		w.must(err)
		versions, err := r.SettingsHistory(w.own.ID)
		w.must(err)
		facts, err := r.Departure(provisioning.BudgetQuery{Connection: w.own.ID, Kind: provisioning.BudgetUsers})
		if len(jobs)+len(versions)+int(facts.Budget.Version) > 0 || facts.Present != 1 || len(w.matters(provisioning.MatterQuery{})) > 0 {
			w.t.Fatalf("left behind: %d jobs, %d versions of settings, %+v", len(jobs), len(versions), facts)
		}
		return err
	})
}

func TestUniqueGroupNamesSwitch(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w := newWorld(t, s, "acme")
		version := int64(0)
		set := func(unique bool) error {
			next := defaultsOf(w.own, version+1)
			next.Settings.Protocol.UniqueGroupNames = unique
			err := w.admin(provisioning.AdminChange{SaveSettings: &next})
			if err == nil {
				version++
			}
			return err
		}
		find := func(name string) []string {
			f, err := scim.ParseFilter(scim.Standard(scim.Group), `displayName eq "`+name+`"`)
			w.must(err)
			return idsOf(w.list(provisioning.ListQuery{Scope: w.scope(scim.Group), Filter: f, StartIndex: 1, Count: 10}))
		}
		a := w.created(w.group("Staff"))
		wantKind(t, w.create(w.group("staff")), provisioning.Conflict, "displayName")
		w.must(set(false))
		b := w.created(w.group("STAFF"))
		w.created(w.group("Staff\u0001more"))
		wantEqual(t, find("staff"), []string{a.ID, b.ID})
		wantKind(t, set(true), provisioning.Conflict, "displayName")
		wantEqual(t, find("staff"), []string{a.ID, b.ID}) // nothing of the refused switch is left
		w.changed(b, func(c *provisioning.Change) { c.After.Index.Name = "crew" })
		w.must(set(true))
		wantEqual(t, find("staff"), []string{a.ID})
		wantKind(t, w.create(w.group("Crew")), provisioning.Conflict, "displayName")
	})
}

// defaultsOf are the default settings as a version of a connection's.
func defaultsOf(c provisioning.Connection, version int64) provisioning.SettingsVersion {
	return provisioning.SettingsVersion{Connection: c.ID, Version: version, At: epoch, Actor: "test", Settings: provisioning.DefaultSettings()}
}

func TestAdministration(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w, stranger := newWorld(t, s, "acme"), newWorld(t, s, "umbrella")
		wantKind(t, w.admin(provisioning.AdminChange{CreateTenant: &provisioning.Tenant{Name: "acme", Created: epoch}}), provisioning.Conflict, "name")
		again := connection("own")
		wantKind(t, w.admin(provisioning.AdminChange{CreateConnection: &again}), provisioning.Conflict, "name")
		nobody := &world{t: t, s: s, tenant: "nobody"}
		wantKind(t, nobody.admin(provisioning.AdminChange{CreateConnection: &again}), provisioning.NotFound, "")
		foreign := defaultsOf(stranger.own, 1)
		wantKind(t, w.admin(provisioning.AdminChange{SaveSettings: &foreign}), provisioning.NotFound, "")

		hash := []byte("0123456789abcdef0123456789abcdef")
		k := provisioning.Credential{ID: newID(), Connection: w.own.ID, Hash: hash, Hint: "cdef", Created: epoch, Expires: epoch.AddDate(1, 0, 0)}
		w.must(w.admin(provisioning.AdminChange{CreateCredential: &k}))
		theirs := k
		theirs.ID, theirs.Connection = newID(), stranger.own.ID
		wantKind(t, w.admin(provisioning.AdminChange{CreateCredential: &theirs}), provisioning.NotFound, "")
		wantKind(t, w.admin(provisioning.AdminChange{RevokeCredential: &theirs}), provisioning.NotFound, "")

		k.Revoked, k.LastUsed = epoch.AddDate(0, 1, 0), epoch.AddDate(0, 0, 1)
		later := k
		later.Revoked = epoch.AddDate(0, 2, 0)
		w.must(w.admin(provisioning.AdminChange{TouchCredential: &k}, provisioning.AdminChange{RevokeCredential: &k}, provisioning.AdminChange{RevokeCredential: &later}))
		w.view(func(r provisioning.Reader) error {
			tenant, err := r.Tenant()
			w.must(err)
			wantEqual(t, tenant, provisioning.Tenant{Name: "acme", Created: epoch})
			all, err := r.Connections()
			w.must(err)
			wantEqual(t, all, []provisioning.Connection{w.other, w.own})
			list, err := r.Credentials(w.own.ID)
			w.must(err)
			wantEqual(t, list, []provisioning.Credential{k})
			found, owner, err := r.CredentialByHash(hash)
			w.must(err)
			wantEqual(t, found, k)
			wantEqual(t, owner, w.own)
			_, _, err = r.CredentialByHash(hash[1:])
			wantKind(t, err, provisioning.NotFound, "")
			return nil
		})
		for _, tenant := range []string{"umbrella", "nobody"} {
			err := s.View(context.Background(), tenant, func(r provisioning.Reader) error {
				list, err := r.Credentials(w.own.ID)
				if err != nil || len(list) > 0 {
					t.Errorf("%s sees credentials: %v, %v", tenant, list, err)
				}
				_, _, err = r.CredentialByHash(hash)
				return err
			})
			wantKind(t, err, provisioning.NotFound, "")
		}
	})
}
