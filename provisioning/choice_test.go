package provisioning_test

import (
	"errors"
	"strings"
	"testing"

	"meibo/provisioning"
)

// TestReadChoicesBroken: a file that is no CSV is named by its line, wherever in a line it breaks.
func TestReadChoicesBroken(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rows string
		line int
	}{
		"a quote in the first value":   {"a\"b,allow\n", 2},
		"a quote in the second value":  {"a,al\"low\n", 2},
		"a quote that is never closed": {"a,allow\n\"b,allow\n", 3},
		"text behind a quote":          {"a,allow\n\"b\"c,allow\n", 3},
	} {
		_, err := provisioning.ReadChoices(strings.NewReader("matter,choice\n" + tc.rows))
		faults, ok := errors.AsType[provisioning.ChoiceFaults](err)
		if !ok || len(faults) != 1 || faults[0].Line != tc.line {
			t.Errorf("%s: %v; want one fault in line %d", name, err, tc.line)
		}
	}
}
