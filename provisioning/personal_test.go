package provisioning_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"meibo/provisioning"
	"meibo/scim"
)

// TestSplitTakesAllValues: what a skeleton keeps holds none of the values, and Without takes those of one alone.
func TestSplitTakesAllValues(t *testing.T) {
	t.Parallel()
	const group, ada, bob = "0198c0de-0000-7000-8000-00000000000a", "0198c0de-0000-7000-8000-00000000000b", "0198c0de-0000-7000-8000-00000000000c"
	request := &provisioning.RequestInfo{Method: "PATCH", Path: "/Groups/canary-path"}
	change := provisioning.Entry{ID: "e", ResourceID: group, ResourceName: "canary-name", Request: request, Version: 3,
		Diff:   []provisioning.AttributeChange{{Path: "title", Old: "canary-old", New: "canary-new"}, {Path: "active", New: true}},
		Reason: provisioning.Reason{Code: "kept", Args: map[string]string{"asked": "canary-arg"}},
		Error:  &provisioning.EntryError{Code: "invalidValue", Detail: "canary-detail", RecommendedAction: "do"},
		Members: provisioning.MemberDelta{Add: []scim.Member{{Value: ada, Display: "canary-ada"}}, Remove: []string{bob},
			AssertedAdd: []scim.Member{{Value: bob, Display: "canary-bob"}}, EffectiveAdd: []scim.Member{{Value: ada, Display: "canary-ada"}}}}
	astray := provisioning.Entry{ID: "f", ResourceID: "canary-id", ResourceName: "canary-name", Request: request}
	for _, e := range []provisioning.Entry{change, astray} {
		before, _ := json.Marshal(e)
		skeleton, about := e.Split()
		text, _ := json.Marshal(skeleton)
		plain := strings.ReplaceAll(string(text), "/Groups/canary-path", "")
		if e.ResourceID != group {
			plain = string(text)
		}
		if strings.Contains(plain, "canary") {
			t.Errorf("the skeleton keeps values: %s", text)
		}
		if len(about) == 0 {
			t.Error("nothing was personal")
		}
		if got := e.Without(); !cmp.Equal(got, e, cmpopts.EquateEmpty()) {
			t.Errorf("split and joined it differs: %s", cmp.Diff(e, got, cmpopts.EquateEmpty()))
		}
		if after, _ := json.Marshal(e); string(after) != string(before) {
			t.Errorf("the entry itself was changed: %s", after)
		}
	}
	without := change.Without(ada)
	if without.Members.Add[0].Display != "" || without.Members.AssertedAdd[0].Display == "" || without.ResourceName == "" || without.Diff[0].Old == nil {
		t.Errorf("without one member: %+v", without)
	}
}
