package scim

import (
	"strconv"
	"strings"
	"testing"
)

const (
	enterprise = EnterpriseUserSchema
	wild       = "urn:example:params:scim:schemas:extension:wild:2.0:User"
)

func TestParseFilter(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{ // want is canonical; "" if it is text itself
		{"equality", `userName eq "a@b.c"`, ""},
		{"names, operators and keywords in any case", `USERNAME EQ "A" AND NOT (Title PR) Or active Eq TRUE`,
			`userName eq "a" and title eq null or active eq true`},
		{"ne", `title ne "boss"`, ""},
		{"not eq is ne", `not (title eq "boss")`, `title ne "boss"`},
		{"not without blank", `not(title sw "b")`, `not (title sw "b")`},
		{"contains", `title co "x"`, ""},
		{"starts with", `title sw "x"`, ""},
		{"ends with", `title ew "x"`, ""},
		{"greater", `title gt "x"`, ""},
		{"greater or equal", `title ge "x"`, ""},
		{"less", `title lt "x"`, ""},
		{"less or equal", `title le "x"`, ""},
		{"ordering takes an empty operand", `title gt ""`, ""},
		{"present", `title pr`, ""},
		{"complex attribute present", `name pr`, ""},
		{"and binds closer than or", `title pr or active eq true and nickName pr`, ""},
		{"group", `(title pr or active eq true) and nickName pr`, ""},
		{"superfluous groups", `((title pr)) and (((active eq true) and nickName pr))`, `title pr and active eq true and nickName pr`},
		{"nested groups of one kind", `title pr or (active eq true or (nickName pr))`, `title pr or active eq true or nickName pr`},
		{"blanks around", " \t title  eq\t\"x\" and( title pr )and not  ( nickName pr ) ", `title eq "x" and title pr and nickName eq null`},
		{"blanks within a value", `displayName eq "EDU All personal"`, `displayName eq "edu all personal"`},
		{"keywords within a value", `title eq "a and b or not (c)]"`, ""},
		{"an attribute that starts with a keyword", `nickName pr`, ""},

		{"sub-attribute", `name.familyName co "O'Malley"`, `name.familyName co "o'malley"`},
		{"sub-attribute in any case", `NAME.FAMILYname pr`, `name.familyName pr`},
		{"reference sub-attribute", `photos.value eq "https://x/Y.png"`, ""},
		{"multi-valued attribute means its value", `emails eq "A@B.c"`, `emails.value eq "a@b.c"`},
		{"multi-valued simple attribute", `schemas eq "` + UserSchema + `"`, ""},
		{"id compares exactly", `id eq "0A21F0F2"`, ""},
		{"manager by id", `manager eq "0A"`, enterprise + `:manager.value eq "0A"`},
		{"manager present", `manager pr`, enterprise + `:manager pr`},
		{"bare extension attribute", `employeeNumber eq "7"`, enterprise + `:employeeNumber eq "7"`},
		{"URN of an extension", strings.ToUpper(enterprise) + `:DEPARTMENT eq "x"`, enterprise + `:department eq "x"`},
		{"URN and sub-attribute", enterprise + `:manager.displayName sw "x"`, ""},
		{"URN of the core schema", UserSchema + `:userName eq "x"`, `userName eq "x"`},
		{"URN of the core schema and sub-attribute", UserSchema + `:name.familyName pr`, `name.familyName pr`},
		{"URN that nothing describes", wild + `:Attr.Sub eq "X"`, wild + `:Attr.Sub eq "x"`},
		{"value path below it", wild + `:list[Type eq "a"].value pr`, ""},

		{"value path", `emails[type eq "work" and value co "@x"]`, ""},
		{"value path and operator", `emails[type eq "work"].value eq "x"`, ""},
		{"value path and ne", `emails[type eq "work"].value ne "x"`, ""},
		{"value path and pr", `emails[type eq "work"].display pr`, ""},
		{"value path with everything", `emails[not (type eq "work" or type eq "home") and (primary eq true or display pr)]`, ""},
		{"parent repeated in a value path", `emails[Emails.value eq "x"]`, `emails[value eq "x"]`},
		{"negated value path", `not (emails[type eq "work"])`, ""},

		{"true", `active eq true`, ""},
		{"boolean as string", `active eq "True"`, `active eq true`},
		{"boolean in capitals", `roles[primary eq "FALSE"].value eq "x"`, `roles[primary eq false].value eq "x"`},
		{"null", `title eq null`, ""},
		{"not null", `title ne null`, `not (title eq null)`},
		{"null for a complex attribute", `emails eq null`, ""},
		{"null in quotes is text", `title eq "null"`, ""},
		{"empty is unassigned", `title eq ""`, `title eq null`},
		{"empty reference is unassigned", `manager eq ""`, enterprise + `:manager.value eq null`},
		{"not empty", `title ne ""`, `not (title eq null)`},

		{"unquoted word", `externalId eq jyoung`, `externalId eq "jyoung"`},
		{"unquoted word before a bracket", `(userName sw O)`, `userName sw "o"`},
		{"unquoted number for a string", `externalId eq 0815`, `externalId eq "0815"`},
		{"unquoted boolean for a string", `externalId eq True`, `externalId eq "True"`},
		{"unquoted instant", `meta.created gt 2015-10-10T14:38:21.8617979-07:00`, `meta.created gt "2015-10-10T21:38:21.861797Z"`},
		{"instant without zone", `meta.lastModified le "2026-01-02T03:04:05"`, `meta.lastModified le "2026-01-02T03:04:05.000000Z"`},
		{"instant of the first year", `meta.lastModified ge "0001-01-03T00:00:00.0000000Z"`, `meta.lastModified ge "0001-01-03T00:00:00.000000Z"`},
		{"unquoted group of Microsoft's collection",
			`name.FamilyName eq Employee and (emails.Value co example.com or emails.Value co example.org)`,
			`name.familyName eq "employee" and (emails.value co "example.com" or emails.value co "example.org")`},
		{"reference check", `id eq "u" and manager eq "m"`, `id eq "u" and ` + enterprise + `:manager.value eq "m"`},

		{"short escapes", `title eq "\"\\\/\b\f\n\r\t"`, `title eq "\"\\/\b\f\n\r\t"`},
		{"code point", `title eq "\u00e9\u00C9"`, `title eq "éÉ"`},
		{"surrogate pair", `title eq "x\ud83d\uDE00y"`, `title eq "x😀y"`},
		{"special characters", `displayName eq "TestGrp-!@#$%^&*()_+=-{}][\":;'/.,?\\1"`, `displayName eq "testgrp-!@#$%^&*()_+=-{}][\":;'/.,?\\1"`},
		{"full folding of a key", `userName eq "STRAßE"`, `userName eq "strasse"`},
		{"ASCII folding otherwise", `title eq "STRAßE ÄÖ"`, `title eq "straße ÄÖ"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := tt.want
			if want == "" {
				want = tt.text
			}
			f, err := ParseFilter(Standard(User), tt.text)
			if err != nil {
				t.Fatalf("ParseFilter(%q): %v", tt.text, err)
			}
			if got := FormatFilter(f); got != want {
				t.Errorf("FormatFilter = %s, want %s", got, want)
			}
		})
	}
}

func TestParseFilterRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{ // want is part of the detail
		{"nothing", ``, "position 1: expected an attribute name, found the end"},
		{"blanks", `  `, "position 3: expected an attribute name, found the end"},
		{"no operator", `userName`, "position 9: expected an operator (eq, ne, co, sw, ew, gt, ge, lt, le, pr), found the end"},
		{"unknown operator", `userName is "x"`, "position 10: expected an operator"},
		{"no value", `userName eq`, "position 12: expected a value, found the end"},
		{"value missing before and", `userName eq ) and`, "position 13: expected a value, found ')'"},
		{"two values", `userName eq "x" "y"`, `position 17: expected "and", "or" or the end of the filter, found '"'`},
		{"position counts characters", `title eq "äöü" "y"`, "position 16"},
		{"dangling and", `title pr and `, "position 14: expected an attribute name"},
		{"open group", `(title pr`, `position 10: expected "and", "or" or ")", found the end`},
		{"closed twice", `(title pr))`, "position 11"},
		{"empty group", `()`, "position 2: expected an attribute name, found ')'"},
		{"not without a group", `not title pr`, "not: position 1: User has no such attribute"},
		{"open value path", `emails[type eq "work"`, `position 22: expected "and", "or" or "]", found the end`},
		{"wrong bracket", `emails[type eq "work")`, "position 22"},
		{"value path in a value path", `emails[value[type eq "x"]]`, "cannot hold another"},
		{"value path after a sub-attribute", `emails.value[type eq "x"]`, "position 13"},
		{"value path on a simple attribute", `userName[value eq "x"]`, "userName is none"},
		{"value path on a single value", `name[familyName eq "x"]`, "name is none"},
		{"operator after a value path", `emails[type eq "work"] eq "x"`, "position 24"},
		{"no name after a value path", `emails[type eq "work"]. eq "x"`, "position 24: expected the name of one sub-attribute of emails"},

		{"unknown attribute", `title pr and favouriteColour eq "x"`, "favouriteColour: position 14: User has no such attribute"},
		{"unknown sub-attribute", `name.nick eq "x"`, "nick: position 6: name has no such attribute"},
		{"sub-attribute of a simple one", `userName.x eq "x"`, "x: position 10: userName has no such attribute"},
		{"two dots", `name.familyName.x pr`, "one sub-attribute"},
		{"unknown in a value path", `emails[kind eq "x"]`, "kind: position 8: emails has no such attribute"},
		{"other parent in a value path", `emails[phoneNumbers.value eq "x"]`, "one sub-attribute"},
		{"unknown below an extension", enterprise + `:colour pr`, "colour: position 60"},
		{"not a name", `1title pr`, "expected an attribute name: letters"},
		{"whole extension", enterprise + ` pr`, "after the schema's URN"},
		{"core schema", UserSchema + ` pr`, "after the schema's URN"},
		{"URL for a URN", `http://example.com/x:attr eq "x"`, `starts with "urn:"`},
		{"URN without attribute", `urn:x:y: eq "x"`, "position 9: expected an attribute name after the URN"},
		{"too short a URN", `urn:x eq "x"`, `starts with "urn:"`},
		{"password", `password eq "x"`, "password cannot be searched"},
		{"password present", `password pr`, "password cannot be searched"},

		{"ordering of booleans", `active gt true`, "gt does not fit active, which is of type boolean; use one of eq, ne, pr"},
		{"substring of a boolean", `active co "t"`, "co does not fit active"},
		{"substring of an instant", `meta.created sw "2026"`, "use one of eq, ne, gt, ge, lt, le, pr"},
		{"ordering of a binary", `x509Certificates.value gt "x"`, "type binary; use one of eq, ne, co, sw, ew, pr"},
		{"comparison of a complex", `name eq "x"`, "type complex; use one of pr"},
		{"comparison without value", `addresses co "x"`, "type complex; use one of pr"},
		{"not a boolean", `active eq "yes"`, "expected true or false, as active is a boolean"},
		{"not an instant", `meta.created gt "yesterday"`, "expected a dateTime"},
		{"date without time", `meta.created gt "2026-02-01"`, "expected a dateTime"},
		{"instant before the years", `meta.created gt "0000-01-01T00:00:00+23:00"`, "expected a dateTime"},
		{"order of null", `title gt null`, "only eq and ne"},
		{"contains nothing", `title co ""`, "co needs a value"},
		{"starts with nothing", `title sw ""`, "sw needs a value"},
		{"ends with nothing", `title ew ""`, "ew needs a value"},

		{"open string", `title eq "x`, "position 10: the string has no closing quote"},
		{"open string after an escape", `title eq "\nx`, "no closing quote"},
		{"string ends in an escape", `title eq "x\`, "position 12: the string ends within an escape"},
		{"unknown escape", `title eq "\x"`, "position 11: unknown escape sequence"},
		{"short code point", `title eq "\u00e"`, "four hexadecimal digits"},
		{"no digits", `title eq "\u00gg"`, "four hexadecimal digits"},
		{"cut code point", `title eq "\u00`, "four hexadecimal digits"},
		{"lone high surrogate", `title eq "\ud83d"`, "half of a surrogate pair"},
		{"lone low surrogate", `title eq "\ude00"`, "half of a surrogate pair"},
		{"two high surrogates", `title eq "\ud83d\ud83d"`, "half of a surrogate pair"},
		{"swapped surrogates", `title eq "\ude00\ud83d"`, "half of a surrogate pair"},
		{"high surrogate and text", `title eq "\ud83d\n"`, "half of a surrogate pair"},
		{"escaped NUL", `title eq "\u0000"`, "NUL"},
		{"NUL", "title eq \"a\x00\"", "control characters"},
		{"control character", "title eq \"a\nb\"", "position 12: control characters"},
		{"control character after an escape", "title eq \"\\ta\nb\"", "control characters"},
		{"control character in a word", "title eq a\nb", "position 11"},
		{"not UTF-8", "title eq \"\xff\"", "UTF-8"},

		{"too deep", strings.Repeat("(", 33) + `title pr` + strings.Repeat(")", 33), "position 33: nested deeper than 32"},
		{"too many terms", strings.Repeat(`title pr or `, 64) + `title pr`, "more than 64 terms"},
		{"too long", `title eq "` + strings.Repeat("x", 8<<10) + `"`, "longer than 8192 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, err := ParseFilter(Standard(User), tt.text)
			if err == nil {
				t.Fatalf("ParseFilter(%q) = %s, want an error", tt.text, FormatFilter(f))
			}
			if f != nil {
				t.Errorf("a filter came with the error: %s", FormatFilter(f))
			}
			if e, ok := err.(*Error); !ok || e.Type != InvalidFilter || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ParseFilter(%q) = %v, want invalidFilter with %q", tt.text, err, tt.want)
			}
		})
	}
}

