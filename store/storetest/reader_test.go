package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"meibo/provisioning"
	"meibo/scim"
)

// wantKind fails t unless err has that kind and, for a conflict, names that attribute.
func wantKind(t testing.TB, err error, kind provisioning.Kind, attribute string) {
	t.Helper()
	var e *provisioning.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Attribute != attribute {
		t.Fatalf("got %v, want an error of kind %d about %q", err, kind, attribute)
	}
}

func wantEqual(t testing.TB, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("want -, got +\n%s", d)
	}
}

func TestResourceComesBackAsWritten(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w := newWorld(t, s, "acme")
		boss := w.user("boss")
		boss.Index.Display = "The Boss"
		w.created(boss)
		r := w.user("Ada Ünal")
		r.State, r.Role, r.Protected, r.RuleVersion = provisioning.Suspended, "admin", true, 7
		r.Asserted = []byte(`{ "userName" : "Ada Ünal" , "n":1.50, "nickName":"\u00e4"}`) // the bytes, not the meaning
		r.Effective = []byte(`{"userName":"ada"}`)
		r.Created = r.Created.Add(-time.Hour).Add(time.Microsecond)
		r.Index.EffectiveName, r.Index.ExternalID, r.Index.Display, r.Index.Manager = "ada", "e/1", "Ada", boss.ID
		r.Index.Emails = []provisioning.Email{{Value: "a@example.com", Type: "work", Display: "a", Primary: true}, {}}
		w.created(r)
		w.must(w.update(func(tx provisioning.Tx) error {
			got, err := tx.Resource(provisioning.ResourceQuery{Scope: w.scope(scim.User), ID: r.ID, References: provisioning.References{Manager: true}})
			want := r
			want.Manager = provisioning.Reference{ID: boss.ID, Display: "The Boss"}
			wantEqual(t, got, want)
			return err
		}))
	})
}

func TestResourceIsFoundInItsScopeOnly(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w, strangers := newWorld(t, s, "acme"), newWorld(t, s, "umbrella")
		u := w.created(w.user("ada"))
		gone := w.created(w.user("gone"))
		w.changed(gone, func(c *provisioning.Change) { c.After.Visible = false })
		for name, q := range map[string]provisioning.ResourceQuery{
			"another id":             {Scope: w.scope(scim.User), ID: newID()},
			"no id at all":           {Scope: w.scope(scim.User), ID: "\x00\xff"},
			"an id cut short by NUL": {Scope: w.scope(scim.User), ID: u.ID + "\x00"},
			"invisible":              {Scope: w.scope(scim.User), ID: gone.ID},
			"another type":           {Scope: w.scope(scim.Group), ID: u.ID},
			"another connection":     {Scope: provisioning.Scope{Connection: w.other.ID, Type: scim.User}, ID: u.ID},
		} {
			err := s.View(context.Background(), w.tenant, func(r provisioning.Reader) error {
				_, err := r.Resource(q)
				return err
			})
			if provisioning.KindOf(err) != provisioning.NotFound {
				t.Errorf("%s: got %v, want NotFound", name, err)
			}
		}
		for _, tenant := range []string{strangers.tenant, "nobody", "\x00", ""} {
			err := s.View(context.Background(), tenant, func(r provisioning.Reader) error {
				_, err := r.Resource(provisioning.ResourceQuery{Scope: w.scope(scim.User), ID: u.ID})
				return err
			})
			wantKind(t, err, provisioning.NotFound, "")
		}
	})
}

func TestReferencesAreOfVisibleResources(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w := newWorld(t, s, "acme")
		boss := w.created(w.user("boss"))
		u := w.user("ada")
		u.Index.Manager = boss.ID
		w.created(u)
		g := w.created(w.group("Staff"), u.ID)
		past := w.created(w.group("Past"), u.ID)
		hidden := w.created(w.group("Hidden"), u.ID)
		w.changed(past, func(c *provisioning.Change) { c.Members.Remove = []string{u.ID} })
		w.changed(hidden, func(c *provisioning.Change) { c.After.Visible = false })
		w.changed(boss, func(c *provisioning.Change) { c.After.Index.Display, c.After.Visible = "Boss", false })

		got, err := w.read(scim.User, u.ID)
		w.must(err)
		wantEqual(t, got.Groups, []provisioning.Reference{{ID: g.ID, Display: "Staff"}})
		wantEqual(t, got.Manager, provisioning.Reference{ID: boss.ID})
		page := w.list(provisioning.ListQuery{Scope: w.scope(scim.User), StartIndex: 1, Count: 10, References: provisioning.References{Groups: true, Manager: true}})
		wantEqual(t, page.Resources[0].Groups, got.Groups)
		bare := w.list(provisioning.ListQuery{Scope: w.scope(scim.User), StartIndex: 1, Count: 10})
		if bare.Resources[0].Groups != nil {
			t.Errorf("groups that nobody asked for: %v", bare.Resources[0].Groups)
		}
	})
}

