package mapping

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"meibo/scim"
	"meibo/scim/scimtest"
)

// TestDeterministic maps the same user many times, with several faults and overrides, and in between
// others with the same table.
func TestDeterministic(t *testing.T) {
	t.Parallel()
	rows := append(slices.Clone(benchRows),
		Row{Target: "emails", Expression: `[{value: userName, type: "x", display: Now(), primary: Kana("山田太郎") != nil}]`},
		Row{Target: "locale", Expression: `Kana(name.familyName) ?? Romanize("ヤマダ")`},
		Row{Target: "timezone", Source: "urn:x:y:z"})
	table := compileUser(t, rows...)
	user := benchUser()
	user["urn:x:Y"], user["URN:x:y:z"] = map[string]any{"z": "1"}, "2"
	in := Input{Asserted: user, Created: true, Now: testNow, Overrides: map[string]any{"title": "a", "nickName": "b", "costCenter": "c", `emails[type eq "home"].value`: "d", "name.honorificPrefix": "e"}}
	first, err := table.Map(in)
	if err != nil {
		t.Fatal(err)
	}
	bad := Input{Asserted: user, Overrides: map[string]any{"id": 1, "meta": 2, "name": map[string]any{"x": 1, "y": 2}}}
	_, fault := table.Map(bad)
	for range 200 {
		if _, err := table.Map(bad); err.Error() != fault.Error() {
			t.Fatalf("the faults are\n%v\nand then\n%v", fault, err)
		}
		again, err := table.Map(in)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, again); diff != "" {
			t.Fatalf("the second time (-first +again):\n%s", diff)
		}
	}
}

// TestWriterIsPatch compares the writing of rows with PATCH, on any user and in any order of targets.
// Where PATCH merges (into a complex attribute) they differ by design, so that such targets are left out.
func TestWriterIsPatch(t *testing.T) {
	t.Parallel()
	def := scim.Standard(scim.User)
	targets := []string{
		"userName", "displayName", "name.givenName", "name.familyName", "profileUrl", "externalId", "preferredLanguage",
		scim.EnterpriseUserSchema + ":department", scim.EnterpriseUserSchema + ":manager.value", scim.EnterpriseUserSchema + ":employeeNumber",
		`emails[type eq "work"].value`, `emails[type eq "work"].primary`, `phoneNumbers[type eq "mobile"].value`, scimtest.WildSchema + ":text", "urn:new:schema:thing",
	}
	rapid.Check(t, func(rt *rapid.T) {
		user := scimtest.User().Draw(rt, "user")
		var rows []Row
		var ops []scim.Operation
		for _, target := range rapid.Permutation(targets).Draw(rt, "targets")[:rapid.IntRange(0, len(targets)).Draw(rt, "rows")] {
			row, op := Row{Target: target, Constant: "x"}, scim.Operation{Op: "replace", Path: target, Value: "x"}
			if strings.HasSuffix(target, "primary") {
				row.Constant, op.Value = true, true
			}
			if target != "userName" && rapid.Bool().Draw(rt, "unassign") {
				row.Constant, op.Op, op.Value = nil, "remove", nil
			}
			rows, ops = append(rows, row), append(ops, op)
		}
		table, err := Compile(def, rows, Options{})
		if err != nil {
			rt.Fatal(err)
		}
		want, err := def.Patch(user, ops, scim.PatchOptions{CreateElements: true, PruneElements: true})
		if err != nil {
			rt.Skip(err)
		}
		got, err := table.Map(Input{Asserted: user, Created: true})
		if err != nil && strings.Contains(err.Error(), "more than one element is primary") {
			rt.Skip(err) // each row leaves a valid list, where PATCH may mend it with a later operation
		}
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(want.Attributes, got.Effective); diff != "" {
			rt.Errorf("%+v (-patch +rows):\n%s", ops, diff)
		}
	})
}

// TestInputUnchanged writes to every part of any user and compares it with what it was.
func TestInputUnchanged(t *testing.T) {
	t.Parallel()
	def := scim.Standard(scim.User)
	table := compileUser(t,
		Row{Target: "name", Source: "name"}, Row{Target: "name.formatted", Constant: "x"}, Row{Target: "emails", Source: "emails"},
		Row{Target: `emails[type eq "work"].value`, Constant: "x"}, Row{Target: "manager.value", Constant: "x"}, Row{Target: "department"},
		Row{Target: scimtest.WildSchema + ":text", Constant: "x"}, Row{Target: "roles", Expression: "AppRoleAssignmentsComplex(roles)"},
		Row{Target: "title", Expression: `Join(",", attr("emails.value"), attr("phoneNumbers.value"))`})
	rapid.Check(t, func(rt *rapid.T) {
		user := scimtest.User().Draw(rt, "user")
		before := string(def.Encode(user))
		_, err := table.Map(Input{Asserted: user, Current: user, Overrides: map[string]any{"name.givenName": "y", `emails[type eq "home"]`: nil}})
		if after := string(def.Encode(user)); after != before {
			rt.Errorf("the input was %s and is %s (%v)", before, after, err)
		}
	})
}
