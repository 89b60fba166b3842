package provisioning_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"meibo/provisioning"
	"meibo/scim"
)

// TestSpentOnWhoWaitsForTheHost: a deletion that waits for the host application is taken from the tolerance if the account was in
// until then, held ones and adopted ones among them. As of a later entry the journal says the same.
func TestSpentOnWhoWaitsForTheHost(t *testing.T) {
	t.Parallel()
	staff := func(active bool) scim.Attributes {
		return scim.Attributes{"userName": "ann@x.example", "title": "staff", "active": active}
	}
	guest := scim.Attributes{"userName": "ann@x.example", "title": "guest"}
	for name, test := range map[string]struct {
		before func(d *directory)
		create scim.Attributes
		leave  []scim.Operation
		remove bool
		want   int
	}{
		"held before": {nil, staff(true), []scim.Operation{{Op: "replace", Path: "active", Value: false}}, true, 1},
		"disabled before": {func(d *directory) {
			d.apply(func(s *provisioning.Settings) { s.Deletion.Users.Deactivated = provisioning.SuspendPolicy })
		}, staff(false), nil, true, 0},
		"adopted out of scope": {func(d *directory) {
			if _, err := d.CreateConnection(d.Context(), d.admin(), "other"); err != nil {
				d.Fatal(err)
			}
			d.createAs("other", guest)
		}, guest, nil, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachDirectory(t, func(s *provisioning.Settings) {
				s.Deletion.Users.Deactivated, s.Deletion.Users.Deleted, s.Deletion.Users.Scope = provisioning.HoldPolicy, provisioning.DeletePolicy, provisioning.DeletePolicy
				s.Scope.Users.Filter = `title eq "staff"`
				s.Matching.Adoption, s.Matching.VerifiedDomains = provisioning.AdoptionAdopt, []string{"x.example"}
				s.Matters.Impact = provisioning.ImpactSettings{URL: "https://host.example/impact", Timeout: provisioning.Period(30 * time.Second)}
			}, func(d *directory) {
				must := func(err error) {
					d.Helper()
					if err != nil {
						d.Fatal(err)
					}
				}
				if test.before != nil {
					test.before(d)
				}
				o := d.client("default")
				o.Actor = "token …7f3c"
				done, err := d.Create(d.Context(), o, scim.User, provisioning.Body{Attributes: test.create})
				must(err)
				id := done.Resource.ID
				if test.leave != nil {
					_, err = d.Patch(d.Context(), o, scim.User, id, test.leave, scim.PatchOptions{}, nil, provisioning.References{})
					must(err)
				}
				if test.remove {
					must(d.Delete(d.Context(), o, scim.User, id, nil))
				}
				d.clock.Advance(time.Second)
				d.create(scim.Attributes{"userName": "late@x.example", "title": "staff"})
				late := provisioning.Entry{}
				must(d.Entries(d.Context(), "acme", provisioning.EntryQuery{Limit: 1}, func(e provisioning.Entry) error { late = e; return nil }))
				was, is := d.spent(d.store), d.spent(provisioning.NewAsOf(d.store, late, nil))
				if len(was) != test.want {
					d.Errorf("spent %v, want %d", was, test.want)
				}
				if difference := cmp.Diff(was, is); difference != "" {
					d.Errorf("as of the last entry (-stored +said):\n%s", difference)
				}
			})
		})
	}
}

// spent is what the connection has spent of its users' tolerance.
func (d *directory) spent(s provisioning.Store) []provisioning.Spent {
	d.Helper()
	f, err := provisioning.View(d.Context(), s, "acme", func(r provisioning.Reader) (provisioning.DepartureFacts, error) {
		return r.Departure(provisioning.BudgetQuery{Connection: d.client("default").Connection.ID, Kind: provisioning.BudgetUsers})
	})
	if err != nil {
		d.Fatal(err)
	}
	return f.Budget.Spent
}
