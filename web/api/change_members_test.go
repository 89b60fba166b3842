package api

import (
	"encoding/json"
	"testing"

	"meibo/provisioning"
	"meibo/scim"
)

// TestMemberChangesAreLists: neither list is null, and what only the client lists is none of the application's business.
func TestMemberChangesAreLists(t *testing.T) {
	t.Parallel()
	ken := []scim.Member{{Value: "ken"}}
	for _, test := range []struct {
		delta provisioning.MemberDelta
		want  string
	}{
		{provisioning.MemberDelta{Add: ken}, `{"add":[{"id":"ken"}],"remove":[]}`},
		{provisioning.MemberDelta{EffectiveAdd: ken}, `{"add":[{"id":"ken"}],"remove":[]}`},
		{provisioning.MemberDelta{Remove: []string{"ada"}, EffectiveRemove: []string{"ken"}}, `{"add":[],"remove":["ada","ken"]}`},
		{provisioning.MemberDelta{AssertedAdd: ken, AssertedRemove: []string{"ada"}}, `null`},
	} {
		got, err := json.Marshal(memberChanges(test.delta))
		if err != nil || string(got) != test.want {
			t.Errorf("%+v: %s, %v, want %s", test.delta, got, err, test.want)
		}
	}
}
