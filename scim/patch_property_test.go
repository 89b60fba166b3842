package scim

import (
	"encoding/json"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// patchPaths and patchValues are few, so that operations meet on the same attributes.
var (
	patchPaths = []string{
		"", "userName", "displayName", "active", "name", "name.givenName", "externalId", "password", "schemas", "id",
		"emails", "emails.type", "emails.value", `emails[type eq "work"]`, `emails[type eq "work"].value`, `emails[primary eq true].primary`,
		`emails[not (value pr)]`, `emails[type eq "Other" and primary eq true].display`, `roles`, `roles[value eq "r"].primary`, "addresses",
		EnterpriseUserSchema, EnterpriseUserSchema + ":department", EnterpriseUserSchema + ":manager", EnterpriseUserSchema + ":manager.value",
		"urn:x:2.0:User", "URN:X:2.0:User:A", "urn:x:2.0:User:a.b", `urn:x:2.0:User:l[t eq "1"].v`, "urn:x:2.0:User:l.v", "urn:y:z", "urn:y:z:w",
		"members", `members[value eq "a"]`, `members[display eq "A"]`, `members[value eq "b"].display`,
		testSchema, testSchema + ":tags", testSchema + ":badge", testSchema + ":number", testSchema + ":car", testSchema + ":car.plate",
		testSchema + ":keys", testSchema + `:keys[value eq "k"].door`, testSchema + `:keys[value eq "n"].copies`, testSchema + ":since", "nothing",
	}
	patchNames = []string{
		"userName", "USERNAME", "name", "givenName", "value", "Value", "type", "primary", "display", "emails", "roles", "members", "active", "door",
		"department", "manager", EnterpriseUserSchema, EnterpriseUserSchema + ":division", UserSchema, "urn:x:2.0:User", "urn:X:2.0:user", "a", "A", "l", "t", "v",
		testSchema, "tags", "keys", "plate", "copies",
	}
	patchScalars = []any{nil, "", "a", "A", "b", "r", "work", "Other", true, false, json.Number("1"), json.Number("1.5"), "2030-01-31T09:30:00Z"}
)

func patchValue(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		kind := rapid.IntRange(0, 3).Draw(t, "kind")
		switch {
		case depth > 0 && kind == 0:
			return rapid.SliceOfN(patchValue(depth-1), 0, 3).Draw(t, "list")
		case depth > 0 && kind < 3:
			return map[string]any(rapid.MapOfN(rapid.SampledFrom(patchNames), patchValue(depth-1), 0, 4).Draw(t, "object"))
		default:
			return rapid.SampledFrom(patchScalars).Draw(t, "scalar")
		}
	})
}

func patchOperation(paths []string) *rapid.Generator[Operation] {
	return rapid.Custom(func(t *rapid.T) Operation {
		return Operation{
			Op:    rapid.SampledFrom([]string{opAdd, opRemove, opReplace}).Draw(t, "op"),
			Path:  rapid.SampledFrom(paths).Draw(t, "path"),
			Value: patchValue(4).Draw(t, "value"),
		}
	})
}

// pathsOf are the paths that the definition knows.
func pathsOf(d *Definition) []string {
	return slices.DeleteFunc(slices.Clone(patchPaths), func(path string) bool {
		_, err := ParsePath(d, path)
		return path != "" && err != nil
	})
}

// TestPatchLaws says of any operations what FuzzPatch says, which seldom finds two that meet.
func TestPatchLaws(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		d        *Definition
		resource string
	}{
		"user":       {Standard(User), fuzzUser},
		"group":      {Standard(Group), `{"displayName":"g"}`},
		"own schema": {testDefinition(t), `{"userName":"a","` + testSchema + `":{"badge":"b","tags":["a","b"],"keys":[{"value":"k"},{"value":"l","door":"1"}]},"urn:x:2.0:User":{"l":[{"t":"1"},{"v":"2"},"s"]}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			operations := rapid.SliceOfN(patchOperation(pathsOf(c.d)), 1, 4)
			rapid.Check(t, func(t *rapid.T) {
				checkPatch(t, c.d, c.resource, operations.Draw(t, "ops"), PatchOptions{
					CreateElements:  rapid.Bool().Draw(t, "create"),
					PruneElements:   rapid.Bool().Draw(t, "prune"),
					PrimaryWhenOnly: rapid.Bool().Draw(t, "primary"),
					Members:         []Member{{Value: "a", Display: "A"}, {Value: "c"}},
					MembersKnown:    rapid.Bool().Draw(t, "known"),
				})
			})
		})
	}
}

// TestPatchTwice: a PATCH that succeeds changes nothing more when it is sent again.
func TestPatchTwice(t *testing.T) {
	t.Parallel()
	for _, op := range []Operation{
		{"add", "emails", []any{map[string]any{"value": "n", "primary": true}}},
		{"add", "roles", []any{map[string]any{"value": "r"}, map[string]any{"value": "s"}}},
		{"replace", `emails[type eq "work"].value`, "n"},
		{"add", `phoneNumbers[type eq "work"].value`, "1"},
		{"remove", `emails[type eq "home"]`, nil},
		{"remove", "roles", []any{map[string]any{"value": "r"}}},
		{"replace", "", map[string]any{"name": map[string]any{"givenName": "n"}, "active": false}},
		{"add", "urn:x:2.0:User:list", []any{"a", "b"}},
	} {
		d := Standard(User)
		current, err := d.Validate(parseObject(t, []byte(fuzzUser)))
		if err != nil {
			t.Fatal(err)
		}
		once, err := d.Patch(current, []Operation{op}, PatchOptions{CreateElements: true})
		if err != nil {
			t.Fatal(err)
		}
		again, err := d.Patch(once.Attributes, []Operation{op}, PatchOptions{CreateElements: true})
		if err != nil || !Equal(once.Attributes, again.Attributes) || Equal(current, once.Attributes) {
			t.Errorf("%s %s: %v\nbefore %s\nonce   %s\ntwice  %s", op.Op, op.Path, err, d.Encode(current), d.Encode(once.Attributes), d.Encode(again.Attributes))
		}
	}
}