func TestMemberFacts(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w := newWorld(t, s, "acme")
		in, out, gone := w.created(w.user("in")), w.created(w.user("out")), w.created(w.user("gone"))
		foreign := w.user("foreign")
		foreign.Connection = w.other.ID
		w.created(foreign)
		g := w.created(w.group("Staff"), in.ID, gone.ID, "kept")
		w.changed(gone, func(c *provisioning.Change) { c.After.Visible = false })
		w.changed(g, func(c *provisioning.Change) {
			c.Members.Remove = []string{in.ID}
		})
		w.changed(g, func(c *provisioning.Change) {
			c.Members.Add = []scim.Member{{Value: in.ID, Display: "In"}}
		})
		ids := []string{"never", gone.ID, in.ID, foreign.ID, out.ID, "kept"}
		want := []provisioning.MemberFact{
			{ID: "never"},
			{ID: gone.ID, Issued: true, Member: true, Effective: true},
			{ID: in.ID, Issued: true, Visible: true, Member: true, Effective: true, Display: "In"},
			{ID: foreign.ID},
			{ID: out.ID, Issued: true, Visible: true},
			{ID: "kept", Member: true, Effective: true},
		}
		w.view(func(r provisioning.Reader) error {
			got, err := r.Resource(provisioning.ResourceQuery{Scope: w.scope(scim.Group), ID: g.ID, MemberFacts: ids, AllMembers: true})
			w.must(err)
			wantEqual(t, got.MemberFacts, want)
			wantEqual(t, len(got.OpenMembers), 3)
			facts, err := r.MemberFacts(w.own.ID, g.ID, ids)
			wantEqual(t, facts, want)
			w.must(err)
			facts, err = r.MemberFacts(w.own.ID, "", ids[2:3])
			wantEqual(t, facts, []provisioning.MemberFact{{ID: in.ID, Issued: true, Visible: true}})
			return err
		})
	})
}

func TestMembersAreStreamedAsTheOwnerSeesThem(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w := newWorld(t, s, "acme")
		a, b, gone := w.created(w.user("a")), w.created(w.user("b")), w.created(w.user("gone"))
		sub := w.created(w.group("Sub"), a.ID)
		g := w.created(w.group("All"), "kept", b.ID, gone.ID)
		w.changed(g, func(c *provisioning.Change) {
			c.After.Modified = epoch.Add(time.Second)
			c.Members.Add = []scim.Member{{Value: a.ID, Display: "Ä"}, {Value: sub.ID}}
		})
		w.changed(gone, func(c *provisioning.Change) { c.After.Visible = false })
		want := []provisioning.GroupMember{
			{Group: sub.ID, Value: a.ID, Type: scim.User},
			{Group: g.ID, Value: b.ID, Type: scim.User}, {Group: g.ID, Value: "kept"},
			{Group: g.ID, Value: a.ID, Display: "Ä", Type: scim.User}, {Group: g.ID, Value: sub.ID, Type: scim.Group},
		}
		wantEqual(t, w.members(sub.ID, g.ID), want)
		wantEqual(t, w.members(newID()), []provisioning.GroupMember(nil))

		stop, calls := errors.New("enough"), 0
		err := s.View(context.Background(), w.tenant, func(r provisioning.Reader) error {
			return r.Members([]string{sub.ID, g.ID}, func(provisioning.GroupMember) error { calls++; return stop })
		})
		if err != stop || calls != 1 {
			t.Errorf("fn was called %d times and its error came back as %v", calls, err)
		}
	})
}

func TestCandidates(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w := newWorld(t, s, "acme")
		foreign := w.user("taken")
		foreign.Connection = w.other.ID
		w.created(foreign)
		former := w.user("former")
		former.Index.ExternalID = "e1"
		w.created(former)
		w.changed(former, func(c *provisioning.Change) { c.After.Visible, c.After.State = false, provisioning.Removed })
		u := w.user("ada")
		u.Index.ExternalID = "e1"
		w.created(u)
		third := w.user("third")
		third.Index.ExternalID = "e1"
		w.created(third)
		g := w.created(w.group("ada"))

		candidates := func(kind scim.ResourceType, name, external string) (c provisioning.Candidates) {
			w.view(func(r provisioning.Reader) (err error) {
				c, err = r.Candidates(provisioning.CandidateQuery{Scope: w.scope(kind), Name: name, ExternalID: external})
				return err
			})
			return c
		}
		id := func(r *provisioning.Resource) string {
			if r == nil {
				return ""
			}
			return r.ID
		}
		for _, test := range []struct {
			kind               scim.ResourceType
			name               string
			visible, effective string
		}{
			{scim.User, "ada", u.ID, u.ID},
			{scim.User, "taken", "", foreign.ID},
			{scim.User, "former", "", ""}, // removed: its effective name is free
			{scim.Group, "ada", g.ID, ""},
			{scim.User, "nobody", "", ""},
		} {
			c := candidates(test.kind, test.name, "")
			wantEqual(t, []string{id(c.Visible), id(c.Effective)}, []string{test.visible, test.effective})
		}
		stable := candidates(scim.User, "", "e1").Stable
		wantEqual(t, idsOf(provisioning.Page{Resources: stable}), []string{former.ID, u.ID})
		wantEqual(t, candidates(scim.Group, "", "e1"), provisioning.Candidates{})
		wantEqual(t, candidates(scim.User, "", ""), provisioning.Candidates{})
	})
}

