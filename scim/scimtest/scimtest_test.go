package scimtest_test

import (
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"

	"meibo/scim"
	"meibo/scim/scimtest"
)

func TestFiltersAreAccepted(t *testing.T) {
	t.Parallel()
	for _, d := range []*scim.Definition{scim.Standard(scim.User), scim.Standard(scim.Group)} {
		filters := scimtest.Filter(d)
		t.Run(string(d.Type), rapid.MakeCheck(func(t *rapid.T) {
			text := filters.Draw(t, "filter")
			if _, err := scim.ParseFilter(d, text); err != nil {
				t.Errorf("ParseFilter(%q): %v", text, err)
			}
		}))
	}
}

// TestResourcesAreValid: an owner could have asserted each of them.
func TestResourcesAreValid(t *testing.T) {
	t.Parallel()
	for d, resources := range map[*scim.Definition]*rapid.Generator[scim.Attributes]{
		scim.Standard(scim.User): scimtest.User(), scim.Standard(scim.Group): scimtest.Group(),
	} {
		t.Run(string(d.Type), rapid.MakeCheck(func(t *rapid.T) {
			if _, err := d.Validate(resources.Draw(t, "resource")); err != nil {
				t.Error(err)
			}
		}))
	}
}

// A generator whose filters select nothing, or everything, would prove nothing.
func TestFiltersSelectSome(t *testing.T) {
	t.Parallel()
	tests := []struct {
		definition *scim.Definition
		resources  *rapid.Generator[scim.Attributes]
	}{
		{scim.Standard(scim.User), scimtest.User()},
		{scim.Standard(scim.Group), scimtest.Group()},
	}
	for _, tt := range tests {
		t.Run(string(tt.definition.Type), func(t *testing.T) {
			t.Parallel()
			const pairs = 1000
			selected := 0
			filters := scimtest.Filter(tt.definition)
			for seed := range pairs {
				f, err := scim.ParseFilter(tt.definition, filters.Example(seed))
				if err != nil {
					t.Fatal(err)
				}
				if scim.Match(f, rendered(tt.resources.Example(seed+pairs))) {
					selected++
				}
			}
			if selected < pairs/10 || selected > pairs*9/10 {
				t.Errorf("%d of %d pairs match, want between a tenth and nine tenths", selected, pairs)
			}
		})
	}
}

// rendered adds what a server adds.
func rendered(r scim.Attributes) scim.Attributes {
	r = maps.Clone(r)
	r["id"] = scimtest.IDs()[0]
	r["schemas"] = []any{scim.UserSchema}
	r["meta"] = map[string]any{"created": scimtest.Instants()[1].Format(time.RFC3339Nano)}
	return r
}
