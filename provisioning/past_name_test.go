package provisioning_test

import (
	"testing"
	"time"

	"meibo/provisioning"
	"meibo/scim"
)

// TestPastOfAPurgedTombstone: a group of which the host application has nothing any more, and its client all, is called as
// its client calls it.
func TestPastOfAPurgedTombstone(t *testing.T) {
	t.Parallel()
	eachDirectory(t, nil, func(d *directory) {
		ann := d.create(named("ann"))
		staff := d.createGroup("Staff", ann)
		for _, a := range []provisioning.Act{{State: provisioning.Removed}, {Purge: true}} {
			d.clock.Advance(time.Minute)
			if _, err := d.Act(d.Context(), d.admin(), scim.Group, staff, a); err != nil {
				d.Fatal(err)
			}
		}
		past, err := d.At(d.Context(), "acme", provisioning.PastQuery{Type: scim.User, ID: ann, At: d.Now(), Groups: true})
		if err != nil {
			d.Fatal(err)
		}
		if len(past.Groups) != 1 || past.Groups[0].Display != "Staff" || past.Groups[0].Effective || !past.Groups[0].Asserted {
			d.Errorf("groups %+v", past.Groups)
		}
	})
}
