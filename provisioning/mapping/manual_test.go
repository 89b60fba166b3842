package mapping

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"meibo/scim"
)

// manualRow is a row of docs/mapping.md with a function, an example and what it gives.
var manualRow = regexp.MustCompile("(?m)^\\| `(\\w+)(\\([^`]*\\))` \\| `([^`]+)` \\| `([^`]+)` \\|")

// TestManual runs the examples of the manual on its user, and wants each function in it under its name and
// with its arguments.
func TestManual(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/mapping.md")
	if err != nil {
		t.Fatal(err)
	}
	manual := string(page)
	user := manualUser(t, manual)
	missing := maps.Clone(functions)
	for _, row := range manualRow.FindAllStringSubmatch(manual, -1) {
		name, usage, example, want := row[1], row[1]+row[2], row[3], row[4]
		t.Run(example, func(t *testing.T) {
			f, known := functions[name]
			if delete(missing, name); !known || f.usage != usage {
				t.Errorf("the manual has %s, the function is %q", usage, f.usage)
			}
			got, err := evaluate(t, example, user, Options{DefaultDomain: "example.jp"})
			if err != nil {
				t.Fatal(err)
			}
			if text := string(scim.AppendValue(nil, plain(got))); text != want {
				t.Errorf("it gives %s and the manual says %s", text, want)
			}
		})
	}
	if len(missing) > 0 {
		t.Errorf("the manual lacks %v", slices.Sorted(maps.Keys(missing)))
	}
	for name := range refused {
		if !strings.Contains(manual, "`"+name) {
			t.Errorf("the manual does not say why there is no %s", name)
		}
	}
}

// manualUser is the user of the manual's only block of JSON.
func manualUser(t *testing.T, manual string) scim.Attributes {
	t.Helper()
	_, block, _ := strings.Cut(manual, "```json\n")
	block, _, _ = strings.Cut(block, "```")
	raw, err := scim.ParseJSON([]byte(block))
	if err != nil {
		t.Fatal(err)
	}
	object, _ := raw.(map[string]any)
	user, err := scim.Standard(scim.User).Validate(object)
	if err != nil {
		t.Fatal(err)
	}
	return user
}
