package provisioning_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"meibo/provisioning"
	"meibo/scim"
)

// TestAnswersInAnyOrder: who was disabled and then deleted is asked about twice, and is removed whichever is allowed first.
func TestAnswersInAnyOrder(t *testing.T) {
	t.Parallel()
	eachDirectory(t, func(s *provisioning.Settings) {
		s.Deletion.Users.Deactivated, s.Deletion.Users.Deleted = provisioning.HoldPolicy, provisioning.HoldPolicy
	}, func(d *directory) {
		for name, backwards := range map[string]bool{"ann": false, "bob": true} {
			id := d.create(named(name))
			if err := d.disable(id); err != nil {
				d.Fatal(err)
			}
			d.remove(id)
			open := d.matters(provisioning.MatterQuery{Status: provisioning.MatterOpen})
			if len(open) != 2 {
				d.Fatalf("open matters %+v, want two", open)
			}
			if backwards {
				slices.Reverse(open)
			}
			for _, m := range open {
				d.resolve(m, provisioning.MatterAllowed)
			}
			d.want(id, provisioning.Removed, "ordinary")
			if d.account(id).PurgeAt.IsZero() {
				d.Errorf("%s is removed without a grace time", name)
			}
		}
	})
}

// back is somebody whose deletion waited when the client had the account again, disabled.
func back(d *directory) (id string, deletion provisioning.Matter) {
	d.Helper()
	ann := scim.Attributes{"userName": "ann", "active": true, "externalId": "11111111-2222-3333-4444-555555555555"}
	id = d.create(ann)
	d.remove(id)
	deletion = d.onlyMatter(provisioning.MatterHeld)
	ann["active"] = false
	if got := d.create(ann); got != id {
		d.Fatalf("a new id %s, want %s again", got, id)
	}
	return id, deletion
}

// TestDeletionThatWasTakenBack: nobody is removed by a question that the client has answered itself.
func TestDeletionThatWasTakenBack(t *testing.T) {
	t.Parallel()
	for _, deactivated := range []provisioning.DeletionPolicy{provisioning.HoldPolicy, provisioning.IgnorePolicy} {
		t.Run(string(deactivated), func(t *testing.T) {
			t.Parallel()
			eachDirectory(t, func(s *provisioning.Settings) {
				s.Deletion.Users.Deactivated, s.Deletion.Users.Deleted = deactivated, provisioning.HoldPolicy
			}, func(d *directory) {
				id, deletion := back(d)
				_, err := d.Resolve(d.Context(), d.admin(), deletion.ID, provisioning.Resolution{Status: provisioning.MatterAllowed})
				wantKind(d.T, err, provisioning.Precondition, "reject the matter")
				d.want(id, provisioning.Held, "ordinary")
				d.resolve(deletion, provisioning.MatterRejected)
				d.want(id, provisioning.Active, "ordinary")
			})
		})
	}
}

// TestAnswerAboutWhoIsBack: the host application's answer removes nobody whom the client has again.
func TestAnswerAboutWhoIsBack(t *testing.T) {
	t.Parallel()
	nothing := func(context.Context, provisioning.ImpactQuery) (map[string]int64, error) { return nil, nil }
	eachAsking(t, nothing, func(s *provisioning.Settings) { s.Deletion.Users.Deactivated = provisioning.IgnorePolicy }, func(d *directory) {
		id, _ := back(d)
		d.passes(1, 0)
		d.want(id, provisioning.Held, "ordinary")
	})
}

// TestAllowanceOfNoCause: what would let nobody go is refused instead of noted.
func TestAllowanceOfNoCause(t *testing.T) {
	t.Parallel()
	eachDirectory(t, nil, func(d *directory) {
		for _, tt := range []struct {
			kind  provisioning.BudgetKind
			cause string
			fine  bool
		}{
			{provisioning.BudgetUsers, "delete", false},
			{provisioning.BudgetGroups, provisioning.CauseDeactivated, false},
			{provisioning.BudgetUsers, provisioning.CauseDeactivated, true},
			{provisioning.BudgetGroups, provisioning.CauseScope, true},
			{provisioning.BudgetGroups, "", true},
		} {
			_, err := d.Allow(d.Context(), d.admin(), "default", tt.kind, provisioning.Allowance{Cause: tt.cause, Left: 1, Until: d.clock.Now().Add(time.Hour)})
			switch {
			case tt.fine && err != nil:
				d.Errorf("%s of %s: %v", tt.cause, tt.kind, err)
			case !tt.fine:
				wantKind(d.T, err, provisioning.Invalid, "choose one of")
			}
		}
	})
}
