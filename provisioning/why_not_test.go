package provisioning_test

import (
	"testing"
	"time"

	"meibo/provisioning"
	"meibo/scim"
)

// whyNot asks why somebody is not there.
func (d *directory) whyNot(user string) provisioning.WhyNot {
	d.Helper()
	out, err := d.WhyNot(d.Context(), "acme", user)
	if err != nil {
		d.Fatalf("why not %s: %v", user, err)
	}
	return out
}

// TestWhyNotAfterAnErasure: a question whose document was erased keeps nobody from asking about others.
func TestWhyNotAfterAnErasure(t *testing.T) {
	t.Parallel()
	eachDirectory(t, nil, func(d *directory) {
		if _, err := d.CreateConnection(d.Context(), d.admin(), "other"); err != nil {
			d.Fatal(err)
		}
		const name = "kim@x.example"
		kim := d.createAs("other", named(name))
		_, err := d.Create(d.Context(), d.client("default"), scim.User, provisioning.Body{Attributes: named(name)})
		wantKind(d.T, err, provisioning.Conflict, "")
		d.clock.Advance(time.Minute)
		if _, err := d.Erase(d.Context(), d.admin(), kim, true); err != nil {
			d.Fatal(err)
		}
		if all := d.matters(provisioning.MatterQuery{Kind: provisioning.MatterAdoption}); len(all) != 1 || all[0].Asserted != nil {
			d.Fatalf("questions: %+v", all)
		}
		for _, user := range []string{"nobody@x.example", name} {
			if got := d.whyNot(user); got.Causes[0].Cause != provisioning.NotSent {
				d.Errorf("%s: %+v", user, got.Causes)
			}
		}
	})
}
