package storetest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"meibo/provisioning"
	"meibo/scim"
)

func TestSmoke(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w := newWorld(t, s, "acme")
		u := w.user("Ada@Example.com")
		u.Index.Emails = []provisioning.Email{{Value: "a@b", Type: "work", Primary: true}, {Value: "c@d"}}
		u.Index.ExternalID = "ext"
		w.created(u)
		v := w.created(w.user("Bob"))
		g := w.created(w.group("Staff"), u.ID)
		w.changed(g, func(c *provisioning.Change) {
			c.Members.Add = []scim.Member{{Value: v.ID, Display: "B"}}
		})
		w.changed(g, func(c *provisioning.Change) { c.Members.Remove = []string{u.ID} })
		w.changed(u, func(c *provisioning.Change) {
			c.After.Index.Emails = []provisioning.Email{{Value: "x@y"}}
			c.After.Index.Name = "ada2"
			c.After.Index.EffectiveName = "ada2"
		})
		got, err := w.read(scim.User, u.ID)
		w.must(err)
		t.Logf("%+v", got)
		t.Logf("%+v", w.members(g.ID))
		t.Logf("%+v", w.list(provisioning.ListQuery{Scope: w.scope(scim.User), StartIndex: 1, Count: 10}))
		t.Logf("%+v", w.list(provisioning.ListQuery{Scope: w.scope(scim.User), StartIndex: 2, Count: 10, References: provisioning.References{Groups: true, Manager: true}}))
		t.Logf("%+v", w.list(provisioning.ListQuery{Scope: w.scope(scim.User), StartIndex: 1}))
		for _, f := range []string{`userName eq "ADA2"`, `userName eq "ada"`, `externalId eq "ext"`} {
			filter, err := scim.ParseFilter(scim.Standard(scim.User), f)
			w.must(err)
			t.Logf("%s %+v", f, w.list(provisioning.ListQuery{Scope: w.scope(scim.User), Filter: filter, StartIndex: 1, Count: 10}))
		}
		t.Logf("%+v", w.entries(provisioning.EntryQuery{}))
		t.Log(cmp.Diff(1, 1))
		t.Log(w.create(w.user("ada2")))
	})
}
