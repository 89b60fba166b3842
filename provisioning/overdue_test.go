package provisioning_test

import (
	"testing"
	"time"

	"meibo/provisioning"
)

// TestOverdueMattersAreFlaggedOnce: by one entry, whoever sweeps and however often.
func TestOverdueMattersAreFlaggedOnce(t *testing.T) {
	t.Parallel()
	hold := func(s *provisioning.Settings) { s.Deletion.Users.Deactivated = provisioning.HoldPolicy }
	eachDirectory(t, hold, func(d *directory) {
		if err := d.disable(d.create(named("ann"))); err != nil {
			d.Fatal(err)
		}
		var heard provisioning.Waiting
		other := provisioning.New(provisioning.Options{Store: d.store, Now: d.clock.Now, Swept: func(w provisioning.Waiting) { heard = w }})
		want := func(when string, overdue int) {
			d.Helper()
			for range 2 {
				d.sweep()
				if _, err := other.Sweep(d.Context()); err != nil {
					d.Fatal(err)
				}
			}
			flags := 0
			for _, e := range entriesOf(d) {
				if e.Reason.Code != "matterOverdue" {
					continue
				}
				if flags++; e.Action != provisioning.ActionOther || e.Outcome != provisioning.Warning || e.Reason.Args["kind"] != "held" {
					d.Errorf("%s: entry %+v", when, e)
				}
			}
			if flags != overdue || heard.Overdue != overdue || heard.Open[provisioning.MatterHeld] != 1 {
				d.Errorf("%s: %d entries, and heard %+v; want %d overdue of 1", when, flags, heard, overdue)
			}
			late, err := d.Overdue(d.Context(), "acme")
			if err != nil || late(d.onlyMatter(provisioning.MatterHeld)) != (overdue == 1) {
				d.Errorf("%s: overdue is not %d, %v", when, overdue, err)
			}
		}
		d.clock.Advance(7*24*time.Hour - time.Minute)
		want("before", 0)
		d.clock.Advance(time.Minute)
		want("after", 1)
		if kept := d.Flagged("acme"); kept != 1 {
			d.Errorf("%d kept", kept)
		}
		d.resolve(d.onlyMatter(provisioning.MatterHeld), provisioning.MatterAllowed)
		d.sweep()
		if kept := d.Flagged("acme"); kept != 0 {
			d.Errorf("%d kept of what is closed", kept)
		}
	})
}
