package scim_test

import (
	"errors"
	"testing"

	"meibo/scim"
)

// TestBlankUserName: blanks name nobody (RFC 7643 §4.1.1), however they come.
func TestBlankUserName(t *testing.T) {
	t.Parallel()
	users := scim.Standard(scim.User)
	for _, blank := range []string{"", " ", "\t\n", "\u3000\u00a0"} {
		_, whole := users.Validate(scim.Attributes{"userName": blank})
		_, replaced := users.Patch(scim.Attributes{"userName": "ann"}, []scim.Operation{{Op: "replace", Path: "userName", Value: blank}}, scim.PatchOptions{})
		_, merged := users.Patch(scim.Attributes{"userName": "ann"}, []scim.Operation{{Op: "add", Value: map[string]any{"userName": blank}}}, scim.PatchOptions{})
		for how, err := range map[string]error{"whole": whole, "replaced": replaced, "merged": merged} {
			fault, ok := errors.AsType[*scim.Error](err)
			if !ok || blank != "" && (fault.Type != scim.InvalidValue || fault.Path != "userName") {
				t.Errorf("%q %s: %v", blank, how, err)
			}
		}
	}
	if _, err := users.Validate(scim.Attributes{"userName": " ann "}); err != nil {
		t.Errorf("blanks around a name: %v", err)
	}
}
