package provisioning_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"meibo/provisioning"
	"meibo/scim"
	"meibo/store/storetest"
)

// breaking is a store that breaks down after some updates.
type breaking struct {
	provisioning.Store
	updates int // that it still does; negative for all
}

var errBroken = errors.New("broken down")

func (b *breaking) Update(ctx context.Context, tenant string, fn func(provisioning.Tx) error) error {
	if b.updates == 0 {
		return errBroken
	}
	b.updates--
	return b.Store.Update(ctx, tenant, fn)
}

// TestEraseGoesOn: wherever an erasure is interrupted, the next one finds what is left: of requests that were refused under
// the user's name, too, which nothing but that name ties to the user.
func TestEraseGoesOn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, st provisioning.Store) {
		b := &breaking{Store: st, updates: -1}
		s := provisioning.New(provisioning.Options{Store: b})
		ctx, o := t.Context(), provisioning.Origin{Tenant: "acme", Actor: "test", Correlation: "made"}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		_, err := s.CreateTenant(ctx, o)
		must(err)
		o.Connection, err = s.Connection(ctx, "acme", provisioning.DefaultConnection)
		must(err)
		for round := 0; ; round++ {
			body := provisioning.Body{Attributes: scim.Attributes{"userName": "kim@x.example", "active": true}}
			kim, err := s.Create(ctx, o, scim.User, body)
			must(err)
			if _, err = s.Create(ctx, o, scim.User, body); provisioning.KindOf(err) != provisioning.Conflict {
				t.Fatal(err)
			}
			b.updates = round
			_, err = s.Erase(ctx, o, kim.Resource.ID, true)
			b.updates = -1
			whole := err == nil
			if !whole {
				_, err = s.Erase(ctx, o, kim.Resource.ID, true)
			}
			must(err)
			must(s.Entries(ctx, "acme", provisioning.EntryQuery{}, func(e provisioning.Entry) error {
				if e.ResourceName != "" {
					t.Errorf("broken down after %d updates: entry %s (%s) still says %q", round, e.ID, e.Reason.Code, e.ResourceName)
				}
				return nil
			}))
			if whole || t.Failed() {
				return
			}
		}
	})
}

// TestEraseOfARecycledName: who came after somebody under the same name loses nothing by that one's erasure, neither what waits for a
// person nor what was refused; what was refused to, or asked about, the one who is erased goes.
func TestEraseOfARecycledName(t *testing.T) {
	t.Parallel()
	hold := func(s *provisioning.Settings) { s.Deletion.Users.Deactivated = provisioning.HoldPolicy }
	eachDirectory(t, hold, func(d *directory) {
		if _, err := d.CreateConnection(d.Context(), d.admin(), "other"); err != nil {
			d.Fatal(err)
		}
		const name = "kim@x.example"
		kim := named(name)
		kim["emails"] = []any{map[string]any{"value": "team@x.example"}}
		refused := func(connection string, a scim.Attributes) {
			d.Helper()
			d.clock.Advance(time.Hour)
			_, err := d.Create(d.Context(), d.client(connection), scim.User, provisioning.Body{Attributes: a})
			wantKind(d.T, err, provisioning.Conflict, "")
		}
		all := func() map[string]provisioning.Matter {
			byID := map[string]provisioning.Matter{}
			for _, m := range d.matters(provisioning.MatterQuery{}) {
				byID[m.ID] = m
			}
			return byID
		}
		mate := named("mate")
		mate["emails"] = kim["emails"]
		d.createAs("other", mate)
		refused("default", kim) // whose account is it? somebody else's, a person says
		d.resolve(d.onlyMatter(provisioning.MatterAdoption), provisioning.MatterCreated)
		leaver := d.create(kim)
		refused("default", kim)
		d.clock.Advance(24 * time.Hour)
		d.remove(leaver)
		old := all()
		if len(old) != 1 {
			d.Fatalf("matters of the leaver: %+v", old)
		}

		d.clock.Advance(24 * time.Hour)
		newcomer := d.create(named(name))
		if newcomer == leaver {
			d.Fatal("the newcomer got the account of the leaver")
		}
		d.clock.Advance(24 * time.Hour)
		refused("default", named(name))
		if err := d.disable(newcomer); err != nil {
			d.Fatal(err)
		}
		refused("other", named(name))
		before := all()
		if open := d.matters(provisioning.MatterQuery{Status: provisioning.MatterOpen}); len(open) != 2 {
			d.Fatalf("open matters of the newcomer: %+v", open)
		}
		if _, err := d.Erase(d.Context(), d.admin(), leaver, true); err != nil {
			d.Fatal(err)
		}
		for id, m := range all() {
			_, gone := old[id]
			switch {
			case gone && (m.Name != "" || m.Asserted != nil):
				d.Errorf("a matter of the leaver keeps %q, %s", m.Name, m.Asserted)
			case !gone && !cmp.Equal(m, before[id]):
				d.Errorf("a matter of the newcomer changed:\n%s", cmp.Diff(before[id], m))
			}
		}
		failures := map[string]int{} // by the name that they say
		if err := d.Entries(d.Context(), "acme", provisioning.EntryQuery{Outcome: provisioning.Failure, Action: provisioning.ActionCreate}, func(e provisioning.Entry) error {
			failures[e.ResourceName]++
			return nil
		}); err != nil {
			d.Fatal(err)
		}
		if want := map[string]int{"": 2, name: 2}; !cmp.Equal(failures, want) {
			d.Errorf("refused creates by name: %v, want %v", failures, want)
		}
	})
}
