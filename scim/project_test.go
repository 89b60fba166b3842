package scim

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rendered is a resource as an answer has it before projection.
func rendered(t testing.TB, text string) Attributes {
	t.Helper()
	return parseObject(t, []byte(text))
}

const renderedUser = `{"schemas":["` + UserSchema + `"],"id":"1","meta":{"resourceType":"User","version":"W/1"},"userName":"a",
	"name":{"familyName":"f","givenName":"g"},"emails":[{"value":"v","type":"work"},{"display":"d"}],"roles":[],
	"groups":[{"value":"g","display":"G"}],"` + EnterpriseUserSchema + `":{"department":"d","manager":{"value":"m","$ref":"r"}},"urn:x:2.0:User":{"Badge":"7","o":{"p":1}}}`

func TestProjection(t *testing.T) {
	t.Parallel()
	const always = `"schemas":["` + UserSchema + `"],"id":"1"`
	const e = EnterpriseUserSchema
	for _, c := range []struct{ name, attributes, excluded, want string }{
		{"one", "userName", "", `{` + always + `,"userName":"a"}`},
		{"any case and blanks", " USERNAME ,, Name.GIVENNAME", "", `{` + always + `,"userName":"a","name":{"givenName":"g"}}`},
		{"unknown names", "nothing,userNam,emails.nothing", "", `{` + always + `}`},
		{"sub-attribute of elements", "emails.value", "", `{` + always + `,"emails":[{"value":"v"}]}`},
		{"a whole attribute and a part of it", "emails.value,emails", "", `{` + always + `,"emails":[{"value":"v","type":"work"},{"display":"d"}]}`},
		{"an empty list stays", "roles", "", `{` + always + `,"roles":[]}`},
		{"meta", "meta.version,groups", "", `{` + always + `,"meta":{"version":"W/1"},"groups":[{"value":"g","display":"G"}]}`},
		{"core attribute by its URN", UserSchema + ":userName", "", `{` + always + `,"userName":"a"}`},
		{"the core schema", UserSchema, "", `{` + always + `,"userName":"a","name":{"familyName":"f","givenName":"g"},"emails":[{"value":"v","type":"work"},{"display":"d"}],"roles":[],"groups":[{"value":"g","display":"G"}]}`},
		{"an extension", e, "", `{` + always + `,"` + e + `":{"department":"d","manager":{"value":"m","$ref":"r"}}}`},
		{"an extension's attribute", e + ":Department", "", `{` + always + `,"` + e + `":{"department":"d"}}`},
		{"an extension's sub-attribute", e + ":manager.value", "", `{` + always + `,"` + e + `":{"manager":{"value":"m"}}}`},
		{"an extension's attribute by its bare name", "manager", "", `{` + always + `,"` + e + `":{"manager":{"value":"m","$ref":"r"}}}`},
		{"an unregistered extension", "URN:x:2.0:User", "", `{` + always + `,"urn:x:2.0:User":{"Badge":"7","o":{"p":1}}}`},
		{"its attribute", "urn:x:2.0:User:badge", "", `{` + always + `,"urn:x:2.0:User":{"Badge":"7"}}`},
		{"its sub-attribute", "urn:x:2.0:User:o.p", "", `{` + always + `,"urn:x:2.0:User":{"o":{"p":1}}}`},
		{"value filters", `emails[type eq "a,]\"b" and value co "x"].value,userName`, "", `{` + always + `,"userName":"a","emails":[{"value":"v"}]}`},
		{"without", "", "name, emails[type eq \"work\"] ,roles,groups,meta,userName," + e + ",urn:x:2.0:user", `{` + always + `}`},
		{"without parts", "", "name.familyName,emails.display,roles,groups.display,meta.version,userName," + e + ":manager.$ref,urn:x:2.0:User:o",
			`{` + always + `,"meta":{"resourceType":"User"},"name":{"givenName":"g"},"emails":[{"value":"v","type":"work"}],"groups":[{"value":"g"}],"` + e + `":{"department":"d","manager":{"value":"m"}},"urn:x:2.0:User":{"Badge":"7"}}`},
		{"without what is always returned", "", "id,schemas,nothing", renderedUser},
		{"nothing named", " , ", ",", renderedUser},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, err := ParseProjection(Standard(User), c.attributes, c.excluded)
			if err != nil {
				t.Fatal(err)
			}
			user := rendered(t, renderedUser)
			got := p.Apply(user)
			if diff := cmp.Diff(rendered(t, c.want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(rendered(t, renderedUser), user); diff != "" {
				t.Errorf("the input changed (-before +after):\n%s", diff)
			}
			for name := range user {
				if _, shown := got[name]; shown && !p.Includes(name) {
					t.Errorf("%s is shown and not included", name)
				}
			}
		})
	}
}

