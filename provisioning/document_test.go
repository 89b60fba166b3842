package provisioning

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"meibo/scim"
)

// TestDiff holds what an entry says of two documents: all that differs, nothing else, and each
// under a path that can mean nothing else.
func TestDiff(t *testing.T) {
	t.Parallel()
	const urn = "urn:example:badge"
	tests := []struct {
		name          string
		before, after scim.Attributes
		want          []AttributeChange
	}{
		{"nothing", scim.Attributes{"title": "Dr."}, scim.Attributes{"title": "Dr."}, nil},
		{"assigned, changed, unassigned", scim.Attributes{"title": "Dr.", "active": false}, scim.Attributes{"title": "Countess", "nickName": "Ada"},
			[]AttributeChange{{"active", false, nil}, {"nickName", nil, "Ada"}, {"title", "Dr.", "Countess"}}},
		{"a list as a whole", scim.Attributes{"emails": []any{"a", "b"}}, scim.Attributes{"emails": []any{"b", "a"}},
			[]AttributeChange{{"emails", []any{"a", "b"}, []any{"b", "a"}}}},
		{"an extension's attributes", scim.Attributes{urn: map[string]any{"a": "1", "b": "2"}}, scim.Attributes{urn: map[string]any{"b": "2", "c": json.Number("3")}},
			[]AttributeChange{{urn + ":a", "1", nil}, {urn + ":c", nil, json.Number("3")}}},
		{"a new extension", nil, scim.Attributes{urn: map[string]any{"a": "1"}}, []AttributeChange{{urn + ":a", nil, "1"}}},
		{"an extension that is a string", scim.Attributes{urn: "x"}, scim.Attributes{urn: "y"}, []AttributeChange{{urn + ":", "x", "y"}}},
		{"an extension that becomes one", scim.Attributes{urn: map[string]any{"a": "1"}}, scim.Attributes{urn: "x"},
			[]AttributeChange{{urn + ":", map[string]any{"a": "1"}, "x"}}},
		{"a string that becomes an extension", scim.Attributes{urn: "x"}, scim.Attributes{urn: map[string]any{"a": "1"}},
			[]AttributeChange{{urn + ":", "x", map[string]any{"a": "1"}}}},
		{"a string that goes", scim.Attributes{urn: "x"}, nil, []AttributeChange{{urn + ":", "x", nil}}},
		{"a name with a colon", scim.Attributes{urn: map[string]any{"a:b": "1", "c": "2"}}, scim.Attributes{urn: map[string]any{"a:b": "1"}},
			[]AttributeChange{{urn + ":", map[string]any{"a:b": "1", "c": "2"}, map[string]any{"a:b": "1"}}}},
		{"a name that is empty", nil, scim.Attributes{urn: map[string]any{"": "1"}},
			[]AttributeChange{{urn + ":", nil, map[string]any{"": "1"}}}},
		{"the same odd extension", scim.Attributes{urn: "x"}, scim.Attributes{urn: "x"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if d := cmp.Diff(tt.want, diff(tt.before, tt.after)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}
