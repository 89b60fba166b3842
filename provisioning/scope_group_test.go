package provisioning_test

import (
	"testing"

	"meibo/provisioning"
	"meibo/scim"
)

// TestEmptiedGroupStaysEmpty: whom a client adds to a group that was emptied as it left scope is listed, and a member for the
// host application once the group is back; what a guard kept in goes on as it was.
func TestEmptiedGroupStaysEmpty(t *testing.T) {
	t.Parallel()
	eachDirectory(t, func(s *provisioning.Settings) {
		s.Scope.Groups.Filter, s.Deletion.Groups.Scope = `displayName sw "S"`, provisioning.RemoveMembersPolicy
	}, func(d *directory) {
		ann, bob := d.create(named("ann")), d.create(named("bob"))
		sales, staff := d.createGroup("Sales", ann), d.createGroup("Staff", ann)
		yes := true
		if _, err := d.Act(d.Context(), d.admin(), scim.Group, staff, provisioning.Act{Protected: &yes}); err != nil {
			d.Fatal(err)
		}
		send := func(group string, op scim.Operation) {
			d.Helper()
			if err := d.patch(scim.Group, group, op); err != nil {
				d.Fatal(err)
			}
		}
		both := func() []string { return []string{ann, bob} }
		for _, group := range []string{sales, staff} {
			send(group, scim.Operation{Op: "replace", Path: "displayName", Value: "x" + group})
			send(group, scim.Operation{Op: "add", Path: "members", Value: []any{map[string]any{"value": bob}}})
		}
		d.wantInGroup(sales, both(), nil)
		d.wantInGroup(staff, both(), both())
		send(sales, scim.Operation{Op: "replace", Path: "displayName", Value: "Sales"})
		d.wantInGroup(sales, both(), both())
	})
}
