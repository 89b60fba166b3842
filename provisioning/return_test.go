package provisioning_test

import (
	"testing"
	"time"

	"meibo/provisioning"
	"meibo/scim"
)

// TestReturnEndsThePurge: what was asked, or about to be done, of somebody who was removed is void once the client has
// the account again.
func TestReturnEndsThePurge(t *testing.T) {
	t.Parallel()
	eachDirectory(t, func(s *provisioning.Settings) {
		s.Deletion.Users.Deleted, s.Deletion.Purge = provisioning.DeletePolicy, provisioning.PurgeAsk
	}, func(d *directory) {
		bo := named("bo")
		bo["externalId"] = "11111111-2222-3333-4444-555555555555"
		id := d.create(bo)
		d.remove(id)
		d.clock.Advance(31 * 24 * time.Hour)
		d.sweep()
		m := d.onlyMatter(provisioning.MatterPurge)
		if got := d.create(bo); got != id {
			d.Fatalf("a new id %s, want %s again", got, id)
		}
		if open := d.matters(provisioning.MatterQuery{Status: provisioning.MatterOpen}); len(open) > 0 {
			d.Errorf("still asked: %+v", open)
		}
		_, err := d.Resolve(d.Context(), d.admin(), m.ID, provisioning.Resolution{Status: provisioning.MatterAllowed})
		if provisioning.KindOf(err) != provisioning.Conflict {
			d.Errorf("purged by a question that is over: %v", err)
		}
		d.want(id, provisioning.Active, "ordinary")
		if got := d.effective(id, "userName"); got != "bo" {
			d.Errorf("userName %v", got)
		}
	})
}

// TestSweepsComeTooLate: between a sweep's look and its deed the client may have had the account again.
func TestSweepsComeTooLate(t *testing.T) {
	t.Parallel()
	eachDirectory(t, func(s *provisioning.Settings) {
		s.Deletion.Users.Deleted = provisioning.DeletePolicy
	}, func(d *directory) {
		ann, bo := d.create(named("ann")), d.create(named("bo"))
		d.remove(bo)
		for name, late := range map[string]struct {
			id  string
			act provisioning.Act
		}{
			"purge of one who is back":             {ann, provisioning.Act{Purge: true, Cause: provisioning.CauseDeleted}},
			"purge of one who was removed again":   {bo, provisioning.Act{Purge: true, Cause: provisioning.CauseDeleted}},
			"question about who was removed again": {bo, provisioning.Act{Wait: true, Cause: provisioning.CauseDeleted}},
			"ageing of one who is back":            {ann, provisioning.Act{State: provisioning.Removed, Cause: provisioning.CauseAgeing}},
		} {
			before := d.account(late.id)
			_, err := d.Act(d.Context(), d.admin(), scim.User, late.id, late.act)
			if provisioning.KindOf(err) != provisioning.Precondition || err == nil {
				d.Errorf("%s: %v", name, err)
			}
			if after := d.account(late.id); after.Version != before.Version {
				d.Errorf("%s: it is %s now", name, after.State)
			}
		}
	})
}

// TestLinkEndsQuestions: what the earlier owner's client asked for is void once somebody else owns the account.
func TestLinkEndsQuestions(t *testing.T) {
	t.Parallel()
	eachDirectory(t, func(s *provisioning.Settings) {
		s.Deletion.Users.Deleted = provisioning.HoldPolicy
	}, func(d *directory) {
		if _, err := d.CreateConnection(d.Context(), d.admin(), "second"); err != nil {
			d.Fatal(err)
		}
		id := d.create(named("ann"))
		d.remove(id)
		held := d.onlyMatter(provisioning.MatterHeld)
		if err := d.Link(d.Context(), d.client("second"), id, nil); err != nil {
			d.Fatal(err)
		}
		_, err := d.Resolve(d.Context(), d.admin(), held.ID, provisioning.Resolution{Status: provisioning.MatterAllowed})
		if provisioning.KindOf(err) != provisioning.Conflict {
			d.Errorf("removed by the word of an earlier owner's client: %v", err)
		}
		d.want(id, provisioning.Active, "ordinary")
	})
}
