package transfer_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"meibo/provisioning"
	"meibo/provisioning/transfer"
	"meibo/scim"
	"meibo/store/storetest"
)

// TestNoImportReachesTheProtected imports whatever files over and over: who is protected stays in, and a protected group
// keeps members. To see it fail, take the guard out of Restore.setState.
func TestNoImportReachesTheProtected(t *testing.T) {
	t.Parallel()
	store, n := storetest.Open(t), 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		d := newDirectory(t, store, fmt.Sprintf("acme-%d", n))
		var users, groups []string
		for i := range 5 {
			users = append(users, d.create(t, "entra", scim.User, scim.Attributes{"userName": fmt.Sprintf("u%d", i), "active": true}))
		}
		for i := range 2 {
			groups = append(groups, d.create(t, "entra", scim.Group, scim.Attributes{"displayName": fmt.Sprintf("g%d", i)}, users[0], users[1]))
		}
		yes, admin := true, provisioning.RoleAdmin
		d.act(t, scim.User, users[0], provisioning.Act{Protected: &yes})
		d.act(t, scim.User, users[1], provisioning.Act{Role: &admin})
		d.act(t, scim.Group, groups[0], provisioning.Act{Protected: &yes})

		reached := 0
		for range rapid.IntRange(1, 3).Draw(rt, "imports") {
			o := d.options(anyFile(rt, users, groups))
			owner := rapid.SampledFrom([]string{"entra", "entra", "hr", ""}).Draw(rt, "owner")
			o.Owner, o.DeleteMissing = &owner, rapid.Bool().Draw(rt, "delete missing")
			plan, _ := d.plan(t, o)
			changed, err := transfer.Apply(t.Context(), o, plan)
			if err != nil {
				rt.Fatal(err)
			}
			reached += changed
			for _, id := range users[:2] {
				if x, err := d.Account(t.Context(), d.origin.Tenant, scim.User, id); err != nil || x.State != provisioning.Active && x.State != provisioning.Held {
					rt.Fatalf("%s is %s, %v", x.Index.Name, x.State, err)
				}
			}
			x, err := d.Account(t.Context(), d.origin.Tenant, scim.Group, groups[0])
			if err != nil || x.State == provisioning.Removed || x.MemberCount == 0 {
				rt.Fatalf("%s is %s with %d members, %v", x.Index.Display, x.State, x.MemberCount, err)
			}
		}
		rt.Log(reached, "changes")
	})
}

// anyFile draws a file about some users and groups that takes away what it can.
func anyFile(t *rapid.T, users, groups []string) string {
	pick := func(label string, choices ...string) string { return rapid.SampledFrom(choices).Draw(t, label) }
	var b strings.Builder
	b.WriteString("type,id,state,visible,purgeAt,active,displayName,userName,group\n")
	rest := func() string {
		return pick("state", "", "active", "suspended", "held", "removed") + "," + pick("visible", "", "true", "false") + "," +
			pick("purgeAt", "", "2020-01-01T00:00:00Z")
	}
	for i, id := range users {
		if rapid.Bool().Draw(t, "user") {
			fmt.Fprintf(&b, "User,%s,%s,%s,,%s,\n", id, rest(), pick("active", "", "true", "false"), pick("userName", fmt.Sprintf("u%d", i), fmt.Sprintf("other%d", i)))
		}
	}
	for i, id := range groups {
		if !rapid.Bool().Draw(t, "group") {
			continue
		}
		state := strings.Replace(rest(), "suspended", "removed", 1)
		fmt.Fprintf(&b, "Group,%s,%s,,g%d,,\n", id, state, i)
		if member := pick("member", "", users[0], users[2]); member != "" {
			fmt.Fprintf(&b, "Member,%s,,,,,,,\n", member)
		}
	}
	return b.String()
}
