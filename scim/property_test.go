package scim_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"meibo/scim"
	"meibo/scim/scimtest"
)

// sameAttribute compares attributes by identity, and those made for the occasion by their path.
var sameAttribute = cmp.Comparer(func(a, b *scim.Attribute) bool {
	return a == b || a != nil && b != nil && a.Type == scim.Untyped && b.Type == scim.Untyped && a.String() == b.String()
})

func TestFilterSurvivesPrinting(t *testing.T) {
	t.Parallel()
	for _, d := range definitions() {
		filters := scimtest.Filter(d)
		t.Run(string(d.Type), rapid.MakeCheck(func(t *rapid.T) {
			f := parse(t, d, filters.Draw(t, "filter"))
			printed := scim.FormatFilter(f)
			again := parse(t, d, printed)
			if diff := cmp.Diff(f, again, sameAttribute); diff != "" {
				t.Errorf("%s reads differently (-want +got):\n%s", printed, diff)
			}
			if twice := scim.FormatFilter(again); twice != printed {
				t.Errorf("%s prints as %s the second time", printed, twice)
			}
		}))
	}
}

// The laws of two-valued logic hold for any filters and resources.
func TestFilterObeysLogic(t *testing.T) {
	t.Parallel()
	filters := scimtest.Filter(scim.Standard(scim.User))
	users := scimtest.User()
	rapid.Check(t, func(t *rapid.T) {
		a, b, r := filters.Draw(t, "a"), filters.Draw(t, "b"), users.Draw(t, "user")
		matches := func(text string) bool { return scim.Match(parse(t, scim.Standard(scim.User), text), r) }
		isA, isB := matches(a), matches(b)
		laws := map[string]bool{
			"not (" + a + ")":                                            !isA,
			"(" + a + ") and (" + b + ")":                                isA && isB,
			"(" + a + ") or (" + b + ")":                                 isA || isB,
			"not ((" + a + ") and (" + b + "))":                          !isA || !isB,
			"(" + a + ") or (" + b + ") and not (" + b + ")":             isA,
			"not (not (" + a + "))":                                      isA,
			"(" + b + ") and (" + a + ") or (" + a + ") and userName pr": isA,
		}
		for text, want := range laws {
			if matches(text) != want {
				t.Errorf("%s: got %t", text, !want)
			}
		}
	})
}

// ne is the negation of eq for whatever value, assigned or not.
func TestNotEqualIsNegatedEqual(t *testing.T) {
	t.Parallel()
	users := scimtest.User()
	d := scim.Standard(scim.User)
	paths := []string{"userName", "title", "emails", "emails.type", `emails[type eq "work"].value`, "name.familyName", "employeeNumber", scimtest.WildSchema + ":words"}
	rapid.Check(t, func(t *rapid.T) {
		r := users.Draw(t, "user")
		path := rapid.SampledFrom(paths).Draw(t, "path")
		value := rapid.SampledFrom([]string{`"alice"`, `"work"`, `"STRASSE"`, "null", `""`, "a"}).Draw(t, "value")
		if scim.Match(parse(t, d, path+" eq "+value), r) == scim.Match(parse(t, d, path+" ne "+value), r) {
			t.Errorf("%s eq and ne %s agree", path, value)
		}
	})
}

func definitions() []*scim.Definition {
	return []*scim.Definition{scim.Standard(scim.User), scim.Standard(scim.Group)}
}

func parse(t interface{ Fatalf(string, ...any) }, d *scim.Definition, text string) scim.Filter {
	f, err := scim.ParseFilter(d, text)
	if err != nil {
		t.Fatalf("ParseFilter(%q): %v", text, err)
	}
	return f
}