func TestProjectionIncludes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		attributes, excluded string
		all                  bool
		included, left       []string
	}{
		{"", "", true, []string{"id", "members", "meta", "displayName", "urn:x"}, nil},
		{"displayName", "", false, []string{"id", "schemas", "displayName"}, []string{"members", "meta", "urn:x"}},
		{"members.value", "", false, []string{"members", "MEMBERS"}, []string{"displayName"}},
		{"", "members,id", false, []string{"id", "displayName", "meta"}, []string{"members", "Members"}},
		{"", "members.display", false, []string{"members"}, nil},
		{"", GroupSchema, false, []string{"id", "meta"}, []string{"members", "displayName"}},
	} {
		p, err := ParseProjection(Standard(Group), c.attributes, c.excluded)
		if err != nil {
			t.Fatal(err)
		}
		if p.All() != c.all {
			t.Errorf("%q/%q: All is %v", c.attributes, c.excluded, p.All())
		}
		for _, name := range c.included {
			if !p.Includes(name) {
				t.Errorf("%q/%q does not include %s", c.attributes, c.excluded, name)
			}
		}
		for _, name := range c.left {
			if p.Includes(name) {
				t.Errorf("%q/%q includes %s", c.attributes, c.excluded, name)
			}
		}
	}
}

func TestProjectionRefusesBoth(t *testing.T) {
	t.Parallel()
	_, err := ParseProjection(Standard(User), "userName", "emails")
	checkFault(t, err, InvalidValue, "excludedAttributes", "send one of them")
}

func TestProjectionZeroValue(t *testing.T) {
	t.Parallel()
	var p Projection
	user := rendered(t, renderedUser)
	if !p.All() || !p.Includes("anything") || !Equal(p.Apply(user), user) {
		t.Error("the zero value restricts")
	}
}

// TestProjectionByReturned covers the return rules that the standard schemas do not use.
func TestProjectionByReturned(t *testing.T) {
	t.Parallel()
	extension := func(object map[string]any) Attributes {
		return Attributes{"id": "1", testSchema: object}
	}
	key := func(copies bool) map[string]any {
		if copies {
			return map[string]any{"value": "k", "copies": json.Number("2")}
		}
		return map[string]any{"value": "k"}
	}
	full := extension(map[string]any{"share": json.Number("1"), "kind": "k", "badge": "b", "pin": "1", "keys": []any{key(true)}})
	for _, c := range []struct {
		name, attributes, excluded string
		want                       Attributes
	}{
		{"by default", "", "", extension(map[string]any{"kind": "k", "badge": "b", "keys": []any{key(false)}})},
		{"on request", testSchema + ":share", "", extension(map[string]any{"kind": "k", "share": json.Number("1")})},
		{"on request below", testSchema + ":keys.copies", "", extension(map[string]any{"kind": "k", "keys": []any{map[string]any{"copies": json.Number("2")}}})},
		{"never", testSchema + ":pin", "", extension(map[string]any{"kind": "k"})},
		{"always", "", testSchema + ":kind," + testSchema + ":keys", extension(map[string]any{"kind": "k", "badge": "b"})},
		{"a whole extension", testSchema, "", extension(map[string]any{"kind": "k", "badge": "b", "keys": []any{key(false)}})},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, err := ParseProjection(testDefinition(t), c.attributes, c.excluded)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, p.Apply(full)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
