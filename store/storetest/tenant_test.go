package storetest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"meibo/provisioning"
	"meibo/scim"
)

// TestTenantsAreIsolated asks, as each of some tenants, for what every other one has, by its own
// connection's number and ids: there is nothing.
func TestTenantsAreIsolated(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		type tenancy struct {
			*world
			user, group provisioning.Resource
		}
		var all []tenancy
		for i := range 3 {
			w := newWorld(t, s, fmt.Sprint("tenant-", i))
			u := w.user("ada")
			u.Index.ExternalID, u.Index.Emails = "e", []provisioning.Email{{Value: "a@example.com"}}
			u.State, u.PurgeAt = provisioning.Removed, epoch
			w.created(u)
			settings, key, job := w.settingsOf(1), provisioning.APIKey{ID: newID(), Hash: []byte(w.tenant), Created: epoch}, job("undo")
			w.must(w.admin(provisioning.AdminChange{SaveSettings: &settings}, provisioning.AdminChange{CreateKey: &key}))
			m := w.matter(provisioning.MatterHeld, u.ID, "k")
			w.must(w.commit(provisioning.Batch{Matters: []provisioning.MatterChange{{Open: &m}}, Jobs: []provisioning.JobChange{{Create: &job}},
				Budgets: []provisioning.Budget{{Connection: w.own.ID, Kind: provisioning.BudgetUsers, Version: 1}}}))
			all = append(all, tenancy{w, u, w.created(w.group("Staff"), u.ID)})
		}
		for _, asker := range all {
			for _, owner := range all {
				found := asker.everything(owner.world, owner.user.ID, owner.group.ID)
				want := 0
				if asker.tenant == owner.tenant {
					want = 26
				}
				if len(found) != want {
					t.Errorf("%s finds %d things of %s, want %d: %v", asker.tenant, len(found), owner.tenant, want, found)
				}
			}
		}
	})
}

// everything asks as w for what owner has, and returns what was found by the question's name.
func (w *world) everything(owner *world, user, group string) (found []string) {
	w.t.Helper()
	add := func(what string, n int) {
		if n > 0 {
			found = append(found, what)
		}
	}
	w.view(func(r provisioning.Reader) error {
		for id, kind := range map[string]scim.ResourceType{user: scim.User, group: scim.Group} {
			if _, err := r.Resource(provisioning.ResourceQuery{Scope: owner.scope(kind), ID: id}); err == nil {
				add("resource "+string(kind), 1)
			} else if provisioning.KindOf(err) != provisioning.NotFound {
				return err
			}
		}
		for _, start := range []int{1, 2} {
			page, err := r.List(provisioning.ListQuery{Scope: owner.scope(scim.User), StartIndex: start, Count: 10})
			w.must(err)
			add(fmt.Sprint("list from ", start), page.Total+len(page.Resources))
		}
		for _, text := range []string{`userName eq "ada"`, `userName co "a"`, `externalId eq "e"`} {
			f, err := scim.ParseFilter(scim.Standard(scim.User), text)
			w.must(err)
			page, err := r.List(provisioning.ListQuery{Scope: owner.scope(scim.User), Filter: f, StartIndex: 1, Count: 10})
			w.must(err)
			add(text, page.Total+len(page.Resources))
		}
		c, err := r.Candidates(provisioning.CandidateQuery{Scope: owner.scope(scim.User), Name: "ada", ExternalID: "e"})
		w.must(err)
		if c.Visible != nil {
			add("visible candidate", 1)
		}
		add("stable candidates", len(c.Stable))
		facts, err := r.MemberFacts(owner.own.ID, "", []string{user})
		w.must(err)
		if facts[0].Issued {
			add("member fact", 1)
		}
		for kind, id := range map[scim.ResourceType]string{scim.User: user, scim.Group: group} {
			if _, err := r.Account(kind, id, provisioning.References{}); err == nil {
				add("account "+string(kind), 1)
			}
		}
		for name, q := range map[string]provisioning.AccountQuery{"accounts": {Connection: owner.own.ID, Removed: true}, "due": {Connection: owner.own.ID, Removed: true, PurgeDue: epoch},
			"accounts by externalId": {Type: scim.User, Connection: owner.own.ID, Removed: true, ExternalID: "e"}} {
			n := 0
			w.must(r.Accounts(q, func(provisioning.Resource) error { n++; return nil }))
			add(name, n)
		}
		w.must(r.Memberships(group, func(provisioning.GroupMember) error { add("membership", 1); return nil }))
		weighed, err := r.Departure(provisioning.BudgetQuery{Connection: owner.own.ID, Kind: provisioning.BudgetGroups, Resource: user})
		w.must(err)
		add("present", weighed.Present)
		add("matters about", len(weighed.Matters))
		weighed, err = r.Departure(provisioning.BudgetQuery{Connection: owner.own.ID, Kind: provisioning.BudgetUsers, Key: "k"})
		w.must(err)
		add("budget", int(weighed.Budget.Version))
		add("matters of a key", len(weighed.Matters))
		for name, q := range map[string]provisioning.MatterQuery{"matters": {Connection: owner.own.ID}, "open matters": {Connection: owner.own.ID, Status: provisioning.MatterOpen},
			"matters by resource": {Resource: user}} {
			n := 0
			w.must(r.Matters(q, func(provisioning.Matter) error { n++; return nil }))
			add(name, n)
		}
		if _, err := r.Settings(owner.own.ID, 0); err == nil {
			add("settings", 1)
		}
		w.must(r.Members([]string{group}, func(provisioning.GroupMember) error { add("member", 1); return nil }))
		return r.Entries(provisioning.EntryQuery{Resource: user}, func(provisioning.Entry) error { add("entry", 1); return nil })
	})
	return found
}

// TestLongFilters runs the deepest and the widest filter that the parser takes.
func TestLongFilters(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w := newWorld(t, s, "acme")
		ids := w.createMany("u", 3)
		wide := make([]string, 16)
		for i := range wide {
			wide[i] = fmt.Sprintf(`emails[type eq "t%d" and value co "x"] or userName eq "u1"`, i)
		}
		for name, text := range map[string]string{
			"deep": strings.Repeat("not (", 30) + `userName eq "u1"` + strings.Repeat(")", 30),
			"wide": strings.Join(wide, " or "),
			"flat": strings.Repeat(`title co "x" or `, 63) + `userName eq "u1"`,
			"mail": strings.Repeat(`emails.value eq "x" or `, 63) + `userName eq "u1"`,
		} {
			f, err := scim.ParseFilter(scim.Standard(scim.User), text)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			page := w.list(provisioning.ListQuery{Scope: w.scope(scim.User), Filter: f, StartIndex: 1, Count: 10})
			wantEqual(t, idsOf(page), ids[1:2])
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		stopped := s.View(ctx, w.tenant, func(r provisioning.Reader) error {
			cancel()
			_, err := r.List(provisioning.ListQuery{Scope: w.scope(scim.User), StartIndex: 1, Count: 10})
			return err
		})
		if stopped != context.Canceled {
			t.Errorf("a list whose caller has gone: %v", stopped)
		}
	})
}
