package scim

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParsePath(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want string   // canonical; "" if it is text itself
		part []string // URN, attribute, filter, sub-attribute
	}{
		{`userName`, ``, []string{"", "userName", "", ""}},
		{` USERNAME `, `userName`, []string{"", "userName", "", ""}},
		{`name.familyName`, ``, []string{"", "name", "", "familyName"}},
		{`meta.created`, ``, []string{"", "meta", "", "created"}},
		{`password`, ``, []string{"", "password", "", ""}},
		{`members`, `members`, nil},
		{`emails[type eq "work"]`, ``, []string{"", "emails", `type eq "work"`, ""}},
		{`EMAILS[TYPE EQ "Work"].VALUE`, `emails[type eq "work"].value`, []string{"", "emails", `type eq "work"`, "value"}},
		{`emails[type eq work].value`, `emails[type eq "work"].value`, nil},
		{`roles[primary eq "True"].value`, `roles[primary eq true].value`, nil},
		{`addresses[type eq "work" and primary eq true].streetAddress`, ``, nil},
		{`emails.value`, ``, []string{"", "emails", "", "value"}},
		{`manager`, enterprise + `:manager`, []string{enterprise, "manager", "", ""}},
		{`department`, enterprise + `:department`, nil},
		{enterprise + `:manager.value`, ``, []string{enterprise, "manager", "", "value"}},
		{strings.ToLower(enterprise) + `:employeenumber`, enterprise + `:employeeNumber`, nil},
		{enterprise, ``, []string{enterprise, "", "", ""}},
		{strings.ToUpper(enterprise), enterprise, nil},
		{enterprise + `.manager.value`, enterprise + `:manager.value`, nil},
		{UserSchema + `:userName`, `userName`, []string{"", "userName", "", ""}},
		{UserSchema + `:name.familyName`, `name.familyName`, []string{"", "name", "", "familyName"}},
		{UserSchema + `:emails[type eq "work"].value`, `emails[type eq "work"].value`, nil},
		{wild + `:attr`, ``, []string{wild, "attr", "", ""}},
		{wild + `:Attr.Sub`, ``, []string{wild, "Attr", "", "Sub"}},
		{wild + `:list[type eq "x"].value`, ``, []string{wild, "list", `type eq "x"`, "value"}},
		{`urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User:tag`, ``, nil},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			d := Standard(User)
			if tt.text == "members" {
				d = Standard(Group)
			}
			p, err := ParsePath(d, tt.text)
			if err != nil {
				t.Fatal(err)
			}
			want := tt.want
			if want == "" {
				want = tt.text
			}
			if got := p.String(); got != want {
				t.Errorf("String() = %s, want %s", got, want)
			}
			if diff := cmp.Diff(tt.part, partsOf(p)); tt.part != nil && diff != "" {
				t.Errorf("parts (-want +got):\n%s", diff)
			}
		})
	}
}

func partsOf(p Path) []string {
	parts := []string{p.URN, "", "", ""}
	if p.Attr != nil {
		parts[1] = p.Attr.Name
	}
	if p.Filter != nil {
		parts[2] = FormatFilter(p.Filter)
	}
	if p.Sub != nil {
		parts[3] = p.Sub.Name
	}
	return parts
}

func TestParsePathRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, unknown, want string }{
		{"nothing", ``, "", "position 1: expected an attribute name, found the end"},
		{"slash", `/userName`, "", "expected an attribute name"},
		{"two paths", `userName title`, "", "position 10: expected the end of the path, found 't'"},
		{"comparison", `userName eq "x"`, "", "position 10: expected the end of the path"},
		{"unknown attribute", `favouriteColour`, "favouriteColour", "position 1: User has no such attribute"},
		{"unknown sub-attribute", `name.nick`, "nick", "position 6: name has no such attribute"},
		{"sub-attribute of a simple one", `userName.x`, "x", "position 10: userName has no such attribute"},
		{"unknown extension attribute", enterprise + `:colour`, "colour", "position 60: " + enterprise + " has no such attribute"},
		{"unknown after a value path", `emails[type eq "work"].colour`, "colour", "position 24"},
		{"unknown within a value path", `emails[colour eq "work"].value`, "colour", "position 8"},
		{"no name after the dot", `name.`, "", "position 6: expected the name of one sub-attribute of name"},
		{"two dots", `name.familyName.x`, "", "one sub-attribute"},
		{"core schema", UserSchema, "", "after the schema's URN"},
		{"URL", `http://example.com/schema:attr`, "", `starts with "urn:"`},
		{"URN with a quote", `urn:x'":attr`, "", `expected`},
		{"open bracket", `emails[type eq "work"`, "", "found the end"},
		{"empty brackets", `emails[]`, "", "position 8: expected an attribute name, found ']'"},
		{"brackets on a simple attribute", `title[value eq "x"]`, "", "title is none"},
		{"brackets after an extension", enterprise + `[value eq "x"]`, "", "in brackets follows"},
		{"text after brackets", `emails[type eq "work"]x`, "", "expected the end of the path"},
		{"password within brackets", `emails[password eq "x"]`, "password", "position 8"},
		{"not UTF-8", "user\xffName", "", "UTF-8"},
		{"too long", strings.Repeat("x", 9000), "", "longer than 8192 bytes"},
		{"too deep", `emails[` + strings.Repeat("(", 32) + `type pr` + strings.Repeat(")", 32) + `]`, "", "nested deeper than 32"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, err := ParsePath(Standard(User), tt.text)
			e, ok := err.(*Error)
			if !ok {
				t.Fatalf("ParsePath(%q) = %s, %v; want an *Error", tt.text, p, err)
			}
			if diff := cmp.Diff(Path{}, p); diff != "" {
				t.Errorf("a path came with the error: %s", diff)
			}
			if e.Type != InvalidPath || e.Path != tt.unknown || !strings.Contains(e.Detail, tt.want) {
				t.Errorf("got %v, want invalidPath of %q with %q", e, tt.unknown, tt.want)
			}
		})
	}
}

// The longest registered URN counts, whatever the order of registration.
func TestParsePathBelowNestedURNs(t *testing.T) {
	t.Parallel()
	schema := func(id, attr string) *Schema {
		return &Schema{ID: id, Attributes: []*Attribute{{Name: attr, Type: String}}}
	}
	d, err := Compile(User, schema(UserSchema, "userName"),
		schema("urn:example:a", "b"), schema("urn:example:a:b:2.0:User", "c"), schema("urn:example:a:b", "c"))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string][]string{
		"urn:example:a:b":              {"urn:example:a:b", "", "", ""},
		"urn:example:a:c":              nil,
		"urn:example:a:b:c":            {"urn:example:a:b", "c", "", ""},
		"urn:example:a:b:2.0:User:c":   {"urn:example:a:b:2.0:User", "c", "", ""},
		"urn:example:a:b:2.0:Users:c":  nil,
		"urn:example:ab:c":             {"urn:example:ab", "c", "", ""},
		"URN:EXAMPLE:A:B:2.0:USER:C":   {"urn:example:a:b:2.0:User", "c", "", ""},
		"b":                            {"urn:example:a", "b", "", ""},
		"c":                            {"urn:example:a:b:2.0:User", "c", "", ""},
		"urn:example:a:b:2.0:User:c.d": nil,
	}
	for text, want := range tests {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			p, err := ParsePath(d, text)
			if (err != nil) != (want == nil) {
				t.Fatalf("%s, %v", p, err)
			}
			if diff := cmp.Diff(want, partsOf(p)); want != nil && diff != "" {
				t.Errorf("parts (-want +got):\n%s", diff)
			}
		})
	}
}
