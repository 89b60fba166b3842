package provisioning_test

import (
	"fmt"
	"strings"
	"testing"

	"meibo/provisioning"
	"meibo/scim"
)

// TestSettingsAreARun: settings under which more would leave at once than the tolerance lets go are refused as a whole;
// once allowed, all of them leave.
func TestSettingsAreARun(t *testing.T) {
	t.Parallel()
	eachDirectory(t, nil, func(d *directory) {
		var ids []string
		for i := range 60 {
			ids = append(ids, d.create(named(fmt.Sprintf("user%02d@%s", i, []string{"here.example", "there.example"}[i%2]))))
		}
		admin := "admin"
		if _, err := d.Act(d.Context(), d.admin(), scim.User, ids[1], provisioning.Act{Role: &admin}); err != nil {
			d.Fatal(err)
		}
		v, err := d.Settings(d.Context(), "acme", "default")
		if err != nil {
			d.Fatal(err)
		}
		draft := provisioning.SettingsDraft{Settings: v.Settings, Expect: provisioning.AnyVersion}
		draft.Settings.Scope.Users.Domains = []string{"here.example"}
		verdicts, err := d.WeighSettings(d.Context(), "acme", "default", draft.Settings)
		if err != nil || len(verdicts) != 1 || verdicts[0].Leaving != 29 || verdicts[0].Of != 60 || !verdicts[0].Stopped {
			d.Fatalf("%+v, %v", verdicts, err)
		}
		const figures = "29 of 60 users would leave, and the tolerance of 25 (20 %) would be reached"
		if says := provisioning.Stops(verdicts); says != "a real run would be stopped: "+figures {
			d.Error(says)
		}
		before := len(entriesOf(d))
		for _, allow := range []int{0, 28} {
			draft.Allow = allow
			_, _, err = d.ApplySettings(d.Context(), d.admin(), "default", draft)
			wantKind(d.T, err, provisioning.Conflict, figures)
		}
		if v, _ := d.Settings(d.Context(), "acme", "default"); v.Version != 0 || len(entriesOf(d)) != before {
			d.Errorf("version %d, %d entries of what was refused", v.Version, len(entriesOf(d))-before)
		}
		draft.Allow = 29
		if _, isNew, err := d.ApplySettings(d.Context(), d.admin(), "default", draft); err != nil || !isNew {
			d.Fatal(isNew, err)
		}
		d.work()
		for i, id := range ids {
			state := provisioning.Active
			if i%2 == 1 && i != 1 {
				state = provisioning.Suspended
			}
			if x := d.account(id); x.State != state {
				d.Errorf("%s is %s, want %s", x.Index.Name, x.State, state)
			}
		}
		if open := d.matters(provisioning.MatterQuery{Kind: provisioning.MatterDelayed}); len(open) > 0 {
			d.Errorf("%d departures were delayed", len(open))
		}
		// Fewer than the tolerance need nobody's word, and with the tolerance off nothing is weighed.
		draft.Settings.Scope.Users.Domains, draft.Allow = nil, 0
		draft.Settings.Scope.Users.Filter = `userName sw "user0"`
		_, _, err = d.ApplySettings(d.Context(), d.admin(), "default", draft)
		if provisioning.KindOf(err) != provisioning.Conflict || !strings.Contains(err.Error(), "would leave") {
			d.Errorf("%v, want a conflict: 25 of 31 would leave", err)
		}
		draft.Settings.Tolerance.Mode = provisioning.ToleranceOff
		if _, _, err := d.ApplySettings(d.Context(), d.admin(), "default", draft); err != nil {
			d.Error(err)
		}
	})
}

func entriesOf(d *directory) (all []provisioning.Entry) {
	d.Helper()
	if err := d.Entries(d.Context(), "acme", provisioning.EntryQuery{}, func(e provisioning.Entry) error { all = append(all, e); return nil }); err != nil {
		d.Fatal(err)
	}
	return all
}
