package scim

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testSchema has an attribute of each type, and rules that the standard schemas do not use.
const testSchema = "urn:example:schemas:test:2.0:User"

func testDefinition(t fataler) *Definition {
	t.Helper()
	core, err := ParseSchema([]byte(`{"id": "` + UserSchema + `", "name": "User", "attributes": [
		{"name": "userName", "type": "string", "required": true, "mutability": "readWrite", "returned": "default"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	extension, err := ParseSchema([]byte(`{"id": "` + testSchema + `", "name": "Test", "attributes": [
		{"name": "number", "type": "integer", "mutability": "readWrite", "returned": "default"},
		{"name": "share", "type": "decimal", "mutability": "readWrite", "returned": "request"},
		{"name": "since", "type": "dateTime", "mutability": "readWrite", "returned": "default"},
		{"name": "picture", "type": "binary", "mutability": "readWrite", "returned": "default"},
		{"name": "tags", "type": "string", "multiValued": true, "mutability": "readWrite", "returned": "default"},
		{"name": "badge", "type": "string", "mutability": "immutable", "returned": "default"},
		{"name": "pin", "type": "string", "mutability": "writeOnly", "returned": "never"},
		{"name": "kind", "type": "string", "mutability": "readWrite", "returned": "always"},
		{"name": "car", "type": "complex", "mutability": "readWrite", "returned": "default", "subAttributes": [
			{"name": "plate", "type": "string", "required": true, "mutability": "immutable", "returned": "default"},
			{"name": "colour", "type": "string", "mutability": "readWrite", "returned": "default"}]},
		{"name": "keys", "type": "complex", "multiValued": true, "mutability": "readWrite", "returned": "default", "subAttributes": [
			{"name": "value", "type": "string", "required": true, "mutability": "immutable", "returned": "default"},
			{"name": "door", "type": "string", "mutability": "readWrite", "returned": "default"},
			{"name": "copies", "type": "integer", "mutability": "readWrite", "returned": "request"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	d, err := Compile(User, core, extension)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		d    *Definition
		raw  string
		want Attributes
	}{
		{"names in any case", Standard(User), `{"USERNAME":"a","Emails":[{"VALUE":"v","Primary":true}],"nAmE":{"GivenName":"g"}}`,
			Attributes{"userName": "a", "emails": []any{map[string]any{"value": "v", "primary": true}}, "name": map[string]any{"givenName": "g"}}},
		{"read-only and derived attributes are dropped", Standard(User),
			`{"schemas":["x"],"id":"1","meta":{"version":"1"},"groups":[{"value":"g"}],"userName":"a","password":"p"}`, Attributes{"userName": "a"}},
		{"unknown core attributes are dropped", Standard(User), `{"userName":"a","shoeSize":42,"name":{"nick":"n","givenName":"g"}}`,
			Attributes{"userName": "a", "name": map[string]any{"givenName": "g"}}},
		{"what is unassigned is dropped", Standard(User),
			`{"userName":"a","title":"","nickName":null,"roles":[],"name":{},"addresses":null,"active":null,"emails":[null,{},{"value":""},{"value":null,"type":null}]}`,
			Attributes{"userName": "a"}},
		{"unassigned parts are dropped", Standard(User), `{"userName":"a","name":{"givenName":"","familyName":"f"},"emails":[{"value":"v","type":null},{"type":"work","value":""}]}`,
			Attributes{"userName": "a", "name": map[string]any{"familyName": "f"}, "emails": []any{map[string]any{"value": "v"}, map[string]any{"type": "work"}}}},
		{"text stays as it is", Standard(User), `{"userName":" a\t","title":"é e\u0301"}`, Attributes{"userName": " a\t", "title": "é e\u0301"}},
		{"members are read elsewhere", Standard(Group), `{"displayName":"g","members":[{"value":"1"}]}`, Attributes{"displayName": "g"}},
		{"members of a user are unknown", Standard(User), `{"userName":"a","members":"x"}`, Attributes{"userName": "a"}},
		{"extensions in any case", Standard(User), `{"userName":"a","` + strings.ToUpper(EnterpriseUserSchema) + `":{"DEPARTMENT":"d","Manager":{"VALUE":"m","displayName":"boss"},"x":1}}`,
			Attributes{"userName": "a", EnterpriseUserSchema: map[string]any{"department": "d", "manager": map[string]any{"value": "m"}}}},
		{"empty extensions are dropped", Standard(User), `{"userName":"a","` + EnterpriseUserSchema + `":{"department":"","manager":null},"urn:x:y":{"a":null},"urn:x:z":null}`,
			Attributes{"userName": "a"}},
		{"qualified names", Standard(User), `{"` + UserSchema + `:userName":"a","` + EnterpriseUserSchema + `:Department":"d","` + EnterpriseUserSchema + `":{"division":"v"}}`,
			Attributes{"userName": "a", EnterpriseUserSchema: map[string]any{"department": "d", "division": "v"}}},
		{"the core schema's URN", Standard(User), `{"` + UserSchema + `":{"userName":"a"}}`, Attributes{"userName": "a"}},
		{"unregistered extensions stay as they are", Standard(User), `{"userName":"a","urn:Contoso:2.0:User":{"Badge":"","n":null,"list":[1.0,null,{"x":null}],"o":{}},"URN:x":"text"}`,
			Attributes{"userName": "a", "urn:Contoso:2.0:User": map[string]any{"Badge": "", "list": []any{json.Number("1.0"), map[string]any{}}, "o": map[string]any{}}, "URN:x": "text"}},
		{"a misspelt URN is another extension", Standard(User), `{"userName":"a","` + EnterpriseUserSchema + `:x":{"a":"b"}}`,
			Attributes{"userName": "a", EnterpriseUserSchema + ":x": map[string]any{"a": "b"}}},
		{"every type", testDefinition(t), `{"userName":"a","` + testSchema + `":{"number":-7,"share":1.50,"since":"2030-01-31T09:30:00.5+09:00","picture":"AA==","tags":["x","","x"],"pin":"1","badge":"b","keys":[{"value":"k","copies":2}]}}`,
			Attributes{"userName": "a", testSchema: map[string]any{"number": json.Number("-7"), "share": json.Number("1.50"), "since": "2030-01-31T09:30:00.5+09:00",
				"picture": "AA==", "tags": []any{"x", "x"}, "badge": "b", "keys": []any{map[string]any{"value": "k", "copies": json.Number("2")}}}}},
		{"1,024 characters", Standard(User), `{"userName":"` + strings.Repeat("é", 1024) + `"}`, Attributes{"userName": strings.Repeat("é", 1024)}},
		{"other strings may be longer", Standard(User), `{"userName":"a","title":"` + strings.Repeat("x", 1025) + `"}`, Attributes{"userName": "a", "title": strings.Repeat("x", 1025)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			raw := parseObject(t, []byte(c.raw))
			got, err := c.d.Validate(raw)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(parseObject(t, []byte(c.raw)), raw); diff != "" {
				t.Errorf("the input changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestValidateRefuses(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1025)
	user := func(rest string) string { return `{"userName":"a",` + rest + `}` }
	extension := func(rest string) string { return user(`"` + testSchema + `":{` + rest + `}`) }
	for _, c := range []struct {
		name         string
		d            *Definition
		raw          string
		want         ErrorType
		path, detail string
	}{
		{"required", Standard(User), `{}`, InvalidValue, "userName", "required"},
		{"required null", Standard(User), `{"userName":null}`, InvalidValue, "userName", "required"},
		{"required empty", Standard(User), `{"userName":""}`, InvalidValue, "userName", "required"},
		{"required in a group", Standard(Group), `{"members":[]}`, InvalidValue, "displayName", "required"},
		{"required sub-attribute", testDefinition(t), extension(`"car":{"colour":"red"}`), InvalidValue, testSchema + ":car.plate", "required"},
		{"required in an element", testDefinition(t), extension(`"keys":[{"value":"k"},{"door":"d"}]`), InvalidValue, testSchema + ":keys.value", "element 2: the attribute is required"},
		{"two cases", Standard(User), `{"userName":"a","USERNAME":"b"}`, InvalidSyntax, "userName", "twice"},
		{"two cases, one null", Standard(User), user(`"title":null,"TITLE":"b"`), InvalidSyntax, "title", "twice"},
		{"two cases below", Standard(User), user(`"name":{"givenName":"a","GIVENNAME":"b"}`), InvalidSyntax, "name.givenName", "twice"},
		{"two cases of an extension", Standard(User), user(`"` + EnterpriseUserSchema + `":{},"` + strings.ToUpper(EnterpriseUserSchema) + `":{}`), InvalidSyntax, EnterpriseUserSchema, "twice"},
		{"two cases in an extension", Standard(User), user(`"` + EnterpriseUserSchema + `":{"division":"a","DIVISION":"b"}`), InvalidSyntax, "division", "twice"},
		{"qualified and nested", Standard(User), user(`"` + EnterpriseUserSchema + `":{"division":"a"},"` + EnterpriseUserSchema + `:division":"b"`), InvalidSyntax, EnterpriseUserSchema + ":division", "twice"},
		{"two cases of an unregistered extension", Standard(User), user(`"urn:x:y":{"a":1},"urn:X:y":{"a":1}`), InvalidSyntax, "urn:x:y", "twice"},
		{"string", Standard(User), `{"userName":1}`, InvalidValue, "userName", "expected a string, got a number"},
		{"reference", Standard(User), user(`"profileUrl":true`), InvalidValue, "profileUrl", "expected a string, got a boolean"},
		{"boolean", Standard(User), user(`"active":"True"`), InvalidValue, "active", "expected true or false, got a string"},
		{"complex", Standard(User), user(`"name":"x"`), InvalidValue, "name", "expected an object, got a string"},
		{"manager as text", Standard(User), user(`"` + EnterpriseUserSchema + `":{"manager":"x"}`), InvalidValue, EnterpriseUserSchema + ":manager", "expected an object, got a string"},
		{"multi-valued", Standard(User), user(`"emails":{"value":"v"}`), InvalidValue, "emails", "expected an array, got an object"},
		{"element", Standard(User), user(`"emails":[{"value":"v"},"w"]`), InvalidValue, "emails", "element 2: expected an object, got a string"},
		{"sub-attribute of an element", Standard(User), user(`"emails":[{"value":["v"]}]`), InvalidValue, "emails.value", "element 1: expected a string, got an array"},
		{"extension", Standard(User), user(`"` + EnterpriseUserSchema + `":"x"`), InvalidValue, EnterpriseUserSchema, "expected an object with the extension's attributes, got a string"},
		{"integer", testDefinition(t), extension(`"number":1.5`), InvalidValue, testSchema + ":number", "expected a whole number, got a number with a fraction"},
		{"integer as text", testDefinition(t), extension(`"number":"1"`), InvalidValue, testSchema + ":number", "expected a whole number, got a string"},
		{"decimal", testDefinition(t), extension(`"share":"1"`), InvalidValue, testSchema + ":share", "expected a number, got a string"},
		{"dateTime", testDefinition(t), extension(`"since":"yesterday"`), InvalidValue, testSchema + ":since", "expected a date and time such as 2030-01-31T09:30:00Z, got another string"},
		{"dateTime with a comma", testDefinition(t), extension(`"since":"2030-01-31T09:30:00,5Z"`), InvalidValue, testSchema + ":since", "expected a date and time"},
		{"dateTime as a number", testDefinition(t), extension(`"since":5`), InvalidValue, testSchema + ":since", "got a number"},
		{"two primaries", Standard(User), user(`"emails":[{"value":"a","primary":true},{"value":"b","primary":true}]`), InvalidValue, "emails", "more than one element is primary"},
		{"long userName", Standard(User), `{"userName":"` + long + `"}`, InvalidValue, "userName", "longer than 1024 characters"},
		{"long externalId", Standard(User), user(`"externalId":"` + long + `"`), InvalidValue, "externalId", "longer than 1024 characters"},
		{"long mail", Standard(User), user(`"emails":[{"value":"` + long + `"}]`), InvalidValue, "emails.value", "element 1: the value is longer"},
		{"long group name", Standard(Group), `{"displayName":"` + long + `"}`, InvalidValue, "displayName", "longer than 1024 characters"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := c.d.Validate(parseObject(t, []byte(c.raw)))
			checkFault(t, err, c.want, c.path, c.detail)
		})
	}
}

func TestReadMembers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, raw string
		want      []Member
		present   bool
	}{
		{"null", `null`, nil, false},
		{"empty", `[]`, []Member{}, true},
		{"as clients send it", `[{"value":"1","$ref":null},{"VALUE":"2","Display":"B","type":"User"},null,{"value":"3","display":null}]`,
			[]Member{{Value: "1"}, {Value: "2", Display: "B"}, {Value: "3"}}, true},
		{"twice", `[{"value":"1","display":"A"},{"value":"2"},{"value":"1"},{"value":"2","display":"B"}]`,
			[]Member{{Value: "1", Display: "A"}, {Value: "2", Display: "B"}}, true},
		{"ids compare exactly", `[{"value":"a"},{"value":"A"}]`, []Member{{Value: "a"}, {Value: "A"}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			raw, err := ParseJSON([]byte(c.raw))
			if err != nil {
				t.Fatal(err)
			}
			list, present, err := ReadMembers(raw)
			if err != nil || present != c.present {
				t.Fatalf("present %v, error %v; want %v", present, err, c.present)
			}
			if diff := cmp.Diff(c.want, list); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadMembersRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, raw, path, detail string
		want                    ErrorType
	}{
		{"object", `{"value":"1"}`, "members", "expected an array of objects, got an object", InvalidValue},
		{"string", `["1"]`, "members", `element 1: expected an object with the member's id as "value", got a string`, InvalidValue},
		{"no value", `[{"value":"1"},{"display":"x"}]`, "members.value", "element 2: the member has no value", InvalidValue},
		{"empty value", `[{"value":""}]`, "members.value", "the member has no value", InvalidValue},
		{"number", `[{"value":1}]`, "members.value", "expected a string, got a number", InvalidValue},
		{"display", `[{"value":"1","display":{}}]`, "members.display", "expected a string, got an object", InvalidValue},
		{"long", `[{"value":"` + strings.Repeat("x", 1025) + `"}]`, "members.value", "longer than 1024", InvalidValue},
		{"two cases", `[{"value":"1","Value":"2"}]`, "members.value", "twice", InvalidSyntax},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			raw, err := ParseJSON([]byte(c.raw))
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = ReadMembers(raw)
			checkFault(t, err, c.want, c.path, c.detail)
		})
	}
}
