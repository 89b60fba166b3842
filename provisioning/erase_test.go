package provisioning_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
		o.Connection = founded(t, s, o)
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

// TestEraseFindsCaptures says which captured requests tell of a person: they go, and so do those that nobody can open.
func TestEraseFindsCaptures(t *testing.T) {
	t.Parallel()
	st := storetest.Open(t)
	s := provisioning.New(provisioning.Options{Store: st, OpenCapture: func(_ string, c provisioning.Capture) (o provisioning.OpenedCapture, err error) {
		return o, json.Unmarshal(c.Sealed, &o)
	}})
	ctx, o := t.Context(), provisioning.Origin{Tenant: "acme", Actor: "test", Correlation: "made"}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	o.Connection = founded(t, s, o)
	kim, err := s.Create(ctx, o, scim.User, provisioning.Body{Attributes: scim.Attributes{"userName": "kim@x.example", "externalId": "E-4711", "active": true,
		"emails": []any{map[string]any{"value": "kim@mail.example", "type": "work"}}}})
	must(err)
	id := kim.Resource.ID
	_, err = s.Patch(ctx, o, scim.User, id, []scim.Operation{{Op: "replace", Path: "externalId", Value: "E-4712"}}, scim.PatchOptions{}, nil, provisioning.References{})
	must(err)
	_, err = s.Create(ctx, o, scim.Group, provisioning.Body{Attributes: scim.Attributes{"displayName": "crew"}, HasMembers: true, Members: []scim.Member{{Value: id, Display: "Kim of the crew"}}})
	must(err)
	opened := func(target string, texts ...string) []byte {
		data, err := json.Marshal(provisioning.OpenedCapture{Method: "GET", Target: target, Texts: texts})
		must(err)
		return data
	}
	tests := []struct {
		what   string
		sealed []byte
		goes   bool
	}{
		{"a look-up by name", opened("/Users?filter=userName%20eq%20%22KIM%40x.example%22", "", "{}"), true},
		{"a look-up by mail", opened(`/Users?filter=emails[type+eq+"work"].value+eq+"kim@mail.example"`, "", "{}"), true},
		{"a look-up by what the key was", opened("/Users?filter=externalId+eq+%22E-4711%22", "", "{}"), true},
		{"by id", opened("/Users/"+id, "", "{}"), true},
		{"by name in the path", opened("/Users/kim%40x.example", "", "{}"), true},
		{"a list", opened("/Users", "", `{"Resources":[{"id":"`+id+`"}]}`), true},
		{"in escapes", opened("/Users", `{"userName":"k\u0069m\u0040x.example"}`, ""), true},
		{"in escapes, cut off", opened("/Users", "", `{"Resources":[{"userName":"k\u0069m@x.example","title":"Sen`), true},
		{"what is no JSON", opened("/Users", "userName=kim@x.example", ""), true},
		{"what nobody can open", []byte("?"), true},
		{"by what a group lists", opened("/Groups/x", "", `{"members":[{"display":"Kim of the crew"}]}`), true},
		{"a longer address", opened("/Users", "", `{"detail":"kim@x.example.org, and al.kim@x.example, are taken"}`), false},
		{"in a sentence", opened("/Users", "", `{"detail":"the userName is taken: kim@x.example."}`), true},
		{"another name", opened("/Users?filter=userName+eq+%22akim@x.example%22", "", `{"userName":"kim@x.example2"}`), false},
		{"nobody", opened("/ServiceProviderConfig", "", "{}"), false},
	}
	keep := func(tenant string) {
		must(st.Update(ctx, tenant, func(tx provisioning.Tx) error {
			var b provisioning.Batch
			for i, test := range tests {
				b.Captures = append(b.Captures, provisioning.Capture{Correlation: fmt.Sprint(tenant, i), Connection: 1, At: s.Now(), Sealed: test.sealed})
			}
			return tx.Commit(b)
		}))
	}
	keep("acme")
	_, err = s.CreateTenant(ctx, provisioning.Origin{Tenant: "other", Actor: "test"})
	must(err)
	keep("other")
	out, err := s.Erase(ctx, o, id, true)
	must(err)
	gone := 0
	for i, test := range tests {
		for tenant, goes := range map[string]bool{"acme": test.goes, "other": false} {
			_, err := provisioning.View(ctx, st, tenant, func(r provisioning.Reader) (provisioning.Capture, error) { return r.Capture(fmt.Sprint(tenant, i)) })
			if (provisioning.KindOf(err) == provisioning.NotFound) != goes {
				t.Errorf("%s of %s: %v", test.what, tenant, err)
			}
			if goes {
				gone++
			}
		}
	}
	if out.Captures+out.Unread != gone || out.Unread != 1 {
		t.Errorf("%d captures are said to be gone, %d unread, %d are", out.Captures, out.Unread, gone)
	}
	late := map[string]provisioning.Capture{
		"waited to be written": {Correlation: "late", Connection: 1, At: s.Now().Add(-time.Second), Sealed: tests[0].sealed},
		"came later":           {Correlation: "later", Connection: 1, At: s.Now().Add(time.Minute), Sealed: tests[0].sealed},
	}
	for what, c := range late {
		must(st.Update(ctx, "acme", func(tx provisioning.Tx) error {
			return tx.Commit(provisioning.Batch{Captures: []provisioning.Capture{c}})
		}))
		_, err := provisioning.View(ctx, st, "acme", func(r provisioning.Reader) (provisioning.Capture, error) { return r.Capture(c.Correlation) })
		if kept := err == nil; kept != (what == "came later") {
			t.Errorf("a captured request that %s is kept: %t", what, kept)
		}
	}
}
