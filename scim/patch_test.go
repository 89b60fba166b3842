package scim

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDecodePatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body string
		want       []Operation
	}{
		{"as the RFC has it", `{"schemas":["` + PatchOpSchema + `"],"Operations":[{"op":"add","path":"title","value":"x"},{"op":"remove","path":"title"},{"op":"replace","value":{"a":1}}]}`,
			[]Operation{{"add", "title", "x"}, {"remove", "title", nil}, {"replace", "", map[string]any{"a": json.Number("1")}}}},
		{"any case, any order, more names", `{"id":"1","OPERATIONS":[{"OP":"Add","Path":"title","VALUE":null,"name":"addMember"}],"Schemas":["` + strings.ToUpper(PatchOpSchema) + `","x"]}`,
			[]Operation{{"add", "title", nil}}},
		{"no schemas", `{"Operations":[]}`, []Operation{}},
		{"null path", `{"Operations":[{"op":"add","path":null,"value":{}}]}`, []Operation{{"add", "", map[string]any{}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := DecodePatch(parseObject(t, []byte(c.body)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodePatchRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, body, path, detail string }{
		{"no operations", `{}`, "Operations", "expected an array of operations, got null"},
		{"operations are no array", `{"Operations":{}}`, "Operations", "got an object"},
		{"operations twice", `{"Operations":[],"operations":[]}`, "operations", "twice"},
		{"other schemas", `{"schemas":["urn:x",1],"Operations":[]}`, "schemas", "must name " + PatchOpSchema},
		{"schemas are no array", `{"schemas":"x","Operations":[]}`, "schemas", "expected an array of URNs, got a string"},
		{"operation is no object", `{"Operations":[{"op":"add","value":{}},"x"]}`, "", "operation 2: expected an object, got a string"},
		{"no op", `{"Operations":[{"path":"a"}]}`, "", `operation 1: op must be "add", "remove" or "replace"`},
		{"other op", `{"Operations":[{"op":"move"}]}`, "", "operation 1: op must be"},
		{"op is no string", `{"Operations":[{"op":1}]}`, "", "operation 1: op must be"},
		{"path is no string", `{"Operations":[{"op":"add","path":["a"]}]}`, "", "operation 1: path must be a string, not an array"},
		{"op twice", `{"Operations":[{"op":"add","Op":"add"}]}`, "op", "operation 1: the name is given twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := DecodePatch(parseObject(t, []byte(c.body)))
			checkFault(t, err, InvalidSyntax, c.path, c.detail)
		})
	}
}

// TestPatchByOwnSchema covers what the standard schemas have no attribute for.
func TestPatchByOwnSchema(t *testing.T) {
	t.Parallel()
	d := testDefinition(t)
	current, err := d.Validate(parseObject(t, []byte(`{"userName":"a","`+testSchema+`":{"badge":"b","tags":["x","y"],
		"car":{"plate":"P","colour":"red"},"keys":[{"value":"k","door":"1"},{"value":"l"}]}}`)))
	if err != nil {
		t.Fatal(err)
	}
	at := func(path string) string { return testSchema + ":" + path }
	for _, c := range []struct {
		name      string
		op        Operation
		attribute string
		want      any // the attribute afterwards, or
		fault     ErrorType
	}{
		{"immutable, the same value", Operation{"replace", at("badge"), "b"}, "badge", "b", ""},
		{"immutable, another value", Operation{"replace", at("badge"), "c"}, "", nil, Mutable},
		{"immutable, removed", Operation{"remove", at("badge"), nil}, "", nil, Mutable},
		{"immutable below a complex attribute", Operation{"replace", at("car.plate"), "Q"}, "", nil, Mutable},
		{"immutable in an element", Operation{"replace", at(`keys[value eq "k"].value`), "m"}, "", nil, Mutable},
		{"immutable in an element, merged", Operation{"add", at(`keys[value eq "k"]`), map[string]any{"value": "m"}}, "", nil, Mutable},
		{"an element as a whole", Operation{"replace", at(`keys[value eq "l"]`), map[string]any{"value": "m"}}, "keys",
			[]any{map[string]any{"value": "k", "door": "1"}, map[string]any{"value": "m"}}, ""},
		{"required below", Operation{"remove", at(`keys[value eq "l"].value`), nil}, "keys", []any{map[string]any{"value": "k", "door": "1"}}, ""},
		{"required below, something left", Operation{"remove", at("car.plate"), nil}, "", nil, Mutable},
		{"strings are added once", Operation{"add", at("tags"), []any{"y", "z", "z"}}, "tags", []any{"x", "y", "z"}, ""},
		{"strings are removed by value", Operation{"remove", at("tags"), []any{"X"}}, "tags", []any{"y"}, ""},
		{"an attribute that is never returned", Operation{"replace", at("pin"), "1234"}, "pin", nil, ""},
		{"a whole number", Operation{"add", at("number"), json.Number("5")}, "number", json.Number("5"), ""},
		{"a fraction", Operation{"add", at("number"), json.Number("5.5")}, "", nil, InvalidValue},
		{"a filter on simple values", Operation{"remove", at(`tags[value eq "x"]`), nil}, "", nil, InvalidPath},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			patched, err := d.Patch(current, []Operation{c.op}, PatchOptions{})
			if c.fault != "" {
				fault, ok := errors.AsType[*Error](err)
				if !ok || fault.Type != c.fault {
					t.Errorf("error %v, want type %s", err, c.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			object, _ := patched.Attributes[testSchema].(map[string]any)
			if diff := cmp.Diff(c.want, object[c.attribute]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestPatchCreatesFromNumbers has a filter whose values are not all strings.
func TestPatchCreatesFromNumbers(t *testing.T) {
	t.Parallel()
	d := testDefinition(t)
	op := Operation{"add", testSchema + `:keys[value eq "N\u00e9" and copies eq 2].door`, "1"}
	patched, err := d.Patch(Attributes{"userName": "a"}, []Operation{op}, PatchOptions{CreateElements: true})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"keys": []any{map[string]any{"value": "Né", "copies": json.Number("2"), "door": "1"}}}
	if diff := cmp.Diff(want, patched.Attributes[testSchema]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPatchRefusesUnknownOperation(t *testing.T) {
	t.Parallel()
	_, err := Standard(User).Patch(Attributes{"userName": "a"}, []Operation{{Op: "Add", Path: "title", Value: "x"}}, PatchOptions{})
	checkFault(t, err, InvalidSyntax, "", "operation 1: op must be")
}

func TestPatchValueWithoutPath(t *testing.T) {
	t.Parallel()
	d, current := Standard(User), Attributes{"userName": "a"}
	for name, v := range map[string]any{"null": nil, "a string": "x", "an array": []any{}} {
		_, err := d.Patch(current, []Operation{{Op: "add", Value: v}}, PatchOptions{})
		checkFault(t, err, InvalidValue, "", "without a path the value must be an object of attributes, not "+name)
	}
	_, err := d.Patch(current, []Operation{{Op: "add", Value: map[string]any{"title": "a", "TITLE": "b"}}}, PatchOptions{})
	checkFault(t, err, InvalidSyntax, "title", "twice")
}

func TestPatchIsAllOrNothing(t *testing.T) {
	t.Parallel()
	got, err := Standard(User).Patch(Attributes{"userName": "a"}, []Operation{{"add", "title", "x"}, {"add", "active", "x"}}, PatchOptions{})
	checkFault(t, err, InvalidValue, "active", "operation 2: expected true or false")
	if got.Attributes != nil || !got.Members.IsZero() {
		t.Errorf("outcome %v beside an error", got)
	}
}

// TestPatchManyMembers holds the cost of a membership operation to the size of the request.
func TestPatchManyMembers(t *testing.T) {
	t.Parallel()
	const n = 20_000
	list := make([]any, n)
	for i := range list {
		list[i] = map[string]any{"value": fmt.Sprint(i)}
	}
	ops := []Operation{{"add", "members", list}, {"remove", "members", list[n/2:]}}
	for i := range 1000 {
		ops = append(ops, Operation{"remove", fmt.Sprintf(`members[value eq "%d"]`, i), nil})
	}
	patched, err := Standard(Group).Patch(Attributes{"displayName": "g"}, ops, PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if added, removed := len(patched.Members.Add), len(patched.Members.Remove); added != n/2-1000 || removed != n/2+1000 {
		t.Errorf("%d added and %d removed, want %d and %d", added, removed, n/2-1000, n/2+1000)
	}
}

// TestPatchBoundsItsWork sends what would take the product of two long lists, or of a list and an
// object, a filter or a text.
func TestPatchBoundsItsWork(t *testing.T) {
	t.Parallel()
	const n, urn = 5000, "urn:x:2.0:User"
	elements, members, names := make([]any, n), make([]Member, n), make(map[string]any, n)
	for i := range elements {
		elements[i] = map[string]any{"value": fmt.Sprint(i)}
		members[i] = Member{Value: fmt.Sprint(i)}
		names[fmt.Sprint("n", i)] = "v"
	}
	text := strings.Repeat("x", 64*n)
	current := Attributes{
		"userName": "a", "displayName": "a", "roles": elements, "photos": []any{map[string]any{"value": text}},
		urn: names, "urn:y:2.0:User": map[string]any{"a": names, "list": []any{names}},
	}
	first := Operation{"replace", "externalId", "1"}
	user, group := Standard(User), Standard(Group)
	for _, c := range []struct {
		name  string
		d     *Definition
		first Operation
		op    Operation
	}{
		{"one more element", user, first, Operation{"add", "roles", []any{map[string]any{"value": "4999"}}}},
		{"a filter", user, first, Operation{"remove", `roles[value eq "x"]`, nil}},
		{"elements by what they hold", user, first, Operation{"remove", "roles", []any{map[string]any{"type": "x"}}}},
		{"a sub-attribute of all", user, first, Operation{"replace", "roles.type", "x"}},
		{"long text", user, first, Operation{"remove", `photos[value co "y"]`, nil}},
		{"members that were removed", group, Operation{"remove", "members", nil}, Operation{"remove", `members[display eq "x"]`, nil}},
		{"stored members", group, first, Operation{"remove", `members[display eq "x"]`, nil}},
		{"a name in a large extension", user, first, Operation{"replace", urn + ":other", "x"}},
		{"a large extension", user, first, Operation{"replace", urn, map[string]any{"other": "x"}}},
		{"a name in a large object", user, first, Operation{"replace", "urn:y:2.0:User:a.other", "x"}},
		{"a name in a large element", user, first, Operation{"replace", "urn:y:2.0:User:list.other", "x"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			patch := func(times int) error {
				ops := append([]Operation{c.first}, slices.Repeat([]Operation{c.op}, times)...)
				_, err := c.d.Patch(current, ops, PatchOptions{Members: members, MembersKnown: true})
				return err
			}
			if err := patch(100); err != nil {
				t.Errorf("100 times: %v", err)
			}
			checkFault(t, patch(1000), InvalidValue, "", "send fewer of them at once")
		})
	}
}

// TestPatchBoundsTheWorkOfOneOperation sends single operations that cost a product.
func TestPatchBoundsTheWorkOfOneOperation(t *testing.T) {
	t.Parallel()
	const n = 5000
	elements, value := make([]any, n), make(map[string]any, n)
	for i := range elements {
		elements[i] = map[string]any{"value": fmt.Sprint(i)}
		value[fmt.Sprint("unknown", i)] = "x"
	}
	value["type"] = "x"
	current := Attributes{"userName": "a", "roles": elements}
	for _, op := range []Operation{
		{"add", "roles[value pr]", value},
		{"remove", "roles", slices.Repeat([]any{map[string]any{"type": "x"}}, n)},
	} {
		t.Run(op.Op, func(t *testing.T) {
			t.Parallel()
			_, err := Standard(User).Patch(current, []Operation{op}, PatchOptions{CreateElements: true})
			checkFault(t, err, InvalidValue, "", "send fewer of them at once")
		})
	}
}

// TestPatchLongLists has operations that any walk inside a walk would keep from coming to an end.
func TestPatchLongLists(t *testing.T) {
	t.Parallel()
	const n = 50_000
	emails, kinds := make([]any, n), make([]any, n)
	for i := range n {
		emails[i] = map[string]any{"value": "v", "type": fmt.Sprint(i)}
		kinds[i] = map[string]any{"value": "v", "type": fmt.Sprint(n + i)}
	}
	current := Attributes{"userName": "a", "emails": emails}
	unchecked := patcher{d: Standard(User), out: current, work: -10 * maxWork}
	for _, op := range []Operation{
		{"remove", "emails", kinds}, {"add", "emails", kinds}, {"replace", "emails.primary", true},
	} {
		if err := unchecked.apply(op); err != nil {
			t.Errorf("%s %s: %v", op.Op, op.Path, err)
		}
	}
	if left, _ := unchecked.out["emails"].([]any); len(left) != 2*n {
		t.Errorf("%d elements are left, want %d", len(left), 2*n)
	}
}

func TestPatchAllocates(t *testing.T) {
	user, group := exampleUser(t), Attributes{"displayName": "g"}
	for _, c := range []struct {
		name    string
		d       *Definition
		current Attributes
		op      Operation
		most    float64
	}{
		{"simple", Standard(User), user, Operation{"replace", "displayName", "x"}, 10},
		{"disable", Standard(User), user, Operation{"replace", "active", false}, 10},
		{"sub-attribute", Standard(User), user, Operation{"replace", "name.familyName", "x"}, 15},
		{"value path", Standard(User), user, Operation{"replace", `emails[type eq "work"].value`, "x"}, 30},
		{"extension", Standard(User), user, Operation{"replace", EnterpriseUserSchema + ":department", "x"}, 15},
		{"without path", Standard(User), user, Operation{"replace", "", map[string]any{"title": "x", "displayName": "y"}}, 20},
		{"complex", Standard(User), user, Operation{"replace", "name", map[string]any{"familyName": "x"}}, 20},
		{"add an element", Standard(User), user, Operation{"add", "emails", []any{map[string]any{"value": "x"}}}, 25},
		{"create an element", Standard(User), user, Operation{"add", `phoneNumbers[type eq "fax"].value`, "x"}, 40},
		{"add a member", Standard(Group), group, Operation{"add", "members", []any{map[string]any{"value": "x"}}}, 20},
		{"remove a member", Standard(Group), group, Operation{"remove", `members[value eq "x"]`, nil}, 20},
	} {
		ops := []Operation{c.op}
		n := testing.AllocsPerRun(50, func() {
			if _, err := c.d.Patch(c.current, ops, PatchOptions{CreateElements: true}); err != nil {
				t.Error(err)
			}
		})
		if n > c.most {
			t.Errorf("%s: %v allocations, want at most %v", c.name, n, c.most)
		}
		t.Logf("%s: %v allocations", c.name, n)
	}
}

func BenchmarkPatch(b *testing.B) {
	d, current := Standard(User), exampleUser(b)
	ops := []Operation{{"replace", `emails[type eq "work"].value`, "x"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Patch(current, ops, PatchOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	d := Standard(User)
	doc := d.Encode(exampleUser(b))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Decode(doc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	d, a := Standard(User), exampleUser(b)
	b.ReportAllocs()
	for b.Loop() {
		d.Encode(a)
	}
}
