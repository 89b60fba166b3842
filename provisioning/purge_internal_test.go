package provisioning

import (
	"fmt"
	"testing"

	"meibo/scim"
)

// TestPurgeOfManyGroupsTakesTwo: each stride of a purge takes a second person as the whole of it does, and nothing but the
// last is about the user.
func TestPurgeOfManyGroupsTakesTwo(t *testing.T) {
	t.Parallel()
	x := user("u", "ann", func(r *Resource, _ scim.Attributes) { r.Visible, r.State = false, Removed })
	for groups, want := range map[int]int{0: 1, jobStride: jobStride + 1, jobStride + 1: jobStride, 3 * jobStride: jobStride} {
		f := addressed(x)
		for i := range groups {
			f.Groups = append(f.Groups, GroupFact{Group: *group(fmt.Sprint("g", i), "Sales"), Membership: Membership{Effective: true}})
		}
		out, err := decide(f, Desired{Type: scim.User, Now: now, Act: &Act{Purge: true}, Alone: true}, defaultRules)
		if err != nil {
			t.Fatal(err)
		}
		last := out.Changes[len(out.Changes)-1].After.ID
		if out.Demand != demandPurge || len(out.Changes) != want || out.More != (groups > jobStride) || out.More == (last == "u") {
			t.Errorf("%d groups: %d changes, the last of %s, more %v, demand %q", groups, len(out.Changes), last, out.More, out.Demand)
		}
	}
}
