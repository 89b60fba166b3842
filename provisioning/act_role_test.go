package provisioning_test

import (
	"testing"

	"meibo/provisioning"
)

// TestRolesThatNobodyNamed: a misspelt role is refused, since its holder would be taken for protected and is not.
func TestRolesThatNobodyNamed(t *testing.T) {
	t.Parallel()
	eachDirectory(t, func(s *provisioning.Settings) { s.Roles.Names = []string{"helpdesk"} }, func(d *directory) {
		id := d.create(named("ann"))
		choose := func(role string) error {
			_, err := d.Act(d.Context(), d.admin(), "User", id, provisioning.Act{Role: &role})
			return err
		}
		for _, role := range []string{"Admin", "adimn", "Helpdesk", " admin"} {
			wantKind(d.T, choose(role), provisioning.Invalid, "roles.names")
			d.want(id, provisioning.Active, "ordinary")
		}
		for _, role := range []string{"admin", "helpdesk", "ordinary", ""} {
			if err := choose(role); err != nil {
				d.Errorf("%q: %v", role, err)
			}
		}
	})
}
