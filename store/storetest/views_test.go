package storetest

import (
	"testing"

	"meibo/provisioning"
	"meibo/scim"
)

// TestMembershipsHaveTwoViews takes memberships through all their states: in both views, in one, in the other, in none.
func TestMembershipsHaveTwoViews(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, s provisioning.Store) {
		w := newWorld(t, s, "acme")
		a, b, c := w.created(w.user("a")), w.created(w.user("b")), w.created(w.user("c"))
		g := w.created(w.group("Staff"), a.ID, b.ID)
		want := func(asserted, effective []string) {
			t.Helper()
			w.wantMembers(g, asserted, effective)
			for _, u := range []provisioning.Resource{a, b, c} {
				w.wantGroups(g, u, asserted, effective)
			}
		}
		change := func(d provisioning.MemberDelta) {
			t.Helper()
			w.changed(g, func(c *provisioning.Change) { c.Members = d })
		}
		member := func(r provisioning.Resource) []scim.Member { return []scim.Member{{Value: r.ID, Display: "new"}} }
		want([]string{a.ID, b.ID}, []string{a.ID, b.ID})
		change(provisioning.MemberDelta{AssertedRemove: []string{a.ID, b.ID}})
		want(nil, []string{a.ID, b.ID})
		change(provisioning.MemberDelta{AssertedAdd: member(a), Remove: nil, EffectiveRemove: []string{b.ID}, EffectiveAdd: member(c)})
		want([]string{a.ID}, []string{a.ID, c.ID})
		wantEqual(t, w.display(g, a), "new") // as the client has it from now on
		change(provisioning.MemberDelta{Add: member(b), EffectiveRemove: []string{a.ID}})
		want([]string{a.ID, b.ID}, []string{b.ID, c.ID})
		change(provisioning.MemberDelta{EffectiveAdd: []scim.Member{{Value: a.ID, Display: "other"}}, AssertedAdd: member(c), AssertedRemove: []string{b.ID}})
		want([]string{a.ID, c.ID}, []string{a.ID, b.ID, c.ID})
		wantEqual(t, w.display(g, a), "new") // which is the client's alone
		change(provisioning.MemberDelta{Remove: []string{a.ID, b.ID, c.ID}})
		want(nil, nil)
		change(provisioning.MemberDelta{Add: member(a)})
		change(provisioning.MemberDelta{EffectiveRemove: []string{a.ID}})
		want([]string{a.ID}, nil)
		change(provisioning.MemberDelta{AssertedRemove: []string{a.ID}})
		want(nil, nil)
		change(provisioning.MemberDelta{Add: member(a)})
		want([]string{a.ID}, []string{a.ID})
	})
}

// display is the name that a membership has for its member.
func (w *world) display(g, u provisioning.Resource) (name string) {
	w.t.Helper()
	w.view(func(r provisioning.Reader) error {
		facts, err := r.MemberFacts(w.own.ID, g.ID, []string{u.ID})
		w.must(err)
		name = facts[0].Display
		return nil
	})
	return name
}

// wantMembers compares the members of a group in all reads that have them.
func (w *world) wantMembers(g provisioning.Resource, asserted, effective []string) {
	w.t.Helper()
	both := map[string][2]bool{}
	for _, id := range asserted {
		both[id] = [2]bool{true, false}
	}
	for _, id := range effective {
		both[id] = [2]bool{both[id][0], true}
	}
	listed, seen := map[string]bool{}, map[string]bool{}
	w.view(func(r provisioning.Reader) error {
		w.must(r.Members([]string{g.ID}, func(m provisioning.GroupMember) error { listed[m.Value] = true; return nil }))
		w.must(r.Memberships(g.ID, func(m provisioning.GroupMember) error {
			seen[m.Value] = true
			wantEqual(w.t, m.Unlisted, !both[m.Value][0])
			return nil
		}))
		got, err := r.Resource(provisioning.ResourceQuery{Scope: w.scope(scim.Group), ID: g.ID, AllMembers: true})
		w.must(err)
		wantEqual(w.t, got.MemberCount, len(effective))
		wantEqual(w.t, len(got.OpenMembers), len(both))
		for _, m := range got.OpenMembers {
			wantEqual(w.t, [2]bool{m.Asserted, m.Effective}, both[m.Value])
		}
		return nil
	})
	wantEqual(w.t, listed, setOf(asserted))
	wantEqual(w.t, seen, setOf(effective))
}

// wantGroups compares what is known of one user's membership.
func (w *world) wantGroups(g, u provisioning.Resource, asserted, effective []string) {
	w.t.Helper()
	listed, seen := setOf(asserted)[u.ID], setOf(effective)[u.ID]
	refs := provisioning.References{Groups: true}
	w.view(func(r provisioning.Reader) error {
		own, err := r.Resource(provisioning.ResourceQuery{Scope: w.scope(scim.User), ID: u.ID, References: refs})
		w.must(err)
		wantEqual(w.t, len(own.Groups) == 1, listed)
		account, err := r.Account(scim.User, u.ID, refs)
		w.must(err)
		wantEqual(w.t, len(account.Groups) == 1, seen)
		facts, err := r.MemberFacts(w.own.ID, g.ID, []string{u.ID})
		w.must(err)
		wantEqual(w.t, []bool{facts[0].Member, facts[0].Effective}, []bool{listed, seen})
		return nil
	})
	for filter, of := range map[string]scim.ResourceType{`groups eq "` + g.ID + `"`: scim.User, `members eq "` + u.ID + `"`: scim.Group} {
		f, err := scim.ParseFilter(scim.Standard(of), filter)
		w.must(err)
		page := w.list(provisioning.ListQuery{Scope: w.scope(of), Filter: f, StartIndex: 1, Count: 10})
		found := false
		for _, r := range page.Resources {
			found = found || r.ID == u.ID || r.ID == g.ID
		}
		wantEqual(w.t, found, listed)
	}
}

func setOf(ids []string) map[string]bool {
	set := map[string]bool{}
	for _, id := range ids {
		set[id] = true
	}
	return set
}
