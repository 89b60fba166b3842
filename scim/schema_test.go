package scim

import (
	"strings"
	"testing"
)

func TestStandardAttributes(t *testing.T) {
	t.Parallel()
	user, group := Standard(User), Standard(Group)
	manager := user.ExtensionAttribute(EnterpriseUserSchema, "MANAGER")
	tests := []struct {
		attr     *Attribute
		path     string
		typ      Type
		folding  Folding
		multi    bool
		returned Returned
	}{
		{user.Attribute("USERNAME"), "userName", String, FoldFull, false, Default},
		{user.Attribute("id"), "id", String, FoldNone, false, Always},
		{user.Attribute("externalid"), "externalId", String, FoldNone, false, Default},
		{user.Attribute("schemas"), "schemas", Reference, FoldNone, true, Always},
		{user.Attribute("displayName"), "displayName", String, FoldASCII, false, Default},
		{user.Attribute("active"), "active", Boolean, FoldASCII, false, Default},
		{user.Attribute("password"), "password", String, FoldASCII, false, Never},
		{user.Attribute("profileUrl"), "profileUrl", Reference, FoldNone, false, Default},
		{user.Attribute("name").Sub("FAMILYNAME"), "name.familyName", String, FoldASCII, false, Default},
		{user.Attribute("emails"), "emails", Complex, FoldASCII, true, Default},
		{user.Attribute("emails").Sub("value"), "emails.value", String, FoldFull, false, Default},
		{user.Attribute("emails").Sub("type"), "emails.type", String, FoldASCII, false, Default},
		{user.Attribute("x509Certificates").Sub("value"), "x509Certificates.value", Binary, FoldNone, false, Default},
		{user.Attribute("groups").Sub("$REF"), "groups.$ref", Reference, FoldNone, false, Default},
		{user.Attribute("groups").Sub("value"), "groups.value", String, FoldNone, false, Default},
		{user.Attribute("meta").Sub("created"), "meta.created", DateTime, FoldNone, false, Default},
		{manager, EnterpriseUserSchema + ":manager", Complex, FoldASCII, false, Default},
		{manager.Sub("value"), EnterpriseUserSchema + ":manager.value", String, FoldNone, false, Default},
		{group.Attribute("displayName"), "displayName", String, FoldFull, false, Default},
		{group.Attribute("members").Sub("value"), "members.value", String, FoldNone, false, Default},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			t.Parallel()
			a := tt.attr
			if a == nil {
				t.Fatal("no such attribute")
			}
			if a.String() != tt.path || a.Type != tt.typ || a.Folding != tt.folding || a.MultiValued != tt.multi || a.Returned != tt.returned {
				t.Errorf("got %s: type %s, folding %d, multi-valued %t, returned %s", a, a.Type, a.Folding, a.MultiValued, a.Returned)
			}
		})
	}
}

func TestStandardLookUps(t *testing.T) {
	t.Parallel()
	d := Standard(User)
	if d != Standard(User) || d == Standard(Group) {
		t.Error("a definition is not shared, or shared by both types")
	}
	if !d.IsCore(strings.ToUpper(UserSchema)) || d.IsCore(GroupSchema) || d.IsCore(EnterpriseUserSchema) {
		t.Error("IsCore tells the core schema wrongly")
	}
	if e := d.Extension(strings.ToLower(EnterpriseUserSchema)); e == nil || e.ID != EnterpriseUserSchema {
		t.Errorf("the enterprise extension is %v", e)
	}
	if Standard(Group).Extension(EnterpriseUserSchema) != nil {
		t.Error("a group has the enterprise extension of a user")
	}
	absent := map[string]*Attribute{
		"core":            d.Attribute("favouriteColour"),
		"extension":       d.Attribute("department"),
		"of an extension": d.ExtensionAttribute(EnterpriseUserSchema, "userName"),
		"of another URN":  d.ExtensionAttribute("urn:example:x", "department"),
		"sub-attribute":   d.Attribute("name").Sub("nick"),
		"of a simple one": d.Attribute("userName").Sub("value"),
	}
	for name, a := range absent {
		if a != nil {
			t.Errorf("%s: found %s", name, a)
		}
	}
	department := d.ExtensionAttribute(EnterpriseUserSchema, "department")
	if department.Extension() != EnterpriseUserSchema || department.Parent() != nil {
		t.Errorf("department is of %q below %v", department.Extension(), department.Parent())
	}
	if emails := d.Attribute("emails"); emails.Extension() != "" || emails.Sub("value").Parent() != emails {
		t.Error("emails.value is not below emails of the core schema")
	}
}

func TestParseSchemaRefuses(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{
		"no JSON":       `{`,
		"wrong type":    `{"id":7}`,
		"no id":         `{"attributes":[{"name":"a","type":"string"}]}`,
		"no attributes": `{"id":"urn:example:x"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if s, err := ParseSchema([]byte(data)); err == nil {
				t.Errorf("ParseSchema = %v, want an error", s)
			}
		})
	}
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	schema := func(id string, attrs ...*Attribute) *Schema { return &Schema{ID: id, Attributes: attrs} }
	text := func(name string) *Attribute { return &Attribute{Name: name, Type: String} }
	tests := []struct {
		name string
		core *Schema
		ext  []*Schema
		want string
	}{
		{"no name", schema(UserSchema, text("")), nil, "no name"},
		{"unknown type", schema(UserSchema, &Attribute{Name: "a", Type: "colour"}), nil, `attribute a: unknown type "colour"`},
		{"sub-attribute of unknown type", schema(UserSchema, &Attribute{Name: "a", Type: Complex, SubAttributes: []*Attribute{{Name: "b"}}}), nil, "attribute b"},
		{"extension of unknown type", schema(UserSchema, text("a")), []*Schema{schema("urn:x:y", &Attribute{Name: "a"})}, "urn:x:y"},
		{"attribute twice", schema(UserSchema, text("a")), []*Schema{schema("urn:x:y", text("b"), text("B"))}, "defined twice"},
		{"extension twice", schema(UserSchema, text("a")), []*Schema{schema("urn:x:y", text("b")), schema("URN:X:Y", text("c"))}, "registered twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Compile(User, tt.core, tt.ext...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Compile: %v, want an error with %q", err, tt.want)
			}
		})
	}
}