func TestSnapshotAgrees(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w := newWorld(t, s, "acme")
		w.created(w.user("before"))
		q := provisioning.ListQuery{Scope: w.scope(scim.User), StartIndex: 1}
		w.view(func(r provisioning.Reader) error {
			w.must(r.Snapshot())
			first, err := r.List(q)
			w.must(err)
			w.created(w.user("meanwhile"))
			second, err := r.List(q)
			wantEqual(t, second.Total, first.Total)
			return err
		})
		wantEqual(t, w.list(q).Total, 2)
	})
}

func TestEntriesComeBackAsWritten(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w := newWorld(t, s, "acme")
		full := provisioning.Entry{
			ID: newID(), At: epoch.Add(time.Minute), Connection: w.own.ID, ConnectionName: "own", Actor: "token", Correlation: "c-1",
			Request: &provisioning.RequestInfo{Method: "PATCH", Path: "/Users/1", Dialect: "entra", Quirks: []string{"q"}, Status: 204,
				Duration: 1234 * time.Microsecond},
			Action: provisioning.ActionUpdate, Outcome: provisioning.Warning, ResourceID: newID(), ResourceType: scim.User,
			ResourceName: "Ünal", Version: 3, MatchedBy: "id",
			Diff:    []provisioning.AttributeChange{{Path: "title", Old: "a", New: []any{"b", map[string]any{"c": true}}}},
			Members: provisioning.MemberDelta{Add: []scim.Member{{Value: "m", Display: "M"}}, Remove: []string{"n"}},
			Reason:  provisioning.Reason{Code: "r", Args: map[string]string{"k": "v"}},
			Error:   &provisioning.EntryError{Code: "e", Detail: "d", RecommendedAction: "a"},
		}
		var all []provisioning.Entry
		for i := range 9 {
			e := provisioning.Entry{ID: newID(), At: epoch.Add(time.Duration(i) * time.Second), Action: provisioning.ActionCreate,
				Outcome: provisioning.Failure, ResourceID: fmt.Sprint("r", i%2), ResourceName: fmt.Sprint("name ", i)}
			all = append(all, e)
		}
		w.must(w.update(func(tx provisioning.Tx) error {
			return tx.Commit(provisioning.Batch{Entries: append(all, full)})
		}))
		wantEqual(t, w.entries(provisioning.EntryQuery{Correlation: "c-1"}), []provisioning.Entry{full})

		ids := func(q provisioning.EntryQuery) (ids []string) {
			for _, e := range w.entries(q) {
				ids = append(ids, e.ID)
			}
			return ids
		}
		at := func(i int) time.Time { return epoch.Add(time.Duration(i) * time.Second) }
		for name, test := range map[string]struct {
			q    provisioning.EntryQuery
			want []string
		}{
			"name":       {provisioning.EntryQuery{Name: "ÜNAL"}, []string{full.ID}},
			"action":     {provisioning.EntryQuery{Action: provisioning.ActionUpdate}, []string{full.ID}},
			"outcome":    {provisioning.EntryQuery{Outcome: provisioning.Warning}, []string{full.ID}},
			"connection": {provisioning.EntryQuery{Connection: w.own.ID}, []string{full.ID}},
			"since":      {provisioning.EntryQuery{Since: at(8)}, []string{full.ID, all[8].ID}},
			"until":      {provisioning.EntryQuery{Until: at(2), Since: at(0), Action: provisioning.ActionCreate}, []string{all[1].ID, all[0].ID}},
			"resource":   {provisioning.EntryQuery{Resource: "r0", Limit: 2}, []string{all[8].ID, all[6].ID}},
			"next":       {provisioning.EntryQuery{Resource: "r0", Limit: 2, Before: all[6].Place()}, []string{all[4].ID, all[2].ID}},
			"page":       {provisioning.EntryQuery{Limit: 2, Before: all[7].Place()}, []string{all[6].ID, all[5].ID}},
		} {
			t.Run(name, func(t *testing.T) { wantEqual(t, ids(test.q), test.want) })
		}
	})
}