func TestParseFilterAtItsLimits(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"depth":  strings.Repeat("not (", 31) + `emails[type pr]` + strings.Repeat(")", 31),
		"terms":  strings.Repeat(`title pr or `, 63) + `title pr`,
		"length": `title eq "` + strings.Repeat("x", 8<<10-len(`title eq ""`)) + `"`,
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := ParseFilter(Standard(User), text); err != nil {
				t.Error(err)
			}
		})
	}
}

// numbers is a definition with the types that the standard ones lack.
func numbers(t testing.TB) *Definition {
	t.Helper()
	s, err := ParseSchema([]byte(`{"id":"urn:example:numbers:1.0:User","attributes":[
		{"name":"level","type":"integer"},{"name":"share","type":"decimal"},
		{"name":"hired","type":"dateTime"},{"name":"tags","type":"string","multiValued":true},
		{"name":"secret","type":"complex","subAttributes":[
			{"name":"hint","type":"string"},{"name":"value","type":"string","returned":"never"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	core := &Schema{ID: UserSchema, Attributes: []*Attribute{{Name: "userName", Type: String}}}
	d, err := Compile(User, core, s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestParseFilterOfOtherTypes(t *testing.T) {
	t.Parallel()
	d := numbers(t)
	const urn = "urn:example:numbers:1.0:User:"
	tests := []struct{ text, want, fault string }{
		{text: `level ge -7`, want: urn + `level ge -7`},
		{text: `level eq "7"`, want: urn + `level eq 7`},
		{text: `share lt 1.5E2`, want: urn + `share lt 150`},
		{text: `hired ge "2020-01-02T00:00:00Z"`, want: urn + `hired ge "2020-01-02t00:00:00z"`},
		{text: `tags eq "X"`, want: urn + `tags eq "x"`},
		{text: `secret.hint pr`, want: urn + `secret.hint pr`},
		{text: `level co 7`, fault: "co does not fit"},
		{text: `level eq Inf`, fault: "expected a number"},
		{text: `level eq 0x1p-2`, fault: "expected a number"},
		{text: `level eq 1e999`, fault: "expected a number"},
		{text: `level eq ""`, want: urn + `level eq null`},
		{text: `hired sw "2020"`, fault: "sw does not fit"},
		{text: `tags[value eq "x"]`, fault: "tags is none"},
		{text: `secret eq "x"`, fault: "secret.value cannot be searched"},
		{text: `secret.value pr`, fault: "secret.value cannot be searched"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			f, err := ParseFilter(d, tt.text)
			switch {
			case tt.fault != "" && (err == nil || !strings.Contains(err.Error(), tt.fault)):
				t.Errorf("error %v, want %q", err, tt.fault)
			case tt.fault == "" && err != nil:
				t.Error(err)
			case tt.fault == "" && FormatFilter(f) != tt.want:
				t.Errorf("got %s, want %s", FormatFilter(f), tt.want)
			}
		})
	}
}

// A group has no enterprise extension, and a name of its own.
func TestParseFilterOfGroups(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		`members eq "ID"`:                     `members.value eq "ID"`,
		`members[members.value eq "x"]`:       `members[value eq "x"]`,
		`displayName eq "STRAßE"`:             `displayName eq "strasse"`,
		`members.$REF eq "x"`:                 `members.$ref eq "x"`,
		GroupSchema + `:displayName eq "x"`:   `displayName eq "x"`,
		`id eq "g" and members eq "u"`:        `id eq "g" and members.value eq "u"`,
		enterprise + `:department eq "Sales"`: enterprise + `:department eq "sales"`,
	}
	for text, want := range tests {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			f, err := ParseFilter(Standard(Group), text)
			if err != nil {
				t.Fatal(err)
			}
			if got := FormatFilter(f); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestParseFilterAllocations(t *testing.T) {
	d := Standard(User)
	n := testing.AllocsPerRun(1000, func() {
		if _, err := ParseFilter(d, `userName eq "a@b.c"`); err != nil {
			t.Fatal(err)
		}
	})
	if n > 4 {
		t.Errorf("%s allocations, want at most 4", strconv.FormatFloat(n, 'f', -1, 64))
	}
}

func BenchmarkParseFilter(b *testing.B) {
	for name, text := range map[string]string{
		"userName":  `userName eq "a@b.c"`,
		"valuePath": `emails[type eq "work"].value eq "a@b.c"`,
	} {
		b.Run(name, func(b *testing.B) {
			d := Standard(User)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseFilter(d, text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
